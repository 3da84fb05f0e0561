use std::collections::HashMap;
use std::rc::Rc;

use super::answers::{Answer, MOST_WAITING};
use super::*;
use crate::mesh::{Limits, mesh};
use crate::pubsub::form::{Form, Forms};
use crate::pubsub::index::{Matches, Subscriber};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Payload;
use crate::pubsub::publisher::{Publisher, inbox};
use crate::session::{Frames, Post};

const BACKLOG: usize = 5_000;

#[derive(Debug)]
struct Nothing;

impl Handler for Nothing {
    fn message<'a>(&mut self, _: ConnectionId, _: Message<'a>, _: &mut Replies<'a>) {}
}

/// Two cores with room for one parcel between them, and the program of each.
fn hubs() -> [(Hub<Nothing>, Publisher); 2] {
    let mut config = Config::default();
    config.pubsub.backlog = BACKLOG;
    let totals = Totals::new(&config.pubsub);
    let config = Arc::new(config);
    let ports = mesh(2, Limits { entries: 1, ..Limits::default() });
    let hub = |port: Port<Parcel>| {
        let (publisher, inbox) = inbox(&config, port.sleeper(), Arc::new(|| {}));
        let config = Arc::clone(&config);
        (Hub::new(Nothing, config, port, Some(inbox), totals.clone()), publisher)
    };
    let hubs: Vec<_> = ports.into_iter().map(hub).collect();
    hubs.try_into().unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::new(name, 64).unwrap()
}

