//! Caches of applications in the settings file.

use super::SettingsError;
use super::registries::{Hidden, KeySource, Length, within};
use crate::ids::{CacheName, KeyPattern};
use reqwest::Url;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Shortest and longest time for a connection to a Redis, and again for its answer.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
/// Shortest and longest time after a move in which keys are cleared again and again.
const SWEEP: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(86_400);
/// Most caches.
const CACHES_MAX: usize = 32;

/// A Redis in which applications keep prompts by name and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Its name in telemetry, logs and the history.
    pub name: CacheName,
    /// `redis://host:port/database`, or `rediss://` with TLS.
    pub url: Url,
    /// The user, where it has users.
    pub username: Option<String>,
    /// The password, where it asks for one.
    pub password: Option<Hidden>,
    /// How its keys are named; `prompt:{name}:{label}` by default.
    pub pattern: KeyPattern,
    /// What becomes of the keys of a label that moved; they are deleted by default.
    pub then: Then,
    /// Longest time for a connection, and again for an answer, from 100 ms to 30 s; 2 s by default.
    pub timeout: Duration,
    /// How long after a move keys are cleared again and again, from 5 s to 24 h; 90 s by default. It should be
    /// longer than processes keep what they fetched.
    pub sweep: Duration,
}

/// What becomes of the keys of a label that moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Then {
    /// They are deleted.
    #[default]
    Delete,
    /// Those that exist get the new version, and keep their time to live.
    Rewrite,
}

