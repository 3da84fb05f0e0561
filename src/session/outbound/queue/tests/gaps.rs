//! What the queue tells of the messages that it dropped.

use super::*;

#[test]
fn losses_of_more_subjects_than_are_counted_are_told_together() {
    for policy in [DropNewest, DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 200);
        queue.append(&[b'x'; 100]);
        queue.push_droppable(&frames("first", b'a', 100, 1));
        for number in 0..MAX_SUBJECTS + 99 {
            let frames = frames(&format!("{number}"), b'a', 150, 1);
            let offer = queue.push_droppable(&frames);
            assert!(matches!(offer, Offer::Dropped(1) | Offer::Queued(1)), "{offer:?}");
        }
        let told = drain(&mut queue, usize::MAX);
        assert!(told.contains("<#-9>"), "{told}");
        assert_eq!(told.matches('<').count(), MAX_SUBJECTS + 1);
    }
}

#[test]
fn losses_between_frames_are_bounded() {
    let policy = DropNewest;
    let mut queue = SendQueue::new(policy, 100);
    queue.append(&[b'x'; 50]);
    for round in 0..20 {
        for number in 0..200 {
            queue.push_droppable(&frames(&format!("{number}"), b'a', 100, 1));
        }
        queue.push_droppable(&frames("t", b'b', 2, 1));
        assert!(queue.fifo.reported() <= MAX_SUBJECTS, "{round}");
    }
    drain(&mut queue, usize::MAX);
    assert_eq!(queue.fifo.reported(), 0);
}

#[test]
fn something_goes_with_each_gap() {
    let policy = DropOldest;
    let mut queue = SendQueue::new(policy, 3 * CHUNK);
    queue.append(b"x");
    for _ in 0..5 {
        queue.push_droppable(&frames("t", b'a', 2 * CHUNK, 1));
    }
    let mut sent = Vec::new();
    while let Some(piece) = queue.next_chunk(gap, Vec::new) {
        assert!(!piece.rest().starts_with(b"<") || piece.rest().len() > CHUNK, "a gap alone");
        sent.extend_from_slice(piece.rest());
        queue.sent(piece, usize::MAX);
    }
    sent.dedup();
    assert_eq!(String::from_utf8(sent).unwrap(), "x<t-4>a");
}

/// However often losses are put together, not more subjects are told apart than the limit.
#[test]
fn losses_of_very_many_subjects_are_told_together() {
    let mut queue = SendQueue::new(DropOldest, 10);
    queue.append(b"owed");
    for round in 0..3 {
        for number in 0..2000 {
            let frames = frames(&format!("{round}/{number}"), b'a', 50, 1);
            queue.push_droppable(&frames);
        }
        queue.report_gaps();
        assert!(queue.fifo.reported() <= MAX_SUBJECTS + 1, "{}", queue.fifo.reported());
    }
    let mut told = 0;
    let count = |_: &str, lost: u64, _: &mut Vec<u8>| told += lost;
    queue.next_chunk(count, Vec::new);
    assert_eq!(told, 3 * 2000 - 1);
}

#[test]
fn the_newest_is_dropped_and_the_gap_stands_where_it_was() {
    let policy = DropNewest;
    let mut queue = SendQueue::new(policy, 100);
    assert_eq!(queue.push_droppable(&frames("t", b'a', 30, 2)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'b', 30, 1)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'c', 30, 3)), Offer::Dropped(3));
    assert_eq!(queue.push_droppable(&frames("t", b'd', 20, 1)), Offer::Dropped(1));
    let piece = queue.next_chunk(gap, Vec::new).unwrap();
    assert_eq!((piece.rest().len(), queue.len(), queue.droppable()), (90, 90, 0));
    assert_eq!(queue.push_droppable(&frames("t", b'e', 11, 1)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'f', 90, 1)), Offer::Dropped(1));
    assert_eq!(queue.push_droppable(&frames("t", b'g', 10, 1)), Offer::Queued(0));
    queue.sent(piece, 60);
    assert_eq!(drain(&mut queue, 7), "b<t-4>e<t-1>g");
}

#[test]
fn the_oldest_is_dropped_and_the_gap_comes_before_the_rest() {
    let policy = DropOldest;
    let mut queue = SendQueue::new(policy, 60);
    queue.push_droppable(&frames("t", b'a', 40, 1));
    let out = queue.next_chunk(gap, Vec::new).unwrap();
    queue.push_droppable(&frames("t", b'b', 20, 2));
    queue.push_droppable(&frames("u", b'c', 20, 1));
    assert_eq!(queue.push_droppable(&frames("t", b'd', 20, 1)), Offer::Queued(2));
    assert_eq!(queue.push_droppable(&frames("t", b'e', 20, 1)), Offer::Queued(0));
    assert_eq!(queue.push_droppable(&frames("t", b'f', 20, 1)), Offer::Queued(1));
    // The newest waits in any case, also where nothing else can.
    assert_eq!(queue.push_droppable(&frames("t", b'g', 61, 1)), Offer::Queued(3));
    assert_eq!(queue.push_droppable(&frames("t", b'h', 60, 1)), Offer::Queued(1));
    queue.sent(out, 10);
    let sent = drain(&mut queue, 7);
    let told = ["a<t-6><u-1>h", "a<u-1><t-6>h"];
    assert!(told.contains(&sent.as_str()), "{sent}");
}

/// Losses of very many subjects are told in pieces. Messages go on, even if more is lost all the
/// time.
#[test]
fn the_notices_of_many_subjects_are_sent_in_pieces() {
    for policy in [DropNewest, DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 400);
        let lose = |queue: &mut SendQueue| {
            for number in 0..1000 {
                let subject = format!("{number}{}", "x".repeat(300));
                queue.push_droppable(&frames(&subject, b'a', 200, 1));
            }
        };
        queue.append(b"owed");
        lose(&mut queue);
        let (mut told, mut messages) = (0, 0);
        for round in 0..20 {
            let Some(piece) = queue.next_chunk(gap, Vec::new) else { break };
            let text = String::from_utf8(piece.rest().to_vec()).unwrap();
            assert!(text.len() <= CHUNK + 1000, "{policy:?}: {}", text.len());
            told += text.matches('<').count();
            messages += text.matches("aaaa").count();
            queue.sent(piece, usize::MAX);
            if policy != DropNewest || round < 10 {
                lose(&mut queue);
            }
        }
        assert!(told > 2000 && messages >= 4, "{policy:?}: {told} notices, {messages}");
    }
}

/// Each loss is told once.
#[test]
fn the_notices_in_pieces_are_complete() {
    for policy in [DropNewest, DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 400);
        queue.append(b"owed");
        for number in 0..1000 {
            let subject = format!("{number}{}", "x".repeat(300));
            queue.push_droppable(&frames(&subject, b'a', 200, 1));
        }
        let (mut told, mut sent) = (0, Vec::new());
        let mut count = |subject: &str, lost: u64, out: &mut Vec<u8>| {
            told += lost;
            gap(subject, lost, out);
        };
        while let Some(piece) = queue.next_chunk(&mut count, Vec::new) {
            sent.extend_from_slice(piece.rest());
            queue.sent(piece, usize::MAX);
        }
        let sent = String::from_utf8(sent).unwrap();
        let waited = sent.matches("aaaa").count() as u64 / 50;
        assert_eq!(told + waited, 1000, "{policy:?}");
        assert_eq!(sent.matches('<').count() as u64, told, "{policy:?}");
        assert!(queue.is_empty() && queue.committed() == 0, "{policy:?}: {queue:?}");
    }
}
