use super::*;
use crate::ids::{Justification, Label, MetricName};
use crate::rollout::{Objection, Refusal, Verb};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn mismatch(of: MismatchOf) -> Mismatch {
    Mismatch {
        of,
        treatment: 812,
        users: 20_000,
        expected: 1_000,
        since: at("2026-11-21T12:29:00Z"),
    }
}

fn metric(name: &str) -> MetricName {
    MetricName::new(name).unwrap()
}

#[test]
fn spans_show_two_units() {
    let shown: Vec<String> = [-5, 0, 59, 60, 61, 1_860, 7_500, 86_400, 90_000, 90_061]
        .map(SignedDuration::from_secs)
        .map(span)
        .into();
    assert_eq!(
        shown,
        [
            "0 s",
            "0 s",
            "59 s",
            "1 min",
            "1 min 1 s",
            "31 min",
            "2 h 5 min",
            "1 d",
            "1 d 1 h",
            "1 d 1 h"
        ]
    );
}

fn worse(name: &str, versus: Versus) -> Blame {
    Blame {
        metric: metric(name),
        versus,
    }
}

/// One of each, with times around one o'clock.
fn reasons_to_stay() -> [StayReason; 15] {
    let cause = Cause::Verdict(VerdictCause::Failed {
        blame: worse("errors", Versus::Control),
    });
    let later = at("2026-11-21T14:02:10Z");
    [
        StayReason::Evaluation(EvaluationState::Missing {
            version: Version::FIRST,
        }),
        StayReason::Approval {
            point: ApprovalPoint::Step(1),
            given: ["bob".parse().unwrap()].into(),
            needed: 2,
            from: Approvers {
                named: Some(["alice", "carol"].map(|name| name.parse().unwrap()).into()),
                ..Approvers::default()
            },
        },
        StayReason::Baking { until: later },
        StayReason::Samples { have: 88, need: 500 },
        StayReason::Undecided {
            metric: metric("faithfulness"),
            needs: Some(412),
            until: later,
        },
        StayReason::NoData {
            metric: metric("faithfulness"),
            since: at("2026-11-21T12:29:00Z"),
        },
        StayReason::SampleRatio(mismatch(MismatchOf::Users)),
        StayReason::Paused { cause },
        StayReason::AwaitingLabel {
            label: Label::new("canary").unwrap(),
            to: Version::FIRST,
            found: None,
        },
        StayReason::RegistryAway,
        StayReason::SteppedBack {
            blame: metric("errors"),
            until: later,
        },
        StayReason::Overruled {
            blame: metric("errors"),
        },
        StayReason::Watching {
            until: at("2026-11-22T01:00:00Z"),
        },
        StayReason::Ended,
        StayReason::Refused(Refusal {
            verb: Verb::Resume,
            phase: "promoted".into(),
            why: "it is over".into(),
            objection: Objection::Phase,
        }),
    ]
}

#[test]
fn every_reason_to_stay_has_its_own_word_and_sentence() {
    let now = at("2026-11-21T13:00:00Z");
    let reasons = reasons_to_stay();
    assert_eq!(reasons.each_ref().map(stay_word), STAY_WORDS);
    let sentences = reasons.each_ref().map(|reason| stay(reason, now)).join("\n");
    let expected = "\
no evaluation of version 1 is recorded
waiting for approval to leave step 2: 1 of 2 given, by bob; 1 more from alice or carol
baking until 14:02:10 UTC
88 of 500 treated observations in this step
needs about 412 more treated observations of `faithfulness`
no observations of `faithfulness` for 31 min
holding, because the split is not as planned: 812 of 20000 users are in treatment, where about 1000 were \
planned; look for lost observations, bots, and services that serve another version than they were told
paused until somebody resumes it: the candidate is worse in `errors`
waiting for label `canary` to point at version 1; it points at no version
the registry does not answer, and nothing advances without it
stepped back because the candidate is worse in `errors`; again at 14:02:10 UTC, down to a rollback
holding: the candidate is worse in `errors`, and a person overruled the rollback
promoted, and watched until 2026-11-22 01:00:00 UTC
the rollout is over
cannot resume a rollout that is promoted: it is over";
    assert_eq!(sentences, expected);
}

