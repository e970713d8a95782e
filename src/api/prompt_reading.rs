//! Which version of a prompt is meant, and where it is read: in Serin's own registry, or in somebody's
//! Langfuse through a cache.

use super::App;
use super::assignments::{anonymous_key, view};
use super::fallbacks::Wanted;
use super::langfuse::composition;
use super::problem::{Code, Problem};
use super::prompts::LABEL_DEFAULT;
use super::rollouts::field;
use super::views::assignment::AssignmentView;
use super::views::prompt::{ReadingView, VersionView};
use super::views::span::SpanAttributesView;
use crate::assignment::Who;
use crate::ids::{Label, PolicyName, PromptName, RegistryName, UserKey, Version};
use crate::policy::Policy;
use crate::prompt::composition::Which;
use crate::prompt::labels::LATEST;
use crate::prompt::template::contract;
use crate::prompt::{PromptError, PromptSummary, PromptVersion};
use crate::registry::{ReadFrom, RegistryError};
use crate::rollout::fallback::FallbackKind;
use crate::targeting::Attributes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;
use std::time::Duration;

/// The header that tells where a prompt was read.
const SOURCE: HeaderName = HeaderName::from_static("x-serin-prompt-source");

/// What is asked for.
pub(super) struct Asked<'r> {
    /// By a label.
    pub(super) label: Option<Label>,
    /// By its number.
    pub(super) version: Option<Version>,
    /// The one that a user is assigned.
    pub(super) user: Option<&'r str>,
    /// The key that the user had before they were known.
    pub(super) anonymous: Option<&'r str>,
    /// What is known about that user.
    pub(super) attributes: &'r Attributes<'r>,
    /// By this policy, where several steer the prompt.
    pub(super) policy: Option<PolicyName>,
    /// Where the prompt is; the policy's registry by default, and without a policy Serin's own.
    pub(super) registry: Option<RegistryName>,
    /// The code of a wrong user.
    pub(super) refusal: Code,
}

/// The version that is meant, put together from its parts.
pub(super) struct Resolved {
    pub(super) version: PromptVersion,
    pub(super) assignment: Option<AssignmentView<'static>>,
    pub(super) span_attributes: SpanAttributesView,
    pub(super) registry: RegistryName,
    labels: Vec<String>,
    source: ReadFrom,
    age: Duration,
    /// The label that it was asked for by.
    label: Option<Label>,
    /// The policy that assigned its user.
    policy: Option<PolicyName>,
}

impl Resolved {
    /// Counts and notes that it cannot be given after all.
    pub(super) fn refused(&self, app: &App, problem: &Problem) {
        count(app, &self.registry, problem);
        let wanted = Wanted {
            registry: &self.registry,
            prompt: &self.version.prompt,
            label: self.label.as_ref(),
            policy: self.policy.as_ref(),
        };
        wanted.note_refusal(app, problem);
    }

    /// Where it was read.
    pub(super) fn reading(&self) -> ReadingView {
        ReadingView {
            registry: self.registry.to_string(),
            source: self.source.into(),
            age_seconds: self.age.as_secs(),
        }
    }

    /// The version with the labels that point at it.
    pub(super) fn view(&self) -> VersionView {
        let contract = contract(&self.version.draft.template);
        VersionView::labelled(&self.version, &contract, self.labels.clone())
    }

    /// The same as headers: `X-Serin-Prompt-Source`, and how old it is (RFC 9111 section 5.1).
    pub(super) fn headers(&self) -> HeaderMap {
        let source = HeaderValue::from_static(self.source.as_str());
        let age = HeaderValue::from(self.age.as_secs());
        let no_store = HeaderValue::from_static("no-store");
        HeaderMap::from_iter([
            (SOURCE, source),
            (header::AGE, age),
            (header::CACHE_CONTROL, no_store),
        ])
    }
}

/// A version as it was read.
struct Read {
    version: PromptVersion,
    labels: Vec<String>,
    source: ReadFrom,
    age: Duration,
    /// Why it could not be read anew.
    failure: Option<RegistryError>,
}

