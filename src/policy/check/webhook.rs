//! Who is told.

use super::super::code::Code;
use super::super::document::value::Items;
use super::super::document::{Given, NotifyDocument, WEBHOOKS_MAX};
use super::super::problem::Problems;
use super::super::{Notify, NotifyOn};

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
        on: on?,
    })
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
