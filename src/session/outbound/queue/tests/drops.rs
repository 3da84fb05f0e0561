//! How many messages one call drops to make room.

use super::*;

/// Pseudorandom numbers below a limit, the same each time.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }

    pub(super) fn frames(&mut self) -> Rc<Frames> {
        let (subject, messages) = (format!("t{}", self.below(30)), 1 + self.below(3));
        let byte = u8::try_from(usize::from(b'a') + self.below(26)).unwrap();
        // Now and then one that takes the place of many, or of all.
        let len = if self.below(40) == 0 { 1 + self.below(700) } else { 1 + self.below(20) };
        frames(&subject, byte, len, u32::try_from(messages).unwrap())
    }
}

/// What is sent, as it is.
pub(super) fn sent(queue: &mut SendQueue) -> String {
    let mut sent = Vec::new();
    while let Some(piece) = queue.next_chunk(gap, Vec::new) {
        sent.extend_from_slice(piece.rest());
        queue.sent(piece, usize::MAX);
    }
    assert!(queue.is_empty() && queue.committed() == 0, "{queue:?}");
    String::from_utf8(sent).unwrap()
}

#[test]
fn a_large_message_displaces_a_few_others_in_each_call() {
    for policy in [DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 256 << 10);
        queue.append(b"owed");
        for number in 0..4000 {
            queue.push_droppable(&frames(&format!("{number:04}"), b'a', 2, 1));
        }
        let large = frames("large", b'b', 255 << 10, 1);
        let waiting = |queue: &SendQueue| queue.fifo.len() + queue.conflated.len();
        let (mut calls, mut dropped) = (0, 0);
        loop {
            let (mut drops, before) = (64, waiting(&queue));
            let offer = queue.offer(&large, &mut drops);
            calls += 1;
            match offer {
                Offer::Later(64) => assert_eq!((drops, waiting(&queue)), (0, before - 64)),
                Offer::Queued(rest) => {
                    dropped += rest;
                    assert_eq!(drops as u64, 64 - rest, "{policy:?}");
                    break;
                }
                offer => panic!("{policy:?}: {offer:?}"),
            }
            assert_eq!(Rc::strong_count(&large), 1, "{policy:?}: it does not wait yet");
            // Without any, nothing is done.
            assert_eq!(queue.offer(&large, &mut drops), Offer::Later(0));
            dropped += 64;
        }
        // 1,024 bytes are left for 512 of them.
        assert_eq!((calls, dropped, queue.droppable()), (55, 3488, 256 << 10), "{policy:?}");
        // As many subjects as are counted, and the others together.
        let told = sent(&mut queue);
        assert!(told.starts_with("owed<#-2464><0000-1>"), "{policy:?}");
        assert_eq!(told.matches("-1>").count(), MAX_SUBJECTS, "{policy:?}");
        assert!(told.ends_with("aab") || told.ends_with("bbb"), "{policy:?}");
    }
}

#[test]
fn a_message_alone_waits_however_large_it_is_and_without_drops() {
    for policy in [DropOldest, Conflate] {
        let mut queue = SendQueue::new(policy, 100);
        assert_eq!(queue.offer(&frames("t", b'a', 500, 1), &mut 0), Offer::Queued(0));
    }
    // Of its subject it takes the place.
    let mut queue = SendQueue::new(Conflate, 100);
    queue.push_droppable(&frames("t", b'a', 100, 1));
    assert_eq!(queue.offer(&frames("t", b'b', 500, 1), &mut 0), Offer::Queued(1));
    assert_eq!(queue.offer(&frames("u", b'c', 10, 1), &mut 0), Offer::Later(0));
    assert_eq!(queue.offer(&frames("u", b'c', 10, 1), &mut 1), Offer::Queued(1));
    assert_eq!(sent(&mut queue), "<t-2>cccccccccc");
}

/// Whatever the number of calls in which room is made, the same is dropped, told and sent.
#[test]
fn what_is_dropped_in_pieces_is_what_is_dropped_at_once() {
    for (policy, seed) in [DropOldest, Conflate].into_iter().flat_map(|it| [(it, 1), (it, 2)]) {
        let mut numbers = Numbers(seed);
        let [mut at_once, mut in_pieces] = [(); 2].map(|()| SendQueue::new(policy, 600));
        let (mut later, mut both) = (0, [String::new(), String::new()]);
        let mut sending = Vec::new();
        for step in 0..20_000 {
            match numbers.below(8) {
                0 => [&mut at_once, &mut in_pieces].map(|queue| queue.append(b"-")),
                1 if sending.is_empty() => {
                    for queue in [&mut at_once, &mut in_pieces] {
                        sending.extend(queue.next_chunk(gap, Vec::new));
                    }
                    continue;
                }
                2 => {
                    let queues = [&mut at_once, &mut in_pieces].into_iter().zip(&mut both);
                    for (piece, (queue, all)) in sending.drain(..).zip(queues) {
                        all.push_str(std::str::from_utf8(piece.rest()).unwrap());
                        queue.sent(piece, usize::MAX);
                    }
                    continue;
                }
                _ => {
                    let frames = numbers.frames();
                    let Offer::Queued(expected) = at_once.push_droppable(&frames) else { panic!() };
                    let mut dropped = 0;
                    loop {
                        match in_pieces.offer(&frames, &mut (1 + numbers.below(2))) {
                            Offer::Later(some) => (later, dropped) = (later + 1, dropped + some),
                            Offer::Queued(some) => break dropped += some,
                            offer => panic!("{offer:?}"),
                        }
                    }
                    assert_eq!(dropped, expected, "{policy:?} {step}");
                    [(), ()]
                }
            };
            assert_eq!(at_once.droppable(), in_pieces.droppable(), "{policy:?} {step}");
            assert_eq!(at_once.len(), in_pieces.len(), "{policy:?} {step}");
        }
        let queues = [at_once, in_pieces].into_iter().zip(&mut both);
        let mut sending = sending.into_iter();
        for (mut queue, all) in queues {
            if let Some(piece) = sending.next() {
                all.push_str(std::str::from_utf8(piece.rest()).unwrap());
                queue.sent(piece, usize::MAX);
            }
            all.push_str(&sent(&mut queue));
        }
        assert_eq!(both[0], both[1], "{policy:?}");
        assert!(later > 50, "{policy:?}: {later}");
    }
}
