//! The memory that a send queue holds: its own, and its share in what many hold.

use std::rc::Rc;

use super::SendQueue;
use super::fifo::Entry;
use super::sending::share_of_bytes;
use crate::base::Chunk;
use crate::session::outbound::frames::Frames;

/// The most entries that are looked at for the share of a queue.
const MAX_LOOKED_AT: usize = 64;

impl SendQueue {
    /// The memory that it shares with no other connection, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let tables = self.gaps.memory() + self.conflated.memory();
        let entries = self.fifo.memory() + self.tail.memory();
        size_of::<Self>() + entries + self.sending.own() + tables
    }

    /// Its share in the memory of frames that other connections hold as well, in bytes. Looks at
    /// the first entries only: a message that exceeds the limit of the queue is among them, since
    /// it is queued only if nothing waits, and the limit bounds all others together.
    #[must_use]
    pub fn share(&self) -> usize {
        let entries = self.fifo.iter().take(MAX_LOOKED_AT).map(|entry| match entry {
            Entry::Bytes(Chunk::Shared { bytes, .. }) => share_of_bytes(bytes),
            Entry::Frames(frames) => share_of_frames(frames),
            Entry::Bytes(Chunk::Owned { .. }) | Entry::Gaps(_) => 0,
        });
        let conflated = self.conflated.iter().take(MAX_LOOKED_AT).map(share_of_frames);
        entries.sum::<usize>() + conflated.sum::<usize>() + self.sending.share()
    }
}

/// Each holder has a reference to the frames, and these have one to the bytes.
fn share_of_frames(frames: &Rc<Frames>) -> usize {
    share_of_bytes(frames.bytes()) / Rc::strong_count(frames)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::Ledger;
    use crate::base::Shared;
    use crate::config::SlowConsumer::{Close, Conflate, DropNewest};

    fn frames(len: usize, ledger: &Ledger) -> Rc<Frames> {
        let bytes = Shared::charged(Bytes::from(vec![1; len]), len, ledger);
        Rc::new(Frames::new(bytes, "t".into(), 1, 0))
    }

    /// What many hold is charged once, and the shares of all holders are the whole of it.
    #[test]
    fn shares_add_up_to_what_is_charged() {
        const LEN: usize = 1 << 20;
        let ledger = Ledger::default();
        let one = frames(LEN, &ledger);
        let mut queues: Vec<SendQueue> = (0..4).map(|_| SendQueue::new(Close, 100)).collect();
        queues.push(SendQueue::new(Conflate, 100));
        for queue in &mut queues {
            queue.push_droppable(&one);
        }
        drop(one);
        let sum = |queues: &[SendQueue]| queues.iter().map(SendQueue::share).sum::<usize>();
        assert!((LEN..LEN + 1000).contains(&ledger.used()));
        assert!(sum(&queues).abs_diff(ledger.used()) < 10);
        assert!(queues.iter().all(|queue| queue.memory() < 2_000));
        let mut sending = Vec::new();
        for queue in &mut queues {
            sending.extend(queue.next_chunk(|_, _, _| {}, Vec::new));
        }
        assert!(sum(&queues).abs_diff(ledger.used()) < 10);
        // Cut off, what is left of it is the same memory.
        for (queue, chunk) in queues.iter_mut().zip(sending) {
            queue.sent(chunk, LEN / 2);
        }
        assert!(sum(&queues).abs_diff(ledger.used()) < 10);
        assert!(queues.iter().all(|queue| queue.memory() < 2_000));
        drop(queues);
        assert_eq!(ledger.used(), 0);
    }

    /// What it holds alone is counted with its capacity, from when it is added until it is sent.
    #[test]
    fn own_memory_is_counted_until_it_is_sent() {
        let mut queue = SendQueue::new(DropNewest, 100);
        let empty = queue.memory();
        let mut bytes = Vec::with_capacity(100 << 10);
        bytes.resize(90 << 10, 0);
        queue.push(Chunk::Owned { bytes, from: 0 });
        queue.append(&[0; 1000]);
        let least = (100 << 10) + 1000;
        assert!((least..least + 2_000).contains(&(queue.memory() - empty)));
        let chunk = queue.next_chunk(|_, _, _| {}, Vec::new).unwrap();
        assert!((least..least + 2_000).contains(&(queue.memory() - empty)));
        queue.sent(chunk, 90 << 10);
        assert!(queue.memory() - empty < 4_000);
        // A subject that was dropped may live on with its count.
        let ledger = Ledger::default();
        for number in 0..100 {
            let bytes = Shared::from(Bytes::from_static(&[0; 200]));
            let subject = format!("{number:0200}");
            queue.push_droppable(&Rc::new(Frames::new(bytes, subject.into(), 1, 0)));
        }
        assert!(queue.memory() - empty > 99 * 200, "{}", queue.memory());
        drop(queue.take_out());
        assert!(queue.memory() - empty < 4_000 && ledger.used() == 0);
    }
}
