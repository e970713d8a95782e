//! The closed sets of words in a policy file, each with what it says.

use super::super::code::Code;
use super::super::problem::Problems;
use super::super::sdk::Sdk;
use super::super::{Better, NotifyFormat, NotifyOn, OnFail, OnInconclusive, OnNoData, Role};
use super::node::{Node, NodeValue};
use super::read::{Value, wrong_type};
use super::suggest;
use crate::ids::Scheme;
use schemars::{Schema, SchemaGenerator, json_schema};

/// A word, what it means, and what editors say about it.
pub(crate) struct Word<T: 'static> {
    text: &'static str,
    value: T,
    says: &'static str,
}

fn read<T: Copy>(words: &'static [Word<T>], node: &Node, what: &str, problems: &mut Problems) -> Option<T> {
    let offered: Vec<&'static str> = words.iter().map(|word| word.text).collect();
    let given = match &node.value {
        NodeValue::Text(text) | NodeValue::Number(text) => text.as_str(),
        NodeValue::Bool(true) => "true",
        NodeValue::Bool(false) => "false",
        NodeValue::Null | NodeValue::List(_) | NodeValue::Mapping(_) | NodeValue::Broken => {
            wrong_type(node, what, &suggest::alternatives(&offered), problems);
            return None;
        }
    };
    if let Some(word) = words.iter().find(|word| word.text == given) {
        return Some(word.value);
    }
    let message = format!(
        "{what} must be {}, not `{}`",
        suggest::alternatives(&offered),
        suggest::cut(given)
    );
    match suggest::nearest(given, &offered) {
        Some(word) => problems.add_with_help(
            Code::UnknownWord,
            node.span,
            message,
            format!("did you mean `{word}`?"),
        ),
        None => problems.add(Code::UnknownWord, node.span, message),
    }
    None
}

fn schema<T>(words: &'static [Word<T>]) -> Schema {
    let choices: Vec<_> = words
        .iter()
        .map(|word| serde_json::json!({ "const": word.text, "description": word.says }))
        .collect();
    json_schema!({ "type": "string", "oneOf": choices })
}

macro_rules! words {
    ($type:ty: $($text:literal => $value:expr, $says:literal;)+) => {
        impl Value for $type {
            fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
                read(Self::WORDS, node, what, problems)
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                schema(Self::WORDS)
            }
        }

        impl $type {
            const WORDS: &'static [Word<Self>] =
                &[$(Word { text: $text, value: $value, says: $says }),+];
        }
    };
}

/// The word after `kind` of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindWord {
    Score,
    Rate,
    Latency,
    Amount,
}

words! { KindWord:
    "score" => Self::Score, "a number in a closed range, averaged";
    "rate" => Self::Rate, "0 or 1 (or `false`, `true`), counted";
    "latency" => Self::Latency, "a time, compared by quantiles or by the mean of its logarithm";
    "amount" => Self::Amount,
        "a number from 0 up, such as a cost or a count of tokens; less is better unless `better` says otherwise";
}

/// The word after `scale` of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScaleWord {
    Log,
    Winsorised,
}

words! { ScaleWord:
    "log" => Self::Log,
        "the mean of the logarithm: a difference is a ratio of geometric means, and no outlier carries it";
    "winsorised" => Self::Winsorised,
        "for an amount: the mean of the values, each cut at `cap`";
}

words! { Scheme:
    "serin" => Self::Serin, "SipHash-2-4 with a secret key: nobody can pick a user key into treatment";
    "growthbook-v1" => Self::GrowthBookV1, "GrowthBook's hashVersion 1; the salt is the rule's seed";
    "growthbook-v2" => Self::GrowthBookV2, "GrowthBook's hashVersion 2; the salt is the rule's seed";
    "unleash" => Self::Unleash, "variants of an Unleash strategy; the salt is its groupId";
    "launchdarkly" => Self::LaunchDarkly, "LaunchDarkly; the salt is `{flag key}.{salt}`, or the seed";
    "flagd-v2" => Self::FlagdV2, "flagd's fractional over text; the salt is the flag's key";
    "flagd-v3" => Self::FlagdV3, "flagd's fractional over CBOR; the salt is the flag's key";
    "eppo" => Self::Eppo, "Eppo; the salt is that of the split's shards";
    "optimizely" => Self::Optimizely, "Optimizely; the salt is the experiment's id";
    "statsig" => Self::Statsig, "Statsig; the salt is `{gate salt}.{rule salt}`";
}

