//! The work of one turn of a loop.
//!
//! Work is counted where it is done, in units of about a nanosecond of one core, with costs that
//! were measured once and rounded up. It is counted and not timed, so that the same input always
//! stops at the same place, in a test as well as in a simulation. Calls into the kernel are not
//! counted.

/// What a frame costs besides its bytes, in whatever way it is handled.
pub const FRAME: u64 = 60;
/// What a byte costs of short messages that follow each other: they may be empty.
pub const SHORT_MESSAGES_BYTE: u64 = 8;
/// What a byte of a request head costs.
pub const HEAD_BYTE: u64 = 8;
/// How many bytes of a longer payload are unmasked, validated and copied for one unit.
pub const PAYLOAD_BYTES: u64 = 4;
/// What a byte costs that is decompressed: one that is read, and one that is written.
pub const INFLATED_BYTE: u64 = 2;
/// What a byte costs that is compressed.
pub const DEFLATED_BYTE: u64 = 8;

/// The work of one turn so far, and up to where the present piece of it may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    used: u64,
    limit: u64,
}

impl Work {
    /// A turn begins: nothing is done yet, and nothing may be done before
    /// [`allow`](Self::allow).
    pub const fn begin_turn(&mut self) {
        self.used = 0;
        self.limit = 0;
    }

    /// The units of the turn so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Allows `units` more from here on.
    pub const fn allow(&mut self, units: u64) {
        self.limit = self.used.saturating_add(units);
    }

    /// Counts what was done.
    #[inline]
    pub const fn charge(&mut self, units: u64) {
        self.used = self.used.saturating_add(units);
    }

    /// Counts `len` bytes at `each` units.
    #[inline]
    pub const fn charge_bytes(&mut self, len: usize, each: u64) {
        self.charge((len as u64).saturating_mul(each));
    }

    /// Whether what was allowed is used up. What is under way then stops where it can be resumed.
    #[inline]
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.used >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_counts_from_what_is_used() {
        let mut work = Work::default();
        assert!(work.is_used_up());
        work.allow(10);
        work.charge(9);
        assert!(!work.is_used_up());
        work.charge_bytes(1, 1);
        assert!(work.is_used_up());
        work.allow(5);
        work.charge(4);
        assert!(!work.is_used_up());
        work.charge(u64::MAX);
        assert!(work.is_used_up());
        assert_eq!(work.used(), u64::MAX);
        work.begin_turn();
        assert_eq!(work.used(), 0);
    }
}
