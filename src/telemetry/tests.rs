use super::*;
use crate::analysis::{ArmEvidence, Assessment, DataQuality, Evidence, Verdict};
use crate::controller::{PolicyStatus, RolloutStatus, Trouble};
use crate::ids::{
    Actor, Exposure, Generation, Justification, PromptName, Revision, RolloutId, Scheme, Tick, Version,
};
use crate::policy::problem::{Problem, Severity, Span};
use crate::policy::{
    Alpha, AnalysisRules, ArmLabels, AssignmentRules, Better, Forced, Gates, Margin, Metric, MetricKind,
    OnFail, OnInconclusive, OnNoData, Patience, Policy, Role, Step, Targeting,
};
use crate::rollout::aftermath::Aftermath;
use crate::rollout::{RolloutState, StayReason};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

fn policy(name: &str) -> Policy {
    let patience = SignedDuration::from_hours(1);
    Policy {
        name: PolicyName::new(name).unwrap(),
        owner: None,
        revision: Revision::of(name),
        source: "".into(),
        prompt: PromptName::new("greeting").unwrap(),
        registry: RegistryName::new("embedded").unwrap(),
        labels: ArmLabels {
            control: Label::new("production").unwrap(),
            treatment: Label::new("canary").unwrap(),
        },
        assignment: AssignmentRules {
            scheme: Scheme::Serin,
            salt: None,
            holdback: Exposure::NOBODY,
            force: Forced::default(),
            targeting: Targeting::default(),
            group: None,
        },
        steps: vec![Step {
            exposure: Exposure::EVERYBODY,
            bake: SignedDuration::from_secs(90),
            samples: 0,
            approval: false,
        }],
        watch: SignedDuration::ZERO,
        analysis: AnalysisRules {
            alpha: Alpha::new(0.05).unwrap(),
            every: SignedDuration::from_secs(5),
            no_data: Patience {
                after: patience,
                then: OnNoData::Hold,
            },
            on_fail: OnFail::RollBack,
            inconclusive: Patience {
                after: patience,
                then: OnInconclusive::Hold,
            },
        },
        metrics: vec![Metric {
            name: MetricName::new("faithfulness").unwrap(),
            kind: MetricKind::Score { min: 0.0, max: 1.0 },
            better: Better::Higher,
            role: Role::Guardrail,
            margin: Margin::Absolute(0.02),
            limit: Some(0.7),
            weight: 1.0,
            baseline: None,
            critical: false,
            unit: None,
            feed: crate::policy::Feed::Observations,
        }],
        gates: Gates::default(),
        clients: crate::policy::Clients::default(),
        notify: Vec::new(),
    }
}

fn assessment() -> Assessment {
    let arm = |count, mean, second| ArmEvidence {
        count,
        mean,
        clipped: 0,
        last_seen: Some(Tick::new(second)),
    };
    Assessment {
        at: Timestamp::UNIX_EPOCH,
        through: Tick::new(20),
        verdict: Verdict::Inconclusive,
        log_e_combined: Some(0.5),
        threshold: 3.0,
        threshold_non_inferior: 3.0,
        threshold_limit: 3.0,
        blame: None,
        treated: 2,
        data: DataQuality::default(),
        metrics: vec![Evidence {
            metric: MetricName::new("faithfulness").unwrap(),
            role: Role::Guardrail,
            control: arm(3, Some(0.5), 19),
            treatment: arm(2, Some(0.25), 20),
            quantiles: Vec::new(),
            relative: false,
            difference: Some(-0.25),
            interval: Some((-0.5, 0.125)),
            margin: Some(0.02),
            within_margin: Some(false),
            log_e_worse: 1.5,
            log_e_non_inferior: -1.0,
            log_e_limit: Some(0.25),
            past: None,
            needs: Some(40),
            verdict: Verdict::Inconclusive,
            silent_since: None,
        }],
    }
}

fn status(name: &str, phase: Phase) -> (PolicyName, Arc<PolicyStatus>) {
    let policy = Arc::new(policy(name));
    let state = RolloutState {
        id: RolloutId::new(1),
        policy: policy.name.clone(),
        revision: policy.revision,
        stable: Version::FIRST,
        candidate: Version::new(2).unwrap(),
        phase,
        generation: Generation::ZERO,
        started_at: Timestamp::UNIX_EPOCH,
        entered_at: Timestamp::UNIX_EPOCH,
        changed_at: Timestamp::from_second(7).unwrap(),
        treated_at_entry: 0,
        promoted: false,
        fail_overruled: false,
        stepped_back: false,
        approvals: BTreeSet::new(),
        author: None,
    };
    let rollout = RolloutStatus {
        policy: Arc::clone(&policy),
        state,
        exposure: Exposure::from_ppm(250_000).unwrap(),
        stay: StayReason::Ended,
        assessment: Some(Arc::new(assessment())),
        through: None,
        moves_unconfirmed: 1,
        aftermath: Aftermath::of(&policy.clients, false),
    };
    let status = PolicyStatus {
        policy: Arc::clone(&policy),
        labels: None,
        registry_error: None,
        rollout: Some(Arc::new(rollout)),
        warnings: Vec::new(),
        removed: false,
    };
    (policy.name.clone(), Arc::new(status))
}

