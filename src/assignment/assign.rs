//! The one rule that turns a route and a user into an assignment.

use super::receipt::Receipt;
use super::{Assignment, Reason, Route, Treatment, Who};
use crate::ids::{Arm, Cluster, Exposure, UserHash, UserKey};

/// What `who` gets on `route`; a lookup, a hash and two comparisons, without allocation.
///
/// Forced users come first: while a candidate is exposed, they have their fixed arm at any exposure, 0%
/// included. Whoever may not enter the rollout stays in control. Everybody else has the arm that the hash
/// line says, and the holdback stays in control.
pub fn assign<'s, 'w>(route: &'s Route, who: impl Into<Who<'w>>) -> Assignment<'s> {
    let Some(treatment) = &route.treatment else {
        return Assignment {
            policy: &route.policy,
            arm: Arm::Control,
            served: &route.control,
            exposure: Exposure::NOBODY,
            reason: Reason::Idle(route.idle),
            attribute: None,
            rollout: None,
        };
    };
    let (arm, reason) = arm_of(treatment, who.into());
    Assignment {
        policy: &route.policy,
        arm,
        served: match arm {
            Arm::Control => &route.control,
            Arm::Treatment => &treatment.served,
        },
        exposure: treatment.exposure,
        reason,
        attribute: treatment.admission.attribute(reason),
        rollout: Some((treatment.rollout, treatment.generation)),
    }
}

fn arm_of(treatment: &Treatment, who: Who<'_>) -> (Arm, Reason) {
    let user = who.placed();
    if who.keys().any(|key| treatment.forced_treatment.contains(key)) {
        return (Arm::Treatment, Reason::Forced);
    }
    if who.keys().any(|key| treatment.forced_control.contains(key)) {
        return (Arm::Control, Reason::Forced);
    }
    if let Some(reason) = treatment.admission.refusal(who) {
        return (Arm::Control, reason);
    }
    let bucket = treatment.line.bucket(user);
    if !bucket.is_below(treatment.holdback.complement()) {
        (Arm::Control, Reason::Holdback)
    } else if bucket.is_below(treatment.exposure) {
        (Arm::Treatment, Reason::Split)
    } else {
        (Arm::Control, Reason::Split)
    }
}

impl Treatment {
    /// The cluster over which `user`'s observations are summed.
    pub fn cluster(&self, user: UserKey<'_>) -> Cluster {
        self.cluster_key.cluster(user)
    }

    /// What tells `user` apart from others in the sample ratio.
    pub fn user_hash(&self, user: UserKey<'_>) -> UserHash {
        self.cluster_key.user_hash(user)
    }

    /// The share of treatment among the users whom the hash line splits: all but the holdback.
    pub fn planned_share(&self) -> Exposure {
        let (split, treated) = (
            self.holdback.complement(),
            self.exposure.min(self.holdback.complement()),
        );
        if treated == split {
            return Exposure::EVERYBODY;
        }
        let ppm = u64::from(treated.ppm()) * u64::from(Exposure::EVERYBODY.ppm()) / u64::from(split.ppm());
        u32::try_from(ppm)
            .ok()
            .and_then(|ppm| Exposure::from_ppm(ppm).ok())
            .unwrap_or(Exposure::EVERYBODY)
    }
}

