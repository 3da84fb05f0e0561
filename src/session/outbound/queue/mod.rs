//! What waits until a peer reads on.

use std::collections::VecDeque;
use std::rc::Rc;

use super::frames::Frames;
use crate::base::Chunk;
use crate::config::SlowConsumer;

mod conflated;
mod gaps;
#[cfg(test)]
mod tests;

use conflated::Latest;
use gaps::{Losses, MOST_SUBJECTS};

/// Small replies are gathered into chunks of this size, so that many of them cost few sends.
const CHUNK: usize = 64 << 10;
/// What is sent at a time of many small pieces: more than one turn brings, so that who has fallen
/// behind catches up.
const GATHERED: usize = 2 * CHUNK;
/// Less than this is not worth a chunk of its own.
const SHORT: usize = 4 << 10;
/// Of runs of frames that may be dropped, no more than one for so many bytes of the limit may wait:
/// short ones take memory beside their bytes. But this many may always.
const SHORTEST: usize = 64;

/// What became of frames offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offer {
    /// They wait; so many earlier messages were dropped for it.
    Queued(u64),
    /// These messages were dropped.
    Dropped(u64),
    /// The connection has to be closed.
    TooSlow,
}

#[derive(Debug)]
enum Entry {
    /// To be sent, whatever comes.
    Bytes(Chunk),
    /// May be dropped as long as nothing of it was sent.
    Frames(Rc<Frames>),
    /// Messages were lost here.
    Losses(Losses),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(piece) => piece.rest().len(),
            Self::Frames(frames) => frames.len(),
            Self::Losses(_) => 0,
        }
    }
}

/// What waits to be sent on one connection, in order. One piece at a time is out with the kernel.
#[derive(Debug)]
pub struct SendQueue {
    policy: SlowConsumer,
    /// The most bytes of droppable frames that may wait.
    limit: usize,
    entries: VecDeque<Entry>,
    /// Bytes in `entries` that must be sent; of frames that may be dropped; and those that are out.
    bytes: usize,
    droppable: usize,
    out: usize,
    /// Its connection is to be closed, so it takes no more frames.
    refuses: bool,
    /// Messages dropped and not yet told.
    lost: Losses,
    /// The subjects of losses among the entries.
    told: usize,
    /// Only under [`SlowConsumer::Conflate`]: what may be dropped, sent after the entries.
    latest: Latest,
}

impl SendQueue {
    /// An empty queue, to which `policy` applies once more than `limit` bytes of droppable frames
    /// wait.
    #[must_use]
    pub fn new(policy: SlowConsumer, limit: usize) -> Self {
        Self {
            policy,
            limit,
            entries: VecDeque::new(),
            bytes: 0,
            droppable: 0,
            out: 0,
            refuses: false,
            lost: Losses::default(),
            told: 0,
            latest: Latest::default(),
        }
    }

