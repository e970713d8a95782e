//! A store with a rollout, and a notifier behind it.

use jiff::{SignedDuration, Timestamp};
use serin::clock::{Clock, ManualClock};
use serin::controller::{self, ControllerHandle, ControllerSide, Trouble};
use serin::ids::{Justification, SecretName, Version};
use serin::notify::{Notifier, Parts, Secrets};
use serin::policy::{Policy, check};
use serin::rollout::course::Course;
use serin::rollout::decide::decide;
use serin::rollout::{
    AuditEvent, Cause, Command, Decision, Input, NoticeOutcome, RolloutState, Verb, notice,
};
use serin::store::sqlite::SqliteStore;
use serin::store::{NewRollout, Store};
use serin::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A secret as Standard Webhooks has them.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Longest time for one attempt, so that a receiver that hangs does not hold up the test.
const TIMEOUT: Duration = Duration::from_millis(300);

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) telemetry: Arc<Telemetry>,
    handle: ControllerHandle,
    side: ControllerSide,
    pub(crate) policy: Arc<Policy>,
    pub(crate) state: RolloutState,
    notifier: Notifier,
    directory: TempDir,
}

/// A policy that tells what `notify` says, in YAML.
fn policy(notify: &str) -> Policy {
    let text = format!(
        "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: answer, owner: R&D <core>}}\nspec:\n  \
         prompt: answer\n  steps:\n    - {{exposure: 5%, bake: 1h, samples: 100}}\n    \
         - {{exposure: 100%, bake: 1h}}\n  metrics:\n    - {{name: score, kind: score, margin: 0.02}}\n  \
         notify:\n{notify}"
    );
    check::check("answer.yaml", &text).unwrap().policy
}

/// The secrets that policies may name.
pub(crate) fn secrets(named: &[(&str, &str)]) -> Secrets {
    let named = named
        .iter()
        .map(|(name, secret)| (SecretName::new(name).unwrap(), (*secret).to_owned()));
    Secrets::new(named.collect())
}

impl World {
    /// A rollout that begins at noon.
    pub(crate) async fn new(notify: &str, secrets: Secrets) -> Self {
        let clock = ManualClock::starting_at("2026-03-01T12:00:00Z".parse().unwrap());
        let directory = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path(), Clock::Manual(clock.clone())).unwrap());
        let policy = Arc::new(policy(notify));
        let version = |number: u32| Version::new(number).unwrap();
        let state = RolloutState::pending(&policy, version(13), version(14), clock.now());
        let begun = store
            .begin(NewRollout {
                policy_source: Arc::clone(&policy.source),
                cause: cause(),
                effects: notice::of_beginning(&policy, &state),
                state,
                at: clock.now(),
            })
            .await
            .unwrap();
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let (handle, side) = controller::channel();
        Self {
            notifier: notifier(&store, &handle, &clock, &telemetry, secrets),
            telemetry,
            handle,
            side,
            policy,
            state: begun.state,
            store,
            clock,
            directory,
        }
    }

    /// The same after the process was killed and started again, with other secrets.
    pub(crate) fn restarted(self, secrets: Secrets) -> Self {
        drop(self.notifier);
        drop(Arc::into_inner(self.store).unwrap());
        let clock = Clock::Manual(self.clock.clone());
        let store = Arc::new(SqliteStore::open(self.directory.path(), clock).unwrap());
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let notifier = notifier(&store, &self.handle, &self.clock, &telemetry, secrets);
        Self {
            store,
            telemetry,
            notifier,
            ..self
        }
    }

    /// Somebody moves the rollout.
    pub(crate) async fn command(&mut self, verb: Verb) {
        let now = self.clock.now();
        let course = Course::new(Arc::clone(&self.policy), self.state.clone());
        let input = Input::Command {
            command: Command {
                verb,
                actor: "alice".parse().unwrap(),
                reason: Justification::new("<!channel> & so on").unwrap(),
                is_admin: true,
            },
            assessment: Box::new(course.latest(now)),
        };
        let Decision::Move(transition) = decide(&self.policy, &self.state, &input, now) else {
            panic!("{verb:?} is refused");
        };
        self.store.commit(now, &transition, None).await.unwrap();
        self.state = transition.to;
    }

    /// Tries everything that is due once; how many were taken.
    pub(crate) async fn pass(&self) -> usize {
        self.notifier.pass().await.unwrap()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        self.clock.advance(by);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the history says of notifications.
    pub(crate) async fn outcomes(&self) -> Vec<(&'static str, NoticeOutcome)> {
        let records = self.store.audit(self.state.id, None, 1_000).await.unwrap();
        let told = records.into_iter().filter_map(|record| match record.event {
            AuditEvent::Notice { notice, outcome } => Some((notice.on.as_str(), outcome)),
            AuditEvent::Moved(_)
            | AuditEvent::LabelMove { .. }
            | AuditEvent::Registry { .. }
            | AuditEvent::Cache { .. }
            | AuditEvent::Fallback(_)
            | AuditEvent::Refused { .. } => None,
        });
        told.collect()
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.side.notice_troubles()
    }
}

fn notifier(
    store: &Arc<SqliteStore>,
    handle: &ControllerHandle,
    clock: &ManualClock,
    telemetry: &Arc<Telemetry>,
    secrets: Secrets,
) -> Notifier {
    Notifier::new(Parts {
        store: Arc::clone(store) as Arc<dyn Store>,
        controller: handle.clone(),
        clock: Clock::Manual(clock.clone()),
        telemetry: Arc::clone(telemetry),
        secrets,
        timeout: TIMEOUT,
    })
    .unwrap()
}

fn cause() -> Cause {
    Cause::Operator {
        actor: "alice".parse().unwrap(),
        reason: Justification::new("to see").unwrap(),
    }
}

pub(crate) fn failed(error: &str) -> NoticeOutcome {
    NoticeOutcome::Failed {
        error: error.to_owned(),
    }
}