/// What is meant by what is asked for.
struct Meant {
    which: Which,
    registry: RegistryName,
    /// The label that it is asked for by.
    label: Option<Label>,
    /// The policy that assigns its user, and what.
    policy: Option<PolicyName>,
    assignment: Option<AssignmentView<'static>>,
}

/// The version that is asked for; each answer and each refusal is counted.
pub(super) async fn resolve(app: &App, prompt: &PromptName, asked: Asked<'_>) -> Result<Resolved, Problem> {
    let Meant {
        which,
        registry,
        label,
        policy,
        assignment,
    } = meant(app, prompt, &asked)?;
    let wanted = Wanted {
        registry: &registry,
        prompt,
        label: label.as_ref(),
        policy: policy.as_ref(),
    };
    let Read {
        version,
        labels,
        source,
        age,
        failure,
    } = read(app, &registry, prompt, &which)
        .await
        .inspect_err(|problem| {
            count(app, &registry, problem);
            wanted.note_refusal(app, problem);
        })?;
    app.telemetry.prompt_read(&registry, source.as_str());
    if let Some(failure) = failure {
        wanted.note(app, FallbackKind::Stale, &failure.to_string());
    }
    Ok(Resolved {
        span_attributes: SpanAttributesView::new(prompt, version.version, label.as_ref()),
        version,
        assignment,
        registry,
        labels,
        source,
        age,
        label,
        policy,
    })
}

/// Reads what is asked for; a user is assigned.
fn meant(app: &App, prompt: &PromptName, asked: &Asked<'_>) -> Result<Meant, Problem> {
    refuse_unclear(asked)?;
    let (mut assignment, mut policy, mut registry) = (None, None, asked.registry.clone());
    let (which, label) = match (asked.version, asked.user) {
        (Some(version), _) => (Which::Version(version), None),
        (None, Some(user)) => {
            let user = UserKey::new(user)
                .map_err(|refused| Problem::new(asked.refusal, format!("`user` {}", refused.rule())))?;
            let (assigned, of) = assigned(app, prompt, asked, user)?;
            policy = Some(of.name.clone());
            registry = Some(of.registry.clone());
            let label = field("label", Label::new(&assigned.label))?;
            let known = assigned.version.and_then(|number| Version::new(number).ok());
            assignment = Some(assigned);
            (
                known.map_or_else(|| Which::Label(label.clone()), Which::Version),
                Some(label),
            )
        }
        (None, None) => {
            let label = match &asked.label {
                Some(label) => label.clone(),
                None => field("label", Label::new(LABEL_DEFAULT))?,
            };
            (Which::Label(label.clone()), Some(label))
        }
    };
    let registry = match registry {
        Some(registry) => registry,
        None => field("registry", RegistryName::new(RegistryName::EMBEDDED))?,
    };
    Ok(Meant {
        which,
        registry,
        label,
        policy,
        assignment,
    })
}

fn refuse_unclear(asked: &Asked<'_>) -> Result<(), Problem> {
    let said = [
        asked.label.is_some(),
        asked.version.is_some(),
        asked.user.is_some(),
    ];
    if said.into_iter().filter(|said| *said).count() > 1 {
        let detail = "give one of `label`, `version` and `user`";
        return Err(Problem::new(Code::UnclearVersion, detail));
    }
    for (name, is_given) in [
        ("policy", asked.policy.is_some()),
        ("anonymous", asked.anonymous.is_some()),
    ] {
        if is_given && asked.user.is_none() {
            let detail = format!("`{name}` goes with `user`");
            return Err(Problem::new(Code::UnclearVersion, detail));
        }
    }
    Ok(())
}

fn count(app: &App, registry: &RegistryName, problem: &Problem) {
    // What is not there is no label of a counter: whoever asks can make up any name.
    if problem.code() != Code::UnknownRegistry {
        app.telemetry.prompt_refused(registry, problem.code().as_str());
    }
}

