//! What deliveries count for while they wait and when they are made.

use super::Delivery;
use crate::pubsub::delivery::counts::{JOINED, MOST, PACED, SHORT, WIDE, WIDE_COUNTS};

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
