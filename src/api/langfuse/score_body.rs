//! A score as clients send it, checked as Langfuse does.

use super::told::{LABEL, PROMPT, RECEIPT, VERSION, number_in, text_in};
use crate::store::{Score, ScoreKind, ScoreSource, ScoreSubject, ScoreValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest id, name or reference, in bytes.
pub(super) const REFERENCE_BYTES_MAX: usize = 200;
/// Longest comment and metadata together, in bytes.
const REMARKS_BYTES_MAX: usize = 64 * 1024;
/// Longest value that is a text, in characters.
const WORDS_CHARS_MAX: usize = 10_000;
/// Keys of metadata that name a user: read, and not kept.
const USER_KEYS: [&str; 3] = ["user_id", "userId", "user"];

/// The body of a score.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScoreBody {
    id: Option<String>,
    name: String,
    value: Value,
    data_type: Option<String>,
    trace_id: Option<String>,
    observation_id: Option<String>,
    session_id: Option<String>,
    dataset_run_id: Option<String>,
    comment: Option<String>,
    metadata: Option<Value>,
    environment: Option<String>,
    config_id: Option<String>,
    queue_id: Option<String>,
    source: Option<String>,
    timestamp: Option<String>,
}

/// What a score says of the prompt and the user itself, in its metadata.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct Identity {
    pub(in crate::api) receipt: Option<String>,
    pub(in crate::api) prompt: Option<String>,
    pub(in crate::api) version: Option<u64>,
    pub(in crate::api) label: Option<String>,
    pub(in crate::api) user: Option<String>,
}

/// A score that was sent, and what it says itself of what was served.
#[derive(Debug, Clone)]
pub(in crate::api) struct Sent {
    pub(in crate::api) score: Score,
    pub(in crate::api) identity: Identity,
}

impl ScoreBody {
    /// The score, or what is wrong with it; `timestamp` is that of its envelope.
    pub(super) fn checked(self, timestamp: Option<&str>, now: Timestamp) -> Result<Sent, String> {
        if self.name.trim().is_empty() {
            return Err("`name` must not be empty".to_owned());
        }
        let value = value(self.data_type.as_deref(), self.value)?;
        let about = ScoreSubject {
            trace: given(self.trace_id),
            observation: given(self.observation_id),
            session: given(self.session_id),
            dataset_run: given(self.dataset_run_id),
        };
        let metadata = object(self.metadata);
        let identity = Identity::of(&metadata);
        if about == ScoreSubject::default() && identity.receipt.is_none() && identity.prompt.is_none() {
            return Err("one of `traceId`, `sessionId`, `datasetRunId` must be there".to_owned());
        }
        let metadata = without_users(metadata);
        let id = match given(self.id) {
            Some(id) => id,
            None => new_id()?,
        };
        let at = self.timestamp.as_deref().or(timestamp);
        let score = Score {
            id,
            name: self.name,
            value,
            about,
            source: source(self.source.as_deref())?,
            environment: given(self.environment).unwrap_or_else(|| "default".to_owned()),
            config: given(self.config_id),
            queue: given(self.queue_id),
            comment: given(self.comment),
            metadata,
            at: at.and_then(|text| text.parse().ok()).unwrap_or(now),
            created_at: now,
            updated_at: now,
            waiting: false,
        };
        check_lengths(&score)?;
        Ok(Sent { score, identity })
    }
}

impl From<Score> for Sent {
    /// A score that says nothing of the prompt itself.
    fn from(score: Score) -> Self {
        Self {
            score,
            identity: Identity::default(),
        }
    }
}

impl Identity {
    fn of(metadata: &Map<String, Value>) -> Self {
        Self {
            receipt: text_in(metadata, &RECEIPT),
            prompt: text_in(metadata, &PROMPT),
            version: number_in(metadata, &VERSION),
            label: text_in(metadata, &LABEL),
            user: text_in(metadata, &USER_KEYS),
        }
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// What is no object is kept under a key of its own.
fn object(metadata: Option<Value>) -> Map<String, Value> {
    match metadata {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(metadata)) => metadata,
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            Map::from_iter([("metadata".to_owned(), other)])
        }
    }
}

fn without_users(mut metadata: Map<String, Value>) -> Map<String, Value> {
    for key in USER_KEYS {
        metadata.remove(key);
    }
    metadata
}

/// The value as its kind says, or as it looks where no kind is given.
fn value(kind: Option<&str>, value: Value) -> Result<ScoreValue, String> {
    let kind = match kind {
        None => None,
        Some(word) => Some(
            ScoreKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == word)
                .ok_or_else(|| {
                    format!(
                        "`dataType` `{}` is not one",
                        word.chars().take(32).collect::<String>()
                    )
                })?,
        ),
    };
    let number = value.as_f64();
    match (kind, value) {
        (None | Some(ScoreKind::Boolean), Value::Bool(truth)) => Ok(ScoreValue::Truth(truth)),
        (Some(ScoreKind::Boolean), Value::Number(_)) if number == Some(0.0) => Ok(ScoreValue::Truth(false)),
        (Some(ScoreKind::Boolean), Value::Number(_)) if number == Some(1.0) => Ok(ScoreValue::Truth(true)),
        (Some(ScoreKind::Boolean), _) => Err("`value` of a BOOLEAN score must be 0 or 1".to_owned()),
        (None | Some(ScoreKind::Numeric), Value::Number(_)) => number
            .map(ScoreValue::Number)
            .ok_or_else(|| "`value` is beyond what a 64-bit float holds".to_owned()),
        (None | Some(ScoreKind::Categorical), Value::String(words)) => {
            words_of(words).map(ScoreValue::Category)
        }
        (Some(ScoreKind::Text), Value::String(words)) => words_of(words).map(ScoreValue::Text),
        (Some(ScoreKind::Correction), Value::String(words)) => words_of(words).map(ScoreValue::Correction),
        (Some(ScoreKind::Numeric), _) => Err("`value` of a NUMERIC score must be a number".to_owned()),
        (Some(ScoreKind::Categorical | ScoreKind::Text | ScoreKind::Correction), _) => {
            Err("`value` of a score in words must be a string".to_owned())
        }
        (None, Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err("`value` must be a number or a string".to_owned())
        }
    }
}

