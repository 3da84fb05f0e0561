//! The entries of a send queue in the order in which they are sent.

use std::collections::VecDeque;
use std::rc::Rc;

use super::gaps::GapCounts;
use crate::base::Chunk;
use crate::session::outbound::frames::Frames;

/// Small replies are copied together into chunks of up to this size, so that many of them cost few
/// sends.
pub(super) const CHUNK: usize = 64 << 10;

/// To pass so many entries in search of the oldest frames takes as long as to drop these.
const PASSED: usize = 128;

/// One entry of a queue.
#[derive(Debug)]
pub(super) enum Entry {
    /// Is sent in any case.
    Bytes(Chunk),
    /// May be dropped as long as no byte of it is sent.
    Frames(Rc<Frames>),
    /// Messages were dropped at this place.
    Gaps(GapCounts),
}

impl Entry {
    /// The bytes. A gap notice is written when it is sent, and has none before.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(chunk) => chunk.rest().len(),
            Self::Frames(frames) => frames.len(),
            Self::Gaps(_) => 0,
        }
    }

    /// The memory that only this entry holds, in bytes: not that of frames, which many share.
    fn memory(&self) -> usize {
        match self {
            Self::Bytes(chunk) => chunk.memory(),
            Self::Frames(_) => 0,
            Self::Gaps(gaps) => gaps.memory(),
        }
    }
}

/// The entries of a queue, first in, first out.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    entries: VecDeque<Entry>,
    /// The number of subjects of all gap notices.
    reported: usize,
    /// The memory that only these entries hold.
    memory: usize,
}

impl Fifo {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of subjects of all gap notices among the entries.
    pub(super) const fn reported(&self) -> usize {
        self.reported
    }

    /// The memory that it shares with no other connection, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory + self.entries.capacity() * size_of::<Entry>()
    }

    /// The entries in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.reported += subjects(&entry);
        self.memory += entry.memory();
        self.entries.push_back(entry);
    }

    /// Copies `bytes` to the end, into the last chunk if it has room.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        match self.entries.back_mut() {
            Some(Entry::Bytes(Chunk::Owned { bytes: chunk, .. }))
                if chunk.len() + bytes.len() <= CHUNK =>
            {
                self.memory -= chunk.capacity();
                chunk.extend_from_slice(bytes);
                self.memory += chunk.capacity();
            }
            _ if bytes.is_empty() => {}
            _ => self.push(Entry::Bytes(Chunk::Owned { bytes: bytes.to_vec(), from: 0 })),
        }
    }

    /// Adds all entries of `others` to the end.
    pub(super) fn join(&mut self, others: &mut Self) {
        let others = std::mem::take(others);
        self.reported += others.reported;
        self.memory += others.memory;
        self.entries.extend(others.entries);
    }

    /// Adds a chunk before all entries.
    pub(super) fn push_front(&mut self, chunk: Chunk) {
        self.memory += chunk.memory();
        self.entries.push_front(Entry::Bytes(chunk));
    }

    /// Adds a chunk before the first entry that may be dropped.
    pub(super) fn insert_committed(&mut self, chunk: Chunk) {
        self.memory += chunk.memory();
        self.entries.insert(self.committed_entries(), Entry::Bytes(chunk));
    }

    /// Adds gap notices before the first entry that may be dropped, and behind gap notices of which
    /// some are sent. If such an entry is a gap notice, they become part of it.
    pub(super) fn insert_gaps(&mut self, gaps: GapCounts) {
        if gaps.is_empty() {
            return;
        }
        let is_before = |entry: &Entry| match entry {
            Entry::Bytes(_) => true,
            Entry::Gaps(before) => before.is_begun(),
            Entry::Frames(_) => false,
        };
        let at = self.entries.iter().position(|entry| !is_before(entry));
        let at = at.unwrap_or(self.entries.len());
        if let Some(Entry::Gaps(before)) = self.entries.get_mut(at) {
            self.reported -= before.len();
            self.memory -= before.memory();
            before.merge(&gaps);
            self.reported += before.len();
            self.memory += before.memory();
        } else {
            self.reported += gaps.len();
            self.memory += gaps.memory();
            self.entries.insert(at, Entry::Gaps(gaps));
        }
    }

    /// The number of entries before the first that may be dropped.
    fn committed_entries(&self) -> usize {
        let is_committed = |entry: &Entry| matches!(entry, Entry::Bytes(_));
        self.entries.iter().position(|entry| !is_committed(entry)).unwrap_or(self.entries.len())
    }

    /// Takes out the frames that have waited longest. Returns also what that counts for: more than
    /// one if many entries that cannot be dropped were before them.
    pub(super) fn drop_oldest(&mut self) -> Option<(Rc<Frames>, usize)> {
        let at = self.entries.iter().position(|entry| matches!(entry, Entry::Frames(_)))?;
        match self.entries.remove(at) {
            Some(Entry::Frames(frames)) => Some((frames, 1 + at / PASSED)),
            _ => None,
        }
    }

    /// Takes the first entry.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.reported -= subjects(&entry);
        self.memory -= entry.memory();
        Some(entry)
    }

    /// Whether the first entry is a gap notice.
    pub(super) fn has_gaps_first(&self) -> bool {
        matches!(self.entries.front(), Some(Entry::Gaps(_)))
    }

    /// Takes gap notices from the first entry until `write` says that it has no room for more.
    /// Returns whether some are left.
    pub(super) fn take_gaps(&mut self, mut write: impl FnMut(&str, u64) -> bool) -> bool {
        let Some(Entry::Gaps(gaps)) = self.entries.front_mut() else { return false };
        self.reported -= gaps.len();
        self.memory -= gaps.memory();
        while let Some((subject, messages)) = gaps.take_first()
            && write(&subject, messages)
        {}
        self.reported += gaps.len();
        self.memory += gaps.memory();
        if gaps.is_empty() {
            self.entries.pop_front();
            return false;
        }
        true
    }

    /// From here on the frames behind the first entry cannot be dropped. Returns their bytes; 0 if
    /// there are no frames.
    pub(super) fn commit_second(&mut self) -> usize {
        let Some(second) = self.entries.get_mut(1) else { return 0 };
        let Entry::Frames(frames) = second else { return 0 };
        let len = frames.len();
        *second = Entry::Bytes(Chunk::Shared { bytes: Rc::clone(frames.bytes()), from: 0 });
        self.memory += second.memory();
        len
    }

    /// The length of the first entry.
    pub(super) fn first_len(&self) -> Option<usize> {
        self.entries.front().map(Entry::len)
    }

    /// Removes the first of entries that nobody is sent any more; returns the number of messages in
    /// it. `give` takes its vector.
    pub(super) fn drop_first(&mut self, give: impl FnMut(Vec<u8>)) -> Option<u64> {
        (self.reported, self.memory) = (0, 0);
        match self.entries.pop_front()? {
            Entry::Bytes(chunk) => {
                chunk.into_vec().into_iter().for_each(give);
                Some(0)
            }
            Entry::Frames(frames) => Some(u64::from(frames.messages())),
            Entry::Gaps(_) => Some(0),
        }
    }

    /// Removes all but the committed bytes; returns the number of messages removed.
    pub(super) fn clear_droppable(&mut self) -> u64 {
        let mut dropped = 0;
        self.entries.retain(|entry| {
            match entry {
                Entry::Bytes(_) => {}
                Entry::Frames(frames) => dropped += u64::from(frames.messages()),
                Entry::Gaps(gaps) => self.memory -= gaps.memory(),
            }
            matches!(entry, Entry::Bytes(_))
        });
        self.reported = 0;
        dropped
    }

    /// The committed and the droppable bytes of all entries, counted anew.
    pub(super) fn count_bytes(&self) -> (usize, usize) {
        self.entries.iter().fold((0, 0), |(committed, droppable), entry| match entry {
            Entry::Bytes(chunk) => (committed + chunk.rest().len(), droppable),
            Entry::Frames(frames) => (committed, droppable + frames.len()),
            Entry::Gaps(_) => (committed, droppable),
        })
    }
}

