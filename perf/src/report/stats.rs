//! Medians, ranges and ratios of rounds.

use crate::results::{Round, Row, Workload};

/// The median of some rounds, with the smallest and largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// `None` if there are no values, or NaN among them.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        if !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, low, high })
    }

    /// A value of all rounds of a row; `None` if it is missing in one.
    pub(super) fn of_rounds(row: &Row, value: impl Fn(&Round) -> Option<f64>) -> Option<Self> {
        Self::of(row.rounds.iter().map(value).collect::<Option<_>>()?)
    }

    /// Ratios of two servers round by round: common slowdowns cancel out.
    pub(super) fn of_ratios(
        row: &Row,
        base: &Row,
        value: impl Fn(&Round) -> Option<f64>,
    ) -> Option<Self> {
        let pairs = row.rounds.iter().zip(&base.rounds);
        let ratios = pairs.map(|(a, b)| {
            let (a, b) = (value(a)?, value(b)?);
            (b > 0.0).then_some(a / b)
        });
        Self::of(ratios.collect::<Option<_>>()?)
    }
}

/// The cost of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// User and kernel instructions.
    Instructions,
    CpuTime,
}

impl Cost {
    pub(super) fn of(self, round: &Round) -> Option<f64> {
        let cost = match self {
            Self::Instructions => round.user_instructions? + round.kernel_instructions?,
            Self::CpuTime => round.cpu_ns,
        };
        (cost > 0.0).then_some(cost)
    }

    /// Instructions if all measured servers have them, because the bars of a chart must mean the
    /// same.
    pub(super) fn best(workloads: &[&Workload]) -> Self {
        let mut rows = workloads.iter().flat_map(|workload| &workload.rows);
        let counted = |round: &Round| Self::Instructions.of(round).is_some();
        if rows.all(|row| row.rounds.iter().all(counted)) {
            Self::Instructions
        } else {
            Self::CpuTime
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::CpuTime => "CPU time",
        }
    }
}

/// The row of a server, if it was measured.
pub(super) fn measured<'a>(workload: &'a Workload, server: &str) -> Option<&'a Row> {
    workload.rows.iter().find(|row| row.server == server && row.failed.is_none())
}

/// The row for a number of connections or subscribers instead of a server.
pub(super) fn count_of(row: &Row) -> Option<f64> {
    row.server.parse::<u32>().ok().filter(|count| *count > 0).map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(costs: &[f64]) -> Row {
        let round = |cpu_ns: &f64| Round { cpu_ns: *cpu_ns, ..Round::default() };
        let rounds = costs.iter().map(round).collect();
        Row { server: "a".into(), failed: None, rounds, stepped: None }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!(spread, Some(Spread { median: 2.5, low: 1.0, high: 4.0 }));
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![1.0, f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let (base, other) = (row(&[100.0, 200.0, 400.0]), row(&[110.0, 240.0, 520.0]));
        let spread = Spread::of_ratios(&other, &base, |r| Cost::CpuTime.of(r));
        let spread = spread.expect("three rounds");
        assert!((spread.median - 1.2).abs() < 1e-9, "{spread:?}");
        assert!((spread.low - 1.1).abs() < 1e-9 && (spread.high - 1.3).abs() < 1e-9);
        let nothing = Spread::of_ratios(&other, &row(&[0.0, 1.0, 1.0]), |r| Some(r.cpu_ns));
        assert_eq!(nothing, None);
    }

    #[test]
    fn instructions_are_used_only_where_all_rows_have_them() {
        let mut counted = row(&[100.0]);
        counted.rounds[0].user_instructions = Some(10.0);
        counted.rounds[0].kernel_instructions = Some(20.0);
        let mut workload = Workload {
            name: "echo".into(),
            title: String::new(),
            unit: "echo".into(),
            rows: vec![counted],
        };
        assert_eq!(Cost::best(&[&workload]), Cost::Instructions);
        assert_eq!(Cost::Instructions.of(&workload.rows[0].rounds[0]), Some(30.0));
        workload.rows.push(row(&[100.0]));
        assert_eq!(Cost::best(&[&workload]), Cost::CpuTime);
    }
}
