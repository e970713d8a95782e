//! What people say about traffic, about the stable version, and about a candidate.

use super::report::Usage;
use crate::analysis::power::{Change, Conditions, KnownBaseline, Visits};
use crate::ids::MetricName;
use crate::policy::quantity::{Quantity, quantity};
use crate::policy::{Metric, MetricKind, Policy};
use std::collections::BTreeMap;
use std::str::FromStr;

/// How many observations come, and from whom.
#[derive(Debug, Clone, clap::Args)]
pub struct VisitArgs {
    /// Observations of one user, on average
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, value_parser = at_least_one)]
    pub observations_per_user: f64,
    /// Variation of that number over users: its standard deviation over its mean
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, value_parser = not_negative)]
    pub activity_cv: f64,
    /// Correlation of two observations of the same user, 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, value_parser = correlation)]
    pub icc: f64,
}

/// A number from 1, as an argument.
fn at_least_one(text: &str) -> Result<f64, &'static str> {
    let number = number(text).filter(|number| *number >= 1.0);
    number.ok_or("must be a number from 1")
}

/// A number from 0, as an argument.
pub(crate) fn not_negative(text: &str) -> Result<f64, &'static str> {
    let number = number(text).filter(|number| *number >= 0.0);
    number.ok_or("must be a number from 0")
}

/// A number from 0 to 1, as an argument.
pub(crate) fn correlation(text: &str) -> Result<f64, &'static str> {
    let number = number(text).filter(|number| (0.0..=1.0).contains(number));
    number.ok_or("must be a number from 0 to 1")
}

impl VisitArgs {
    /// As the power analysis takes it.
    pub fn visits(&self) -> Visits {
        Visits {
            per_user: self.observations_per_user,
            activity_cv: self.activity_cv,
            icc: self.icc,
        }
    }
}

/// Observations in a time: `40/s`, `2400/m`, `144000/h`, `1e6/d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Observations of each metric in an hour, of both arms together; above 0.
    pub per_hour: f64,
}

impl FromStr for Traffic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let per_hour = text.split_once('/').and_then(|(number, unit)| {
            let times = match unit {
                "s" => 3_600.0,
                "m" => 60.0,
                "h" => 1.0,
                "d" => 1.0 / 24.0,
                _ => return None,
            };
            let number = number.parse::<f64>().ok()?;
            Some(number * times).filter(|rate| *rate > 0.0 && rate.is_finite())
        });
        per_hour.map(|per_hour| Self { per_hour }).ok_or_else(|| {
            "must be observations in a time, such as `40/s`, `2400/m` or `144000/h`".to_owned()
        })
    }
}

/// A metric, and something about it that only its kind can read.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The metric.
    pub metric: MetricName,
    /// What is said.
    pub text: String,
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (metric, said) = text
            .split_once('=')
            .ok_or_else(|| "must be a metric and a value, such as `faithfulness=-0.05`".to_owned())?;
        let metric = MetricName::new(metric).map_err(|error| error.to_string())?;
        Ok(Self {
            metric,
            text: said.trim().to_owned(),
        })
    }
}

impl About {
    fn declared<'p>(&self, policy: &'p Policy) -> Result<&'p Metric, Usage> {
        let mut metrics = policy.metrics.iter();
        metrics.find(|metric| metric.name == self.metric).ok_or_else(|| {
            let known: Vec<&str> = policy.metrics.iter().map(|metric| metric.name.as_str()).collect();
            let known = known.join("`, `");
            Usage(format!(
                "`{}` has no metric `{}`; it has `{known}`",
                policy.name, self.metric
            ))
        })
    }

    fn refused(&self, what: &str, must: &str) -> Usage {
        let Self { metric, text } = self;
        Usage(format!("{what} `{metric}={text}` is not understood: {must}"))
    }
}

/// What is known when the traffic is this, and the baselines are these; everybody comes once.
pub(crate) fn known(policy: &Policy, traffic: Traffic, baselines: &[About]) -> Result<Conditions, Usage> {
    let mut known = BTreeMap::new();
    for about in baselines {
        let baseline = baseline(about.declared(policy)?, about)?;
        if known.insert(about.metric.clone(), baseline).is_some() {
            return Err(Usage(format!("`{}` has two baselines", about.metric)));
        }
    }
    Ok(Conditions {
        observations_per_hour: traffic.per_hour,
        visits: Visits::ONCE,
        baselines: known,
    })
}

