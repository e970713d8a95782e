//! The laws of assignment, and its conformance vectors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::Value;
use serin::assignment::assign::assign;
use serin::assignment::bucket::{Bucket, Purpose, SplitKey, SplitSalt, threshold};
use serin::assignment::line::Line;
use serin::assignment::receipt::{Receipt, ReceiptError, ReceiptKey, ReceiptText};
use serin::assignment::snapshot::Snapshot;
use serin::assignment::{Admission, Idle, Reason, Route, Served, Treatment};
use serin::ids::{
    Arm, Cluster, Exposure, Generation, Label, PolicyName, PromptName, RolloutId, Salt, UserHash, UserKey,
    Version,
};
use std::sync::Arc;

const SECRET: [u8; 32] = *b"the secret of the laws, fixed   ";

fn share(ppm: u32) -> Exposure {
    Exposure::from_ppm(ppm).unwrap()
}

fn user(name: &str) -> UserKey<'_> {
    UserKey::new(name).unwrap()
}

/// The key for `purpose` of the rollout that brings `candidate` under `policy`.
fn key(purpose: Purpose, policy: &str, candidate: u32) -> SplitKey {
    let policy = PolicyName::new(policy).unwrap();
    let salt = SplitSalt::of(None, &policy, Version::new(candidate).unwrap());
    SplitKey::derive(&SECRET, purpose, &salt)
}

fn split(policy: &str, candidate: u32) -> SplitKey {
    key(Purpose::Split, policy, candidate)
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user-{number}")).collect()
}

fn served(label: &str, version: u32) -> Served {
    Served {
        label: Label::new(label).unwrap(),
        version: Some(Version::new(version).unwrap()),
    }
}

/// The route of a rollout of `candidate` under `policy`.
fn route(policy: &str, candidate: u32, exposure: Exposure, holdback: Exposure) -> Route {
    Route {
        policy: PolicyName::new(policy).unwrap(),
        prompt: PromptName::new("greeting").unwrap(),
        control: served("production", 1),
        treatment: Some(Treatment {
            served: served("canary", candidate),
            exposure,
            holdback,
            rollout: RolloutId::new(1),
            generation: Generation::new(1),
            line: Line::Serin(split(policy, candidate)),
            cluster_key: key(Purpose::Cluster, policy, candidate),
            admission: Admission::default(),
            forced_treatment: Arc::default(),
            forced_control: Arc::default(),
        }),
        idle: Idle::NoRollout,
    }
}

fn arm(route: &Route, name: &str) -> Arm {
    assign(route, user(name)).arm
}

mod conformance {
    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("conformance/assignment/serin.json")).unwrap()
    }

    fn rows<'v>(vectors: &'v Value, part: &str) -> &'v Vec<Value> {
        let rows = vectors[part].as_array().unwrap();
        assert!(!rows.is_empty());
        rows
    }

    fn secret(row: &Value) -> [u8; 32] {
        let hex = row["secret"].as_str().unwrap();
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    fn number(value: &Value) -> u32 {
        value.as_u64().unwrap().try_into().unwrap()
    }

    #[test]
    fn buckets_clusters_and_arms_are_those_of_the_other_implementation() {
        let vectors = vectors();
        for row in rows(&vectors, "users") {
            let policy = PolicyName::new(row["policy"].as_str().unwrap()).unwrap();
            let declared = row["salt"].as_str().map(|salt| Salt::new(salt).unwrap());
            let candidate = Version::new(number(&row["candidate"])).unwrap();
            let salt = SplitSalt::of(declared.as_ref(), &policy, candidate);
            let user = user(row["user"].as_str().unwrap());

            let bucket = SplitKey::derive(&secret(row), Purpose::Split, &salt).bucket(user);
            assert_eq!(format!("{:016x}", bucket.get()), row["bucket"], "{row}");
            let cluster = SplitKey::derive(&secret(row), Purpose::Cluster, &salt).cluster(user);
            assert_eq!(u32::from(cluster.get()), number(&row["cluster"]), "{row}");
            let treated_at: Vec<u32> = rows(&vectors, "exposures_ppm")
                .iter()
                .map(number)
                .filter(|&ppm| bucket.is_below(share(ppm)))
                .collect();
            assert_eq!(serde_json::json!(treated_at), row["treated_at_ppm"], "{row}");
        }
    }

    #[test]
    fn thresholds_are_exact() {
        for row in rows(&vectors(), "thresholds") {
            let exposure = share(number(&row["exposure_ppm"]));
            let expected = u128::from_str_radix(row["threshold"].as_str().unwrap(), 16).unwrap();
            assert_eq!(threshold(exposure), expected, "{row}");
            // The last bucket inside, and the first one outside.
            if let Some(last) = expected.checked_sub(1) {
                assert!(Bucket::new(last.try_into().unwrap()).is_below(exposure), "{row}");
            }
            if let Ok(first) = expected.try_into() {
                assert!(!Bucket::new(first).is_below(exposure), "{row}");
            }
        }
    }

    #[test]
    fn receipts_are_those_of_the_other_implementation() {
        for row in rows(&vectors(), "receipts") {
            let receipt = Receipt {
                enters: true,
                rollout: RolloutId::new(row["rollout"].as_str().unwrap().parse().unwrap()),
                generation: Generation::new(row["generation"].as_str().unwrap().parse().unwrap()),
                arm: row["arm"].as_str().unwrap().parse().unwrap(),
                cluster: Cluster::new(number(&row["cluster"]).try_into().unwrap()).unwrap(),
                user: row["user"]
                    .as_str()
                    .map(|hash| UserHash(u64::from_str_radix(hash, 16).unwrap())),
            };
            let key = ReceiptKey::derive(&secret(row));
            assert_eq!(key.issue(&receipt).as_str(), row["receipt"], "{row}");
            assert_eq!(key.verify(row["receipt"].as_str().unwrap()), Ok(receipt), "{row}");
        }
    }
}

