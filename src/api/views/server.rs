//! The server itself: health, status, tokens.

use super::moment;
use super::policy::PolicyProblemView;
use super::rollout::RolloutView;
use crate::api::schema::{DnsLabel, Moment, ScopeText, TokenNameText};
use crate::controller::{Board, PolicyStatus, Trouble};
use crate::rollout::explain;
use crate::store::{Scope, TokenRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alive)]
pub struct AliveView {
    /// Always `alive`.
    pub status: &'static str,
    /// The version that runs.
    pub version: &'static str,
}

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ready)]
pub struct ReadyView {
    /// Whether everything below is fine.
    pub ready: bool,
    /// Whether the store answers.
    pub store: bool,
    /// Whether the controller has worked off its first tick.
    pub controller: bool,
    /// Whether the policy folder was read.
    pub policies: bool,
    /// Files that were refused; the last good policies stay in force.
    pub policy_errors: usize,
    /// When the last tick ended.
    #[schema(value_type = Option<Moment>)]
    pub ticked_at: Option<String>,
}

/// The server at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Status)]
pub struct StatusView {
    /// The version that runs.
    version: &'static str,
    /// Whether requests without a token are served.
    open: bool,
    /// Number of the snapshot that assignments are answered from.
    snapshot: u64,
    /// When the policy folder was last read.
    #[schema(value_type = Option<Moment>)]
    loaded_at: Option<String>,
    /// When the last tick ended.
    #[schema(value_type = Option<Moment>)]
    ticked_at: Option<String>,
    /// By name.
    policies: Vec<PolicyLineView>,
    /// Problems in the files of the policy folder.
    problems: Vec<PolicyProblemView>,
    /// Parts of the world that do not answer.
    troubles: Vec<TroubleView>,
}

/// A policy at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyLine)]
pub struct PolicyLineView {
    /// Its name.
    #[schema(value_type = DnsLabel)]
    policy: String,
    /// How it stands, as an English sentence.
    text: String,
    /// The running rollout, or the last one.
    rollout: Option<RolloutView>,
}

/// A part of the world that does not answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
#[schema(as = Trouble)]
pub enum TroubleView {
    /// A registry.
    Registry {
        /// Which.
        #[schema(value_type = DnsLabel)]
        registry: String,
        /// Its words.
        error: String,
    },
    /// A cache of applications, which still has what labels pointed at before they moved.
    Cache {
        /// Which.
        #[schema(value_type = DnsLabel)]
        cache: String,
        /// Its words.
        error: String,
    },
    /// The store.
    Store {
        /// Its words.
        error: String,
    },
    /// Whoever is to be told of a policy's rollouts.
    Notices {
        /// The policy.
        #[schema(value_type = DnsLabel)]
        policy: String,
        /// Notifications that wait.
        waiting: u64,
        /// Why the last one was not taken.
        error: String,
    },
}

impl From<&Trouble> for TroubleView {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Registry { registry, error } => Self::Registry {
                registry: registry.to_string(),
                error: error.clone(),
            },
            Trouble::Cache { cache, error } => Self::Cache {
                cache: cache.to_string(),
                error: error.clone(),
            },
            Trouble::Store { error } => Self::Store { error: error.clone() },
            Trouble::Notices {
                policy,
                waiting,
                error,
            } => Self::Notices {
                policy: policy.to_string(),
                waiting: *waiting,
                error: error.clone(),
            },
        }
    }
}

impl PolicyLineView {
    fn new(status: &PolicyStatus, now: Timestamp) -> Self {
        let text = match status.rollout.as_deref() {
            None => "no rollout yet".to_owned(),
            Some(rollout) if rollout.state.phase.is_over() => explain::phase(&rollout.state.phase),
            Some(rollout) => {
                let place = explain::place(&rollout.state.phase);
                format!("{place}: {}", explain::stay(&rollout.stay, now))
            }
        };
        Self {
            policy: status.policy.name.to_string(),
            text,
            rollout: status
                .rollout
                .as_deref()
                .map(|rollout| RolloutView::on_board(rollout, now)),
        }
    }
}

impl StatusView {
    /// Shows the board as it reads at `now`.
    pub fn new(board: &Board, snapshot: u64, open: bool, now: Timestamp) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            open,
            snapshot,
            loaded_at: board.loaded_at.map(moment),
            ticked_at: board.ticked_at.map(moment),
            policies: board
                .policies
                .values()
                .map(|status| PolicyLineView::new(status, now))
                .collect(),
            problems: board.problems.iter().map(Into::into).collect(),
            troubles: board.troubles.iter().map(Into::into).collect(),
        }
    }
}

/// Every token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokensView {
    /// By name.
    pub tokens: Vec<TokenView>,
}

/// A token, without its secret part.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub struct TokenView {
    /// Its name: the actor of what is done with it.
    #[schema(value_type = TokenNameText)]
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<ScopeText>)]
    scopes: Vec<&'static str>,
    /// When it was made.
    #[schema(value_type = Moment)]
    created_at: String,
}

impl From<&TokenRecord> for TokenView {
    fn from(token: &TokenRecord) -> Self {
        Self {
            name: token.name.clone(),
            scopes: token.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: moment(token.created_at),
        }
    }
}

/// A token that was made; its secret part is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokenView {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "the schema is that of the token itself")]
    pub record: TokenView,
    /// The secret part, for the header `Authorization: Bearer …`.
    #[schema(pattern = "^srn_[A-Za-z0-9_-]{43}$")]
    pub token: String,
}

/// A token that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    /// Its name.
    #[schema(value_type = TokenNameText)]
    pub name: String,
    /// What it may do: `operate` includes `assign` and `observe`, `admin` everything.
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Vec<ScopeBody>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Scope)]
pub enum ScopeBody {
    /// Ask for assignments and prompts.
    Assign,
    /// Send observations.
    Observe,
    /// Run rollouts, create prompts, move unprotected labels.
    Operate,
    /// Everything, protected labels and tokens included.
    Admin,
}

impl From<ScopeBody> for Scope {
    fn from(scope: ScopeBody) -> Self {
        match scope {
            ScopeBody::Assign => Self::Assign,
            ScopeBody::Observe => Self::Observe,
            ScopeBody::Operate => Self::Operate,
            ScopeBody::Admin => Self::Admin,
        }
    }
}