/// A cache as the settings file has it; its password is not read yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(deserialize_with = "name")]
    name: CacheName,
    #[serde(deserialize_with = "url")]
    url: Url,
    username: Option<String>,
    password: Option<KeySource>,
    #[serde(default, deserialize_with = "pattern")]
    pattern: Option<KeyPattern>,
    #[serde(default)]
    then: Then,
    timeout: Option<Length>,
    sweep: Option<Length>,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CacheName, D::Error> {
    let text = String::deserialize(deserializer)?;
    CacheName::new(&text).map_err(D::Error::custom)
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyPattern>, D::Error> {
    let text = String::deserialize(deserializer)?;
    KeyPattern::new(&text).map(Some).map_err(D::Error::custom)
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    checked_url(&text).map_err(D::Error::custom)
}

fn checked_url(text: &str) -> Result<Url, &'static str> {
    const RULE: &str = "must begin with `redis://` or `rediss://` and name a host, such as `redis://cache.example.org:6379/0`";
    let url = Url::parse(text).map_err(|_| RULE)?;
    if !matches!(url.scheme(), "redis" | "rediss") || !url.has_host() {
        return Err(RULE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password: they have settings of their own");
    }
    let database = url.path().trim_start_matches('/');
    if url.query().is_some() || url.fragment().is_some() || database.bytes().any(|b| !b.is_ascii_digit()) {
        return Err("must end with the number of a database or with nothing, such as `/0`");
    }
    Ok(url)
}

/// The caches with their passwords, in the order of the file.
pub(super) fn resolve(
    entries: Vec<Entry>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<RedisSettings>, SettingsError> {
    if entries.len() > CACHES_MAX {
        return Err(invalid(
            "redis".to_owned(),
            format!("must be at most {CACHES_MAX} caches"),
        ));
    }
    let mut caches: Vec<RedisSettings> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let cache = entry.resolve(at, environment)?;
        if caches.iter().any(|other| other.name == cache.name) {
            let problem = format!("another cache is named `{}`, too", cache.name);
            return Err(invalid(format!("redis[{at}].name"), problem));
        }
        caches.push(cache);
    }
    Ok(caches)
}

impl Entry {
    fn resolve(
        self,
        at: usize,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<RedisSettings, SettingsError> {
        let place = |key: &str| format!("redis[{at}]{key}");
        let password = self.password.map(|source| source.read(environment));
        let password = password
            .transpose()
            .map_err(|problem| invalid(place(".password"), problem))?;
        if self.username.is_some() && password.is_none() {
            let problem = "a user needs a `password`, `{env: NAME}` or `{file: PATH}`".to_owned();
            return Err(invalid(place(".username"), problem));
        }
        let pattern = match self.pattern {
            Some(pattern) => pattern,
            None => KeyPattern::new("prompt:{name}:{label}")
                .map_err(|error| invalid(place(".pattern"), error.to_string()))?,
        };
        let length = |key: &str, given, range, seconds| {
            within(key, given, range, Duration::from_secs(seconds))
                .map_err(|problem| invalid(place(""), problem))
        };
        Ok(RedisSettings {
            timeout: length("timeout", self.timeout, &TIMEOUT, 2)?,
            sweep: length("sweep", self.sweep, &SWEEP, 90)?,
            name: self.name,
            url: self.url,
            username: self.username,
            password,
            pattern,
            then: self.then,
        })
    }
}

fn invalid(key: String, problem: String) -> SettingsError {
    SettingsError::Invalid {
        place: format!("`{key}`"),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document;

    fn resolved(text: &str) -> Result<Vec<RedisSettings>, String> {
        let document = document::parse(text, "serin.yaml").map_err(|error| error.to_string())?;
        resolve(document.redis, &|name| {
            (name == "PASSWORD").then(|| "deep\n".to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_and_an_address_are_enough() {
        let caches = resolved("redis: [{name: answers, url: 'redis://cache:6379'}]").unwrap();
        assert_eq!(caches[0].pattern.as_str(), "prompt:{name}:{label}");
        assert_eq!((caches[0].then, caches[0].password.clone()), (Then::Delete, None));
        assert_eq!((caches[0].timeout.as_secs(), caches[0].sweep.as_secs()), (2, 90));
        assert_eq!(resolved("").unwrap(), []);
    }

    #[test]
    fn everything_can_be_said_and_the_password_is_never_shown() {
        let text = "redis: [{name: answers, url: 'rediss://cache:6380/2', username: serin, password: {env: PASSWORD}, \
                    pattern: '{registry}/{name}@{label}', then: rewrite, timeout: 500ms, sweep: 2m}]";
        let caches = resolved(text).unwrap();
        assert_eq!(caches[0].password, Some(Hidden("deep".to_owned())));
        assert_eq!((caches[0].then, caches[0].sweep.as_secs()), (Then::Rewrite, 120));
        assert!(!format!("{caches:?}").contains("deep"));
    }

    #[test]
    fn problems_name_the_setting_and_never_a_password() {
        let one = |rest: &str| resolved(&format!("redis: [{{name: answers, {rest}}}]")).unwrap_err();
        let reached = |rest: &str| one(&format!("url: 'redis://cache', {rest}"));
        let shown = [
            one("url: cache:6379"),
            one("url: 'redis://serin:deep@cache'"),
            one("url: 'redis://cache/prompts'"),
            reached("password: deep"),
            reached("password: {env: OTHER}"),
            reached("username: serin"),
            reached("pattern: 'prompt:{name}'"),
            reached("then: refresh"),
            reached("sweep: 1s"),
            reached("timeout: 1ms"),
            reached("ttl: 300s"),
            resolved("redis: [{name: a, url: 'redis://a'}, {name: a, url: 'redis://b'}]").unwrap_err(),
        ]
        .join("\n");
        assert!(!shown.contains("deep"));
        insta::assert_snapshot!(shown, @r"
        serin.yaml:1: `redis[0].url`: must begin with `redis://` or `rediss://` and name a host, such as `redis://cache.example.org:6379/0`
        serin.yaml:1: `redis[0].url`: must not hold a user or password: they have settings of their own
        serin.yaml:1: `redis[0].url`: must end with the number of a database or with nothing, such as `/0`
        serin.yaml:1: `redis[0].password`: must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`
        `redis[0].password`: environment variable `OTHER` is not set
        `redis[0].username`: a user needs a `password`, `{env: NAME}` or `{file: PATH}`
        serin.yaml:1: `redis[0].pattern`: `prompt:{name}` is not a pattern of keys: must be at most 512 bytes and hold `{name}` and `{label}`, and no braces besides but `{registry}`
        serin.yaml:1: `redis[0].then`: unknown variant `refresh`, expected one of delete, rewrite
        `redis[0]`: `sweep` must be from 5s to 86400s
        `redis[0]`: `timeout` must be from 100ms to 30s
        serin.yaml:1: `redis[0].ttl`: there is no setting of this name
        `redis[1].name`: another cache is named `a`, too
        ");
    }
}
