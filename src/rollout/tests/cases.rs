//! Behaviours that a reader of the state machine asks about first.

use super::*;
use crate::rollout::decide::decide;

fn moved(decision: Decision) -> Transition {
    match decision {
        Decision::Move(transition) => *transition,
        Decision::Stay(reason) => panic!("stayed: {reason:?}"),
    }
}

fn stayed(decision: Decision) -> StayReason {
    match decision {
        Decision::Stay(reason) => reason,
        Decision::Move(transition) => panic!("moved to {:?}", transition.to.phase),
    }
}

fn in_place() -> Option<ObservedLabels> {
    Some(labels(Some(13), Some(14)))
}

#[test]
fn a_regression_is_acted_on_before_bake_samples_and_approval() {
    let input = tick(observed(Verdict::Fail, in_place()));
    let transition = moved(decide(
        &policy(),
        &state(Phase::Ramping { step: 1 }),
        &input,
        at(0),
    ));
    assert_eq!(transition.to.phase.as_str(), "rolling_back");
    assert_eq!(transition.to.exposure(&policy()), Exposure::NOBODY);
    assert_eq!(transition.effects.len(), 1, "only the treatment label had moved");
}

#[test]
fn a_pause_does_not_hide_a_regression() {
    let paused = moved(decide(
        &policy(),
        &state(Phase::Ramping { step: 0 }),
        &command(Verb::Pause, "alice"),
        at(0),
    ));
    let input = tick(observed(Verdict::Fail, in_place()));
    assert_eq!(
        moved(decide(&policy(), &paused.to, &input, at(0)))
            .to
            .phase
            .as_str(),
        "rolling_back"
    );
}

#[test]
fn a_pause_does_not_count_towards_the_bake() {
    let ramping = state(Phase::Ramping { step: 0 });
    let paused = moved(decide(&policy(), &ramping, &command(Verb::Pause, "alice"), at(0)));
    let resumed = moved(decide(
        &policy(),
        &paused.to,
        &command(Verb::Resume, "alice"),
        at(5),
    ));
    let reason = stayed(decide(
        &policy(),
        &resumed.to,
        &tick(observed(Verdict::Pass, in_place())),
        at(5),
    ));
    assert_eq!(reason, StayReason::Baking { until: at(6) });
}

#[test]
fn the_ladder_is_climbed_to_the_top_and_watched() {
    let policy = policy();
    let mut state = state(Phase::Pending);
    let pass = |treated, labels| {
        let mut seen = observed(Verdict::Pass, labels);
        seen.assessment.treated = treated;
        tick(seen)
    };
    let mut phases = Vec::new();
    let mut climb = |state: &mut RolloutState, input: &Input, hour| {
        *state = moved(decide(&policy, state, input, at(hour))).to;
        phases.push((state.phase.as_str(), state.exposure(&policy).to_string()));
    };
    climb(&mut state, &command(Verb::Approve, "alice"), 0);
    climb(&mut state, &pass(0, in_place()), 0);
    climb(&mut state, &pass(10, in_place()), 1);
    climb(&mut state, &command(Verb::Approve, "bob"), 1);
    climb(&mut state, &pass(20, in_place()), 2);
    climb(&mut state, &pass(30, in_place()), 3);
    climb(&mut state, &pass(30, Some(labels(Some(14), Some(14)))), 3);
    climb(&mut state, &pass(30, Some(labels(Some(14), Some(14)))), 4);
    let expected = [
        ("pending", "0%"),
        ("ramping", "5%"),
        ("ramping", "50%"),
        ("ramping", "50%"),
        ("ramping", "100%"),
        ("promoting", "100%"),
        ("watching", "100%"),
        ("promoted", "0%"),
    ];
    assert_eq!(
        phases,
        expected.map(|(phase, exposure)| (phase, exposure.to_owned()))
    );
}

#[test]
fn a_rollback_after_promotion_brings_both_labels_back_the_control_label_first() {
    let mut promoted = state(Phase::Promoted);
    promoted.promoted = true;
    let transition = moved(decide(
        &policy(),
        &promoted,
        &command(Verb::RollBack, "alice"),
        at(9),
    ));
    let labels: Vec<_> = transition
        .effects
        .iter()
        .filter_map(label_move)
        .map(|label_move| (label_move.label.to_string(), label_move.to.get()))
        .collect();
    assert_eq!(labels, [("production".to_owned(), 13), ("canary".to_owned(), 13)]);
}

