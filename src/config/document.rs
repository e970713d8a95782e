//! The settings file as YAML has it.

use super::caches;
use super::playground;
use super::registries::{Entry, KeySource};
use super::reserve::ReserveSettings;
use super::traces;
use super::{AllowedOrigin, LimitArgs, SettingsError, parse_duration};
use crate::ids::{RegistryName, SecretName};
use crate::spelling;
use crate::telemetry::log::LogFormat;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a settings file says; everything may be left out.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) policies: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) insecure: Option<bool>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) log_filter: Option<String>,
    pub(super) traces: Option<traces::Entry>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) notify_secrets: BTreeMap<SecretName, KeySource>,
    pub(super) registries: BTreeMap<RegistryName, Entry>,
    pub(super) redis: Vec<caches::Entry>,
    pub(super) playground: Option<playground::Entry>,
    pub(super) allowed_origins: Vec<AllowedOrigin>,
    pub(super) reserve: Option<ReserveSettings>,
    pub(super) limits: LimitArgs,
    pub(super) shutdown_grace: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Wire {
    policies: Option<PathBuf>,
    data: Option<PathBuf>,
    #[serde(deserialize_with = "address")]
    listen: Option<SocketAddr>,
    insecure: Option<bool>,
    log: Log,
    traces: Option<traces::Entry>,
    secret_file: Option<PathBuf>,
    notify: Notify,
    registries: BTreeMap<Name, Entry>,
    redis: Vec<caches::Entry>,
    playground: Option<playground::Entry>,
    #[serde(deserialize_with = "origins")]
    allowed_origins: Vec<AllowedOrigin>,
    reserve: Option<ReserveSettings>,
    limits: Limits,
    #[serde(deserialize_with = "duration")]
    shutdown_grace: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Notify {
    secrets: BTreeMap<SecretNamed, KeySource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    #[serde(deserialize_with = "log_format")]
    format: Option<LogFormat>,
    filter: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Limits {
    #[serde(deserialize_with = "size")]
    body_bytes_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    body_decompressed_bytes_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    observations_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    requests_in_flight_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    connections_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    event_subscribers_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    assignment_subscribers_max: Option<usize>,
    #[serde(deserialize_with = "duration")]
    request_timeout: Option<Duration>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(RegistryName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        RegistryName::new(&text).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SecretNamed(SecretName);

impl<'de> Deserialize<'de> for SecretNamed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SecretName::new(&text).map(Self).map_err(D::Error::custom)
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    parsed(deserializer, |text| {
        text.parse()
            .map_err(|_| format!("`{text}` must be an address and a port, such as `127.0.0.1:8080`"))
    })
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowedOrigin>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: String| text.parse().map_err(D::Error::custom);
    texts.into_iter().map(parse).collect()
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, parse_duration)
}

fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LogFormat>, D::Error> {
    parsed(deserializer, str::parse)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    match Option::<usize>::deserialize(deserializer) {
        Ok(Some(0)) | Err(_) => Err(D::Error::custom("must be a whole number from 1")),
        Ok(size) => Ok(size),
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| parse(&text).map_err(D::Error::custom))
        .transpose()
}

/// Reads a settings file.
pub(super) fn read(file: &Path) -> Result<Document, SettingsError> {
    let text = std::fs::read_to_string(file).map_err(|source| SettingsError::Read {
        file: file.to_owned(),
        source,
    })?;
    parse(&text, &file.display().to_string())
}

/// Understands the text of a settings file; `file` is for messages.
pub(super) fn parse(text: &str, file: &str) -> Result<Document, SettingsError> {
    if text.trim().is_empty() {
        return Ok(Document::default());
    }
    let mut key = String::new();
    let wire = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize::<_, Option<Wire>>(deserializer).map_err(|error| {
            key = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| invalid(&error, &key, file))?;
    Ok(wire.unwrap_or_default().into())
}

fn invalid(error: &serde_saphyr::Error, key: &str, file: &str) -> SettingsError {
    let error = error.without_snippet();
    let line = error
        .location()
        .map_or_else(String::new, |place| format!(":{}", place.line()));
    let key = if matches!(key, "" | "." | "?") {
        String::new()
    } else {
        format!(": `{key}`")
    };
    let problem = match unknown_key(error) {
        Some((field, known)) => {
            format!(
                "there is no setting of this name{}",
                spelling::hint(&field, known)
            )
        }
        None => without_place(error.to_string()),
    };
    SettingsError::Invalid {
        place: format!("{file}{line}{key}"),
        problem,
    }
}

/// The message without the place at its end, which is named at its beginning.
fn without_place(mut message: String) -> String {
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    message
}

/// The key that is unknown, where that is the mistake, and those that are known there.
fn unknown_key(error: &serde_saphyr::Error) -> Option<(String, Vec<&'static str>)> {
    if let serde_saphyr::Error::SerdeUnknownField { field, expected, .. } = error {
        Some((field.clone(), expected.clone()))
    } else {
        None
    }
}

impl Default for Document {
    /// What an empty file says.
    fn default() -> Self {
        Wire::default().into()
    }
}

impl From<Wire> for Document {
    fn from(wire: Wire) -> Self {
        let secrets = wire.notify.secrets.into_iter();
        let named = wire.registries.into_iter();
        let mut registries: BTreeMap<_, _> = named.map(|(name, entry)| (name.0, entry)).collect();
        if let Ok(embedded) = RegistryName::new(RegistryName::EMBEDDED) {
            registries.entry(embedded).or_insert(Entry::Embedded);
        }
        Self {
            policies: wire.policies,
            data: wire.data,
            listen: wire.listen,
            insecure: wire.insecure,
            log_format: wire.log.format,
            log_filter: wire.log.filter,
            traces: wire.traces,
            secret_file: wire.secret_file,
            notify_secrets: secrets.map(|(name, source)| (name.0, source)).collect(),
            registries,
            redis: wire.redis,
            playground: wire.playground,
            allowed_origins: wire.allowed_origins,
            reserve: wire.reserve,
            limits: LimitArgs {
                body_bytes_max: wire.limits.body_bytes_max,
                body_decompressed_bytes_max: wire.limits.body_decompressed_bytes_max,
                observations_max: wire.limits.observations_max,
                requests_in_flight_max: wire.limits.requests_in_flight_max,
                connections_max: wire.limits.connections_max,
                event_subscribers_max: wire.limits.event_subscribers_max,
                assignment_subscribers_max: wire.limits.assignment_subscribers_max,
                request_timeout: wire.limits.request_timeout,
            },
            shutdown_grace: wire.shutdown_grace,
        }
    }
}
