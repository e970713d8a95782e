//! What an event of a tracing client tells of the prompt, the user and the conversation.

use super::score_body::REFERENCE_BYTES_MAX;
use crate::source::traces::Told;
use serde_json::{Map, Value};

/// Keys of a receipt in metadata.
pub(super) const RECEIPT: [&str; 2] = ["serin_receipt", "receipt"];
/// Keys of a prompt's name.
pub(super) const PROMPT: [&str; 2] = ["prompt_name", "promptName"];
/// Keys of its version.
pub(super) const VERSION: [&str; 2] = ["prompt_version", "promptVersion"];
/// Keys of its label.
pub(super) const LABEL: [&str; 2] = ["prompt_label", "promptLabel"];

/// What the body of `trace-create` tells; none without an id.
pub(super) fn of_trace(body: &Map<String, Value>) -> Option<Told> {
    told(body, text_in(body, &["id"])?, String::new())
}

/// What the body of an event about a part of a trace tells; none where it does not say of which.
pub(super) fn of_observation(body: &Map<String, Value>) -> Option<Told> {
    told(body, text_in(body, &["traceId"])?, text_in(body, &["id"])?)
}

fn told(body: &Map<String, Value>, trace: String, observation: String) -> Option<Told> {
    let none = Map::new();
    let metadata = body.get("metadata").and_then(Value::as_object).unwrap_or(&none);
    let text = |keys: &[&str]| text_in(body, keys).or_else(|| text_in(metadata, keys));
    let fits = |text: &String| text.len() <= REFERENCE_BYTES_MAX;
    (fits(&trace) && fits(&observation)).then(|| Told {
        user: text(&["userId"]),
        session: text(&["sessionId"]).filter(fits),
        receipt: text(&RECEIPT),
        prompt: text(&PROMPT),
        version: number_in(body, &VERSION).or_else(|| number_in(metadata, &VERSION)),
        label: text(&LABEL),
        trace,
        observation,
    })
}

/// The first of these keys that has a text.
pub(super) fn text_in(map: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let texts = keys.iter().filter_map(|key| map.get(*key)?.as_str());
    texts.into_iter().find(|text| !text.is_empty()).map(str::to_owned)
}

/// The first of these keys that has a whole number, or a text that is one.
pub(super) fn number_in(map: &Map<String, Value>, keys: &[&str]) -> Option<u64> {
    let values = keys.iter().filter_map(|key| map.get(*key));
    values
        .filter_map(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()))
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_tell_where_they_belong_and_what_was_used() {
        let body = json!({
            "id": "o", "traceId": "t", "promptName": "greet", "promptVersion": 3,
            "metadata": {"prompt_label": "canary", "receipt": "r"},
        });
        let told = of_observation(body.as_object().unwrap()).unwrap();
        assert_eq!((told.trace.as_str(), told.observation.as_str()), ("t", "o"));
        assert_eq!((told.prompt.as_deref(), told.version), (Some("greet"), Some(3)));
        assert_eq!(
            (told.label.as_deref(), told.receipt.as_deref()),
            (Some("canary"), Some("r"))
        );
        let body = json!({"id": "t", "userId": "anna", "sessionId": "s", "metadata": "free"});
        let told = of_trace(body.as_object().unwrap()).unwrap();
        assert_eq!(
            (told.user.as_deref(), told.session.as_deref()),
            (Some("anna"), Some("s"))
        );
        assert_eq!(of_trace(json!({"userId": "anna"}).as_object().unwrap()), None);
        assert_eq!(of_observation(json!({"id": "o"}).as_object().unwrap()), None);
    }
}