/// `0.8±0.13`, `1%`, `800ms±0.6`, `±0.5`.
fn baseline(metric: &Metric, about: &About) -> Result<KnownBaseline, Usage> {
    let must = match metric.kind {
        MetricKind::Score { .. } => "a mean and a standard deviation, such as `0.8±0.13` or `0.8+-0.13`",
        MetricKind::Rate => "a percentage, such as `1%`",
        MetricKind::Latency { .. } => {
            "a time and the standard deviation of its logarithm, such as `800ms±0.6` or `800ms+-0.6`"
        }
        MetricKind::Amount { .. } => {
            "an amount and the standard deviation of its logarithm, such as `0.05±0.6` or `0.05+-0.6`"
        }
    };
    let refused = || about.refused("the baseline", must);
    let (centre, spread) = match about.text.split_once('±').or_else(|| about.text.split_once("+-")) {
        Some((centre, spread)) => (centre.trim(), Some(spread.trim())),
        None => (about.text.as_str(), None),
    };
    let is_rate = matches!(metric.kind, MetricKind::Rate);
    if (spread.is_some() && is_rate) || (centre.is_empty() && spread.is_none()) {
        return Err(refused());
    }
    let centre = (!centre.is_empty()).then(|| point(metric.kind, centre).ok_or_else(refused));
    let spread = spread.map(|spread| number(spread).ok_or_else(refused));
    Ok(KnownBaseline {
        centre: centre.transpose()?,
        spread: spread.transpose()?,
    })
}

/// The change of a metric: `-0.05`, `+0.5pp`, `+10%`, `x1.1`, `+200ms`.
pub(crate) fn change(policy: &Policy, about: &About) -> Result<(MetricName, Change), Usage> {
    let metric = about.declared(policy)?;
    let must = match metric.kind {
        MetricKind::Score { .. } => "a change of the mean, such as `-0.05`, `-5%` or `x0.95`",
        MetricKind::Rate => "a change of the rate, such as `+0.5pp`, `+10%` or `x1.1`",
        MetricKind::Latency { .. } => "a change of all times, such as `+10%`, `x1.1` or `+200ms`",
        MetricKind::Amount { .. } => "a change of all amounts, such as `+10%`, `x1.1` or `+0.01`",
    };
    let change = read_change(metric.kind, &about.text);
    let change = change.ok_or_else(|| about.refused("the change", must))?;
    Ok((metric.name.clone(), change))
}

fn read_change(kind: MetricKind, text: &str) -> Option<Change> {
    if let Some(ratio) = text.strip_prefix(['x', '×', '*']) {
        return number(ratio).filter(|ratio| *ratio > 0.0).map(Change::Times);
    }
    let (sign, size) = match (text.strip_prefix('+'), text.strip_prefix(['-', '−'])) {
        (Some(size), _) => (1.0, size),
        (None, Some(size)) => (-1.0, size),
        (None, None) => (1.0, text),
    };
    // A second sign is none.
    if !size.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') {
        return None;
    }
    if let Some(percent) = size.strip_suffix('%') {
        let ratio = 1.0 + sign * number(percent)? / 100.0;
        return (ratio > 0.0).then_some(Change::Times(ratio));
    }
    let size = match kind {
        MetricKind::Rate => number(size.strip_suffix("pp")?)? / 100.0,
        MetricKind::Score { .. } | MetricKind::Latency { .. } | MetricKind::Amount { .. } => {
            point(kind, size)?
        }
    };
    Some(Change::By(sign * size))
}

/// A value in the units of a metric: a number, a percentage or a time.
fn point(kind: MetricKind, text: &str) -> Option<f64> {
    match kind {
        MetricKind::Score { .. } | MetricKind::Amount { .. } => number(text),
        MetricKind::Rate => number(text.strip_suffix('%')?).map(|percent| percent / 100.0),
        MetricKind::Latency { .. } => seconds(text),
    }
}

