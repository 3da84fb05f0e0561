//! The bytes of a send queue.

/// Every byte of a queue is counted in one of these sums, according to what may become of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Waits, and will be sent in any case.
    pub(super) committed: usize,
    /// Waits, and may still be dropped.
    pub(super) droppable: usize,
    /// Given to the driver, which has not reported the end of the send yet.
    pub(super) in_flight: usize,
}

impl Account {
    /// All bytes.
    pub(super) const fn total(&self) -> usize {
        self.committed + self.droppable + self.in_flight
    }

    /// The bytes that can no longer be dropped.
    pub(super) const fn undroppable(&self) -> usize {
        self.committed + self.in_flight
    }

    /// A send has ended: returns how many bytes it was given.
    pub(super) const fn end_send(&mut self) -> usize {
        std::mem::replace(&mut self.in_flight, 0)
    }

    /// Compares the sums with the bytes that the containers of the queue hold.
    ///
    /// # Panics
    /// With debug assertions, if they differ.
    pub(super) fn check(&self, committed: usize, droppable: usize) {
        debug_assert_eq!((self.committed, self.droppable), (committed, droppable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_in_one_sum() {
        let mut account = Account { committed: 1, droppable: 20, in_flight: 300 };
        assert_eq!((account.total(), account.undroppable()), (321, 301));
        account.check(1, 20);
        assert_eq!((account.end_send(), account.end_send()), (300, 0));
        assert_eq!((account.total(), account.undroppable()), (21, 1));
    }

    #[test]
    #[should_panic(expected = "left: (1, 20)")]
    #[cfg(debug_assertions)]
    fn a_wrong_sum_is_noticed() {
        Account { committed: 1, droppable: 20, in_flight: 0 }.check(1, 19);
    }
}
