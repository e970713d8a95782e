//! What feeds a metric.

use super::super::code::Code;
use super::super::document::{MetricDocument, suggest};
use super::super::problem::Problems;
use super::super::{Better, Feed, MetricKind, SpanFact};
use crate::ids::MetricName;

/// What the policy says, or what the name usually means.
pub(super) fn feed(
    document: &MetricDocument,
    name: &MetricName,
    kind: MetricKind,
    better: Better,
    problems: &mut Problems,
) -> Option<Feed> {
    let usual = Feed::usual(name.as_str(), kind, better);
    document.from.resolve(usual, |located| {
        let Some(feed) = Feed::parse(&located.value) else {
            let words = Feed::words();
            let message = format!(
                "`from` must be {}, not `{}`",
                suggest::alternatives(&words),
                suggest::cut(&located.value)
            );
            match suggest::nearest(&located.value, &words) {
                Some(word) => {
                    let help = format!("did you mean `{word}`?");
                    problems.add_with_help(Code::Feed, located.span, message, help);
                }
                None => problems.add(Code::Feed, located.span, message),
            }
            return None;
        };
        let fits = feed.fits(kind, better);
        if !fits {
            let message = format!("`{}` does not fit this metric", located.value);
            problems.add_with_help(Code::Feed, located.span, message, belongs(&feed));
        }
        fits.then_some(feed)
    })
}

/// What metric such a feed is for.
fn belongs(feed: &Feed) -> &'static str {
    match feed {
        Feed::Span(SpanFact::Duration | SpanFact::FirstToken) => "it is for `kind: latency`",
        Feed::Span(SpanFact::Error) => "it is for `kind: rate` with `better: lower`: 1 is a call that failed",
        Feed::Span(
            SpanFact::InputTokens | SpanFact::OutputTokens | SpanFact::TotalTokens | SpanFact::Cost,
        ) => "it is for `kind: amount`",
        Feed::Observations | Feed::Evaluation(_) => "it is for every kind",
    }
}
