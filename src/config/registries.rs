//! Registries in the settings file: what kind each is, and where the keys of somebody else's are.

use super::{SettingsError, parse_duration};
use crate::ids::RegistryName;
use reqwest::Url;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shortest and longest time that one request to a registry may take: a tick waits for it.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);
/// Shortest and longest time between two looks at the same label of somebody else's registry.
const LOOK_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// Shortest and longest time for which a prompt that was read is as good as read now.
const CACHE_FRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Shortest and longest time beyond that in which it is still served.
const CACHE_STALE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
/// Fewest and most requests a minute that somebody else's registry is asked.
const REQUESTS_PER_MINUTE: RangeInclusive<u32> = 10..=100_000;
/// Longest key that is read from a file or variable, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// A kind of registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryKind {
    /// Serin's own, in its store.
    Embedded,
    /// A project of somebody's Langfuse.
    Langfuse(Box<LangfuseSettings>),
}

/// How to reach a project of a Langfuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LangfuseSettings {
    /// Where it answers, such as `https://cloud.langfuse.com`.
    pub base_url: Url,
    /// `pk-lf-…`.
    pub public_key: Hidden,
    /// `sk-lf-…`.
    pub secret_key: Hidden,
    /// `lf-whsec_…`: what its webhooks are signed with, where it has one that leads here.
    pub webhook_secret: Option<Hidden>,
    /// Longest time for one request, from 100 ms to 5 s; 3 s by default.
    pub timeout: Duration,
    /// Shortest time between two looks at the same label, from 1 s to 5 min; 5 s by default.
    pub look_every: Duration,
    /// Most requests a minute, from 10 to 100,000; 600 by default.
    pub requests_per_minute: u32,
    /// How long a prompt that was read is served without asking, from 1 s to 1 h; 1 min by default.
    pub cache_fresh: Duration,
    /// How long beyond that it is served while it is asked for anew, up to 7 d; 1 h by default. Then it is
    /// refused.
    pub cache_stale: Duration,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// A registry as the settings file has it; keys are not read yet.
#[derive(Debug)]
pub(super) enum Entry {
    Embedded,
    Langfuse(Box<LangfuseEntry>),
}

#[derive(Debug)]
pub(super) struct LangfuseEntry {
    base_url: Url,
    public_key: KeySource,
    secret_key: KeySource,
    webhook_secret: Option<KeySource>,
    timeout: Duration,
    look_every: Duration,
    requests_per_minute: u32,
    cache_fresh: Duration,
    cache_stale: Duration,
}

/// Where a key is.
#[derive(Debug)]
pub(super) enum KeySource {
    Environment(String),
    File(PathBuf),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    kind: Kind,
    base_url: Option<BaseUrl>,
    public_key: Option<KeySource>,
    secret_key: Option<KeySource>,
    webhook_secret: Option<KeySource>,
    timeout: Option<Length>,
    look_every: Option<Length>,
    requests_per_minute: Option<u32>,
    cache: Option<CacheWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CacheWire {
    fresh: Option<Length>,
    stale: Option<Length>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Embedded,
    Langfuse,
}

#[derive(Debug)]
pub(super) struct BaseUrl(pub(super) Url);

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base_url(&text).map(Self).map_err(D::Error::custom)
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    const RULE: &str =
        "must begin with `http://` or `https://` and name a host, such as `https://cloud.langfuse.com`";
    let url = Url::parse(text).map_err(|_| RULE)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(RULE.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password: keys have settings of their own".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with a path, without `?` and `#`".to_owned());
    }
    Ok(url)
}