mod exposure {
    use super::*;

    const STAGES_PPM: [u32; 7] = [0, 10_000, 50_000, 250_000, 500_000, 900_000, 1_000_000];

    #[test]
    fn rising_exposure_takes_treatment_from_nobody() {
        for name in users(20_000) {
            let arms = STAGES_PPM.map(|ppm| arm(&route("greeting", 2, share(ppm), share(0)), &name));
            assert!(arms.is_sorted(), "{name}: {arms:?}");
            assert_eq!((arms[0], arms[6]), (Arm::Control, Arm::Treatment), "{name}");
        }
    }

    proptest! {
        #[test]
        fn exposure_is_monotone_for_any_user_rollout_and_holdback(
            name in "\\PC{1,40}",
            policy in "[a-z]{1,8}",
            candidate in 1u32..,
            (low, high) in (0u32..=1_000_000, 0u32..=1_000_000).prop_map(|(a, b)| (a.min(b), a.max(b))),
            holdback in 0u32..=1_000_000,
        ) {
            let at = |ppm| arm(&route(&policy, candidate, share(ppm), share(holdback)), &name);
            prop_assert!(at(low) <= at(high));
        }

        #[test]
        fn more_holdback_only_ever_takes_from_treatment(
            name in "\\PC{1,40}",
            exposure in 0u32..=1_000_000,
            (less, more) in (0u32..=1_000_000, 0u32..=1_000_000).prop_map(|(a, b)| (a.min(b), a.max(b))),
        ) {
            let held = |ppm| route("greeting", 2, share(exposure), share(ppm));
            prop_assert!(arm(&held(more), &name) <= arm(&held(less), &name));
            let all_held = held(1_000_000);
            prop_assert_eq!(assign(&all_held, user(&name)).reason, Reason::Holdback);
        }
    }

    #[test]
    fn five_percent_of_100_000_users_is_within_four_standard_errors() {
        let count = 100_000;
        let names = users(count);
        let (expected, standard_error) = (5_000.0, (100_000.0 * 0.05 * 0.95_f64).sqrt());
        for candidate in 1..=10 {
            let route = route("greeting", candidate, share(50_000), share(0));
            let treated = names
                .iter()
                .filter(|name| arm(&route, name) == Arm::Treatment)
                .count();
            let error = (treated as f64 - expected) / standard_error;
            assert!(error.abs() <= 4.0, "candidate {candidate}: {treated} treated");
        }
    }

    #[test]
    fn a_retry_of_a_candidate_keeps_its_users_and_the_next_candidate_draws_others() {
        let names = users(20_000);
        let treated = |candidate| -> Vec<&String> {
            let route = route("greeting", candidate, share(100_000), share(0));
            names
                .iter()
                .filter(|name| arm(&route, name) == Arm::Treatment)
                .collect()
        };
        let second = treated(2);
        assert_eq!(treated(2), second);
        let third = treated(3);
        let in_both = third.iter().filter(|name| second.contains(name)).count();
        // Independent draws share 10% of 10%: 200 users, with a standard error of 14.
        assert!((140..=260).contains(&in_both), "{in_both}");
    }