fn filter(name: &str) -> Filter {
    Filter::new(name, 64).unwrap()
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn publish(hub: &mut Hub<Nothing>, name: &str, len: usize, retain: bool) {
    let (topic, payload) = (topic(name), vec![b'1'; len]);
    let (opcode, json, origin) = (Opcode::Text, None, None);
    let message = Publication { topic: &topic, opcode, payload: &payload, json, retain, origin };
    hub.publish(&message).unwrap();
}

/// One turn; what is to be done to connections.
fn turn(hub: &mut Hub<Nothing>) -> Vec<(ConnectionId, Post)> {
    hub.begin_turn();
    let mut errands = Errands::default();
    hub.turn(Millis(1), &mut errands);
    errands.posts
}

/// Counts what it is given, by subject.
#[derive(Debug, Default)]
struct Counting(HashMap<String, usize>);

impl Sink for Counting {
    fn deliver(&mut self, _: ConnectionId, frames: &Rc<Frames>) -> bool {
        *self.0.entry(frames.subject().to_string()).or_default() += 1;
        true
    }

    fn is_congested(&mut self, _: ConnectionId) -> bool {
        false
    }
}

#[test]
fn a_program_waits_for_room_between_cores() {
    let [(mut hub, publisher), (mut other, _)] = hubs();
    hub.index.set_remote(&filter("t"), 1, Forms::EMPTY.with(Form::RAW));
    for taken in [1, 2, 2, 2] {
        publisher.publish("t", Payload::text("1")).unwrap();
        turn(&mut hub);
        // The first is in the ring, and the second waits for room: that is enough.
        assert_eq!(hub.stats().published, taken);
    }
    assert!(hub.is_congested());
    // Nor is the core kept awake by what it may not take.
    assert!(hub.try_sleep());
    turn(&mut other);
    turn(&mut hub);
    assert_eq!(hub.stats().published, 2, "room for the one that waited");
    turn(&mut hub);
    assert_eq!(hub.stats().published, 4);
}

#[test]
fn what_one_turn_publishes_counts_at_once() {
    let [(mut hub, _), _] = hubs();
    hub.index.set_remote(&filter("t"), 1, Forms::EMPTY.with(Form::RAW));
    publish(&mut hub, "t", BACKLOG - 10, false);
    assert!(!hub.is_congested());
    publish(&mut hub, "nobody", BACKLOG, false);
    assert!(!hub.is_congested(), "what nobody wants costs nothing");
    publish(&mut hub, "t", 10, false);
    assert!(hub.is_congested());
    turn(&mut hub);
    assert!(!hub.is_congested(), "it is in the ring");
}

#[test]
fn own_deliveries_that_are_too_many_keep_a_core_from_its_mail() {
    let [(mut hub, _), (mut other, _)] = hubs();
    let subscriber = Subscriber { id: id(7), form: Form::RAW, echo: true };
    assert!(hub.index.subscribe(&filter("t"), subscriber));
    other.index.set_remote(&filter("t"), 0, Forms::EMPTY.with(Form::RAW));
    publish(&mut other, "t", 10, false);
    publish(&mut hub, "t", BACKLOG, false);
    turn(&mut hub);
    turn(&mut other);
    for _ in 0..3 {
        turn(&mut hub);
        assert!(hub.links.port().has_mail());
    }
    let mut sink = Counting::default();
    hub.deliver(128, &mut sink);
    turn(&mut hub);
    assert!(!hub.links.port().has_mail());
    hub.deliver(128, &mut sink);
    assert_eq!(sink.0["t"], 2);
}

#[test]
fn who_has_many_answers_waiting_is_not_read_from() {
    let [(mut hub, _), _] = hubs();
    hub.begin(id(7), Kind::Json, None);
    for number in 1..=u64::from(MOST_WAITING) + 1 {
        hub.pause_if_congested(id(7));
        assert_eq!(turn(&mut hub), [], "only {} wait", number - 1);
        hub.answer_later(id(7), number, Answer::Text(b"{}".to_vec()), Vec::new());
    }
    hub.pause_if_congested(id(7));
    hub.pause_if_congested(id(7));
    assert_eq!(turn(&mut hub), [(id(7), Post::Pause)]);
    // It goes on when half of them are given.
    for known in 1..=u64::from(MOST_WAITING) + 1 {
        hub.links.set_known(1, known);
        let left = u64::from(MOST_WAITING) + 1 - known;
        let posts = turn(&mut hub);
        let resumes = posts.iter().filter(|(_, post)| *post == Post::Resume).count();
        assert_eq!(resumes, usize::from(left == u64::from(MOST_WAITING) / 2), "{left} left");
        assert!(posts.iter().any(|(_, post)| matches!(post, Post::Frames(_))));
    }
}

#[test]
fn retained_values_leave_half_of_a_turn_to_what_is_new() {
    let [(mut hub, _), _] = hubs();
    for number in 0..200 {
        publish(&mut hub, &format!("r/{number}"), 1, true);
    }
    turn(&mut hub);
    for slot in 0..200 {
        let subscriber = Subscriber { id: id(slot), form: Form::RAW, echo: true };
        assert!(hub.index.subscribe(&filter("new"), subscriber));
    }
    hub.begin(id(7), Kind::Json, None);
    hub.replay_later(id(7), filter("r/+"));
    publish(&mut hub, "new", 1, false);
    turn(&mut hub);
    let mut sink = Counting::default();
    hub.deliver(128, &mut sink);
    assert_eq!(sink.0.remove("new"), Some(64));
    assert_eq!(sink.0.values().sum::<usize>(), 64);
    // What retained values leave is for the others as well.
    for _ in 0..3 {
        hub.deliver(128, &mut sink);
    }
    assert_eq!(sink.0.remove("new"), Some(136));
    assert_eq!(sink.0.values().sum::<usize>(), 200);
}

#[test]
fn a_value_is_given_once_however_many_filters_match() {
    let [(mut hub, _), _] = hubs();
    for name in ["r/0", "r/1", "s"] {
        publish(&mut hub, name, 1, true);
    }
    turn(&mut hub);
    hub.begin(id(7), Kind::Json, None);
    for name in ["r/1", "r/+", "#"] {
        assert!(hub.want(id(7), &filter(name)).is_some());
        hub.replay_later(id(7), filter(name));
    }
    // What comes after the subscription is delivered as it comes, and not once more as retained.
    let subscriber = Subscriber { id: id(7), form: Form::new(true, None), echo: true };
    assert!(hub.index.subscribe(&filter("#"), subscriber));
    publish(&mut hub, "r/2", 1, true);
    turn(&mut hub);
    let mut sink = Counting::default();
    while hub.is_busy() {
        turn(&mut hub);
        hub.deliver(128, &mut sink);
    }
    let expected = ["r/0", "r/1", "r/2", "s"].map(|name| (name.to_owned(), 1));
    assert_eq!(sink.0, HashMap::from(expected));
}

#[test]
fn what_waits_for_one_that_left_is_not_for_who_has_its_slot() {
    let [(mut hub, _), _] = hubs();
    let next = ConnectionId { generation: 2, ..id(7) };
    hub.begin(id(7), Kind::Json, None);
    hub.answer_later(id(7), 1, Answer::Text(b"{}".to_vec()), Vec::new());
    hub.closed(id(7), CloseReason::Broken);
    hub.begin(next, Kind::Json, None);
    hub.answer_later(next, 2, Answer::Text(b"{}".to_vec()), Vec::new());
    hub.links.set_known(1, 1);
    turn(&mut hub);
    assert!(!hub.has_pending(id(7)) && hub.has_pending(next));
    hub.closed(id(7), CloseReason::Broken);
    hub.links.set_known(1, 2);
    let posts = turn(&mut hub);
    assert!(matches!(posts[..], [(to, Post::Frames(_))] if to == next), "{posts:?}");
    assert!(!hub.has_pending(next) && hub.clients.get(next).is_some());
}

#[test]
fn a_core_that_runs_is_not_rung_and_one_with_work_does_not_sleep() {
    let [(mut hub, publisher), _] = hubs();
    let sleeper = hub.links.port().sleeper();
    for _ in 0..2 {
        assert!(!sleeper.must_ring() && hub.try_sleep());
        // Whatever woke it.
        turn(&mut hub);
        assert!(!sleeper.must_ring());
    }
    publisher.publish("t", Payload::text("1")).unwrap();
    assert!(!hub.try_sleep() && !sleeper.must_ring());
    turn(&mut hub);
    assert!(hub.try_sleep() && sleeper.must_ring());
}

/// Gives each connection so many deliveries in a turn, as the worker does by bytes.
#[derive(Debug, Default)]
struct Portions {
    all: Counting,
    portion: usize,
    given: HashMap<ConnectionId, usize>,
}

impl Sink for Portions {
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> bool {
        let given = self.given.entry(to).or_default();
        *given += 1;
        *given <= self.portion && self.all.deliver(to, frames)
    }

    fn is_congested(&mut self, _: ConnectionId) -> bool {
        false
    }
}

/// One that reads its retained values as fast as they come does not hold up what is new, though it
/// is to get that as well.
#[test]
fn retained_values_for_one_do_not_stop_what_is_new_for_all() {
    let [(mut hub, _), _] = hubs();
    for number in 0..1000 {
        publish(&mut hub, &format!("r/{number}"), 1, true);
    }
    turn(&mut hub);
    hub.begin(id(7), Kind::Json, None);
    hub.replay_later(id(7), filter("r/+"));
    for slot in [7, 8] {
        let subscriber = Subscriber { id: id(slot), form: Form::RAW, echo: true };
        assert!(hub.index.subscribe(&filter("new"), subscriber));
    }
    for round in 1..=10 {
        publish(&mut hub, "new", 1, false);
        turn(&mut hub);
        let mut sink = Portions { portion: 4, ..Portions::default() };
        hub.deliver(128, &mut sink);
        assert_eq!(sink.all.0.remove("new"), Some(2), "{round}");
        assert_eq!(sink.all.0.len(), 3, "what is left of its portion");
    }
    assert_eq!(hub.stats().deliveries, 20);
}

/// Filters that come and go while another core takes no mail leave nothing behind for it.
#[test]
fn what_came_and_went_is_not_told() {
    let [(mut hub, _), (mut other, _)] = hubs();
    // Known over there.
    hub.links.want(&filter("kept"), Form::RAW);
    hub.links.want(&filter("ended"), Form::RAW);
    for _ in 0..10 {
        turn(&mut hub);
        turn(&mut other);
    }
    assert_eq!(other.index.filters(), 2);
    for number in 0..1000 {
        let filter = filter(&format!("f/{number}"));
        hub.links.want(&filter, Form::RAW);
        hub.links.want(&filter, Form::JSON);
        hub.links.withdraw(&filter);
        hub.links.withdraw(&filter);
        turn(&mut hub);
    }
    hub.links.withdraw(&filter("ended"));
    hub.links.want(&filter("again"), Form::RAW);
    hub.links.withdraw(&filter("again"));
    hub.links.want(&filter("again"), Form::RAW);
    // One parcel has room, which may have been any of them; the rest are those that matter.
    assert!(hub.links.untold() <= 3, "{}", hub.links.untold());
    for _ in 0..10 {
        turn(&mut hub);
        turn(&mut other);
    }
    let mut matches = Matches::default();
    for (name, is_wanted) in [("kept", true), ("again", true), ("ended", false), ("f/1", false)] {
        matches.clear();
        other.index.find(&topic(name), &mut matches);
        let is_remote = matches.remote.iter().any(|forms| !forms.is_empty());
        assert_eq!(is_remote, is_wanted, "{name}");
    }
}
