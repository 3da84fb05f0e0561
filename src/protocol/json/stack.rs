//! The containers that are open at a position of a JSON text.

/// A stack with one bit for each container: whether it is an object.
#[derive(Debug, Default)]
pub(super) struct Stack {
    /// The bits below the last 64, or fewer.
    below: Vec<u64>,
    /// The last bits, with that of the innermost container lowest.
    bits: u64,
    depth: usize,
}

impl Stack {
    /// The number of containers.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the innermost container is an object.
    pub(super) const fn is_object(&self) -> bool {
        self.bits & 1 == 1
    }

    /// The memory that it holds besides itself, in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.below.capacity() * size_of::<u64>()
    }

    pub(super) fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth.is_multiple_of(64) {
            self.bits = self.below.pop().unwrap_or_default();
        } else {
            self.bits >>= 1;
        }
    }
}
