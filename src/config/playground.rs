//! The model that the console's playground may call, in the settings file.

use super::SettingsError;
use super::registries::{BaseUrl, Hidden, KeySource, Length, within};
use reqwest::Url;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Shortest and longest time that one answer of a model may take.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// Time that one answer may take where the file says nothing.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Longest name of a model, in bytes.
pub const MODEL_BYTES_MAX: usize = 256;

/// How to reach a model that speaks OpenAI's chat completions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaygroundSettings {
    /// Where it answers, such as `https://api.openai.com/v1`: `/chat/completions` is added.
    pub base_url: Url,
    /// The key that is sent as a bearer token; none where the endpoint asks for none.
    pub key: Option<Hidden>,
    /// The model for versions whose `config` names none.
    pub model: Option<String>,
    /// Longest time for one answer, from 1 s to 5 min; 60 s by default.
    pub timeout: Duration,
}

/// The same as the settings file has it; the key is not read yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    base_url: BaseUrl,
    key: Option<KeySource>,
    model: Option<String>,
    timeout: Option<Length>,
}

impl Entry {
    /// Reads the key, from its file or by `environment`.
    pub(super) fn resolve(
        self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PlaygroundSettings, SettingsError> {
        let invalid = |key: &str, problem: String| SettingsError::Invalid {
            place: format!("`playground.{key}`"),
            problem,
        };
        let BaseUrl(base_url) = self.base_url;
        let key = self.key.map(|source| source.read(environment)).transpose();
        let model = match self.model {
            Some(model) if !is_model(&model) => {
                let rule = format!("must be 1 to {MODEL_BYTES_MAX} bytes without control characters");
                return Err(invalid("model", rule));
            }
            model => model,
        };
        let timeout = within("timeout", self.timeout, &TIMEOUT, TIMEOUT_DEFAULT);
        Ok(PlaygroundSettings {
            base_url,
            key: key.map_err(|problem| invalid("key", problem))?,
            model,
            timeout: timeout.map_err(|problem| invalid("timeout", problem))?,
        })
    }
}

/// Whether a text can be the name of a model.
pub fn is_model(name: &str) -> bool {
    (1..=MODEL_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
