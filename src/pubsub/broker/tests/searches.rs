//! Searches that go on for many turns, with subscriptions that begin and end meanwhile: whoever was
//! subscribed when a message was accepted, and had not asked for the end, gets it once and in
//! order; nobody else does.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::*;
use crate::pubsub::Unpublished;
use crate::pubsub::encoding::ONE_PIECE;

const TOPICS: [&str; 4] = ["a/b", "a/b/c", "a", "b/b/c"];
const FILTERS: [&str; 8] = ["a/+", "+/b", "#", "+/b/#", "a/#", "+", "a/+/c", "+/+/+"];

/// For each connection and topic the numbers of messages.
type Numbers = BTreeMap<(u32, String), Vec<usize>>;

/// A broker, and what its connections should get.
struct Script {
    broker: Broker,
    out: Recorder,
    must: Numbers,
    may: Numbers,
    /// Subscriptions in force, and those of them of which the end was not asked for.
    active: BTreeSet<(u32, &'static str)>,
    wanted: BTreeSet<(u32, &'static str)>,
    /// Connections that wait for an answer, and the filter that they end.
    waiting: BTreeMap<u32, Option<&'static str>>,
    /// Messages that are not accepted yet, by the number of their clients.
    unaccepted: BTreeMap<u32, (&'static str, usize)>,
}

impl Script {
    fn new(search_work: u64) -> Self {
        let port = mesh(1, Limits::default()).remove(0);
        let config = Arc::new(Config::default());
        let totals = Totals::new(&config.pubsub);
        let mut broker = Broker::new(config, port, totals);
        broker.drafts.search_work = search_work;
        broker.drafts.short_search = search_work / 3;
        broker.drafts.encode_work = 50 * search_work;
        let raw = Options { form: Form::RAW, echo: true, marks_retained: false };
        (0..4).for_each(|slot| broker.attach(id(slot), raw));
        let (active, wanted) = (BTreeSet::new(), BTreeSet::new());
        let (must, may, waiting) = (Numbers::new(), Numbers::new(), BTreeMap::new());
        let unaccepted = BTreeMap::new();
        Self { broker, out: Recorder::default(), must, may, active, wanted, waiting, unaccepted }
    }

    fn publish(&mut self, name: &'static str, number: usize) {
        // Some are encoded in pieces.
        let width = if number.is_multiple_of(5) { ONE_PIECE + 10 * number } else { 1 };
        let (topic, payload) = (topic(name), format!("{number:0width$}"));
        let message = Publication::of(&topic, payload.as_bytes());
        match self.broker.publish(&message) {
            Ok(()) => self.accepted(name, number),
            Err(error) => {
                assert_eq!(error, Unpublished::Busy);
                let client = 1000 + u32::try_from(number).unwrap();
                self.broker.publish_later(&message, Some(id(client)));
                self.unaccepted.insert(client, (name, number));
            }
        }
    }

    /// A message is for those who are subscribed now.
    fn accepted(&mut self, name: &str, number: usize) {
        let topic = topic(name);
        for (set, numbers) in [(&self.wanted, &mut self.must), (&self.active, &mut self.may)] {
            let matching = set.iter().filter(|(_, text)| filter(text).matches(&topic));
            for slot in matching.map(|(slot, _)| *slot).collect::<BTreeSet<u32>>() {
                numbers.entry((slot, name.to_owned())).or_default().push(number);
            }
        }
    }

    fn subscribe(&mut self, slot: u32, name: &str) {
        if self.waiting.contains_key(&slot) {
            return;
        }
        self.broker.subscribe(id(slot), vec![filter(name)]).unwrap();
        self.waiting.insert(slot, None);
    }

    fn unsubscribe(&mut self, slot: u32, name: &'static str) {
        if self.waiting.contains_key(&slot) || !self.wanted.remove(&(slot, name)) {
            return;
        }
        assert!(self.broker.unsubscribe(id(slot), &[filter(name)]));
        self.waiting.insert(slot, Some(name));
    }

    fn turn(&mut self, deliveries: usize) {
        self.broker.start_turn(Millis(1), Awaiting::default());
        while let Some((client, result)) = self.broker.take_accepted() {
            assert_eq!(result, Ok(()));
            let (name, number) = self.unaccepted.remove(&client.slot).unwrap();
            self.accepted(name, number);
        }
        let (broker, out) = (&mut self.broker, &mut self.out);
        broker.distribute(Millis(1));
        for one in broker.take_established().into_iter().flatten() {
            self.waiting.remove(&one.id.slot);
            for text in &one.filters {
                let name = FILTERS.into_iter().find(|name| *name == text.as_str()).unwrap();
                self.active.insert((one.id.slot, name));
                self.wanted.insert((one.id.slot, name));
            }
            broker.put_in_force(one, out);
        }
        broker.flush(out);
        broker.deliver(deliveries, out);
        while let Some(ended) = broker.take_ended() {
            let name = self.waiting.remove(&ended.slot).flatten().unwrap();
            self.active.remove(&(ended.slot, name));
        }
    }

    /// What the connections have got.
    fn got(&self) -> Numbers {
        let mut got = Numbers::new();
        for (to, frames) in &self.out.deliveries {
            let all = frames.bytes();
            let mut bytes = &all[..];
            while let [_, len, rest @ ..] = bytes {
                let (len, rest) = match (*len, rest) {
                    (126, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]), rest),
                    (len, rest) => (u16::from(len), rest),
                };
                let (payload, behind) = rest.split_at(usize::from(len));
                let number = std::str::from_utf8(payload).unwrap().parse().unwrap();
                got.entry((to.slot, frames.subject().to_string())).or_default().push(number);
                bytes = behind;
            }
        }
        got
    }
}

#[test]
fn messages_go_to_those_who_were_subscribed_when_they_were_accepted() {
    let (mut delivered, mut waited, mut unaccepted) = (0, 0, 0);
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut script = Script::new(rng.u64(1..600));
        for number in 0..300 {
            let (slot, filter) = (rng.u32(0..4), FILTERS[rng.usize(0..8)]);
            match rng.u8(0..6) {
                0..3 => script.publish(TOPICS[rng.usize(0..4)], number),
                3 => script.subscribe(slot, filter),
                4 => script.unsubscribe(slot, filter),
                _ => script.turn(rng.usize(2..40)),
            }
            waited += usize::from(script.broker.searching.needs_index());
            unaccepted += script.unaccepted.len();
        }
        while script.broker.wakeup() == Wakeup::Now {
            script.turn(100);
        }
        let got = script.got();
        for (key, numbers) in &got {
            delivered += numbers.len();
            assert!(numbers.is_sorted_by(|a, b| a < b), "seed {seed}: {key:?} {numbers:?}");
            let may = script.may.get(key).map_or(&[][..], Vec::as_slice);
            assert!(numbers.iter().all(|number| may.contains(number)), "seed {seed}: {key:?}");
        }
        for (key, numbers) in &script.must {
            let got = got.get(key).map_or(&[][..], Vec::as_slice);
            assert!(numbers.iter().all(|number| got.contains(number)), "seed {seed}: {key:?}");
        }
        let left = (script.broker.waiting(), script.waiting.len(), script.unaccepted.len());
        assert_eq!(left, (0, 0, 0), "seed {seed}");
    }
    let all = (delivered, waited, unaccepted);
    assert!(delivered > 10_000 && waited > 10_000 && unaccepted > 10_000, "{all:?}");
}
