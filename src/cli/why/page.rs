//! The answer as people read it.

use super::is_guarded;
use super::tenure::{Comparison, Tenure};
use crate::cli::explain::numbers;
use crate::cli::figures;
use crate::cli::ladder::verdict_style;
use crate::cli::screen::{self, CAUTION, FAINT, PLAIN, STRONG, paint};
use crate::cli::wire::MetricEvidence;

/// All stays, by label.
pub(super) fn render(prompt: &str, version: Option<u32>, tenures: &[Tenure]) -> String {
    let mut text = format!("{}\n", paint(STRONG, prompt));
    if tenures.is_empty() {
        let told = match version {
            Some(version) => format!("version {version} has never held a label"),
            None => "no version has ever held a label".to_owned(),
        };
        text.push_str(&format!("  {told}\n"));
    }
    let is_one_registry = tenures
        .windows(2)
        .all(|pair| pair[0].registry == pair[1].registry);
    let of_label = |tenure: &Tenure| (tenure.registry.clone(), tenure.label.clone());
    for stays in tenures.chunk_by(|one, next| of_label(one) == of_label(next)) {
        if let Some(first) = stays.first() {
            let place = match is_one_registry {
                true => String::new(),
                false => format!("  in {}", first.registry),
            };
            text.push_str(&format!("\n{}{place}\n", paint(STRONG, &first.label)));
        }
        for stay in stays {
            text.push_str(&tenure(stay));
        }
    }
    text
}

fn tenure(tenure: &Tenure) -> String {
    let from = figures::moment(&tenure.from);
    let (when, style) = match &tenure.until {
        Some(until) => (format!("{from} to {}", figures::moment(until)), PLAIN),
        None => (format!("since {from}"), STRONG),
    };
    let version = paint(style, &format!("version {}", tenure.version));
    let mut text = format!(
        "  {version}  {when}\n    moved by {}: {}\n",
        screen::harmless(&tenure.actor),
        screen::harmless(&tenure.reason),
    );
    if tenure.comparisons.is_empty() {
        let unknown = "no rollout compared it then: whether quality changed with it is not known";
        text.push_str(&format!("    {}\n", paint(FAINT, unknown)));
    }
    for comparison in &tenure.comparisons {
        text.push_str(&compared(comparison));
    }
    text
}

fn compared(comparison: &Comparison) -> String {
    let rollout = &comparison.rollout;
    let mut text = format!(
        "    {} of {}: against version {}, served to other users at the same time; {}\n",
        rollout.id,
        rollout.policy,
        rollout.stable,
        screen::harmless(&rollout.phase.text),
    );
    let guarded: Vec<&MetricEvidence> = comparison
        .evidence
        .iter()
        .filter(|metric| is_guarded(metric))
        .collect();
    if guarded.is_empty() {
        text.push_str("      there are no numbers\n");
    }
    for metric in guarded {
        text.push_str(&format!("      {}\n", answer(metric)));
        text.extend(since(metric));
    }
    text
}

/// Whether one metric changed.
fn answer(metric: &MetricEvidence) -> String {
    if metric.control.count + metric.treatment.count == 0 {
        return format!("{}: nothing was observed", metric.metric);
    }
    let word = match metric.verdict.as_str() {
        "fail" => "got worse",
        "pass" => "is no worse than its margin",
        "invalid" => "cannot be told: its data are not sound",
        _ => "is not decided",
    };
    let word = paint(verdict_style(&metric.verdict), word);
    format!("{} {word}: {}", metric.metric, numbers::difference(metric))
}

/// What came after nobody had the version before any more.
fn since(metric: &MetricEvidence) -> Option<String> {
    let past = metric.past.as_ref()?;
    let worse = past
        .log_e
        .zip(past.threshold)
        .is_some_and(|(log_e, threshold)| log_e >= threshold);
    let (style, word) = if worse {
        (CAUTION, "worse than the version before was")
    } else {
        (FAINT, "not proved to be worse than the version before was")
    };
    let treated = figures::count(past.treated);
    let told =
        format!("since everybody has it, {word}, by {treated} observations (a comparison with the past)");
    Some(format!("        {}\n", paint(style, &told)))
}
