//! Medians over rounds, and ratios within them.

use crate::results::Round;

/// The middle value; `None` without values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[n / 2]),
        n => Some(f64::midpoint(values[n / 2 - 1], values[n / 2])),
    }
}

/// The median of some values, with the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { median: median(values)?, low, high })
    }

    /// The values of the rounds of one server.
    pub(crate) fn over(rounds: &[Round], value: impl Fn(&Round) -> Option<f64>) -> Option<Self> {
        Self::of(rounds.iter().filter_map(value).collect())
    }

    /// Ratios to another server, each within a round, since the machine's speed changes between
    /// rounds.
    pub(crate) fn ratio(
        rounds: &[Round],
        base: &[Round],
        value: impl Fn(&Round) -> Option<f64>,
    ) -> Option<Self> {
        let ratio = |(a, b): (&Round, &Round)| {
            let ratio = value(a)? / value(b)?;
            ratio.is_finite().then_some(ratio)
        };
        Self::of(rounds.iter().zip(base).filter_map(ratio).collect())
    }
}

/// User and kernel instructions together.
pub(crate) fn instructions(round: &Round) -> Option<f64> {
    Some(round.user_instructions? + round.kernel_instructions?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_ns: f64) -> Round {
        Round { cpu_ns, ..Round::default() }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let base = [round(100.0), round(200.0), round(400.0)];
        let other = [round(110.0), round(240.0), round(520.0)];
        let ratio = Spread::ratio(&other, &base, |r| Some(r.cpu_ns)).unwrap();
        let cell = format!("{:.3} ({:.2}..{:.2})", ratio.median, ratio.low, ratio.high);
        assert_eq!(cell, "1.200 (1.10..1.30)");
    }

    #[test]
    fn values_missing_in_a_round_are_left_out() {
        let mut rounds = vec![round(1.0), round(2.0), round(3.0)];
        rounds[0].syscalls = Some(0.5);
        let spread = Spread::over(&rounds, |r| r.syscalls).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (0.5, 0.5, 0.5));
        assert_eq!(Spread::over(&rounds, |r| r.cycles), None);
        assert_eq!(Spread::ratio(&rounds, &rounds, |_| Some(0.0)), None);
        assert_eq!(instructions(&rounds[0]), None);
    }
}
