//! A thread that logs a warning when a loop takes too long for one turn.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::control::CoreControl;
use crate::error::Error;
use crate::io::Wake;

/// The time after which a core whose turn does not end hangs: the other cores go on without it.
/// Less than the default time of a handshake, so that those that wait for the core are accepted.
const HUNG_AFTER: Duration = Duration::from_secs(3);

/// Starts the thread that watches these cores until all of them have ended. Turns longer than
/// `limit` are logged.
pub(super) fn spawn(cores: Vec<Arc<CoreControl>>, limit: Option<Duration>) -> Result<(), Error> {
    let pause = (limit.unwrap_or(HUNG_AFTER).min(HUNG_AFTER) / 6)
        .clamp(Duration::from_millis(1), Duration::from_secs(1));
    let watch = move || {
        let mut watched = vec![Watched::default(); cores.len()];
        while cores.iter().any(|core| !core.has_ended()) {
            thread::sleep(pause);
            for (core, watched) in cores.iter().zip(&mut watched) {
                if watched.look(core, limit) {
                    // What waits for the core, or was to wait for it, is looked at again.
                    cores.iter().for_each(|core| core.waker.wake());
                }
            }
        }
    };
    let thread = thread::Builder::new().name("corecast-watchdog".to_owned());
    thread.spawn(watch).map(drop).map_err(Error::Thread)
}

/// What is known of one core.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    long: Seen,
    hung: Seen,
}

impl Watched {
    /// Looks at a core and logs what is wrong. Returns whether it began to hang or goes on.
    fn look(&mut self, core: &CoreControl, limit: Option<Duration>) -> bool {
        let (turn, now) = (core.turn().filter(|_| !core.has_ended()), Instant::now());
        let millis = |held: Duration| u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        if let Some(held) = limit.and_then(|limit| self.long.observe(turn, now, limit)) {
            tracing::warn!(core = core.core, ms = millis(held), "a callback holds its loop");
        }
        let was_hung = self.hung.is_reported;
        let held = self.hung.observe(turn, now, HUNG_AFTER);
        let has_changed = was_hung != self.hung.is_reported;
        if has_changed {
            // Before the line: a log that is not read may keep this thread waiting as well.
            core.set_hung(self.hung.is_reported);
        }
        if let Some(held) = held {
            let ms = millis(held);
            tracing::error!(core = core.core, ms, "a loop hangs; the others go on without it");
        }
        if !has_changed {
            return false;
        }
        if was_hung {
            tracing::warn!(core = core.core, "the loop that hung goes on");
        }
        true
    }
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
