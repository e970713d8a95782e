//! The published scenarios of the method: seeded streams, and what must come of them.

use crate::verdicts::{ALPHAS, Verdicts};
use anyhow::{Context as _, anyhow, ensure};
use serde_json::Value;
use serin::ids::Exposure;
use serin::policy::Policy;
use serin::policy::check::check;
use serin::sim::population::{Law, Users};
use serin::sim::stream::{Design, Drift, Stream};

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name in the file.
    pub(crate) id: String,
    /// How often it is to be run.
    pub(crate) replicates: u64,
    /// Where its seeds begin.
    pub(crate) seed: u64,
    policy: Policy,
    design: Design,
    expected: Expected,
}

/// What must come of the replicates together; none where nothing is said.
#[derive(Debug)]
struct Expected {
    rolled_back: (Option<f64>, Option<f64>),
    healthy: (Option<f64>, Option<f64>),
    median_until_rollback: Option<(f64, f64)>,
    p90_until_rollback_max: Option<f64>,
    median_until_healthy_max: Option<f64>,
}

/// What came of one replicate, in treated observations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// When it was rolled back.
    pub(crate) rolled_back: Option<u64>,
    /// When it was found healthy, before any rollback.
    pub(crate) healthy: Option<u64>,
}

/// What came of all replicates.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Share that was rolled back.
    pub(crate) rolled_back: f64,
    /// Share that was found healthy.
    pub(crate) healthy: f64,
    /// Median until the rollback, of those that had one.
    pub(crate) median_until_rollback: Option<f64>,
    /// 90th percentile of the same.
    pub p90_until_rollback: Option<f64>,
    /// Median until health was found, of those where it was.
    pub(crate) median_until_healthy: Option<f64>,
}

/// Reads the file of scenarios.
///
/// # Errors
///
/// What is missing in it, or cannot be simulated.
pub(crate) fn read(text: &str) -> anyhow::Result<Vec<Scenario>> {
    let file: Value = serde_json::from_str(text)?;
    let scenarios = file["scenarios"]
        .as_array()
        .context("the file has no scenarios")?;
    ensure!(!scenarios.is_empty(), "the file has no scenarios");
    scenarios.iter().map(Scenario::read).collect()
}

impl Scenario {
    fn read(value: &Value) -> anyhow::Result<Self> {
        let id = value["id"].as_str().context("a scenario has no id")?;
        Self::read_fields(id, value).with_context(|| format!("scenario `{id}`"))
    }

    fn read_fields(id: &str, value: &Value) -> anyhow::Result<Self> {
        let (engine, generator) = (&value["engine"], &value["generator"]);
        let (metric, control, treatment) = laws(value)?;
        let alpha = number(&engine["alpha"])?;
        ensure!((alpha - ALPHAS[0]).abs() < 1e-12, "alpha is {alpha}");
        let policy = policy(&metric)?;
        let design = Design {
            metric: policy
                .metrics
                .first()
                .context("the policy has no metric")?
                .clone(),
            users: users(generator)?,
            per_tick: number(&generator["obs_per_tick_poisson"])?,
            control,
            treatment,
            steps: steps(&generator["steps"])?,
            drift: drift(&generator["common_drift"])?,
        };
        Ok(Self {
            id: id.to_owned(),
            replicates: value["replicates"].as_u64().context("no replicates")?,
            seed: value["base_seed"].as_u64().context("no seed")?,
            policy,
            design,
            expected: Expected::read(&value["expected"])?,
        })
    }

    /// One replicate, to its end, or to the rollback of what must be rolled back.
    pub(crate) fn run(&self, seed: u64) -> Outcome {
        let mut stream = Stream::new(&self.design, &self.policy.name, seed);
        let mut verdicts = Verdicts::new(&self.policy);
        while let Some(observed) = stream.next_tick() {
            verdicts.absorb(observed);
            if verdicts.rolled_back[0].is_some() {
                break;
            }
        }
        Outcome {
            rolled_back: verdicts.rolled_back[0],
            healthy: verdicts.healthy,
        }
    }

