//! Who is told.

use super::super::code::Code;
use super::super::document::value::Items;
use super::super::document::{Given, NotifyDocument, WEBHOOKS_MAX};
use super::super::problem::Problems;
use super::super::{Notify, NotifyFormat, NotifyOn};
use super::refuse;
use crate::ids::SecretName;

/// Longest webhook, in bytes.
const WEBHOOK_BYTES_MAX: usize = 2_048;

pub(super) fn check(
    given: &Given<Items<NotifyDocument, 0, WEBHOOKS_MAX>>,
    problems: &mut Problems,
) -> Option<Vec<Notify>> {
    given.resolve(Vec::new(), |located| {
        located.value.convert(|_, item| notify(&item.value, problems))
    })
}

fn notify(document: &NotifyDocument, problems: &mut Problems) -> Option<Notify> {
    let format = document
        .format
        .resolve(NotifyFormat::default(), |located| Some(located.value));
    let secret = document.secret.resolve(None, |located| {
        let name = SecretName::new(&located.value).ok();
        if name.is_none() {
            refuse(
                Code::NotifySecret,
                located,
                "`secret`",
                SecretName::RULE,
                None,
                problems,
            );
        }
        name.map(Some)
    });
    let webhook = document.webhook.located().and_then(|located| {
        let fault = fault_of(&located.value);
        if let Some(fault) = fault {
            problems.add_with_help(
                Code::Webhook,
                located.span,
                format!("`webhook` {fault}"),
                "such as `https://hooks.example.com/rollouts`",
            );
        }
        if let (None, Some(format), Some(secret)) = (fault, format, &secret)
            && let Some((fault, help)) = misuse(&located.value, format, secret.is_some())
        {
            problems.add_with_help(
                Code::NotifySecret,
                located.span,
                format!("`webhook` {fault}"),
                help,
            );
            return None;
        }
        fault.is_none().then(|| located.value.as_str().into())
    });
    let mut seen: Vec<NotifyOn> = Vec::new();
    let on = document.on.value().and_then(|items| {
        items.convert(|_, item| {
            if seen.contains(&item.value) {
                problems.add(
                    Code::NotifyOnTwice,
                    item.span,
                    "this transition is already listed",
                );
                return None;
            }
            seen.push(item.value);
            Some(item.value)
        })
    });
    Some(Notify {
        webhook: webhook?,
        format: format?,
        secret: secret?,
        on: on?,
    })
}

/// What stands against the secret part of a URL, and the mend.
fn misuse(url: &str, format: NotifyFormat, names_secret: bool) -> Option<(&'static str, &'static str)> {
    let places = url.matches(Notify::SECRET_PLACE).count();
    match (format, places) {
        (NotifyFormat::Slack, 0) if names_secret => Some((
            "has no place for the secret",
            "such as `https://hooks.slack.com/services/{secret}`",
        )),
        (NotifyFormat::Slack, 1..) if !names_secret => Some((
            "has a place for a secret, and `secret` names none",
            "name one of `notify.secrets` in the server's settings",
        )),
        (NotifyFormat::Slack, 2..) => Some(("has two places for one secret", "leave one of them")),
        (NotifyFormat::Standard | NotifyFormat::Alertmanager, 1..) => Some((
            "has a place for a secret, which only the format `slack` fills",
            "the secret signs the message, or goes as a bearer token",
        )),
        (NotifyFormat::Slack | NotifyFormat::Standard | NotifyFormat::Alertmanager, _) => None,
    }
}

/// What is wrong with a URL (RFC 3986, section 3.2), if anything.
fn fault_of(url: &str) -> Option<&'static str> {
    if url.len() > WEBHOOK_BYTES_MAX {
        return Some("must be at most 2,048 bytes");
    }
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("must not contain spaces or line breaks");
    }
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return Some("must begin with `https://` or `http://`");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("must not carry a user or password: policies are kept in git");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let in_brackets = host.starts_with('[') && host.ends_with(']');
    let host_is_sound = match in_brackets {
        true => host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok(),
        false => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    if !host_is_sound {
        return Some("must name a host");
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        return Some("has a port that is not a number up to 65535");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_urls_with_a_host() {
        for good in [
            "https://hooks.example.com/a?b=c#d",
            "http://localhost:8080",
            "http://[::1]:9000/x",
            "https://10.0.0.1",
        ] {
            assert_eq!(fault_of(good), None, "{good}");
        }
        for bad in [
            "",
            "hooks.example.com",
            "ftp://x",
            "https://",
            "https:///path",
            "https://host/a b",
            "https://host/\u{7}",
            "https://user:secret@host",
            "https://host:99999",
            "https://host:",
            "https://[::1",
            "https://[zz]",
            "https://[]",
            "https://é",
        ] {
            assert!(fault_of(bad).is_some(), "{bad}");
        }
    }
}