#[test]
fn every_cause_has_its_sentence() {
    let since = at("2026-11-21T12:29:00Z");
    let by = || Some(Actor::new("ci").unwrap());
    let causes = [
        Cause::Verdict(VerdictCause::Passed),
        Cause::Verdict(VerdictCause::Failed {
            blame: worse("latency", Versus::Control),
        }),
        Cause::Verdict(VerdictCause::Failed {
            blame: worse("latency", Versus::Limit),
        }),
        Cause::Verdict(VerdictCause::Failed {
            blame: worse("latency", Versus::Past),
        }),
        Cause::Verdict(VerdictCause::SampleRatio(mismatch(MismatchOf::Exclusions))),
        Cause::Operator {
            actor: Actor::new("local:ann").unwrap(),
            reason: Justification::new("customers complain").unwrap(),
        },
        Cause::Policy(PolicyCause::GatesPassed),
        Cause::Policy(PolicyCause::NoData {
            metric: metric("latency"),
            since,
        }),
        Cause::Policy(PolicyCause::Inconclusive { since }),
        Cause::Policy(PolicyCause::Watched),
        Cause::Policy(PolicyCause::Removed),
        Cause::Registry(RegistryCause::CandidateAppeared { by: None }),
        Cause::Registry(RegistryCause::NewerCandidate {
            version: Version::new(9).unwrap(),
            by: by(),
        }),
        Cause::Registry(RegistryCause::ForeignMove(ForeignMove {
            label: Label::new("canary").unwrap(),
            expected: Version::FIRST,
            found: None,
            by: by(),
        })),
        Cause::Registry(RegistryCause::Confirmed),
    ];
    assert!(
        causes
            .iter()
            .all(|cause| CAUSE_WORDS.contains(&cause_word(cause)))
    );
    let expected = "\
every guardrail passed, and bake and samples were met
the candidate is worse in `latency`
the candidate is beyond the limit of `latency`
the candidate is worse in `latency` than control was before everybody had it; this compares with the past, \
where a change that is common to everybody looks the same
812 of 20000 users with observations that were left out are in treatment, where about 1000 were planned; \
look for fallbacks and values out of range in one arm
local:ann asked for it: customers complain
every gate before the start is open
no observations of `latency` since 2026-11-21 12:29:00 UTC
undecided since 2026-11-21 12:29:00 UTC
it was watched long enough after its promotion
the policy's file is gone
the treatment label came to point at the candidate
version 9 became the candidate, moved by ci
label `canary` points at no version instead of version 1, moved by ci
the labels are where they should be";
    assert_eq!(causes.each_ref().map(cause).join("\n"), expected);
}

#[test]
fn every_phase_has_its_word_and_sentence() {
    let cause = || Cause::Policy(PolicyCause::Removed);
    let phases = [
        Phase::Pending,
        Phase::Ramping { step: 1 },
        Phase::Paused {
            from: Resumable::Ramping { step: 0 },
            cause: cause(),
        },
        Phase::Promoting,
        Phase::Watching,
        Phase::Promoted,
        Phase::RollingBack { cause: cause() },
        Phase::RolledBack { cause: cause() },
        Phase::Superseded {
            by: Version::new(3).unwrap(),
        },
    ];
    assert_eq!(phases.each_ref().map(Phase::as_str), Phase::WORDS);
    let lines = phases
        .each_ref()
        .map(|it| format!("{} | {}", place(it), phase(it)))
        .join("\n");
    let expected = "\
pending | waiting for its gates, nobody is in treatment
step 2 | in step 2
paused in step 1 | paused in step 1: the policy's file is gone
promoting | the control label is on its way to the candidate
watching | promoted, and watched on
promoted | the candidate is the stable version
rolling back | being rolled back: the policy's file is gone
rolled back | rolled back: the policy's file is gone
superseded | superseded by version 3";
    assert_eq!(lines, expected);
}