    /// What is not as expected.
    pub(crate) fn failures(&self, summary: &Summary) -> Vec<String> {
        let expected = &self.expected;
        let (rolled_back, healthy) = (expected.rolled_back, expected.healthy);
        let median = expected.median_until_rollback;
        [
            (
                "share rolled back",
                Some(summary.rolled_back),
                rolled_back.0,
                rolled_back.1,
            ),
            ("share healthy", Some(summary.healthy), healthy.0, healthy.1),
            (
                "median until rollback",
                summary.median_until_rollback,
                median.map(|window| window.0),
                median.map(|window| window.1),
            ),
            (
                "p90 until rollback",
                summary.p90_until_rollback,
                None,
                expected.p90_until_rollback_max,
            ),
            (
                "median until healthy",
                summary.median_until_healthy,
                None,
                expected.median_until_healthy_max,
            ),
        ]
        .into_iter()
        .filter_map(|(what, found, least, most)| {
            let (low, high) = (least.unwrap_or(f64::NEG_INFINITY), most.unwrap_or(f64::INFINITY));
            let holds = match found {
                Some(found) => (low..=high).contains(&found),
                None => least.is_none() && most.is_none(),
            };
            (!holds).then(|| format!("{what} is {found:?}, not {low} to {high}"))
        })
        .collect()
    }
}

impl Summary {
    /// Of at least one replicate.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let sorted = |of: fn(&Outcome) -> Option<u64>| {
            let mut values: Vec<u64> = outcomes.iter().filter_map(of).collect();
            values.sort_unstable();
            values
        };
        let (rolled_back, healthy) = (
            sorted(|outcome| outcome.rolled_back),
            sorted(|outcome| outcome.healthy),
        );
        Self {
            rolled_back: count(rolled_back.len()) / count(outcomes.len()),
            healthy: count(healthy.len()) / count(outcomes.len()),
            median_until_rollback: percentile(&rolled_back, 50),
            p90_until_rollback: percentile(&rolled_back, 90),
            median_until_healthy: percentile(&healthy, 50),
        }
    }
}

impl Expected {
    fn read(value: &Value) -> anyhow::Result<Self> {
        let at = |key: &str| value[key].as_f64();
        let window = &value["median_treated_window"];
        let expected = Self {
            rolled_back: (at("min_rollback_rate"), at("max_rollback_rate")),
            healthy: (at("min_healthy_rate"), at("max_healthy_rate")),
            median_until_rollback: window[0].as_f64().zip(window[1].as_f64()),
            p90_until_rollback_max: at("p90_treated_max"),
            median_until_healthy_max: at("median_treated_until_healthy_max"),
        };
        let class = value["cls"].as_str().context("no class is expected")?;
        let complete = match class {
            "ROLLBACK" => expected.rolled_back.0.is_some() && expected.median_until_rollback.is_some(),
            "NO_ROLLBACK" => expected.rolled_back.1.is_some() && expected.healthy.0.is_some(),
            "INCONCLUSIVE" => expected.rolled_back.1.is_some() && expected.healthy.1.is_some(),
            _ => false,
        };
        ensure!(complete, "what class `{class}` expects is not there");
        Ok(expected)
    }
}