    /// The bytes that wait, those out with the kernel included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes + self.droppable + self.out
    }

    /// Of these, the bytes that will be sent whatever comes.
    #[must_use]
    pub const fn committed(&self) -> usize {
        self.bytes + self.out
    }

    /// The bytes that may still be dropped.
    #[must_use]
    pub const fn droppable(&self) -> usize {
        self.droppable
    }

    /// Whether nothing waits, and nothing has to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_some = !self.entries.is_empty() || !self.latest.is_empty();
        self.out == 0 && !has_some && self.lost.is_empty()
    }

    /// Whether a piece is out with the kernel.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.out > 0
    }

    /// Adds a piece at the end. What is short or lies in much more memory than it fills is copied,
    /// and the vector returned: what waits must not hold more than it seems to.
    pub fn push(&mut self, piece: Chunk) -> Option<Vec<u8>> {
        let len = piece.rest().len();
        if let Chunk::Owned { bytes, .. } = &piece
            && (len < SHORT || wastes(bytes, len))
        {
            self.append(piece.rest());
            return piece.into_vec();
        }
        self.bytes += len;
        self.entries.push_back(Entry::Bytes(piece));
        None
    }

    /// Copies `bytes` to the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.entries.back_mut() {
            Some(Entry::Bytes(Chunk::Owned { bytes: chunk, .. }))
                if chunk.len() + bytes.len() <= CHUNK =>
            {
                chunk.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => {
                let piece = Chunk::Owned { bytes: bytes.to_vec(), from: 0 };
                self.entries.push_back(Entry::Bytes(piece));
            }
        }
    }

    /// Adds frames that may be dropped, of which no more than `limit` bytes may wait, and one run
    /// for each 64 of them, besides what is out and what is owed; but one may always.
    pub fn push_droppable(&mut self, frames: &Rc<Frames>) -> Offer {
        let messages = u64::from(frames.messages());
        if self.refuses {
            return Offer::Dropped(messages);
        }
        // With nothing of the kind before it anything fits, or a large message could never pass.
        let fits = self.droppable == 0 || self.has_room(frames.len());
        match self.policy {
            SlowConsumer::Close if !fits => {
                self.refuses = true;
                return Offer::TooSlow;
            }
            SlowConsumer::DropNewest if !fits => {
                self.lost.add(frames.subject(), messages);
                return Offer::Dropped(messages);
            }
            SlowConsumer::DropNewest => self.tell_of_losses(),
            SlowConsumer::Conflate => return Offer::Queued(self.conflate(frames)),
            SlowConsumer::Close | SlowConsumer::DropOldest => {}
        }
        let mut dropped = 0;
        while self.policy == SlowConsumer::DropOldest
            && !self.has_room(frames.len())
            && let Some(lost) = self.drop_oldest()
        {
            dropped += lost;
        }
        self.droppable += frames.len();
        self.entries.push_back(Entry::Frames(Rc::clone(frames)));
        Offer::Queued(dropped)
    }

    fn has_room(&self, len: usize) -> bool {
        self.droppable + len <= self.limit && self.entries.len() < max_runs(self.limit)
    }

    /// Keeps only the last message; returns how many go for it.
    fn conflate(&mut self, frames: &Rc<Frames>) -> u64 {
        let (latest, earlier) = self.latest.keep(frames);
        let replaced = earlier.as_ref().map_or(0, |earlier| u64::from(earlier.messages()));
        self.droppable += latest.len();
        self.droppable -= earlier.map_or(0, |earlier| earlier.len());
        let mut dropped = u64::from(frames.messages()) - 1 + replaced;
        self.lost.add(frames.subject(), dropped);
        while (self.droppable > self.limit || self.latest.len() > max_runs(self.limit))
            && let Some(oldest) = self.latest.pop_but(frames.subject())
        {
            self.droppable -= oldest.len();
            self.lost.add(oldest.subject(), u64::from(oldest.messages()));
            dropped += u64::from(oldest.messages());
        }
        dropped
    }

    /// Drops the frames that have waited longest; `None` if there are none.
    fn drop_oldest(&mut self) -> Option<u64> {
        let at = self.entries.iter().position(|entry| matches!(entry, Entry::Frames(_)))?;
        let Some(Entry::Frames(frames)) = self.entries.remove(at) else { return None };
        self.droppable -= frames.len();
        let messages = u64::from(frames.messages());
        self.lost.add(frames.subject(), messages);
        Some(messages)
    }

    /// Has the losses so far told behind what waits.
    fn tell_of_losses(&mut self) {
        if !self.lost.is_empty() && self.told + self.lost.len() <= MOST_SUBJECTS {
            self.told += self.lost.len();
            self.entries.push_back(Entry::Losses(std::mem::take(&mut self.lost)));
        }
    }

    /// Inserts the pending gap notices at the position that the policy requires: where the oldest
    /// was dropped, the gap is before what may still be dropped; where the newest was, behind all.
    fn place_losses(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        let is_newest = self.policy == SlowConsumer::DropNewest;
        let at = if is_newest { self.entries.len() } else { self.committed_entries() };
        if let Some(Entry::Losses(before)) = self.entries.get_mut(at) {
            self.told -= before.len();
            before.merge(&lost);
            self.told += before.len();
        } else if !lost.is_empty() {
            self.told += lost.len();
            self.entries.insert(at, Entry::Losses(lost));
        }
    }

    /// The next that is added ends the connection: all that waits so far is sent before it.
    pub fn before_close(&mut self) {
        self.place_losses();
        while let Some(frames) = self.latest.pop() {
            self.entries.push_back(Entry::Frames(frames));
        }
    }

    /// Adds whole frames before all that may be dropped.
    pub fn push_control(&mut self, frames: &[u8]) {
        self.bytes += frames.len();
        let piece = Chunk::Owned { bytes: frames.to_vec(), from: 0 };
        self.entries.insert(self.committed_entries(), Entry::Bytes(piece));
    }

    /// How many entries come before the first that may be dropped.
    fn committed_entries(&self) -> usize {
        let is_owed = |entry: &Entry| matches!(entry, Entry::Bytes(_));
        self.entries.iter().position(|entry| !is_owed(entry)).unwrap_or(self.entries.len())
    }

    /// Takes the first piece out, to be sent. `None` if nothing waits, or one is out already. `gap`
    /// writes the frame that tells of a loss; `spare` is memory for gathering.
    pub fn next_chunk(
        &mut self,
        gap: impl FnMut(&str, u64, &mut Vec<u8>),
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Option<Chunk> {
        if self.is_sending() {
            return None;
        }
        if self.policy != SlowConsumer::DropNewest || self.entries.is_empty() {
            self.place_losses();
        }
        let piece = if self.is_worth_gathering() { self.gather(spare(), gap) } else { self.pop()? };
        self.out = piece.rest().len();
        (self.out > 0).then_some(piece)
    }

    /// Whether the first entries are small ones, or have to be written still.
    fn is_worth_gathering(&self) -> bool {
        let mut first = self.entries.iter();
        match (first.next(), first.next()) {
            (Some(Entry::Losses(_)), _) => true,
            (Some(a), Some(b)) => a.len() + b.len() <= CHUNK / 2,
            (Some(a), None) => a.len() <= CHUNK / 2 && !self.latest.is_empty(),
            (None, _) => self.latest.len() > 1 && self.first_len() <= Some(CHUNK / 2),
        }
    }

    /// Moves entries into one piece of about a chunk.
    fn gather(
        &mut self,
        mut bytes: Vec<u8>,
        mut gap: impl FnMut(&str, u64, &mut Vec<u8>),
    ) -> Chunk {
        // Not more memory than that: there may be one such piece for each slow reader.
        bytes.reserve_exact(self.len().min(GATHERED));
        // Something else goes with the gaps, or a reader that is far behind got nothing but them.
        let mut has_more_than_gaps = false;
        while let Some(len) = self.first_len()
            && (!has_more_than_gaps || len <= CHUNK / 2 && bytes.len() + len <= GATHERED)
        {
            if let Some(Entry::Losses(losses)) = self.entries.front() {
                self.told -= losses.len();
                losses.iter().for_each(|(subject, lost)| gap(subject, lost, &mut bytes));
                self.entries.pop_front();
            } else if let Some(piece) = self.pop() {
                if len > CHUNK / 2 {
                    // Large ones are sent from where they are. Behind gaps that is the next send,
                    // but from here on it cannot be dropped.
                    if bytes.is_empty() {
                        return piece;
                    }
                    self.bytes += len;
                    self.entries.push_front(Entry::Bytes(piece));
                    break;
                }
                has_more_than_gaps = true;
                bytes.extend_from_slice(piece.rest());
            }
        }
        Chunk::Owned { bytes, from: 0 }
    }

    /// The length of what goes next.
    fn first_len(&self) -> Option<usize> {
        self.entries.front().map(Entry::len).or_else(|| self.latest.first_len())
    }

    /// Takes what goes next; from here on it will be sent.
    fn pop(&mut self) -> Option<Chunk> {
        let frames = match self.entries.pop_front() {
            Some(Entry::Bytes(piece)) => {
                self.bytes -= piece.rest().len();
                return Some(piece);
            }
            Some(Entry::Frames(frames)) => frames,
            // They are written by `gather`.
            Some(Entry::Losses(_)) => return None,
            None => self.latest.pop()?,
        };
        self.droppable -= frames.len();
        Some(Chunk::Shared { bytes: Rc::clone(frames.bytes()), from: 0 })
    }

    /// The piece that was out comes back with `sent` more bytes sent; the rest goes before all
    /// else. Returns the memory if nothing of it is left.
    pub fn sent(&mut self, mut piece: Chunk, sent: usize) -> Option<Vec<u8>> {
        let out = std::mem::take(&mut self.out);
        piece.skip(sent.min(out));
        self.put_back(piece)
    }

    /// Puts what is left of a piece before all else that waits; copied, and the vector returned,
    /// where that frees more memory than it takes.
    pub fn put_back(&mut self, piece: Chunk) -> Option<Vec<u8>> {
        let len = piece.rest().len();
        if len == 0 {
            return piece.into_vec();
        }
        self.bytes += len;
        match piece {
            Chunk::Owned { bytes, from } if wastes(&bytes, len) => {
                let rest = bytes.get(from..).unwrap_or_default().to_vec();
                let piece = Chunk::Owned { bytes: rest, from: 0 };
                self.entries.push_front(Entry::Bytes(piece));
                Some(bytes)
            }
            piece => {
                self.entries.push_front(Entry::Bytes(piece));
                None
            }
        }
    }

    /// Drops all that is not out with the kernel; returns how many messages that are counted.
    pub fn clear(&mut self) -> u64 {
        let dropped = self.clear_droppable();
        self.entries.clear();
        self.bytes = 0;
        dropped
    }

    /// Drops all frames of which nothing was sent, and what was to be told of losses; returns how
    /// many messages.
    pub fn clear_droppable(&mut self) -> u64 {
        let mut dropped = 0;
        self.entries.retain(|entry| {
            if let Entry::Frames(frames) = entry {
                dropped += u64::from(frames.messages());
            }
            matches!(entry, Entry::Bytes(_))
        });
        while let Some(frames) = self.latest.pop() {
            dropped += u64::from(frames.messages());
        }
        self.lost.clear();
        (self.droppable, self.told) = (0, 0);
        dropped
    }
}

fn max_runs(limit: usize) -> usize {
    (limit / SHORTEST).max(SHORTEST)
}

/// Whether `bytes` holds much more memory than the `used` bytes need.
fn wastes(bytes: &Vec<u8>, used: usize) -> bool {
    bytes.capacity() > used + used / 4 + SHORT
}
