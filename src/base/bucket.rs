//! A token bucket, with the time passed in.
//!
//! Tokens come at a steady rate until the bucket is full. It is counted in thousandths of a token
//! and in milliseconds, so nothing is ever rounded.

use super::time::Millis;

/// The parts of a token that are counted.
const PARTS: i64 = 1000;

/// How fast tokens come, and how many a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The tokens that come in a second.
    pub per_second: u32,
    /// The tokens of a full bucket.
    pub burst: u32,
}

impl Tokens {
    /// So many in a second, of which `burst` may be used at once; by default those of a second.
    #[must_use]
    pub fn new(per_second: u32, burst: Option<u32>) -> Self {
        let per_second = per_second.max(1);
        Self { per_second, burst: burst.unwrap_or(per_second).max(1) }
    }

    const fn full(self) -> i64 {
        self.burst as i64 * PARTS
    }
}

/// The tokens that are left. May be less than none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    parts: i64,
    at: Millis,
}

impl TokenBucket {
    /// A full one.
    #[must_use]
    pub const fn full(of: Tokens, now: Millis) -> Self {
        Self { parts: of.full(), at: now }
    }

    /// Adds what has come since the last time.
    pub fn refill(&mut self, of: Tokens, now: Millis) {
        let elapsed = i64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(i64::MAX);
        self.at = self.at.max(now);
        let come = elapsed.saturating_mul(of.per_second.into());
        self.parts = self.parts.saturating_add(come).min(of.full());
    }

    /// The whole tokens that are there.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        if self.parts < 0 { 0 } else { (self.parts / PARTS).unsigned_abs() }
    }

    /// Whether nothing is missing, as of a bucket that is new.
    #[must_use]
    pub const fn is_full(&self, of: Tokens) -> bool {
        self.parts >= of.full()
    }

    /// Uses so many, whether they are there or not.
    pub fn take(&mut self, tokens: u64) {
        self.parts = self.parts.saturating_sub(parts(tokens));
    }

    /// Gives back so many that were taken.
    pub fn give(&mut self, tokens: u64, of: Tokens) {
        self.parts = self.parts.saturating_add(parts(tokens)).min(of.full());
    }

    /// When so many tokens will be there, or the bucket will be full.
    #[must_use]
    pub const fn when(&self, tokens: u64, of: Tokens) -> Millis {
        let wanted = parts(tokens);
        let wanted = if wanted < of.full() { wanted } else { of.full() };
        let missing = wanted.saturating_sub(self.parts);
        if missing <= 0 {
            return self.at;
        }
        Millis(self.at.0.saturating_add(missing.unsigned_abs().div_ceil(of.per_second as u64)))
    }
}

const fn parts(tokens: u64) -> i64 {
    const MOST: u64 = 1 << 50;
    let tokens = if tokens < MOST { tokens } else { MOST };
    tokens.cast_signed() * PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, one millisecond after the other, in fractions.
    struct Naive {
        parts: i128,
        at: u64,
    }

    impl Naive {
        fn refill(&mut self, of: Tokens, now: u64) {
            while self.at < now {
                self.at += 1;
                let full = i128::from(of.burst) * 1000;
                self.parts = (self.parts + i128::from(of.per_second)).min(full);
            }
        }
    }

    #[test]
    fn it_is_what_is_counted_each_millisecond() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..300 {
            let of = Tokens::new(random.u32(1..3000), Some(random.u32(1..200)));
            let mut now = random.u64(0..100);
            let mut bucket = TokenBucket::full(of, Millis(now));
            let mut naive = Naive { parts: i128::from(of.burst) * 1000, at: now };
            for _ in 0..60 {
                now += random.u64(0..80);
                bucket.refill(of, Millis(now));
                naive.refill(of, now);
                assert_eq!(i128::from(bucket.parts), naive.parts, "{of:?} at {now}");
                assert_eq!(i128::from(bucket.tokens()), naive.parts.max(0) / 1000);
                let tokens = random.u64(0..250);
                let when = bucket.when(tokens, of).0;
                let wanted = i128::from(tokens.min(of.burst.into())) * 1000;
                let mut later = Naive { ..naive };
                later.refill(of, when.saturating_sub(1));
                assert!(when == now || later.parts < wanted, "{of:?}: later than needed");
                later.refill(of, when);
                assert!(later.parts >= wanted, "{of:?}: too early");
                if random.bool() {
                    bucket.take(tokens);
                    naive.parts -= i128::from(tokens) * 1000;
                }
            }
        }
    }

    #[test]
    fn a_second_brings_the_rate_and_no_more_than_the_burst_is_kept() {
        let of = Tokens::new(10, Some(25));
        let mut bucket = TokenBucket::full(of, Millis(5));
        bucket.take(25);
        assert_eq!((bucket.tokens(), bucket.when(1, of)), (0, Millis(105)));
        bucket.refill(of, Millis(104));
        assert_eq!(bucket.tokens(), 0);
        bucket.refill(of, Millis(1005));
        assert_eq!(bucket.tokens(), 10);
        bucket.refill(of, Millis(u64::MAX));
        assert!(bucket.is_full(of) && bucket.tokens() == 25);
        // What was given back is no more than it holds, and a clock that stands still adds nothing.
        bucket.give(u64::MAX, of);
        bucket.refill(of, Millis(0));
        assert_eq!(bucket.tokens(), 25);
        bucket.take(u64::MAX);
        assert_eq!(bucket.tokens(), 0);
        assert_eq!(Tokens::new(0, Some(0)), Tokens { per_second: 1, burst: 1 });
        assert_eq!(Tokens::new(7, None).burst, 7);
    }
}
