//! Scores of other systems' clients.

use crate::store::rows;
use crate::store::{
    Score, ScoreFilter, ScoreKind, ScorePage, ScoreSource, ScoreStore, ScoreSubject, ScoreValue, Serving,
    StoreError,
};
use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use std::collections::BTreeSet;

use super::queue::Lane;
use super::{SqliteStore, page, servings};

/// Scores that are kept; older ones go.
const SCORES_KEPT_MAX: i64 = 1_000_000;

/// The columns in the order that [`read`] expects.
const COLUMNS: &str = "sequence, id, name, kind, number, words, trace, observation, session, dataset_run, \
                       origin, environment, config, queue, comment, metadata, at, created_at, updated_at, \
                       waiting";

#[async_trait]
impl ScoreStore for SqliteStore {
    async fn keep_scores(&self, scores: Vec<Score>) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            scores
                .iter()
                .try_for_each(|score| keep(group.connection, score))?;
            forget(group.connection)
        })
        .await
    }

    async fn settle_scores(&self, ids: Vec<String>) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| settle(group.connection, &ids))
            .await
    }

    async fn waiting_scores(
        &self,
        traces: BTreeSet<String>,
        sessions: BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Score>, StoreError> {
        self.read(move |connection| waiting(connection, &traces, &sessions, limit))
            .await
    }

    async fn scores(&self, filter: ScoreFilter, page: ScorePage) -> Result<Vec<(u64, Score)>, StoreError> {
        self.read(move |connection| list(connection, &filter, page)).await
    }

    async fn count_scores(&self, filter: ScoreFilter) -> Result<usize, StoreError> {
        self.read(move |connection| count(connection, &filter)).await
    }

    async fn note_servings(&self, noted: Vec<Serving>) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            servings::note(group.connection, &noted)
        })
        .await
    }

    async fn servings(&self, of: Vec<ScoreSubject>) -> Result<Vec<Vec<Serving>>, StoreError> {
        self.read(move |connection| of.iter().map(|about| servings::of(connection, about)).collect())
            .await
    }
}

fn keep(connection: &Connection, score: &Score) -> Result<(), StoreError> {
    let metadata = rows::encode(&score.metadata)?;
    connection
        .prepare_cached(
            "INSERT INTO scores
             (id, name, kind, number, words, trace, observation, session, dataset_run, origin,
              environment, config, queue, comment, metadata, at, at_micros, created_at, updated_at, waiting)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
             ON CONFLICT (id) DO UPDATE SET
              name = excluded.name, kind = excluded.kind, number = excluded.number, words = excluded.words,
              trace = excluded.trace, observation = excluded.observation, session = excluded.session,
              dataset_run = excluded.dataset_run, origin = excluded.origin,
              environment = excluded.environment, config = excluded.config, queue = excluded.queue,
              comment = excluded.comment, metadata = excluded.metadata, at = excluded.at,
              at_micros = excluded.at_micros, updated_at = excluded.updated_at,
              waiting = min(waiting, excluded.waiting)",
        )?
        .execute(params![
            score.id,
            score.name,
            score.value.kind().as_str(),
            score.value.number(),
            score.value.words(),
            score.about.trace,
            score.about.observation,
            score.about.session,
            score.about.dataset_run,
            score.source.as_str(),
            score.environment,
            score.config,
            score.queue,
            score.comment,
            metadata,
            score.at.to_string(),
            score.at.as_microsecond(),
            score.created_at.to_string(),
            score.updated_at.to_string(),
            score.waiting,
        ])?;
    Ok(())
}

/// Forgets the oldest ones that are too many.
fn forget(connection: &Connection) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM scores WHERE sequence <= (SELECT max(sequence) FROM scores) - ?1")?
        .execute([SCORES_KEPT_MAX])?;
    Ok(())
}

fn settle(connection: &Connection, ids: &[String]) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached("UPDATE scores SET waiting = 0 WHERE id = ?1")?;
    for id in ids {
        update.execute([id])?;
    }
    Ok(())
}

fn waiting(
    connection: &Connection,
    traces: &BTreeSet<String>,
    sessions: &BTreeSet<String>,
    limit: usize,
) -> Result<Vec<Score>, StoreError> {
    let mut found = Vec::new();
    for (column, keys) in [("trace", traces), ("session", sessions)] {
        let statement = format!(
            "SELECT {COLUMNS} FROM scores WHERE {column} = ?1 AND waiting = 1 ORDER BY sequence LIMIT ?2"
        );
        let mut statement = connection.prepare_cached(&statement)?;
        for key in keys {
            let left = i64::try_from(limit - found.len().min(limit)).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![key, left])?;
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
        }
    }
    found.sort_by_key(|(sequence, _)| *sequence);
    found.dedup_by_key(|(sequence, _)| *sequence);
    Ok(found.into_iter().map(|(_, score)| score).collect())
}

