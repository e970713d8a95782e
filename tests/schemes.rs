//! The laws of the compatibility schemes, and how experiments of GrowthBook cut their line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::Value;
use serin::assignment::bucket::SplitSalt;
use serin::assignment::flagd::Message;
use serin::assignment::growthbook::{self, HashVersion};
use serin::assignment::line::Line;
use serin::assignment::{eppo, flagd, launchdarkly, optimizely, statsig, unleash};
use serin::ids::{Exposure, PolicyName, Salt, Scheme, UserKey, Version};

const SECRET: [u8; 32] = [7; 32];

fn share(ppm: u32) -> Exposure {
    Exposure::from_ppm(ppm).unwrap()
}

fn user(name: &str) -> UserKey<'_> {
    UserKey::new(name).unwrap()
}

fn line(scheme: Scheme, salt: &str) -> Line {
    let salt = Salt::new(salt).unwrap();
    let policy = PolicyName::new("checkout").unwrap();
    Line::new(scheme, &policy, &SplitSalt::Declared(&salt), &SECRET)
}

fn any_scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL.to_vec())
}

/// Whether an SDK that evaluates what a policy's protocol publishes puts `user` into treatment.
fn is_treated_by_sdk(scheme: Scheme, salt: &str, user: &str, exposure: Exposure) -> bool {
    let ratio = exposure.ratio();
    let cells = scheme.cells_of(exposure);
    let rest = scheme.cells() - cells;
    match scheme {
        Scheme::Serin => line(scheme, salt)
            .bucket(UserKey::new(user).unwrap())
            .is_below(exposure),
        Scheme::GrowthBookV1 | Scheme::GrowthBookV2 => {
            let version = if scheme == Scheme::GrowthBookV1 {
                HashVersion::V1
            } else {
                HashVersion::V2
            };
            growthbook::choose(version.place(salt, user), &[[0.0, ratio], [ratio, 1.0]]) == Some(0)
        }
        Scheme::Unleash => unleash::variant(salt, user, &[cells, rest]) == Some(0),
        Scheme::LaunchDarkly => {
            let weights = [f64::from(cells), f64::from(rest)];
            launchdarkly::variation(launchdarkly::place(salt, user), &weights) == Some(0)
        }
        Scheme::FlagdV2 => {
            let weights = [cells.into(), rest.into()];
            flagd::variant(flagd::hash_of_text(salt, user), &weights) == Some(0)
        }
        Scheme::FlagdV3 => {
            let weights = [cells.into(), rest.into()];
            flagd::variant(Message::Text(salt.into()).hash(user), &weights) == Some(0)
        }
        Scheme::Eppo => eppo::shard(salt, user, scheme.cells()).unwrap() < cells,
        Scheme::Optimizely => optimizely::place(salt, user) < cells,
        Scheme::Statsig => statsig::passes(statsig::place(salt, user), f64::from(exposure.ppm()) / 10_000.0),
    }
}

proptest! {
    #[test]
    fn an_sdk_and_serin_agree_at_any_exposure(
        scheme in any_scheme(),
        salt in "[a-z./-]{1,20}",
        name in "\\PC{1,40}",
        ppm in prop_oneof![0u32..=1_000_000, (0u32..=100).prop_map(|percent| percent * 10_000)],
    ) {
        let bucket = line(scheme, &salt).bucket(user(&name));
        let published = share(ppm);
        let by_sdk = is_treated_by_sdk(scheme, &salt, &name, published);
        prop_assert_eq!(bucket.is_below(scheme.resolve(published)), by_sdk, "{} at {}", scheme, published);
    }

    #[test]
    fn exposure_is_monotone_for_every_scheme(
        scheme in any_scheme(),
        salt in "\\PC{1,20}",
        name in "\\PC{1,40}",
        (low, high) in (0u32..=1_000_000, 0u32..=1_000_000).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ) {
        let bucket = line(scheme, &salt).bucket(user(&name));
        let [low, high] = [low, high].map(|ppm| scheme.resolve(share(ppm)));
        prop_assert!(low <= high);
        prop_assert!(!bucket.is_below(low) || bucket.is_below(high));
        prop_assert!(!bucket.is_below(Exposure::NOBODY) && bucket.is_below(Exposure::EVERYBODY));
    }
}

