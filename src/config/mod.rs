//! The server's settings: a file, then the environment, then flags; the later one wins.
//!
//! Flags and environment variables are one thing to clap; the secret alone comes from the
//! environment or from a file of its own, because flags show in process lists.

mod caches;
mod document;
mod origins;
mod playground;
mod registries;
mod reserve;
mod traces;

use self::registries::KeySource;
use crate::ids::{RegistryName, SecretName};
use crate::store::Secret;
use crate::telemetry::log::LogFormat;
use crate::telemetry::traces::TraceSettings;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::caches::{RedisSettings, Then};
pub use self::origins::{AllowedOrigin, AllowedOrigins};
pub use self::playground::{MODEL_BYTES_MAX, PlaygroundSettings, is_model};
pub use self::registries::{Hidden, LangfuseSettings, RegistryKind};
pub use self::reserve::ReserveSettings;

/// The settings file that is read when it exists and no other is named.
pub const FILE_DEFAULT: &str = "serin.yaml";
/// Environment variable that holds the secret, as 64 hexadecimal digits.
pub const SECRET_VARIABLE: &str = "SERIN_SECRET";

/// Everything that `serin serve` can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the policy files; `policies` by default.
    pub policies: PathBuf,
    /// Folder of the store; `serin-data` by default.
    pub data: PathBuf,
    /// Where to listen; 127.0.0.1:8080 by default.
    pub listen: SocketAddr,
    /// Whether to serve everybody who can reach a non-loopback address, without tokens.
    pub insecure: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which events are logged, in the syntax of `tracing_subscriber::EnvFilter`; `info` by default.
    pub log_filter: String,
    /// Where Serin's own spans go; nowhere by default.
    pub traces: Option<TraceSettings>,
    /// The secret that users are hashed with, where it is fixed; else the store makes one.
    pub secret: Option<Secret>,
    /// What policies name as the `secret` of a notification.
    pub notify_secrets: BTreeMap<SecretName, Hidden>,
    /// Where prompts live.
    pub registries: BTreeMap<RegistryName, RegistryKind>,
    /// Caches of applications that follow labels; none by default.
    pub redis: Vec<RedisSettings>,
    /// The model that the console's playground may call; none by default.
    pub playground: Option<PlaygroundSettings>,
    /// The origins whose pages may read assignments; nobody's by default.
    pub allowed_origins: AllowedOrigins,
    /// Users who are in treatment of no policy; none by default.
    pub reserve: Option<ReserveSettings>,
    /// What clients may ask for.
    pub limits: Limits,
    /// How long requests may go on after the signal to stop; 10 s by default.
    pub shutdown_grace: Duration,
}

