//! Langfuse's webhooks: signed, and believed in nothing but that something may have changed.
//!
//! The header `x-langfuse-signature` is `t=<seconds>,v1=<hex>`, where the latter is the HMAC-SHA-256 of
//! `<seconds>.<body>` under the secret that Langfuse shows when the automation is made (`lf-whsec_…`, all
//! of it). One label move makes two events or more, and each is sent up to four times; none is made
//! for the parents of a composed prompt, and none on a deletion through the API. So an
//! event only makes Serin read the labels of its prompt anew, and without any events it still looks as
//! often as the policy says.

use crate::ids::PromptName;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;
use std::fmt;

/// How far the time in a signature may be from the present, in seconds; Langfuse's four attempts are
/// signed anew, each with its own time.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 300;
/// Signatures of one header that are tried; there is one, or two while a secret is changed.
const SIGNATURES_MAX: usize = 4;
/// What events about prompts say of themselves.
const TYPE: &str = "prompt-version";

/// What a Langfuse signs its webhooks with.
#[derive(Clone)]
pub struct HookSecret(String);

impl HookSecret {
    /// The secret as Langfuse shows it, `lf-whsec_…`.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecret(…)")
    }
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookRefused {
    /// There is no signature in the form that Langfuse's have.
    #[error("`x-langfuse-signature` must be `t=<seconds>,v1=<hexadecimal digits>`")]
    Malformed,
    /// It was signed too long ago, or in the future.
    #[error("the webhook was signed more than {CLOCK_SKEW_SECONDS_MAX} s away from now: check both clocks")]
    Untimely,
    /// Somebody else signed it, or changed it.
    #[error("the signature is not that of the registry's `webhookSecret`")]
    Forged,
    /// It is signed and cannot be understood.
    #[error("the webhook's body is not one of Langfuse's")]
    Incomprehensible,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    prompt: Option<EventPrompt>,
}

#[derive(Deserialize)]
struct EventPrompt {
    name: String,
}

impl HookSecret {
    /// The prompt that a webhook is about; none where it is about something else.
    ///
    /// `signature` is the header `x-langfuse-signature`, and `body` the body as it came, byte for byte.
    pub fn prompt_of(
        &self,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<PromptName>, HookRefused> {
        self.verify(signature, body, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| HookRefused::Incomprehensible)?;
        if event.kind != TYPE {
            return Ok(None);
        }
        let prompt = event.prompt.ok_or(HookRefused::Incomprehensible)?;
        // A name that Serin does not take is none that a policy steers.
        Ok(PromptName::new(&prompt.name).ok())
    }

    fn verify(&self, signature: &str, body: &[u8], now: Timestamp) -> Result<(), HookRefused> {
        let fields = signature
            .split(',')
            .filter_map(|field| field.trim().split_once('='));
        let (mut time, mut signatures) = (None, Vec::new());
        for (key, value) in fields {
            match key {
                "t" if time.is_none() => time = Some(value),
                "v1" if signatures.len() < SIGNATURES_MAX => signatures.push(value),
                _ => {}
            }
        }
        let time = time.ok_or(HookRefused::Malformed)?;
        let seconds: i64 = time.parse().map_err(|_| HookRefused::Malformed)?;
        if signatures.is_empty() {
            return Err(HookRefused::Malformed);
        }
        // The age counts only once the signature is known to be good, so that nobody learns more.
        let is_signed = signatures.iter().any(|signature| {
            bytes(signature).is_some_and(|signature| {
                let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok();
                mac.is_some_and(|mut mac| {
                    mac.update(time.as_bytes());
                    mac.update(b".");
                    mac.update(body);
                    mac.verify_slice(&signature).is_ok()
                })
            })
        });
        if !is_signed {
            return Err(HookRefused::Forged);
        }
        if now.as_second().abs_diff(seconds) > CLOCK_SKEW_SECONDS_MAX.unsigned_abs() {
            return Err(HookRefused::Untimely);
        }
        Ok(())
    }
}

/// Hexadecimal digits as bytes.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"e","type":"prompt-version","apiVersion":"v1","action":"updated","prompt":{"name":"answer","version":2}}"#;
    /// `printf '%s.%s' 1772442000 "$BODY" | openssl dgst -sha256 -hmac lf-whsec_test`
    const SIGNED: &str = "bb8e5d574e7b99540638efd3d2a9764e8e80dc6262dda901df94d32aaf028dd8";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn asked(signature: &str, body: &[u8], now: i64) -> Result<Option<PromptName>, HookRefused> {
        HookSecret::new("lf-whsec_test".to_owned()).prompt_of(signature, body, at(now))
    }

    #[test]
    fn what_langfuse_signed_names_its_prompt() {
        let answer = Ok(Some(PromptName::new("answer").unwrap()));
        let header = format!("t=1772442000,v1={SIGNED}");
        assert_eq!(asked(&header, BODY, 1_772_442_000), answer);
        assert_eq!(
            asked(&header, BODY, 1_772_442_000 + CLOCK_SKEW_SECONDS_MAX),
            answer
        );
        assert_eq!(
            asked(&header, BODY, 1_772_442_000 - CLOCK_SKEW_SECONDS_MAX),
            answer
        );
        let two = format!(
            "t=1772442000, v1={}, v1={}",
            "0".repeat(64),
            SIGNED.to_uppercase()
        );
        assert_eq!(asked(&two, BODY, 1_772_442_000), answer);
    }

    #[test]
    fn what_anybody_could_send_is_refused() {
        let header = format!("t=1772442000,v1={SIGNED}");
        let late = 1_772_442_000 + CLOCK_SKEW_SECONDS_MAX + 1;
        assert_eq!(asked(&header, BODY, late), Err(HookRefused::Untimely));
        assert_eq!(asked(&header, b"{}", 1_772_442_000), Err(HookRefused::Forged));
        let other_time = format!("t=1772442001,v1={SIGNED}");
        assert_eq!(asked(&other_time, BODY, 1_772_442_000), Err(HookRefused::Forged));
        let short = format!("t=1772442000,v1={}", &SIGNED[..62]);
        assert_eq!(asked(&short, BODY, 1_772_442_000), Err(HookRefused::Forged));
        for malformed in ["", "t=1772442000", "v1=00", "t=soon,v1=00", "t=,v1="] {
            assert_eq!(
                asked(malformed, BODY, 1_772_442_000),
                Err(HookRefused::Malformed),
                "{malformed}"
            );
        }
        let wide = format!("t=1772442000,v1={}", "é".repeat(32));
        assert_eq!(asked(&wide, BODY, 1_772_442_000), Err(HookRefused::Forged));
        assert_eq!(
            format!("{:?}", HookSecret::new("lf-whsec_test".to_owned())),
            "HookSecret(…)"
        );
    }
}
