//! Permits: what a token may do, remembered without the token.
//!
//! A stream of changes lives longer than the request that asked for it, and the addresses of some carry
//! no header. A permit holds as long as its token does: revoking the token ends it.

use super::{Access, implies};
use crate::api::problem::{Code, Problem};
use crate::store::Scope;
use sha2::{Digest as _, Sha256};

/// Who was let in with a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Permit {
    /// Everybody, on an open server.
    Open,
    /// A token, by its hash.
    Token([u8; 32]),
}

impl Access {
    /// Lets in whoever has a token with the scope, and everybody on an open server.
    pub(in crate::api) fn permit(&self, token: Option<&str>, needed: Scope) -> Result<Permit, Problem> {
        if self.is_open() {
            return Ok(Permit::Open);
        }
        let Some(token) = token else {
            return Err(Problem::new(Code::Unauthenticated, "no token was sent"));
        };
        let permit = Permit::Token(Sha256::digest(token.as_bytes()).into());
        if self.holds(permit, needed) {
            return Ok(permit);
        }
        Err(if self.holds_any(permit) {
            let detail = format!("the token needs the scope `{}`", needed.as_str());
            Problem::new(Code::ScopeMissing, detail).with_scope(needed.as_str())
        } else {
            let detail = "the token is not known: it may have been revoked";
            Problem::new(Code::Unauthenticated, detail)
        })
    }

    /// Whether what was allowed once still is.
    pub(in crate::api) fn holds(&self, permit: Permit, needed: Scope) -> bool {
        match permit {
            Permit::Open => self.is_open(),
            Permit::Token(hash) => self
                .tokens
                .load()
                .get(&hash)
                .is_some_and(|granted| granted.scopes.iter().any(|scope| implies(*scope, needed))),
        }
    }

    fn holds_any(&self, permit: Permit) -> bool {
        match permit {
            Permit::Open => self.is_open(),
            Permit::Token(hash) => self.tokens.load().contains_key(&hash),
        }
    }

    /// The permits of tokens whose hash begins so.
    pub(in crate::api) fn permits_like(&self, beginning: [u8; 8]) -> Vec<Permit> {
        let tokens = self.tokens.load();
        let like = tokens.keys().filter(|hash| hash.starts_with(&beginning));
        like.map(|hash| Permit::Token(*hash)).collect()
    }
}