#[test]
fn a_foreign_move_pauses_and_says_whose_it_was() {
    let input = tick(observed(Verdict::Pass, Some(labels(Some(12), Some(14)))));
    let transition = moved(decide(
        &policy(),
        &state(Phase::Ramping { step: 0 }),
        &input,
        at(9),
    ));
    let Phase::Paused {
        cause: Cause::Registry(RegistryCause::ForeignMove(foreign)),
        ..
    } = transition.to.phase
    else {
        panic!("{:?}", transition.to.phase)
    };
    assert_eq!(foreign.by, Some("alice".parse().unwrap()));
    assert_eq!(foreign.found, Some(Version::new(12).unwrap()));
    assert!(transition.effects.is_empty(), "Serin never fights over a label");
}

#[test]
fn two_approvals_come_from_two_people() {
    let mut policy = policy();
    policy.gates.approval.from = 2;
    let first = moved(decide(
        &policy,
        &state(Phase::Pending),
        &command(Verb::Approve, "alice"),
        at(0),
    ));
    let again = stayed(decide(
        &policy,
        &first.to,
        &command(Verb::Approve, "alice"),
        at(0),
    ));
    assert!(matches!(
        again,
        StayReason::Refused(Refusal {
            verb: Verb::Approve,
            ..
        })
    ));
    let waiting = stayed(decide(
        &policy,
        &first.to,
        &tick(observed(Verdict::Inconclusive, in_place())),
        at(0),
    ));
    assert_eq!(
        waiting,
        StayReason::Approval {
            point: ApprovalPoint::Start,
            given: ["alice".parse().unwrap()].into(),
            needed: 2,
            from: Approvers::default(),
        }
    );
    let second = moved(decide(&policy, &first.to, &command(Verb::Approve, "bob"), at(0)));
    let input = tick(observed(Verdict::Inconclusive, in_place()));
    assert_eq!(
        moved(decide(&policy, &second.to, &input, at(0))).to.phase,
        Phase::Ramping { step: 0 }
    );
}

fn refused(decision: Decision) -> Refusal {
    let stay = stayed(decision);
    let StayReason::Refused(refusal) = stay else {
        panic!("{stay:?}");
    };
    refusal
}

#[test]
fn nobody_is_the_only_one_to_approve_what_they_wrote() {
    let mut policy = policy();
    let mut pending = state(Phase::Pending);
    pending.author = Some("alice".parse().unwrap());
    let refusal = refused(decide(&policy, &pending, &command(Verb::Approve, "alice"), at(0)));
    assert_eq!(refusal.objection, Objection::Approver);
    assert_eq!(
        refusal.why,
        "alice may not: they wrote version 14, and nobody is the only one to approve their own; it needs \
         anybody other than alice, who wrote the candidate"
    );
    let opened = moved(decide(&policy, &pending, &command(Verb::Approve, "bob"), at(0))).to;
    assert!(opened.is_approved(&policy, ApprovalPoint::Start));
    // One of two may be the author, whichever comes first.
    policy.gates.approval.from = 2;
    let first = moved(decide(&policy, &pending, &command(Verb::Approve, "alice"), at(0))).to;
    assert!(!first.is_approved(&policy, ApprovalPoint::Start));
    let second = moved(decide(&policy, &first, &command(Verb::Approve, "bob"), at(0))).to;
    assert!(second.is_approved(&policy, ApprovalPoint::Start));
    // However the approval came to be counted, theirs opens nothing by itself.
    policy.gates.approval.from = 1;
    assert!(!first.is_approved(&policy, ApprovalPoint::Start));
}

#[test]
fn only_those_whom_the_policy_names_approve() {
    let mut policy = policy();
    policy.gates.approval.by = Some(["alice", "carol"].map(|name| name.parse().unwrap()).into());
    let pending = state(Phase::Pending);
    let refusal = refused(decide(&policy, &pending, &command(Verb::Approve, "bob"), at(0)));
    assert_eq!(refusal.objection, Objection::Approver);
    assert_eq!(
        refusal.why,
        "bob may not: the policy does not name them; it needs alice or carol"
    );
    let given = moved(decide(&policy, &pending, &command(Verb::Approve, "carol"), at(0))).to;
    assert!(given.is_approved(&policy, ApprovalPoint::Start));
    policy.gates.approval.by = None;
    policy.gates.approval.admins_only = true;
    let refusal = refused(decide(&policy, &pending, &command(Verb::Approve, "bob"), at(0)));
    assert_eq!(
        refusal.why,
        "bob may not: they are no administrator; it needs an administrator"
    );
}

#[test]
fn a_promotion_does_not_go_round_an_approval() {
    let refused = stayed(decide(
        &policy(),
        &state(Phase::Ramping { step: 0 }),
        &command(Verb::Promote, "alice"),
        at(0),
    ));
    assert!(matches!(
        refused,
        StayReason::Refused(Refusal {
            objection: Objection::ApprovalsMissing,
            ..
        })
    ));
    let granted = moved(decide(
        &policy(),
        &state(Phase::Ramping { step: 2 }),
        &command(Verb::Promote, "alice"),
        at(0),
    ));
    assert_eq!(granted.to.phase, Phase::Promoting);
}

