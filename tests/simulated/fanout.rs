//! Goal: deliveries of a service reach only the connection that they are for, in the portions of a
//! turn, after the answers of that turn and not after the end of the connection. Method: the worker
//! on a simulated driver without faults, with a service that delivers what the test has queued;
//! each turn is checked separately.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use corecast::base::{ConnectionId, Millis};
use corecast::config::{Config, SlowConsumer};
use corecast::io::sim::{ClientId, SimNetwork, SimOptions, SimRing};
use corecast::protocol::websocket::Opcode;
use corecast::protocol::websocket::handshake::Request;
use corecast::session::{
    Accept, Delivered, EndpointId, Frames, Inbound, Message, Outbound, Replies, Service, Terms,
    Verdict, Wakeup,
};
use corecast::worker::Worker;

use crate::frames::{self, BINARY, CLOSE, FIN, Frame, TEXT, append};

/// More turns than any test here needs.
const TURNS: usize = 1_000;

/// The events that the service has seen, and the deliveries that it makes after the next message.
#[derive(Debug, Default)]
struct State {
    opened: Vec<ConnectionId>,
    answers: Vec<(ConnectionId, Vec<u8>)>,
    due: VecDeque<(ConnectionId, Rc<Frames>)>,
    /// For each turn that delivered, the allowed number and the actual number of deliveries.
    turns: Vec<(usize, usize)>,
    is_started: bool,
}

#[derive(Clone, Debug, Default)]
struct Deliverer(Rc<RefCell<State>>);

impl Inbound for Deliverer {
    fn upgrade(&mut self, _: ConnectionId, _: &Request<'_>, _: Terms<'_>) -> Verdict {
        Verdict::Accept(Accept::default())
    }

    fn open(&mut self, id: ConnectionId, _: EndpointId, _: &mut Replies<'_>) {
        self.0.borrow_mut().opened.push(id);
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        _: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        self.0.borrow_mut().is_started = true;
        replies.send(Opcode::Text, b"answer");
    }

    fn write_gap(&mut self, _: ConnectionId, _: &str, _: u64, out: &mut Vec<u8>) {
        out.extend([FIN | BINARY, 1, b'g']);
    }
}

impl Service for Deliverer {
    fn end_turn<O: Outbound>(&mut self, _: Millis, deliveries: usize, out: &mut O) {
        let state = &mut *self.0.borrow_mut();
        if state.is_started {
            for (id, frames) in state.answers.drain(..) {
                let _ = out.answer(id, &frames);
            }
        }
        let mut done = 0;
        while state.is_started
            && done < deliveries
            && let Some((id, frames)) = state.due.front()
            && out.deliver(*id, frames) != Delivered::NextTurn
        {
            state.due.pop_front();
            done += 1;
        }
        state.turns.push((deliveries, done));
    }

    fn wakeup(&self) -> Wakeup {
        let state = self.0.borrow();
        let is_busy = state.is_started && !state.due.is_empty();
        if is_busy { Wakeup::Now } else { Wakeup::At(Millis::NEVER) }
    }
}

/// A core and its clients.
struct Core {
    worker: Worker<SimRing, Deliverer>,
    network: SimNetwork,
    state: Deliverer,
}

impl Core {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let (ring, state) = (SimRing::new(1, SimOptions::default()), Deliverer::default());
        let network = ring.network();
        let (config, stop) = (Arc::new(config), Arc::new(AtomicBool::new(false)));
        let worker = Worker::new(ring, config, state.clone(), 1, stop);
        Self { worker, network, state }
    }

    fn turn_until(&mut self, mut is_done: impl FnMut(&Self) -> bool) {
        for _ in 0..TURNS {
            if is_done(self) {
                return;
            }
            self.worker.turn().unwrap();
        }
        panic!("no end: {:?}", self.state.0.borrow());
    }

    /// A client after its handshake, and its id on the server.
    fn open(&mut self) -> (ClientId, ConnectionId) {
        let client = self.network.connect(0);
        self.network.write(
            client,
            b"GET / HTTP/1.1\r\nHost: corecast\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        let mut head = Vec::new();
        let network = self.network.clone();
        self.turn_until(|_| {
            head.extend(network.read(client));
            head.ends_with(b"\r\n\r\n")
        });
        let id = *self.state.0.borrow().opened.last().unwrap();
        (client, id)
    }

    fn send(&self, client: ClientId, first: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        append(&mut bytes, first, payload, [1, 2, 3, 4]);
        self.network.write(client, &bytes);
    }

    /// Queues a message of `len` bytes, all of them `letter`.
    fn queue(&self, id: ConnectionId, letter: u8, len: usize) {
        let mut bytes = vec![FIN | BINARY];
        match u8::try_from(len) {
            Ok(len) if len < 126 => bytes.push(len),
            _ if len < 1 << 16 => bytes.extend([126, (len >> 8) as u8, len as u8]),
            _ => bytes.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
        }
        bytes.extend(vec![letter; len]);
        let frames = Frames::new(Bytes::from(bytes).into(), "t".into(), 1, 0);
        self.state.0.borrow_mut().due.push_back((id, Rc::new(frames)));
    }

    /// Starts the deliveries, and runs until `client` has received this number of frames.
    fn read(&mut self, client: ClientId, count: usize) -> Vec<Frame> {
        let (mut bytes, mut got, network) = (Vec::new(), Vec::new(), self.network.clone());
        self.turn_until(|_| {
            bytes.extend(network.read(client));
            got.extend(std::iter::from_fn(|| frames::take(&mut bytes).unwrap()));
            got.len() >= count
        });
        assert!(bytes.is_empty() && got.len() == count, "{got:?}");
        got
    }
}

