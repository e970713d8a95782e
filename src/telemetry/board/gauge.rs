//! Gauges that are filled anew for each scrape, as the text that the scrape sends.
//!
//! Ten thousand policies have 150,000 gauges and more. As text they take their own length once; as values
//! with labels of their own, which the client library would keep and copy for each scrape, thirty times that.

use prometheus::Error;
use prometheus::core::Desc;
use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

/// Gauges that count.
pub(super) type IntGaugeVec = Family<i64>;
/// Gauges that measure.
pub(super) type GaugeVec = Family<f64>;

/// Every gauge of one name.
#[derive(Debug)]
pub(super) struct Family<V> {
    name: &'static str,
    help: &'static str,
    /// By name, each with its place among the values.
    labels: Vec<(&'static str, usize)>,
    lines: Mutex<String>,
    values: PhantomData<fn(V)>,
}

/// One gauge that has no value yet.
#[must_use = "a gauge without a value is not shown"]
pub(super) struct Sample<'f, V> {
    family: &'f Family<V>,
    labels: &'f [&'f str],
}

impl<V: Display> Family<V> {
    /// A family without gauges.
    ///
    /// # Errors
    ///
    /// The name of the family or of a label is not one of Prometheus.
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Result<Self, Error> {
        let names = labels.iter().map(|&label| label.to_owned()).collect();
        Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new())?;
        let mut labels: Vec<(&str, usize)> = labels.iter().copied().zip(0..).collect();
        labels.sort_unstable();
        Ok(Self {
            name,
            help,
            labels,
            lines: Mutex::default(),
            values: PhantomData,
        })
    }

    /// The gauge with these values of the labels, in the order in which they were declared.
    pub(super) fn with_label_values<'f>(&'f self, labels: &'f [&'f str]) -> Sample<'f, V> {
        Sample { family: self, labels }
    }

    /// Moves what was set to the end of `text`, and is empty again.
    pub(super) fn drain_into(&self, text: &mut String) {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return;
        }
        let Self { name, help, .. } = self;
        // Writing to a string cannot fail.
        write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{lines}").ok();
    }

    fn write(&self, labels: &[&str], value: &V) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(self.name);
        for (at, (label, place)) in self.labels.iter().enumerate() {
            let value = labels.get(*place).copied().unwrap_or_default();
            lines.push_str(if at == 0 { "{" } else { "," });
            lines.push_str(label);
            lines.push_str("=\"");
            escape(value, &mut lines);
            lines.push('"');
        }
        let end = if self.labels.is_empty() { "" } else { "}" };
        writeln!(lines, "{end} {value}").ok();
    }
}

impl<V: Display> Sample<'_, V> {
    /// Shows it with this value; each gauge is set once for each scrape.
    pub(super) fn set(self, value: V) {
        self.family.write(self.labels, &value);
    }
}

/// As the text format has it: backslash, double quote and line feed.
fn escape(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_shown_once_in_the_text_format() {
        let gauge = GaugeVec::new("a_ratio", "A share.", &["policy", "arm"]).unwrap();
        gauge.with_label_values(&["p", "control"]).set(0.25);
        gauge.with_label_values(&["q\"\\\n", "treatment"]).set(f64::NAN);
        let mut text = String::new();
        gauge.drain_into(&mut text);
        let expected = "# HELP a_ratio A share.\n# TYPE a_ratio gauge\na_ratio{arm=\"control\",policy=\"p\"} 0.25\n\
                        a_ratio{arm=\"treatment\",policy=\"q\\\"\\\\\\n\"} NaN\n";
        assert_eq!(text, expected);
        gauge.drain_into(&mut text);
        assert_eq!(text, expected);
        let alone = IntGaugeVec::new("up", "Whether.", &[]).unwrap();
        alone.with_label_values(&[]).set(1);
        alone.drain_into(&mut text);
        assert!(text.ends_with("# TYPE up gauge\nup 1\n"), "{text}");
    }

    #[test]
    fn names_that_prometheus_does_not_know_are_refused() {
        assert!(IntGaugeVec::new("a-b", "No.", &[]).is_err());
        assert!(IntGaugeVec::new("a", "No.", &["b-c"]).is_err());
    }
}
