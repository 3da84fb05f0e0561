use super::*;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::batch::{Draft, Scratch};
use crate::pubsub::form::Forms;
use crate::pubsub::index::Matches;
use crate::pubsub::publication::Publication;

/// What went to one subscriber: its slot, the payloads, and which of them was called the last.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    slot: u32,
    payloads: Vec<String>,
    last: String,
}

/// Takes everything but what is for the slots that have enough.
#[derive(Debug, Default)]
struct Subscribers {
    got: Vec<Got>,
    enough: Vec<u32>,
}

/// The payloads of whole frames, which are short or of up to 64 KiB.
fn payloads(mut bytes: &[u8]) -> Vec<String> {
    let mut payloads = Vec::new();
    while let [_, len, rest @ ..] = bytes {
        let (len, rest) = match (len, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(*high) << 8 | usize::from(*low), rest),
            (len, rest) => (usize::from(*len), rest),
        };
        let (payload, behind) = rest.split_at(len);
        payloads.push(String::from_utf8(payload.to_vec()).unwrap());
        bytes = behind;
    }
    payloads
}

impl Sink for Subscribers {
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> bool {
        if self.enough.contains(&to.slot) {
            return false;
        }
        let all = payloads(frames.bytes());
        assert_eq!(frames.messages() as usize, all.len());
        let last = payloads(&frames.bytes()[frames.last()..]).concat();
        self.got.push(Got { slot: to.slot, payloads: all, last });
        true
    }

    fn is_congested(&mut self, _: ConnectionId) -> bool {
        false
    }
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn list(slots: std::ops::Range<u32>, echo: bool) -> List {
    Rc::new(slots.map(|slot| Subscriber { id: id(slot), form: Form::RAW, echo }).collect())
}

/// Adds a batch of these messages, each with who published it and is not to get it.
fn add(jobs: &mut Jobs, topic: &str, messages: &[(&str, Option<u32>)], lists: &[List]) {
    let topic = Topic::new(topic, 64).unwrap();
    let local = Forms::EMPTY.with(Form::RAW);
    let mut draft = Draft::new(&topic, Matches { local, ..Matches::default() }, 0);
    for (payload, origin) in messages {
        let message = Publication {
            topic: &topic,
            opcode: Opcode::Text,
            payload: payload.as_bytes(),
            json: None,
            retain: false,
            origin: origin.map(id),
        };
        draft.add(&message, None, &mut Scratch::default(), &mut Pool::new(1));
    }
    let (batch, _, origins) = draft.finish();
    jobs.add(Arc::new(batch), origins, lists);
}

fn got(slot: u32, payloads: &[&str]) -> Got {
    let last = (*payloads.last().unwrap()).to_owned();
    Got { slot, payloads: payloads.iter().map(|&payload| payload.to_owned()).collect(), last }
}

#[test]
fn a_turn_makes_so_many_deliveries_and_no_more() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let (many, few) = (list(0..300, true), list(300..310, true));
    add(&mut jobs, "a", &[("1", None)], &[many]);
    add(&mut jobs, "b", &[("2", None)], std::slice::from_ref(&few));
    add(&mut jobs, "c", &[("3", None)], &[few]);
    for total in [128, 256] {
        jobs.deliver(128, &mut sink);
        assert_eq!(sink.got.len(), total);
    }
    // The end of a list, and what is behind it, in one turn; a job that ends counts as well.
    jobs.deliver(60, &mut sink);
    assert_eq!(sink.got.len(), 256 + 44 + 10 + 4);
    jobs.deliver(usize::MAX, &mut sink);
    assert!(jobs.is_empty() && jobs.bytes() == 0 && jobs.delivered == 320);
    let slots: Vec<u32> = sink.got.iter().map(|got| got.slot).collect();
    assert!(slots.into_iter().eq((0..310).chain(300..310)), "each once, and in order");
}

