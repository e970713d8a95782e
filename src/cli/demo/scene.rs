//! What there is to see of a rollout at one moment, as rows of styled text.

use super::ledger::Totals;
use crate::cli::figures;
use crate::cli::screen::{BAD, CAUTION, FAINT, GOOD, PLAIN, STRONG, harmless, paint};
use crate::cli::wire::{Assessment, MetricEvidence, Rollout};
use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Cells of an evidence bar.
const BAR_CELLS: usize = 12;
/// How full the last cell of a bar is, by eighths.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A rollout at one moment.
#[derive(Debug)]
pub(super) struct Scene<'s> {
    /// The rollout.
    pub(super) rollout: &'s Rollout,
    /// Its numbers, once there are some.
    pub(super) assessment: Option<&'s Assessment>,
    /// Exposures of the ladder.
    pub(super) ladder: &'s [f64],
    /// Time since its start, in seconds.
    pub(super) seconds: u64,
    /// What the crowd has done since its start.
    pub(super) totals: Totals,
}

/// One line of styled pieces.
#[derive(Debug, Clone, Default)]
pub(super) struct Row(Vec<(Style, String)>);

impl Row {
    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::default().with(PLAIN, text)
    }

    pub(super) fn with(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0.push((style, harmless(text.as_ref())));
        self
    }

    /// The row with its styles, cut where the terminal ends, so that it never wraps.
    pub(super) fn render(&self, columns: usize) -> String {
        let mut left = columns;
        let mut line = String::new();
        for (style, text) in &self.0 {
            let piece: String = text
                .chars()
                .take_while(|letter| {
                    let width = letter.width().unwrap_or(0);
                    let fits = width <= left;
                    left -= width.min(left);
                    fits
                })
                .collect();
            line.push_str(&paint(*style, &piece));
        }
        line
    }
}

/// What stands before the second line of a row that is wrapped.
const HANGING: &str = "          ";

impl Row {
    /// The row with its styles, broken between words where the terminal ends.
    pub(super) fn wrap(&self, columns: usize) -> String {
        let mut wrapped = String::new();
        let mut used = 0;
        for (style, text) in &self.0 {
            for word in text.split_inclusive(' ') {
                if used > HANGING.len() && used + word.trim_end().width() > columns {
                    wrapped.truncate(wrapped.trim_end_matches(' ').len());
                    wrapped.push('\n');
                    wrapped.push_str(HANGING);
                    used = HANGING.len();
                }
                wrapped.push_str(&paint(*style, word));
                used += word.width();
            }
        }
        wrapped
    }
}

/// How far evidence is on its way to its threshold, from 0 to 1.
fn share(log_e: Option<f64>, threshold: Option<f64>) -> f64 {
    match (log_e, threshold) {
        (Some(log_e), Some(threshold)) if threshold > 0.0 => (log_e / threshold).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// `██████▌·····  54%`.
fn bar(share: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is from 0 to 1"
    )]
    let eighths = (share * (8 * BAR_CELLS) as f64).round() as usize;
    let (full, rest) = (eighths / 8, eighths % 8);
    let mut bar = "█".repeat(full);
    if rest > 0 {
        bar.push(EIGHTHS[rest - 1]);
    }
    let missing = BAR_CELLS - full - usize::from(rest > 0);
    bar.push_str(&"·".repeat(missing));
    format!("{bar} {:>4}", format!("{:.0}%", share * 100.0))
}

