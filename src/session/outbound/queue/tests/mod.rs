use std::sync::Arc;

use bytes::Bytes;

use super::SlowConsumer::{Close, Conflate, DropNewest, DropOldest};
use super::fifo::CHUNK;
use super::*;
use crate::base::Shared;

mod drops;
mod ending;
mod gaps;

fn owned(bytes: &[u8]) -> Chunk {
    Chunk::Owned { bytes: bytes.to_vec(), from: 0 }
}

/// Frames of `messages` messages of `len` bytes each, all of them the letter `byte`.
pub(super) fn frames(subject: &str, byte: u8, len: usize, messages: u32) -> Rc<Frames> {
    let bytes = Bytes::from(vec![byte; len * messages as usize]);
    let last = len * (messages as usize - 1);
    Rc::new(Frames::new(bytes.into(), Arc::from(subject), messages, last))
}

fn gap(subject: &str, lost: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<{subject}-{lost}>").as_bytes());
}

/// Sends all that waits, `most` bytes at a time, each byte of a run once: `aab` becomes `ab`.
fn drain(queue: &mut SendQueue, most: usize) -> String {
    let mut sent = Vec::new();
    while let Some(piece) = queue.next_chunk(gap, Vec::new) {
        assert!(queue.next_chunk(gap, Vec::new).is_none(), "one piece at a time");
        assert!(!queue.is_empty());
        let now = piece.rest()[..most.min(piece.rest().len())].to_vec();
        queue.sent(piece, now.len());
        sent.extend(now);
    }
    assert!(queue.is_empty() && queue.committed() == 0, "{queue:?}");
    sent.dedup();
    String::from_utf8(sent).unwrap()
}

#[test]
fn bytes_leave_in_order_however_they_are_cut() {
    let mut queue = SendQueue::new(Close, 100);
    queue.push(Chunk::Owned { bytes: b"..abc".to_vec(), from: 2 });
    queue.append(b"def");
    queue.push(owned(b""));
    queue.append(b"");
    let shared: Rc<Shared> = Rc::new(Bytes::from_static(b"-ghi").into());
    queue.push(Chunk::Shared { bytes: Rc::clone(&shared), from: 1 });
    assert_eq!(queue.push_droppable(&frames("t", b'j', 5, 1)), Offer::Queued(0));
    assert_eq!((queue.len(), queue.committed(), queue.is_sending()), (14, 9, false));
    assert_eq!(drain(&mut queue, 1), "abcdefghij");
    assert_eq!(Rc::strong_count(&shared), 1);
}

/// To copy megabytes takes too long. Unused memory behind them is given back all the same.
#[test]
fn megabytes_are_not_copied() {
    let mut queue = SendQueue::new(Close, 100);
    let mut bytes = Vec::with_capacity(9 << 20);
    bytes.resize(4 << 20, b'a');
    assert!(queue.push(Chunk::Owned { bytes, from: 0 }).is_none());
    let chunk = queue.next_chunk(gap, Vec::new).unwrap();
    assert!(chunk.memory() < (4 << 20) + (64 << 10), "{}", chunk.memory());
    let place = chunk.rest().as_ptr();
    // Most of it is sent, and the rest stays where it is.
    assert!(queue.sent(chunk, 2 << 20).is_none());
    let chunk = queue.next_chunk(gap, Vec::new).unwrap();
    assert_eq!((chunk.rest().len(), chunk.rest().as_ptr()), (2 << 20, place.wrapping_add(2 << 20)));
    // A short rest is copied, and the memory freed.
    let freed = queue.sent(chunk, (2 << 20) - 9).map(|bytes| bytes.len());
    assert_eq!((freed, drain(&mut queue, 9)), (Some(4 << 20), "a".to_owned()));
}

#[test]
fn small_pieces_share_chunks_and_large_ones_do_not_grow_them() {
    let mut queue = SendQueue::new(Close, 1 << 20);
    for _ in 0..1000 {
        queue.append(&[7; 100]);
    }
    assert_eq!(queue.fifo.len(), 2);
    queue.append(&[7; CHUNK]);
    assert_eq!((queue.fifo.len(), queue.len()), (3, 100_000 + CHUNK));
    drop(queue.take_out());
    assert!(queue.is_empty());
    for _ in 0..2000 {
        queue.push_droppable(&frames("t", b'a', 100, 1));
    }
    let piece = queue.next_chunk(gap, Vec::new).unwrap();
    assert_eq!((piece.rest().len(), queue.fifo.len()), (131_000, 690));
}

#[test]
fn a_large_piece_is_shared_not_copied() {
    let mut queue = SendQueue::new(Close, 1 << 20);
    let large = frames("t", b'a', CHUNK, 1);
    queue.push_droppable(&large);
    queue.push_droppable(&large);
    let piece = queue.next_chunk(gap, Vec::new).unwrap();
    assert!(matches!(&piece, Chunk::Shared { bytes, .. } if Rc::ptr_eq(bytes, large.bytes())));
    queue.sent(piece, usize::MAX);
    drop(queue.take_out());
    assert_eq!((Rc::strong_count(&large), Rc::strong_count(large.bytes())), (1, 1));
}

