//! The loop on a simulated ring, with a service that has input wait, decides late, lacks room, and
//! opens sessions that are no WebSocket.

mod accepting;
mod budget;
mod deferred;
mod draining;
mod heads;
mod memory;
mod peers;
mod requests;
mod scarce;
mod slow_readers;
mod slow_senders;
mod streams;
mod swarm;
mod unread;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;

use super::Worker;
use crate::base::{ConnectionId, Ledger, Millis, Shared};
use crate::config::Config;
use crate::io::sim::{ClientId, SimNetwork, SimOptions, SimRing};
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{
    Accept, CloseReason, Delivered, EndpointId, Frames, Inbound, Message, Outbound, Replies,
    Service, Stream, Terms, Verdict, Wakeup,
};

/// More than anything here takes.
const TURNS: usize = 2_000_000;
/// The longest sleep of a turn, after which the test looks at its clients.
const SLEEP: Duration = Duration::from_millis(1);
/// No room for ever, so that there is nothing to wait for.
const FOR_EVER: u32 = u32::MAX;
/// The work of a costly message.
const COSTLY: u64 = 25_000;
/// The endpoint of everything but the echo.
const BUILT_IN: EndpointId = EndpointId(1);
/// Messages of which more has come lack room while memory is short.
const ONE_PIECE: usize = 16 << 10;

/// What waits for the service to go on.
#[derive(Clone, Debug)]
enum Waiting {
    /// The input behind this message.
    Input(Vec<u8>),
    /// A handshake, with the decision about it.
    Handshake(Result<(), Refusal>),
}

#[derive(Debug, Default)]
struct State {
    /// The turns left until the service goes on; never if there are none.
    waiting: Vec<(ConnectionId, Option<u32>, Waiting)>,
    /// The ledger of the core.
    ledger: Ledger,
    /// The charge from which on large messages lack room; 0 if they never do.
    short_of_memory: usize,
    /// What is delivered at the end of the turn. The same bytes in a row are shared.
    due: Vec<(ConnectionId, Vec<u8>)>,
    /// What is answered at the end of the turn.
    answers: Vec<(ConnectionId, Vec<u8>)>,
    opened: Vec<ConnectionId>,
    ended: Vec<CloseReason>,
    /// Handshakes that were not decided in time.
    undecided: Vec<ConnectionId>,
    /// The messages that came.
    messages: usize,
    /// Those whose messages came, in order.
    from: Vec<ConnectionId>,
    /// How often there was something to wait for.
    waits: usize,
    /// Connections to close at the end of the turn.
    closing: Vec<ConnectionId>,
    /// The work of messages to its endpoint, as counted so far.
    work: u64,
    /// Whether requests of newcomers are expected to cause much work.
    newcomers_cost_much: bool,
    /// The turns for which there is no room.
    full: u32,
    /// Without it everything waits until it is told to go on, and there is always room.
    rng: Option<fastrand::Rng>,
}

impl State {
    fn wait(&mut self, id: ConnectionId, what: Waiting) {
        let turns = self.rng.as_mut().map(|rng| rng.u32(1..20));
        self.waiting.push((id, turns, what));
        self.waits += 1;
    }
}

/// The service. All clones are the same.
///
/// By path: `/echo` sends messages back. `/hold` does so too and has all wait that follows a
/// message which begins with `h`; going on, it answers with the message and an exclamation mark. A
/// message which begins with `w` costs [`COSTLY`] there, and so does a handshake for `/costly`.
/// `/defer` decides late and then is `/hold`, `/deny` decides late as well, `/never` does not, nor
/// does `/later`, for the application.
/// `/lines` is a stream.
#[derive(Clone, Debug, Default)]
struct Rig(Rc<RefCell<State>>);

impl Inbound for Rig {
    fn has_room(&self) -> bool {
        self.0.borrow().full == 0
    }

    fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.0.borrow_mut().work)
    }

    fn upgrade(&mut self, id: ConnectionId, head: &Request<'_>, _: Terms<'_>) -> Verdict {
        let state = &mut *self.0.borrow_mut();
        state.opened.push(id);
        let built_in = Accept { endpoint: BUILT_IN, ..Accept::default() };
        let decision = match head.path {
            "/echo" => return Verdict::Accept(Accept::default()),
            "/costly" => {
                state.work += COSTLY;
                return Verdict::Accept(built_in);
            }
            "/hold" => return Verdict::Accept(built_in),
            "/lines" => return Verdict::Stream(BUILT_IN, Stream::Lines(Default::default())),
            "/deny" => Err(Rejection::Forbidden.into()),
            "/never" => return Verdict::Defer(built_in),
            "/later" => return Verdict::Defer(Accept::default()),
            _ => Ok(()),
        };
        state.wait(id, Waiting::Handshake(decision));
        Verdict::Defer(built_in)
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        let state = &mut *self.0.borrow_mut();
        state.messages += 1;
        state.from.push(id);
        replies.echo(message);
        if BUILT_IN && message.payload().starts_with(b"w") {
            state.work += COSTLY;
        }
        if BUILT_IN && message.payload().starts_with(b"h") {
            replies.hold();
            state.wait(id, Waiting::Input(message.payload().to_vec()));
        }
        if let Some(rng) = &mut state.rng
            && rng.u8(0..8) == 0
        {
            state.full = rng.u32(1..30);
        }
    }

    fn closed(&mut self, id: ConnectionId, _: EndpointId, reason: CloseReason, _: &str) {
        let state = &mut *self.0.borrow_mut();
        state.waiting.retain(|(waiting, ..)| *waiting != id);
        state.ended.push(reason);
    }
}

impl Service for Rig {
    fn use_ledger(&mut self, ledger: &Ledger) {
        self.0.borrow_mut().ledger = ledger.clone();
    }

    fn end_turn<O: Outbound>(&mut self, _: Millis, _: usize, out: &mut O) {
        let state = &mut *self.0.borrow_mut();
        state.full = if state.full == FOR_EVER { FOR_EVER } else { state.full.saturating_sub(1) };
        for id in state.closing.drain(..) {
            out.close(id, CloseReason::Local(CloseCode::GOING_AWAY), "");
        }
        for (_, turns, _) in &mut state.waiting {
            *turns = turns.map(|turns| turns - 1);
        }
        for (id, _, what) in state.waiting.extract_if(.., |(_, turns, _)| *turns == Some(0)) {
            match what {
                Waiting::Input(message) => {
                    out.answer(id, &frame(&[&message[..], b"!"].concat()));
                    out.set_reading(id, true);
                }
                Waiting::Handshake(decision) => {
                    out.respond(id, decision.map(|()| None), |_| {});
                }
            }
        }
        for (id, frames) in state.answers.drain(..) {
            out.answer(id, &frames);
        }
        let mut last: Option<Rc<Frames>> = None;
        for (id, bytes) in state.due.drain(..) {
            let frames = last.filter(|last| ***last.bytes() == bytes).unwrap_or_else(|| {
                let len = bytes.len();
                let shared = Shared::charged(Bytes::from(bytes), len, &state.ledger);
                Rc::new(Frames::new(shared, "t".into(), 1, 0))
            });
            assert_eq!(out.deliver(id, &frames), Delivered::Taken);
            last = Some(frames);
        }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let state = self.0.borrow();
        let is_short = state.ledger.used() > state.short_of_memory;
        bytes <= ONE_PIECE || state.short_of_memory == 0 || !is_short
    }

    fn newcomers_cost_much(&self) -> bool {
        self.0.borrow().newcomers_cost_much
    }

    fn undecided(&mut self, id: ConnectionId) {
        self.0.borrow_mut().undecided.push(id);
    }

    fn wakeup(&self) -> Wakeup {
        let state = self.0.borrow();
        let goes_on = state.waiting.iter().any(|(_, turns, _)| turns.is_some());
        let is_full = (1..FOR_EVER).contains(&state.full);
        let is_asked = !state.due.is_empty() || !state.closing.is_empty();
        let is_busy = goes_on || is_full || is_asked || !state.answers.is_empty();
        if is_busy { Wakeup::Now } else { Wakeup::At(Millis::NEVER) }
    }
}

