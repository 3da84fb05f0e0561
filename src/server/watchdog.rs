//! A thread that logs a warning when a loop takes too long for one turn.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::control::CoreControl;
use crate::error::Error;

/// Starts the thread that watches these cores until all of them have ended.
pub(super) fn spawn(cores: Vec<Arc<CoreControl>>, limit: Duration) -> Result<(), Error> {
    let watch = move || {
        let mut seen = vec![Seen::default(); cores.len()];
        while cores.iter().any(|core| !core.has_ended()) {
            thread::sleep((limit / 4).clamp(Duration::from_millis(1), Duration::from_secs(1)));
            for (core, seen) in cores.iter().zip(&mut seen) {
                let turn = core.turn().filter(|_| !core.has_ended());
                if let Some(held) = seen.observe(turn, Instant::now(), limit) {
                    let ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(core = core.core, ms, "a callback holds its loop");
                }
            }
        }
    };
    let thread = thread::Builder::new().name("corecast-watchdog".to_owned());
    thread.spawn(watch).map(drop).map_err(Error::Thread)
}

/// The last observed turn of a core, and the time of its first observation.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    turn: Option<u64>,
    since: Option<Instant>,
    is_reported: bool,
}

impl Seen {
    /// Updates the observation. Returns the duration of the turn if that exceeds `limit` and was
    /// not returned before.
    fn observe(&mut self, turn: Option<u64>, now: Instant, limit: Duration) -> Option<Duration> {
        if turn.is_none() || turn != self.turn {
            *self = Self { turn, since: Some(now), is_reported: false };
            return None;
        }
        let held = now.saturating_duration_since(self.since?);
        (held >= limit && !std::mem::replace(&mut self.is_reported, true)).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_turn_is_reported_once_and_sleep_is_not_a_turn() {
        let (start, limit) = (Instant::now(), Duration::from_secs(1));
        let at = |ms| start + Duration::from_millis(ms);
        let mut seen = Seen::default();
        for (turn, ms, reported) in [
            (Some(1), 0, false),
            (Some(1), 900, false),
            (Some(1), 1_000, true),
            (Some(1), 5_000, false),
            (Some(2), 5_100, false),
            (None, 6_000, false),
            (None, 9_000, false),
            (Some(2), 9_100, false),
            (Some(2), 10_200, true),
        ] {
            assert_eq!(seen.observe(turn, at(ms), limit).is_some(), reported, "{turn:?} at {ms}");
        }
    }
}