#[test]
fn what_has_begun_takes_no_more() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let lists = [list(0..3, true)];
    add(&mut jobs, "t", &[("1", None)], &lists);
    jobs.deliver(1, &mut sink);
    add(&mut jobs, "t", &[("2", None)], &lists);
    jobs.deliver(usize::MAX, &mut sink);
    let expected = [0, 1, 2].map(|slot| got(slot, &["1"]));
    let expected = expected.into_iter().chain([0, 1, 2].map(|slot| got(slot, &["2"])));
    assert!(sink.got.iter().eq(expected.collect::<Vec<_>>().iter()), "{:?}", sink.got);
}

#[test]
fn what_waits_for_the_same_subscribers_goes_out_together() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let lists = [list(0..1, true)];
    add(&mut jobs, "t", &[("1", None), ("two", None)], &lists);
    add(&mut jobs, "u", &[("u", None)], &lists);
    add(&mut jobs, "t", &[("3", None), ("four", None)], &lists);
    // The same subscribers, but another list: something has changed between.
    add(&mut jobs, "t", &[("5", None)], &[list(0..1, true)]);
    jobs.deliver(usize::MAX, &mut sink);
    assert_eq!(sink.got, [got(0, &["1", "two", "3", "four"]), got(0, &["u"]), got(0, &["5"])]);
}

#[test]
fn a_run_of_bytes_ends_at_64_kib() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let (lists, long) = ([list(0..1, true)], "x".repeat(30_000));
    for _ in 0..3 {
        add(&mut jobs, "t", &[(&long, None)], &lists);
    }
    jobs.deliver(usize::MAX, &mut sink);
    assert_eq!(sink.got, [got(0, &[&long, &long]), got(0, &[&long])]);
}

#[test]
fn who_has_enough_for_a_turn_gets_it_in_the_next() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    // In both lists, and to get it once.
    let lists = [list(0..4, true), list(2..6, true)];
    add(&mut jobs, "t", &[("1", None)], &lists);
    for enough in [2, 4] {
        sink.enough = vec![enough];
        jobs.deliver(usize::MAX, &mut sink);
        assert!(!jobs.is_empty());
    }
    sink.enough.clear();
    jobs.deliver(usize::MAX, &mut sink);
    assert!(jobs.is_empty());
    assert_eq!(sink.got, [0, 1, 2, 3, 4, 5].map(|slot| got(slot, &["1"])));
}

#[test]
fn without_echo_only_the_own_messages_are_left_out() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let lists = [list(0..3, false)];
    add(&mut jobs, "t", &[("a", None), ("b", Some(0)), ("c", Some(1)), ("d", None)], &lists);
    add(&mut jobs, "t", &[("e", Some(2)), ("f", None)], &lists);
    add(&mut jobs, "t", &[("h", None)], &lists);
    // Of this one, nothing is left for one of them.
    add(&mut jobs, "u", &[("g", Some(2))], &lists);
    jobs.deliver(usize::MAX, &mut sink);
    assert_eq!(
        sink.got,
        [
            got(0, &["a", "c", "d", "e", "f", "h"]),
            got(1, &["a", "b", "d", "e", "f", "h"]),
            got(2, &["a", "b", "c", "d", "f", "h"]),
            got(0, &["g"]),
            got(1, &["g"]),
        ]
    );
}

#[test]
fn a_list_counts_once_for_the_jobs_that_keep_it() {
    let (mut jobs, mut sink) = (Jobs::default(), Subscribers::default());
    let (mut empty, lists) = (Jobs::default(), [list(0..1_000, true)]);
    add(&mut empty, "t", &[("1", None)], &[]);
    let (alone, kept) = (empty.bytes(), 1_000 * size_of::<Subscriber>());
    for _ in 0..3 {
        add(&mut jobs, "t", &[("1", None)], &lists);
        assert_eq!(jobs.bytes(), kept + alone);
        add(&mut jobs, "u", &[("1", None)], &lists);
        assert_eq!(jobs.bytes(), kept + 2 * alone, "the same list");
        jobs.deliver(usize::MAX, &mut sink);
        // And anew when it was given back.
        assert_eq!(jobs.bytes(), 0);
    }
}