fn list(
    connection: &Connection,
    filter: &ScoreFilter,
    wanted: ScorePage,
) -> Result<Vec<(u64, Score)>, StoreError> {
    let mut condition = Condition::of(filter);
    if let Some(before) = wanted.before {
        condition.add("sequence < ?", [Value::from(rows::integer(before)?)]);
    }
    let skip = i64::try_from(wanted.skip).unwrap_or(i64::MAX);
    let statement = format!(
        "SELECT {COLUMNS} FROM scores WHERE {} ORDER BY sequence DESC LIMIT ? OFFSET ?",
        condition.text
    );
    condition
        .values
        .extend([Value::from(page(wanted.limit)), Value::from(skip)]);
    let mut statement = connection.prepare(&statement)?;
    let mut found = statement.query(params_from_iter(condition.values))?;
    let mut scores = Vec::new();
    while let Some(row) = found.next()? {
        scores.push(read(row)?);
    }
    Ok(scores)
}

fn count(connection: &Connection, filter: &ScoreFilter) -> Result<usize, StoreError> {
    let condition = Condition::of(filter);
    let statement = format!("SELECT count(*) FROM scores WHERE {}", condition.text);
    let count: i64 = connection
        .prepare(&statement)?
        .query_row(params_from_iter(condition.values), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// What a row must be like; no value stands in its text.
struct Condition {
    text: String,
    values: Vec<Value>,
}

impl Condition {
    fn of(filter: &ScoreFilter) -> Self {
        let mut condition = Self {
            text: "TRUE".to_owned(),
            values: Vec::new(),
        };
        for (column, keys) in [
            ("id", &filter.ids),
            ("name", &filter.names),
            ("environment", &filter.environments),
            ("config", &filter.configs),
            ("queue", &filter.queues),
            ("trace", &filter.traces),
            ("observation", &filter.observations),
            ("session", &filter.sessions),
            ("dataset_run", &filter.dataset_runs),
            ("words", &filter.words),
        ] {
            condition.any_of(column, keys.iter().map(String::as_str));
        }
        condition.any_of("origin", filter.sources.iter().map(|source| source.as_str()));
        condition.any_of("kind", filter.kinds.iter().map(|kind| kind.as_str()));
        for (comparison, number) in &filter.numbers {
            let text = format!("number {} ?", comparison.as_str());
            condition.add(&text, [Value::from(*number)]);
        }
        for (text, at) in [("at_micros >= ?", filter.from), ("at_micros < ?", filter.to)] {
            if let Some(at) = at {
                condition.add(text, [Value::from(at.as_microsecond())]);
            }
        }
        condition
    }

    fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
        self.values.extend(values);
    }

    fn any_of<'k>(&mut self, column: &str, keys: impl ExactSizeIterator<Item = &'k str>) {
        if keys.len() > 0 {
            let places = vec!["?"; keys.len()].join(", ");
            let values = keys.map(|key| Value::from(key.to_owned()));
            self.add(&format!("{column} IN ({places})"), values);
        }
    }
}

fn read(row: &Row<'_>) -> Result<(u64, Score), StoreError> {
    let metadata: String = row.get(15)?;
    let score = Score {
        id: row.get(1)?,
        name: row.get(2)?,
        value: value(row)?,
        about: ScoreSubject {
            trace: row.get(6)?,
            observation: row.get(7)?,
            session: row.get(8)?,
            dataset_run: row.get(9)?,
        },
        source: word(
            "a score's source",
            row.get_ref(10)?.as_str()?,
            &ScoreSource::ALL,
            ScoreSource::as_str,
        )?,
        environment: row.get(11)?,
        config: row.get(12)?,
        queue: row.get(13)?,
        comment: row.get(14)?,
        metadata: rows::decode("the metadata of a score", &metadata)?,
        at: rows::parse("the time of a score", row.get_ref(16)?.as_str()?)?,
        created_at: rows::parse("the time of a score", row.get_ref(17)?.as_str()?)?,
        updated_at: rows::parse("the time of a score", row.get_ref(18)?.as_str()?)?,
        waiting: row.get(19)?,
    };
    Ok((rows::natural("a score's place", row.get(0)?)?, score))
}

fn value(row: &Row<'_>) -> Result<ScoreValue, StoreError> {
    let kind = word(
        "a score's kind",
        row.get_ref(3)?.as_str()?,
        &ScoreKind::ALL,
        ScoreKind::as_str,
    )?;
    let number = || row.get::<_, Option<f64>>(4).map(Option::unwrap_or_default);
    let words = || row.get::<_, Option<String>>(5).map(Option::unwrap_or_default);
    Ok(match kind {
        ScoreKind::Numeric => ScoreValue::Number(number()?),
        ScoreKind::Boolean => ScoreValue::Truth(number()? > 0.5),
        ScoreKind::Categorical => ScoreValue::Category(words()?),
        ScoreKind::Text => ScoreValue::Text(words()?),
        ScoreKind::Correction => ScoreValue::Correction(words()?),
    })
}

fn word<T: Copy>(
    what: &'static str,
    text: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<T, StoreError> {
    let found = all.iter().find(|item| as_str(**item) == text);
    found
        .copied()
        .ok_or_else(|| rows::corrupt(what, format_args!("`{text}` is not one")))
}
