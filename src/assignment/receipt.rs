//! Proof of what was served: the application echoes it with its observations.
//!
//! A receipt is base64url (RFC 4648 section 5, without padding) of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 1, 2 with the user's hash, or 3 for a user outside of the rollout |
//! | 1 to 10 | rollout, LEB128 (seven bits a byte, least significant first) |
//! | 1 to 10 | generation, likewise |
//! | 1 | highest bit: 1 for treatment; the other seven: the user's cluster |
//! | 8 | the user's hash in this rollout, little-endian; in format 2 |
//! | 8 | SipHash-2-4 of everything before, little-endian, under the receipt key |
//!
//! The receipt key is derived like a split key ([`bucket`](super::bucket), step 2) with the purpose
//! `serin/v1/receipt` and no salt. The user's key is not in it; the cluster is, so that an observation that
//! comes with nothing but its receipt still adds to its user's cluster, and so is a keyed hash, so that its
//! user still counts once for the sample ratio (the holdback, which is not split, has none). 64 bits of
//! keyed hash are enough against forgery here: every guess is a request to the server, none can be tried
//! alone.

use super::bucket::{Purpose, SECRET_BYTES, derive_key};
use super::siphash::siphash_2_4;
use crate::ids::{Arm, Cluster, Generation, RolloutId, UserHash};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// The format without the user's hash.
const FORMAT: u8 = 1;
/// The format with it.
const HASHED_FORMAT: u8 = 2;
/// The format of whoever does not enter; else like the first.
const OUTSIDE_FORMAT: u8 = 3;
/// Bytes of a user's hash.
const HASH_BYTES: usize = 8;
/// Longest LEB128 form of a `u64`, in bytes.
const VARINT_BYTES_MAX: usize = 10;
const MAC_BYTES: usize = 8;
const BINARY_BYTES_MAX: usize = 1 + 2 * VARINT_BYTES_MAX + 1 + HASH_BYTES + MAC_BYTES;
const TREATMENT_BIT: u8 = 0x80;
const CLUSTER_BITS: u8 = 0x7f;

/// What was served to somebody, and what an observation of theirs counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its generation when the assignment was made.
    pub generation: Generation,
    /// The arm that was served.
    pub arm: Arm,
    /// The user's cluster.
    pub cluster: Cluster,
    /// The user's hash, for users who are split by theirs.
    pub user: Option<UserHash>,
    /// Whether the user is part of the rollout; what is observed of others does not count.
    pub enters: bool,
}

/// Why a receipt was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt at all: cut off, or not base64url.
    #[error("the receipt is damaged: send back the text of `receipt` from the assignment unchanged")]
    Damaged,
    /// It has a format that this Serin does not know.
    #[error(
        "the receipt has format {0}, and this server knows formats 1 to 3 only: ask for a new assignment"
    )]
    UnknownFormat(u8),
    /// Its signature is not from this server's secret.
    #[error("the receipt was not issued by this server: ask this server for the assignment")]
    Forged,
}

/// The key that signs receipts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReceiptKey([u64; 2]);

impl fmt::Debug for ReceiptKey {
    /// Whoever has it can vote for any arm.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptKey(…)")
    }
}

impl ReceiptKey {
    /// The key of a server with this secret.
    pub fn derive(secret: &[u8; SECRET_BYTES]) -> Self {
        Self(derive_key(secret, Purpose::Receipt, &[]))
    }

    /// Signs a receipt, without allocation.
    pub fn issue(&self, receipt: &Receipt) -> ReceiptText {
        let mut writer = Writer::new();
        writer.byte(match receipt.user {
            _ if !receipt.enters => OUTSIDE_FORMAT,
            Some(_) => HASHED_FORMAT,
            None => FORMAT,
        });
        writer.varint(receipt.rollout.get());
        writer.varint(receipt.generation.get());
        let arm_bit = match receipt.arm {
            Arm::Control => 0,
            Arm::Treatment => TREATMENT_BIT,
        };
        writer.byte(arm_bit | receipt.cluster.get());
        if let Some(UserHash(hash)) = receipt.user.filter(|_| receipt.enters) {
            hash.to_le_bytes().into_iter().for_each(|byte| writer.byte(byte));
        }
        let mac = siphash_2_4(self.0, writer.written());
        for byte in mac.to_le_bytes() {
            writer.byte(byte);
        }
        let mut text = [0; ReceiptText::CHARS_MAX];
        // The buffer holds the longest receipt; an empty text, which no server accepts, is unreachable.
        let length = URL_SAFE_NO_PAD
            .encode_slice(writer.written(), &mut text)
            .unwrap_or(0);
        ReceiptText { text, length }
    }

    /// Reads a receipt back, and refuses every text that this key did not issue.
    pub fn verify(&self, text: &str) -> Result<Receipt, ReceiptError> {
        let mut buffer = [0; BINARY_BYTES_MAX];
        let length = URL_SAFE_NO_PAD
            .decode_slice(text, &mut buffer)
            .map_err(|_| ReceiptError::Damaged)?;
        let binary = &buffer[..length];
        let (&format, _) = binary.split_first().ok_or(ReceiptError::Damaged)?;
        if !(FORMAT..=OUTSIDE_FORMAT).contains(&format) {
            return Err(ReceiptError::UnknownFormat(format));
        }
        let (signed, mac) = binary
            .split_last_chunk::<MAC_BYTES>()
            .ok_or(ReceiptError::Damaged)?;
        if siphash_2_4(self.0, signed) != u64::from_le_bytes(*mac) {
            return Err(ReceiptError::Forged);
        }
        parse(signed).ok_or(ReceiptError::Damaged)
    }
}

/// The fields of what was signed.
fn parse(signed: &[u8]) -> Option<Receipt> {
    let (&format, rest) = signed.split_first()?;
    let (rollout, rest) = read_varint(rest)?;
    let (generation, rest) = read_varint(rest)?;
    let (&arm_and_cluster, hash) = rest.split_first()?;
    let user = match (format, hash) {
        (FORMAT | OUTSIDE_FORMAT, []) => None,
        (HASHED_FORMAT, hash) => Some(UserHash(u64::from_le_bytes(hash.try_into().ok()?))),
        (_, _) => return None,
    };
    Some(Receipt {
        rollout: RolloutId::new(rollout),
        generation: Generation::new(generation),
        arm: if arm_and_cluster & TREATMENT_BIT == 0 {
            Arm::Control
        } else {
            Arm::Treatment
        },
        cluster: Cluster::new(arm_and_cluster & CLUSTER_BITS)?,
        user,
        enters: format != OUTSIDE_FORMAT,
    })
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// A receipt as it travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReceiptText {
    text: [u8; Self::CHARS_MAX],
    length: usize,
}

impl ReceiptText {
    /// Longest receipt, in characters; a usual one has about 27.
    pub const CHARS_MAX: usize = BINARY_BYTES_MAX.div_ceil(3) * 4;

    /// The text.
    pub fn as_str(&self) -> &str {
        // The alphabet of base64url is ASCII, so this never falls back.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

impl fmt::Display for ReceiptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReceiptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Appends to a buffer on the stack.
struct Writer {
    buffer: [u8; BINARY_BYTES_MAX],
    length: usize,
}

impl Writer {
    fn new() -> Self {
        Self {
            buffer: [0; BINARY_BYTES_MAX],
            length: 0,
        }
    }

    fn byte(&mut self, byte: u8) {
        self.buffer[self.length] = byte;
        self.length += 1;
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.byte(value.to_le_bytes()[0]);
    }

    fn written(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}
