//! Requests that are refused because of who asks: counted, and logged at a limited rate. All loops
//! share one of these, since nobody has to ask often.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::display;

/// At most one log line in this time for each cause.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The token is missing or wrong: 401.
    Token,
    /// It may be of a page in a browser: 403.
    Page,
}

impl Cause {
    pub(super) const ALL: [Self; 2] = [Self::Token, Self::Page];

    /// The status of the answer.
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Token => 401,
            Self::Page => 403,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Token => "the token is missing or wrong",
            Self::Page => "a page in a browser, or a Host that is a name",
        }
    }
}

/// Those of one cause.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    all: u64,
    logged: u64,
    /// Of the last one, if it is known.
    client: Option<IpAddr>,
    /// No line before this time.
    log_again: Option<Instant>,
}

impl Counted {
    /// How many are to be logged, if it is time.
    fn take_due(&mut self, now: Instant) -> Option<u64> {
        let count = self.all - self.logged;
        if count == 0 || self.log_again.is_some_and(|again| now < again) {
            return None;
        }
        (self.logged, self.log_again) = (self.all, Some(now + LOG_EVERY));
        Some(count)
    }
}

#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<[Counted; Cause::ALL.len()]>);

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, [Counted; Cause::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of this client is refused.
    pub(super) fn count(&self, cause: Cause, client: Option<IpAddr>) {
        let counted = &mut self.lock()[cause as usize];
        counted.all += 1;
        counted.client = client;
    }

    /// Logs those that were not logged, as far as it is time for that.
    pub(super) fn log(&self) {
        let now = Instant::now();
        for (cause, counted) in Cause::ALL.iter().zip(&mut *self.lock()) {
            if let Some(requests) = counted.take_due(now) {
                let (client, status) = (counted.client.map(display), cause.code());
                let last = cause.reason();
                tracing::warn!(requests, status, last, client, "refused for administration");
            }
        }
    }

    /// The status of each cause, and how many there were.
    pub(super) fn counts(&self) -> [(u16, u64); Cause::ALL.len()] {
        let counted = *self.lock();
        Cause::ALL.map(|cause| (cause.code(), counted[cause as usize].all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_one_line_in_a_second_says_how_many() {
        let (mut counted, start) = (Counted::default(), Instant::now());
        let logged = [0, 1, 999, 1_000, 1_500, 2_000].map(|ms| {
            counted.all += 1;
            counted.take_due(start + Duration::from_millis(ms))
        });
        assert_eq!(logged, [Some(1), None, None, Some(3), None, Some(2)]);
        assert_eq!(counted.take_due(start + Duration::from_secs(60)), None);
        let refusals = Refusals::default();
        refusals.count(Cause::Token, None);
        refusals.count(Cause::Page, None);
        refusals.count(Cause::Token, None);
        assert_eq!(refusals.counts(), [(401, 2), (403, 1)]);
    }
}
