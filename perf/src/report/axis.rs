//! Maps values to pixels.

/// One axis of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    min: f64,
    max: f64,
    log: bool,
    /// The pixels of `min` and `max`; for a vertical axis the first is the larger one.
    from: f64,
    to: f64,
}

/// The step of an axis with about this number of steps: 1, 2 or 5 times a power of ten.
fn step(range: f64, about: f64) -> f64 {
    let raw = range / about;
    let power = 10f64.powf(raw.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= raw * 0.999);
    times.unwrap_or(10.0) * power
}

/// 1, 2 and 5 times the powers of ten around a range.
fn rungs(low: f64, high: f64) -> Vec<f64> {
    let mut rungs = Vec::new();
    let mut power = low.log10().floor() - 1.0;
    while power <= high.log10() + 1.0 {
        rungs.extend([1.0, 2.0, 5.0].map(|times| times * 10f64.powf(power)));
        power += 1.0;
    }
    rungs
}

impl Axis {
    /// `low` and `high` must be finite, and `low` the smaller one.
    pub(super) fn linear(low: f64, high: f64, (from, to): (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = step(high - low, 6.0);
        let min = (low / step + 1e-9).floor() * step;
        let max = (high / step - 1e-9).ceil() * step;
        Self { min, max, log: false, from, to }
    }

    /// `low` and `high` must be finite and above zero, and `low` the smaller one.
    pub(super) fn log(low: f64, high: f64, (from, to): (f64, f64)) -> Self {
        let rungs = rungs(low, high);
        let below = rungs.iter().copied().filter(|rung| *rung <= low * (1.0 + 1e-9));
        let above = rungs.iter().copied().filter(|rung| *rung >= high * (1.0 - 1e-9));
        let min = below.fold(low / 10.0, f64::max);
        let max = above.fold(high * 10.0, f64::min).max(min * 2.0);
        Self { min, max, log: true, from, to }
    }

    /// The position of a value; the nearest end for values outside.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = if !self.log {
            (value - self.min) / (self.max - self.min)
        } else if value > 0.0 {
            (value.ln() - self.min.ln()) / (self.max.ln() - self.min.ln())
        } else {
            0.0
        };
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The values to be labelled: at most about eight.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.log {
            let step = step(self.max - self.min, 8.0);
            let first = (self.min / step - 1e-9).ceil();
            let ticks = (0..12).map(|index| (first + f64::from(index)) * step);
            return ticks.take_while(|tick| *tick <= self.max + step * 1e-6).collect();
        }
        let decades = self.max.log10() - self.min.log10();
        let inside = |tick: &f64| *tick >= self.min * 0.999 && *tick <= self.max * 1.001;
        let rungs: Vec<f64> = rungs(self.min, self.max).into_iter().filter(inside).collect();
        if decades <= 2.4 {
            return rungs;
        }
        let powers = rungs.into_iter().filter(|rung| {
            let power = rung.log10();
            (power - power.round()).abs() < 1e-6
        });
        // For many decades only every second or third is labelled, and so on.
        let mut powers: Vec<f64> = powers.collect();
        while powers.len() > 8 {
            powers = powers.into_iter().step_by(2).collect();
        }
        powers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_ends_at_round_values() {
        let axis = Axis::linear(0.0, 4.7, (100.0, 600.0));
        assert_eq!(axis.ticks(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!([axis.at(0.0), axis.at(2.5), axis.at(5.0)], [100.0, 350.0, 600.0]);
        assert_eq!(axis.at(99.0), 600.0);
    }

    #[test]
    fn a_log_axis_has_the_same_length_for_each_factor() {
        let axis = Axis::log(0.7, 60.0, (0.0, 100.0));
        assert_eq!(axis.ticks().first(), Some(&0.5));
        let ends = (axis.ticks().len(), axis.ticks().last().copied());
        assert_eq!(ends, (8, Some(100.0)));
        let (a, b) = (axis.at(10.0) - axis.at(1.0), axis.at(100.0) - axis.at(10.0));
        assert!((a - b).abs() < 1e-9);
        assert_eq!(axis.at(-3.0), 0.0);
    }

    #[test]
    fn extreme_ranges_stay_finite_and_have_few_ticks() {
        for (low, high) in [(1.0, 1.0), (1e-9, 1e15), (3e-300, 1e300), (0.999, 1.001)] {
            let axis = Axis::log(low, high, (0.0, 100.0));
            let ticks = axis.ticks();
            assert!((1..=9).contains(&ticks.len()), "{low} {high} {ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=100.0).contains(&axis.at(*tick))));
            let axis = Axis::linear(0.0, high, (0.0, 100.0));
            assert!((2..=12).contains(&axis.ticks().len()), "{high} {:?}", axis.ticks());
        }
    }
}