impl Scene<'_> {
    /// Everything, for a terminal that is redrawn in place.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::default(), self.ladder_row(), Row::default()];
        rows.extend(self.metric_rows());
        rows.push(Row::default());
        rows.push(self.crowd_row());
        rows.push(self.wait_row());
        rows
    }

    /// The same in one line, for a log.
    pub(super) fn line(&self) -> String {
        let metrics = self.assessment.iter().flat_map(|assessment| {
            assessment.metrics.iter().map(|metric| {
                let healthy = share(metric.log_e_non_inferior, assessment.threshold_non_inferior);
                let (control, treatment) = (mean(metric, Side::Control), mean(metric, Side::Treatment));
                let name = &metric.metric;
                format!(
                    "; {name} {control} / {treatment}, healthy {:.0}%",
                    healthy * 100.0
                )
            })
        });
        let metrics: String = metrics.collect();
        let exposure = self
            .rollout
            .exposure
            .map_or_else(String::new, figures::percentage);
        format!("{exposure} exposed{metrics}; worse {:.0}%", self.worse() * 100.0)
    }

    fn worse(&self) -> f64 {
        self.assessment.map_or(0.0, |assessment| {
            share(assessment.log_e_combined, assessment.threshold)
        })
    }

    fn ladder_row(&self) -> Row {
        let phase = self.rollout.phase.code.as_str();
        let current = self.rollout.phase.step();
        let beyond = matches!(phase, "promoting" | "watching" | "promoted");
        let is_back = matches!(phase, "rolling_back" | "rolled_back");
        let mut row = Row::plain("  ");
        for (index, exposure) in self.ladder.iter().enumerate() {
            let is_current = current == Some(index + 1);
            let is_done = beyond || current.is_some_and(|current| current > index + 1);
            let exposure = figures::percentage(*exposure);
            let (style, mark, way) = if is_current {
                (STRONG, "●", " ── ")
            } else if is_done {
                (GOOD, "✓", " ━━ ")
            } else {
                (FAINT, "○", " ── ")
            };
            row = row.with(style, format!("{mark} {exposure}"));
            row = row.with(if is_done { GOOD } else { FAINT }, way);
        }
        let stable = format!("version {} stable", self.rollout.candidate);
        row = match phase {
            "promoted" => row.with(GOOD.bold(), format!("✓ {stable}")),
            "promoting" | "watching" => row.with(STRONG, format!("● {stable}, watched")),
            _ => row.with(FAINT, format!("○ {stable}")),
        };
        if is_back {
            row = row.with(BAD.bold(), "   ✗ taken back");
        }
        row.with(FAINT, format!("   {} s", self.seconds))
    }

    fn metric_rows(&self) -> Vec<Row> {
        let (stable, candidate) = (self.rollout.stable, self.rollout.candidate);
        let heading = format!(
            "  {:<13}{:>9}{:>11}   {:<19}{}",
            "",
            format!("version {stable}"),
            format!("version {candidate}"),
            "proved healthy",
            "proved worse"
        );
        let mut rows = vec![Row::default().with(FAINT, heading)];
        let Some(assessment) = self.assessment else {
            return rows;
        };
        for metric in &assessment.metrics {
            let healthy = share(metric.log_e_non_inferior, assessment.threshold_non_inferior);
            let worse = share(metric.log_e_worse, assessment.threshold);
            let means = format!(
                "{:>9}{:>11}   ",
                mean(metric, Side::Control),
                mean(metric, Side::Treatment)
            );
            let row = Row::plain(format!("  {:<13}", metric.metric)).with(PLAIN, means);
            rows.push(
                row.with(GOOD, bar(healthy))
                    .with(PLAIN, "  ")
                    .with(CAUTION, bar(worse)),
            );
        }
        let together = Row::default().with(FAINT, format!("  {:<55}", "together: at 100% it is taken back"));
        rows.push(together.with(BAD, bar(self.worse())));
        rows
    }

    fn crowd_row(&self) -> Row {
        let Totals {
            assigned,
            treated,
            observed,
            failed,
        } = self.totals;
        let text = format!(
            "  {} assignments, {} of them to treatment; {} observations counted",
            figures::count(assigned),
            figures::count(treated),
            figures::count(observed)
        );
        let row = Row::default().with(FAINT, text);
        if failed == 0 {
            row
        } else {
            row.with(BAD, format!("; {} requests failed", figures::count(failed)))
        }
    }

    fn wait_row(&self) -> Row {
        let row = Row::plain("  ");
        if self.rollout.is_over() {
            return row.with(STRONG, &self.rollout.phase.text);
        }
        let exposure = self
            .rollout
            .exposure
            .map_or_else(String::new, figures::percentage);
        let row = row.with(STRONG, format!("exposure {exposure}"));
        match &self.rollout.stay {
            Some(stay) => row.with(PLAIN, format!("; {}", stay.text)),
            None => row,
        }
    }
}

