//! One conclusion from all metrics.
//!
//! The weighted mean of e-values is an e-value under any dependence (Vovk & Wang 2021, "E-values:
//! calibration, combination and applications", section 3), so that by Ville 1939 the chance that it
//! ever reaches 1/alpha while no metric is worse is at most alpha. A metric that is proved to be
//! within its margin leaves the mean: what is left is no larger, and a harmless difference cannot
//! hide a harmful one (ENGINE section 7).
//!
//! A critical metric fails by its own part of the mean, weight times e-value, and then its margin does
//! not excuse it. The part is no larger than the whole mean, before any metric left it, so that this
//! rule costs no alpha: the event "the whole mean reaches 1/alpha" contains both.

use super::metric::MetricEngine;
use super::special::log_sum_exp;
use super::{Blame, Verdict, Versus};
use crate::ids::MetricName;

/// What all metrics together say.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// What to make of it; never [`Verdict::Invalid`], which depends on the time.
    pub verdict: Verdict,
    /// Log of the weighted mean of e-values over all compared metrics that act; none without any.
    pub log_e_all: Option<f64>,
    /// The same over those that are not proved healthy; none when all are.
    pub log_e_open: Option<f64>,
    /// The metric with the largest part in [`Self::log_e_open`]; the first of equals.
    pub lead: Option<MetricName>,
    /// What to blame for [`Verdict::Fail`].
    pub blame: Option<Blame>,
}

/// Draws the conclusion of the present readings (ENGINE section 7); `threshold` is −ln alpha.
pub(super) fn conclude(metrics: &[MetricEngine], threshold: f64) -> Conclusion {
    let mut all = Vec::with_capacity(metrics.len());
    let mut open = Vec::with_capacity(metrics.len());
    let mut lead = Largest::default();
    let mut broken = Largest::default();
    let mut critical = Largest::default();
    for metric in metrics {
        if let (Some(contrast), Some(term)) = (&metric.contrast, metric.log_part()) {
            let reading = contrast.reading();
            all.push(term);
            if reading.verdict != Verdict::Pass {
                open.push(term);
                lead.offer(term, &metric.plan.name, Versus::Control);
            }
            if metric.fails_alone(threshold) {
                critical.offer(term, &metric.plan.name, Versus::Control);
            }
        }
        if let Some((log_e, versus)) = metric.broken()
            && metric.acts()
        {
            broken.offer(log_e, &metric.plan.name, versus);
            if metric.plan.critical {
                critical.offer(log_e, &metric.plan.name, versus);
            }
        }
    }
    let log_e_open = (!open.is_empty()).then(|| log_sum_exp(&open));
    let lead = lead.blame();
    let (verdict, blame) = match (critical.or(broken).blame(), log_e_open) {
        (Some(broken), _) => (Verdict::Fail, Some(broken)),
        (None, Some(log_e)) if log_e >= threshold => (Verdict::Fail, lead.clone()),
        (None, _) if guardrails_pass(metrics) => (Verdict::Pass, None),
        (None, _) => (Verdict::Inconclusive, None),
    };
    Conclusion {
        verdict,
        log_e_all: (!all.is_empty()).then(|| log_sum_exp(&all)),
        log_e_open,
        lead: lead.map(|lead| lead.metric),
        blame,
    }
}

/// Whether there is a guardrail with a comparison, and all of them are proved healthy.
fn guardrails_pass(metrics: &[MetricEngine]) -> bool {
    let mut verdicts = metrics
        .iter()
        .filter(|metric| metric.is_guardrail())
        .filter_map(|metric| metric.contrast.as_ref())
        .map(|contrast| contrast.reading().verdict)
        .peekable();
    verdicts.peek().is_some() && verdicts.all(|verdict| verdict == Verdict::Pass)
}

/// The largest of what is offered, and the first of equals.
#[derive(Default)]
struct Largest<'m>(Option<(f64, &'m MetricName, Versus)>);

impl<'m> Largest<'m> {
    fn offer(&mut self, value: f64, name: &'m MetricName, versus: Versus) {
        if self.0.is_none_or(|(largest, _, _)| value > largest) {
            self.0 = Some((value, name, versus));
        }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    fn blame(&self) -> Option<Blame> {
        self.0.map(|(_, name, versus)| Blame {
            metric: name.clone(),
            versus,
        })
    }
}
