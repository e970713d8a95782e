//! What a policy file means: document → check → [`Policy`], or every problem at once.
//!
//! [`check`](check::check) is the only way from text to a [`Policy`]; everything downstream may
//! therefore rely on what the fields promise. Nothing here reads files or the clock.

use crate::ids::{
    Actor, Exposure, GroupName, Label, MetricName, PolicyName, PromptName, RegistryName, Revision, Salt,
    Scheme, SecretName, Tick,
};
use crate::targeting::Condition;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use feed::{Feed, SpanFact};
pub use kind::{
    AMOUNT_MAX, AmountScale, LATENCY_SECONDS_MAX, LatencyStatistic, MetricKind, Quantile, Quantiles, TimeUnit,
};

pub mod check;
pub mod code;
pub mod document;
pub mod feed;
mod kind;
pub mod lint;
pub mod problem;
pub mod quantity;
mod sdk;

/// The meaning of one policy file.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name, in URLs and telemetry.
    pub name: PolicyName,
    /// The team that answers for it.
    pub owner: Option<Arc<str>>,
    /// Fingerprint of [`Self::source`].
    pub revision: Revision,
    /// The file's text, kept so that a running rollout goes on under the revision it started with.
    pub source: Arc<str>,
    /// The prompt whose labels are steered.
    pub prompt: PromptName,
    /// Where that prompt lives.
    pub registry: RegistryName,
    /// The labels of both arms; they differ.
    pub labels: ArmLabels,
    /// How users are split.
    pub assignment: AssignmentRules,
    /// The ladder: at least one step, exposures strictly rising, 100% last.
    pub steps: Vec<Step>,
    /// How long the promoted version is watched before the rollout ends.
    pub watch: SignedDuration,
    /// When and how verdicts are drawn, and what follows from them.
    pub analysis: AnalysisRules,
    /// What is measured: at least one guardrail, names distinct.
    pub metrics: Vec<Metric>,
    /// Conditions before the start or in a step.
    pub gates: Gates,
    /// How long applications keep what they fetched.
    pub clients: Clients,
    /// Who is told.
    pub notify: Vec<Notify>,
}

/// The label that each arm is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmLabels {
    /// Points at the stable version.
    pub control: Label,
    /// Points at the candidate while a rollout runs, else at the stable version.
    pub treatment: Label,
}

/// How users are split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRules {
    /// The hash scheme.
    pub scheme: Scheme,
    /// Seed of the split; `None` draws it from the policy's name and the candidate version.
    pub salt: Option<Salt>,
    /// Share that stays in control until promotion, even at 100%: a whole number of the scheme's cells.
    pub holdback: Exposure,
    /// Users with a fixed arm; served, never counted.
    pub force: Forced,
    /// Whom the rollout is for.
    pub targeting: Targeting,
    /// The part of a group's users that are the policy's.
    pub group: Option<Group>,
}

impl AssignmentRules {
    /// Whether somebody is outside of the rollouts.
    pub fn is_restricted(&self) -> bool {
        self.targeting.is_restricted() || self.group.is_some()
    }
}

/// The policy's part of a group, of whose policies a user is in treatment of one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group.
    pub name: GroupName,
    /// Where the part begins on the group's hash line.
    pub from: Exposure,
    /// Where it ends; above [`Self::from`].
    pub to: Exposure,
}

/// Whom a rollout is for; everybody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targeting {
    /// What must hold of a user's attributes: every one of these, at most [`CONDITIONS_MAX`](document::CONDITIONS_MAX).
    pub conditions: Vec<Condition>,
    /// The share of users among whom the rollout is.
    pub segment: Option<Segment>,
}

/// A share of users, drawn by a salt of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// How many of them: above nobody.
    pub share: Exposure,
    /// What draws them; `None` is the policy's name. Policies with the same salt have the same users.
    pub salt: Option<Salt>,
}

impl Targeting {
    /// Whether it leaves somebody out.
    pub fn is_restricted(&self) -> bool {
        !self.conditions.is_empty() || self.segment.is_some()
    }
}

/// Users with a fixed arm; no user is in both sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forced {
    /// Always served the candidate while a rollout runs.
    pub treatment: BTreeSet<Arc<str>>,
    /// Always served the stable version.
    pub control: BTreeSet<Arc<str>>,
}

/// Rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Share of users in treatment: a whole number of the scheme's cells, whatever the file says.
    pub exposure: Exposure,
    /// Least time in the step.
    pub bake: SignedDuration,
    /// Least treated observations of each guardrail in the step.
    pub samples: u64,
    /// Whether the step is left only after an approval.
    pub approval: bool,
}