/// An arm of a metric.
#[derive(Clone, Copy)]
enum Side {
    Control,
    Treatment,
}

fn mean(metric: &MetricEvidence, side: Side) -> String {
    let arm = match side {
        Side::Control => &metric.control,
        Side::Treatment => &metric.treatment,
    };
    arm.mean
        .map_or_else(|| figures::NOTHING.to_owned(), |mean| format!("{mean:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rows: &[Row]) -> String {
        let lines: Vec<String> = rows.iter().map(|row| row.render(80)).collect();
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    fn rollout(phase: &str, step: Option<usize>, exposure: f64) -> Rollout {
        serde_json::from_value(serde_json::json!({
            "id": "r1", "policy": "p", "stable": 1, "candidate": 2,
            "phase": {"code": phase, "text": phase, "step": step},
            "exposure": exposure,
            "stay": {"code": "baking", "text": "baking until 09:00:04 UTC"},
            "changedAt": "2026-03-02T09:00:00Z",
        }))
        .unwrap()
    }

    fn assessment() -> Assessment {
        let arm = |mean: f64| serde_json::json!({"count": 100, "mean": mean});
        serde_json::from_value(serde_json::json!({
            "verdict": "inconclusive", "logECombined": 2.2, "threshold": 3.0, "thresholdNonInferior": 3.0,
            "metrics": [{
                "metric": "faithfulness", "role": "guardrail", "verdict": "inconclusive",
                "control": arm(0.861), "treatment": arm(0.783),
                "logEWorse": 2.9, "logENonInferior": -4.0,
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_scene_fits_into_eighty_columns() {
        let (rollout, assessment) = (rollout("ramping", Some(2), 0.25), assessment());
        let scene = Scene {
            rollout: &rollout,
            assessment: Some(&assessment),
            ladder: &[0.05, 0.25, 0.5, 1.0],
            seconds: 7,
            totals: Totals {
                assigned: 12_345,
                treated: 678,
                observed: 12_000,
                failed: 0,
            },
        };
        insta::assert_snapshot!(text(&scene.rows()), @r"
          ✓ 5% ━━ ● 25% ── ○ 50% ── ○ 100% ── ○ version 2 stable   7 s

                       version 1  version 2   proved healthy     proved worse
          faithfulness     0.861      0.783   ············   0%  ███████████▋  97%
          together: at 100% it is taken back                     ████████▊···  73%

          12,345 assignments, 678 of them to treatment; 12,000 observations counted
          exposure 25%; baking until 09:00:04 UTC
        ");
        insta::assert_snapshot!(scene.line(), @"25% exposed; faithfulness 0.861 / 0.783, healthy 0%; worse 73%");
    }

    #[test]
    fn rows_are_cut_by_display_width() {
        let row = Row::plain("ab").with(BAD, "漢字x");
        assert_eq!(anstream::adapter::strip_str(&row.render(5)).to_string(), "ab漢");
    }

    #[test]
    fn rows_are_wrapped_between_words() {
        let row = Row::default()
            .with(FAINT, "09:00:00  ")
            .with(PLAIN, "step 1 → step 2: passed");
        let wrapped = anstream::adapter::strip_str(&row.wrap(26)).to_string();
        assert_eq!(wrapped, "09:00:00  step 1 → step 2:\n          passed");
        assert_eq!(
            anstream::adapter::strip_str(&row.wrap(usize::MAX)).to_string(),
            "09:00:00  step 1 → step 2: passed"
        );
    }

    #[test]
    fn bars_fill_by_eighths() {
        assert_eq!(bar(0.0), "············   0%");
        assert_eq!(bar(0.5), "██████······  50%");
        assert_eq!(bar(0.51), "██████▏·····  51%");
        assert_eq!(bar(1.0), "████████████ 100%");
    }
}
