//! What feeds a metric, besides observations that name it.

use super::{Better, MetricKind};
use std::sync::Arc;

/// Longest name of an evaluation, in bytes.
pub const EVALUATION_BYTES_MAX: usize = 128;
/// What the name of an evaluation follows in a policy file.
const EVALUATION: &str = "evaluation:";
/// The word for nothing in a policy file.
const OBSERVATIONS: &str = "observations";

/// What feeds a metric, besides observations that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Nothing.
    Observations,
    /// A fact of every traced call of a model with the policy's prompt.
    Span(SpanFact),
    /// The scores and evaluations of this name, given to such calls.
    Evaluation(Arc<str>),
}

/// What a span says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanFact {
    /// How long it took.
    Duration,
    /// How long its first token took.
    FirstToken,
    /// Whether it failed.
    Error,
    /// Tokens that were sent.
    InputTokens,
    /// Tokens that came back.
    OutputTokens,
    /// Both.
    TotalTokens,
    /// What it cost.
    Cost,
}

impl SpanFact {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Duration,
        Self::FirstToken,
        Self::Error,
        Self::InputTokens,
        Self::OutputTokens,
        Self::TotalTokens,
        Self::Cost,
    ];

    /// The word in the policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "span.duration",
            Self::FirstToken => "span.firstToken",
            Self::Error => "span.error",
            Self::InputTokens => "span.inputTokens",
            Self::OutputTokens => "span.outputTokens",
            Self::TotalTokens => "span.totalTokens",
            Self::Cost => "span.cost",
        }
    }

    /// Names of metrics that it feeds unless their policy says otherwise; compared without regard to case,
    /// `-`, `_` and `.`.
    fn usual_names(self) -> &'static [&'static str] {
        match self {
            Self::Duration => &["latency", "duration"],
            Self::FirstToken => &["firsttoken", "timetofirsttoken", "ttft"],
            Self::Error => &["error", "errors", "errorrate"],
            Self::InputTokens => &["inputtokens", "prompttokens"],
            Self::OutputTokens => &["outputtokens", "completiontokens"],
            Self::TotalTokens => &["tokens", "totaltokens"],
            Self::Cost => &["cost", "totalcost"],
        }
    }

    /// Whether its values are those of such a metric.
    fn fits(self, kind: MetricKind, better: Better) -> bool {
        match (self, kind) {
            (Self::Duration | Self::FirstToken, MetricKind::Latency { .. }) => true,
            (Self::Error, MetricKind::Rate) => better == Better::Lower,
            (
                Self::InputTokens | Self::OutputTokens | Self::TotalTokens | Self::Cost,
                MetricKind::Amount { .. },
            ) => true,
            (
                _,
                MetricKind::Score { .. }
                | MetricKind::Rate
                | MetricKind::Latency { .. }
                | MetricKind::Amount { .. },
            ) => false,
        }
    }
}

impl Feed {
    /// The words in the policy file.
    pub fn words() -> Vec<&'static str> {
        let facts = SpanFact::ALL.map(SpanFact::as_str);
        [OBSERVATIONS]
            .into_iter()
            .chain(facts)
            .chain(["evaluation:NAME"])
            .collect()
    }

    /// What a policy file says.
    pub fn parse(text: &str) -> Option<Self> {
        if text == OBSERVATIONS {
            return Some(Self::Observations);
        }
        if let Some(name) = text.strip_prefix(EVALUATION) {
            let sound = (1..=EVALUATION_BYTES_MAX).contains(&name.len()) && name.trim() == name;
            return sound.then(|| Self::Evaluation(name.into()));
        }
        let fact = SpanFact::ALL.into_iter().find(|fact| fact.as_str() == text)?;
        Some(Self::Span(fact))
    }

    /// What feeds a metric whose policy does not say: the fact that its name usually means, if its kind is
    /// that of the fact, else evaluations of its name.
    pub fn usual(name: &str, kind: MetricKind, better: Better) -> Self {
        let plain: String = name
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | '.'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let fact = SpanFact::ALL
            .into_iter()
            .find(|fact| fact.usual_names().contains(&plain.as_str()) && fact.fits(kind, better));
        match fact {
            Some(fact) => Self::Span(fact),
            None => Self::Evaluation(name.into()),
        }
    }

    /// Whether its values are those of such a metric.
    pub fn fits(&self, kind: MetricKind, better: Better) -> bool {
        match self {
            Self::Observations | Self::Evaluation(_) => true,
            Self::Span(fact) => fact.fits(kind, better),
        }
    }

    /// What the policy file says.
    pub fn text(&self) -> String {
        match self {
            Self::Observations => OBSERVATIONS.to_owned(),
            Self::Span(fact) => fact.as_str().to_owned(),
            Self::Evaluation(name) => format!("{EVALUATION}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{AmountScale, LatencyStatistic, TimeUnit};

    const LATENCY: MetricKind = MetricKind::Latency {
        unit: TimeUnit::Seconds,
        statistic: LatencyStatistic::LogMean,
    };
    const AMOUNT: MetricKind = MetricKind::Amount {
        scale: AmountScale::Log,
    };
    const SCORE: MetricKind = MetricKind::Score { min: 0.0, max: 1.0 };

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for word in Feed::words() {
            let text = if word == EVALUATION {
                "evaluation:tone"
            } else {
                word
            };
            assert_eq!(Feed::parse(text).unwrap().text(), text);
        }
        for bad in [
            "",
            "span",
            "span.Duration",
            "evaluation:",
            "evaluation: tone",
            "duration",
        ] {
            assert_eq!(Feed::parse(bad), None, "{bad}");
        }
        let long = "x".repeat(EVALUATION_BYTES_MAX + 1);
        assert_eq!(Feed::parse(&format!("evaluation:{long}")), None);
    }

    #[test]
    fn names_mean_what_they_usually_do() {
        for (name, kind, fact) in [
            ("latency", LATENCY, SpanFact::Duration),
            ("time_to_first_token", LATENCY, SpanFact::FirstToken),
            ("Error-Rate", MetricKind::Rate, SpanFact::Error),
            ("tokens", AMOUNT, SpanFact::TotalTokens),
            ("prompt_tokens", AMOUNT, SpanFact::InputTokens),
            ("output.tokens", AMOUNT, SpanFact::OutputTokens),
            ("cost", AMOUNT, SpanFact::Cost),
        ] {
            assert_eq!(Feed::usual(name, kind, Better::Lower), Feed::Span(fact), "{name}");
        }
        // Of another kind, or the other way round, it is something else of that name.
        for (name, kind, better) in [
            ("latency", SCORE, Better::Higher),
            ("errors", MetricKind::Rate, Better::Higher),
            ("faithfulness", SCORE, Better::Higher),
        ] {
            let feed = Feed::usual(name, kind, better);
            assert_eq!(feed, Feed::Evaluation(name.into()), "{name}");
        }
    }
}
