//! Every order of events to a depth of ten, with states that are alike taken once.

use super::*;
use crate::analysis::Comparison;
use crate::rollout::decide::decide;
use std::collections::{BTreeMap, BTreeSet as Set};

/// How many events one after the other.
const DEPTH: usize = 10;

/// An input, how long after the one before, and its name for a failure's message.
struct Event {
    name: String,
    wait: SignedDuration,
    input: Input,
}

/// Every verdict with the labels in every place, at once and an hour later.
fn ticks() -> Vec<Event> {
    let mut events = Vec::new();
    let places = [
        ("in place", Some((Some(13), Some(14))), true),
        ("in place, no move pending", Some((Some(13), Some(14))), false),
        ("promoted", Some((Some(14), Some(14))), false),
        ("parked", Some((Some(13), Some(13))), true),
        ("parked, no move pending", Some((Some(13), Some(13))), false),
        ("newer candidate", Some((Some(13), Some(15))), false),
        ("control elsewhere", Some((Some(7), Some(14))), true),
        ("treatment gone", Some((Some(13), None)), false),
        ("registry away", None, true),
    ];
    let verdicts = [
        (Verdict::Pass, 100, 0.0),
        (Verdict::Fail, 100, -0.1),
        (Verdict::Inconclusive, 100, -0.01),
        (Verdict::Inconclusive, 100, -0.1),
        (Verdict::Invalid, 100, 0.0),
    ];
    for (place, versions, moves_pending) in places {
        for (verdict, treated, difference) in verdicts {
            for wait in [0, 1] {
                let labels = versions.map(|(control, treatment)| labels(control, treatment));
                let mut observed = observed(verdict, labels);
                observed.assessment = assessment(verdict, treated, difference);
                observed.moves_pending = moves_pending;
                let name = format!("tick {verdict:?} {treated} {difference} {place} +{wait}h");
                events.push(Event {
                    name,
                    wait: HOUR * wait,
                    input: tick(observed),
                });
            }
        }
    }
    events
}

/// A split that was proved wrong just now, or long before the present phase, with and without labels.
fn mismatches() -> Vec<Event> {
    let mut events = Vec::new();
    for (when, since) in [("now", Timestamp::MAX), ("long ago", Timestamp::MIN)] {
        for versions in [Some((Some(13), Some(14))), None] {
            for wait in [0, 1] {
                let labels = versions.map(|(control, treatment)| labels(control, treatment));
                let mut observed = observed(Verdict::Invalid, labels);
                observed.assessment.metrics[0].verdict = Verdict::Pass;
                observed.assessment.metrics[0].silent_since = None;
                observed.assessment.data.split.since = Some(since);
                events.push(Event {
                    name: format!("tick with a split wrong since {when}, labels {versions:?} +{wait}h"),
                    wait: HOUR * wait,
                    input: tick(observed),
                });
            }
        }
    }
    events
}

fn events() -> Vec<Event> {
    let mut events = ticks();
    events.extend(mismatches());
    let mut few = observed(Verdict::Pass, Some(labels(Some(13), Some(14))));
    few.assessment.treated = 5;
    events.push(Event {
        name: "few samples".into(),
        wait: HOUR,
        input: tick(few),
    });
    let mut gone = observed(Verdict::Pass, Some(labels(Some(13), Some(14))));
    gone.policy_removed = true;
    events.push(Event {
        name: "policy removed".into(),
        wait: HOUR,
        input: tick(gone),
    });
    let mut closed = observed(Verdict::Inconclusive, Some(labels(Some(13), Some(14))));
    closed.evaluation = EvaluationState::Unknown;
    events.push(Event {
        name: "evaluation unknown".into(),
        wait: HOUR,
        input: tick(closed),
    });
    for verb in [
        Verb::Pause,
        Verb::Resume,
        Verb::Step,
        Verb::Promote,
        Verb::RollBack,
        Verb::Approve,
    ] {
        for actor in ["alice", "bob"] {
            events.push(Event {
                name: format!("{verb:?} by {actor}"),
                wait: SignedDuration::ZERO,
                input: command(verb, actor),
            });
        }
    }
    events
}

/// What two states must share to go on alike: ages instead of times, no numbering.
fn likeness(state: &RolloutState, now: Timestamp) -> String {
    let age = |since: Timestamp| now.duration_since(since).as_hours().min(3);
    format!(
        "{:?} {} {} {} {} {} {} {:?}",
        state.phase,
        age(state.entered_at),
        age(state.changed_at),
        state.treated_at_entry,
        state.stepped_back,
        state.promoted,
        state.fail_overruled,
        state.approvals
    )
}

struct Edge<'a> {
    policy: &'a Policy,
    from: &'a RolloutState,
    event: &'a Event,
    now: Timestamp,
}