#[test]
fn a_quarter_of_the_users_is_a_quarter_under_every_scheme() {
    for scheme in Scheme::ALL {
        let line = line(scheme, "checkout/4");
        let treated = (0..100_000)
            .filter(|number| {
                line.bucket(user(&format!("user-{number}")))
                    .is_below(share(250_000))
            })
            .count();
        // The standard error is 137 users.
        assert!((24_400..=25_600).contains(&treated), "{scheme}: {treated}");
        assert_eq!(line.scheme(), scheme);
        assert_eq!(line.open_salt().is_none(), scheme == Scheme::Serin);
    }
}

#[test]
fn without_a_declared_salt_each_candidate_draws_other_users() {
    let policy = PolicyName::new("checkout").unwrap();
    for scheme in Scheme::ALL {
        let [second, third] = [2, 3].map(|candidate| {
            let candidate = Version::new(candidate).unwrap();
            let salt = SplitSalt::of(None, &policy, candidate);
            Line::new(scheme, &policy, &salt, &SECRET)
        });
        assert_ne!(second, third, "{scheme}");
        if let Some(salt) = second.open_salt() {
            assert_eq!(salt, "checkout/2");
        }
    }
}

#[test]
fn flagd_hashes_the_pair_where_the_salt_is_the_policy_s_name() {
    let pair = line(Scheme::FlagdV3, "checkout");
    assert_eq!(pair, Line::FlagdV3(Message::Pair("checkout".into())));
    let text = line(Scheme::FlagdV3, "checkout-2");
    assert_eq!(text, Line::FlagdV3(Message::Text("checkout-2".into())));
    let hashes = [Message::Pair("checkout".into()), Message::Text("checkout".into())];
    assert_ne!(hashes[0].hash("anna"), hashes[1].hash("anna"));
    assert_eq!(hashes[0].hash("anna"), flagd::hash_of_pair("checkout", "anna"));
}

#[test]
fn experiments_of_growthbook_cut_their_line_as_specified() {
    let mut cut = 0;
    for vectors in [
        include_str!("conformance/assignment/growthbook-v1.public.json"),
        include_str!("conformance/assignment/growthbook-v2.public.json"),
    ] {
        let rows: Vec<Value> = serde_json::from_str(vectors).unwrap();
        let numbers = |value: &Value| -> Option<Vec<f64>> {
            Some(value.as_array()?.iter().map(|n| n.as_f64().unwrap()).collect())
        };
        let pairs = |value: &Value| -> Vec<[f64; 2]> {
            let ranges = value.as_array().unwrap().iter();
            ranges
                .map(|range| numbers(range).unwrap().try_into().unwrap())
                .collect()
        };
        for row in rows {
            if row["kind"] == "ranges" {
                let count = row["n"].as_u64().unwrap().try_into().unwrap();
                let found = growthbook::ranges(
                    count,
                    row["coverage"].as_f64().unwrap(),
                    numbers(&row["weights"]).as_deref(),
                );
                for (found, expected) in found
                    .iter()
                    .flatten()
                    .zip(pairs(&row["expect_ranges"]).iter().flatten())
                {
                    assert!((found - expected).abs() < 1e-9, "{row}: {found}");
                }
                assert_eq!(found.len(), pairs(&row["expect_ranges"]).len());
            } else if row["kind"] == "choose" {
                let found = growthbook::choose(row["n"].as_f64().unwrap(), &pairs(&row["ranges"]));
                let index = found.map_or(-1, |index| i64::try_from(index).unwrap());
                assert_eq!(index, row["expect_index"].as_i64().unwrap(), "{row}");
            } else {
                continue;
            }
            cut += 1;
        }
    }
    assert!(cut >= 10, "{cut}");
}
