//! Prometheus' text form (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write as _};

use crate::histogram::Histogram;

/// A text that grows by one metric after the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// One metric, whose lines follow its head.
pub(super) struct Metric<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Text {
    /// A metric that only rises while the broker runs.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "counter", help)
    }

    /// A metric that rises and falls.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "gauge", help)
    }

    /// A metric of durations.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "histogram", help)
    }

    /// All that was written.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) -> Metric<'_> {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { text: self, name }
    }
}

impl Metric<'_> {
    /// The value for these labels.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// The durations for these labels.
    pub(super) fn durations(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        let mut all = 0;
        for (bound_us, count) in histogram.counts() {
            let bound = bound_us.map_or_else(|| "+Inf".to_owned(), |bound_us| seconds(bound_us).to_string());
            self.line("_bucket", labels, Some(("le", &bound)), count);
            all = count;
        }
        self.line("_sum", labels, None, seconds(histogram.total_us()));
        self.line("_count", labels, None, all);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], more: Option<(&str, &str)>, value: impl Display) {
        let out = &mut self.text.0;
        out.push_str(self.name);
        out.push_str(suffix);
        let mut separator = '{';
        for (label, text) in labels.iter().copied().chain(more) {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(out, "{separator}{label}=\"{escaped}\"");
            separator = ',';
        }
        let _ = writeln!(out, "{} {value}", if separator == '{' { "" } else { "}" });
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of centuries are still exact")]
fn seconds(duration_us: u64) -> f64 {
    duration_us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.gauge("m", "Help.").value(&[("a", "x\"y\\z\n"), ("b", "")], 1.5).value(&[], 2);
        let expected = "# HELP m Help.\n# TYPE m gauge\nm{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\nm 2\n";
        assert_eq!(text.into_string(), expected);
    }

    #[test]
    fn durations_have_buckets_a_sum_and_a_count() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(2));
        let mut text = Text::default();
        text.histogram("h", "Help.").durations(&[("a", "b")], &histogram);
        let text = text.into_string();
        for line in
            ["h_bucket{a=\"b\",le=\"0.001\"} 0", "h_bucket{a=\"b\",le=\"0.0025\"} 1", "h_bucket{a=\"b\",le=\"+Inf\"} 1"]
        {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.ends_with("h_sum{a=\"b\"} 0.002\nh_count{a=\"b\"} 1\n"), "{text}");
    }
}