async fn read(
    app: &App,
    registry: &RegistryName,
    prompt: &PromptName,
    which: &Which,
) -> Result<Read, Problem> {
    if registry.as_str() == RegistryName::EMBEDDED {
        return embedded(app, prompt, which).await;
    }
    let langfuse = app.langfuses.get(registry).ok_or_else(|| {
        let detail = format!("the server has no registry `{registry}` in its settings");
        Problem::new(Code::UnknownRegistry, detail)
    })?;
    let served = langfuse.serve(prompt, which).await.map_err(|error| {
        let code = match (&error, which) {
            (RegistryError::NotFound(_), Which::Label(_)) => Code::UnknownLabel,
            (RegistryError::NotFound(_), Which::Version(_)) => Code::UnknownVersion,
            (RegistryError::Refused(_) | RegistryError::Unavailable(_), _) => Code::RegistryUnavailable,
        };
        Problem::new(code, format!("registry `{registry}`: {error}"))
    })?;
    Ok(Read {
        labels: served.labels.iter().map(ToString::to_string).collect(),
        version: Arc::unwrap_or_clone(served.version),
        source: served.source,
        age: served.age,
        failure: served.failure,
    })
}

async fn embedded(app: &App, prompt: &PromptName, which: &Which) -> Result<Read, Problem> {
    let summary = app.store.prompt(prompt).await?;
    let number = match which {
        Which::Version(version) => *version,
        Which::Label(label) => labelled(&summary, label)?,
    };
    let mut version = app.store.version(prompt, number).await?;
    let root = (prompt.clone(), number);
    let whole = composition::compose(app.store.as_ref(), root, &version.draft.template).await?;
    if let Some((whole, _)) = whole {
        version.draft.template = whole;
    }
    let labels = summary.labels.iter().filter(|(_, at)| **at == number);
    Ok(Read {
        version,
        labels: labels.map(|(label, _)| label.to_string()).collect(),
        source: ReadFrom::Registry,
        age: Duration::ZERO,
        failure: None,
    })
}

/// Where a label points; `latest` is computed, and only for those who ask for it by name.
pub(super) fn labelled(summary: &PromptSummary, label: &Label) -> Result<Version, PromptError> {
    match summary.labels.get(label) {
        Some(version) => Ok(*version),
        None if label.as_str() == LATEST => Ok(summary.newest),
        None => Err(PromptError::UnknownLabel {
            prompt: summary.prompt.clone(),
            label: label.clone(),
        }),
    }
}

/// What the one policy that steers the prompt assigns, and that policy.
fn assigned(
    app: &App,
    prompt: &PromptName,
    asked: &Asked<'_>,
    user: UserKey<'_>,
) -> Result<(AssignmentView<'static>, Arc<Policy>), Problem> {
    let board = app.controller.board();
    let steers = |policy: &Policy| {
        let is_there = |registry: &RegistryName| policy.registry == *registry;
        policy.prompt == *prompt && asked.registry.as_ref().is_none_or(is_there)
    };
    let is_asked = |name: &PolicyName| asked.policy.as_ref().is_none_or(|asked| asked == name);
    let steering = board.policies.iter();
    let mut steering = steering.filter(|(name, status)| steers(&status.policy) && is_asked(name));
    match (steering.next(), steering.next()) {
        (Some((name, status)), None) => {
            let snapshot = app.controller.snapshot();
            let anonymous = asked.anonymous.map(|key| anonymous_key(asked.refusal, key));
            let who = Who {
                user,
                anonymous: anonymous.transpose()?,
                attributes: asked.attributes,
            };
            let view = view(app, &snapshot, name.as_str(), who)?;
            Ok((view.into_owned(), Arc::clone(&status.policy)))
        }
        (Some((first, _)), Some((second, _))) => Err(Problem::new(
            Code::SeveralPolicies,
            format!("policies `{first}` and `{second}` steer prompt `{prompt}`: name one with `policy`"),
        )),
        (None, _) => Err(Problem::new(
            Code::NoPolicyForPrompt,
            match &asked.policy {
                Some(policy) => format!("no policy `{policy}` steers prompt `{prompt}`"),
                None => format!("no policy steers prompt `{prompt}`: fetch it by `label` or `version`"),
            },
        )),
    }
}