/// The frame of a text message of the server.
fn frame(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, Opcode::Text, false, text);
    bytes
}

/// A frame of a client, masked with zeros: `first` is FIN and opcode.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("short payloads only");
    assert!(len < 126);
    [&[first, 0x80 | len, 0, 0, 0, 0], payload].concat()
}

fn request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Where the head of an answer ends, if it is there.
fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// A core on which nothing goes wrong, and its clients.
struct Bench {
    worker: Worker<SimRing, Rig>,
    network: SimNetwork,
    rig: Rig,
}

impl Bench {
    fn new() -> Self {
        Self::with_config(Config::default())
    }

    fn with_config(config: Config) -> Self {
        Self::with_options(config, SimOptions::default())
    }

    fn with_options(config: Config, options: SimOptions) -> Self {
        let (ring, rig) = (SimRing::new(1, options), Rig::default());
        let network = ring.network();
        let (config, stop) = (Arc::new(config), Arc::new(AtomicBool::new(false)));
        let worker = Worker::new(ring, config, rig.clone(), 1, stop);
        Self { worker, network, rig }
    }

    fn turn_until(&mut self, mut is_done: impl FnMut(&Self) -> bool) {
        for _ in 0..TURNS {
            if is_done(self) {
                return;
            }
            self.network.limit(self.network.now() + SLEEP);
            self.worker.turn().unwrap();
        }
        panic!("no end: {:?}", self.rig.0.borrow());
    }

    /// Goes on until all that is on its way has arrived.
    fn settle(&mut self) {
        let end = self.network.now() + 5 * SLEEP;
        self.turn_until(|bench| bench.network.now() >= end);
    }

    /// A client whose request has been received, and its name on the server.
    fn request(&mut self, path: &str) -> (ClientId, ConnectionId) {
        self.send_request(&request(path))
    }

    fn send_request(&mut self, request: &[u8]) -> (ClientId, ConnectionId) {
        let before = self.rig.0.borrow().opened.len();
        let client = self.network.connect(0);
        self.network.write(client, request);
        self.turn_until(|bench| bench.rig.0.borrow().opened.len() > before);
        (client, self.rig.0.borrow().opened[before])
    }

    /// Has what waits go on in the next turn.
    fn go_on(&self) {
        for (_, turns, _) in &mut self.rig.0.borrow_mut().waiting {
            *turns = Some(1);
        }
    }

    /// What `client` gets until it has `len` bytes, or the server has ended.
    fn read(&mut self, client: ClientId, len: usize) -> Vec<u8> {
        let (mut got, network) = (Vec::new(), self.network.clone());
        self.turn_until(|_| {
            got.extend(network.read(client));
            got.len() >= len || network.closed_by_server(client).is_some()
        });
        got.extend(network.read(client));
        got
    }

    /// All that `client` gets until the server has ended.
    fn read_to_end(&mut self, client: ClientId) -> Vec<u8> {
        self.read(client, usize::MAX)
    }

    /// Reads the head of an answer; nothing may follow it yet.
    fn read_head(&mut self, client: ClientId) -> String {
        let (mut got, network) = (Vec::new(), self.network.clone());
        self.turn_until(|_| {
            got.extend(network.read(client));
            head_len(&got).is_some()
        });
        assert_eq!(head_len(&got), Some(got.len()), "nothing behind the head");
        String::from_utf8(got).unwrap()
    }

    /// Stops the worker. Every slot and buffer is given back, and every end was told.
    fn finish(self) {
        self.finish_by(Duration::MAX);
    }

    /// The same, before this time.
    fn finish_by(mut self, time: Duration) {
        self.worker.drain();
        self.turn_until(|bench| bench.worker.is_done());
        assert!(self.network.now() < time, "{:?}", self.network.now());
        self.worker.turn().unwrap();
        self.network.check_quiescent();
        let (stats, state) = (self.worker.stats(), self.rig.0.borrow());
        assert_eq!((stats.accepted, stats.stale), (stats.closed, 0), "{stats:?}");
        assert_eq!(state.opened.len(), state.ended.len(), "{state:?}");
        assert!(state.waiting.is_empty(), "{state:?}");
    }
}