/// A length of time with its unit.
#[derive(Debug)]
pub(super) struct Length(pub(super) Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

/// What a key in the settings must be; the text that stands there instead may be the key, and is not repeated.
const KEY_RULE: &str = "must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`";

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{env: NAME}` or `{file: PATH}`")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<KeySource, E> {
        Err(E::custom(KEY_RULE))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeySource, A::Error> {
        let rule = || A::Error::custom(KEY_RULE);
        let (name, value): (String, String) = map.next_entry()?.ok_or_else(rule)?;
        if map.next_key::<String>()?.is_some() {
            return Err(rule());
        }
        match name.as_str() {
            "env" => Ok(KeySource::Environment(value)),
            "file" => Ok(KeySource::File(value.into())),
            _ => Err(rule()),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        match wire.kind {
            Kind::Embedded => embedded(&wire),
            Kind::Langfuse => langfuse(wire),
        }
        .map_err(D::Error::custom)
    }
}

fn embedded(wire: &Wire) -> Result<Entry, String> {
    let foreign = [
        ("baseUrl", wire.base_url.is_some()),
        ("publicKey", wire.public_key.is_some()),
        ("secretKey", wire.secret_key.is_some()),
        ("webhookSecret", wire.webhook_secret.is_some()),
        ("timeout", wire.timeout.is_some()),
        ("lookEvery", wire.look_every.is_some()),
        ("requestsPerMinute", wire.requests_per_minute.is_some()),
        ("cache", wire.cache.is_some()),
    ];
    match foreign.into_iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => Err(format!("`{name}` means nothing to the kind `embedded`")),
        None => Ok(Entry::Embedded),
    }
}

fn langfuse(wire: Wire) -> Result<Entry, String> {
    fn needed<T>(value: Option<T>, name: &str) -> Result<T, String> {
        value.ok_or_else(|| format!("the kind `langfuse` needs `{name}`"))
    }
    let requests_per_minute = wire.requests_per_minute.unwrap_or(600);
    if !REQUESTS_PER_MINUTE.contains(&requests_per_minute) {
        let (least, most) = REQUESTS_PER_MINUTE.into_inner();
        return Err(format!("`requestsPerMinute` must be from {least} to {most}"));
    }
    let cache = wire.cache.unwrap_or_default();
    let (fresh, stale) = (Duration::from_secs(60), Duration::from_secs(3_600));
    Ok(Entry::Langfuse(Box::new(LangfuseEntry {
        cache_fresh: within("cache.fresh", cache.fresh, &CACHE_FRESH, fresh)?,
        cache_stale: within("cache.stale", cache.stale, &CACHE_STALE, stale)?,
        base_url: needed(wire.base_url, "baseUrl")?.0,
        public_key: needed(wire.public_key, "publicKey")?,
        secret_key: needed(wire.secret_key, "secretKey")?,
        webhook_secret: wire.webhook_secret,
        timeout: within("timeout", wire.timeout, &TIMEOUT, Duration::from_secs(3))?,
        look_every: within("lookEvery", wire.look_every, &LOOK_EVERY, Duration::from_secs(5))?,
        requests_per_minute,
    })))
}

/// A length within its range, or the default.
pub(super) fn within(
    name: &str,
    given: Option<Length>,
    range: &RangeInclusive<Duration>,
    default: Duration,
) -> Result<Duration, String> {
    let length = given.map_or(default, |Length(length)| length);
    if range.contains(&length) {
        return Ok(length);
    }
    let (least, most) = (range.start(), range.end());
    Err(format!("`{name}` must be from {least:?} to {most:?}"))
}

impl Entry {
    /// Reads the keys, from files or by `environment`.
    pub(super) fn resolve(
        self,
        name: &RegistryName,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<RegistryKind, SettingsError> {
        let entry = match self {
            Self::Embedded => return Ok(RegistryKind::Embedded),
            Self::Langfuse(entry) => entry,
        };
        let read = |source: KeySource, key: &str| {
            source
                .read(environment)
                .map_err(|problem| SettingsError::Invalid {
                    place: format!("`registries.{name}.{key}`"),
                    problem,
                })
        };
        let webhook_secret = entry.webhook_secret.map(|source| read(source, "webhookSecret"));
        Ok(RegistryKind::Langfuse(Box::new(LangfuseSettings {
            base_url: entry.base_url,
            public_key: read(entry.public_key, "publicKey")?,
            secret_key: read(entry.secret_key, "secretKey")?,
            webhook_secret: webhook_secret.transpose()?,
            timeout: entry.timeout,
            look_every: entry.look_every,
            requests_per_minute: entry.requests_per_minute,
            cache_fresh: entry.cache_fresh,
            cache_stale: entry.cache_stale,
        })))
    }
}

impl KeySource {
    /// The key, from a file or by `environment`; else what is wrong.
    pub(super) fn read(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Hidden, String> {
        let (key, place) = self.found(environment)?;
        if key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "{place} holds no key: it must be at most {KEY_BYTES_MAX} visible ASCII characters"
            ));
        }
        Ok(Hidden(key))
    }

    /// The same where it may be several words.
    pub(super) fn text(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        Ok(self.found(environment)?.0)
    }

    /// The text without what is around it, and where it was found.
    fn found(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<(String, String), String> {
        let (text, place) = match self {
            Self::Environment(name) => {
                let text = environment(name);
                let missing = || format!("environment variable `{name}` is not set");
                (
                    text.ok_or_else(missing)?,
                    format!("environment variable `{name}`"),
                )
            }
            Self::File(file) => (read_file(file)?, format!("`{}`", file.display())),
        };
        let key = text.trim();
        if key.is_empty() {
            return Err(format!("{place} is empty"));
        }
        Ok((key.to_owned(), place))
    }
}

fn read_file(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}
