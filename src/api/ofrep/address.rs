//! Addresses of event streams that let their bearer listen, because a browser's `EventSource` sends no
//! header of the page's choice.
//!
//! The query `token` is base64url (RFC 4648 section 5, without padding) of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 1 |
//! | 8 | end of validity, seconds since 1970, little-endian |
//! | 8 | the beginning of the caller's hashed token; zeros on an open server |
//! | 16 | the first half of HMAC-SHA-256 of the above and the caller's whole hashed token |
//!
//! An address opens the stream alone, which tells that something has changed and nothing else. It ends
//! one to two hours after it was given, and with the token that it was given for. All addresses of an hour
//! are one, so that clients do not hang up and dial anew with every answer.

use crate::api::access::{Access, Permit};
use crate::store::Scope;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// Where the stream is.
pub(super) const PATH: &str = "/ofrep/v1/events";
/// What the key is derived for.
const PURPOSE: &[u8] = b"serin/v1/event-stream-address";
/// How long one address is given out, in seconds; it holds for as long again.
const PERIOD_SECONDS: i64 = 3_600;
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 17;
const MAC_BYTES: usize = 16;

/// The key that signs addresses.
#[derive(Clone)]
pub(in crate::api) struct AddressKey(Hmac<Sha256>);

/// Someone who may listen, and until when (seconds since 1970).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) permit: Permit,
    pub(super) until: i64,
}

impl AddressKey {
    /// The key of a server with this secret.
    pub(in crate::api) fn derive(secret: &[u8; 32]) -> Self {
        let derived: [u8; 32] = hmac(secret).chain_update(PURPOSE).finalize().into_bytes().into();
        Self(hmac(&derived))
    }

    /// Path and query of the stream for a caller.
    pub(super) fn address(&self, permit: Permit, now: Timestamp) -> String {
        let until = (now.as_second().div_euclid(PERIOD_SECONDS) + 2) * PERIOD_SECONDS;
        let head = head(permit, until);
        let mut binary = [0; HEAD_BYTES + MAC_BYTES];
        binary[..HEAD_BYTES].copy_from_slice(&head);
        binary[HEAD_BYTES..].copy_from_slice(&self.sign(&head, permit));
        format!("{PATH}?token={}", URL_SAFE_NO_PAD.encode(binary))
    }

    /// Who listens with this address; none when it is forged or has ended, or the caller's token has.
    pub(super) fn listener(&self, token: &str, access: &Access, now: Timestamp) -> Option<Listener> {
        let binary = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (head, mac) = binary.split_first_chunk::<HEAD_BYTES>()?;
        let (&format, rest) = head.split_first()?;
        let (until, beginning) = rest.split_first_chunk::<8>()?;
        let until = i64::from_le_bytes(*until);
        if format != FORMAT || until <= now.as_second() {
            return None;
        }
        let mut candidates = access.permits_like(beginning.try_into().ok()?);
        candidates.push(Permit::Open);
        // The comparison takes the same time whatever it finds.
        let signed = |permit: &Permit| {
            mac.len() == MAC_BYTES && self.mac(head, *permit).verify_truncated_left(mac).is_ok()
        };
        let permit = candidates
            .into_iter()
            .filter(|permit| access.holds(*permit, Scope::Assign))
            .find(signed)?;
        Some(Listener { permit, until })
    }

    fn mac(&self, head: &[u8; HEAD_BYTES], permit: Permit) -> Hmac<Sha256> {
        self.0.clone().chain_update(head).chain_update(hash(permit))
    }

    fn sign(&self, head: &[u8; HEAD_BYTES], permit: Permit) -> [u8; MAC_BYTES] {
        let code = self.mac(head, permit).finalize().into_bytes();
        std::array::from_fn(|at| code[at])
    }
}

fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    // A key shorter than a block is padded with zeros (RFC 2104 section 2); doing it here leaves
    // nothing that can fail.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

fn hash(permit: Permit) -> [u8; 32] {
    match permit {
        Permit::Open => [0; 32],
        Permit::Token(hash) => hash,
    }
}

fn head(permit: Permit, until: i64) -> [u8; HEAD_BYTES] {
    let mut head = [FORMAT; HEAD_BYTES];
    head[1..9].copy_from_slice(&until.to_le_bytes());
    head[9..].copy_from_slice(&hash(permit)[..8]);
    head
}

/// The token in the query of an address.
pub(super) fn token(uri: &Uri) -> Option<&str> {
    let pairs = uri.query()?.split('&');
    pairs.filter_map(|pair| pair.strip_prefix("token=")).next()
}