words! { Sdk:
    "growthbook-js" => Self::GrowthBookJs, "`@growthbook/growthbook`";
    "growthbook-python" => Self::GrowthBookPython, "`growthbook` of PyPI";
    "growthbook-rust" => Self::GrowthBookRust, "`growthbook-rust`";
    "unleash-node" => Self::UnleashNode, "`unleash-client` of npm; differs beyond ASCII";
    "unleash-python" => Self::UnleashPython, "`UnleashClient` of PyPI, and others on yggdrasil";
    "flagd-js" => Self::FlagdJs, "`@openfeature/flagd-core`: second generation; differs beyond ASCII";
    "flagd-go" => Self::FlagdGo, "flagd itself: second generation";
    "flagd-python" => Self::FlagdPython, "`openfeature-flagd-core` of PyPI: third generation";
    "flagd-rust" => Self::FlagdRust, "`flagd-evaluation-engine`: third generation";
}

impl Sdk {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        let word = Self::WORDS.iter().find(|word| word.value == self);
        word.map_or("", |word| word.text)
    }
}

/// The word after `approval` of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApprovalWord {
    Required,
}

words! { ApprovalWord:
    "required" => Self::Required, "the step is left only after the approvals of `gates.approval.from`";
}

/// The word after `before` of the approval gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeforeWord {
    Start,
}

words! { BeforeWord:
    "start" => Self::Start, "no user is in treatment before the approvals";
}

/// The word after `scope` of the approval gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeWord {
    Operate,
    Admin,
}

words! { ScopeWord:
    "operate" => Self::Operate, "whoever may move rollouts";
    "admin" => Self::Admin, "administrators alone";
}

/// The word after `versus` of the evaluation gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersusWord {
    Stable,
}

words! { VersusWord:
    "stable" => Self::Stable, "the candidate must also meet or beat the stable version's scores";
}

words! { Better:
    "higher" => Self::Higher, "more is better";
    "lower" => Self::Lower, "less is better";
}

words! { Role:
    "guardrail" => Self::Guardrail,
        "worsening rolls back, and the rollout advances only once health is proved";
    "goal" => Self::Goal, "worsening rolls back; an advance does not wait for it";
    "watched" => Self::Watched, "shown, never acted on";
}

words! { OnNoData:
    "hold" => Self::Hold, "stay in the step, and say so";
    "pause" => Self::Pause, "pause, so that a person looks";
    "rollBack" => Self::RollBack, "roll back";
}

words! { OnFail:
    "rollBack" => Self::RollBack, "exposure to zero, labels back";
    "stepBack" => Self::StepBack, "one step down; from the first step, roll back";
    "pause" => Self::Pause, "keep the exposure and wait for a person";
}

words! { OnInconclusive:
    "hold" => Self::Hold, "stay in the step, and say so";
    "pause" => Self::Pause, "pause, so that a person looks";
    "rollBack" => Self::RollBack, "roll back";
    "advance" => Self::Advance,
        "go on, if no guardrail's estimate is worse than its margin";
}

words! { NotifyOn:
    "started" => Self::Started, "a rollout began";
    "advanced" => Self::Advanced, "exposure rose";
    "paused" => Self::Paused, "it waits for a person";
    "rolledBack" => Self::RolledBack, "nobody is in treatment any more, and labels go back";
    "promoted" => Self::Promoted, "the candidate became stable";
}

words! { NotifyFormat:
    "standard" => Self::Standard, "JSON, signed with the secret as Standard Webhooks has it";
    "slack" => Self::Slack, "an incoming webhook of Slack or Mattermost";
    "alertmanager" => Self::Alertmanager,
        "an alert for `/api/v2/alerts` of an Alertmanager; the secret is a bearer token";
}
