//! How a notification travels.

use super::Secrets;
use super::message;
use super::signature::sign;
use super::told::Told;
use crate::ids::SecretName;
use crate::outbound::{self, Place};
use crate::policy::{Notify, NotifyFormat};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use std::time::Duration;

/// Time to reach a receiver, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Where Alertmanager takes alerts.
const ALERTS_PATH: &str = "api/v2/alerts";

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client of notifications")]
pub struct ClientError(#[source] reqwest::Error);

/// Why an attempt failed; no address is in it, because it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Refused {
    why: String,
    /// How long the receiver asked to be left alone.
    pub(super) retry_after: Option<SignedDuration>,
    /// Whether another attempt is of no use.
    pub(super) is_final: bool,
    /// What the receiver answered; none where it did not.
    pub(super) status: Option<StatusCode>,
}

impl Refused {
    fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            retry_after: None,
            is_final: false,
            status: None,
        }
    }

    /// A failure that no other attempt can mend.
    pub(super) fn hopeless(why: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::new(why)
        }
    }
}

/// Sends notifications.
#[derive(Debug)]
pub(super) struct Delivery {
    outward: Client,
    /// For this machine.
    local: Client,
    secrets: Secrets,
    timeout: Duration,
}

impl Delivery {
    pub(super) fn new(secrets: Secrets, timeout: Duration) -> Result<Self, ClientError> {
        let client = |place: Place| {
            place
                .client()
                .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
                .redirect(redirect::Policy::none())
                .build()
                .map_err(ClientError)
        };
        Ok(Self {
            outward: client(Place::Network)?,
            local: client(Place::ThisMachine)?,
            secrets,
            timeout,
        })
    }

    /// Sends what is told to whom the policy names; the status with which it was taken.
    pub(super) async fn send(
        &self,
        notify: &Notify,
        told: &Told<'_>,
        now: Timestamp,
    ) -> Result<StatusCode, Refused> {
        let secret = notify.secret.as_ref().map(|name| self.secret(name)).transpose()?;
        let url = address(notify, secret)?;
        let encoded = match notify.format {
            NotifyFormat::Standard => message::standard(told),
            NotifyFormat::Slack => message::slack(told),
            NotifyFormat::Alertmanager => message::alertmanager(told, now),
        };
        let body = encoded.map_err(|error| Refused::hopeless(error.to_string()))?;
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        match (notify.format, secret) {
            (NotifyFormat::Standard, secret) => {
                headers.insert(WEBHOOK_ID, value(&told.id)?);
                headers.insert(WEBHOOK_TIMESTAMP, now.as_second().into());
                if let Some(secret) = secret {
                    let signature = sign(secret, &told.id, now, &body)
                        .map_err(|error| Refused::new(format!("the secret cannot sign: {error}")))?;
                    headers.insert(WEBHOOK_SIGNATURE, value(&signature)?);
                }
            }
            (NotifyFormat::Alertmanager, Some(secret)) => {
                let mut bearer = value(&format!("Bearer {secret}"))?;
                bearer.set_sensitive(true);
                headers.insert(reqwest::header::AUTHORIZATION, bearer);
            }
            (NotifyFormat::Alertmanager, None) | (NotifyFormat::Slack, _) => {}
        }
        let client = match Place::of(&url) {
            Place::ThisMachine => &self.local,
            Place::Network => &self.outward,
        };
        let request = client.post(url).headers(headers).body(body).timeout(self.timeout);
        let answer = request.send().await.map_err(no_answer)?;
        judge(answer.status(), answer.headers(), now)
    }

    fn secret(&self, name: &SecretName) -> Result<&str, Refused> {
        let found = self.secrets.0.get(name).map(String::as_str);
        found.ok_or_else(|| {
            Refused::new(format!(
                "there is no secret `{name}` in the server's settings, under `notify.secrets`"
            ))
        })
    }
}

/// Where it goes.
fn address(notify: &Notify, secret: Option<&str>) -> Result<Url, Refused> {
    let not_one = |_| Refused::hopeless("the webhook is not an address");
    let mut url = match (notify.format, secret) {
        (NotifyFormat::Slack, Some(secret)) => {
            // A secret of Slack is the rest of a path, slashes and all.
            Url::parse(&notify.webhook.replace(Notify::SECRET_PLACE, secret)).map_err(not_one)?
        }
        (NotifyFormat::Slack, None) | (NotifyFormat::Standard | NotifyFormat::Alertmanager, _) => {
            Url::parse(&notify.webhook).map_err(not_one)?
        }
    };
    if notify.format == NotifyFormat::Alertmanager && !url.path().ends_with(ALERTS_PATH) {
        let path = format!("{}/{ALERTS_PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn value(text: &str) -> Result<HeaderValue, Refused> {
    HeaderValue::from_str(text)
        .map_err(|_| Refused::new("the secret has a character that no HTTP header takes"))
}

/// What an answer means: any status from 200 to 299 is a delivery, 410 is a receiver that is gone for good.
fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Result<StatusCode, Refused> {
    if status.is_success() {
        return Ok(status);
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Err(Refused {
        retry_after: retry_after.and_then(|text| wait_of(text, now)),
        is_final: status == StatusCode::GONE,
        status: Some(status),
        ..Refused::new(format!("the receiver answered {status}"))
    })
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn wait_of(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(at.duration_since(now)).filter(SignedDuration::is_positive)
}

fn no_answer(error: reqwest::Error) -> Refused {
    if error.is_timeout() {
        return Refused::new("no answer in time");
    }
    Refused::new(outbound::cause(error))
}
