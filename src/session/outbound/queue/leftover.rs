//! What waited for a connection that is given up, dropped in pieces.

use super::conflated::Conflated;
use super::fifo::Fifo;

/// The entries of a queue that nobody is sent any more. There may be thousands of tiny messages in
/// it, and thousands of such queues may come to their ends together.
#[derive(Debug)]
pub struct Leftover {
    fifo: Fifo,
    conflated: Conflated,
}

impl Leftover {
    pub(super) fn of(fifo: &mut Fifo, conflated: &mut Conflated) -> Self {
        Self { fifo: std::mem::take(fifo), conflated: std::mem::take(conflated) }
    }

    /// Drops up to `most` entries. Returns their number, and that of the messages in them. `give`
    /// takes the vectors.
    pub fn drop_some(&mut self, most: usize, mut give: impl FnMut(Vec<u8>)) -> (usize, u64) {
        let (mut entries, mut messages) = (0, 0);
        while entries < most {
            let of_entry = match self.fifo.drop_first(&mut give) {
                Some(of_entry) => of_entry,
                None => match self.conflated.pop() {
                    Some(frames) => u64::from(frames.messages()),
                    None => break,
                },
            };
            messages += of_entry;
            entries += 1;
        }
        (entries, messages)
    }

    /// Whether all is dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fifo.is_empty() && self.conflated.is_empty()
    }
}