fn subjects(entry: &Entry) -> usize {
    if let Entry::Gaps(gaps) = entry { gaps.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::frames;
    use super::*;

    fn chunk(bytes: &[u8]) -> Chunk {
        Chunk::Owned { bytes: bytes.to_vec(), from: 0 }
    }

    fn gaps(subjects: &[&str]) -> GapCounts {
        let mut gaps = GapCounts::default();
        subjects.iter().for_each(|subject| gaps.add(&(*subject).into(), 1));
        gaps
    }

    /// The entries in words: bytes as they are, frames in brackets, gaps as their subjects.
    fn show(fifo: &Fifo) -> String {
        let show = |entry: &Entry| match entry {
            Entry::Bytes(chunk) => String::from_utf8(chunk.rest().to_vec()).unwrap(),
            Entry::Frames(frames) => format!("[{}]", frames.subject()),
            Entry::Gaps(gaps) => {
                let subjects: Vec<&str> = gaps.iter().map(|(subject, _)| subject).collect();
                format!("<{}>", subjects.join(","))
            }
        };
        fifo.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn some() -> Fifo {
        let mut fifo = Fifo::default();
        fifo.append(b"a");
        fifo.append(b"b");
        fifo.push(Entry::Frames(frames("t", b'x', 10, 2)));
        fifo.append(b"c");
        fifo.append(b"");
        fifo.push(Entry::Gaps(gaps(&["u", "v"])));
        fifo.push(Entry::Frames(frames("w", b'y', 100, 1)));
        fifo
    }

    #[test]
    fn entries_leave_in_the_order_of_their_coming() {
        let mut fifo = some();
        assert_eq!(show(&fifo), "ab [t] c <u,v> [w]");
        assert_eq!((fifo.len(), fifo.reported(), fifo.count_bytes()), (5, 2, (3, 120)));
        assert_eq!(fifo.first_len(), Some(2));
        assert!(!fifo.has_gaps_first());
        assert!(matches!(fifo.pop(), Some(Entry::Bytes(_))));
        assert_eq!(fifo.first_len(), Some(20));
        assert!(matches!(fifo.pop(), Some(Entry::Frames(_))));
        assert!(!fifo.has_gaps_first() && fifo.pop().is_some());
        assert_eq!((fifo.first_len(), fifo.reported()), (Some(0), 2));
        let mut taken = Vec::new();
        let mut take = |subject: &str, _| {
            taken.push(subject.to_owned());
            false
        };
        assert!(fifo.has_gaps_first() && fifo.take_gaps(&mut take));
        assert_eq!((fifo.len(), fifo.reported()), (2, 1));
        assert!(!fifo.take_gaps(&mut take) && !fifo.take_gaps(&mut take));
        assert_eq!((fifo.len(), fifo.reported(), taken.join(",")), (1, 0, "u,v".to_owned()));
        assert!(fifo.pop().is_some() && fifo.pop().is_none() && fifo.is_empty());
    }

    #[test]
    fn what_is_committed_goes_before_all_that_may_be_dropped() {
        let mut fifo = some();
        fifo.insert_committed(chunk(b"z"));
        fifo.push_front(chunk(b"first"));
        assert_eq!(show(&fifo), "first ab z [t] c <u,v> [w]");
        fifo.insert_gaps(gaps(&["g"]));
        assert_eq!(show(&fifo), "first ab z <g> [t] c <u,v> [w]");
        fifo.insert_gaps(gaps(&["g", "h"]));
        fifo.insert_gaps(GapCounts::default());
        assert_eq!(show(&fifo), "first ab z <g,h> [t] c <u,v> [w]");
        assert_eq!(fifo.reported(), 4);
    }

    #[test]
    fn what_is_lost_later_is_told_behind_what_is_being_told_and_a_message() {
        let mut fifo = Fifo::default();
        fifo.insert_gaps(gaps(&["a", "b"]));
        assert_eq!(fifo.commit_second(), 0, "nothing is there");
        fifo.push(Entry::Frames(frames("w", b'y', 100, 1)));
        fifo.push(Entry::Frames(frames("x", b'y', 50, 1)));
        fifo.insert_gaps(gaps(&["c"]));
        assert!(fifo.take_gaps(|_, _| false));
        assert_eq!(show(&fifo), "<b,c> [w] [x]");
        assert_eq!((fifo.commit_second(), fifo.commit_second()), (100, 0));
        fifo.insert_gaps(gaps(&["a"]));
        fifo.insert_gaps(gaps(&["b"]));
        assert_eq!(show(&fifo), format!("<b,c> {} <a,b> [x]", "y".repeat(100)));
        assert_eq!((fifo.reported(), fifo.count_bytes()), (4, (100, 50)));
    }

    #[test]
    fn the_oldest_frames_are_dropped_first() {
        let mut fifo = some();
        assert_eq!(fifo.drop_oldest().map(|(frames, cost)| (frames.len(), cost)), Some((20, 1)));
        assert_eq!(show(&fifo), "ab c <u,v> [w]");
        assert_eq!(fifo.drop_oldest().map(|(frames, cost)| (frames.len(), cost)), Some((100, 1)));
        assert!(fifo.drop_oldest().is_none());
        assert_eq!((show(&fifo).as_str(), fifo.count_bytes()), ("ab c <u,v>", (3, 0)));
        (0..3 * PASSED).for_each(|_| fifo.push(Entry::Bytes(chunk(b"d"))));
        fifo.push(Entry::Frames(frames("w", b'y', 7, 1)));
        assert_eq!(fifo.drop_oldest().map(|(frames, cost)| (frames.len(), cost)), Some((7, 4)));
    }

    #[test]
    fn what_is_joined_comes_last() {
        let (mut fifo, mut others) = (some(), some());
        let memory = fifo.memory + others.memory;
        fifo.join(&mut others);
        assert_eq!(show(&fifo), "ab [t] c <u,v> [w] ab [t] c <u,v> [w]");
        assert_eq!((fifo.reported(), fifo.memory, fifo.count_bytes()), (4, memory, (6, 240)));
        assert_eq!((others.len(), others.reported(), others.memory), (0, 0, 0));
    }

    #[test]
    fn what_is_cleared_is_counted() {
        let mut fifo = some();
        assert_eq!(fifo.clear_droppable(), 3);
        assert_eq!((show(&fifo).as_str(), fifo.reported()), ("ab c", 0));
        let mut fifo = some();
        let messages: u64 = std::iter::from_fn(|| fifo.drop_first(drop)).sum();
        assert_eq!((messages, fifo.len(), fifo.reported(), fifo.count_bytes()), (3, 0, 0, (0, 0)));
    }

    #[test]
    fn a_chunk_grows_to_its_size_and_not_beyond() {
        let mut fifo = Fifo::default();
        fifo.append(&[1; CHUNK - 1]);
        fifo.append(&[2]);
        assert_eq!(fifo.len(), 1);
        fifo.append(&[3]);
        assert_eq!((fifo.len(), fifo.count_bytes()), (2, (CHUNK + 1, 0)));
    }
}