fn operator() -> Cause {
    Cause::Operator {
        actor: Actor::serin(),
        reason: Justification::new("to see").unwrap(),
    }
}

/// The sample lines that have `part` in them.
fn lines<'t>(text: &'t str, part: &str) -> Vec<&'t str> {
    text.lines()
        .filter(|line| !line.starts_with('#') && line.contains(part))
        .collect()
}

#[test]
fn the_board_becomes_gauges() {
    let telemetry = Telemetry::new().unwrap();
    let board = Board {
        policies: [status("greeting", Phase::Ramping { step: 0 })].into(),
        ticked_at: Some(Timestamp::from_second(5).unwrap()),
        problems: [Problem {
            code: "SRN001",
            severity: Severity::Error,
            file: "bad.yaml".into(),
            span: Span::default(),
            message: "no".to_owned(),
            help: None,
        }]
        .into(),
        ..Board::default()
    };
    let text = telemetry.render(&board).unwrap();
    let phases = lines(&text, "serin_rollout_phase");
    assert_eq!(phases.len(), Phase::WORDS.len() + 1);
    let on: Vec<_> = phases.iter().filter(|line| line.ends_with(" 1")).collect();
    assert_eq!(
        on,
        [&r#"serin_rollout_phase{phase="ramping",policy="greeting"} 1"#]
    );
    for line in [
        r#"serin_rollout_status{policy="greeting"} 0"#,
        r#"serin_rollout_exposure_ratio{policy="greeting"} 0.25"#,
        r#"serin_rollout_step{policy="greeting"} 1"#,
        r#"serin_metric_value{arm="control",metric="faithfulness",policy="greeting"} 0.5"#,
        r#"serin_metric_difference{bound="lower",metric="faithfulness",policy="greeting"} -0.5"#,
        r#"serin_metric_margin{metric="faithfulness",policy="greeting"} 0.02"#,
        r#"serin_metric_log_e_value{metric="faithfulness",policy="greeting"} 1.5"#,
        r#"serin_metric_verdict{metric="faithfulness",policy="greeting",verdict="inconclusive"} 1"#,
        r#"serin_metric_last_observation_timestamp_seconds{metric="faithfulness",policy="greeting"} 20"#,
        r#"serin_sample_ratio_log_e_value{policy="greeting"} 0"#,
        r#"serin_sample_ratio_planned_users{policy="greeting"} 0"#,
        r#"serin_exclusion_ratio_log_e_value{policy="greeting"} 0"#,
        r#"serin_observations_excluded{arm="control",policy="greeting",reason="fallback"} 0"#,
        r#"serin_metric_tolerated_difference{metric="faithfulness",policy="greeting"} -0.02"#,
        r#"serin_metric_limit{metric="faithfulness",policy="greeting"} 0.7"#,
        r#"serin_metric_samples{arm="treatment",metric="faithfulness",policy="greeting"} 2"#,
        r#"serin_metric_samples_needed{metric="faithfulness",policy="greeting"} 40"#,
        r#"serin_metric_non_inferiority_log_e_value{metric="faithfulness",policy="greeting"} -1"#,
        r#"serin_metric_limit_log_e_value{metric="faithfulness",policy="greeting"} 0.25"#,
        r#"serin_log_e_value_threshold{policy="greeting",test="worse"} 3"#,
        r#"serin_rollout_log_e_value{policy="greeting"} 0.5"#,
        r#"serin_rollout_verdict{policy="greeting",verdict="inconclusive"} 1"#,
        r#"serin_rollout_step_exposure_ratio{policy="greeting",step="1"} 1"#,
        r#"serin_rollout_version{arm="treatment",policy="greeting"} 2"#,
        r#"serin_rollout_waiting{policy="greeting",reason="ended"} 1"#,
        r#"serin_rollout_waiting{policy="greeting",reason="baking"} 0"#,
        r#"serin_rollout_changed_timestamp_seconds{policy="greeting"} 7"#,
        r#"serin_rollout_label_moves_unconfirmed{policy="greeting"} 1"#,
        r#"serin_rollout_bake_seconds{policy="greeting"} 90"#,
        r#"serin_last_tick_timestamp_seconds 5"#,
        "serin_store_up 1",
        r#"serin_registry_up{registry="embedded"} 1"#,
        r#"serin_policy_problems{severity="error"} 1"#,
        r#"serin_policy_problems{severity="warning"} 0"#,
        "serin_leader 1",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn series_of_vanished_policies_are_dropped() {
    let telemetry = Telemetry::new().unwrap();
    let phase = Phase::Ramping { step: 0 };
    let board = Board {
        policies: [status("gone", phase.clone()), status("kept", phase)].into(),
        ..Board::default()
    };
    let before = telemetry.render(&board).unwrap();
    assert!(!lines(&before, r#"policy="gone""#).is_empty());
    for name in ["gone", "kept"] {
        let name = PolicyName::new(name).unwrap();
        let metric = MetricName::new("faithfulness").unwrap();
        telemetry.moved(&name, &Phase::Pending, &Phase::Watching, &operator());
        telemetry.ended(&name, &Phase::Promoted, Duration::from_secs(90));
        telemetry.assigned(&name, Arm::Control, "split");
        telemetry.observed(&name, &metric, Arm::Treatment, 3);
    }
    let mut smaller = board.clone();
    smaller.policies.remove(&PolicyName::new("gone").unwrap());
    let after = telemetry.render(&smaller).unwrap();
    assert_eq!(lines(&after, r#"policy="gone""#), Vec::<&str>::new());
    for line in [
        r#"serin_rollout_transitions_total{cause="operator",from="pending",policy="kept",to="watching"} 1"#,
        r#"serin_rollout_duration_seconds_bucket{outcome="promoted",policy="kept",le="300"} 1"#,
        r#"serin_rollouts_ended_total{outcome="promoted",policy="kept"} 1"#,
        r#"serin_rollouts_ended_total{outcome="rolled_back",policy="kept"} 0"#,
        r#"serin_assignments_total{arm="control",policy="kept",reason="split"} 1"#,
        r#"serin_observations_total{arm="treatment",metric="faithfulness",policy="kept"} 3"#,
    ] {
        assert!(
            after.lines().any(|shown| shown == line),
            "{line} is not in\n{after}"
        );
    }
}

#[test]
fn every_outcome_is_there_before_the_first_one() {
    let over: Vec<&str> = Phase::WORDS
        .into_iter()
        .filter(|word| OUTCOMES.contains(word))
        .collect();
    assert_eq!(over, OUTCOMES);
    let cause = operator();
    assert!(OUTCOMES.contains(&Phase::Promoted.as_str()));
    assert!(OUTCOMES.contains(&Phase::RolledBack { cause }.as_str()));
    let by = Version::FIRST;
    assert!(OUTCOMES.contains(&Phase::Superseded { by }.as_str()));
}

#[test]
fn a_registry_in_trouble_is_down() {
    let telemetry = Telemetry::new().unwrap();
    let board = Board {
        policies: [status("greeting", Phase::Pending)].into(),
        troubles: vec![Trouble::Registry {
            registry: RegistryName::new("embedded").unwrap(),
            error: "no answer".to_owned(),
        }],
        ..Board::default()
    };
    let text = telemetry.render(&board).unwrap();
    assert_eq!(
        lines(&text, "serin_registry_up"),
        [r#"serin_registry_up{registry="embedded"} 0"#]
    );
}

#[test]
fn a_store_in_trouble_is_down() {
    let telemetry = Telemetry::new().unwrap();
    let error = "disk full".to_owned();
    let board = Board {
        troubles: vec![Trouble::Store { error }],
        ..Board::default()
    };
    let text = telemetry.render(&board).unwrap();
    assert_eq!(lines(&text, "serin_store_up"), ["serin_store_up 0"]);
    assert_eq!(lines(&text, "serin_leader"), ["serin_leader 0"]);
    assert!(lines(&text, "serin_last_tick").is_empty(), "it never ticked");
}

#[test]
fn requests_are_counted_by_template_and_status() {
    let telemetry = Telemetry::new().unwrap();
    telemetry.answered("GET", "/v1/rollouts/{id}", 404, Duration::from_millis(3));
    let text = telemetry.render(&Board::default()).unwrap();
    let counted = r#"serin_http_requests_total{method="GET",route="/v1/rollouts/{id}",status="404"} 1"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("serin_build_info{version="));
}
