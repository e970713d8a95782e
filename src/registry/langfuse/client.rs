//! Langfuse's calls, one method each: paced, and every answer that is not the expected one in words.

use super::pace::{Pace, Urgency};
use super::transport::{Method, NoReply, Reply, Request, Transport};
use super::wire::{List, Listed, RateLimit, Refusal, Row};
use crate::clock::Clock;
use crate::ids::{Label, PromptName, Version};
use crate::prompt::composition::Which;
use crate::registry::RegistryError;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most of an answer that is repeated in an error, in characters.
const ANSWER_SHOWN_CHARS_MAX: usize = 200;
/// The word by which Langfuse says that it has no such thing; another 404 comes from something else.
const NOT_FOUND: &str = "LangfuseNotFoundError";

/// Prompts on a page of the list; Langfuse gives no more at once.
pub(super) const PAGE_PROMPTS: usize = 100;

/// Asks one Langfuse.
pub(super) struct Client {
    transport: Arc<dyn Transport>,
    clock: Clock,
    pace: Mutex<Pace>,
}

/// How a prompt is wanted that refers to others.
#[derive(Debug, Clone, Copy)]
enum Form {
    AsWritten,
    Resolved,
}

/// What came of a request that changes something.
#[derive(Debug)]
pub(super) enum Change {
    /// It was done, and this is the version now.
    Done(Box<Row>),
    /// It was refused, or cannot have been done.
    Failed(RegistryError),
    /// Nobody knows.
    Unknown(String),
}