fn letters(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.payload[0])).collect()
}

#[test]
fn the_next_user_of_a_slot_gets_no_deliveries_of_the_earlier_one() {
    let mut core = Core::new();
    let (left, its_id) = core.open();
    core.network.reset(left);
    core.turn_until(|core| core.worker.connections() == 0);
    let (client, id) = core.open();
    assert!(id.slot == its_id.slot && id.generation != its_id.generation);
    core.queue(its_id, b'x', 10);
    core.queue(id, b'y', 10);
    core.send(client, FIN | TEXT, b"go");
    let got = core.read(client, 2);
    assert_eq!(letters(&got), "ay");
}

#[test]
fn a_turn_delivers_a_portion() {
    let mut core = Core::new();
    let (client, id) = core.open();
    for _ in 0..1_000 {
        core.queue(id, b'x', 1);
    }
    core.send(client, FIN | TEXT, b"go");
    assert_eq!(core.read(client, 1_001).len(), 1_001);
    let turns = core.state.0.borrow().turns.clone();
    assert!(turns.iter().all(|(most, done)| *most <= 128 && done <= most), "{turns:?}");
    assert_eq!(turns.iter().filter(|(_, done)| *done > 0).count(), 1_000_usize.div_ceil(128));
}

#[test]
fn one_connection_is_given_64_kib_in_a_turn_or_one_delivery() {
    let few = [20_000; 7].into_iter().chain([500_000, 10, 20_000, 20_000]);
    let mut core = Core::new();
    let (client, id) = core.open();
    few.for_each(|len| core.queue(id, b'x', len));
    core.send(client, FIN | TEXT, b"go");
    core.read(client, 12);
    let turns: Vec<usize> = core.state.0.borrow().turns.iter().map(|(_, done)| *done).collect();
    let given: Vec<usize> = turns.into_iter().filter(|done| *done > 0).collect();
    assert_eq!(given, [3, 3, 1, 1, 3]);
}

#[test]
fn an_answer_comes_before_the_deliveries_of_its_turn() {
    let mut core = Core::new();
    let (client, id) = core.open();
    core.send(client, FIN | TEXT, b"go");
    core.read(client, 1);
    // A queued message makes all further output go to the queue.
    core.network.set_receive_window(client, 0);
    (0..4).for_each(|_| core.queue(id, b'w', 60_000));
    core.turn_until(|core| core.state.0.borrow().due.is_empty());
    let answer = [FIN | BINARY, 1, b'p'].to_vec();
    core.state.0.borrow_mut().is_started = false;
    core.state.0.borrow_mut().answers.push((id, answer));
    // More bytes than a turn delivers, but in a single message.
    core.queue(id, b'd', 70_000);
    core.send(client, FIN | TEXT, b"again");
    core.turn_until(|core| core.state.0.borrow().due.is_empty());
    core.network.set_receive_window(client, usize::MAX);
    let got = letters(&core.read(client, 7));
    assert!(got.starts_with('w') && got.ends_with("wapd"), "{got}");
}

#[test]
fn nothing_follows_the_close_frame() {
    let mut core = Core::new();
    let (client, id) = core.open();
    let (other, _) = core.open();
    core.send(other, FIN | TEXT, b"go");
    core.read(other, 1);
    core.send(client, FIN | CLOSE, &1000_u16.to_be_bytes());
    let network = core.network.clone();
    let mut got = Vec::new();
    // Delivered and answered in every turn until it has ended.
    core.turn_until(|core| {
        core.queue(id, b'd', 10);
        core.state.0.borrow_mut().answers.push((id, [FIN | BINARY, 1, b'p'].to_vec()));
        got.extend(network.read(client));
        core.worker.connections() == 1
    });
    core.turn_until(|core| core.network.closed_by_server(client).is_some());
    got.extend(network.read(client));
    let mut all = Vec::new();
    while let Some(frame) = frames::take(&mut got).unwrap() {
        all.push(frame);
    }
    let close = all.iter().position(|frame| frame.opcode == CLOSE).expect("a close frame");
    assert_eq!(close + 1, all.len(), "{all:?}");
}

#[test]
fn nothing_follows_the_close_frame_to_a_slow_reader() {
    for slow in [SlowConsumer::DropOldest, SlowConsumer::DropNewest, SlowConsumer::Conflate] {
        let mut config = Config::default();
        (config.pubsub.slow, config.pubsub.queue) = (slow, 100_000);
        let mut core = Core::with(config);
        let (client, id) = core.open();
        core.network.set_receive_window(client, 0);
        (0..6).for_each(|_| core.queue(id, b'w', 60_000));
        core.send(client, FIN | TEXT, b"go");
        core.turn_until(|core| core.state.0.borrow().due.is_empty());
        core.send(client, FIN | CLOSE, &1000_u16.to_be_bytes());
        core.turn_until(|core| core.network.bytes_not_received(client) == 0);
        core.network.set_receive_window(client, usize::MAX);
        let (mut bytes, mut got, network) = (Vec::new(), Vec::new(), core.network.clone());
        core.turn_until(|core| {
            bytes.extend(network.read(client));
            core.network.closed_by_server(client).is_some()
        });
        bytes.extend(network.read(client));
        while let Some(frame) = frames::take(&mut bytes).unwrap() {
            got.push(frame);
        }
        let last = got.pop().map(|frame| frame.opcode);
        assert_eq!(last, Some(CLOSE), "{slow:?}: after {:?}", letters(&got));
        assert!(letters(&got).contains('g'), "{slow:?}: {}", letters(&got));
    }
}
