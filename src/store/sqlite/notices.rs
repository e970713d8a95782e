//! Notifications that were committed with a transition, and what came of them.

use super::queue::Lane;
use super::{SqliteStore, audit, page};
use crate::ids::RolloutId;
use crate::rollout::{AuditEvent, Effect, Notice, NoticeOutcome};
use crate::store::rows;
use crate::store::rows::notice::{NoticeOutcomeRow, NoticeRow};
use crate::store::{FailingNotices, NOTICES_WAITING_MAX, NoticeId, NoticeStore, PendingNotice, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

#[async_trait]
impl NoticeStore for SqliteStore {
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<PendingNotice>, StoreError> {
        self.read(move |connection| due(connection, now, page(limit)))
            .await
    }

    async fn failing_notices(&self) -> Result<Vec<FailingNotices>, StoreError> {
        self.read(failing).await
    }

    async fn record_notice(
        &self,
        at: Timestamp,
        notice: NoticeId,
        outcome: NoticeOutcome,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            record(group.connection, at, notice, &outcome, due_at)
        })
        .await
    }
}

/// Adds the notifications of a transition whose record in the history is `record`.
pub(super) fn add(
    connection: &Connection,
    at: Timestamp,
    rollout: RolloutId,
    record: u64,
    effects: &[Effect],
) -> Result<(), StoreError> {
    for effect in effects {
        let notice = match effect {
            Effect::Notify(notice) => Notice { rollout, ..*notice },
            Effect::MoveLabel(_) => continue,
        };
        let waiting: i64 = connection
            .prepare_cached("SELECT count(*) FROM notices WHERE finished = 0")?
            .query_row([], |row| row.get(0))?;
        if waiting >= rows::integer(NOTICES_WAITING_MAX)? {
            let error = format!("{NOTICES_WAITING_MAX} others wait already");
            let outcome = NoticeOutcome::GivenUp { error };
            audit::append(connection, at, rollout, &AuditEvent::Notice { notice, outcome })?;
            continue;
        }
        connection
            .prepare_cached(
                "INSERT INTO notices (rollout, record, place, notice, attempts, due, finished)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, 0)",
            )?
            .execute(params![
                rows::integer(rollout.get())?,
                rows::integer(record)?,
                rows::integer(notice.place.try_into().unwrap_or(u64::MAX))?,
                rows::encode(&NoticeRow::from(&notice))?,
                at.as_microsecond()
            ])?;
    }
    Ok(())
}

fn due(connection: &Connection, now: Timestamp, limit: i64) -> Result<Vec<PendingNotice>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT notices.id, notices.notice, notices.attempts, notices.record, notices.rollout,
                policy_sources.source
         FROM notices
         JOIN rollouts ON rollouts.id = notices.rollout
         JOIN policy_sources ON policy_sources.revision = rollouts.revision
         WHERE notices.due <= ?1
           AND notices.id IN (SELECT min(id) FROM notices WHERE finished = 0 GROUP BY rollout, place)
         ORDER BY notices.id LIMIT ?2",
    )?;
    let mut found = statement.query(params![now.as_microsecond(), limit])?;
    let mut notices = Vec::new();
    while let Some(row) = found.next()? {
        let notice: NoticeRow = rows::decode("a notification", row.get_ref(1)?.as_str()?)?;
        let sequence = rows::natural("an audit record's number", row.get(3)?)?;
        let rollout = RolloutId::new(rows::natural("a rollout's number", row.get(4)?)?);
        let record = audit::read(connection, rollout, Some(sequence.saturating_sub(1)), 1)?.pop();
        notices.push(PendingNotice {
            id: NoticeId(rows::natural("a notification's number", row.get(0)?)?),
            notice: notice.into(),
            record: record.ok_or_else(|| rows::corrupt("a notification", "it tells of nothing"))?,
            policy_source: row.get(5)?,
            attempts: row.get(2)?,
        });
    }
    Ok(notices)
}

fn failing(connection: &Connection) -> Result<Vec<FailingNotices>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT rollouts.policy, count(*), max(notices.outcome)
         FROM notices JOIN rollouts ON rollouts.id = notices.rollout
         WHERE notices.finished = 0 GROUP BY rollouts.policy HAVING max(notices.attempts) > 0
         ORDER BY rollouts.policy",
    )?;
    let mut found = statement.query([])?;
    let mut failing = Vec::new();
    while let Some(row) = found.next()? {
        let outcome: NoticeOutcomeRow =
            rows::decode("what came of a notification", row.get_ref(2)?.as_str()?)?;
        failing.push(FailingNotices {
            policy: rows::parse("a policy's name", row.get_ref(0)?.as_str()?)?,
            waiting: rows::natural("a number of notifications", row.get(1)?)?,
            error: match outcome.into() {
                NoticeOutcome::Failed { error } | NoticeOutcome::GivenUp { error } => error,
                NoticeOutcome::Delivered => String::new(),
            },
        });
    }
    Ok(failing)
}

/// Notes what came of an attempt; see [`NoticeStore::record_notice`].
fn record(
    connection: &Connection,
    at: Timestamp,
    id: NoticeId,
    outcome: &NoticeOutcome,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    let number = rows::integer(id.0)?;
    let stored: Option<(String, u32, bool, Option<String>)> = connection
        .prepare_cached("SELECT notice, attempts, finished, outcome FROM notices WHERE id = ?1")?
        .query_row([number], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((notice, attempts, finished, before)) = stored else {
        return Err(StoreError::UnknownNotice(id));
    };
    if finished {
        return Ok(());
    }
    let finishes = match outcome {
        NoticeOutcome::Delivered | NoticeOutcome::GivenUp { .. } => true,
        NoticeOutcome::Failed { .. } => false,
    };
    let attempts = attempts.saturating_add(1);
    let last = rows::encode(&NoticeOutcomeRow::from(outcome))?;
    connection
        .prepare_cached(
            "UPDATE notices SET attempts = ?2, finished = ?3, outcome = ?4, tried_at = ?5, due = ?6
             WHERE id = ?1",
        )?
        .execute(params![
            number,
            attempts,
            finishes,
            last,
            at.to_string(),
            due_at.as_microsecond()
        ])?;
    if finishes || before.as_ref() != Some(&last) || attempts.is_power_of_two() {
        let notice: NoticeRow = rows::decode("a notification", &notice)?;
        let (notice, outcome) = (Notice::from(notice), outcome.clone());
        audit::append(
            connection,
            at,
            notice.rollout,
            &AuditEvent::Notice { notice, outcome },
        )?;
    }
    Ok(())
}
