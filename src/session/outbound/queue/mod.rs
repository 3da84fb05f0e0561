//! The queue of a connection whose peer reads more slowly than it is sent to.

mod account;
mod conflated;
mod fifo;
mod gaps;
mod gather;
mod leftover;
mod memory;
mod sending;
mod sizes;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use super::frames::Frames;
use super::output::Output;
use crate::base::Chunk;
use crate::config::SlowConsumer;
use account::Account;
use conflated::Conflated;
use fifo::{Entry, Fifo};
use gaps::{GapCounts, MAX_SUBJECTS};
pub use leftover::Leftover;
use sending::Sending;
use sizes::{MAX_COPIED, SHORT, max_entries, wastes};

/// What became of frames that were added to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offer {
    /// They wait. This number of earlier messages was dropped to make room.
    Queued(u64),
    /// They were dropped, and were this number of messages.
    Dropped(u64),
    /// They were not added: more messages have to be dropped for them than one call may drop. This
    /// number was. Offer them again.
    Later(u64),
    /// The policy demands that the connection is closed.
    TooSlow,
}

/// The bytes that wait to be sent on one connection, in order, with the policy for the case that
/// too many do. One chunk at a time is in flight.
#[derive(Debug)]
pub struct SendQueue {
    policy: SlowConsumer,
    /// The most bytes of droppable frames that may wait.
    limit: usize,
    account: Account,
    sending: Sending,
    fifo: Fifo,
    /// Only under [`SlowConsumer::Conflate`]: the droppable messages, sent after the entries.
    conflated: Conflated,
    /// What was added since [`before_close`](SendQueue::before_close), while there are conflated
    /// messages: it is sent after these.
    tail: Fifo,
    /// The bytes that are added end the connection.
    is_ending: bool,
    /// Messages dropped, without a gap notice among the entries so far.
    gaps: GapCounts,
    /// The connection is being closed, so no more droppable frames are queued.
    refuses: bool,
}

impl SendQueue {
    /// An empty queue, to which `policy` applies once more than `limit` bytes of droppable frames
    /// wait.
    #[must_use]
    pub fn new(policy: SlowConsumer, limit: usize) -> Self {
        Self {
            policy,
            limit,
            account: Account::default(),
            sending: Sending::default(),
            fifo: Fifo::default(),
            conflated: Conflated::default(),
            tail: Fifo::default(),
            is_ending: false,
            gaps: GapCounts::default(),
            refuses: false,
        }
    }

