//! Who looks at the console: a cookie that only this server can have made.
//!
//! The cookie is base64url of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 1 |
//! | 8 | when it ends, seconds of the Unix epoch, little-endian |
//! | 16 | random, so that no two sessions are alike |
//! | 1 | who: 0 nobody, 1 a name on an open server, 2 the holder of a token |
//! | 0 to 100, or 32 | the name, or the token's hash |
//! | 32 | HMAC-SHA-256 of everything before, under a key derived from the server's secret |
//!
//! The token itself is never in it, and a token that is revoked opens nothing any more. Forms carry a
//! second HMAC, of the random part, so that no page of another site can send them (signed double submit).

use crate::store::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// The name of the cookie.
pub(super) const COOKIE: &str = "serin_session";
/// How long a session lasts.
const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// Longest cookie that is looked at, in bytes.
const COOKIE_BYTES_MAX: usize = 512;
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
/// Format, end, random part and kind.
const HEAD_BYTES: usize = 1 + 8 + NONCE_BYTES + 1;

/// Makes and checks sessions.
pub(super) struct Sessions {
    key: [u8; MAC_BYTES],
}

/// A visit of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    nonce: [u8; NONCE_BYTES],
    ends: i64,
    pub(super) who: Who,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody has said yet.
    Nobody,
    /// Somebody on an open server who goes by this name.
    Named(String),
    /// The holder of the token with this hash.
    Holder([u8; 32]),
}

impl Sessions {
    /// The sessions of the server with this secret.
    pub(super) fn new(secret: &Secret) -> Self {
        Self {
            key: mac(&secret.0, &[b"serin/v1/console"]),
        }
    }

    /// A session that begins at `now`.
    pub(super) fn begin(&self, who: Who, now: Timestamp) -> Result<Session, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let ends = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX).as_second();
        Ok(Session { nonce, ends, who })
    }

    /// The session as its cookie's value.
    pub(super) fn seal(&self, session: &Session) -> String {
        let (kind, rest): (u8, &[u8]) = match &session.who {
            Who::Nobody => (0, &[]),
            Who::Named(name) => (1, name.as_bytes()),
            Who::Holder(hash) => (2, hash),
        };
        let mut bytes = vec![FORMAT];
        bytes.extend(session.ends.to_le_bytes());
        bytes.extend(session.nonce);
        bytes.push(kind);
        bytes.extend(rest);
        let seal = mac(&self.key, &[b"session", &bytes]);
        bytes.extend(seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The session of a cookie's value; none for one that is not ours, or over at `now`.
    pub(super) fn open(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        if cookie.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (said, seal) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        verifier(&self.key, &[b"session", said]).verify_slice(seal).ok()?;
        let (head, rest) = said.split_at_checked(HEAD_BYTES)?;
        let (format, head) = head.split_first()?;
        let (ends, head) = head.split_first_chunk::<8>()?;
        let (nonce, kind) = head.split_first_chunk::<NONCE_BYTES>()?;
        let ends = i64::from_le_bytes(*ends);
        if *format != FORMAT || ends <= now.as_second() {
            return None;
        }
        let who = match kind {
            [0] if rest.is_empty() => Who::Nobody,
            [1] => Who::Named(String::from_utf8(rest.to_vec()).ok()?),
            [2] => Who::Holder(rest.try_into().ok()?),
            _ => return None,
        };
        let nonce = *nonce;
        Some(Session { nonce, ends, who })
    }

    /// What every form of a session carries.
    pub(super) fn form_token(&self, session: &Session) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.key, &[b"form", &session.nonce]))
    }

    /// Whether a form that carries `token` is of this session.
    pub(super) fn is_form_of(&self, session: &Session, token: &str) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        verifier(&self.key, &[b"form", &session.nonce])
            .verify_slice(&token)
            .is_ok()
    }
}

impl std::fmt::Debug for Sessions {
    /// Whoever has the key can be anybody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions(…)")
    }
}

fn verifier(key: &[u8; MAC_BYTES], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key shorter than the block is padded (RFC 2104 section 2); it has the hash's length here.
    let mut block = [0; 64];
    block[..MAC_BYTES].copy_from_slice(key);
    let mut hmac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        hmac.update(&(part.len() as u64).to_le_bytes());
        hmac.update(part);
    }
    hmac
}

fn mac(key: &[u8; MAC_BYTES], parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    verifier(key, parts).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sessions(seed: u8) -> Sessions {
        Sessions::new(&Secret([seed; 32]))
    }

    #[test]
    fn a_session_is_what_it_was_until_it_ends() {
        let sessions = sessions(1);
        for who in [Who::Nobody, Who::Named("Zoë".to_owned()), Who::Holder([9; 32])] {
            let session = sessions.begin(who, at(0)).unwrap();
            let cookie = sessions.seal(&session);
            assert!(cookie.len() <= COOKIE_BYTES_MAX);
            assert_eq!(sessions.open(&cookie, at(1)), Some(session));
            assert_eq!(sessions.open(&cookie, at(12 * 3_600)), None);
        }
    }

    #[test]
    fn what_this_server_did_not_make_opens_nothing() {
        let ours = sessions(1);
        let session = ours.begin(Who::Holder([9; 32]), at(0)).unwrap();
        let cookie = ours.seal(&session);
        assert_eq!(sessions(2).open(&cookie, at(1)), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        for at_byte in 0..bytes.len() {
            bytes[at_byte] ^= 1;
            assert_eq!(
                ours.open(&URL_SAFE_NO_PAD.encode(&bytes), at(1)),
                None,
                "{at_byte}"
            );
            bytes[at_byte] ^= 1;
        }
        for bad in ["", "AA", "%%%", &"A".repeat(COOKIE_BYTES_MAX + 1)] {
            assert_eq!(ours.open(bad, at(1)), None);
        }
    }

    #[test]
    fn a_form_belongs_to_one_session() {
        let sessions = sessions(1);
        let mine = sessions.begin(Who::Nobody, at(0)).unwrap();
        let other = sessions.begin(Who::Nobody, at(0)).unwrap();
        let token = sessions.form_token(&mine);
        assert!(sessions.is_form_of(&mine, &token));
        assert!(!sessions.is_form_of(&other, &token));
        assert!(!sessions.is_form_of(&mine, ""));
    }
}