fn words_of(words: String) -> Result<String, String> {
    if words.chars().count() > WORDS_CHARS_MAX {
        return Err(format!("`value` must be at most {WORDS_CHARS_MAX} characters"));
    }
    Ok(words)
}

fn source(word: Option<&str>) -> Result<ScoreSource, String> {
    let Some(word) = word else {
        return Ok(ScoreSource::Api);
    };
    let found = ScoreSource::ALL.into_iter();
    found
        .into_iter()
        .find(|source| source.as_str() == word)
        .ok_or_else(|| "`source` must be `API`, `ANNOTATION` or `EVAL`".to_owned())
}

fn check_lengths(score: &Score) -> Result<(), String> {
    let about = &score.about;
    let references = [
        Some(&score.id),
        Some(&score.name),
        Some(&score.environment),
        about.trace.as_ref(),
        about.observation.as_ref(),
        about.session.as_ref(),
        about.dataset_run.as_ref(),
        score.config.as_ref(),
        score.queue.as_ref(),
    ];
    if references
        .into_iter()
        .flatten()
        .any(|text| text.len() > REFERENCE_BYTES_MAX)
    {
        return Err(format!(
            "ids and names must be at most {REFERENCE_BYTES_MAX} bytes"
        ));
    }
    // A map of JSON values can always be written.
    let metadata = serde_json::to_string(&score.metadata).map_or(usize::MAX, |json| json.len());
    let comment = score.comment.as_ref().map_or(0, String::len);
    if metadata.saturating_add(comment) > REMARKS_BYTES_MAX {
        return Err(format!(
            "`comment` and `metadata` must be at most {REMARKS_BYTES_MAX} bytes"
        ));
    }
    Ok(())
}

/// An id for a score that came without one: 128 random bits.
fn new_id() -> Result<String, String> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(fields: Value) -> Result<Sent, String> {
        let mut body = json!({"name": "faithfulness", "value": 0.5, "traceId": "t"});
        for (key, value) in fields.as_object().unwrap() {
            body[key] = value.clone();
        }
        let body: ScoreBody = serde_json::from_value(body).unwrap();
        body.checked(None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn kinds_follow_from_values_where_they_are_not_said() {
        let value = |fields| checked(fields).map(|sent| sent.score.value);
        assert_eq!(value(json!({})), Ok(ScoreValue::Number(0.5)));
        assert_eq!(
            value(json!({"value": "good"})),
            Ok(ScoreValue::Category("good".to_owned()))
        );
        assert_eq!(
            value(json!({"value": 1, "dataType": "BOOLEAN"})),
            Ok(ScoreValue::Truth(true))
        );
        assert_eq!(value(json!({"value": false})), Ok(ScoreValue::Truth(false)));
        let words = json!({"value": "x", "dataType": "TEXT"});
        assert_eq!(value(words), Ok(ScoreValue::Text("x".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, expected) in [
            (json!({"value": 2, "dataType": "BOOLEAN"}), "must be 0 or 1"),
            (json!({"value": "x", "dataType": "NUMERIC"}), "must be a number"),
            (json!({"value": 1, "dataType": "CATEGORICAL"}), "must be a string"),
            (json!({"dataType": "numeric"}), "is not one"),
            (json!({"value": [1]}), "must be a number or a string"),
            (json!({"name": " "}), "must not be empty"),
            (json!({"traceId": ""}), "must be there"),
            (json!({"id": "x".repeat(201)}), "at most 200 bytes"),
            (
                json!({"comment": "x".repeat(REMARKS_BYTES_MAX)}),
                "must be at most",
            ),
            (json!({"source": "ME"}), "`source` must be"),
        ] {
            let refused = checked(fields).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn users_are_read_and_not_kept() {
        let sent =
            checked(json!({"metadata": {"user_id": "anna", "prompt_name": "greet", "prompt_version": "2"}}));
        let sent = sent.unwrap();
        assert_eq!(sent.identity.user.as_deref(), Some("anna"));
        assert_eq!(
            (sent.identity.prompt.as_deref(), sent.identity.version),
            (Some("greet"), Some(2))
        );
        assert!(
            !serde_json::to_string(&sent.score.metadata)
                .unwrap()
                .contains("anna")
        );
    }

    #[test]
    fn a_score_without_an_id_is_given_one() {
        let one = checked(json!({})).unwrap().score.id;
        let two = checked(json!({"id": ""})).unwrap().score.id;
        assert_eq!((one.len(), one == two), (32, false));
    }
}