/// When and how verdicts are drawn, and what follows from them.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisRules {
    /// Chance of a false rollback over the whole rollout.
    pub alpha: Alpha,
    /// Time between two verdicts: a whole number of seconds, at least one.
    pub every: SignedDuration,
    /// What follows when a guardrail gets no observations.
    pub no_data: Patience<OnNoData>,
    /// What follows from [`Verdict::Fail`](crate::analysis::Verdict::Fail).
    pub on_fail: OnFail,
    /// What follows when a step stays undecided.
    pub inconclusive: Patience<OnInconclusive>,
}

impl AnalysisRules {
    /// Whether a verdict is to be drawn in `tick`, after the one in `last`: verdicts are at whole multiples
    /// of [`Self::every`] since the Unix epoch, or in the first tick after one.
    pub fn is_due(&self, last: Tick, tick: Tick) -> bool {
        self.interval(last) != self.interval(tick)
    }

    /// The first tick from `tick` on that begins an interval between two verdicts.
    pub fn first_due_from(&self, tick: Tick) -> Tick {
        let every = self.every_seconds();
        let begins = self.interval(tick) * every;
        Tick::new(if begins < tick.second() {
            begins.saturating_add(every)
        } else {
            begins
        })
    }

    /// Which interval between two verdicts `tick` lies in.
    fn interval(&self, tick: Tick) -> i64 {
        tick.second().div_euclid(self.every_seconds())
    }

    fn every_seconds(&self) -> i64 {
        self.every.as_secs().max(Tick::SECONDS)
    }
}

/// A probability strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// Chance of a false proof of health of one metric.
    ///
    /// All guardrails must prove it, so that their number needs no correction (Berger 1982,
    /// intersection-union tests).
    pub const NON_INFERIOR: Self = Self(0.05);
    /// Chance of a false alarm of one fixed limit.
    pub const LIMIT: Self = Self(0.01);
    /// Chance of a false alarm of one metric's comparison with the past, for a control that is known.
    pub const PAST: Self = Self(0.005);
    /// Chance of taking a split of users for a wrong one that is as planned; likewise for the users of
    /// whom something was left out.
    pub const SAMPLE_RATIO: Self = Self(0.001);

    /// Refuses values outside the open interval from 0 to 1, and NaN.
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value < 1.0).then_some(Self(value))
    }

    /// The probability.
    pub fn get(self) -> f64 {
        self.0
    }

    /// `−ln alpha`: what a log e-value must reach.
    pub fn log_threshold(self) -> f64 {
        -self.0.ln()
    }
}

/// A wait, and what happens when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience<T> {
    /// How long to wait.
    pub after: SignedDuration,
    /// What then happens.
    pub then: T,
}

/// What follows when observations stay away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNoData {
    /// Stay in the step, and say so.
    Hold,
    /// Pause, so that a person looks.
    Pause,
    /// Roll back.
    RollBack,
}

/// What follows from a verdict `Fail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// Exposure to zero, labels back.
    RollBack,
    /// One step down; from the first step, roll back.
    StepBack,
    /// Keep the exposure and wait for a person.
    Pause,
}

/// What follows when a step stays undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Stay in the step, and say so.
    Hold,
    /// Pause, so that a person looks.
    Pause,
    /// Roll back.
    RollBack,
    /// Go on as if it had passed; only when no guardrail's estimate is worse than its margin.
    Advance,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name in observations.
    pub name: MetricName,
    /// What its values are.
    pub kind: MetricKind,
    /// Which way is good.
    pub better: Better,
    /// Its part in the verdict.
    pub role: Role,
    /// The worsening that is tolerated.
    pub margin: Margin,
    /// Fixed limit on the treatment arm (`floor` where higher is better, else `ceiling`), in metric
    /// units; of several quantiles, it is that of the highest.
    pub limit: Option<f64>,
    /// Share in the combined e-value, relative to the other metrics'; above 0.
    pub weight: f64,
    /// What is known from before the rollout: the mean, the rate, or the one quantile.
    pub baseline: Option<f64>,
    /// Whether every worsening that is proved takes the candidate back at once: inside of the margin,
    /// too, and whatever [`AnalysisRules::on_fail`] says; guardrails only.
    pub critical: bool,
    /// What people count an amount in, to be shown; none where nobody said.
    pub unit: Option<Arc<str>>,
    /// What feeds it, besides observations that name it.
    pub feed: Feed,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A metric's part in the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Worsening rolls back; the rollout advances only once it is proved non-inferior.
    Guardrail,
    /// Worsening rolls back; it does not hold an advance.
    Goal,
    /// Shown, never acted on.
    Watched,
}

