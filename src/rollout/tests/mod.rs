//! The laws of `decide`, by cases and by exhaustive search.

mod cases;
mod search;

use super::*;
use crate::analysis::{ArmEvidence, Assessment, Blame, DataQuality, Evidence, Verdict, Versus};
use crate::ids::{Exposure, Justification, Salt, Scheme, Tick};
use crate::policy::{
    Alpha, AnalysisRules, ApprovalGate, ArmLabels, AssignmentRules, Better, Clients, Feed, Forced, Gates,
    Margin, Metric, MetricKind, Notify, NotifyFormat, NotifyOn, OnFail, OnInconclusive, OnNoData, Patience,
    Policy, Role, Step, Targeting,
};
use jiff::SignedDuration;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

/// Three steps (5%, 50% with an approval, 100%) of an hour each; patience of two hours.
fn policy() -> Policy {
    let step = |ppm, approval| Step {
        exposure: Exposure::from_ppm(ppm).unwrap(),
        bake: HOUR,
        samples: 10,
        approval,
    };
    Policy {
        name: "answer".parse().unwrap(),
        owner: None,
        revision: Revision::of(""),
        source: "".into(),
        prompt: "answer".parse().unwrap(),
        registry: "embedded".parse().unwrap(),
        labels: ArmLabels {
            control: "production".parse().unwrap(),
            treatment: "canary".parse().unwrap(),
        },
        assignment: AssignmentRules {
            scheme: Scheme::Serin,
            salt: None::<Salt>,
            holdback: Exposure::NOBODY,
            force: Forced::default(),
            targeting: Targeting::default(),
            group: None,
        },
        steps: vec![step(50_000, false), step(500_000, true), step(1_000_000, false)],
        watch: HOUR,
        analysis: AnalysisRules {
            alpha: Alpha::new(0.05).unwrap(),
            every: SignedDuration::from_secs(5),
            no_data: Patience {
                after: HOUR,
                then: OnNoData::Hold,
            },
            on_fail: OnFail::RollBack,
            inconclusive: Patience {
                after: HOUR * 2,
                then: OnInconclusive::Hold,
            },
        },
        metrics: vec![Metric {
            name: "faithfulness".parse().unwrap(),
            kind: MetricKind::Score { min: 0.0, max: 1.0 },
            better: Better::Higher,
            role: Role::Guardrail,
            margin: Margin::Absolute(0.02),
            limit: None,
            weight: 1.0,
            baseline: None,
            critical: false,
            unit: None,
            feed: Feed::Observations,
        }],
        gates: Gates {
            evaluation: None,
            approval: ApprovalGate {
                before_start: true,
                ..ApprovalGate::default()
            },
        },
        clients: Clients::default(),
        notify: Vec::new(),
    }
}

fn state(phase: Phase) -> RolloutState {
    RolloutState {
        id: RolloutId::new(1),
        policy: "answer".parse().unwrap(),
        revision: Revision::of(""),
        stable: Version::new(13).unwrap(),
        candidate: Version::new(14).unwrap(),
        phase,
        generation: Generation::ZERO,
        started_at: at(0),
        entered_at: at(0),
        changed_at: at(0),
        treated_at_entry: 0,
        stepped_back: false,
        promoted: false,
        fail_overruled: false,
        approvals: BTreeSet::new(),
        author: None,
    }
}

fn assessment(verdict: Verdict, treated: u64, difference: f64) -> Assessment {
    let arm = ArmEvidence {
        count: treated,
        mean: Some(0.8),
        clipped: 0,
        last_seen: None,
    };
    let metric: MetricName = "faithfulness".parse().unwrap();
    Assessment {
        at: at(0),
        through: Tick::new(0),
        verdict,
        log_e_combined: Some(0.0),
        threshold: 3.0,
        threshold_non_inferior: 3.0,
        threshold_limit: 4.6,
        blame: (verdict == Verdict::Fail).then(|| Blame {
            metric: metric.clone(),
            versus: Versus::Control,
        }),
        treated,
        data: DataQuality::default(),
        metrics: vec![Evidence {
            metric,
            role: Role::Guardrail,
            control: arm,
            treatment: arm,
            quantiles: Vec::new(),
            relative: false,
            difference: Some(difference),
            interval: None,
            margin: Some(0.02),
            within_margin: Some(difference >= -0.02),
            log_e_worse: 0.0,
            log_e_non_inferior: 0.0,
            log_e_limit: None,
            past: None,
            needs: Some(412),
            verdict,
            silent_since: (verdict == Verdict::Invalid).then(|| at(0)),
        }],
    }
}

fn labels(control: Option<u32>, treatment: Option<u32>) -> ObservedLabels {
    let label = |version: Option<u32>| ObservedLabel {
        version: version.map(|number| Version::new(number).unwrap()),
        by: Some("alice".parse().unwrap()),
    };
    ObservedLabels {
        control: label(control),
        treatment: label(treatment),
    }
}

fn observed(verdict: Verdict, labels: Option<ObservedLabels>) -> Observed {
    Observed {
        assessment: assessment(verdict, 100, 0.0),
        evaluation: EvaluationState::Open,
        labels,
        moves_pending: true,
        policy_removed: false,
    }
}

fn tick(observed: Observed) -> Input {
    Input::Tick(Box::new(observed))
}

fn command(verb: Verb, actor: &str) -> Input {
    Input::Command {
        command: Command {
            verb,
            actor: actor.parse().unwrap(),
            reason: Justification::new("because").unwrap(),
            is_admin: false,
        },
        assessment: Box::new(assessment(Verdict::Inconclusive, 100, 0.0)),
    }
}

fn label_move(effect: &Effect) -> Option<&LabelMove> {
    match effect {
        Effect::MoveLabel(label_move) => Some(label_move),
        Effect::Notify(_) => None,
    }
}

fn notice(effect: &Effect) -> Option<&Notice> {
    match effect {
        Effect::MoveLabel(_) => None,
        Effect::Notify(notice) => Some(notice),
    }
}