    #[test]
    fn a_declared_salt_keeps_its_users_over_candidates() {
        let (policy, salt) = (
            PolicyName::new("greeting").unwrap(),
            Salt::new("order-status").unwrap(),
        );
        let of = |candidate| {
            let salt = SplitSalt::of(Some(&salt), &policy, Version::new(candidate).unwrap());
            SplitKey::derive(&SECRET, Purpose::Split, &salt).bucket(user("anna"))
        };
        assert_eq!(of(2), of(3));
        assert_ne!(of(2), split("greeting", 2).bucket(user("anna")));
    }
}

mod independence {
    use super::*;

    /// Upper 1 − 2·10⁻⁵ quantile of the standard normal distribution.
    const NORMAL_QUANTILE: f64 = 4.1;

    /// Chi-square statistic of `counts` against equal shares, as a standard normal deviate
    /// (Wilson and Hilferty 1931).
    fn deviate_from_uniform(counts: &[usize]) -> f64 {
        let degrees = (counts.len() - 1) as f64;
        let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        let chi_square: f64 = counts
            .iter()
            .map(|&count| (count as f64 - expected).powi(2) / expected)
            .sum();
        let spread = 2.0 / (9.0 * degrees);
        ((chi_square / degrees).cbrt() - (1.0 - spread)) / spread.sqrt()
    }

    /// `phi · √N` of two divisions of the same users: about standard normal when independent.
    fn association(first: impl Iterator<Item = bool>, second: impl Iterator<Item = bool>) -> f64 {
        let mut cells = [[0.0_f64; 2]; 2];
        for (a, b) in first.zip(second) {
            cells[usize::from(a)][usize::from(b)] += 1.0;
        }
        let [[neither, only_second], [only_first, both]] = cells;
        let margins =
            (neither + only_second) * (only_first + both) * (neither + only_first) * (only_second + both);
        let count = neither + only_second + only_first + both;
        (both * neither - only_first * only_second) / margins.sqrt() * count.sqrt()
    }

    fn halves<'n>(names: &'n [String], key: &SplitKey) -> impl Iterator<Item = bool> + use<'n> {
        let key = *key;
        names
            .iter()
            .map(move |name| key.bucket(user(name)).is_below(share(500_000)))
    }

    #[test]
    fn buckets_are_uniform() {
        const WIDTH: u64 = 1 << 56;
        let names = users(100_000);
        for candidate in 1..=10 {
            let key = split("greeting", candidate);
            let mut counts = [0; 256];
            for name in &names {
                counts[(key.bucket(user(name)).get() / WIDTH) as usize] += 1;
            }
            let deviate = deviate_from_uniform(&counts);
            assert!(deviate < NORMAL_QUANTILE, "candidate {candidate}: {deviate}");
        }
    }

    #[test]
    fn clusters_are_uniform_within_treatment() {
        let route = route("greeting", 2, share(250_000), share(0));
        let treatment = route.treatment.as_ref().unwrap();
        let mut counts = [0; Cluster::COUNT];
        for name in users(200_000) {
            if arm(&route, &name) == Arm::Treatment {
                counts[usize::from(treatment.cluster(user(&name)).get())] += 1;
            }
        }
        let deviate = deviate_from_uniform(&counts);
        assert!(deviate < NORMAL_QUANTILE, "{deviate}");
    }

    #[test]
    fn the_split_says_nothing_about_the_cluster() {
        let names = users(100_000);
        let (split, cluster) = (split("greeting", 2), key(Purpose::Cluster, "greeting", 2));
        for bit in 0..7 {
            let in_cluster = names
                .iter()
                .map(|name| cluster.cluster(user(name)).get() >> bit & 1 == 1);
            let found = association(halves(&names, &split), in_cluster);
            assert!(found.abs() < 4.0, "bit {bit}: {found}");
        }
    }

    #[test]
    fn salts_that_differ_in_one_character_draw_independent_halves() {
        let names = users(50_000);
        let keys = [
            ("a", 1),
            ("b", 1),
            ("a", 2),
            ("a", 11),
            ("a", 12),
            ("aa", 1),
            ("ab", 1),
            ("a1", 1),
            ("order-status", 1),
            ("order-statut", 1),
            ("prder-status", 1),
            ("order-status", 10),
        ]
        .map(|(policy, candidate)| (policy, candidate, split(policy, candidate)));
        for (at, (policy, candidate, first)) in keys.iter().enumerate() {
            for (other_policy, other_candidate, second) in &keys[..at] {
                let found = association(halves(&names, first), halves(&names, second));
                assert!(
                    found.abs() < 4.0,
                    "{policy}/{candidate} and {other_policy}/{other_candidate}: {found}"
                );
            }
        }
    }

    #[test]
    fn the_measure_of_association_sees_a_dependence() {
        let names = users(50_000);
        let key = split("greeting", 2);
        // A split that agrees with the first half of the time more often than not.
        let tilted = names
            .iter()
            .map(|name| key.bucket(user(name)).is_below(share(520_000)));
        assert!(association(halves(&names, &key), tilted) > 100.0);
    }
}

