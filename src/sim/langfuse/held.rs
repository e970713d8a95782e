//! What the model holds: prompts, their versions, and who holds which label.

use crate::prompt::labels::LATEST;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A version as Langfuse's database has it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) version: u32,
    pub(super) prompt: Value,
    pub(super) labels: BTreeSet<String>,
    created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// A label that came to point elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The prompt.
    pub prompt: String,
    /// The label.
    pub label: String,
    /// The version that held it; none when none did.
    pub from: Option<u32>,
    /// The version that holds it now; none when none does.
    pub to: Option<u32>,
    /// When.
    pub at: Timestamp,
    /// Whose doing it was.
    pub by: Writer,
}

/// Who changes labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Somebody with an API key, by a request whose caller waited for it.
    Key,
    /// Somebody with an API key, by a request whose caller had gone.
    LateKey,
    /// A person at the user interface.
    Person,
}

/// Everything, without faults.
#[derive(Debug, Default)]
pub(super) struct Held {
    prompts: BTreeMap<String, Vec<Row>>,
    journal: Vec<Written>,
    /// Bodies of webhooks that were not taken yet, oldest first.
    events: Vec<Value>,
}

/// Webhooks that wait to be taken; more are dropped.
const EVENTS_MAX: usize = 4_096;

impl Held {
    pub(super) fn create(&mut self, name: &str, prompt: Value, now: Timestamp) -> u32 {
        let rows = self.prompts.entry(name.to_owned()).or_default();
        let version = rows.last().map_or(1, |row| row.version + 1);
        for row in rows.iter_mut() {
            row.labels.remove(LATEST);
        }
        rows.push(Row {
            version,
            prompt,
            labels: BTreeSet::from([LATEST.to_owned()]),
            created_at: now,
            updated_at: now,
        });
        version
    }

    pub(super) fn rows(&self, name: &str) -> &[Row] {
        self.prompts.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    pub(super) fn holder(&self, name: &str, label: &str) -> Option<&Row> {
        self.rows(name).iter().find(|row| row.labels.contains(label))
    }

    pub(super) fn numbered(&self, name: &str, version: u32) -> Option<&Row> {
        self.rows(name).iter().find(|row| row.version == version)
    }

    pub(super) fn journal(&self) -> &[Written] {
        &self.journal
    }

    pub(super) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// Joins a label to a version and takes it from every other; to none takes it from all.
    ///
    /// One move is told by at least two webhooks, of the old holder and of the new one.
    pub(super) fn point(&mut self, name: &str, label: &str, to: Option<u32>, by: Writer, now: Timestamp) {
        let from = self.holder(name, label).map(|row| row.version);
        if from == to {
            return;
        }
        let Some(rows) = self.prompts.get_mut(name) else {
            return;
        };
        for row in rows.iter_mut() {
            let changed = if Some(row.version) == to {
                row.labels.insert(label.to_owned())
            } else {
                row.labels.remove(label)
            };
            if changed {
                row.updated_at = now;
                if self.events.len() < EVENTS_MAX {
                    self.events.push(event(name, row, now));
                }
            }
        }
        self.journal.push(Written {
            prompt: name.to_owned(),
            label: label.to_owned(),
            from,
            to,
            at: now,
            by,
        });
    }
}

/// A webhook's body.
fn event(name: &str, row: &Row, now: Timestamp) -> Value {
    json!({
        "id": format!("event-{name}-{}-{}", row.version, now.as_millisecond()),
        "timestamp": now.to_string(),
        "type": "prompt-version",
        "apiVersion": "v1",
        "action": "updated",
        "prompt": row.wire(name),
    })
}

impl Row {
    /// As Langfuse answers it.
    pub(super) fn wire(&self, name: &str) -> Value {
        json!({
            "id": format!("{name}-{}", self.version),
            "createdAt": self.created_at.to_string(),
            "updatedAt": self.updated_at.to_string(),
            "projectId": "project",
            "createdBy": "API",
            "name": name,
            "version": self.version,
            "type": if self.prompt.is_string() { "text" } else { "chat" },
            "prompt": self.prompt,
            "config": {},
            "labels": self.labels,
            "tags": [],
            "commitMessage": null,
            "isActive": null,
            "resolutionGraph": null,
        })
    }
}
