//! Notifications as JSON.

use super::Text;
use crate::ids::{Generation, RolloutId};
use crate::policy::{NotifyFormat, NotifyOn};
use crate::rollout::{Notice, NoticeOutcome};
use serde::{Deserialize, Serialize};

/// A [`Notice`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct NoticeRow {
    rollout: Text<RolloutId>,
    generation: u64,
    on: OnRow,
    place: usize,
    format: FormatRow,
}

impl From<&Notice> for NoticeRow {
    fn from(notice: &Notice) -> Self {
        Self {
            rollout: Text(notice.rollout),
            generation: notice.generation.get(),
            on: notice.on.into(),
            place: notice.place,
            format: notice.format.into(),
        }
    }
}

impl From<NoticeRow> for Notice {
    fn from(row: NoticeRow) -> Self {
        Self {
            rollout: row.rollout.0,
            generation: Generation::new(row.generation),
            on: row.on.into(),
            place: row.place,
            format: row.format.into(),
        }
    }
}

/// A [`NotifyOn`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OnRow {
    Started,
    Advanced,
    Paused,
    RolledBack,
    Promoted,
}

impl From<NotifyOn> for OnRow {
    fn from(on: NotifyOn) -> Self {
        match on {
            NotifyOn::Started => Self::Started,
            NotifyOn::Advanced => Self::Advanced,
            NotifyOn::Paused => Self::Paused,
            NotifyOn::RolledBack => Self::RolledBack,
            NotifyOn::Promoted => Self::Promoted,
        }
    }
}

impl From<OnRow> for NotifyOn {
    fn from(row: OnRow) -> Self {
        match row {
            OnRow::Started => Self::Started,
            OnRow::Advanced => Self::Advanced,
            OnRow::Paused => Self::Paused,
            OnRow::RolledBack => Self::RolledBack,
            OnRow::Promoted => Self::Promoted,
        }
    }
}

/// A [`NotifyFormat`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum FormatRow {
    Standard,
    Slack,
    Alertmanager,
}

impl From<NotifyFormat> for FormatRow {
    fn from(format: NotifyFormat) -> Self {
        match format {
            NotifyFormat::Standard => Self::Standard,
            NotifyFormat::Slack => Self::Slack,
            NotifyFormat::Alertmanager => Self::Alertmanager,
        }
    }
}

impl From<FormatRow> for NotifyFormat {
    fn from(row: FormatRow) -> Self {
        match row {
            FormatRow::Standard => Self::Standard,
            FormatRow::Slack => Self::Slack,
            FormatRow::Alertmanager => Self::Alertmanager,
        }
    }
}

/// A [`NoticeOutcome`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub(in crate::store) enum NoticeOutcomeRow {
    Delivered,
    Failed { error: String },
    GivenUp { error: String },
}

impl From<&NoticeOutcome> for NoticeOutcomeRow {
    fn from(outcome: &NoticeOutcome) -> Self {
        match outcome {
            NoticeOutcome::Delivered => Self::Delivered,
            NoticeOutcome::Failed { error } => Self::Failed { error: error.clone() },
            NoticeOutcome::GivenUp { error } => Self::GivenUp { error: error.clone() },
        }
    }
}

impl From<NoticeOutcomeRow> for NoticeOutcome {
    fn from(row: NoticeOutcomeRow) -> Self {
        match row {
            NoticeOutcomeRow::Delivered => Self::Delivered,
            NoticeOutcomeRow::Failed { error } => Self::Failed { error },
            NoticeOutcomeRow::GivenUp { error } => Self::GivenUp { error },
        }
    }
}

/// Any notification, and anything that can come of one.
#[cfg(test)]
pub(super) mod strategies {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    pub(in crate::store::rows) fn notice() -> impl Strategy<Value = Notice> {
        use NotifyFormat::{Alertmanager, Slack, Standard};
        let format = select(vec![Standard, Slack, Alertmanager]);
        let on = select(NotifyOn::ALL.to_vec());
        (
            1..=i64::MAX.unsigned_abs(),
            any::<u64>(),
            on,
            any::<usize>(),
            format,
        )
            .prop_map(|(rollout, generation, on, place, format)| Notice {
                rollout: RolloutId::new(rollout),
                generation: Generation::new(generation),
                on,
                place,
                format,
            })
    }

    pub(in crate::store::rows) fn notice_outcome() -> impl Strategy<Value = NoticeOutcome> {
        prop_oneof![
            Just(NoticeOutcome::Delivered),
            ".*".prop_map(|error| NoticeOutcome::Failed { error }),
            ".*".prop_map(|error| NoticeOutcome::GivenUp { error }),
        ]
    }
}
