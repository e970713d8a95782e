//! The model that the playground may call: OpenAI's chat completions, as many servers speak them.
//!
//! One request without streaming (OpenAI API reference, "Create chat completion"), bounded in time and
//! size. Of a version's `config` only parameters of that request are sent.

use crate::config::{PlaygroundSettings, is_model};
use crate::figures;
use crate::outbound::{self, BodyError, Place};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Most calls at once; whoever comes then is asked to wait.
const CALLS_MAX: usize = 8;
/// Longest message of a refusal that is shown, in characters.
const REFUSAL_CHARS_MAX: usize = 500;
/// Time to reach the server, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;
/// The keys of a version's `config` that are parameters of the request.
const PARAMETERS: [&str; 16] = [
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
];

/// A configured endpoint.
#[derive(Debug)]
pub struct Model {
    client: Client,
    url: Url,
    headers: HeaderMap,
    model: Option<String>,
    timeout: Duration,
    calls: Semaphore,
}

/// Why no model can be called at all.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The key cannot be sent.
    #[error("the playground's key has a character that no HTTP header takes: copy it anew")]
    Key,
    /// The base URL takes no path.
    #[error("the playground's `baseUrl` takes no path: name a host, such as `https://api.openai.com/v1`")]
    Url,
    /// The client.
    #[error("cannot set up the playground's HTTP client")]
    Client(#[source] reqwest::Error),
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its text; none where it only calls tools.
    pub(super) text: Option<String>,
    /// The tools that it calls, as JSON.
    pub(super) tool_calls: Option<String>,
    /// The model, as the endpoint names it.
    pub(super) model: String,
    /// Why it ended, and how many tokens it took.
    pub(super) facts: Vec<String>,
}

impl Model {
    /// The endpoint of these settings.
    ///
    /// # Errors
    ///
    /// When the key or the base URL cannot be used, or the client cannot be set up.
    pub fn new(settings: &PlaygroundSettings) -> Result<Self, ModelError> {
        let client = Place::of(&settings.base_url)
            .client()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            // A prompt that is sent on elsewhere would take the key along.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(ModelError::Client)?;
        let mut url = settings.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| ModelError::Url)?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.key {
            let mut bearer =
                HeaderValue::from_str(&format!("Bearer {}", key.0)).map_err(|_| ModelError::Key)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(Self {
            client,
            url,
            headers,
            model: settings.model.clone(),
            timeout: settings.timeout,
            calls: Semaphore::new(CALLS_MAX),
        })
    }

    /// The host that prompts are sent to.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The model that a version with this `config` is sent to.
    pub(super) fn name_for<'c>(&'c self, config: &'c Map<String, Value>) -> Option<&'c str> {
        let own = config.get("model").and_then(Value::as_str);
        own.filter(|name| is_model(name)).or(self.model.as_deref())
    }

    /// Sends messages, and waits for the whole answer; what went wrong is a sentence for people.
    pub(super) async fn call(
        &self,
        messages: Vec<Value>,
        config: &Map<String, Value>,
    ) -> Result<Answer, String> {
        let Some(model) = self.name_for(config) else {
            return Err(
                "no model is named: give the version a `model` in its config, or the server one in \
                        `playground.model`"
                    .to_owned(),
            );
        };
        let Ok(_place) = self.calls.try_acquire() else {
            return Err(format!(
                "{CALLS_MAX} calls are under way already: try again when one has ended"
            ));
        };
        let mut body: Map<String, Value> = PARAMETERS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), config.get(*name)?.clone())))
            .collect();
        body.insert("model".to_owned(), model.into());
        body.insert("messages".to_owned(), Value::Array(messages));
        body.insert("stream".to_owned(), false.into());
        match tokio::time::timeout(self.timeout, self.exchange(&body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!(
                "the model has not answered within {} s",
                figures::shortest(self.timeout.as_secs_f64(), 3)
            )),
        }
    }

    async fn exchange(&self, body: &Map<String, Value>) -> Result<Answer, String> {
        let unreached =
            |error: reqwest::Error| format!("the model cannot be reached: {}", outbound::cause(error));
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let response = request.json(body).send().await.map_err(unreached)?;
        let status = response.status();
        let whole = outbound::body(response, ANSWER_BYTES_MAX).await;
        let whole = whole.map_err(|error| match error {
            BodyError::Broken(error) => unreached(error),
            BodyError::TooLong => format!("the answer has more than {ANSWER_BYTES_MAX} bytes"),
        })?;
        if status.is_success() {
            read(&whole)
        } else {
            let said = refusal(&whole).map_or_else(String::new, |said| format!(": {said}"));
            Err(format!("the model's server answered {}{said}", status.as_u16()))
        }
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    model: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    message: String,
}