#[test]
fn stepping_back_waits_a_bake_before_it_steps_back_again() {
    let mut policy = policy();
    policy.analysis.on_fail = OnFail::StepBack;
    let fail = tick(observed(Verdict::Fail, in_place()));
    let back = moved(decide(&policy, &state(Phase::Ramping { step: 2 }), &fail, at(3)));
    assert_eq!(back.to.phase, Phase::Ramping { step: 1 });
    let waits = stayed(decide(&policy, &back.to, &fail, at(3)));
    assert!(matches!(waits, StayReason::SteppedBack { until, .. } if until == at(4)));
    let again = moved(decide(&policy, &back.to, &fail, at(4)));
    assert_eq!(again.to.phase, Phase::Ramping { step: 0 });
    assert_eq!(
        moved(decide(&policy, &again.to, &fail, at(5))).to.phase.as_str(),
        "rolling_back"
    );
}

#[test]
fn a_person_may_overrule_a_pause_for_a_verdict() {
    let mut policy = policy();
    policy.analysis.on_fail = OnFail::Pause;
    let fail = tick(observed(Verdict::Fail, in_place()));
    let paused = moved(decide(&policy, &state(Phase::Ramping { step: 0 }), &fail, at(0)));
    let resumed = moved(decide(
        &policy,
        &paused.to,
        &command(Verb::Resume, "alice"),
        at(1),
    ));
    assert!(resumed.to.fail_overruled);
    assert!(matches!(
        stayed(decide(&policy, &resumed.to, &fail, at(9))),
        StayReason::Overruled { .. }
    ));
}

#[test]
fn a_rollback_ends_only_when_no_label_points_at_the_candidate() {
    let rolling = state(Phase::RollingBack {
        cause: Cause::Policy(PolicyCause::Removed),
    });
    let waits = stayed(decide(
        &policy(),
        &rolling,
        &tick(observed(Verdict::Invalid, in_place())),
        at(0),
    ));
    assert!(matches!(waits, StayReason::AwaitingLabel { to, .. } if to == Version::new(13).unwrap()));
    let away = stayed(decide(
        &policy(),
        &rolling,
        &tick(observed(Verdict::Invalid, None)),
        at(0),
    ));
    assert_eq!(away, StayReason::RegistryAway);
    let parked = tick(observed(Verdict::Invalid, Some(labels(Some(13), Some(13)))));
    assert_eq!(
        moved(decide(&policy(), &rolling, &parked, at(0)))
            .to
            .phase
            .as_str(),
        "rolled_back"
    );
}

#[test]
fn a_candidate_that_somebody_brings_back_is_not_fought_over() {
    let rolling = state(Phase::RollingBack {
        cause: Cause::Policy(PolicyCause::Removed),
    });
    let mut seen = observed(Verdict::Invalid, in_place());
    seen.moves_pending = false;
    let ended = moved(decide(&policy(), &rolling, &tick(seen.clone()), at(0)));
    assert_eq!(ended.to.phase.as_str(), "rolled_back");
    assert!(
        matches!(ended.cause, Cause::Registry(RegistryCause::ForeignMove(_))),
        "{:?}",
        ended.cause
    );
    let paused = moved(decide(&policy(), &state(Phase::Promoting), &tick(seen), at(0)));
    assert_eq!(
        paused.to.phase.as_str(),
        "paused",
        "the control label was moved back by somebody"
    );
}

#[test]
fn a_critical_metric_takes_the_candidate_back_whatever_the_policy_does_otherwise() {
    let phase_after = |on_fail, critical, from: Phase| {
        let mut policy = policy();
        policy.analysis.on_fail = on_fail;
        policy.metrics[0].critical = critical;
        let input = tick(observed(Verdict::Fail, in_place()));
        let decision = decide(&policy, &state(from), &input, at(0));
        match decision {
            Decision::Move(transition) => transition.to.phase.as_str(),
            Decision::Stay(_) => "stayed",
        }
    };
    let second = || Phase::Ramping { step: 1 };
    assert_eq!(phase_after(OnFail::StepBack, false, second()), "ramping");
    assert_eq!(phase_after(OnFail::Pause, false, second()), "paused");
    let paused = || Phase::Paused {
        from: Resumable::Ramping { step: 1 },
        cause: Cause::Verdict(VerdictCause::Failed {
            blame: Blame {
                metric: "another".parse().unwrap(),
                versus: Versus::Control,
            },
        }),
    };
    assert_eq!(phase_after(OnFail::Pause, false, paused()), "stayed");
    for on_fail in [OnFail::RollBack, OnFail::StepBack, OnFail::Pause] {
        for from in [second(), paused(), Phase::Watching] {
            assert_eq!(phase_after(on_fail, true, from), "rolling_back");
        }
    }
}
