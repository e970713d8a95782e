//! How the ladder of a rollout looks: `5% ▸[25%] 50% 100%`.

use super::figures;
use super::screen::{BAD, CAUTION, GOOD, PLAIN};
use super::wire::Rollout;
use anstyle::Style;

/// The steps of a rollout, with a mark at the one that users are in.
pub(crate) fn ladder(rollout: &Rollout) -> String {
    let current = rollout.phase.step();
    let mark = if rollout.phase.code == "paused" {
        "‖"
    } else {
        "▸"
    };
    let steps = rollout.ladder.iter().flatten().enumerate().map(|(at, exposure)| {
        let exposure = figures::percentage(*exposure);
        if current == Some(at + 1) {
            format!("{mark}[{exposure}]")
        } else {
            exposure
        }
    });
    let steps = steps.collect::<Vec<_>>().join(" ");
    match rollout.phase.code.as_str() {
        "promoted" => format!("{steps} ✓"),
        "promoting" | "watching" => format!("{steps} ▸"),
        "rolling_back" | "rolled_back" => format!("✗ {steps}"),
        _ => steps,
    }
}

/// How a phase looks.
pub(crate) fn phase_style(code: &str) -> Style {
    match code {
        "promoted" | "watching" => GOOD,
        "paused" => CAUTION,
        "rolling_back" | "rolled_back" => BAD,
        _ => PLAIN,
    }
}

/// How a verdict looks.
pub(crate) fn verdict_style(verdict: &str) -> Style {
    match verdict {
        "pass" => GOOD,
        "invalid" => CAUTION,
        "fail" => BAD,
        _ => PLAIN,
    }
}
