//! What deliveries count for while they wait and when they are made.

use super::Delivery;

/// A delivery of more bytes counts for several, one for each of so many: the kernel copies what is
/// sent while the core waits. It counts for [`MOST`] at most, since the loop itself spreads sends
/// of more than 64 KiB over turns.
pub(in crate::pubsub) const PACED: usize = 16 << 10;
const MOST: usize = 4;
/// So many deliveries that go out with others of the turn count for one, if they are no longer than
/// this: they are copied, but not sent.
pub(in crate::pubsub) const JOINED: usize = 16;
pub(in crate::pubsub) const SHORT: usize = 1 << 10;
/// A delivery to more subscribers than this is wide. That takes more than one turn.
pub(in crate::pubsub) const WIDE: usize = 128;
/// A wide delivery counts for so many at most that wait: there is room for others behind one, but
/// not behind two.
pub(super) const WIDE_COUNTS: usize = 300;

impl Delivery {
    /// The number of deliveries that each one of it counts for.
    pub(super) const fn counts_for(&self) -> usize {
        match self.form_len / PACED {
            0 => 1,
            count @ 1..MOST => count,
            _ => MOST,
        }
    }

    /// Whether it is to very many.
    pub(super) const fn is_wide(&self) -> bool {
        self.lists.subscribers() > WIDE
    }

    /// What is left to deliver, without those that are done of the last list, and without those
    /// that nobody else waits for.
    pub(super) const fn waiting(&self) -> usize {
        let all = self.lists.subscribers() * self.counts_for();
        match self.is_wide() {
            true if all > WIDE_COUNTS => WIDE_COUNTS,
            false if self.repeats && self.is_short() => all.div_ceil(JOINED),
            _ => all,
        }
    }

    /// Whether what a subscriber is sent is so little that it costs nearly nothing to send it with
    /// other output.
    pub(super) const fn is_short(&self) -> bool {
        self.form_len <= SHORT
    }
}