impl Client {
    pub(super) fn new(transport: Arc<dyn Transport>, clock: Clock, requests_per_minute: u32) -> Self {
        Self {
            transport,
            clock,
            pace: Mutex::new(Pace::new(requests_per_minute)),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The version that holds a label; none when no version does.
    ///
    /// It is asked for unresolved, which goes past Langfuse's own cache.
    pub(super) async fn labelled(
        &self,
        prompt: &PromptName,
        label: &Label,
        urgency: Urgency,
    ) -> Result<Option<Row>, RegistryError> {
        let which = Which::Label(label.clone());
        self.row(prompt, &which, Form::AsWritten, urgency).await
    }

    /// One version; none when there is no such version.
    pub(super) async fn numbered(
        &self,
        prompt: &PromptName,
        version: Version,
        urgency: Urgency,
    ) -> Result<Option<Row>, RegistryError> {
        let which = Which::Version(version);
        self.row(prompt, &which, Form::AsWritten, urgency).await
    }

    /// A version with its references to other prompts replaced by their texts; none when there is none.
    pub(super) async fn resolved(
        &self,
        prompt: &PromptName,
        which: &Which,
        urgency: Urgency,
    ) -> Result<Option<Row>, RegistryError> {
        self.row(prompt, which, Form::Resolved, urgency).await
    }

    /// A page of the list of prompts, from 1, and whether it is the last one.
    pub(super) async fn page(&self, page: u32) -> Result<(Vec<Listed>, bool), RegistryError> {
        let path = ["api", "public", "v2", "prompts"];
        let request = Request {
            method: Method::Get,
            path: path.map(str::to_owned).to_vec(),
            query: vec![("page", page.to_string()), ("limit", PAGE_PROMPTS.to_string())],
            body: None,
        };
        self.admit(Urgency::Survey)?;
        let reply = self.exchange(request).await.map_err(unanswered)?;
        let list: List = self.expect(&reply)?;
        let is_last = list
            .meta
            .total_pages
            .map_or(list.data.len() < PAGE_PROMPTS, |pages| page >= pages);
        Ok((list.data, is_last))
    }

    async fn row(
        &self,
        prompt: &PromptName,
        which: &Which,
        form: Form,
        urgency: Urgency,
    ) -> Result<Option<Row>, RegistryError> {
        let asked = match which {
            Which::Label(label) => ("label", label.to_string()),
            Which::Version(version) => ("version", version.to_string()),
        };
        let resolve = matches!(form, Form::Resolved).to_string();
        let request = Request {
            method: Method::Get,
            path: path(prompt, &[])?,
            query: vec![asked, ("resolve", resolve)],
            body: None,
        };
        self.admit(urgency)?;
        let reply = self.exchange(request).await.map_err(unanswered)?;
        if is_absence(&reply) {
            return Ok(None);
        }
        let row: Row = self.expect(&reply)?;
        match mistaken(prompt, which, &row) {
            Some(found) => Err(RegistryError::Unavailable(found)),
            None => Ok(Some(row)),
        }
    }

    /// Adds a label to a version, which takes it away from every other version.
    pub(super) async fn add_label(&self, prompt: &PromptName, version: Version, label: &Label) -> Change {
        let request = match path(prompt, &["versions", &version.to_string()]) {
            Ok(path) => Request {
                method: Method::Patch,
                path,
                query: Vec::new(),
                body: Some(json!({"newLabels": [label.as_str()]})),
            },
            Err(refused) => return Change::Failed(refused),
        };
        if let Err(paced) = self.admit(Urgency::Move) {
            return Change::Failed(paced);
        }
        match self.exchange(request).await {
            Err(NoReply(why)) => Change::Unknown(why),
            // A proxy may answer for a server that goes on with it.
            Ok(reply) if reply.status >= 500 || reply.status == 408 => Change::Unknown(refusal_words(&reply)),
            Ok(reply) => match self.expect(&reply) {
                Ok(row) => Change::Done(Box::new(row)),
                Err(error) => Change::Failed(error),
            },
        }
    }

    /// Whether a request may be made now.
    pub(super) fn may_ask(&self, urgency: Urgency) -> bool {
        let now = self.clock.now();
        self.pace().would_admit(urgency, now)
    }

    fn admit(&self, urgency: Urgency) -> Result<(), RegistryError> {
        let now = self.clock.now();
        self.pace()
            .admit(urgency, now)
            .map_err(RegistryError::Unavailable)
    }

    async fn exchange(&self, request: Request) -> Result<Reply, NoReply> {
        let answer = self.transport.send(request).await;
        let now = self.clock.now();
        match &answer {
            Ok(reply) if reply.status == 429 => {
                let seconds = self.pace().told(retry_after(reply, now), now);
                tracing::warn!(seconds, "langfuse asks to be left alone (429)");
            }
            Ok(_) => self.pace().answered(),
            Err(NoReply(why)) => self.pace().unanswered(why, now),
        }
        answer
    }

    /// What a good answer says.
    fn expect<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, RegistryError> {
        if !(200..300).contains(&reply.status) {
            return Err(refusal(reply));
        }
        serde_json::from_slice(&reply.body).map_err(|error| {
            RegistryError::Unavailable(format!(
                "its answer cannot be understood ({error}): check that `baseUrl` leads to Langfuse"
            ))
        })
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Each change of it is one assignment, so a panic elsewhere leaves it whole.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with an answer that is not what was asked for.
fn mistaken(prompt: &PromptName, which: &Which, row: &Row) -> Option<String> {
    let version = row.version;
    if row.name != prompt.as_str() {
        let found = shown(&row.name);
        return Some(format!(
            "it was asked for prompt `{prompt}` and answered `{found}`"
        ));
    }
    match which {
        Which::Label(label) if !row.labels.iter().any(|held| held == label.as_str()) => Some(format!(
            "it was asked for label `{label}` of prompt `{prompt}` and answered version {version}, which has it not"
        )),
        Which::Version(asked) if asked.get() != version => Some(format!(
            "it was asked for version {asked} of prompt `{prompt}` and answered version {version}"
        )),
        Which::Label(_) | Which::Version(_) => None,
    }
}

fn unanswered(NoReply(why): NoReply) -> RegistryError {
    RegistryError::Unavailable(why)
}

/// The path of a prompt, and what follows it.
fn path(prompt: &PromptName, rest: &[&str]) -> Result<Vec<String>, RegistryError> {
    // As parts of a URL they mean another path, however they are encoded (WHATWG URL section 4.4).
    if matches!(prompt.as_str(), "." | "..") {
        return Err(RegistryError::Refused(format!(
            "a prompt called `{prompt}` cannot be asked for by URL"
        )));
    }
    let parts = ["api", "public", "v2", "prompts", prompt.as_str()];
    Ok(parts.iter().chain(rest).map(|part| (*part).to_owned()).collect())
}

/// Whether Langfuse itself says that there is no such prompt, version or label.
fn is_absence(reply: &Reply) -> bool {
    reply.status == 404 && told(reply).error == NOT_FOUND
}

fn told(reply: &Reply) -> Refusal {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// An answer that is not a good one.
fn refusal(reply: &Reply) -> RegistryError {
    let words = refusal_words(reply);
    match reply.status {
        404 if is_absence(reply) => RegistryError::NotFound(words),
        // Something that is not Langfuse answers: nothing is known about any prompt.
        404 => RegistryError::Unavailable(words),
        400 | 401 | 403 | 405 | 413 | 300..=399 => RegistryError::Refused(words),
        // 408, 409, 422 (its database took too long), 429 and 5xx: later it may go well.
        _ => RegistryError::Unavailable(words),
    }
}

fn refusal_words(reply: &Reply) -> String {
    let told = told(reply);
    let message = match (&told.message, &told.error) {
        (Some(message), Value::Array(issues)) if !issues.is_empty() => {
            format!("{message}: {}", Value::from(issues.clone()))
        }
        (Some(message), _) => message.clone(),
        (None, _) => String::from_utf8_lossy(&reply.body).into_owned(),
    };
    let (status, message) = (reply.status, shown(&message));
    let what = if message.is_empty() {
        format!("it answered {status}")
    } else {
        format!("it answered {status}, `{message}`")
    };
    match status {
        401 => format!("{what}: check `publicKey`, `secretKey` and `baseUrl` in the settings"),
        403 => format!("{what}: the keys of the settings may not do this"),
        404 if !is_absence(reply) => format!("{what}: check that `baseUrl` leads to Langfuse"),
        300..=399 => format!("{what}: name in `baseUrl` where it leads to"),
        429 => format!("{what}: it asks to be left alone for a while"),
        _ => what,
    }
}

/// Somebody else's words, as far as they fit in a line of a log.
fn shown(words: &str) -> String {
    let clean = words.trim().chars().filter(|c| !c.is_control());
    clean.take(ANSWER_SHOWN_CHARS_MAX).collect()
}

/// How long a 429 asks to wait, in seconds: `Retry-After` in either form (RFC 9110 section 10.2.3), else
/// what Langfuse puts into its body, else when the limit begins anew.
fn retry_after(reply: &Reply, now: Timestamp) -> Option<i64> {
    let until = |at: Timestamp| at.duration_since(now).as_secs().saturating_add(1);
    let header = reply.retry_after.as_deref().map(str::trim);
    let from_header = header.and_then(|text| {
        text.parse().ok().or_else(|| {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Some(until(date.timestamp()))
        })
    });
    let details: RateLimit = serde_json::from_value(told(reply).details).unwrap_or_default();
    from_header
        .or_else(|| details.retry_after_seconds.and_then(whole_seconds))
        .or_else(|| Some(until(details.reset_at?.parse().ok()?)))
        .or_else(|| Some(until(reply.rate_limit_reset.as_deref()?.trim().parse().ok()?)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is checked to be small and is rounded up"
)]
fn whole_seconds(seconds: f64) -> Option<i64> {
    (0.0..=1e9).contains(&seconds).then(|| seconds.ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            retry_after: None,
            rate_limit_reset: None,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn every_refusal_is_told_with_its_mend() {
        let shown: Vec<String> = [
            (
                400,
                r#"{"message":"Invalid request data","error":[{"path":["newLabels"]}]}"#,
            ),
            (
                401,
                r#"{"message":"Invalid credentials","error":"UnauthorizedError"}"#,
            ),
            (403, r#"{"message":"Access denied","error":"ForbiddenError"}"#),
            (
                404,
                r#"{"message":"Prompt not found: 'a' with version 9","error":"LangfuseNotFoundError"}"#,
            ),
            (404, "<html>nginx</html>"),
            (
                409,
                r#"{"message":"somebody was faster","error":"LangfuseConflictError"}"#,
            ),
            (422, r#"{"message":"too long","error":"Request timed out"}"#),
            (307, ""),
            (429, r#"{"code":"rate_limited","message":"Rate limit exceeded"}"#),
            (502, ""),
        ]
        .into_iter()
        .map(|(status, body)| refusal(&reply(status, body)).to_string())
        .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        the registry refused: it answered 400, `Invalid request data: [{"path":["newLabels"]}]`
        the registry refused: it answered 401, `Invalid credentials`: check `publicKey`, `secretKey` and `baseUrl` in the settings
        the registry refused: it answered 403, `Access denied`: the keys of the settings may not do this
        it answered 404, `Prompt not found: 'a' with version 9`
        the registry is unavailable: it answered 404, `<html>nginx</html>`: check that `baseUrl` leads to Langfuse
        the registry is unavailable: it answered 409, `somebody was faster`
        the registry is unavailable: it answered 422, `too long`
        the registry refused: it answered 307: name in `baseUrl` where it leads to
        the registry is unavailable: it answered 429, `Rate limit exceeded`: it asks to be left alone for a while
        the registry is unavailable: it answered 502
        "#);
    }

    #[test]
    fn a_wait_is_read_from_wherever_it_is_told() {
        let now: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let with = |retry_after: Option<&str>, reset: Option<&str>, body: &str| {
            let mut reply = reply(429, body);
            reply.retry_after = retry_after.map(str::to_owned);
            reply.rate_limit_reset = reset.map(str::to_owned);
            super::retry_after(&reply, now)
        };
        let body = r#"{"details":{"retryAfterSeconds":11.2,"resetAt":"2026-03-02T09:00:30.000Z"}}"#;
        assert_eq!(with(Some("12"), None, body), Some(12));
        assert_eq!(with(Some("Mon, 02 Mar 2026 09:00:20 GMT"), None, body), Some(21));
        assert_eq!(with(Some("soon"), None, body), Some(12));
        assert_eq!(
            with(
                None,
                None,
                r#"{"details":{"resetAt":"2026-03-02T09:00:30.000Z"}}"#
            ),
            Some(31)
        );
        assert_eq!(with(None, Some("2026-03-02T09:00:10Z"), "{}"), Some(11));
        assert_eq!(with(None, Some("Tue Aug 19 1975"), "busy"), None);
    }

    #[test]
    fn a_name_that_is_no_part_of_a_url_is_refused() {
        for name in [".", ".."] {
            assert!(path(&PromptName::new(name).unwrap(), &[]).is_err());
        }
        assert!(path(&PromptName::new("a/..").unwrap(), &[]).is_ok());
    }
}
