//! Observations that applications push: from the bytes of a request to what the store counts.
//!
//! Pure: the caller brings the board, the snapshot and the body, and commits what comes out. A line is
//! counted whole or refused whole; a bad line does not keep the others from being counted. User keys
//! are hashed to a cluster here and go no further.

use super::attribute::{self, Attributed, Context, Owners, Worth};
use super::line::{Line, Value, shown};
use super::refusal::{Ignored, Refusal, RefusalCode, Refused};
use crate::analysis::Observation;
use crate::ids::{Arm, MetricName, PolicyName};
use crate::spelling;
use crate::store::{Counted, Exclusion, ExclusionCause};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

pub use super::attribute::{ID_BYTES_MAX, VALUE_MAGNITUDE_MAX, World};
pub use super::line::METRICS_PER_OBSERVATION_MAX;
pub use super::sight::CLAIMS_SETTLE;

/// How many refusals of one request come with a near policy's name.
const HINTS_MAX: usize = 8;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object, or an array of objects.
    Json,
    /// One object a line; empty lines are skipped.
    Ndjson,
    /// Likewise, as they were recorded: each with the `time` at which it was, which is not looked at here.
    /// A line without `policy` is about the first one of the board.
    Recorded {
        /// Whether versions tell the arms apart; else `arm` counts before `version`.
        versions: bool,
        /// Whether receipts can be verified; else they are passed over.
        receipts: bool,
    },
}

/// A body of which no line can be told apart from the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but neither an object nor an array.
    #[error("the body must be an object or an array of objects")]
    NotAList,
    /// It has more lines than a request may have.
    #[error("the body has more than {max} observations: send them in several requests")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
}

/// What became of the lines of a body.
#[derive(Debug, Default)]
pub struct Ingested {
    /// What is to be counted, in the order in which it came.
    pub observations: Vec<Counted>,
    /// What would be counted, if it could be; its lines are among the refused ones.
    pub exclusions: Vec<Exclusion>,
    /// How many lines belong to no running comparison, by reason.
    pub ignored: BTreeMap<Ignored, u64>,
    /// The lines that are wrong, in order.
    pub refused: Vec<Refused>,
    /// How many values are to be counted.
    values: BTreeMap<(PolicyName, MetricName, Arm), u64>,
    /// The observations that have an id, and may turn out to be counted already.
    identified: Vec<Identified>,
}

/// An observation that has an id.
#[derive(Debug)]
struct Identified {
    position: usize,
    policy: PolicyName,
    arm: Arm,
    metrics: Vec<MetricName>,
}

impl Ingested {
    /// How many values are counted, once the store has said which observations it had already.
    ///
    /// `duplicates` are positions in [`Self::observations`].
    pub fn values_without(mut self, duplicates: &[usize]) -> BTreeMap<(PolicyName, MetricName, Arm), u64> {
        for Identified {
            position,
            policy,
            arm,
            metrics,
        } in self.identified
        {
            if !duplicates.contains(&position) {
                continue;
            }
            for metric in metrics {
                if let Some(count) = self.values.get_mut(&(policy.clone(), metric, arm)) {
                    *count -= 1;
                }
            }
        }
        self.values
    }
}

/// Judges every line of `body`; refuses the body whole only when its lines cannot be told apart.
pub fn ingest(
    world: &World<'_>,
    body: &[u8],
    format: Format,
    lines_max: usize,
) -> Result<Ingested, BodyError> {
    let mut judge = Judge::new(world, format);
    match format {
        Format::Ndjson | Format::Recorded { .. } => {
            let lines = body.split(|byte| *byte == b'\n').enumerate();
            let mut seen = 0;
            for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
                seen += 1;
                if seen > lines_max {
                    return Err(BodyError::TooMany { max: lines_max });
                }
                judge.line(index + 1, std::str::from_utf8(line));
            }
        }
        Format::Json => {
            for (index, element) in elements(body, lines_max)?.into_iter().enumerate() {
                judge.line(index + 1, Ok(element.get()));
            }
        }
    }
    Ok(judge.finish())
}

