//! What is sent next of a queue: one large entry, or many small ones together.

use std::rc::Rc;

use super::SendQueue;
use super::fifo::{CHUNK, Entry};
use crate::base::Chunk;

/// The most bytes of small entries that are sent at once: more than one turn brings, so that a
/// reader that has fallen behind catches up. Of gap notices it is [`CHUNK`].
const GATHERED: usize = 2 * CHUNK;

impl SendQueue {
    /// Whether the first entries are small, or have to be written first.
    pub(super) fn is_worth_gathering(&self) -> bool {
        let mut first = self.fifo.iter();
        match (first.next(), first.next()) {
            (Some(Entry::Gaps(_)), _) => true,
            (Some(a), Some(b)) => a.len() + b.len() <= CHUNK / 2,
            (Some(a), None) => a.len() <= CHUNK / 2 && !self.conflated.is_empty(),
            (None, _) => {
                let has_more = self.conflated.len() > 1 || !self.tail.is_empty();
                has_more && self.first_len() <= Some(CHUNK / 2)
            }
        }
    }

    /// Copies small entries into one chunk.
    pub(super) fn gather(
        &mut self,
        mut bytes: Vec<u8>,
        mut gap: impl FnMut(&str, u64, &mut Vec<u8>),
    ) -> Chunk {
        // Not more memory than that: there may be one such chunk for each slow reader.
        bytes.reserve_exact(self.len().min(GATHERED));
        // A message goes with the gap notices, because otherwise a reader that is far behind would
        // be sent nothing but them.
        let mut has_more_than_gaps = false;
        while let Some(len) = self.first_len()
            && (!has_more_than_gaps || len <= CHUNK / 2 && bytes.len() + len <= GATHERED)
        {
            if self.fifo.has_gaps_first() {
                let are_left = self.fifo.take_gaps(|subject, lost| {
                    gap(subject, lost, &mut bytes);
                    bytes.len() < CHUNK
                });
                if are_left {
                    self.commit_behind_gaps();
                    break;
                }
            } else if let Some(chunk) = self.pop() {
                if len > CHUNK / 2 {
                    // Large ones are sent from where they are. After gap notices that is the next
                    // send, but from here on it cannot be dropped.
                    if bytes.is_empty() {
                        return chunk;
                    }
                    self.account.committed += len;
                    self.fifo.push_front(chunk);
                    break;
                }
                has_more_than_gaps = true;
                bytes.extend_from_slice(chunk.rest());
            }
        }
        Chunk::Owned { bytes, from: 0 }
    }

    /// Some gap notices are sent and others are left. The message behind them is not dropped from
    /// here on, so that it is sent however many messages are lost until then.
    fn commit_behind_gaps(&mut self) {
        if self.fifo.len() == 1
            && let Some(frames) = self.conflated.pop()
        {
            self.fifo.push(Entry::Frames(frames));
            self.join_tail();
        }
        let len = self.fifo.commit_second();
        self.account.droppable -= len;
        self.account.committed += len;
    }

    /// The length of the first entry.
    fn first_len(&self) -> Option<usize> {
        self.fifo.first_len().or_else(|| self.conflated.first_len())
    }

    /// Takes the first entry, unless it is a gap notice, which [`gather`](Self::gather) writes.
    pub(super) fn pop(&mut self) -> Option<Chunk> {
        let frames = match self.fifo.pop() {
            Some(Entry::Bytes(chunk)) => {
                self.account.committed -= chunk.rest().len();
                return Some(chunk);
            }
            Some(Entry::Frames(frames)) => frames,
            Some(Entry::Gaps(_)) => return None,
            None => {
                let frames = self.conflated.pop()?;
                self.join_tail();
                frames
            }
        };
        self.account.droppable -= frames.len();
        Some(Chunk::Shared { bytes: Rc::clone(frames.bytes()), from: 0 })
    }
}
