//! The end of the messages before this one, for context takeover: a ring of the window's size.

/// The last bytes of earlier messages. Holds what was recorded and never more than the window.
#[derive(Debug)]
pub(super) struct History {
    ring: Vec<u8>,
    /// Where the next byte goes once the ring is full; while it is not, always 0.
    head: usize,
    /// Bytes of the window, a power of two.
    size: usize,
}

impl History {
    pub(super) const fn new(size: usize) -> Self {
        Self { ring: Vec::new(), head: 0, size }
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.head = 0;
    }

    /// Forgets everything and takes another size, keeping the memory.
    pub(super) fn resize(&mut self, size: usize) {
        self.clear();
        self.size = size;
    }

    /// Appends a message; of one longer than the window, its end.
    pub(super) fn record(&mut self, message: &[u8]) {
        let tail = &message[message.len().saturating_sub(self.size)..];
        if tail.len() == self.size {
            self.clear();
        }
        let (grow, wrap) = tail.split_at(tail.len().min(self.size - self.ring.len()));
        if self.ring.capacity() - self.ring.len() < grow.len() {
            let want = (self.ring.len() + grow.len()).next_power_of_two().min(self.size);
            self.ring.reserve_exact(want - self.ring.len());
        }
        self.ring.extend_from_slice(grow);
        if wrap.is_empty() {
            return;
        }
        let (end, begin) = wrap.split_at(wrap.len().min(self.size - self.head));
        self.ring[self.head..self.head + end.len()].copy_from_slice(end);
        self.ring[..begin.len()].copy_from_slice(begin);
        self.head = (self.head + wrap.len()) & (self.size - 1);
    }

    /// Fills `to` with the bytes that begin `back` bytes before the end; `to.len() <= back` and
    /// `back <= self.len()`.
    pub(super) fn copy(&self, back: usize, to: &mut [u8]) {
        let len = self.ring.len();
        // Until the ring is full its head is 0, and len stands for the end: the same expression.
        let from = (self.head + len - back) % len;
        let first = to.len().min(len - from);
        let (a, b) = to.split_at_mut(first);
        a.copy_from_slice(&self.ring[from..from + first]);
        b.copy_from_slice(&self.ring[..b.len()]);
    }
}