/// The object, or the objects of the array.
fn elements(body: &[u8], lines_max: usize) -> Result<Vec<&RawValue>, BodyError> {
    let not_json = |error: serde_json::Error| BodyError::NotJson(error.to_string());
    let elements = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body).map_err(not_json)?,
        Some(b'{') => vec![serde_json::from_slice(body).map_err(not_json)?],
        Some(_) | None => {
            serde_json::from_slice::<&RawValue>(body).map_err(not_json)?;
            return Err(BodyError::NotAList);
        }
    };
    if elements.len() > lines_max {
        return Err(BodyError::TooMany { max: lines_max });
    }
    Ok(elements)
}

/// Judges line after line; most name the same policy as the one before.
struct Judge<'w, 't> {
    world: &'w World<'w>,
    format: Format,
    owners: Owners<'w>,
    contexts: Vec<Account<'w>>,
    by_policy: HashMap<&'w str, usize>,
    last: usize,
    line: Line<'t>,
    /// Where the line's metrics are in the policy that its rollout runs under.
    positions: Vec<usize>,
    result: Ingested,
}

/// A policy, and how many values of each of its metrics came for each arm.
struct Account<'w> {
    context: Context<'w>,
    values: Vec<[u64; 2]>,
}

impl<'w, 't> Judge<'w, 't> {
    fn new(world: &'w World<'w>, format: Format) -> Self {
        Self {
            world,
            format,
            owners: Owners::default(),
            contexts: Vec::new(),
            by_policy: HashMap::new(),
            last: 0,
            line: match format {
                Format::Json | Format::Ndjson => Line::default(),
                Format::Recorded { .. } => Line::recorded(),
            },
            positions: Vec::new(),
            result: Ingested::default(),
        }
    }

    fn line(&mut self, number: usize, text: Result<&'t str, std::str::Utf8Error>) {
        if let Err(Refusal { code, detail }) = self.judge(text) {
            let line = number;
            self.result.refused.push(Refused { line, code, detail });
        }
    }