fn read(body: &[u8]) -> Result<Answer, String> {
    let unread = |why: String| format!("the answer is no chat completion: {why}");
    let completion: Completion = serde_json::from_slice(body).map_err(|error| unread(error.to_string()))?;
    let first = completion.choices.into_iter().next();
    let Choice {
        message,
        finish_reason,
    } = first.ok_or_else(|| unread("it has no choices".to_owned()))?;
    let tokens = completion.usage.and_then(|usage| {
        Some(format!(
            "{} tokens in, {} out",
            figures::count(usage.prompt_tokens?),
            figures::count(usage.completion_tokens?)
        ))
    });
    let ended = finish_reason.map(|reason| format!("ended by `{reason}`"));
    let tool_calls = message.tool_calls.filter(|calls| !calls.is_null());
    Ok(Answer {
        text: message.content.or(message.refusal),
        tool_calls: tool_calls.map(|calls| format!("{calls:#}")),
        model: completion.model.unwrap_or_default(),
        facts: [tokens, ended].into_iter().flatten().collect(),
    })
}

/// The message of a refusal, cut to what a page has room for.
fn refusal(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.error.message.chars().take(REFUSAL_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hidden;
    use serde_json::json;

    fn model(base: &str, key: &str) -> Result<Model, ModelError> {
        Model::new(&PlaygroundSettings {
            base_url: Url::parse(base).unwrap(),
            key: Some(Hidden(key.to_owned())),
            model: Some("small".to_owned()),
            timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn the_path_goes_on_after_the_base() {
        for base in ["http://localhost:9/v1", "http://localhost:9/v1/"] {
            let model = model(base, "sk-1").unwrap();
            assert_eq!(model.url.as_str(), "http://localhost:9/v1/chat/completions");
            assert_eq!(model.host(), "localhost:9");
            assert!(!format!("{model:?}").contains("sk-1"));
        }
        assert!(matches!(model("http://localhost", "s\nk"), Err(ModelError::Key)));
    }

    #[test]
    fn a_version_names_its_model_before_the_server_does() {
        let model = model("http://localhost", "sk-1").unwrap();
        let config = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(model.name_for(&config(json!({"model": "large"}))), Some("large"));
        assert_eq!(model.name_for(&config(json!({"model": "a\nb"}))), Some("small"));
        assert_eq!(model.name_for(&config(json!({"model": 7}))), Some("small"));
    }

    #[test]
    fn answers_are_read_as_the_reference_has_them() {
        let body = json!({
            "model": "small-2", "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1200, "completion_tokens": 3},
        });
        let answer = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"));
        assert_eq!(answer.facts, ["1,200 tokens in, 3 out", "ended by `stop`"]);
        let tools = json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "c1"}]}}]});
        let answer = read(tools.to_string().as_bytes()).unwrap();
        assert!(answer.text.is_none() && answer.tool_calls.unwrap().contains("c1"));
        for bad in ["", "[]", "{\"choices\": []}"] {
            assert!(
                read(bad.as_bytes()).unwrap_err().starts_with("the answer is no"),
                "{bad}"
            );
        }
        let long = json!({"error": {"message": "x".repeat(10_000)}}).to_string();
        assert_eq!(refusal(long.as_bytes()).unwrap().len(), REFUSAL_CHARS_MAX);
        assert_eq!(refusal(b"<html>"), None);
    }
}