/// The metric's line in a policy, with the truth about control as baseline, and both laws.
fn laws(scenario: &Value) -> anyhow::Result<(String, Law, Law)> {
    let generator = &scenario["generator"];
    let (control, treatment) = (&generator["control"], &generator["treatment"]);
    let margin = &scenario["engine"]["margin"];
    let (metric, laws) = match scenario["metric"].as_str() {
        Some("score_beta") => {
            let (a, b) = (number(&control["beta"][0])?, number(&control["beta"][1])?);
            let mean = a / (a + b);
            let treated = number(&treatment["beta_mean"])?;
            let line = format!("kind: score, margin: {}, baseline: {mean}", number(margin)?);
            (line, (Law::score(mean), Law::score(treated)))
        }
        Some("error_binary") => {
            let rate = number(&control["p"])?;
            let percent = 100.0 * rate;
            let line = format!("kind: rate, better: lower, margin: {percent}pp, baseline: {percent}%");
            (line, (Law::rate(rate), Law::rate(number(&treatment["p"])?)))
        }
        Some("latency_p95_lognormal") => {
            let (median, sigma) = (
                number(&control["lognormal_mu"])?.exp(),
                number(&control["sigma"])?,
            );
            let scale = number(&treatment["scale"])?;
            let law = |median| Law::lognormal(median, sigma);
            let quantile = law(median).map_or(f64::NAN, |law| law.at(0.95));
            let points = 100.0 * number(margin)?;
            let line = format!(
                "kind: latency, quantile: 95%, margin: {points}pp, baseline: {:.0}ms",
                1e3 * quantile
            );
            (line, (law(median), law(median * scale)))
        }
        other => return Err(anyhow!("metric {other:?} is not known")),
    };
    let (control, treatment) = laws.0.zip(laws.1).context("no such distribution")?;
    Ok((metric, control, treatment))
}

fn policy(metric: &str) -> anyhow::Result<Policy> {
    let text = format!(
        "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: scenario}}
spec:
  prompt: scenario
  steps:
    - {{exposure: 5%, bake: 1h, samples: 500}}
    - {{exposure: 100%, bake: 1h}}
  metrics:
    - {{name: metric, {metric}}}
"
    );
    let sound = check("scenario.yaml", &text).map_err(|problems| anyhow!("{problems:?}"))?;
    Ok(sound.policy)
}

fn users(generator: &Value) -> anyhow::Result<Users> {
    let Some(users) = generator["users"].as_u64() else {
        return Ok(Users::Fresh);
    };
    Ok(Users::Returning {
        count: u32::try_from(users)?,
        correlation: number(&generator["user_icc_gaussian_copula"])?,
        activity_sigma: generator["user_activity_lognormal_sigma"].as_f64().unwrap_or(0.0),
    })
}

fn steps(value: &Value) -> anyhow::Result<Vec<(Exposure, u32)>> {
    let steps = value.as_array().context("no steps")?;
    let step = |step: &Value| {
        let percent = 100.0 * number(&step["exposure"])?;
        let exposure = format!("{percent:.0}0000").parse().map(Exposure::from_ppm)??;
        let ticks = step["ticks"].as_u64().context("no ticks")?;
        Ok((exposure, u32::try_from(ticks)?))
    };
    steps.iter().map(step).collect()
}

fn drift(value: &Value) -> anyhow::Result<Option<(u32, Drift)>> {
    if value.is_null() {
        return Ok(None);
    }
    let from = value["at_tick"].as_u64().context("a drift has no begin")?;
    let added = value["how"]
        .as_str()
        .is_some_and(|how| how.starts_with("add to score"));
    ensure!(added, "the drift `{}` is not known", value["how"]);
    Ok(Some((
        u32::try_from(from)?,
        Drift::Shift(number(&value["amount"])?),
    )))
}

fn number(value: &Value) -> anyhow::Result<f64> {
    value.as_f64().with_context(|| format!("`{value}` is no number"))
}

/// The value at a percentile, interpolated as medians are.
fn percentile(sorted: &[u64], percent: u32) -> Option<f64> {
    let place = count(sorted.len().checked_sub(1)?) * f64::from(percent) / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let [below, above] = [*sorted.get(below)?, *sorted.get(above)?].map(whole);
    Some(below + (above - below) * place.fract())
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn whole(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "some hundred replicates")]
fn count(length: usize) -> f64 {
    length as f64
}
