//! Who may do what: bearer tokens with scopes, or everybody on an open server.
//!
//! A server on a loopback address is open while it has no token. It then refuses requests under a
//! foreign host name, which a web page could make by rebinding a name of its own (DNS rebinding);
//! what changes something needs a JSON body or `DELETE`, which a page of another site cannot send.

mod permit;

pub(super) use self::permit::Permit;

use super::App;
use super::problem::{Code, Problem};
use crate::ids::Actor;
use crate::store::{Scope, Store, StoreError, TokenRecord};
use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What every token begins with, so that people and scanners know one when they see it.
pub const TOKEN_PREFIX: &str = "srn_";
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;
/// Longest name in `X-Serin-Actor`, in bytes.
const ACTOR_BYTES_MAX: usize = 100;

/// Whom a server without tokens serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMode {
    /// Local clients, while there is no token.
    Loopback,
    /// Nobody without a token.
    Tokens,
    /// Everybody who can reach it, while there is no token.
    Insecure,
}

/// Why a server must not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{listen}` can be reached from other machines, and there is no token: make one with \
     `serin token create`, listen on 127.0.0.1, or say `--insecure`"
)]
pub struct AccessRefused {
    listen: SocketAddr,
}

/// Whom a server that listens on `listen` serves, `tokens` being how many there are.
///
/// # Errors
///
/// On an address that is not loopback, without tokens and not told `insecure`.
pub fn access_mode(listen: SocketAddr, tokens: usize, insecure: bool) -> Result<AccessMode, AccessRefused> {
    if listen.ip().to_canonical().is_loopback() {
        Ok(AccessMode::Loopback)
    } else if tokens > 0 {
        Ok(AccessMode::Tokens)
    } else if insecure {
        Ok(AccessMode::Insecure)
    } else {
        Err(AccessRefused { listen })
    }
}

/// Who may do what at this moment.
#[derive(Debug)]
pub struct Access {
    mode: AccessMode,
    tokens: ArcSwap<HashMap<[u8; 32], Granted>>,
    /// One reading of them at a time: an older one must not replace a newer one.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Granted {
    actor: Actor,
    scopes: Vec<Scope>,
}

impl Access {
    /// The access rules of a server in this mode, with the tokens of `store`.
    pub async fn load(mode: AccessMode, store: &dyn Store) -> Result<Self, StoreError> {
        let access = Self {
            mode,
            tokens: ArcSwap::default(),
            refreshing: tokio::sync::Mutex::new(()),
        };
        access.refresh(store).await?;
        Ok(access)
    }

    /// Takes over the tokens of `store`.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let granted = |record: TokenRecord| {
            let actor = Actor::new(&record.name).unwrap_or_else(|_| Actor::serin());
            (
                record.hash,
                Granted {
                    actor,
                    scopes: record.scopes,
                },
            )
        };
        let _alone = self.refreshing.lock().await;
        let tokens = store.tokens().await?.into_iter().map(granted).collect();
        self.tokens.store(Arc::new(tokens));
        Ok(())
    }

    /// Whether requests without a token are served.
    pub fn is_open(&self) -> bool {
        match self.mode {
            AccessMode::Tokens => false,
            AccessMode::Loopback | AccessMode::Insecure => self.tokens.load().is_empty(),
        }
    }

    /// Whether the server may be left without any token: it then is open to local clients again.
    pub fn may_be_without_tokens(&self) -> bool {
        match self.mode {
            AccessMode::Loopback | AccessMode::Insecure => true,
            AccessMode::Tokens => false,
        }
    }

    /// Refuses a request to an open local server under a name that is not its own.
    pub(super) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let guarded = self.mode == AccessMode::Loopback && self.is_open();
        if !guarded || named_hosts(uri, headers).all(is_local_host) {
            return Ok(());
        }
        Err(Problem::new(
            Code::HostNotLocal,
            "without tokens the server answers `localhost` and loopback addresses only: \
             use one of them in the URL, or make a token with `serin token create`",
        ))
    }

    fn caller(&self, headers: &HeaderMap, needed: Option<Scope>) -> Result<Caller, Problem> {
        self.caller_by(headers, |headers| bearer(headers).map(Cow::Borrowed), needed)
    }

    /// Lets in whoever may ask for assignments.
    pub(super) fn may_assign(&self, headers: &HeaderMap) -> Result<MayAssign, Problem> {
        if !self.is_open() {
            self.caller(headers, Some(Scope::Assign))?;
        }
        Ok(MayAssign(()))
    }

    /// Whether whoever asks may do what `needed` is for.
    pub(crate) fn may(&self, headers: &HeaderMap, needed: Scope) -> bool {
        self.caller(headers, Some(needed)).is_ok()
    }

    /// Who asks, in a protocol that has a place of its own for the token.
    pub(super) fn caller_by(
        &self,
        headers: &HeaderMap,
        token: impl FnOnce(&HeaderMap) -> Result<Cow<'_, str>, Problem>,
        needed: Option<Scope>,
    ) -> Result<Caller, Problem> {
        if self.is_open() {
            let actor = open_actor(headers)?;
            return Ok(Caller {
                actor,
                is_admin: true,
            });
        }
        self.holder(&token_hash(&token(headers)?), needed)
    }

    /// Who holds the token of this hash, where it may do what is needed; none asks for any token.
    ///
    /// # Errors
    ///
    /// The token is not known any more, or lacks the scope.
    pub(crate) fn holder(&self, hash: &[u8; 32], needed: Option<Scope>) -> Result<Caller, Problem> {
        let tokens = self.tokens.load();
        let granted = tokens.get(hash).ok_or_else(|| {
            Problem::new(
                Code::Unauthenticated,
                "the token is not known: it may have been revoked",
            )
        })?;
        let may = |needed| granted.scopes.iter().any(|scope| implies(*scope, needed));
        match needed.filter(|needed| !may(*needed)) {
            None => Ok(Caller {
                actor: granted.actor.clone(),
                is_admin: may(Scope::Admin),
            }),
            Some(needed) => {
                let detail = format!("token `{}` needs the scope `{}`", granted.actor, needed.as_str());
                Err(Problem::new(Code::ScopeMissing, detail).with_scope(needed.as_str()))
            }
        }
    }
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The name under which it is recorded.
    pub(crate) actor: Actor,
    /// Whether they may do everything.
    pub(crate) is_admin: bool,
}

