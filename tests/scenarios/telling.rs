//! How a scenario tells what happened, and shows what it is asked for.

use super::stage::{Done, Stage};
use jiff::{Timestamp, tz::TimeZone};
use serin::assignment::Reason;
use serin::assignment::assign::assign;
use serin::controller::{Board, RolloutStatus, Trouble};
use serin::ids::{Exposure, UserKey};
use serin::policy::Policy;
use serin::policy::check::check;
use serin::policy::problem::{Problem, Severity};
use serin::rollout::{AuditEvent, AuditRecord, RolloutState, explain};
use std::path::Path;
use std::sync::Arc;

/// Audit records and rollouts that are read at once.
const ROWS_MAX: usize = 1_000;

impl Stage<'_> {
    /// What is new since this was last asked: moves with their causes, exposure, why it stays.
    pub(crate) async fn tell_news(&mut self) -> Done {
        let now = clock(self.world.now());
        let Some(handle) = self.world.handle() else {
            if !std::mem::replace(&mut self.is_down, true) {
                self.say(format!("{now}  the server is down"));
            }
            return Ok(());
        };
        let board = handle.board();
        if std::mem::replace(&mut self.is_down, false) {
            self.say(format!("{now}  the server is up again"));
        }
        self.tell_history(&board).await?;
        let status = board
            .policies
            .get(&self.policy)
            .and_then(|status| status.rollout.clone());
        self.check_exposure()?;
        self.tell_stay(&now, status.as_deref());
        let troubles: Vec<String> = board.troubles.iter().map(trouble).collect();
        if troubles != self.troubles {
            for trouble in &troubles {
                self.say(format!("{now}  trouble: {trouble}"));
            }
            if troubles.is_empty() {
                self.say(format!("{now}  no trouble any more"));
            }
            self.troubles = troubles;
        }
        let problems: Vec<Problem> = board
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .cloned()
            .collect();
        if problems != self.problems {
            self.say(format!("{now}  mistakes in policy files: {}", problems.len()));
            self.problems = problems;
        }
        Ok(())
    }

    async fn tell_history(&mut self, board: &Board) -> Done {
        let mut rollouts = self.world.store().rollouts(None, None, ROWS_MAX).await?;
        rollouts.reverse();
        for rollout in rollouts {
            let after = self.told.get(&rollout.id).copied();
            for record in self.world.store().audit(rollout.id, after, ROWS_MAX).await? {
                self.told.insert(rollout.id, record.sequence);
                self.say(told(&record));
                let AuditEvent::Moved(transition) = &record.event else {
                    continue;
                };
                let policy = self.policy_of(board, &transition.to).await?;
                let exposure = transition.to.exposure(&policy);
                if exposure != self.exposure {
                    self.exposure = exposure;
                    self.say(format!(
                        "{}  {}: exposure {exposure}",
                        clock(record.at),
                        record.rollout
                    ));
                }
            }
        }
        Ok(())
    }

    /// The policy that a rollout runs under.
    async fn policy_of(
        &self,
        board: &Board,
        state: &RolloutState,
    ) -> Result<Policy, Box<dyn std::error::Error>> {
        let status = board.policies.get(&state.policy);
        if let Some(status) = status.filter(|status| status.policy.revision == state.revision) {
            return Ok(status.policy.as_ref().clone());
        }
        let source = self
            .world
            .store()
            .policy_source(&state.revision)
            .await?
            .ok_or("its text is not kept")?;
        Ok(check("kept.yaml", &source)
            .map_err(|_| "its text is not good any more")?
            .policy)
    }

    /// What was told is what users are assigned under.
    fn check_exposure(&self) -> Done {
        let Some(handle) = self.world.handle() else {
            return Ok(());
        };
        let snapshot = handle.snapshot();
        let treatment = snapshot
            .route(self.policy.as_str())
            .and_then(|route| route.treatment.as_ref());
        let found = treatment.map_or(Exposure::NOBODY, |treatment| {
            treatment.exposure.min(treatment.holdback.complement())
        });
        if found == self.exposure {
            Ok(())
        } else {
            Err(format!("users are assigned under {found}, and {} was told", self.exposure).into())
        }
    }

    fn tell_stay(&mut self, now: &str, rollout: Option<&RolloutStatus>) {
        let stay = rollout
            .filter(|rollout| !rollout.state.phase.is_over())
            .map(|rollout| &rollout.stay);
        let word = stay.map(explain::stay_word);
        if word != self.stay {
            self.stay = word;
            if let Some(stay) = stay {
                let sentence = explain::stay(stay, self.world.now());
                self.say(format!("{now}  stays: {sentence}"));
            }
        }
    }

    /// Where the rollout stands, why, and what the numbers are.
    pub(crate) fn explain(&mut self) {
        let Some(rollout) = self.world.rollout_of(&self.policy) else {
            self.say("there is no rollout");
            return;
        };
        let state = &rollout.state;
        let (stable, candidate) = (state.stable, state.candidate);
        self.say(format!(
            "{}: version {stable} → {candidate}, {}",
            state.id,
            explain::phase(&state.phase)
        ));
        self.say(format!(
            "exposure {}, generation {}",
            rollout.exposure, state.generation
        ));
        self.say(explain::stay(&rollout.stay, self.world.now()));
        let Some(assessment) = rollout.assessment.clone() else {
            return;
        };
        for evidence in &assessment.metrics {
            let arm = |arm: &serin::analysis::ArmEvidence| {
                let mean = arm
                    .mean
                    .map_or_else(|| "none".to_owned(), |mean| format!("{mean:.3}"));
                format!("{mean} ({} observations)", arm.count)
            };
            self.say(format!(
                "`{}`: {:?}; control {}, treatment {}; worse {}, healthy {}",
                evidence.metric,
                evidence.verdict,
                arm(&evidence.control),
                arm(&evidence.treatment),
                share(evidence.log_e_worse, assessment.threshold),
                share(evidence.log_e_non_inferior, assessment.threshold_non_inferior),
            ));
        }
    }

    /// Where labels point, and who moved them there.
    pub(crate) fn labels(&mut self) {
        let journal = self.world.registry().journal(&self.prompt);
        let mut newest: std::collections::BTreeMap<_, _> = std::collections::BTreeMap::new();
        for change in journal {
            newest.insert(change.label.clone(), change);
        }
        for (label, change) in newest {
            let to = change
                .to
                .map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
            self.say(format!(
                "`{label}` points at {to}: {}, {}",
                change.actor, change.reason
            ));
        }
    }

    /// What users are assigned.
    pub(crate) fn assign(&mut self, users: &[String]) -> Done {
        let handle = self.world.handle().ok_or("the server is down")?;
        let snapshot = Arc::clone(&handle.snapshot());
        let route = snapshot
            .route(self.policy.as_str())
            .ok_or("there is no such policy")?;
        for user in users {
            let assignment = assign(route, UserKey::new(user)?);
            let reason = match assignment.reason {
                Reason::Split => "split".to_owned(),
                Reason::Forced => "forced".to_owned(),
                Reason::Holdback => "held back".to_owned(),
                Reason::AttributeMissing(_)
                | Reason::NotTargeted(_)
                | Reason::OutsideSegment
                | Reason::OtherInGroup
                | Reason::Reserved => "outside".to_owned(),
                Reason::Idle(idle) => format!("{idle:?}"),
            };
            let version = assignment
                .served
                .version
                .map_or_else(|| "?".to_owned(), |version| version.to_string());
            let label = &assignment.served.label;
            self.say(format!(
                "{user}: {}, `{label}` = version {version} ({reason})",
                assignment.arm
            ));
        }
        Ok(())
    }

    /// How users divide: over the policy's hash line, as one hundred thousand of them fall.
    pub(crate) fn split(&mut self) -> Done {
        /// How many users are asked for.
        const USERS: u32 = 100_000;
        let handle = self.world.handle().ok_or("the server is down")?;
        let snapshot = Arc::clone(&handle.snapshot());
        let route = snapshot
            .route(self.policy.as_str())
            .ok_or("there is no such policy")?;
        let mut counts = std::collections::BTreeMap::new();
        for number in 0..USERS {
            let user = format!("citizen-{number}");
            let assignment = assign(route, UserKey::new(&user)?);
            let held = assignment.reason == Reason::Holdback;
            *counts.entry((assignment.arm.as_str(), held)).or_insert(0_u32) += 1;
        }
        for ((arm, held), count) in counts {
            let why = if held { " (held back)" } else { "" };
            self.say(format!(
                "{arm}{why}: {:.1}%",
                100.0 * f64::from(count) / f64::from(USERS)
            ));
        }
        Ok(())
    }

    /// What is wrong with policy files.
    pub(crate) fn list_problems(&mut self) {
        for problem in self.problems.clone() {
            let (file, line) = (file(&problem), problem.span.line);
            self.say(format!(
                "{} in {file}, line {line}: {}",
                problem.code, problem.message
            ));
        }
    }
}