fn seconds(text: &str) -> Option<f64> {
    let decimal = match text.strip_suffix("ms") {
        Some(milliseconds) => number(milliseconds).map(|milliseconds| milliseconds / 1_000.0),
        None => text.strip_suffix('s').and_then(number),
    };
    decimal.or_else(|| match quantity(text)? {
        Quantity::Time(time) => Some(time.as_secs_f64()),
        Quantity::Bare(_) | Quantity::Percent(_) | Quantity::Points(_) => None,
    })
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{AmountScale, LatencyStatistic, TimeUnit};

    const SCORE: MetricKind = MetricKind::Score { min: 0.0, max: 1.0 };
    const LATENCY: MetricKind = MetricKind::Latency {
        unit: TimeUnit::Seconds,
        statistic: LatencyStatistic::LogMean,
    };
    const AMOUNT: MetricKind = MetricKind::Amount {
        scale: AmountScale::Log,
    };

    #[test]
    fn traffic_has_a_time() {
        let per_hour = |text: &str| text.parse::<Traffic>().map(|traffic| traffic.per_hour);
        assert_eq!(
            ["40/s", "2400/m", "144000/h", "3456e3/d"].map(per_hour),
            [Ok(144_000.0), Ok(144_000.0), Ok(144_000.0), Ok(144_000.0)]
        );
        for bad in [
            "40",
            "40/w",
            "/s",
            "0/s",
            "-1/s",
            "inf/s",
            "nan/s",
            "40 per second",
        ] {
            assert!(per_hour(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn changes_carry_the_unit_of_their_kind() {
        let cases = [
            (SCORE, "-0.05", Some(Change::By(-0.05))),
            (SCORE, "−0.05", Some(Change::By(-0.05))),
            (SCORE, "0", Some(Change::By(0.0))),
            (SCORE, "x0.5", Some(Change::Times(0.5))),
            (SCORE, "-50%", Some(Change::Times(0.5))),
            (MetricKind::Rate, "+25%", Some(Change::Times(1.25))),
            (MetricKind::Rate, "+50pp", Some(Change::By(0.5))),
            (MetricKind::Rate, "0.5", None),
            (LATENCY, "+250ms", Some(Change::By(0.25))),
            (LATENCY, "+1.5s", Some(Change::By(1.5))),
            (LATENCY, "+1m30s", Some(Change::By(90.0))),
            (LATENCY, "×1.5", Some(Change::Times(1.5))),
            (LATENCY, "+1", None),
            (AMOUNT, "+0.01", Some(Change::By(0.01))),
            (AMOUNT, "--1", None),
            (AMOUNT, "x0", None),
            (AMOUNT, "-100%", None),
            (AMOUNT, "inf", None),
            (AMOUNT, "", None),
        ];
        for (kind, text, change) in cases {
            assert_eq!(read_change(kind, text), change, "{text}");
        }
    }

    #[test]
    fn baselines_have_a_centre_a_spread_or_both() {
        let metric = |kind: &str| {
            let text = format!(
                "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {{name: a}}\nspec:\n  prompt: a\n  steps: \
                 [{{exposure: 100%, bake: 1h, samples: 100}}]\n  metrics: [{{name: m, margin: 5%, {kind}}}]\n"
            );
            crate::policy::check::check("a.yaml", &text).unwrap().policy
        };
        let read = |kind: &str, text: &str| {
            let about = About {
                metric: MetricName::new("m").unwrap(),
                text: text.to_owned(),
            };
            let read = baseline(&metric(kind).metrics[0], &about);
            read.ok().map(|known| (known.centre, known.spread))
        };
        let (score, rate, latency) = (
            "kind: score",
            "kind: rate, better: lower",
            "kind: latency, quantile: 95%",
        );
        assert_eq!(read(score, "0.8±0.13"), Some((Some(0.8), Some(0.13))));
        assert_eq!(read(score, "0.8 +- 0.13"), Some((Some(0.8), Some(0.13))));
        assert_eq!(read(score, "±0.13"), Some((None, Some(0.13))));
        assert_eq!(read(rate, "1%"), Some((Some(0.01), None)));
        assert_eq!(read(latency, "800ms±0.5"), Some((Some(0.8), Some(0.5))));
        for (kind, bad) in [
            (score, ""),
            (score, "80%"),
            (score, "±"),
            (rate, "0.01"),
            (rate, "1%±1%"),
            (latency, "0.8"),
        ] {
            assert_eq!(read(kind, bad), None, "{bad}");
        }
    }
}