/// What a token is found by.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether a host, with or without a port, is this machine by a name that nobody else can give out.
fn is_local_host(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    match name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a token with `scope` may do what needs `needed`.
fn implies(scope: Scope, needed: Scope) -> bool {
    match scope {
        Scope::Admin => true,
        Scope::Operate => needed != Scope::Admin,
        Scope::Assign | Scope::Observe => scope == needed,
    }
}

/// The host names that the request was made under.
fn named_hosts<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> impl Iterator<Item = &'r str> {
    let header = headers
        .get_all(header::HOST)
        .into_iter()
        .map(|host| host.to_str().unwrap_or("?"));
    uri.authority()
        .map(|authority| authority.as_str())
        .into_iter()
        .chain(header)
}

fn open_actor(headers: &HeaderMap) -> Result<Actor, Problem> {
    let refused = || {
        let detail = format!(
            "`X-Serin-Actor` must be 1 to {ACTOR_BYTES_MAX} bytes of UTF-8 without control characters"
        );
        Problem::new(Code::BadHeader, detail)
    };
    let name = match headers.get("x-serin-actor") {
        None => "local".to_owned(),
        Some(value) => {
            let name = std::str::from_utf8(value.as_bytes()).map_err(|_| refused())?;
            return local_actor(name).ok_or_else(refused);
        }
    };
    Actor::new(&name).map_err(|_| refused())
}

/// Who it is on an open server that goes by this name; none for a name that is empty, too long, or has
/// control characters.
pub(crate) fn local_actor(name: &str) -> Option<Actor> {
    let fits = (1..=ACTOR_BYTES_MAX).contains(&name.len());
    Actor::new(&format!("local:{name}")).ok().filter(|_| fits)
}

/// The token in `Authorization: Bearer …` (RFC 6750 section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(
            Code::Unauthenticated,
            "send a token in the header `Authorization: Bearer srn_…`",
        )
    };
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(missing)?
        .to_str()
        .map_err(|_| missing())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(missing()),
    }
}

/// A new token, which is shown once, and its hash, which is kept.
pub fn new_token() -> Result<(String, [u8; 32]), getrandom::Error> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random)?;
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let hash = token_hash(&token);
    Ok((token, hash))
}

/// What a route needs.
pub trait Needs: Send + Sync {
    /// The scope; any token will do where there is none.
    const SCOPE: Option<Scope>;
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident $scope:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}
            impl Needs for $name {
                const SCOPE: Option<Scope> = $scope;
            }
        )*
    };
}

needs! {
    /// Needs any token.
    Read None;
    /// Needs the scope `assign`.
    Assign Some(Scope::Assign);
    /// Needs the scope `observe`.
    Observe Some(Scope::Observe);
    /// Needs the scope `operate`.
    Operate Some(Scope::Operate);
    /// Needs the scope `admin`.
    Admin Some(Scope::Admin);
}

/// Proof that the caller may do what the route does; the first argument of every handler.
#[derive(Debug)]
pub struct Allowed<N: Needs> {
    /// Who it is.
    pub actor: Actor,
    /// Whether they may do everything.
    pub is_admin: bool,
    needs: PhantomData<N>,
}

impl<N: Needs> FromRequestParts<Arc<App>> for Allowed<N> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Caller { actor, is_admin } = app.access.caller(&parts.headers, N::SCOPE)?;
        Ok(Self {
            actor,
            is_admin,
            needs: PhantomData,
        })
    }
}

/// Proof of the scope `assign` alone: what an assignment needs, with nothing that it does not.
#[derive(Debug)]
pub struct MayAssign(());

impl FromRequestParts<Arc<App>> for MayAssign {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        app.access.may_assign(&parts.headers)
    }
}

#[cfg(test)]
mod tests;
