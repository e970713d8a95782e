use super::assessment::AssessmentRow;
use super::event::EventRow;
use super::fallback::strategies::fallback;
use super::label_move::strategies::label_move;
use super::notice::strategies::{notice, notice_outcome};
use super::phase::PhaseRow;
use super::prompt::{DraftRow, ScoresRow};
use super::*;
use crate::analysis::{
    ArmEvidence, Assessment, Blame, DataQuality, Evidence, Mismatch, MismatchOf, PastEvidence, PerArm,
    QuantileEvidence, QuantileInterval, RatioEvidence, Verdict, Versus,
};
use crate::ids::{
    Actor, Generation, Justification, Label, MetricName, PolicyName, Revision, RolloutId, Tick,
};
use crate::policy::{Quantile, Role};
use crate::prompt::{ChatItem, Draft, SemanticVersion, Template};
use crate::rollout::*;
use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::fmt::Debug;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-377_705_023_201_i64..253_402_207_200, 0..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

fn name<T: FromStr<Err: Debug> + Debug>() -> impl Strategy<Value = T> {
    "[a-z0-9]{1,36}".prop_map(|text| text.parse().unwrap())
}

fn actor() -> impl Strategy<Value = Actor> {
    "\\PC{1,128}".prop_map(|text| Actor::new(&text).unwrap())
}

fn reason() -> impl Strategy<Value = Justification> {
    "[a-z\"\\\\\n\tüß🐦]{0,100}x".prop_map(|text| Justification::new(&text).unwrap())
}

fn version() -> impl Strategy<Value = Version> {
    (1..=u32::MAX).prop_map(|number| Version::new(number).unwrap())
}

fn rollout() -> impl Strategy<Value = RolloutId> {
    (1..=i64::MAX.unsigned_abs()).prop_map(RolloutId::new)
}

fn blame() -> impl Strategy<Value = Blame> {
    let versus = prop_oneof![Just(Versus::Control), Just(Versus::Limit), Just(Versus::Past)];
    (name(), versus).prop_map(|(metric, versus)| Blame { metric, versus })
}

fn past() -> impl Strategy<Value = PastEvidence> {
    (option::of(any::<i64>()), number(), any::<u64>(), number()).prop_map(|(since, limit, treated, log_e)| {
        PastEvidence {
            since: since.map(Tick::new),
            limit,
            treated,
            log_e,
        }
    })
}

