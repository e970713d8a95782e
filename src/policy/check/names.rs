//! The header, and the names of what is steered.

use super::super::ArmLabels;
use super::super::code::Code;
use super::super::document::suggest::cut;
use super::super::document::{
    Given, LabelsDocument, Located, MetadataDocument, PolicyDocument, SpecDocument,
};
use super::super::problem::Problems;
use super::refuse;
use crate::ids::{Label, PolicyName, PromptName, RegistryName};
use std::sync::Arc;

/// The format that this version reads.
const API_VERSION: &str = "serin/v1";

/// What a policy file describes.
const KIND: &str = "RolloutPolicy";

/// The registry of a policy that names none.
const REGISTRY_DEFAULT: &str = RegistryName::EMBEDDED;

/// The control label of a policy that names none.
const CONTROL_LABEL_DEFAULT: &str = "production";

/// The treatment label of a policy that names none.
const TREATMENT_LABEL_DEFAULT: &str = "canary";

/// The label that registries move by themselves.
const LABEL_LATEST: &str = "latest";

/// Longest owner, in characters.
const OWNER_CHARS_MAX: usize = 128;

/// Checks that the file is a policy of a format that this version reads.
pub(super) fn check_header(document: &PolicyDocument, problems: &mut Problems) {
    if let Some(version) = document.api_version.located()
        && version.value != API_VERSION
    {
        problems.add_with_help(
            Code::ApiVersion,
            version.span,
            format!("unknown `apiVersion` `{}`", cut(&version.value)),
            format!("this version of Serin reads `{API_VERSION}`"),
        );
    }
    if let Some(kind) = document.kind.located()
        && kind.value != KIND
    {
        problems.add_with_help(
            Code::Kind,
            kind.span,
            format!("unknown `kind` `{}`", cut(&kind.value)),
            format!("a policy file says `kind: {KIND}`"),
        );
    }
}

pub(super) fn policy_name(metadata: &MetadataDocument, problems: &mut Problems) -> Option<PolicyName> {
    let located = metadata.name.located()?;
    let name = PolicyName::new(&located.value).ok();
    if name.is_none() {
        let suggestion = dns_label_like(&located.value);
        refuse(
            Code::PolicyName,
            located,
            "`name`",
            PolicyName::RULE,
            suggestion,
            problems,
        );
    }
    name
}

/// A DNS label that looks like `text`, if there is one.
fn dns_label_like(text: &str) -> Option<String> {
    let spelled: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed = spelled.trim_matches('-').to_owned();
    PolicyName::new(&trimmed).is_ok().then_some(trimmed)
}

pub(super) fn owner(located: &Located<String>, problems: &mut Problems) -> Option<Arc<str>> {
    let text = located.value.as_str();
    let sound = (1..=OWNER_CHARS_MAX).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
        && !text.trim().is_empty();
    if !sound {
        problems.add(
            Code::Owner,
            located.span,
            format!("`owner` must be 1 to {OWNER_CHARS_MAX} characters on one line"),
        );
    }
    sound.then(|| text.into())
}

/// What the policy moves.
pub(super) struct Steered {
    pub(super) prompt: Option<PromptName>,
    pub(super) registry: Option<RegistryName>,
    pub(super) control: Option<Label>,
    pub(super) treatment: Option<Label>,
    /// Both labels, where they differ.
    pub(super) labels: Option<ArmLabels>,
}

pub(super) fn steered(spec: &SpecDocument, problems: &mut Problems) -> Steered {
    let prompt = spec.prompt.located().and_then(|located| {
        let name = PromptName::new(&located.value).ok();
        if name.is_none() {
            refuse(
                Code::PromptName,
                located,
                "`prompt`",
                PromptName::RULE,
                None,
                problems,
            );
        }
        name
    });
    let registry = match spec.registry.located() {
        Some(located) => {
            let name = RegistryName::new(&located.value).ok();
            if name.is_none() {
                let suggestion = dns_label_like(&located.value);
                refuse(
                    Code::RegistryName,
                    located,
                    "`registry`",
                    RegistryName::RULE,
                    suggestion,
                    problems,
                );
            }
            name
        }
        None if spec.registry.is_absent() => RegistryName::new(REGISTRY_DEFAULT).ok(),
        None => None,
    };
    let absent = LabelsDocument::default();
    let labels = spec.labels.value_or(&absent);
    let (control, treatment) = match labels {
        Some(labels) => (
            label(&labels.control, "`control`", CONTROL_LABEL_DEFAULT, problems),
            label(
                &labels.treatment,
                "`treatment`",
                TREATMENT_LABEL_DEFAULT,
                problems,
            ),
        ),
        None => (None, None),
    };
    let both = match (&control, &treatment, labels) {
        (Some(control), Some(treatment), Some(labels)) => different(control, treatment, labels, problems),
        _ => None,
    };
    Steered {
        prompt,
        registry,
        control,
        treatment,
        labels: both,
    }
}

fn label(given: &Given<String>, what: &str, default: &str, problems: &mut Problems) -> Option<Label> {
    let located = match given {
        Given::Absent => return Label::new(default).ok(),
        Given::Broken => return None,
        Given::Is(located) => located,
    };
    if located.value == LABEL_LATEST {
        problems.add_with_help(
            Code::LabelLatest,
            located.span,
            format!("{what} is `{LABEL_LATEST}`, which registries move by themselves"),
            format!("use a label of its own, such as `{default}`"),
        );
        return None;
    }
    let label = Label::new(&located.value).ok();
    if label.is_none() {
        let lower = located.value.to_lowercase();
        let suggestion = Label::new(&lower).is_ok().then_some(lower);
        refuse(Code::Label, located, what, Label::RULE, suggestion, problems);
    }
    label
}

fn different(
    control: &Label,
    treatment: &Label,
    labels: &LabelsDocument,
    problems: &mut Problems,
) -> Option<ArmLabels> {
    if control != treatment {
        return Some(ArmLabels {
            control: control.clone(),
            treatment: treatment.clone(),
        });
    }
    let span = labels
        .treatment
        .located()
        .or(labels.control.located())
        .map_or(labels.span, |located| located.span);
    let help = match (&labels.control, &labels.treatment) {
        (_, Given::Absent) => format!("`treatment` is `{treatment}` unless it says otherwise"),
        (Given::Absent, _) => format!("`control` is `{control}` unless it says otherwise"),
        (_, _) => "the treatment label is one that only the candidate has, such as `canary`".to_owned(),
    };
    problems.add_with_help(
        Code::SameLabels,
        span,
        format!("both arms have the label `{control}`"),
        help,
    );
    None
}
