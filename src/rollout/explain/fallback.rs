//! What applications got instead of a prompt, in words.

use super::full_moment;
use crate::rollout::fallback::{Fallback, FallbackEnd, FallbackKind};

/// "applications were refused prompt `a` (label `production`) since …: …".
pub(super) fn sentence(fallback: &Fallback) -> String {
    let Fallback {
        prompt,
        label,
        kind,
        words,
        first,
        end,
    } = fallback;
    let which = label
        .as_ref()
        .map_or_else(String::new, |label| format!(" (label `{label}`)"));
    let (what, why) = match kind {
        FallbackKind::Stale => (
            "were given",
            " as it was read earlier, because its registry did not answer",
        ),
        FallbackKind::Unavailable => ("were refused", ", because its registry did not answer"),
        FallbackKind::LabelMissing => ("were refused", ", and given no other version in its place"),
        FallbackKind::VariablesMismatch => (
            "were refused",
            ", because their variables are not those of the prompt",
        ),
    };
    let when = match end {
        None => format!("since {}", full_moment(*first)),
        Some(FallbackEnd { last, count: 1 }) => format!("once, at {}", full_moment(*last)),
        Some(FallbackEnd { last, count }) => {
            format!(
                "{count} times from {} to {}, and not since",
                full_moment(*first),
                full_moment(*last)
            )
        }
    };
    format!("applications {what} prompt `{prompt}`{which}{why}, {when}: {words}")
}
