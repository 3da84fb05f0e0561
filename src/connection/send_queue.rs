//! What waits until a peer reads on.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::delivery::Frames;
use crate::config::SlowConsumer;

/// Small pieces are gathered into chunks of this size, so that many of them cost few sends.
const CHUNK: usize = 64 << 10;
/// Less than this is not worth a chunk of its own.
const SHORT: usize = 4 << 10;
/// Subjects of which losses are counted apart. A subscriber that loses more is closed.
const MOST_SUBJECTS: usize = 1024;

/// Bytes to be sent, from a place on.
#[derive(Debug)]
pub enum Piece {
    /// The connection's own.
    Owned {
        /// The memory.
        bytes: Vec<u8>,
        /// The first byte to send.
        from: usize,
    },
    /// Shared with other connections.
    Shared {
        /// The memory.
        bytes: Rc<Bytes>,
        /// The first byte to send.
        from: usize,
    },
}

impl Piece {
    /// The bytes that are left to send.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        match self {
            Self::Owned { bytes, from } => bytes.get(*from..).unwrap_or_default(),
            Self::Shared { bytes, from } => bytes.get(*from..).unwrap_or_default(),
        }
    }

    fn skip(&mut self, sent: usize) {
        let (Self::Owned { from, .. } | Self::Shared { from, .. }) = self;
        *from = from.saturating_add(sent);
    }

    /// The vector, if it is the connection's own.
    #[must_use]
    pub fn into_vec(self) -> Option<Vec<u8>> {
        match self {
            Self::Owned { bytes, .. } => Some(bytes),
            Self::Shared { .. } => None,
        }
    }
}

/// What became of frames offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Bytes(Piece),
    /// May be dropped as long as nothing of it was sent. Begins at the place given.
    Frames(Rc<Frames>, usize),
    /// Messages were lost here, so many of each subject.
    Losses(HashMap<Arc<str>, u64>),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(piece) => piece.rest().len(),
            Self::Frames(frames, from) => frames.len() - from,
            Self::Losses(_) => 0,
        }
    }

    fn messages(&self) -> u64 {
        match self {
            Self::Bytes(_) | Self::Losses(_) => 0,
            Self::Frames(_, from) if *from > 0 => 1,
            Self::Frames(frames, _) => u64::from(frames.messages()),
        }
    }
}

/// What waits to be sent on one connection, in order. One piece at a time is out with the kernel.
#[derive(Debug, Default)]
pub struct SendQueue {
    entries: VecDeque<Entry>,
    /// Bytes in `entries` that must be sent; of frames that may be dropped; and those that are out.
    bytes: usize,
    droppable: usize,
    out: usize,
    held: bool,
    /// The first entry is the rest of something, so that nothing may go before it.
    resumes: bool,
    /// Messages dropped of each subject, and not yet told.
    lost: HashMap<Arc<str>, u64>,
    /// Only under [`SlowConsumer::Conflate`]: the frames that wait, of each subject.
    latest: HashMap<Arc<str>, Rc<Frames>>,
}