fn told(record: &AuditRecord) -> String {
    let sentence = match &record.event {
        AuditEvent::Moved(transition) if transition.to.generation.get() == 1 => {
            let (stable, candidate) = (transition.to.stable, transition.to.candidate);
            format!(
                "begins with version {stable} → {candidate}: {}",
                explain::cause(&transition.cause)
            )
        }
        AuditEvent::Moved(_)
        | AuditEvent::LabelMove { .. }
        | AuditEvent::Registry { .. }
        | AuditEvent::Cache { .. }
        | AuditEvent::Fallback(_)
        | AuditEvent::Notice { .. }
        | AuditEvent::Refused { .. } => explain::event(&record.event),
    };
    format!("{}  {}: {sentence}", clock(record.at), record.rollout)
}

fn trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Registry { registry, error } => format!("registry `{registry}`: {error}"),
        Trouble::Cache { cache, error } => format!("cache `{cache}`: {error}"),
        Trouble::Store { error } => format!("store: {error}"),
        Trouble::Notices { policy, error, .. } => format!("notifications of `{policy}`: {error}"),
    }
}

fn file(problem: &Problem) -> String {
    let name = Path::new(&*problem.file).file_name();
    name.map_or_else(
        || problem.file.to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// How far evidence is on its way to its threshold.
fn share(log_e: f64, threshold: f64) -> String {
    format!("{:.0}%", (100.0 * log_e / threshold).clamp(0.0, 100.0))
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}