impl Edge<'_> {
    /// Checks every invariant that one decision can break.
    fn check(&self, decision: &Decision) {
        let told = format!("{} at {:?}", self.event.name, self.from);
        let exposed = self.from.exposure(self.policy) > Exposure::NOBODY;
        let Input::Tick(observed) = &self.event.input else {
            return self.check_command(decision, &told);
        };
        let verdict = observed.assessment.verdict;
        self.check_split(observed, decision, &told);
        match decision {
            Decision::Stay(reason) => {
                let waits_for_label = matches!(reason, StayReason::AwaitingLabel { .. });
                assert!(
                    !waits_for_label || observed.moves_pending,
                    "waits for what nobody does: {told}"
                );
                let acted = self.from.fail_overruled
                    || self.from.paused_for_fail().is_some()
                    || matches!(reason, StayReason::SteppedBack { .. })
                    || (self.policy.analysis.on_fail == OnFail::Pause
                        && matches!(self.from.phase, Phase::Paused { .. }));
                assert!(
                    verdict != Verdict::Fail || !exposed || acted,
                    "a regression is not acted on: {told}"
                );
            }
            Decision::Move(transition) => {
                self.check_transition(transition, &told);
                let raised = transition.to.exposure(self.policy) > self.from.exposure(self.policy);
                let confirmed = transition.cause == Cause::Registry(RegistryCause::Confirmed);
                if raised && !confirmed {
                    self.check_advance(observed, transition, &told);
                }
                if transition.to.phase == Phase::Promoted {
                    assert_ne!(verdict, Verdict::Invalid, "{told}");
                    assert!(observed.labels.is_some(), "{told}");
                }
            }
        }
    }

    /// A wrong split pauses a ramp once, and then holds it, as long as there is a split at all.
    fn check_split(&self, observed: &Observed, decision: &Decision, told: &str) {
        let ramping = matches!(self.from.phase, Phase::Ramping { .. });
        let split = self.from.comparison(self.policy) == Comparison::Concurrent;
        let mismatch = observed.assessment.data.mismatch();
        let new = mismatch.is_some_and(|mismatch| mismatch.since >= self.from.changed_at);
        match decision {
            Decision::Stay(StayReason::SampleRatio(_)) => {
                assert!(ramping && split && mismatch.is_some() && !new, "{told}");
            }
            Decision::Move(transition) => {
                let cause = matches!(transition.cause, Cause::Verdict(VerdictCause::SampleRatio(_)));
                let paused = matches!(transition.to.phase, Phase::Paused { .. });
                assert!(!cause || ramping && split && new && paused, "{told}");
                // Labels that others moved are looked at before data.
                let other = matches!(transition.cause, Cause::Registry(_));
                assert!(cause || other || !(ramping && split && new && paused), "{told}");
            }
            Decision::Stay(_) => {
                assert!(
                    !(ramping && split && mismatch.is_some()),
                    "a wrong split is passed over: {told}"
                );
            }
        }
    }

    /// Nothing advances on missing data, without the registry, before its bake or its approval.
    fn check_advance(&self, observed: &Observed, transition: &Transition, told: &str) {
        assert!(observed.labels.is_some(), "advanced without the registry: {told}");
        let Some(step) = self.from.phase.step() else {
            assert_eq!(self.from.phase, Phase::Pending, "{told}");
            assert_eq!(observed.evaluation, EvaluationState::Open, "{told}");
            assert!(self.from.approvals_of(ApprovalPoint::Start) >= 1, "{told}");
            return;
        };
        let by_policy = matches!(transition.cause, Cause::Policy(PolicyCause::Inconclusive { .. }));
        let verdict = observed.assessment.verdict;
        assert!(
            verdict == Verdict::Pass || by_policy && verdict == Verdict::Inconclusive,
            "{told}"
        );
        if by_policy {
            assert_eq!(
                self.policy.analysis.inconclusive.then,
                OnInconclusive::Advance,
                "{told}"
            );
            assert!(
                observed.assessment.metrics[0].difference.unwrap() >= -0.02,
                "{told}"
            );
        }
        assert!(
            self.now.duration_since(self.from.entered_at) >= HOUR,
            "bake is cut short: {told}"
        );
        assert!(
            observed.assessment.treated - self.from.treated_at_entry.min(observed.assessment.treated) >= 10
        );
        if self.policy.steps[step].approval {
            assert!(self.from.approvals_of(ApprovalPoint::Step(step)) >= 1, "{told}");
        }
    }

    fn check_command(&self, decision: &Decision, told: &str) {
        match decision {
            Decision::Stay(StayReason::Refused(_)) => {}
            Decision::Stay(other) => panic!("a command is granted or refused, not {other:?}: {told}"),
            Decision::Move(transition) => {
                self.check_transition(transition, told);
                let Cause::Operator { .. } = transition.cause else {
                    panic!("no operator: {told}")
                };
                let Input::Command { command, .. } = &self.event.input else {
                    unreachable!()
                };
                if command.verb == Verb::RollBack {
                    assert_eq!(transition.to.exposure(self.policy), Exposure::NOBODY, "{told}");
                }
            }
        }
    }

    /// What holds for every transition.
    fn check_transition(&self, transition: &Transition, told: &str) {
        assert_eq!(transition.to.generation, self.from.generation.next(), "{told}");
        assert_eq!(transition.from, self.from.phase, "{told}");
        let over = self.from.phase.is_over();
        let undone =
            self.from.phase == Phase::Promoted && matches!(transition.to.phase, Phase::RollingBack { .. });
        assert!(!over || undone, "a rollout that is over moved: {told}");
        let moves_labels = matches!(transition.to.phase, Phase::Promoting | Phase::RollingBack { .. });
        let moves: Vec<&LabelMove> = transition.effects.iter().filter_map(label_move).collect();
        assert_eq!(!moves.is_empty(), moves_labels, "{told}");
        for label_move in &moves {
            assert_eq!(label_move.generation, transition.to.generation, "{told}");
        }
        self.check_notices(transition, told);
        if moves_labels && transition.to.phase != Phase::Promoting {
            let control = moves
                .iter()
                .any(|label_move| label_move.label == self.policy.labels.control);
            assert_eq!(
                control, self.from.promoted,
                "the control label goes back when it had gone: {told}"
            );
        }
    }
}

