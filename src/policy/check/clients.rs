//! How long applications keep a prompt that they fetched.

use super::super::Clients;
use super::super::code::Code;
use super::super::document::{ClientsDocument, Given, Located};
use super::super::problem::Problems;
use super::within;
use jiff::SignedDuration;

/// Longest time to live that can be declared: an application that keeps prompts longer cannot be rolled
/// back by a label.
const TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn check(given: &Given<ClientsDocument>, problems: &mut Problems) -> Option<Clients> {
    let absent = ClientsDocument::default();
    let document = given.value_or(&absent)?;
    let mut ttl = |located: &Located<SignedDuration>, what| {
        within(
            SignedDuration::ZERO..=TTL_MAX,
            Code::ClientTtl,
            located,
            what,
            problems,
        )
    };
    let cache_ttl = document
        .cache_ttl
        .resolve(Clients::default().cache_ttl, |located| ttl(located, "`cacheTtl`"));
    let redis_ttl = document
        .redis_ttl
        .resolve(None, |located| ttl(located, "`redisTtl`").map(Some));
    Some(Clients {
        cache_ttl: cache_ttl?,
        redis_ttl: redis_ttl?,
    })
}