impl Route {
    /// What an observation of `user` counts for, given what `user` was assigned on this route.
    ///
    /// None while no candidate is exposed, and for forced users: they are served, never counted. The receipt
    /// of a user outside of the rollout says that, because nobody else can tell it from their key.
    pub fn receipt<'w>(&self, assignment: &Assignment<'_>, who: impl Into<Who<'w>>) -> Option<Receipt> {
        let user = who.into().placed();
        let treatment = self.treatment.as_ref()?;
        let (rollout, generation) = assignment.rollout?;
        match assignment.reason {
            Reason::Split
            | Reason::Holdback
            | Reason::AttributeMissing(_)
            | Reason::NotTargeted(_)
            | Reason::OutsideSegment
            | Reason::OtherInGroup
            | Reason::Reserved => {
                let hash = treatment.user_hash(user);
                Some(Receipt {
                    rollout,
                    generation,
                    arm: assignment.arm,
                    cluster: Cluster::from_hash(hash.0),
                    user: (assignment.reason == Reason::Split).then_some(hash),
                    enters: !assignment.reason.is_outside(),
                })
            }
            Reason::Forced | Reason::Idle(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::bucket::{Purpose, SplitKey, SplitSalt};
    use crate::assignment::line::Line;
    use crate::assignment::{Admission, Idle, Served};
    use crate::ids::{Generation, Label, PolicyName, PromptName, RolloutId, Scheme, Version};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn served(label: &str, version: u32) -> Served {
        Served {
            label: Label::new(label).unwrap(),
            version: Some(Version::new(version).unwrap()),
        }
    }

    fn users(names: &[&str]) -> Arc<BTreeSet<Arc<str>>> {
        Arc::new(names.iter().map(|&name| name.into()).collect())
    }

    fn route(exposure_ppm: u32, holdback_ppm: u32) -> Route {
        let policy = PolicyName::new("greeting").unwrap();
        let salt = SplitSalt::of(None, &policy, Version::new(2).unwrap());
        let secret = [3; 32];
        let treatment = Treatment {
            served: served("canary", 2),
            exposure: Exposure::from_ppm(exposure_ppm).unwrap(),
            holdback: Exposure::from_ppm(holdback_ppm).unwrap(),
            rollout: RolloutId::new(17),
            generation: Generation::new(3),
            line: Line::new(Scheme::Serin, &policy, &salt, &secret),
            cluster_key: SplitKey::derive(&secret, Purpose::Cluster, &salt),
            admission: Admission::default(),
            forced_treatment: users(&["qa-7"]),
            forced_control: users(&["ceo"]),
        };
        Route {
            policy,
            prompt: PromptName::new("greeting").unwrap(),
            control: served("production", 1),
            treatment: Some(treatment),
            idle: Idle::NoRollout,
        }
    }

    fn user(name: &str) -> UserKey<'_> {
        UserKey::new(name).unwrap()
    }

    #[test]
    fn without_a_candidate_everybody_has_control_and_the_reason_says_why() {
        let idle = Route {
            treatment: None,
            idle: Idle::RolledBack,
            ..route(0, 0)
        };
        for name in ["anna", "qa-7"] {
            let assignment = assign(&idle, user(name));
            assert_eq!(assignment.arm, Arm::Control);
            assert_eq!(assignment.served, &idle.control);
            assert_eq!(assignment.reason, Reason::Idle(Idle::RolledBack));
            assert_eq!(assignment.exposure, Exposure::NOBODY);
            assert_eq!(idle.receipt(&assignment, user(name)), None);
        }
    }

    #[test]
    fn forced_users_have_their_arm_and_are_never_counted() {
        for (ppm, name, arm) in [
            (0, "qa-7", Arm::Treatment),
            (1_000_000, "qa-7", Arm::Treatment),
            (1_000_000, "ceo", Arm::Control),
        ] {
            let route = route(ppm, 0);
            let assignment = assign(&route, user(name));
            assert_eq!((assignment.arm, assignment.reason), (arm, Reason::Forced));
            assert_eq!(route.receipt(&assignment, user(name)), None);
        }
    }

    #[test]
    fn the_receipt_says_what_was_served_in_which_rollout() {
        let route = route(1_000_000, 0);
        let assignment = assign(&route, user("anna"));
        let receipt = route.receipt(&assignment, user("anna")).unwrap();
        assert_eq!(receipt.arm, Arm::Treatment);
        assert_eq!(Some((receipt.rollout, receipt.generation)), assignment.rollout);
        assert_eq!(
            receipt.cluster,
            route.treatment.as_ref().unwrap().cluster(user("anna"))
        );
    }

    #[test]
    fn the_receipt_tells_users_of_the_split_apart_and_not_those_of_the_holdback() {
        let route = route(500_000, 500_000);
        let treatment = route.treatment.as_ref().unwrap();
        for name in ["anna", "bert", "carla", "dora", "emil", "fritz"] {
            let assignment = assign(&route, user(name));
            let receipt = route.receipt(&assignment, user(name)).unwrap();
            let expected = match assignment.reason {
                Reason::Split => Some(treatment.user_hash(user(name))),
                Reason::Holdback
                | Reason::Forced
                | Reason::AttributeMissing(_)
                | Reason::NotTargeted(_)
                | Reason::OutsideSegment
                | Reason::OtherInGroup
                | Reason::Reserved
                | Reason::Idle(_) => None,
            };
            assert_eq!(receipt.user, expected, "{name}");
            assert_eq!(receipt.cluster, treatment.cluster(user(name)));
        }
    }

    #[test]
    fn the_planned_share_is_that_of_the_users_who_are_split() {
        let planned = |exposure, holdback| route(exposure, holdback).treatment.unwrap().planned_share().ppm();
        assert_eq!(planned(50_000, 0), 50_000);
        assert_eq!(planned(50_000, 500_000), 100_000);
        assert_eq!(planned(1_000_000, 100_000), 1_000_000);
        assert_eq!(planned(900_000, 100_000), 1_000_000);
        assert_eq!(planned(300_000, 100_000), 333_333);
    }

    #[test]
    fn the_holdback_is_the_top_of_the_line_at_any_exposure() {
        let names: Vec<String> = (0..2_000).map(|number| format!("user-{number}")).collect();
        let held = |exposure_ppm| -> Vec<&str> {
            let route = route(exposure_ppm, 100_000);
            let is_held = |name: &&str| assign(&route, user(name)).reason == Reason::Holdback;
            names.iter().map(String::as_str).filter(is_held).collect()
        };
        let at_all = held(1_000_000);
        assert_eq!(held(50_000), at_all);
        // 10% of 2,000 users are 200; the standard error is 13.
        assert!((140..=260).contains(&at_all.len()), "{}", at_all.len());
        let everybody = route(1_000_000, 100_000);
        for name in &names {
            let assignment = assign(&everybody, user(name));
            let expected = match assignment.reason {
                Reason::Holdback => Arm::Control,
                Reason::Split
                | Reason::Forced
                | Reason::AttributeMissing(_)
                | Reason::NotTargeted(_)
                | Reason::OutsideSegment
                | Reason::OtherInGroup
                | Reason::Reserved
                | Reason::Idle(_) => Arm::Treatment,
            };
            assert_eq!(assignment.arm, expected, "{name}");
        }
    }
}