fn cause() -> impl Strategy<Value = Cause> {
    let foreign = (name(), version(), option::of(version()), option::of(actor())).prop_map(
        |(label, expected, found, by)| ForeignMove {
            label,
            expected,
            found,
            by,
        },
    );
    prop_oneof![
        Just(Cause::Verdict(VerdictCause::Passed)),
        blame().prop_map(|blame| Cause::Verdict(VerdictCause::Failed { blame })),
        mismatch().prop_map(|mismatch| Cause::Verdict(VerdictCause::SampleRatio(mismatch))),
        (actor(), reason()).prop_map(|(actor, reason)| Cause::Operator { actor, reason }),
        Just(Cause::Policy(PolicyCause::GatesPassed)),
        (name(), time()).prop_map(|(metric, since)| Cause::Policy(PolicyCause::NoData { metric, since })),
        time().prop_map(|since| Cause::Policy(PolicyCause::Inconclusive { since })),
        Just(Cause::Policy(PolicyCause::Watched)),
        Just(Cause::Policy(PolicyCause::Removed)),
        option::of(actor()).prop_map(|by| Cause::Registry(RegistryCause::CandidateAppeared { by })),
        (version(), option::of(actor()))
            .prop_map(|(version, by)| Cause::Registry(RegistryCause::NewerCandidate { version, by })),
        foreign.prop_map(|foreign| Cause::Registry(RegistryCause::ForeignMove(foreign))),
        Just(Cause::Registry(RegistryCause::Confirmed)),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    let from = prop_oneof![
        Just(Resumable::Pending),
        any::<usize>().prop_map(|step| Resumable::Ramping { step }),
        Just(Resumable::Watching),
    ];
    prop_oneof![
        Just(Phase::Pending),
        any::<usize>().prop_map(|step| Phase::Ramping { step }),
        (from, cause()).prop_map(|(from, cause)| Phase::Paused { from, cause }),
        Just(Phase::Promoting),
        Just(Phase::Watching),
        Just(Phase::Promoted),
        cause().prop_map(|cause| Phase::RollingBack { cause }),
        cause().prop_map(|cause| Phase::RolledBack { cause }),
        version().prop_map(|by| Phase::Superseded { by }),
    ]
}

fn approval() -> impl Strategy<Value = Approval> {
    let point =
        option::of(any::<usize>()).prop_map(|step| step.map_or(ApprovalPoint::Start, ApprovalPoint::Step));
    (point, actor()).prop_map(|(point, actor)| Approval { point, actor })
}

fn state() -> impl Strategy<Value = RolloutState> {
    let identity = (
        rollout(),
        name::<PolicyName>(),
        any::<[u8; 32]>(),
        version(),
        version(),
    );
    let times = (time(), time(), time());
    let rest = (
        any::<u64>(),
        any::<[bool; 3]>(),
        prop::collection::btree_set(approval(), 0..4),
        option::of(actor()),
    );
    (identity, phase(), any::<u64>(), times, rest).prop_map(|(identity, phase, generation, times, rest)| {
        let [stepped_back, promoted, fail_overruled] = rest.1;
        RolloutState {
            id: identity.0,
            policy: identity.1,
            revision: Revision::from(identity.2),
            stable: identity.3,
            candidate: identity.4,
            phase,
            generation: Generation::new(generation),
            started_at: times.0,
            entered_at: times.1,
            changed_at: times.2,
            treated_at_entry: rest.0,
            stepped_back,
            promoted,
            fail_overruled,
            approvals: rest.2,
            author: rest.3,
        }
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    select(vec![
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Invalid,
    ])
}

fn arm() -> impl Strategy<Value = ArmEvidence> {
    let counts = (any::<u64>(), any::<u64>());
    (counts, option::of(number()), option::of(any::<i64>())).prop_map(|((count, clipped), mean, seen)| {
        ArmEvidence {
            count,
            mean,
            clipped,
            last_seen: seen.map(Tick::new),
        }
    })
}

fn interval() -> impl Strategy<Value = QuantileInterval> {
    (option::of(number()), option::of(number())).prop_map(|(lower, upper)| QuantileInterval { lower, upper })
}

fn quantile() -> impl Strategy<Value = QuantileEvidence> {
    let values = (option::of(number()), option::of(number()), interval(), interval());
    (1..1_000_000_u32, values, number(), number(), verdict()).prop_map(
        |(ppm, values, log_e_worse, log_e_non_inferior, verdict)| QuantileEvidence {
            quantile: Quantile::from_ppm(ppm).unwrap(),
            control: values.0,
            treatment: values.1,
            control_interval: values.2,
            treatment_interval: values.3,
            log_e_worse,
            log_e_non_inferior,
            verdict,
        },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let role = select(vec![Role::Guardrail, Role::Goal, Role::Watched]);
    let shown = (
        option::of(number()),
        option::of((number(), number())),
        option::of(number()),
        option::of(any::<bool>()),
        any::<bool>(),
        prop::collection::vec(quantile(), 0..3),
    );
    let logs = (number(), number(), option::of(number()), option::of(past()));
    let rest = (option::of(any::<u64>()), verdict(), option::of(time()));
    (name::<MetricName>(), role, (arm(), arm()), shown, logs, rest).prop_map(
        |(metric, role, (control, treatment), shown, logs, rest)| Evidence {
            metric,
            role,
            control,
            treatment,
            quantiles: shown.5,
            relative: shown.4,
            difference: shown.0,
            interval: shown.1,
            margin: shown.2,
            within_margin: shown.3,
            log_e_worse: logs.0,
            log_e_non_inferior: logs.1,
            log_e_limit: logs.2,
            past: logs.3,
            needs: rest.0,
            verdict: rest.1,
            silent_since: rest.2,
        },
    )
}

fn assessment() -> impl Strategy<Value = Assessment> {
    let head = (time(), any::<i64>(), verdict(), option::of(number()));
    let thresholds = (number(), number(), number());
    let metrics = prop::collection::vec(evidence(), 0..3);
    (
        head,
        thresholds,
        option::of(blame()),
        any::<u64>(),
        data(),
        metrics,
    )
        .prop_map(|(head, thresholds, blame, treated, data, metrics)| Assessment {
            at: head.0,
            through: Tick::new(head.1),
            verdict: head.2,
            log_e_combined: head.3,
            threshold: thresholds.0,
            threshold_non_inferior: thresholds.1,
            threshold_limit: thresholds.2,
            blame,
            treated,
            data,
            metrics,
        })
}

fn per_arm() -> impl Strategy<Value = PerArm> {
    (any::<u64>(), any::<u64>()).prop_map(|(control, treatment)| PerArm { control, treatment })
}

fn ratio() -> impl Strategy<Value = RatioEvidence> {
    (per_arm(), number(), number(), option::of(time())).prop_map(|(users, expected, log_e, since)| {
        RatioEvidence {
            users,
            expected,
            log_e,
            since,
        }
    })
}

fn data() -> impl Strategy<Value = DataQuality> {
    (ratio(), ratio(), per_arm(), per_arm()).prop_map(|(split, excluded, fallback, out_of_range)| {
        DataQuality {
            split,
            excluded,
            fallback,
            out_of_range,
        }
    })
}

fn mismatch() -> impl Strategy<Value = Mismatch> {
    let of = select(vec![MismatchOf::Users, MismatchOf::Exclusions]);
    let users = (any::<u64>(), any::<u64>(), any::<u64>());
    (of, users, time()).prop_map(|(of, (treatment, users, expected), since)| Mismatch {
        of,
        treatment,
        users,
        expected,
        since,
    })
}

fn transition() -> impl Strategy<Value = Transition> {
    let effect = prop_oneof![
        label_move().prop_map(Effect::MoveLabel),
        notice().prop_map(Effect::Notify),
    ];
    let effects = prop::collection::vec(effect, 0..3);
    (phase(), state(), cause(), option::of(assessment()), effects).prop_map(
        |(from, to, cause, assessment, effects)| Transition {
            from,
            to,
            cause,
            assessment,
            effects,
        },
    )
}

fn event() -> impl Strategy<Value = AuditEvent> {
    let verb = || {
        use Verb::{Approve, Pause, Promote, Resume, RollBack, Step};
        select(vec![Pause, Resume, Step, Promote, RollBack, Approve])
    };
    let outcome = prop_oneof![
        Just(LabelMoveOutcome::Confirmed),
        option::of(version()).prop_map(|found| LabelMoveOutcome::Foreign { found }),
        Just(LabelMoveOutcome::Superseded),
        ".*".prop_map(|error| LabelMoveOutcome::Failed { error }),
    ];
    let command =
        (verb(), actor(), reason(), any::<bool>()).prop_map(|(verb, actor, reason, is_admin)| Command {
            verb,
            actor,
            reason,
            is_admin,
        });
    let objection = select(vec![
        Objection::Phase,
        Objection::Approver,
        Objection::ApprovalsMissing,
    ]);
    let refusal = (verb(), ".*", ".*", objection).prop_map(|(verb, phase, why, objection)| Refusal {
        verb,
        phase: phase.into(),
        why: why.into(),
        objection,
    });
    prop_oneof![
        transition().prop_map(|transition| AuditEvent::Moved(Box::new(transition))),
        (label_move(), outcome)
            .prop_map(|(label_move, outcome)| AuditEvent::LabelMove { label_move, outcome }),
        (notice(), notice_outcome()).prop_map(|(notice, outcome)| AuditEvent::Notice { notice, outcome }),
        fallback().prop_map(AuditEvent::Fallback),
        (command, refusal).prop_map(|(command, refusal)| AuditEvent::Refused { command, refusal }),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let text = || ".*".prop_map(std::sync::Arc::<str>::from);
    let item = prop_oneof![
        (text(), text()).prop_map(|(role, content)| ChatItem::Message { role, content }),
        text().prop_map(|name| ChatItem::Placeholder { name }),
    ];
    let template = prop_oneof![
        text().prop_map(Template::Text),
        prop::collection::vec(item, 0..4).prop_map(Template::Chat),
    ];
    let semantic = option::of(any::<(u32, u32, u32)>());
    let temperature = proptest::num::f64::NORMAL | proptest::num::f64::ZERO;
    let tags = prop::collection::btree_set(text(), 0..3);
    (
        template,
        semantic,
        reason(),
        temperature,
        option::of(text()),
        tags,
    )
        .prop_map(|(template, semantic, reason, temperature, owner, tags)| Draft {
            template,
            semantic_version: semantic.map(|(major, minor, patch)| SemanticVersion { major, minor, patch }),
            reason,
            config: [("temperature".to_owned(), temperature.into())]
                .into_iter()
                .collect(),
            owner,
            tags,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn history_comes_back_as_it_was(event in event()) {
        let text = encode(&EventRow::from(&event)).unwrap();
        let row: EventRow = decode("an audit record", &text).unwrap();
        prop_assert_eq!(AuditEvent::try_from(row).unwrap(), event);
    }

    #[test]
    fn assessments_from_before_quantiles_had_intervals_are_read(assessment in assessment()) {
        let text = encode(&AssessmentRow::from(&assessment)).unwrap();
        let mut old: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut expected = assessment;
        for (metric, row) in expected.metrics.iter_mut().zip(old["metrics"].as_array_mut().unwrap()) {
            let rows = row["quantiles"].as_array_mut().unwrap();
            for (quantile, row) in metric.quantiles.iter_mut().zip(rows) {
                row.as_object_mut().unwrap().retain(|key, _| !key.ends_with("Interval"));
                quantile.control_interval = QuantileInterval::default();
                quantile.treatment_interval = QuantileInterval::default();
            }
        }
        let row: AssessmentRow = decode("an assessment", &old.to_string()).unwrap();
        prop_assert_eq!(Assessment::from(row), expected);
    }

    #[test]
    fn phases_come_back_as_they_were(phase in phase()) {
        let text = encode(&PhaseRow::from(&phase)).unwrap();
        let row: PhaseRow = decode("a phase", &text).unwrap();
        prop_assert_eq!(Phase::from(row), phase);
    }

    #[test]
    fn drafts_come_back_as_they_were(draft in draft()) {
        let text = encode(&DraftRow::from(draft.clone())).unwrap();
        let row: DraftRow = decode("a draft", &text).unwrap();
        prop_assert_eq!(Draft::from(row), draft);
    }

    #[test]
    fn scores_come_back_as_they_were(scores in prop::collection::btree_map(name::<MetricName>(), number(), 0..5)) {
        let text = encode(&ScoresRow::from(scores.clone())).unwrap();
        let row: ScoresRow = decode("scores", &text).unwrap();
        prop_assert_eq!(BTreeMap::from(row), scores);
    }
}

#[test]
fn the_form_on_disk_is_kept() {
    let row = |versus| {
        let metric = MetricName::new("latency").unwrap();
        let phase = Phase::Paused {
            from: Resumable::Ramping { step: 1 },
            cause: Cause::Verdict(VerdictCause::Failed {
                blame: Blame { metric, versus },
            }),
        };
        encode(&PhaseRow::from(&phase)).unwrap()
    };
    assert_eq!(
        row(Versus::Control),
        r#"{"phase":"paused","from":{"phase":"ramping","step":1},"cause":{"cause":"failed","blame":"latency"}}"#
    );
    assert!(row(Versus::Past).ends_with(r#"{"cause":"failed","blame":"latency","versus":"past"}}"#));
}

#[test]
fn rows_that_break_a_rule_are_corrupt_and_say_why() {
    let phase = |text: &str| decode::<PhaseRow>("a rollout's phase", text).unwrap_err();
    let refused = [
        phase(r#"{"phase":"ramping","step":-1}"#),
        phase(r#"{"phase":"superseded","by":0}"#),
        super::version(0).unwrap_err(),
        super::version(-1).unwrap_err(),
        natural("a generation", -1).unwrap_err(),
        parse::<Label>("a label", "Prod").unwrap_err(),
    ];
    let lines: Vec<String> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    the store holds a rollout's phase that cannot be read: invalid value: integer `-1`, expected usize
    the store holds a rollout's phase that cannot be read: `0` is not a version: must be a whole number from 1
    the store holds a version number that cannot be read: `0` is not a version: must be a whole number from 1
    the store holds a version number that cannot be read: `-1` is out of range
    the store holds a generation that cannot be read: `-1` is negative
    the store holds a label that cannot be read: `Prod` is not a label: must be 1 to 36 of `a`-`z`, `0`-`9`, `_`, `-` and `.`
    ");
}