impl SendQueue {
    /// The bytes that wait, those out with the kernel included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes + self.droppable + self.out
    }

    /// Of these, the bytes that the peer itself has asked for; not what may be dropped.
    #[must_use]
    pub const fn owed(&self) -> usize {
        self.bytes + self.out
    }

    /// Whether nothing waits, and nothing has to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out == 0 && self.entries.is_empty() && self.lost.is_empty() && !self.held
    }

    /// Whether a piece is out with the kernel.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.out > 0
    }

    /// Keeps everything until it is no longer held.
    pub const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Adds a piece at the end. What is short or lies in much more memory than it fills is copied,
    /// and the vector returned: what waits must not hold more than it seems to.
    pub fn push(&mut self, piece: Piece) -> Option<Vec<u8>> {
        let len = piece.rest().len();
        if let Piece::Owned { bytes, .. } = &piece
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
            Some(Entry::Bytes(Piece::Owned { bytes: chunk, .. }))
                if chunk.len() + bytes.len() <= CHUNK =>
            {
                chunk.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => {
                let piece = Piece::Owned { bytes: bytes.to_vec(), from: 0 };
                self.entries.push_back(Entry::Bytes(piece));
            }
        }
    }

    /// Adds frames that may be dropped, of which no more than `limit` bytes may wait.
    pub fn offer(&mut self, frames: &Rc<Frames>, policy: SlowConsumer, limit: usize) -> Offer {
        let (mut from, mut dropped) = (0, 0);
        if policy == SlowConsumer::Conflate {
            dropped += self.conflate(frames);
            from = frames.last();
        }
        let len = frames.len() - from;
        if policy == SlowConsumer::DropOldest || policy == SlowConsumer::Conflate {
            while self.len() + len > limit
                && let Some(lost) = self.drop_oldest()
            {
                dropped += lost;
            }
        }
        // A queue with nothing in it takes anything, or a large message could never pass.
        let waiting = self.len();
        let fits = waiting == 0 || waiting + len <= limit;
        if self.lost.len() > MOST_SUBJECTS || (!fits && policy == SlowConsumer::Close) {
            return Offer::TooSlow;
        }
        let entry = Entry::Frames(Rc::clone(frames), from);
        if !fits {
            let messages = entry.messages();
            self.lose(frames.subject(), messages);
            self.latest.remove(frames.subject());
            return Offer::Dropped(dropped + messages);
        }
        if policy == SlowConsumer::DropNewest && !self.lost.is_empty() {
            self.entries.push_back(Entry::Losses(std::mem::take(&mut self.lost)));
        }
        self.droppable += len;
        self.entries.push_back(entry);
        Offer::Queued(dropped)
    }

    /// Makes `frames` the only ones of their subject that wait; returns how many messages go.
    fn conflate(&mut self, frames: &Rc<Frames>) -> u64 {
        let subject = frames.subject();
        let mut dropped = u64::from(frames.messages()) - 1;
        if let Some(before) = self.latest.insert(Arc::clone(subject), Rc::clone(frames)) {
            let is_it = |e: &Entry| matches!(e, Entry::Frames(f, _) if Rc::ptr_eq(f, &before));
            if let Some(entry) =
                self.entries.iter().position(is_it).and_then(|at| self.entries.remove(at))
            {
                self.droppable -= entry.len();
                dropped += entry.messages();
            }
        }
        self.lose(subject, dropped);
        dropped
    }

    /// Drops the frames that have waited longest; `None` if there are none.
    fn drop_oldest(&mut self) -> Option<u64> {
        let at = self.entries.iter().position(|entry| matches!(entry, Entry::Frames(..)))?;
        let entry = self.entries.remove(at)?;
        self.droppable -= entry.len();
        let messages = entry.messages();
        if let Entry::Frames(frames, _) = entry {
            self.lose(frames.subject(), messages);
            self.latest.remove(frames.subject());
        }
        Some(messages)
    }

    fn lose(&mut self, subject: &Arc<str>, messages: u64) {
        if messages > 0 {
            *self.lost.entry(Arc::clone(subject)).or_default() += messages;
        }
    }

    /// Takes the first piece out, to be sent. `None` if nothing waits, or one is out already, or
    /// all is held. `gap` writes the frame that tells of a loss; `spare` is memory for gathering.
    pub fn begin(
        &mut self,
        policy: SlowConsumer,
        gap: impl FnMut(&str, u64, &mut Vec<u8>),
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Option<Piece> {
        if self.is_sending() || self.held {
            return None;
        }
        // Where the oldest was dropped, what is left comes after the gap; where the newest was,
        // before it. The rest of a frame comes before all.
        let is_time = policy != SlowConsumer::DropNewest || self.entries.is_empty();
        if !self.lost.is_empty() && is_time && !self.resumes {
            self.entries.push_front(Entry::Losses(std::mem::take(&mut self.lost)));
        }
        let piece = if self.is_worth_gathering() { self.gather(spare(), gap) } else { self.pop()? };
        self.out = piece.rest().len();
        (self.out > 0).then_some(piece)
    }

    /// Whether the first entries are small ones, or have to be written still.
    fn is_worth_gathering(&self) -> bool {
        if self.resumes && !self.lost.is_empty() {
            return false;
        }
        let mut first = self.entries.iter();
        match (first.next(), first.next()) {
            (Some(Entry::Losses(_)), _) => true,
            (Some(a), Some(b)) => a.len() + b.len() <= CHUNK / 2,
            _ => false,
        }
    }

    /// Moves entries into one piece of about a chunk.
    fn gather(
        &mut self,
        mut bytes: Vec<u8>,
        mut gap: impl FnMut(&str, u64, &mut Vec<u8>),
    ) -> Piece {
        while let Some(entry) = self.entries.front_mut()
            && (bytes.is_empty() || bytes.len() + entry.len() <= CHUNK)
        {
            if let Entry::Losses(losses) = entry {
                losses.drain().for_each(|(subject, lost)| gap(&subject, lost, &mut bytes));
                self.entries.pop_front();
            } else if let Some(piece) = self.pop() {
                bytes.extend_from_slice(piece.rest());
            }
        }
        Piece::Owned { bytes, from: 0 }
    }

    /// Takes the first entry; from here on it will be sent.
    fn pop(&mut self) -> Option<Piece> {
        self.resumes = false;
        match self.entries.pop_front()? {
            Entry::Bytes(piece) => {
                self.bytes -= piece.rest().len();
                Some(piece)
            }
            Entry::Frames(frames, from) => {
                self.droppable -= frames.len() - from;
                self.latest.remove(frames.subject());
                Some(Piece::Shared { bytes: Rc::clone(frames.bytes()), from })
            }
            // They are written by `gather`.
            Entry::Losses(_) => None,
        }
    }

    /// The piece that was out comes back with `sent` more bytes sent; the rest goes before all
    /// else. Returns the memory if nothing of it is left.
    pub fn end(&mut self, mut piece: Piece, sent: usize) -> Option<Vec<u8>> {
        let out = std::mem::take(&mut self.out);
        piece.skip(sent.min(out));
        self.put_back(piece)
    }

    /// Puts what is left of a piece before all else that waits; copied, and the vector returned,
    /// where that frees more memory than it takes.
    pub fn put_back(&mut self, piece: Piece) -> Option<Vec<u8>> {
        let len = piece.rest().len();
        if len == 0 {
            return piece.into_vec();
        }
        (self.bytes, self.resumes) = (self.bytes + len, true);
        match piece {
            Piece::Owned { bytes, from } if wastes(&bytes, len) => {
                let rest = bytes.get(from..).unwrap_or_default().to_vec();
                let piece = Piece::Owned { bytes: rest, from: 0 };
                self.entries.push_front(Entry::Bytes(piece));
                Some(bytes)
            }
            piece => {
                self.entries.push_front(Entry::Bytes(piece));
                None
            }
        }
    }

    /// Drops all that is not out with the kernel.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.lost.clear();
        self.latest.clear();
        (self.bytes, self.droppable) = (0, 0);
        (self.held, self.resumes) = (false, false);
    }

    /// Drops all frames of which nothing was sent, and what was to be told of losses.
    pub fn clear_frames(&mut self) {
        self.entries.retain(|entry| matches!(entry, Entry::Bytes(_)));
        self.lost.clear();
        self.latest.clear();
        self.droppable = 0;
    }
}

/// Whether `bytes` holds much more memory than the `used` bytes need.
fn wastes(bytes: &Vec<u8>, used: usize) -> bool {
    bytes.capacity() > used + used / 4 + SHORT
}

#[cfg(test)]
mod tests;
