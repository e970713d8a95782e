//! Tells people of transitions, as their policies say.
//!
//! What is to be told is committed with its transition ([`crate::rollout::notice`]) and delivered from
//! the store, beside the controller: a receiver that hangs holds up nobody. Each is delivered at least
//! once, in the order of its rollout, and tried again until it is taken or too old. Receivers know
//! repeats by `webhook-id`, which stays the same.
//!
//! Policies come from whoever runs the server, so any `http://` or `https://` address may be named,
//! private ones too. What can be done with it is bounded: a `POST` of Serin's own JSON, no redirect is
//! followed, and of the answer nothing but the status and `Retry-After` is read.

mod delivery;
mod message;
mod pace;
mod signature;
mod told;

pub use self::delivery::ClientError;
pub use self::signature::{SigningError, sign};

use self::delivery::{Delivery, Refused};
use self::pace::{Next, next};
use self::told::Told;
use crate::clock::Clock;
use crate::controller::ControllerHandle;
use crate::ids::SecretName;
use crate::policy::check;
use crate::rollout::NoticeOutcome;
use crate::store::{PendingNotice, Store, StoreError};
use crate::telemetry::log::chain;
use crate::telemetry::traces::Notified;
use crate::telemetry::{NoticeResult, Telemetry};
use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the store is asked for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Notifications that are taken from the store at once.
const DUE_READ_MAX: usize = 256;
/// Notifications that are on their way at once.
const IN_FLIGHT_MAX: usize = 16;

/// The secrets that policies name.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<SecretName, String>);

impl Secrets {
    /// Secrets by their names.
    pub fn new(secrets: BTreeMap<SecretName, String>) -> Self {
        Self(secrets)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a notifier is made of.
pub struct Parts {
    /// Keeps what is to be told.
    pub store: Arc<dyn Store>,
    /// Shows what cannot be told.
    pub controller: ControllerHandle,
    /// The time.
    pub clock: Clock,
    /// Counts attempts.
    pub telemetry: Arc<Telemetry>,
    /// What policies may name.
    pub secrets: Secrets,
    /// Longest time for one attempt.
    pub timeout: Duration,
}

/// Delivers what the store holds.
pub struct Notifier {
    store: Arc<dyn Store>,
    controller: ControllerHandle,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    delivery: Delivery,
}

impl Notifier {
    /// Longest time for one attempt, where nothing else is said.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A notifier that has not begun yet.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client to be had.
    pub fn new(parts: Parts) -> Result<Self, ClientError> {
        Ok(Self {
            delivery: Delivery::new(parts.secrets, parts.timeout)?,
            store: parts.store,
            controller: parts.controller,
            clock: parts.clock,
            telemetry: parts.telemetry,
        })
    }

    /// Delivers what is due, again and again, until `stop` resolves; what is on its way then is tried
    /// again after the next start.
    pub async fn run(self, mut stop: oneshot::Receiver<()>) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let pass = async {
                beat.tick().await;
                if let Err(error) = self.pass().await {
                    tracing::error!(error = chain(&error), "notifications wait for the store");
                }
            };
            tokio::select! {
                biased;
                // A sender that is gone cannot ask any more, which is as good as asking.
                _ = &mut stop => return,
                () = pass => {}
            }
        }
    }

    /// Tries everything that is due once; how many were taken.
    ///
    /// # Errors
    ///
    /// When the store fails; what was delivered and could not be recorded is delivered again.
    pub async fn pass(&self) -> Result<usize, StoreError> {
        let due = self.store.due_notices(self.clock.now(), DUE_READ_MAX).await?;
        let mut outcomes = stream::iter(due)
            .map(|pending| self.attempt(pending))
            .buffer_unordered(IN_FLIGHT_MAX);
        let mut taken = 0;
        while let Some(outcome) = outcomes.next().await {
            taken += usize::from(outcome?);
        }
        let failing = self.store.failing_notices().await?;
        self.controller.show_failing_notices(failing);
        Ok(taken)
    }

    /// Tries one; whether it was taken.
    async fn attempt(&self, pending: PendingNotice) -> Result<bool, StoreError> {
        let began = self.clock.now();
        let (status, refused) = match self.deliver(&pending).await {
            Ok(status) => (Some(status), None),
            Err(refused) => (refused.status, Some(refused)),
        };
        let now = self.clock.now();
        let policy = pending.record.policy.clone();
        let (rollout, on) = (pending.notice.rollout, pending.notice.on.as_str());
        let (outcome, result, due_at) = match refused {
            None => {
                tracing::info!(%policy, rollout.id = %rollout, on, "notification delivered");
                (NoticeOutcome::Delivered, NoticeResult::Delivered, now)
            }
            Some(refused) => match next(&pending, &refused, now, pace::jitter()) {
                Next::At(due_at) => {
                    let error = refused.to_string();
                    tracing::warn!(%policy, rollout.id = %rollout, on, error, "notification failed; it is tried again");
                    (NoticeOutcome::Failed { error }, NoticeResult::Failed, due_at)
                }
                Next::Never => {
                    let error = refused.to_string();
                    tracing::error!(%policy, rollout.id = %rollout, on, error, "notification given up");
                    (NoticeOutcome::GivenUp { error }, NoticeResult::GivenUp, now)
                }
            },
        };
        self.telemetry.told(&policy, result);
        self.telemetry.tracer().notified(&Notified {
            policy: policy.as_str(),
            rollout: &rollout.to_string(),
            on,
            format: pending.notice.format.as_str(),
            resend_count: pending.attempts,
            began,
            status: status.map(|status| status.as_u16()),
            outcome: &outcome,
        });
        self.store.record_notice(now, pending.id, outcome, due_at).await?;
        Ok(result == NoticeResult::Delivered)
    }

    async fn deliver(&self, pending: &PendingNotice) -> Result<StatusCode, Refused> {
        let unknown = || Refused::hopeless("the policy that it was asked for by cannot be read any more");
        let file = pending.record.policy.to_string();
        let policy = check::check(&file, &pending.policy_source)
            .map_err(|_| unknown())?
            .policy;
        let notify = policy.notify.get(pending.notice.place).ok_or_else(unknown)?;
        let told = Told::new(pending, &policy).ok_or_else(unknown)?;
        self.delivery.send(notify, &told, self.clock.now()).await
    }
}
