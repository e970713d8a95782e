//! Where Serin's own spans go: `traces` in the settings file, and OpenTelemetry's variables, which win.
//!
//! Names and meanings are those of the OpenTelemetry specification, "Environment Variable Specification"
//! and "OpenTelemetry Protocol Exporter". The protocol is OTLP over HTTP in Protocol Buffers, whatever
//! `OTEL_EXPORTER_OTLP_PROTOCOL` says.

use super::registries::KeySource;
use super::reserve::percentage;
use super::{Environment, SettingsError};
use crate::telemetry::traces::TraceSettings;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// What is added to an endpoint of all signals.
const TRACES_PATH: [&str; 2] = ["v1", "traces"];
/// How spans name their service, where nobody says otherwise.
const SERVICE: &str = "serin";
/// Longest name of the service, in bytes.
const SERVICE_BYTES_MAX: usize = 255;
/// Parts per million in a whole.
const WHOLE_PPM: u32 = 1_000_000;
/// Whether an address will do.
const ENDPOINT_RULE: &str =
    "must begin with `http://` or `https://` and name a host, such as `http://collector:4318/v1/traces`";

/// The same as the settings file has it; headers are not read yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    endpoint: Option<Endpoint>,
    headers: BTreeMap<String, KeySource>,
    service: Option<String>,
    ratio: Option<Ratio>,
}

#[derive(Debug)]
struct Endpoint(Url);

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        endpoint(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(ENDPOINT_RULE))
    }
}

/// Parts per million.
#[derive(Debug)]
struct Ratio(u32);

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = percentage(&text);
        let share =
            share.ok_or_else(|| D::Error::custom("must be a percentage from 0% to 100%, such as `1%`"))?;
        Ok(Self(share.ppm()))
    }
}

fn endpoint(text: &str) -> Option<Url> {
    let is_one = |url: &Url| {
        let is_bare = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
    };
    Url::parse(text).ok().filter(is_one)
}

/// Where spans go, with what `environment` says; none where nobody names an endpoint, or they are off.
pub(super) fn resolve(
    entry: Option<Entry>,
    environment: Environment<'_>,
) -> Result<Option<TraceSettings>, SettingsError> {
    // A variable that is empty is as good as none.
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let says = |name: &str, word: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let entry = entry.unwrap_or_default();
    let Some(endpoint) = named_endpoint(&variable)?.or(entry.endpoint.map(|Endpoint(url)| url)) else {
        return Ok(None);
    };
    let mut headers = HeaderMap::new();
    for (name, source) in &entry.headers {
        let place = format!("`traces.headers.{name}`");
        let text = source
            .text(environment)
            .map_err(|problem| invalid(place.clone(), problem))?;
        add(&mut headers, name, &text).map_err(|problem| invalid(place, problem))?;
    }
    // The variable of traces goes before that of all signals.
    let of_traces = |what: &str| {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
            .map(|beginning| format!("{beginning}{what}"))
            .into_iter()
            .find_map(|name| Some((variable(&name)?, name)))
    };
    let (pairs, named) = of_traces("HEADERS").unwrap_or_default();
    for pair in pairs.split(',').filter(|_| !pairs.is_empty()) {
        let place = || format!("`{named}`");
        let rule = || {
            invalid(
                place(),
                "must be `name=value` pairs with commas between them".to_owned(),
            )
        };
        let (name, value) = pair.split_once('=').ok_or_else(rule)?;
        let value = decoded(value.trim()).ok_or_else(rule)?;
        add(&mut headers, name.trim(), &value).map_err(|problem| invalid(place(), problem))?;
    }
    let service = variable("OTEL_SERVICE_NAME").or(entry.service);
    let service = service.unwrap_or_else(|| SERVICE.to_owned());
    if !(1..=SERVICE_BYTES_MAX).contains(&service.len()) || service.chars().any(char::is_control) {
        let rule = format!("must be 1 to {SERVICE_BYTES_MAX} bytes without control characters");
        return Err(invalid("`traces.service`".to_owned(), rule));
    }
    let ratio = sampled(&variable)?.or(entry.ratio.map(|Ratio(ppm)| ppm));
    Ok(Some(TraceSettings {
        endpoint,
        headers,
        service,
        ratio_ppm: ratio.unwrap_or(WHOLE_PPM),
        gzip: of_traces("COMPRESSION").is_some_and(|(word, _)| word == "gzip"),
    }))
}