/// What clients may ask for; whatever goes beyond is refused with a problem that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body as it is sent, in bytes.
    pub body_bytes_max: usize,
    /// Largest request body after decompression, in bytes.
    pub body_decompressed_bytes_max: usize,
    /// Most observations in one request.
    pub observations_max: usize,
    /// Most requests that are worked on at once, assignments apart.
    pub requests_in_flight_max: usize,
    /// Most open connections.
    pub connections_max: usize,
    /// Most clients that follow `/v1/events`, or an open page of the console, at once.
    pub event_subscribers_max: usize,
    /// Most clients that wait for changes of assignments at once, in the protocols of flag SDKs.
    pub assignment_subscribers_max: usize,
    /// Longest time for a body to arrive, and again for its answer.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 * 1024 * 1024,
            body_decompressed_bytes_max: 16 * 1024 * 1024,
            observations_max: 10_000,
            requests_in_flight_max: 1_024,
            connections_max: 8_192,
            event_subscribers_max: 512,
            assignment_subscribers_max: 4_096,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Flags of `serin serve`, each with its environment variable.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    /// Settings file [default: serin.yaml, where it exists]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the policy files [default: policies]
    #[arg(long, env = "SERIN_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Folder of the store [default: serin-data]
    #[arg(long, env = "SERIN_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "SERIN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Serve everybody who can reach the address, without tokens
    #[arg(long, env = "SERIN_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub insecure: Option<bool>,
    /// How log lines look: text or json [default: text]
    #[arg(long, env = "SERIN_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which events are logged, such as `info` or `warn,serin=debug` [default: info]
    #[arg(long, env = "SERIN_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// File with the secret that users are hashed with, as 64 hexadecimal digits
    #[arg(long, env = "SERIN_SECRET_FILE", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// How long requests may go on after the signal to stop, such as 10s [default: 10s]
    #[arg(long, env = "SERIN_SHUTDOWN_GRACE", value_parser = parse_duration, value_name = "DURATION")]
    pub shutdown_grace: Option<Duration>,
    /// An origin whose pages may read assignments, such as `https://app.example.org`; can be repeated
    #[arg(
        long = "allowed-origin",
        env = "SERIN_ALLOWED_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub allowed_origins: Vec<AllowedOrigin>,
    /// What clients may ask for
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Flags for [`Limits`].
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Largest request body as it is sent, in bytes [default: 4194304]
    #[arg(long, env = "SERIN_BODY_BYTES_MAX", value_parser = parse_size, value_name = "BYTES")]
    pub body_bytes_max: Option<usize>,
    /// Largest request body after decompression, in bytes [default: 16777216]
    #[arg(long, env = "SERIN_BODY_DECOMPRESSED_BYTES_MAX", value_parser = parse_size, value_name = "BYTES")]
    pub body_decompressed_bytes_max: Option<usize>,
    /// Most observations in one request [default: 10000]
    #[arg(long, env = "SERIN_OBSERVATIONS_MAX", value_parser = parse_size, value_name = "COUNT")]
    pub observations_max: Option<usize>,
    /// Most requests that are worked on at once, assignments apart [default: 1024]
    #[arg(long, env = "SERIN_REQUESTS_IN_FLIGHT_MAX", value_parser = parse_size, value_name = "COUNT")]
    pub requests_in_flight_max: Option<usize>,
    /// Most open connections [default: 8192]
    #[arg(long, env = "SERIN_CONNECTIONS_MAX", value_parser = parse_size, value_name = "COUNT")]
    pub connections_max: Option<usize>,
    /// Most clients that follow /v1/events or look at an open page at once [default: 512]
    #[arg(long, env = "SERIN_EVENT_SUBSCRIBERS_MAX", value_parser = parse_size, value_name = "COUNT")]
    pub event_subscribers_max: Option<usize>,
    /// Most clients that wait for changes of assignments at once [default: 4096]
    #[arg(long, env = "SERIN_ASSIGNMENT_SUBSCRIBERS_MAX", value_parser = parse_size, value_name = "COUNT")]
    pub assignment_subscribers_max: Option<usize>,
    /// Longest time for a body to arrive, and again for its answer, such as 10s [default: 10s]
    #[arg(long, env = "SERIN_REQUEST_TIMEOUT", value_parser = parse_duration, value_name = "DURATION")]
    pub request_timeout: Option<Duration>,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The settings file has a mistake.
    #[error("{place}: {problem}")]
    Invalid {
        /// File, line and key.
        place: String,
        /// What is wrong, and the mend.
        problem: String,
    },
    /// The secret is not one.
    #[error("the secret in {place} must be 64 hexadecimal digits: make one with `openssl rand -hex 32`")]
    Secret {
        /// The variable or file.
        place: String,
    },
}

/// What environment variables hold.
type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// What an environment variable holds, where it is set to text.
pub fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "settings are read here, and secrets must not be flags"
    )]
    std::env::var(name).ok()
}

/// What [`SECRET_VARIABLE`] holds.
pub fn secret_from_environment() -> Option<String> {
    environment(SECRET_VARIABLE)
}

/// The fixed secret: `environment` is what [`secret_from_environment`] found, and wins over `file`.
pub fn secret(environment: Option<&str>, file: Option<&Path>) -> Result<Option<Secret>, SettingsError> {
    match (environment, file) {
        (Some(text), _) => parse_secret(text, &format!("`{SECRET_VARIABLE}`")).map(Some),
        (None, Some(file)) => read_secret(file).map(Some),
        (None, None) => Ok(None),
    }
}