    fn judge(&mut self, text: Result<&'t str, std::str::Utf8Error>) -> Result<(), Refusal> {
        let text = text.map_err(|_| Refusal::new(RefusalCode::Malformed, "not UTF-8"))?;
        self.line.read(text)?;
        if let Format::Recorded { versions, receipts } = self.format {
            self.line.keep(versions, receipts);
        }
        let index = self.account()?;
        let context = &self.contexts[index].context;
        let Attributed { worth, fallback } =
            attribute::attributed(&self.line, context, self.world, &self.owners)?;
        if let Some(refusal) = fallback {
            self.exclude(worth, ExclusionCause::Fallback);
            return Err(refusal);
        }
        let id = attribute::text(self.line.id.as_ref(), "id")?;
        if id.is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            let detail = format!("`id` must be 1 to {ID_BYTES_MAX} bytes of UTF-8");
            return Err(Refusal::new(RefusalCode::BadField, detail));
        }
        let values = match values(context, &self.line.metrics, &mut self.positions) {
            Err(refusal) if refusal.code == RefusalCode::OutOfRange => {
                self.exclude(worth, ExclusionCause::OutOfRange);
                return Err(refusal);
            }
            values => values?,
        };
        match worth {
            Worth::Ignored(reason) => self.ignore(reason),
            Worth::Counts { .. } if values.is_empty() => self.ignore(Ignored::MetricsNotInRollout),
            Worth::Counts {
                rollout,
                arm,
                cluster,
                sight,
            } => {
                let policy = &context.status.policy.name;
                let id = id.map(|id| attribute::fingerprint(policy, id));
                if id.is_some() {
                    self.result.identified.push(Identified {
                        position: self.result.observations.len(),
                        policy: policy.clone(),
                        arm,
                        metrics: values.iter().map(|(metric, _)| metric.clone()).collect(),
                    });
                }
                for position in &self.positions {
                    self.contexts[index].values[*position][arm_index(arm)] += 1;
                }
                let counted = Counted {
                    rollout,
                    arm,
                    cluster,
                    sight,
                    values,
                    id,
                };
                self.result.observations.push(counted);
            }
        }
        Ok(())
    }

    /// Notes that a line which would count is left out.
    fn exclude(&mut self, worth: Worth, cause: ExclusionCause) {
        match worth {
            Worth::Counts {
                rollout, arm, sight, ..
            } => self.result.exclusions.push(Exclusion {
                rollout,
                arm,
                cause,
                sight,
            }),
            Worth::Ignored(_) => {}
        }
    }

    fn ignore(&mut self, reason: Ignored) {
        *self.result.ignored.entry(reason).or_default() += 1;
    }

    /// The index of the account of the line's policy.
    fn account(&mut self) -> Result<usize, Refusal> {
        let name = match attribute::text(self.line.policy.as_ref(), "policy")? {
            Some(name) => name,
            None => self
                .policy_of_all()
                .ok_or_else(|| Refusal::new(RefusalCode::UnknownPolicy, "`policy` is missing"))?,
        };
        if let Some(account) = self.contexts.get(self.last)
            && account.context.status.policy.name.as_str() == name
        {
            return Ok(self.last);
        }
        self.last = match self.by_policy.get(name) {
            Some(index) => *index,
            None => {
                let context = self
                    .world
                    .context(name)
                    .ok_or_else(|| unknown_policy(self.world, name, self.result.refused.len()))?;
                self.by_policy
                    .insert(context.status.policy.name.as_str(), self.contexts.len());
                let values = vec![[0; 2]; context.running.metrics.len()];
                self.contexts.push(Account { context, values });
                self.contexts.len() - 1
            }
        };
        Ok(self.last)
    }

    /// The policy of lines that name none.
    fn policy_of_all(&self) -> Option<&'w str> {
        let first = self.world.board.policies.keys().next();
        match self.format {
            Format::Json | Format::Ndjson => None,
            Format::Recorded { .. } => first.map(PolicyName::as_str),
        }
    }

    fn finish(mut self) -> Ingested {
        for Account { context, values } in self.contexts {
            for (metric, by_arm) in context.running.metrics.iter().zip(values) {
                for arm in [Arm::Control, Arm::Treatment] {
                    let count = by_arm[arm_index(arm)];
                    if count > 0 {
                        let policy = context.status.policy.name.clone();
                        self.result
                            .values
                            .insert((policy, metric.name.clone(), arm), count);
                    }
                }
            }
        }
        self.result
    }
}

fn arm_index(arm: Arm) -> usize {
    match arm {
        Arm::Control => 0,
        Arm::Treatment => 1,
    }
}

/// A hint compares the name with every policy, so only the first refusals of a request get one.
fn unknown_policy(world: &World<'_>, name: &str, refused: usize) -> Refusal {
    let known = world.board.policies.keys().map(PolicyName::as_str);
    let hint = if refused < HINTS_MAX {
        spelling::hint(name, known)
    } else {
        String::new()
    };
    let detail = format!("there is no policy `{}`{hint}", shown(name));
    Refusal::new(RefusalCode::UnknownPolicy, detail)
}

/// The values that count for the rollout; `positions` is filled with where their metrics are in its
/// policy.
///
/// A metric that the file has gained since the rollout began is checked, but does not count.
fn values(
    context: &Context<'_>,
    metrics: &[(Cow<'_, str>, Value<'_>)],
    positions: &mut Vec<usize>,
) -> Result<Vec<(MetricName, Observation)>, Refusal> {
    positions.clear();
    let mut values = Vec::with_capacity(metrics.len());
    for (index, (name, value)) in metrics.iter().enumerate() {
        if let Some(position) = attribute::position(context.running, name, index) {
            let metric = &context.running.metrics[position];
            values.push((metric.name.clone(), attribute::observation(metric, value)?));
            positions.push(position);
        } else if let Some(position) = attribute::position(&context.status.policy, name, index) {
            attribute::observation(&context.status.policy.metrics[position], value)?;
        } else {
            return Err(attribute::unknown_metric(context.running, name));
        }
    }
    Ok(values)
}