/// The endpoint of the variables: that of traces as it is, that of all signals with the path of traces.
fn named_endpoint(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Url>, SettingsError> {
    let read = |name: &str| {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        let url = endpoint(text.trim());
        url.map(Some)
            .ok_or_else(|| invalid(format!("`{name}`"), ENDPOINT_RULE.to_owned()))
    };
    if let Some(url) = read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")? {
        return Ok(Some(url));
    }
    let url = read("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    Ok(url.map(|mut url| {
        // An address with a host always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(TRACES_PATH);
        }
        url
    }))
}

/// The share that `OTEL_TRACES_SAMPLER` asks for; what goes on with a trace is told as its parent was.
fn sampled(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<u32>, SettingsError> {
    let Some(sampler) = variable("OTEL_TRACES_SAMPLER") else {
        return Ok(None);
    };
    let share = match sampler.trim().trim_start_matches("parentbased_") {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let name = "OTEL_TRACES_SAMPLER_ARG";
            let ratio = variable(name).map_or(Ok(1.0), |text| text.trim().parse::<f64>());
            let ratio = ratio.ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.ok_or_else(|| invalid(format!("`{name}`"), "must be a number from 0 to 1".to_owned()))?
        }
        // Others mean something to other programs.
        _ => return Ok(None),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to a million"
    )]
    let ppm = (share * f64::from(WHOLE_PPM)).round() as u32;
    Ok(Some(ppm))
}

