//! Metrics as text: that of Prometheus, version 0.0.4, and OpenMetrics, version 1.0.0.

use std::fmt::{self, Display, Write as _};

use crate::base::Histogram;

/// The two forms. They differ in the names of counters and in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The form that an Accept header asks for.
    pub(super) fn of(accept: Option<&str>) -> Self {
        match accept {
            Some(types) if types.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The Content-Type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

impl Kind {
    /// The name of the kind, and what follows the name of a metric of it.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Counter => ("counter", "_total"),
            Self::Gauge => ("gauge", ""),
            Self::Histogram => ("histogram", ""),
            Self::Info => ("info", "_info"),
        }
    }
}

/// The name and value of each label.
pub(super) type Labels<'l> = &'l [(&'static str, &'l dyn Display)];

/// Writes one metric after the other.
pub(super) struct Writer {
    format: Format,
    out: String,
    /// The metric that is written.
    name: &'static str,
    kind: Kind,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { format, out: String::with_capacity(16 << 10), name: "", kind: Kind::Gauge }
    }

    /// The samples that follow are of this metric. `help` is one line without a backslash.
    pub(super) fn begin(&mut self, name: &'static str, kind: Kind, help: &str) {
        (self.name, self.kind) = (name, kind);
        let (kind, suffix) = kind.names();
        let (suffix, kind) = match self.format {
            Format::OpenMetrics => ("", kind),
            Format::Prometheus => (suffix, if kind == "info" { "gauge" } else { kind }),
        };
        self.put(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
    }

    /// One sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line(self.kind.names().1, labels, value);
    }

    /// The samples of a histogram, in seconds.
    pub(super) fn histogram(&mut self, histogram: &Histogram) {
        for (bound, count) in histogram.up_to() {
            self.line("_bucket", &[("le", &Seconds(bound.as_secs_f64()))], count);
        }
        self.line("_bucket", &[("le", &"+Inf")], histogram.count());
        self.line("_sum", &[], histogram.sum().as_secs_f64());
        self.line("_count", &[], histogram.count());
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let name = self.name;
        self.put(format_args!("{name}{suffix}"));
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { "{" } else { "," };
            let value = value.to_string();
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.put(format_args!("{before}{label}=\"{value}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{end} {value}\n"));
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.out.write_fmt(text);
    }
}

/// Seconds with a point, as OpenMetrics writes bounds.
struct Seconds(f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = self;
        if seconds.fract() == 0.0 { write!(f, "{seconds:.1}") } else { write!(f, "{seconds}") }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(format: Format) -> String {
        let mut writer = Writer::new(format);
        writer.begin("a", Kind::Counter, "Help.");
        writer.sample(&[("x", &"1\"\\\n"), ("y", &2)], 3);
        writer.begin("b", Kind::Info, "Help.");
        writer.sample(&[], 1);
        writer.begin("c", Kind::Histogram, "Help.");
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_millis(3));
        writer.histogram(&histogram);
        writer.finish()
    }

    #[test]
    fn the_two_forms_differ_in_names_and_in_the_end() {
        let text = written(Format::Prometheus);
        let first = "# HELP a_total Help.\n# TYPE a_total counter\n\
                     a_total{x=\"1\\\"\\\\\\n\",y=\"2\"} 3\n\
                     # HELP b_info Help.\n# TYPE b_info gauge\nb_info 1\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("c_bucket{le=\"0.0025\"} 0\nc_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("c_bucket{le=\"1.0\"} 1\n"), "{text}");
        assert!(text.ends_with("c_bucket{le=\"+Inf\"} 1\nc_sum 0.003\nc_count 1\n"), "{text}");
        let open = written(Format::OpenMetrics);
        assert!(open.starts_with("# HELP a Help.\n# TYPE a counter\na_total{"), "{open}");
        assert!(
            open.contains("# TYPE b info\nb_info 1\n") && open.ends_with("\n# EOF\n"),
            "{open}"
        );
    }

    #[test]
    fn the_form_is_the_one_that_is_asked_for() {
        let asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Format::of(Some(asked)), Format::OpenMetrics);
        assert_eq!(Format::of(Some("text/plain")), Format::Prometheus);
        assert_eq!(Format::of(None), Format::Prometheus);
    }
}
