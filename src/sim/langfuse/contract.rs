//! How Langfuse answers: its published contract, as far as prompts and labels go.

use super::held::{Held, Row, Writer};
use crate::prompt::labels::LATEST;
use crate::registry::langfuse::transport::{Method, Reply, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The label that is meant when nothing is said.
const LABEL_DEFAULT: &str = "production";
/// Prompts on a page of the list, where the asker does not say, and most of them.
const PAGE_ROWS: usize = 100;
/// What begins and ends a reference to another prompt inside a text.
const TAG: (&str, &str) = ("@@@langfusePrompt:", "@@@");

/// Answers a request that has arrived.
pub(super) fn answer(held: &mut Held, request: &Request, by: Writer, now: Timestamp) -> Reply {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method, path.as_slice()) {
        (Method::Get, ["api", "public", "v2", "prompts"]) => list(held, request),
        (Method::Get, ["api", "public", "v2", "prompts", name]) => get(held, name, request),
        (Method::Patch, ["api", "public", "v2", "prompts", name, "versions", version]) => {
            patch(held, name, version, request, (by, now))
        }
        (Method::Get | Method::Patch, _) => Reply {
            body: "<!DOCTYPE html><title>404</title>".into(),
            ..reply(404, &Value::Null)
        },
    }
}

pub(super) fn reply(status: u16, body: &Value) -> Reply {
    Reply {
        status,
        retry_after: None,
        rate_limit_reset: None,
        body: body.to_string().into(),
    }
}

/// A refusal in Langfuse's own form.
pub(super) fn refusal(status: u16, message: &str) -> Reply {
    let error = match status {
        400 => "InvalidRequestError",
        401 => "UnauthorizedError",
        403 => "ForbiddenError",
        404 => "LangfuseNotFoundError",
        409 => "LangfuseConflictError",
        422 => "Request timed out",
        _ => "Internal Server Error",
    };
    reply(status, &json!({"message": message, "error": error}))
}

/// A rate limit has a form of its own.
pub(super) fn rate_limited(seconds: i64) -> Reply {
    Reply {
        retry_after: Some(seconds.to_string()),
        ..reply(
            429,
            &json!({
                "code": "rate_limited",
                "message": "Rate limit exceeded",
                "details": {"retryAfterSeconds": seconds, "limit": 100, "remaining": 0},
            }),
        )
    }
}

fn parameter<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let found = request.query.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.as_str())
}

fn get(held: &Held, name: &str, request: &Request) -> Reply {
    // A version 0 counts as none.
    let version = parameter(request, "version").and_then(|text| text.parse().ok());
    let version: Option<u32> = version.filter(|version| *version != 0);
    let label = parameter(request, "label");
    let (row, sought) = match (version, label) {
        (Some(_), Some(_)) => return refusal(400, "Cannot specify both version and label"),
        (Some(version), None) => (
            held.numbered(name, version),
            format!("'{name}' with version {version}"),
        ),
        (None, label) => {
            let label = label.unwrap_or(LABEL_DEFAULT);
            (held.holder(name, label), format!("'{name}' with label '{label}'"))
        }
    };
    let Some(row) = row else {
        return refusal(404, &format!("Prompt not found: {sought}"));
    };
    let mut wire = row.wire(name);
    if parameter(request, "resolve") != Some("false")
        && let Some(text) = row.prompt.as_str()
    {
        match resolve(held, text) {
            Ok(resolved) => wire["prompt"] = Value::from(resolved),
            Err(missing) => return refusal(400, &format!("Prompt dependency not found: {missing}")),
        }
    }
    reply(200, &wire)
}

/// Puts the texts in that others refer to, one level deep; or the reference that leads nowhere.
fn resolve(held: &Held, text: &str) -> Result<String, String> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, tagged)) = rest.split_once(TAG.0) {
        let Some((tag, after)) = tagged.split_once(TAG.1) else {
            break;
        };
        resolved.push_str(before);
        let field = |name: &str| tag.split('|').find_map(|part| part.strip_prefix(name));
        let name = field("name=").unwrap_or_default();
        let row = match (field("label="), field("version=")) {
            (Some(label), _) => held.holder(name, label),
            (None, version) => version
                .and_then(|version| version.parse().ok())
                .and_then(|version| held.numbered(name, version)),
        };
        let other = row.and_then(|row| row.prompt.as_str());
        resolved.push_str(other.ok_or_else(|| tag.to_owned())?);
        rest = after;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// Adds labels to a version and takes them from every other; what the version has it keeps.
fn patch(
    held: &mut Held,
    name: &str,
    version: &str,
    request: &Request,
    (by, now): (Writer, Timestamp),
) -> Reply {
    let labels = request.body.as_ref().map(|body| &body["newLabels"]);
    let labels = labels.and_then(Value::as_array).map(|labels| {
        let texts = labels.iter().map(Value::as_str);
        texts.collect::<Option<Vec<_>>>()
    });
    let invalid = |why: &str| {
        let issues = json!([{"path": ["newLabels"], "message": why}]);
        reply(400, &json!({"message": "Invalid request data", "error": issues}))
    };
    let Some(Some(labels)) = labels else {
        return invalid("Required");
    };
    if labels.contains(&LATEST) {
        return invalid("Label 'latest' is always assigned to the latest prompt version");
    }
    let found = version
        .parse()
        .ok()
        .filter(|version| held.numbered(name, *version).is_some());
    let Some(found) = found else {
        let message = format!("Prompt '{name}' version {version} not found in project");
        return refusal(404, &message);
    };
    for label in labels {
        held.point(name, label, Some(found), by, now);
    }
    match held.numbered(name, found) {
        Some(row) => reply(200, &row.wire(name)),
        None => refusal(404, "gone"),
    }
}

/// The list of prompts. Filters narrow versions and labels too, and the labels are a union: they do
/// not tell which version holds which.
fn list(held: &Held, request: &Request) -> Reply {
    let number = |name: &str| parameter(request, name).and_then(|text| text.parse::<usize>().ok());
    let limit = number("limit").unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS);
    let page = number("page").unwrap_or(1).max(1);
    let wanted = |row: &&Row| parameter(request, "label").is_none_or(|label| row.labels.contains(label));
    let mut found = Vec::new();
    for name in held.names() {
        if parameter(request, "name").is_some_and(|asked| asked != name) {
            continue;
        }
        let rows: Vec<&Row> = held.rows(name).iter().filter(wanted).collect();
        let labels: BTreeSet<&String> = rows.iter().flat_map(|row| &row.labels).collect();
        let versions: Vec<u32> = rows.iter().map(|row| row.version).collect();
        if !versions.is_empty() {
            let updated = rows.iter().map(|row| row.updated_at).max().unwrap_or_default();
            found.push(json!({
                "name": name, "type": "text", "versions": versions, "labels": labels, "tags": [], "lastConfig": {},
                "lastUpdatedAt": updated.to_string(),
            }));
        }
    }
    let pages = found.len().div_ceil(limit);
    let shown: Vec<&Value> = found.iter().skip((page - 1) * limit).take(limit).collect();
    let meta = json!({"page": page, "limit": limit, "totalItems": found.len(), "totalPages": pages});
    reply(200, &json!({"data": shown, "meta": meta, "pagination": meta}))
}