fn told_of_everything() -> Notify {
    Notify {
        webhook: "https://hooks.example.com".into(),
        format: NotifyFormat::Standard,
        secret: None,
        on: NotifyOn::ALL.to_vec(),
    }
}

impl Edge<'_> {
    /// Whatever users or labels notice, people are told of, once in each place that asks for it.
    fn check_notices(&self, transition: &Transition, told: &str) {
        let notices: Vec<&Notice> = transition.effects.iter().filter_map(notice).collect();
        let exposure = |state: &RolloutState| state.exposure(self.policy);
        let grows = exposure(&transition.to) > exposure(self.from);
        let enters = |phase: &str| transition.to.phase.as_str() == phase && self.from.phase.as_str() != phase;
        let due = [
            (enters("paused"), NotifyOn::Paused),
            (enters("rolling_back"), NotifyOn::RolledBack),
            (enters("promoted"), NotifyOn::Promoted),
            (grows, NotifyOn::Advanced),
        ];
        let due = due.into_iter().find(|(is_due, _)| *is_due).map(|(_, on)| on);
        let places = if due.is_some() { vec![0, 1] } else { Vec::new() };
        assert_eq!(
            notices.iter().map(|notice| notice.place).collect::<Vec<_>>(),
            places,
            "{told}"
        );
        for notice in notices {
            assert_eq!(Some(notice.on), due, "{told}");
            assert_eq!(notice.generation, transition.to.generation, "{told}");
        }
    }
}

/// Walks every order of events; gives how many unlike states were reached in each phase.
fn search(policy: &Policy) -> BTreeMap<&'static str, usize> {
    let events = events();
    let mut seen = Set::new();
    let mut reached = BTreeMap::new();
    let mut frontier = vec![(state(Phase::Pending), at(0))];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (from, since) in &frontier {
            for event in &events {
                let now = since.checked_add(event.wait).unwrap();
                let edge = Edge {
                    policy,
                    from,
                    event,
                    now,
                };
                let decision = decide(policy, from, &event.input, now);
                assert_eq!(
                    decision,
                    decide(policy, from, &event.input, now),
                    "decide is a function"
                );
                edge.check(&decision);
                let to = match decision {
                    Decision::Stay(_) => from.clone(),
                    Decision::Move(transition) => transition.to,
                };
                if seen.insert(likeness(&to, now)) {
                    *reached.entry(to.phase.as_str()).or_insert(0) += 1;
                    next.push((to, now));
                }
            }
        }
        frontier = next;
    }
    reached
}

fn search_under(on_fail: OnFail, inconclusive: OnInconclusive, no_data: OnNoData) {
    let mut policy = policy();
    policy.analysis.on_fail = on_fail;
    policy.analysis.inconclusive.then = inconclusive;
    policy.analysis.no_data.then = no_data;
    policy.notify = vec![told_of_everything(); 2];
    let reached = search(&policy);
    for word in Phase::WORDS {
        assert!(
            reached.contains_key(word),
            "{word} was never reached under {on_fail:?}, {inconclusive:?}"
        );
    }
}

/// Every value of each rule is tried, and every two values of different rules meet once or more.
macro_rules! no_order_of_events_breaks_an_invariant {
    ($($name:ident: $on_fail:ident, $inconclusive:ident, $no_data:ident;)*) => {$(
        #[test]
        fn $name() {
            search_under(OnFail::$on_fail, OnInconclusive::$inconclusive, OnNoData::$no_data);
        }
    )*};
}

no_order_of_events_breaks_an_invariant! {
    roll_back_hold_hold: RollBack, Hold, Hold;
    roll_back_pause_pause: RollBack, Pause, Pause;
    roll_back_roll_back_roll_back: RollBack, RollBack, RollBack;
    roll_back_advance_hold: RollBack, Advance, Hold;
    step_back_hold_pause: StepBack, Hold, Pause;
    step_back_pause_roll_back: StepBack, Pause, RollBack;
    step_back_roll_back_hold: StepBack, RollBack, Hold;
    step_back_advance_pause: StepBack, Advance, Pause;
    pause_hold_roll_back: Pause, Hold, RollBack;
    pause_pause_hold: Pause, Pause, Hold;
    pause_roll_back_pause: Pause, RollBack, Pause;
    pause_advance_roll_back: Pause, Advance, RollBack;
}