#[test]
fn close_says_so_at_the_limit_and_not_before() {
    let mut queue = SendQueue::new(Close, 100);
    for _ in 0..10 {
        assert_eq!(queue.push_droppable(&frames("t", b'a', 10, 1)), Offer::Queued(0));
    }
    assert_eq!(queue.push_droppable(&frames("t", b'a', 1, 1)), Offer::TooSlow);
    queue.append(b"mine");
    queue.clear_droppable();
    assert_eq!((queue.len(), queue.committed()), (4, 4));
}

#[test]
fn one_message_above_the_limit_passes_an_empty_queue() {
    for policy in [Close, DropNewest, DropOldest] {
        let mut queue = SendQueue::new(policy, 100);
        assert_eq!(queue.push_droppable(&frames("t", b'a', 500, 1)), Offer::Queued(0));
        assert_eq!(drain(&mut queue, usize::MAX), "a");
    }
}

#[test]
fn only_the_latest_of_each_subject_waits() {
    let policy = Conflate;
    let mut queue = SendQueue::new(policy, 100);
    queue.append(b"x");
    assert_eq!(queue.push_droppable(&frames("t", b'a', 10, 3)), Offer::Queued(2));
    assert_eq!(queue.len(), 11);
    assert_eq!(queue.push_droppable(&frames("u", b'b', 10, 1)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'c', 10, 2)), Offer::Queued(2));
    assert_eq!(queue.push_droppable(&frames("t", b'd', 10, 1)), Offer::Queued(1));
    assert_eq!((queue.len(), queue.fifo.len(), queue.conflated.len()), (21, 1, 2));
    // Beyond the limit the oldest of them goes.
    assert_eq!(queue.push_droppable(&frames("v", b'e', 90, 1)), Offer::Queued(1));
    assert_eq!(queue.len(), 101);
    assert_eq!(queue.push_droppable(&frames("v", b'f', 95, 1)), Offer::Queued(2));
    let sent = drain(&mut queue, 5);
    assert!(sent.contains("<t-6>") && sent.contains("<v-1>") && sent.contains("<u-1>"), "{sent}");
    assert!(sent.starts_with("x<") && sent.ends_with(">f"), "{sent}");
    assert!(queue.conflated.is_empty());
}

#[test]
fn nothing_stands_between_the_parts_of_a_frame() {
    let policy = DropOldest;
    let mut queue = SendQueue::new(policy, 60);
    queue.put_back(owned(b"rest"));
    queue.push_droppable(&frames("t", b'a', 50, 1));
    queue.push_droppable(&frames("t", b'b', 50, 1));
    assert_eq!(drain(&mut queue, 3), "rest<t-1>b");
}

#[test]
fn what_one_turn_keeps_is_the_last_message_alone() {
    let mut queue = SendQueue::new(Conflate, 100);
    let many = frames("t", b'a', 10, 1000);
    queue.append(b"x");
    assert_eq!(queue.push_droppable(&many), Offer::Queued(999));
    assert_eq!((Rc::strong_count(&many), queue.len()), (1, 11));
    // The newest is never dropped for being the oldest.
    for round in 1..50 {
        let next = frames("t", b'b', 90, 1);
        assert_eq!(queue.push_droppable(&next), Offer::Queued(1), "{round}");
        assert_eq!((queue.len(), queue.conflated.len()), (91, 1));
    }
}

#[test]
fn who_is_to_be_closed_takes_no_more() {
    let mut queue = SendQueue::new(Close, 100);
    // What is owed does not count, and one message may always wait.
    queue.append(&[b'x'; 100]);
    assert_eq!(queue.push_droppable(&frames("t", b'a', 300, 1)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'a', 1, 1)), Offer::TooSlow);
    assert_eq!(queue.push_droppable(&frames("t", b'a', 1, 3)), Offer::Dropped(3));
    assert_eq!((queue.clear_droppable(), queue.len()), (1, 100));
}

#[test]
fn what_is_cleared_is_counted() {
    let mut queue = SendQueue::new(Close, 100);
    queue.append(b"x");
    queue.push_droppable(&frames("t", b'a', 1, 3));
    queue.push_droppable(&frames("t", b'a', 1, 2));
    assert_eq!((queue.clear_droppable(), queue.len()), (5, 1));
    let mut queue = SendQueue::new(Conflate, 100);
    queue.append(b"x");
    queue.push_droppable(&frames("t", b'a', 1, 2));
    queue.push_droppable(&frames("u", b'a', 1, 1));
    let mut leftover = queue.take_out();
    assert_eq!((queue.is_empty(), queue.committed(), queue.droppable()), (true, 0, 0));
    assert_eq!((leftover.drop_some(2, drop), leftover.is_empty()), ((2, 1), false));
    assert_eq!((leftover.drop_some(2, drop), leftover.is_empty()), ((1, 1), true));
    assert!(queue.is_empty());
}

