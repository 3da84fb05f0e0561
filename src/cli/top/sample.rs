//! Metrics at one moment, and their changes between two.

use std::collections::BTreeMap;
use std::time::Instant;

/// The samples of `/metrics`, by name and labels.
pub(super) struct Sample {
    at: Instant,
    values: BTreeMap<String, f64>,
}

impl Sample {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { at: Instant::now(), values: lines.filter_map(pair).collect() }
    }

    /// The samples of this name that have these labels, with all of their labels.
    fn all<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&str, &str)],
    ) -> impl Iterator<Item = (&'s str, f64)> {
        let has = |of: &str| {
            labels.iter().all(|(label, value)| label_of(of, label).is_some_and(|it| it == *value))
        };
        self.values.iter().filter_map(move |(full, value)| {
            let rest = full.strip_prefix(name)?;
            let is_it = rest.is_empty() || rest.starts_with('{');
            (is_it && has(rest)).then_some((rest, *value))
        })
    }

    /// Their sum.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|(_, value)| value).sum()
    }

    /// The values of a label.
    pub(super) fn labels(&self, name: &str, label: &str) -> Vec<String> {
        let all = self.all(name, &[]).filter_map(|(labels, _)| label_of(labels, label));
        let mut values: Vec<String> = all.map(str::to_owned).collect();
        values.dedup();
        values
    }

    /// A label of the first sample with these labels.
    pub(super) fn label(&self, name: &str, labels: &[(&str, &str)], label: &str) -> String {
        let first = self.all(name, labels).next();
        first.and_then(|(labels, _)| label_of(labels, label)).unwrap_or_default().to_owned()
    }

    /// How fast the sum has increased since `before`, each second.
    pub(super) fn rate(&self, before: &Self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(1e-3);
        ((self.sum(name, labels) - before.sum(name, labels)) / seconds).max(0.0)
    }

    /// The bound below which so much of what a histogram has counted since `before` is.
    pub(super) fn quantile(&self, before: &Self, name: &str, part: f64) -> Option<f64> {
        let name = format!("{name}_bucket");
        let mut ranges: Vec<(f64, f64)> = Vec::new();
        for (labels, value) in self.all(&name, &[]) {
            let bound = label_of(labels, "le")?.parse().ok()?;
            let earlier = before.values.get(&format!("{name}{labels}")).copied().unwrap_or(0.0);
            ranges.push((bound, value - earlier));
        }
        ranges.sort_by(|one, other| one.0.total_cmp(&other.0));
        let wanted = ranges.last()?.1 * part;
        let found = ranges.iter().find(|(_, count)| *count > 0.0 && *count >= wanted);
        found.map(|(bound, _)| *bound)
    }
}

/// The value of a label in `{a="b",c="d"}`. Values with commas or quotes are not looked for: those
/// of routes, which stand behind the others.
fn label_of<'l>(labels: &'l str, label: &str) -> Option<&'l str> {
    let pairs = labels.trim_matches(['{', '}']).split(',');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == label).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_rates_and_quantiles() {
        let text = |count: u32| {
            Sample::parse(&format!(
                "# HELP a Help.\na_total{{core=\"0\",loop=\"0\"}} {count}\n\
                 a_total{{core=\"1\",loop=\"1\"}} 1\na_total_other 9\n\
                 h_bucket{{le=\"0.5\"}} {count}\nh_bucket{{le=\"1.0\"}} {}\n\
                 h_bucket{{le=\"+Inf\"}} {}\n",
                2 * count,
                2 * count
            ))
        };
        let (before, after) = (text(5), text(25));
        assert_eq!(
            (after.sum("a_total", &[]), after.sum("a_total", &[("loop", "1")])),
            (26.0, 1.0)
        );
        assert!(after.rate(&before, "a_total", &[]) > 100.0);
        assert_eq!(after.rate(&before, "a_total", &[("core", "1")]), 0.0);
        assert_eq!(after.labels("a_total", "loop"), ["0", "1"]);
        assert_eq!(after.quantile(&before, "h", 0.5), Some(0.5));
        assert_eq!(after.quantile(&before, "h", 0.9), Some(1.0));
        assert_eq!(before.quantile(&before, "h", 0.9), None);
    }
}
