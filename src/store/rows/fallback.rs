//! Fallbacks of applications as JSON.

use super::Text;
use crate::ids::{Label, PromptName};
use crate::rollout::fallback::{Fallback, FallbackEnd, FallbackKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A [`Fallback`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct FallbackRow {
    prompt: Text<PromptName>,
    label: Option<Text<Label>>,
    kind: KindRow,
    words: String,
    first: Text<Timestamp>,
    end: Option<EndRow>,
}

/// A [`FallbackEnd`].
#[derive(Debug, Serialize, Deserialize)]
struct EndRow {
    last: Text<Timestamp>,
    count: u64,
}

/// A [`FallbackKind`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum KindRow {
    Stale,
    Unavailable,
    LabelMissing,
    VariablesMismatch,
}

impl From<FallbackKind> for KindRow {
    fn from(kind: FallbackKind) -> Self {
        match kind {
            FallbackKind::Stale => Self::Stale,
            FallbackKind::Unavailable => Self::Unavailable,
            FallbackKind::LabelMissing => Self::LabelMissing,
            FallbackKind::VariablesMismatch => Self::VariablesMismatch,
        }
    }
}

impl From<KindRow> for FallbackKind {
    fn from(row: KindRow) -> Self {
        match row {
            KindRow::Stale => Self::Stale,
            KindRow::Unavailable => Self::Unavailable,
            KindRow::LabelMissing => Self::LabelMissing,
            KindRow::VariablesMismatch => Self::VariablesMismatch,
        }
    }
}

impl From<&Fallback> for FallbackRow {
    fn from(fallback: &Fallback) -> Self {
        Self {
            prompt: Text(fallback.prompt.clone()),
            label: fallback.label.clone().map(Text),
            kind: fallback.kind.into(),
            words: fallback.words.clone(),
            first: Text(fallback.first),
            end: fallback.end.map(|end| EndRow {
                last: Text(end.last),
                count: end.count,
            }),
        }
    }
}

impl From<FallbackRow> for Fallback {
    fn from(row: FallbackRow) -> Self {
        Self {
            prompt: row.prompt.0,
            label: row.label.map(|label| label.0),
            kind: row.kind.into(),
            words: row.words,
            first: row.first.0,
            end: row.end.map(|end| FallbackEnd {
                last: end.last.0,
                count: end.count,
            }),
        }
    }
}

/// Any fallback.
#[cfg(test)]
pub(super) mod strategies {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn time() -> impl Strategy<Value = Timestamp> {
        (-377_705_023_201_i64..253_402_207_200).prop_map(|second| Timestamp::from_second(second).unwrap())
    }

    pub(in crate::store::rows) fn fallback() -> impl Strategy<Value = Fallback> {
        let name = "[a-z0-9]{1,36}".prop_map(|text| text.parse().unwrap());
        let label = "[a-z0-9]{1,36}".prop_map(|text| text.parse().unwrap());
        let end = (time(), any::<u64>()).prop_map(|(last, count)| FallbackEnd { last, count });
        let kind = select(vec![
            FallbackKind::Stale,
            FallbackKind::Unavailable,
            FallbackKind::LabelMissing,
            FallbackKind::VariablesMismatch,
        ]);
        (name, option::of(label), kind, ".*", time(), option::of(end)).prop_map(
            |(prompt, label, kind, words, first, end)| Fallback {
                prompt,
                label,
                kind,
                words,
                first,
                end,
            },
        )
    }
}