#[test]
fn what_is_urged_goes_before_all_that_may_be_dropped() {
    let mut queue = SendQueue::new(Close, 100);
    queue.append(b"abc");
    let piece = queue.next_chunk(gap, Vec::new).unwrap();
    queue.push_droppable(&frames("t", b'e', 10, 1));
    queue.sent(piece, 1);
    queue.push_control(b"d");
    assert_eq!((queue.len(), queue.committed()), (13, 3));
    assert_eq!(drain(&mut queue, 9), "bcde");
}

/// A close frame comes last, whatever the policy has kept back until then.
#[test]
fn what_waits_goes_before_what_ends_the_connection() {
    let cases =
        [(Close, "abcX"), (DropNewest, "abc<s-1><t-1>X"), (DropOldest, "<s-1><t-1>cdeX"), {
            (Conflate, "<s-1><t-2>edX")
        }];
    for (policy, expected) in cases {
        let mut queue = SendQueue::new(policy, 30);
        for (subject, byte) in [("s", b'a'), ("t", b'b'), ("t", b'c'), ("t", b'd'), ("s", b'e')] {
            if policy != Close || byte <= b'c' {
                queue.push_droppable(&frames(subject, byte, 10, 1));
            }
        }
        queue.before_close();
        queue.append(b"X");
        assert_eq!(drain(&mut queue, 7), expected, "{policy:?}");
    }
}

/// A large message is sent from where it lies, also behind gaps; only small ones are copied.
#[test]
fn large_messages_are_not_copied_for_slow_readers() {
    for policy in [DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 9 << 20);
        let large = [1, 2, 3].map(|byte| frames(&format!("t{byte}"), byte, 4 << 20, 1));
        for frames in &large {
            queue.push_droppable(frames);
        }
        let piece = queue.next_chunk(gap, Vec::new).expect("a gap");
        assert!(piece.rest().len() < 100 && piece.rest().starts_with(b"<t1"), "{policy:?}");
        // What stands behind the gap is committed: its reader gets more than gaps.
        assert_eq!(queue.committed(), piece.rest().len() + (4 << 20));
        for frames in &large[1..] {
            let piece = if frames.subject().as_ref() == "t2" {
                let len = queue.account.in_flight;
                queue.sent(Chunk::Owned { bytes: vec![0; len], from: 0 }, len);
                queue.next_chunk(gap, Vec::new)
            } else {
                queue.sent(Chunk::Shared { bytes: Rc::clone(large[1].bytes()), from: 0 }, 4 << 20);
                queue.next_chunk(gap, Vec::new)
            };
            let Some(Chunk::Shared { bytes, from: 0 }) = piece else {
                panic!("a copy: {policy:?}")
            };
            assert!(Rc::ptr_eq(&bytes, frames.bytes()), "{policy:?}");
        }
    }
}

/// Behind small ones a large message waits on, and may still be dropped.
#[test]
fn a_large_message_behind_small_ones_may_still_be_dropped() {
    let policy = DropOldest;
    let mut queue = SendQueue::new(policy, 2 * CHUNK);
    for (byte, len) in [(b'a', 10), (b'b', 10), (b'c', CHUNK)] {
        queue.push_droppable(&frames("t", byte, len, 1));
    }
    let piece = queue.next_chunk(gap, Vec::new).expect("the small ones");
    assert_eq!((piece.rest().len(), queue.committed(), queue.droppable()), (20, 20, CHUNK));
    let offer = queue.push_droppable(&frames("t", b'd', 2 * CHUNK, 1));
    assert_eq!(offer, Offer::Queued(1), "the large one went");
}

/// Short messages take more memory than their bytes, so fewer of them may wait.
#[test]
fn short_messages_are_limited_by_their_number() {
    for policy in [Close, DropNewest, DropOldest] {
        let mut queue = SendQueue::new(policy, 256 << 10);
        let offers: Vec<Offer> =
            (0..5000).map(|_| queue.push_droppable(&frames("t", b'a', 2, 1))).collect();
        assert_eq!(queue.droppable(), 2 * 4096, "{policy:?}");
        let lost = offers.iter().filter(|offer| **offer != Offer::Queued(0)).count();
        assert_eq!(lost, 5000 - 4096, "{policy:?}");
    }
    let mut queue = SendQueue::new(Conflate, 256 << 10);
    for number in 0..5000 {
        queue.push_droppable(&frames(&number.to_string(), b'a', 2, 1));
    }
    assert_eq!((queue.conflated.len(), queue.droppable()), (4096, 2 * 4096));
}
