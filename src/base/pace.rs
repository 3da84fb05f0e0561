//! Whether what is under way comes fast enough to be held while memory is short.

use std::time::Duration;

use super::Millis;

/// The longest pause.
const PAUSE: Duration = Duration::from_secs(1);
/// The bytes that have to come in each second.
const LEAST_RATE: u64 = 16 << 10;
/// What is held has to come once more in so many seconds, if that is faster. So those who hold all
/// memory between them have to send as much as that.
const SECONDS_HELD: u64 = 8;

/// How fast a message or a request comes. It is looked at while memory is short only.
#[derive(Debug)]
pub struct Pace {
    /// When the time is over that what has come has earned.
    due: Millis,
    /// The bytes that have earned some.
    seen: u64,
    /// When it began, or was seen not to be read from.
    read_since: Millis,
}

impl Pace {
    /// Of something that begins now, or that nobody has looked at before.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Self { due: now.after(PAUSE), seen: 0, read_since: now }
    }

    /// It was not read from until now, so that nothing came proves nothing.
    pub fn excuse(&mut self, now: Millis, received: u64) {
        *self = Self { due: now.after(PAUSE), seen: received, read_since: now };
    }

    /// Whether it is too slow, with `received` bytes of which the last came at `last`, and for
    /// which `held` are held.
    pub fn is_too_slow(&mut self, now: Millis, last: Millis, received: u64, held: usize) -> bool {
        let rate = LEAST_RATE.max(held as u64 / SECONDS_HELD);
        let earned = received.saturating_sub(self.seen).saturating_mul(1_000) / rate;
        // What has earned less than a millisecond is counted the next time.
        self.seen += earned * rate / 1_000;
        let due = self.due.after(Duration::from_millis(earned));
        self.due = due.max(now.before(PAUSE)).min(now.after(PAUSE));
        self.due <= now || last.max(self.read_since).after(PAUSE) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times in milliseconds at which one that sends `bytes` every `every` milliseconds is
    /// found too slow. It is looked at every `look` milliseconds, for 20 seconds from `from` on.
    fn found(bytes: u64, every: u64, (from, look): (u64, usize)) -> Vec<u64> {
        let mut pace = Pace::new(Millis(0));
        let is_too_slow = |now: &u64| {
            let sent = (now / every + 1) * bytes;
            let last = Millis(now / every * every);
            pace.is_too_slow(Millis(*now), last, sent, usize::try_from(sent).unwrap())
        };
        (from..from + 20_000).step_by(look).filter(is_too_slow).collect()
    }

    #[test]
    fn whoever_is_silent_for_a_second_is_too_slow() {
        for look in [5, 100] {
            assert_eq!(found(31_000, u64::MAX, (0, look))[0], 1_000);
        }
        // Also if memory was not short before.
        assert_eq!(found(31_000, u64::MAX, (30_000, 5))[0], 30_000);
    }

    #[test]
    fn a_byte_now_and_then_is_too_slow() {
        for look in [5, 100] {
            let first = found(1, 200, (0, look))[0];
            assert!((1_000..1_200).contains(&first), "{first}");
        }
        assert_eq!(found(1, 200, (30_000, 5))[0], 30_000);
        // Also after much has come at once.
        let mut pace = Pace::new(Millis(0));
        assert!(pace.is_too_slow(Millis(10_000), Millis(10_000), 31_000, 31_000));
    }

    #[test]
    fn a_slow_line_is_fast_enough_for_some_time_and_a_fast_one_for_longer() {
        for look in [5, 100] {
            // 20 KB in a second, in pieces of a packet or of half a second.
            for (bytes, every) in [(1_400, 70), (10_000, 500)] {
                let slow = found(bytes, every, (0, look));
                assert!(slow.is_empty() || slow[0] > 7_000, "{slow:?}");
            }
            let fast = found(14_000, 10, (0, look));
            assert!(fast.first().is_none_or(|first| *first > 8_000), "{fast:?}");
        }
        // 10 KB in a second are not.
        assert!(!found(1_000, 100, (0, 5)).is_empty());
    }

    #[test]
    fn whoever_was_not_read_from_has_a_second_again() {
        let mut pace = Pace::new(Millis(0));
        assert!(pace.is_too_slow(Millis(5_000), Millis(0), 31_000, 31_000));
        pace.excuse(Millis(5_000), 31_000);
        assert!(!pace.is_too_slow(Millis(5_999), Millis(0), 31_000, 31_000));
        assert!(pace.is_too_slow(Millis(6_000), Millis(0), 31_000, 31_000));
    }
}