    /// The bytes that wait, those in flight included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.account.total()
    }

    /// Of these, the bytes that can no longer be dropped, those in flight included.
    #[must_use]
    pub const fn committed(&self) -> usize {
        self.account.undroppable()
    }

    /// The bytes that may still be dropped.
    #[must_use]
    pub const fn droppable(&self) -> usize {
        self.account.droppable
    }

    /// Whether nothing waits, gap notices included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_some = !self.fifo.is_empty() || !self.conflated.is_empty();
        !self.is_sending() && !has_some && self.gaps.is_empty()
    }

    /// Whether a chunk is in flight.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.account.in_flight > 0
    }

    /// Adds a chunk at the end. A chunk that is short, or that fills only a part of its memory, is
    /// copied and its vector returned: the queue must not hold more memory than it accounts for.
    pub fn push(&mut self, mut chunk: Chunk) -> Option<Vec<u8>> {
        let len = chunk.rest().len();
        if let Chunk::Owned { bytes, .. } = &mut chunk
            && (len < SHORT || wastes(bytes, len))
        {
            if len <= MAX_COPIED {
                self.append(chunk.rest());
                return chunk.into_vec();
            }
            bytes.shrink_to_fit();
        }
        self.account.committed += len;
        self.end().push(Entry::Bytes(chunk));
        None
    }

    /// Adds all of `output` at the end, as [`push`](Self::push) does. `give` takes vectors that are
    /// free again.
    pub fn push_output(&mut self, output: &mut Output, mut give: impl FnMut(Vec<u8>)) {
        while !output.is_empty() {
            if let Some(copied) = self.push(output.take_chunk()) {
                give(copied);
            }
        }
    }

    /// Copies `bytes` to the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.account.committed += bytes.len();
        self.end().append(bytes);
    }

    /// Where bytes are added.
    fn end(&mut self) -> &mut Fifo {
        if self.is_ending && !self.conflated.is_empty() { &mut self.tail } else { &mut self.fifo }
    }

    /// If no conflated messages are left, what comes after them follows the entries.
    fn join_tail(&mut self) {
        if self.is_ending && self.conflated.is_empty() {
            self.fifo.join(&mut self.tail);
        }
    }

    /// As [`offer`](Self::offer), however many messages have to be dropped for it.
    pub fn push_droppable(&mut self, frames: &Rc<Frames>) -> Offer {
        let mut drops = usize::MAX;
        self.offer(frames, &mut drops)
    }

    /// Adds frames that may be dropped. If more than `limit` bytes of such frames would wait, or
    /// more than one entry for each 64 bytes of it, the policy decides. Bytes that are committed or
    /// in flight do not count. One entry may wait however large it is.
    ///
    /// To drop the messages of one entry counts for one of `drops`, or more if many entries that
    /// cannot be dropped are before it. Once none are left, the rest is left to another call.
    pub fn offer(&mut self, frames: &Rc<Frames>, drops: &mut usize) -> Offer {
        let messages = u64::from(frames.messages());
        if self.refuses {
            return Offer::Dropped(messages);
        }
        let fits = self.fits(frames.len());
        let mut dropped = 0;
        match self.policy {
            SlowConsumer::Close if !fits => {
                self.refuses = true;
                return Offer::TooSlow;
            }
            SlowConsumer::DropNewest if !fits => {
                self.gaps.add(frames.subject(), messages);
                return Offer::Dropped(messages);
            }
            SlowConsumer::DropNewest => self.report_gaps_here(),
            SlowConsumer::Conflate => return self.conflate(frames, drops),
            SlowConsumer::DropOldest if !fits => {
                dropped = self.drop_oldest(frames.len(), drops);
                if !self.fits(frames.len()) {
                    return Offer::Later(dropped);
                }
            }
            SlowConsumer::Close | SlowConsumer::DropOldest => {}
        }
        self.account.droppable += frames.len();
        self.fifo.push(Entry::Frames(Rc::clone(frames)));
        Offer::Queued(dropped)
    }

    /// Whether there is room for an entry of `len` bytes. One has room in any case: otherwise a
    /// message larger than the limit could never be sent.
    fn fits(&self, len: usize) -> bool {
        self.account.droppable == 0
            || self.account.droppable + len <= self.limit
                && self.fifo.len() < max_entries(self.limit)
    }

    /// Makes room for an entry of `len` bytes. Returns the number of messages dropped.
    #[cold]
    fn drop_oldest(&mut self, len: usize, drops: &mut usize) -> u64 {
        let mut dropped = 0;
        while !self.fits(len)
            && *drops > 0
            && let Some((oldest, cost)) = self.fifo.drop_oldest()
        {
            *drops = drops.saturating_sub(cost);
            dropped += self.count_dropped(&oldest);
        }
        dropped
    }

    /// Counts frames that were taken out to be dropped; returns the number of their messages.
    fn count_dropped(&mut self, frames: &Frames) -> u64 {
        let messages = u64::from(frames.messages());
        self.account.droppable -= frames.len();
        self.gaps.add(frames.subject(), messages);
        messages
    }

    /// Keeps only the last message of a subject.
    fn conflate(&mut self, frames: &Rc<Frames>, drops: &mut usize) -> Offer {
        let mut dropped = 0;
        let len = frames.len() - frames.last();
        if self.account.droppable + len > self.limit
            || self.conflated.len() >= max_entries(self.limit)
        {
            let has_room;
            (dropped, has_room) = self.drop_others(frames.subject(), len, drops);
            if !has_room {
                return Offer::Later(dropped);
            }
        }
        let (latest, earlier) = self.conflated.keep(frames);
        let replaced = earlier.as_ref().map_or(0, |earlier| u64::from(earlier.messages()));
        self.account.droppable += latest.len();
        self.account.droppable -= earlier.map_or(0, |earlier| earlier.len());
        let replaced = u64::from(frames.messages()) - 1 + replaced;
        self.gaps.add(frames.subject(), replaced);
        Offer::Queued(dropped + replaced)
    }

    /// Makes room for a message of `len` bytes in the place of the one of its subject. Returns the
    /// number of messages dropped, and whether that was enough.
    #[cold]
    fn drop_others(&mut self, subject: &Arc<str>, len: usize, drops: &mut usize) -> (u64, bool) {
        let earlier = self.conflated.len_of(subject);
        let (new, replaced) = (usize::from(earlier.is_none()), earlier.unwrap_or(0));
        let mut dropped = 0;
        while self.account.droppable + len - replaced > self.limit
            || self.conflated.len() + new > max_entries(self.limit)
        {
            if *drops == 0 {
                // Nothing is left to be done if there are no others.
                return (dropped, self.conflated.len() + new < 2);
            }
            let Some(oldest) = self.conflated.pop_except(subject) else { break };
            *drops -= 1;
            dropped += self.count_dropped(&oldest);
        }
        (dropped, true)
    }

    /// Adds the gap notices at the end, where the messages are missing. If too many wait there
    /// already, they are added later, together with those of the next gap.
    fn report_gaps_here(&mut self) {
        if !self.gaps.is_empty() && self.fifo.reported() + self.gaps.len() <= MAX_SUBJECTS {
            self.fifo.push(Entry::Gaps(std::mem::take(&mut self.gaps)));
        }
    }

    /// Adds the gap notices at the position that the policy requires. If the oldest messages are
    /// dropped, that is before the first droppable entry. If the newest are, it is the end.
    fn report_gaps(&mut self) {
        let gaps = std::mem::take(&mut self.gaps);
        if self.policy != SlowConsumer::DropNewest {
            self.fifo.insert_gaps(gaps);
        } else if !gaps.is_empty() {
            self.fifo.push(Entry::Gaps(gaps));
        }
    }

    /// The bytes that are added next end the connection: everything that waits, gap notices and
    /// conflated messages included, is sent before them.
    pub fn before_close(&mut self) {
        // Under other policies their place is before what may be dropped, whatever follows.
        if self.policy == SlowConsumer::DropNewest {
            self.report_gaps();
        }
        self.is_ending = true;
    }

    /// Adds whole frames before everything that may be dropped.
    pub fn push_control(&mut self, frames: &[u8]) {
        self.account.committed += frames.len();
        self.fifo.insert_committed(Chunk::Owned { bytes: frames.to_vec(), from: 0 });
    }

    /// Takes the first chunk, which is in flight from here on. `None` if nothing waits, or a chunk
    /// is in flight already. `gap` writes the frame that reports dropped messages. `spare` is
    /// memory to copy small entries to.
    pub fn next_chunk(
        &mut self,
        gap: impl FnMut(&str, u64, &mut Vec<u8>),
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Option<Chunk> {
        if self.is_sending() {
            return None;
        }
        if self.policy != SlowConsumer::DropNewest || self.fifo.is_empty() {
            self.report_gaps();
        }
        let chunk = if self.is_worth_gathering() { self.gather(spare(), gap) } else { self.pop()? };
        self.account.in_flight = chunk.rest().len();
        self.sending = Sending::of(&chunk);
        self.check();
        self.is_sending().then_some(chunk)
    }

    /// The chunk in flight comes back after `sent` more bytes of it were sent. The rest goes before
    /// all that waits. Returns its memory if nothing is left of it.
    pub fn sent(&mut self, mut chunk: Chunk, sent: usize) -> Option<Vec<u8>> {
        let in_flight = self.account.end_send();
        self.sending = Sending::default();
        chunk.skip(sent.min(in_flight));
        self.put_back(chunk)
    }

    /// Puts the rest of a chunk before all that waits. If that frees more memory than it takes, the
    /// rest is copied and the vector returned.
    pub fn put_back(&mut self, chunk: Chunk) -> Option<Vec<u8>> {
        let len = chunk.rest().len();
        if len == 0 {
            return chunk.into_vec();
        }
        self.account.committed += len;
        match chunk {
            Chunk::Owned { bytes, from } if len <= MAX_COPIED && wastes(&bytes, len) => {
                let rest = bytes.get(from..).unwrap_or_default().to_vec();
                self.fifo.push_front(Chunk::Owned { bytes: rest, from: 0 });
                Some(bytes)
            }
            chunk => {
                self.fifo.push_front(chunk);
                None
            }
        }
    }

    /// Takes out all that is not in flight, and all gap notices, to be dropped in pieces.
    #[must_use]
    pub fn take_out(&mut self) -> Leftover {
        self.gaps.clear();
        self.fifo.join(&mut self.tail);
        (self.account.committed, self.account.droppable) = (0, 0);
        Leftover::of(&mut self.fifo, &mut self.conflated)
    }

    /// Drops all frames of which no byte was sent, and all gap notices; returns the number of
    /// messages.
    pub fn clear_droppable(&mut self) -> u64 {
        let mut dropped = self.fifo.clear_droppable();
        while let Some(frames) = self.conflated.pop() {
            dropped += u64::from(frames.messages());
        }
        self.join_tail();
        self.gaps.clear();
        self.account.droppable = 0;
        self.check();
        dropped
    }

    /// With debug assertions, checks that the account is right. Not after each change, because it
    /// looks at every entry.
    fn check(&self) {
        if cfg!(debug_assertions) {
            let (committed, droppable) = self.fifo.count_bytes();
            let (after, _) = self.tail.count_bytes();
            self.account.check(committed + after, droppable + self.conflated.count_bytes());
        }
    }
}
