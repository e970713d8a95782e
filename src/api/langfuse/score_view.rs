//! A score as Langfuse shows it, in both versions of its API.

use super::PROJECT;
use crate::store::{Score, ScoreValue};
use serde_json::{Value, json};

/// Groups of fields that are shown where they are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Groups {
    pub(super) details: bool,
    pub(super) subject: bool,
    pub(super) annotation: bool,
}

/// A score in version 3.
pub(super) fn v3(score: &Score, groups: Groups) -> Value {
    let mut view = core(score);
    view["value"] = match &score.value {
        ScoreValue::Number(number) => json!(number),
        ScoreValue::Truth(truth) => json!(truth),
        ScoreValue::Category(words) | ScoreValue::Text(words) | ScoreValue::Correction(words) => json!(words),
    };
    if groups.details {
        view["comment"] = json!(score.comment);
        view["configId"] = json!(score.config);
        view["metadata"] = json!(score.metadata);
    }
    if groups.subject {
        view["subject"] = subject(score);
    }
    if groups.annotation {
        view["authorUserId"] = Value::Null;
        view["queueId"] = json!(score.queue);
    }
    view
}

/// What a score is about: the narrowest that it names.
fn subject(score: &Score) -> Value {
    let about = &score.about;
    if let Some(observation) = &about.observation {
        return json!({"kind": "observation", "id": observation, "traceId": about.trace});
    }
    for (kind, id) in [
        ("trace", &about.trace),
        ("session", &about.session),
        ("experiment", &about.dataset_run),
    ] {
        if let Some(id) = id {
            return json!({"kind": kind, "id": id});
        }
    }
    Value::Null
}

/// A score in version 2.
pub(super) fn v2(score: &Score) -> Value {
    let mut view = core(score);
    let about = &score.about;
    view["traceId"] = json!(about.trace);
    view["observationId"] = json!(about.observation);
    view["sessionId"] = json!(about.session);
    view["datasetRunId"] = json!(about.dataset_run);
    view["comment"] = json!(score.comment);
    view["metadata"] = json!(score.metadata);
    view["configId"] = json!(score.config);
    view["queueId"] = json!(score.queue);
    view["authorUserId"] = Value::Null;
    let (value, words) = match &score.value {
        ScoreValue::Number(number) => (Some(*number), None),
        ScoreValue::Truth(true) => (Some(1.0), Some("True")),
        ScoreValue::Truth(false) => (Some(0.0), Some("False")),
        // Without a configuration a category has no number.
        ScoreValue::Category(words) => (Some(0.0), Some(words.as_str())),
        ScoreValue::Text(words) | ScoreValue::Correction(words) => (None, Some(words.as_str())),
    };
    if let Some(value) = value {
        view["value"] = json!(value);
    }
    if let Some(words) = words {
        view["stringValue"] = json!(words);
    }
    view
}

fn core(score: &Score) -> Value {
    json!({
        "id": score.id,
        "projectId": PROJECT,
        "name": score.name,
        "source": score.source.as_str(),
        "dataType": score.value.kind().as_str(),
        "environment": score.environment,
        "timestamp": score.at.to_string(),
        "createdAt": score.created_at.to_string(),
        "updatedAt": score.updated_at.to_string(),
    })
}