impl Settings {
    /// The settings that `args` (flags and environment), the settings file and the defaults make.
    ///
    /// `environment` gives the secret, which wins over a file with one, and the keys of registries.
    pub fn resolve(
        args: ServeArgs,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let document = match &args.config {
            Some(file) => document::read(file)?,
            None if Path::new(FILE_DEFAULT).exists() => document::read(Path::new(FILE_DEFAULT))?,
            None => document::Document::default(),
        };
        let secret_file = args.secret_file.or(document.secret_file);
        let secret = secret(environment(SECRET_VARIABLE).as_deref(), secret_file.as_deref())?;
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
        Ok(Self {
            policies: args
                .policies
                .or(document.policies)
                .unwrap_or_else(|| "policies".into()),
            data: args.data.or(document.data).unwrap_or_else(|| "serin-data".into()),
            listen: args.listen.or(document.listen).unwrap_or(loopback),
            insecure: args.insecure.or(document.insecure).unwrap_or(false),
            log_format: args.log_format.or(document.log_format).unwrap_or_default(),
            log_filter: args
                .log
                .or(document.log_filter)
                .unwrap_or_else(|| "info".to_owned()),
            traces: traces::resolve(document.traces, environment)?,
            secret,
            notify_secrets: notify_secrets(document.notify_secrets, environment)?,
            registries: registries(document.registries, environment)?,
            redis: caches::resolve(document.redis, environment)?,
            playground: document
                .playground
                .map(|entry| entry.resolve(environment))
                .transpose()?,
            allowed_origins: if args.allowed_origins.is_empty() {
                document.allowed_origins.into_iter().collect()
            } else {
                args.allowed_origins.into_iter().collect()
            },
            reserve: document.reserve,
            limits: limits(args.limits, document.limits),
            shutdown_grace: args
                .shutdown_grace
                .or(document.shutdown_grace)
                .unwrap_or(Duration::from_secs(10)),
        })
    }
}

/// The secrets of notifications.
fn notify_secrets(
    entries: BTreeMap<SecretName, KeySource>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<SecretName, Hidden>, SettingsError> {
    let read = entries.into_iter().map(|(name, source)| {
        let secret = source
            .read(environment)
            .map_err(|problem| SettingsError::Invalid {
                place: format!("`notify.secrets.{name}`"),
                problem,
            })?;
        Ok((name, secret))
    });
    read.collect()
}

/// The registries with their keys.
fn registries(
    entries: BTreeMap<RegistryName, registries::Entry>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<RegistryName, RegistryKind>, SettingsError> {
    let resolved = entries.into_iter().map(|(name, entry)| {
        let kind = entry.resolve(&name, environment)?;
        if name.as_str() == RegistryName::EMBEDDED && kind != RegistryKind::Embedded {
            return Err(SettingsError::Invalid {
                place: format!("`registries.{name}`"),
                problem: "this is the name of Serin's own registry: give the other one another".to_owned(),
            });
        }
        Ok((name, kind))
    });
    resolved.collect()
}

/// Each limit from the first that names it: flags, file, default.
fn limits(args: LimitArgs, file: LimitArgs) -> Limits {
    let default = Limits::default();
    let pick = |flag: Option<usize>, file: Option<usize>, default| flag.or(file).unwrap_or(default);
    Limits {
        body_bytes_max: pick(args.body_bytes_max, file.body_bytes_max, default.body_bytes_max),
        body_decompressed_bytes_max: pick(
            args.body_decompressed_bytes_max,
            file.body_decompressed_bytes_max,
            default.body_decompressed_bytes_max,
        ),
        observations_max: pick(
            args.observations_max,
            file.observations_max,
            default.observations_max,
        ),
        requests_in_flight_max: pick(
            args.requests_in_flight_max,
            file.requests_in_flight_max,
            default.requests_in_flight_max,
        ),
        connections_max: pick(
            args.connections_max,
            file.connections_max,
            default.connections_max,
        ),
        event_subscribers_max: pick(
            args.event_subscribers_max,
            file.event_subscribers_max,
            default.event_subscribers_max,
        ),
        assignment_subscribers_max: pick(
            args.assignment_subscribers_max,
            file.assignment_subscribers_max,
            default.assignment_subscribers_max,
        ),
        request_timeout: args
            .request_timeout
            .or(file.request_timeout)
            .unwrap_or(default.request_timeout),
    }
}

/// A whole number from 1.
fn parse_size(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|size| *size > 0)
        .ok_or_else(|| format!("`{text}` must be a whole number from 1"))
}

/// A length of time with its unit, above zero: `500ms`, `10s`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .filter(jiff::SignedDuration::is_positive)
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(|| format!("`{text}` must be a length of time with its unit, such as `10s`"))
}

fn read_secret(file: &Path) -> Result<Secret, SettingsError> {
    let text = std::fs::read_to_string(file).map_err(|source| SettingsError::Read {
        file: file.to_owned(),
        source,
    })?;
    parse_secret(text.trim(), &format!("`{}`", file.display()))
}

fn parse_secret(text: &str, place: &str) -> Result<Secret, SettingsError> {
    let refused = || SettingsError::Secret {
        place: place.to_owned(),
    };
    let mut secret = [0; 32];
    if text.len() != 2 * secret.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused());
    }
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| refused())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
    }
    Ok(Secret(secret))
}

#[cfg(test)]
mod tests;