/// Percent-encoded text (W3C Baggage, section 3.3.1.3).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = behind;
            continue;
        }
        let (digits, behind) = behind.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::try_from(name).map_err(|_| "this is no name of a header".to_owned())?;
    let mut value =
        HeaderValue::try_from(value).map_err(|_| "the value cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn invalid(place: String, problem: String) -> SettingsError {
    SettingsError::Invalid { place, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document;

    fn resolved(text: &str, variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        let document = document::parse(text, "serin.yaml").map_err(|error| error.to_string())?;
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve(document.traces, &environment).map_err(|error| error.to_string())
    }

    fn endpoint_of(text: &str, variables: &[(&str, &str)]) -> Option<String> {
        let settings = resolved(text, variables).unwrap()?;
        Some(settings.endpoint.to_string())
    }

    const FILE: &str = "traces: {endpoint: 'http://a:4318/v1/traces', ratio: 1%, service: canary, \
                        headers: {authorization: {env: AUTHORIZATION}}}";

    #[test]
    fn the_file_says_where_and_how_many() {
        let settings = resolved(FILE, &[("AUTHORIZATION", "Bearer deep")])
            .unwrap()
            .unwrap();
        assert_eq!(settings.endpoint.as_str(), "http://a:4318/v1/traces");
        assert_eq!(
            (settings.ratio_ppm, settings.service.as_str()),
            (10_000, "canary")
        );
        assert_eq!(settings.headers["authorization"], "Bearer deep");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("deep") && !shown.contains("4318"), "{shown}");
        let bare = resolved("traces: {endpoint: 'http://a:4318/v1/traces'}", &[])
            .unwrap()
            .unwrap();
        assert_eq!(
            (bare.ratio_ppm, bare.service.as_str(), bare.gzip),
            (1_000_000, "serin", false)
        );
    }

    #[test]
    fn without_an_endpoint_nothing_is_told() {
        assert_eq!(resolved("", &[]).unwrap(), None);
        assert_eq!(
            resolved("traces: {ratio: 10%}", &[("OTEL_SERVICE_NAME", "x")]).unwrap(),
            None
        );
        let off = [("OTEL_SDK_DISABLED", "TRUE"), ("AUTHORIZATION", "x")];
        assert_eq!(resolved(FILE, &off).unwrap(), None);
        let none = [("OTEL_TRACES_EXPORTER", "none"), ("AUTHORIZATION", "x")];
        assert_eq!(resolved(FILE, &none).unwrap(), None);
    }

    #[test]
    fn variables_win_and_have_their_own_meaning() {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/spans?to=here");
        assert_eq!(endpoint_of("", &[general]).unwrap(), "http://b:4318/v1/traces");
        let below = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318/otlp/");
        assert_eq!(endpoint_of("", &[below]).unwrap(), "http://b:4318/otlp/v1/traces");
        assert_eq!(endpoint_of("", &[general, own]).unwrap(), own.1);
        let variables = [
            own,
            ("AUTHORIZATION", "Bearer deep"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20new, x-team = a%2Cb",
            ),
            ("OTEL_SERVICE_NAME", "rollouts"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        let settings = resolved(FILE, &variables).unwrap().unwrap();
        assert_eq!(settings.headers["authorization"], "Bearer new");
        assert_eq!(settings.headers["x-team"], "a,b");
        assert_eq!(
            (settings.service.as_str(), settings.ratio_ppm),
            ("rollouts", 250_000)
        );
        assert!(settings.gzip);
        let off = [general, ("OTEL_TRACES_SAMPLER", "always_off")];
        assert_eq!(resolved("", &off).unwrap().unwrap().ratio_ppm, 0);
        let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", " ")];
        assert_eq!(resolved("", &empty).unwrap(), None);
    }

    #[test]
    fn problems_name_the_setting() {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318");
        let shown = [
            resolved("traces: {endpoint: 'collector:4317'}", &[]).unwrap_err(),
            resolved("traces: {endpoint: 'http://user:deep@a'}", &[]).unwrap_err(),
            resolved("traces: {ratio: 0.1}", &[]).unwrap_err(),
            resolved("traces: {headers: {authorization: deep}}", &[]).unwrap_err(),
            resolved("traces: {endpont: 'http://a'}", &[]).unwrap_err(),
            resolved(FILE, &[]).unwrap_err(),
            resolved("", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector")]).unwrap_err(),
            resolved("", &[general, ("OTEL_EXPORTER_OTLP_HEADERS", "deep")]).unwrap_err(),
            resolved("", &[general, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=%zz")]).unwrap_err(),
            resolved(
                "",
                &[
                    general,
                    ("OTEL_TRACES_SAMPLER", "traceidratio"),
                    ("OTEL_TRACES_SAMPLER_ARG", "2"),
                ],
            )
            .unwrap_err(),
        ]
        .join("\n");
        assert!(!shown.contains("deep"), "{shown}");
        insta::assert_snapshot!(shown, @r"
        serin.yaml:1: `traces.endpoint`: must begin with `http://` or `https://` and name a host, such as `http://collector:4318/v1/traces`
        serin.yaml:1: `traces.endpoint`: must begin with `http://` or `https://` and name a host, such as `http://collector:4318/v1/traces`
        serin.yaml:1: `traces.ratio`: must be a percentage from 0% to 100%, such as `1%`
        serin.yaml:1: `traces.headers.authorization`: must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`
        serin.yaml:1: `traces.endpont`: there is no setting of this name, did you mean `endpoint`?
        `traces.headers.authorization`: environment variable `AUTHORIZATION` is not set
        `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: must begin with `http://` or `https://` and name a host, such as `http://collector:4318/v1/traces`
        `OTEL_EXPORTER_OTLP_HEADERS`: must be `name=value` pairs with commas between them
        `OTEL_EXPORTER_OTLP_TRACES_HEADERS`: must be `name=value` pairs with commas between them
        `OTEL_TRACES_SAMPLER_ARG`: must be a number from 0 to 1
        ");
    }
}
