//! What waits when a connection is closed.

use super::drops::{Numbers, sent};
use super::*;

/// Conflated messages stay where they are: to move them would take as long as to send them.
#[test]
fn nothing_is_moved_for_a_close_frame() {
    let mut queue = SendQueue::new(Conflate, 256 << 10);
    queue.append(b"owed");
    (0..1000).for_each(|number| {
        queue.push_droppable(&frames(&number.to_string(), b'a', 2, 1));
    });
    queue.before_close();
    queue.append(b"close");
    queue.before_close();
    assert_eq!((queue.fifo.len(), queue.conflated.len(), queue.tail.len()), (1, 1000, 1));
    assert_eq!((queue.len(), queue.committed(), queue.droppable()), (2009, 9, 2000));
    let memory = queue.memory();
    queue.push(owned(&[b'x'; 5 << 10]));
    assert!(queue.memory() >= memory + (5 << 10), "it is charged");
    // Dropped, the close frame is left.
    assert_eq!((queue.clear_droppable(), queue.len()), (1000, 9 + (5 << 10)));
    assert_eq!(drain(&mut queue, 9), "owedclosex");
}

/// At any moment, what waits is sent before what ends the connection, and nothing else changes.
#[test]
fn a_close_frame_comes_behind_all_that_waits_at_any_moment() {
    for policy in [DropNewest, DropOldest, Conflate] {
        for seed in 0..200 {
            let fill = || {
                let (mut numbers, mut queue) = (Numbers(seed), SendQueue::new(policy, 300));
                let (steps, mut sending) = (numbers.below(60), None);
                for _ in 0..steps {
                    match numbers.below(6) {
                        0 => queue.append(b"-"),
                        1 if sending.is_none() => sending = queue.next_chunk(gap, Vec::new),
                        2 => {
                            if let Some(piece) = sending.take() {
                                queue.sent(piece, numbers.below(400));
                            }
                        }
                        _ => {
                            queue.push_droppable(&numbers.frames());
                        }
                    }
                }
                (queue, sending)
            };
            let finish = |(mut queue, sending): (SendQueue, Option<Chunk>)| {
                if let Some(piece) = sending {
                    queue.sent(piece, 0);
                }
                sent(&mut queue)
            };
            let open = finish(fill());
            let (mut queue, sending) = fill();
            for part in [b"X", b"Y"] {
                queue.before_close();
                queue.append(part);
            }
            let closed = finish((queue, sending));
            assert_eq!(closed, format!("{open}XY"), "{policy:?} {seed}");
        }
    }
}

/// Control frames do not come between parts of what ends the connection, which may be parts of a
/// frame.
#[test]
fn a_control_frame_does_not_part_what_ends_the_connection() {
    let mut queue = SendQueue::new(Conflate, 1 << 20);
    queue.append(b"owed");
    queue.push_droppable(&frames("t", b'a', 10, 1));
    queue.before_close();
    for byte in [b'b', b'c'] {
        queue.push(owned(&[byte; CHUNK]));
    }
    let mut all = Vec::new();
    while let Some(piece) = queue.next_chunk(gap, Vec::new) {
        let now = piece.rest()[..piece.rest().len().min(CHUNK / 2)].to_vec();
        queue.sent(piece, now.len());
        if all.ends_with(b"a") {
            assert_eq!(now, [b'b'; CHUNK / 2]);
            queue.push_control(b"pong");
        }
        all.extend(now);
    }
    all.dedup();
    assert_eq!(String::from_utf8(all).unwrap(), "owedabcpong");
}

#[test]
fn what_ends_a_connection_is_cleared_with_the_rest() {
    let mut queue = SendQueue::new(Conflate, 100);
    queue.push_droppable(&frames("t", b'a', 10, 2));
    queue.before_close();
    queue.append(b"X");
    let mut leftover = queue.take_out();
    assert_eq!((queue.len(), queue.is_empty()), (0, true));
    assert_eq!((leftover.drop_some(9, drop), leftover.is_empty()), ((2, 1), true));
    assert!(queue.next_chunk(gap, Vec::new).is_none());
}
