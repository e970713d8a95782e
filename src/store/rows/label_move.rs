//! Label moves as JSON, and what came of them.

use super::{Number, Text};
use crate::ids::{Generation, Label, PromptName, RolloutId};
use crate::rollout::{LabelMove, LabelMoveOutcome, Parents};
use serde::{Deserialize, Serialize};

/// A [`LabelMove`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct LabelMoveRow {
    prompt: Text<PromptName>,
    label: Text<Label>,
    from: Option<Number>,
    to: Number,
    rollout: Text<RolloutId>,
    generation: u64,
    /// Absent where there are none, and in what was written before they were told.
    #[serde(default, skip_serializing_if = "ParentsRow::is_none")]
    parents: ParentsRow,
}

/// [`Parents`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::store) struct ParentsRow {
    labels: Vec<(Text<PromptName>, Text<Label>)>,
    more: usize,
    gap: Option<String>,
}

impl ParentsRow {
    /// Whether they tell of nothing.
    pub(in crate::store) fn is_none(&self) -> bool {
        self.labels.is_empty() && self.more == 0 && self.gap.is_none()
    }
}

impl From<&Parents> for ParentsRow {
    fn from(parents: &Parents) -> Self {
        let labels = parents.labels.iter();
        Self {
            labels: labels
                .map(|(prompt, label)| (Text(prompt.clone()), Text(label.clone())))
                .collect(),
            more: parents.more,
            gap: parents.gap.clone(),
        }
    }
}

impl From<ParentsRow> for Parents {
    fn from(row: ParentsRow) -> Self {
        let labels = row.labels.into_iter();
        Self {
            labels: labels.map(|(prompt, label)| (prompt.0, label.0)).collect(),
            more: row.more,
            gap: row.gap,
        }
    }
}

impl From<&LabelMove> for LabelMoveRow {
    fn from(label_move: &LabelMove) -> Self {
        Self {
            prompt: Text(label_move.prompt.clone()),
            label: Text(label_move.label.clone()),
            from: label_move.from.map(Number),
            to: Number(label_move.to),
            rollout: Text(label_move.rollout),
            generation: label_move.generation.get(),
            parents: (&label_move.parents).into(),
        }
    }
}

impl From<LabelMoveRow> for LabelMove {
    fn from(row: LabelMoveRow) -> Self {
        Self {
            prompt: row.prompt.0,
            label: row.label.0,
            from: row.from.map(|from| from.0),
            to: row.to.0,
            rollout: row.rollout.0,
            generation: Generation::new(row.generation),
            parents: row.parents.into(),
        }
    }
}

/// A [`LabelMoveOutcome`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub(in crate::store) enum OutcomeRow {
    Confirmed,
    Foreign { found: Option<Number> },
    Superseded,
    Failed { error: String },
}

impl From<&LabelMoveOutcome> for OutcomeRow {
    fn from(outcome: &LabelMoveOutcome) -> Self {
        match outcome {
            LabelMoveOutcome::Confirmed => Self::Confirmed,
            LabelMoveOutcome::Foreign { found } => Self::Foreign {
                found: found.map(Number),
            },
            LabelMoveOutcome::Superseded => Self::Superseded,
            LabelMoveOutcome::Failed { error } => Self::Failed { error: error.clone() },
        }
    }
}

impl From<OutcomeRow> for LabelMoveOutcome {
    fn from(row: OutcomeRow) -> Self {
        match row {
            OutcomeRow::Confirmed => Self::Confirmed,
            OutcomeRow::Foreign { found } => Self::Foreign {
                found: found.map(|found| found.0),
            },
            OutcomeRow::Superseded => Self::Superseded,
            OutcomeRow::Failed { error } => Self::Failed { error },
        }
    }
}

/// Any label move.
#[cfg(test)]
pub(super) mod strategies {
    use super::*;
    use crate::ids::Version;
    use proptest::option;
    use proptest::prelude::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
        "[a-z0-9]{1,36}".prop_map(|text| text.parse().unwrap())
    }

    fn version() -> impl Strategy<Value = Version> {
        (1..=u32::MAX).prop_map(|number| Version::new(number).unwrap())
    }

    pub(in crate::store::rows) fn label_move() -> impl Strategy<Value = LabelMove> {
        let rollout = (1..=i64::MAX.unsigned_abs()).prop_map(RolloutId::new);
        let versions = (option::of(version()), version());
        (name(), name(), versions, rollout, any::<u64>(), parents()).prop_map(
            |(prompt, label, (from, to), rollout, generation, parents)| LabelMove {
                prompt,
                label,
                from,
                to,
                rollout,
                generation: Generation::new(generation),
                parents,
            },
        )
    }

    fn parents() -> impl Strategy<Value = Parents> {
        let labels = prop::collection::vec((name(), name()), 0..3);
        (labels, any::<usize>(), option::of(".*")).prop_map(|(labels, more, gap)| Parents {
            labels,
            more,
            gap,
        })
    }
}
