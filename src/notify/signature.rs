//! Signatures as Standard Webhooks 1.0 has them (symmetric, `v1`).
//!
//! The header `webhook-signature` is `v1,` and the base64 of HMAC-SHA-256 over
//! `<webhook-id>.<webhook-timestamp>.<body>`; the secret is `whsec_` and the base64 of its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Shortest secret that the specification allows, in bytes.
const SECRET_BYTES_MIN: usize = 24;
/// Longest one.
const SECRET_BYTES_MAX: usize = 64;

/// Why nothing can be signed with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be `whsec_` and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64: make one with \
     `echo whsec_$(openssl rand -base64 32)`"
)]
pub struct SigningError;

/// The value of `webhook-signature`.
///
/// # Errors
///
/// When `secret` has another form.
pub fn sign(secret: &str, id: &str, at: Timestamp, body: &[u8]) -> Result<String, SigningError> {
    let key = secret.strip_prefix(PREFIX).ok_or(SigningError)?;
    let key = BASE64.decode(key).map_err(|_| SigningError)?;
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&key.len()) {
        return Err(SigningError);
    }
    let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| SigningError)?;
    let mac = mac
        .chain_update(format!("{id}.{}.", at.as_second()))
        .chain_update(body)
        .finalize();
    Ok(format!("v1,{}", BASE64.encode(mac.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector in the tests of every library of standard-webhooks/standard-webhooks.
    #[test]
    fn the_published_vector_is_met() {
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let (secret, id) = (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
        );
        let signature = sign(secret, id, at, br#"{"test": 2432232314}"#);
        assert_eq!(
            signature.as_deref(),
            Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn other_secrets_are_refused() {
        let at = Timestamp::UNIX_EPOCH;
        let long = format!("whsec_{}", BASE64.encode([7; 65]));
        for bad in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_???",
            &long,
        ] {
            assert_eq!(sign(bad, "id", at, b"{}"), Err(SigningError), "{bad}");
        }
    }
}