/// The worsening that is tolerated; above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Margin {
    /// In the metric's own units (for a rate, as a ratio: `0.5pp` is 0.005).
    Absolute(f64),
    /// As a ratio of the control's mean or quantile: `10%` is 0.1.
    Relative(f64),
    /// As the share of values that may lie above the control's quantile in excess: `2pp` is 0.02.
    Exceedance(f64),
}

/// Conditions before the start or in a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gates {
    /// Evaluation of the candidate on a golden dataset, before the start.
    pub evaluation: Option<EvaluationGate>,
    /// Approval by people.
    pub approval: ApprovalGate,
}

/// What the candidate's recorded evaluation must show before any user sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationGate {
    /// The dataset that the evaluation was made on.
    pub dataset: Arc<str>,
    /// Least score by metric.
    pub floor: Vec<(MetricName, f64)>,
    /// Whether the candidate must also meet or beat the stable version's scores.
    pub versus_stable: bool,
}

/// Who must approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalGate {
    /// Whether the start waits for approval.
    pub before_start: bool,
    /// How many different people must approve, here and in a step with `approval: required`.
    pub from: u32,
    /// Who may approve, at least [`Self::from`] of them; anybody where it is none.
    pub by: Option<BTreeSet<Actor>>,
    /// Whether only administrators may.
    pub admins_only: bool,
}

impl Default for ApprovalGate {
    fn default() -> Self {
        Self {
            before_start: false,
            from: 1,
            by: None,
            admins_only: false,
        }
    }
}

/// How long applications keep a prompt that they fetched by label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// In each process, 0 s to 1 day; the 60 s of Langfuse's SDKs by default.
    pub cache_ttl: SignedDuration,
    /// In a Redis that processes share, 0 s to 1 day; none where they share none.
    pub redis_ttl: Option<SignedDuration>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            cache_ttl: SignedDuration::from_secs(60),
            redis_ttl: None,
        }
    }
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Where to send it; a Slack URL may hold `{secret}`.
    pub webhook: Arc<str>,
    /// What is sent.
    pub format: NotifyFormat,
    /// The name of a secret in the server's settings: it signs, authorizes, or is a part of the URL.
    pub secret: Option<SecretName>,
    /// Which transitions.
    pub on: Vec<NotifyOn>,
}

impl Notify {
    /// What stands for the secret in a URL.
    pub const SECRET_PLACE: &'static str = "{secret}";
}

/// The form of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NotifyFormat {
    /// JSON as Standard Webhooks has it, signed where there is a secret.
    #[default]
    Standard,
    /// An incoming webhook of Slack, or of a system that takes the same.
    Slack,
    /// An alert for Alertmanager's API, version 2.
    Alertmanager,
}

impl NotifyFormat {
    /// The name that people know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "webhook",
            Self::Slack => "Slack",
            Self::Alertmanager => "Alertmanager",
        }
    }
}

/// A transition that people can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyOn {
    /// A rollout began.
    Started,
    /// Exposure rose.
    Advanced,
    /// It waits for a person.
    Paused,
    /// Nobody is in treatment any more, and labels go back.
    RolledBack,
    /// The candidate became stable.
    Promoted,
}

impl NotifyOn {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Started,
        Self::Advanced,
        Self::Paused,
        Self::RolledBack,
        Self::Promoted,
    ];

    /// The word in policies and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Advanced => "advanced",
            Self::Paused => "paused",
            Self::RolledBack => "rolledBack",
            Self::Promoted => "promoted",
        }
    }
}

impl Policy {
    /// The exposure of `step` as users see it: never into the holdback.
    pub fn exposure_of(&self, step: usize) -> Exposure {
        self.steps.get(step).map_or(Exposure::NOBODY, |step| {
            step.exposure.min(self.assignment.holdback.complement())
        })
    }

    /// Whether the start or a step waits for approval.
    pub fn asks_for_approval(&self) -> bool {
        self.gates.approval.before_start || self.steps.iter().any(|step| step.approval)
    }

    /// The metrics whose worsening counts: guardrails and goals.
    pub fn guarded_metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| metric.role != Role::Watched)
    }
}