mod snapshots {
    use super::*;

    #[test]
    fn a_policy_is_found_by_its_name_alone() {
        let policies = ["greeting", "farewell", "greeting-2"];
        let routes = policies.map(|policy| route(policy, 2, Exposure::EVERYBODY, Exposure::NOBODY));
        let snapshot = Snapshot::new(7, routes.map(Arc::new));
        let listed: Vec<&str> = snapshot.routes().map(|route| route.policy.as_str()).collect();
        assert_eq!(listed, ["farewell", "greeting", "greeting-2"]);
        let found = snapshot.assign("greeting", user("anna")).unwrap();
        assert_eq!(found.policy.as_str(), "greeting");
        assert_eq!(found.served.label.as_str(), "canary");
        assert_eq!(snapshot.assign("greetin", user("anna")), None);
        assert_eq!(snapshot.assign("GREETING", user("anna")), None);
    }
}

mod receipts {
    use super::*;

    fn any_receipt() -> impl Strategy<Value = Receipt> {
        let user = prop::option::of(any::<u64>().prop_map(UserHash));
        (
            any::<u64>(),
            any::<u64>(),
            any::<bool>(),
            0u8..128,
            user,
            any::<bool>(),
        )
            .prop_map(|(rollout, generation, treated, cluster, user, enters)| Receipt {
                enters,
                rollout: RolloutId::new(rollout),
                generation: Generation::new(generation),
                arm: if treated { Arm::Treatment } else { Arm::Control },
                cluster: Cluster::new(cluster).unwrap(),
                user: user.filter(|_| enters),
            })
    }

    fn key() -> ReceiptKey {
        ReceiptKey::derive(&SECRET)
    }

    proptest! {
        #[test]
        fn receipts_are_read_back_as_issued(receipt in any_receipt()) {
            let text = key().issue(&receipt);
            prop_assert!(text.as_str().len() <= ReceiptText::CHARS_MAX);
            prop_assert_eq!(text.to_string(), text.as_str());
            prop_assert_eq!(key().verify(text.as_str()), Ok(receipt));
        }

        #[test]
        fn a_changed_character_is_refused(receipt in any_receipt(), at: prop::sample::Index, other in "[A-Za-z0-9_-]") {
            let text = key().issue(&receipt).to_string();
            let at = at.index(text.len());
            prop_assume!(text[at..=at] != other);
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            prop_assert!(key().verify(&changed).is_err());
        }

        #[test]
        fn a_receipt_cut_short_is_refused(receipt in any_receipt(), length: prop::sample::Index) {
            let text = key().issue(&receipt).to_string();
            prop_assert!(key().verify(&text[..length.index(text.len())]).is_err());
        }

        #[test]
        fn garbage_is_refused(text in "\\PC{0,80}") {
            prop_assert!(key().verify(&text).is_err());
        }

        #[test]
        fn bytes_that_nobody_signed_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..31)) {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert!(key().verify(&text).is_err());
        }

        #[test]
        fn another_server_refuses_it(receipt in any_receipt()) {
            let text = ReceiptKey::derive(&[9; 32]).issue(&receipt);
            prop_assert_eq!(key().verify(text.as_str()), Err(ReceiptError::Forged));
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let receipt = Receipt {
            enters: true,
            rollout: RolloutId::new(17),
            generation: Generation::new(3),
            arm: Arm::Treatment,
            cluster: Cluster::new(5).unwrap(),
            user: None,
        };
        let text = key().issue(&receipt).to_string();
        assert_eq!(text.len(), 16, "{text}");
        let refusal = |text: &str| key().verify(text).unwrap_err();
        assert_eq!(refusal(""), ReceiptError::Damaged);
        assert_eq!(refusal("AQ=="), ReceiptError::Damaged);
        assert_eq!(refusal(&"A".repeat(1_000_000)), ReceiptError::Damaged);
        assert_eq!(
            refusal(&format!("BA{}", &text[2..])),
            ReceiptError::UnknownFormat(4)
        );
        let last = if text.ends_with('A') { 'B' } else { 'A' };
        assert_eq!(refusal(&format!("{}{last}", &text[..15])), ReceiptError::Forged);
        assert_eq!(
            refusal("").to_string(),
            "the receipt is damaged: send back the text of `receipt` from the assignment unchanged"
        );
    }
}
