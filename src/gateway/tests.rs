//! The gateway of each core, driven by sessions: requests go in as bytes of clients, and what the
//! gateway does to connections is recorded.

pub(super) mod count;
mod endpoints;
mod http;
mod large;
#[cfg(feature = "tokens")]
mod tokens;
mod waiting;

use std::sync::Arc;

use super::Gateway;
use crate::app::echo::Echo;
use crate::app::{Accept, Context, Handler, Upgrade};
use crate::app::{Publisher, inbox};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::{Limits, Port, SleepFlag, mesh};
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::pubsub::testing::{Call, Recorder};
use crate::pubsub::{Payload, PeerMessage, Totals};
use crate::session::{Handled, Inbound, Message, Output, Phase, Pools, Service, Session};

const BACKLOG: usize = 5_000;

/// One core: its gateway, and the program that publishes there.
struct Core<H: Handler> {
    gateway: Gateway<H>,
    publisher: Publisher,
    flag: SleepFlag,
    config: Arc<Config>,
}

/// Two cores with room for one message between them.
fn cores_with<H: Handler>(app: impl Fn() -> H) -> [Core<H>; 2] {
    let mut config = Config::default();
    config.pubsub.backlog = BACKLOG;
    config.deflate.enabled = true;
    let totals = Totals::new(&config.pubsub);
    let config = Arc::new(config);
    let core = |port: Port<PeerMessage>| {
        let flag = port.sleep_flag();
        let (publisher, inbox) = inbox(&config, flag.clone(), Arc::new(|| {}));
        let config = Arc::clone(&config);
        let gateway = Gateway::new(app(), Arc::clone(&config), port, inbox, totals.clone());
        Core { gateway, publisher, flag, config }
    };
    let ports = mesh(2, Limits { entries: 1, ..Limits::default() });
    let cores: Vec<_> = ports.into_iter().map(core).collect();
    cores.try_into().unwrap_or_else(|_| unreachable!("there are two ports"))
}

fn cores() -> [Core<Echo>; 2] {
    cores_with(|| Echo)
}

impl<H: Handler> Core<H> {
    /// One turn without input.
    fn turn(&mut self) -> Vec<Call> {
        let mut out = Recorder::default();
        self.gateway.start_turn(Millis(1), false);
        self.gateway.end_turn(Millis(1), 128, &mut out);
        // A loop charges no client for it.
        self.gateway.take_work();
        out.calls
    }

    /// Turns of this core and `other` until neither has anything left to say.
    fn settle(&mut self, other: &mut Self) -> Vec<Call> {
        (0..10).flat_map(|_| [self.turn(), other.turn()].concat()).collect()
    }

    fn published(&self) -> u64 {
        self.gateway.broker().stats().published
    }
}

/// A client's connection.
struct Client {
    session: Session,
    pools: Pools,
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn close<H: Handler>(core: &mut Core<H>, mut client: Client) {
    client.session.finish(&mut client.pools, &mut core.gateway);
}

fn request(target: &str, further: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{further}\r\n"
    )
    .into_bytes()
}

impl Client {
    /// A connection that has sent its request, and what it was answered.
    fn connect<H: Handler>(
        core: &mut Core<H>,
        id: ConnectionId,
        target: &str,
        further: &str,
    ) -> (Self, String) {
        let session = Session::new(id, Millis::default(), &core.config, false);
        let mut client = Self { session, pools: Pools::new(Arc::clone(&core.config)) };
        let (_, answer) = client.receive(core, &mut request(target, further));
        (client, String::from_utf8(answer).unwrap())
    }

    fn json<H: Handler>(core: &mut Core<H>, id: ConnectionId) -> Self {
        Self::connect(core, id, "/pubsub", "").0
    }

    /// Receives bytes; returns how much of them was handled, and the replies.
    fn receive<H: Handler>(&mut self, core: &mut Core<H>, bytes: &mut [u8]) -> (Handled, Vec<u8>) {
        let (now, mut out) = (Millis::default(), Output::default());
        let (pools, gateway) = (&mut self.pools, &mut core.gateway);
        let handled = self.session.receive(now, bytes, 0, pools, gateway, &mut out);
        out.copy_out(bytes, Vec::new);
        (handled, out.take_chunk().rest().to_vec())
    }

    /// Sends each text in a frame of its own, all of them in one piece. Returns how many of the
    /// frames were handled, and the texts of the replies.
    fn send<H: Handler>(&mut self, core: &mut Core<H>, texts: &[&str]) -> (usize, Vec<String>) {
        let mut bytes = Vec::new();
        let ends: Vec<usize> = texts.iter().map(|text| masked(&mut bytes, text)).collect();
        self.pools.work.allow(u64::MAX);
        let (handled, replies) = self.receive(core, &mut bytes);
        let handled = match handled {
            Handled::All => texts.len(),
            // The service has no room for more, also if there is none.
            Handled::Until(at) | Handled::Paused(at) => {
                1 + ends.iter().position(|end| *end == at).unwrap()
            }
        };
        (handled, self::texts(&replies))
    }
}

/// Appends a client's frame with the masking key 0; returns where it ends.
fn masked(out: &mut Vec<u8>, text: &str) -> usize {
    let start = out.len();
    append_frame(out, Opcode::Text, false, text.as_bytes());
    out[start + 1] |= 0x80;
    let header = out.len() - text.len();
    out.splice(header..header, [0; 4]);
    out.len()
}

/// The texts of short frames.
fn texts(mut frames: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [0x81, len @ 0..126, rest @ ..] = frames {
        let (text, rest) = rest.split_at(usize::from(*len));
        texts.push(String::from_utf8(text.to_vec()).unwrap());
        frames = rest;
    }
    assert_eq!(frames, [0; 0]);
    texts
}

fn answer(id: ConnectionId, text: &str) -> Call {
    let mut frame = Vec::new();
    append_frame(&mut frame, Opcode::Text, false, text.as_bytes());
    Call::Answer(id, frame)
}

#[test]
fn a_program_waits_for_room_between_cores() {
    let [mut core, mut other] = cores();
    let mut subscriber = Client::json(&mut other, id(7));
    subscriber.send(&mut other, &[r#"{"subscribe":"t"}"#]);
    other.settle(&mut core);
    for taken in [1, 2, 2, 2] {
        core.publisher.publish("t", Payload::text("1")).unwrap();
        core.turn();
        // The first is in the queue to the other core, and the second waits for room.
        assert_eq!(core.published(), taken);
    }
    assert!(!core.gateway.has_room());
    // The messages that the core may not take do not keep it awake.
    assert!(core.gateway.may_sleep());
    // What is for one connection does not wait behind them.
    core.gateway.handle(id(9)).close(CloseCode::GOING_AWAY, "").unwrap();
    assert!(!core.gateway.may_sleep());
    assert!(core.turn().contains(&Call::Close(id(9), CloseCode::GOING_AWAY)));
    assert_eq!(core.published(), 2);
    other.turn();
    core.turn();
    assert_eq!(core.published(), 2, "there is room for the one that waited");
    core.turn();
    assert_eq!(core.published(), 4);
}

/// What a client sends after a request to subscribe waits until the subscription is in force, and
/// after a request to unsubscribe until the last messages are delivered.
#[test]
fn requests_that_wait_hold_everything_after_them() {
    let [mut core, mut other] = cores();
    let mut client = Client::json(&mut core, id(7));
    let requests = [
        r#"{"publish":"t","data":0,"id":1}"#,
        r#"{"subscribe":"t","id":2}"#,
        r#"{"publish":"t","data":1,"id":3}"#,
        r#"{"unsubscribe":"t","id":4}"#,
        r#"{"subscribe":"+x"}"#,
    ];
    let (handled, replies) = client.send(&mut core, &requests);
    assert_eq!((handled, replies), (2, vec![r#"{"published":"t","id":1}"#.to_owned()]));
    // The other core has not acknowledged it.
    for _ in 0..3 {
        assert_eq!(core.turn(), []);
    }
    assert_eq!(core.published(), 1);
    let calls = core.settle(&mut other);
    let answer = answer(id(7), r#"{"subscribed":["t"],"id":2}"#);
    assert_eq!(calls, [answer, Call::SetReading(id(7), true)]);
    // The worker hands the rest in again.
    let (handled, replies) = client.send(&mut core, &requests[2..]);
    assert_eq!((handled, replies), (2, vec![r#"{"published":"t","id":3}"#.to_owned()]));
    let answer = self::answer(id(7), r#"{"unsubscribed":["t"],"id":4}"#);
    assert_eq!(core.turn(), [Call::Deliver(id(7)), answer, Call::SetReading(id(7), true)]);
    // Requests without effect are answered at once.
    let without_effect = [r#"{"unsubscribe":"t","id":5}"#, requests[4]];
    let (handled, replies) = client.send(&mut core, &without_effect);
    assert_eq!(handled, 2);
    assert_eq!(replies[0], r#"{"unsubscribed":["t"],"id":5}"#);
    assert!(replies[1].starts_with(r#"{"error":"#), "{replies:?}");
    assert_eq!(core.settle(&mut other), []);
}

/// A subscription holds even if the client has it already, so that answers stay in order.
#[test]
fn each_request_to_subscribe_is_answered_once() {
    let [mut core, mut other] = cores();
    let mut client = Client::json(&mut core, id(7));
    for number in 0..3 {
        let request = format!(r#"{{"subscribe":["t","u"],"id":{number}}}"#);
        assert_eq!(client.send(&mut core, &[&request]), (1, vec![]));
        let text = format!(r#"{{"subscribed":["t","u"],"id":{number}}}"#);
        let expected = [answer(id(7), &text), Call::SetReading(id(7), true)];
        assert_eq!(core.settle(&mut other), expected, "{number}");
    }
    assert_eq!(core.gateway.broker().stats().subscriptions, 2);
}

#[test]
fn an_answer_for_one_that_left_is_not_for_the_next_in_its_slot() {
    let [mut core, mut other] = cores();
    let next = ConnectionId { generation: 2, ..id(7) };
    let mut first = Client::json(&mut core, id(7));
    assert_eq!(first.send(&mut core, &[r#"{"subscribe":"t"}"#]), (1, vec![]));
    close(&mut core, first);
    let mut second = Client::json(&mut core, next);
    assert_eq!(second.send(&mut core, &[r#"{"subscribe":"u"}"#]), (1, vec![]));
    let calls = core.settle(&mut other);
    let expected = [answer(next, r#"{"subscribed":["u"]}"#), Call::SetReading(next, true)];
    assert_eq!(calls, expected);
    assert_eq!(core.gateway.broker().stats().subscriptions, 1);
    close(&mut core, second);
    core.settle(&mut other);
    assert_eq!(core.gateway.broker().stats().subscriptions, 0);
}

#[test]
fn a_subscriber_of_a_topic_is_answered_once_its_subscription_is_in_force() {
    let [mut core, mut other] = cores();
    for (target, is_deferred) in
        [("/topics/t", true), ("/topics/t?role=sub", true), ("/topics/t?role=pub", false)]
    {
        let (client, answer) = Client::connect(&mut core, id(7), target, "");
        assert_eq!(client.session.phase() == Phase::Deciding, is_deferred, "{target}");
        assert_eq!(answer.is_empty(), is_deferred, "{target}");
        let expected = if is_deferred { vec![Call::Respond(id(7), true)] } else { vec![] };
        assert_eq!(core.settle(&mut other), expected, "{target}");
        close(&mut core, client);
        core.settle(&mut other);
    }
}

#[test]
fn a_core_that_runs_is_not_woken_and_one_with_work_does_not_sleep() {
    let [mut core, _] = cores();
    let flag = core.flag.clone();
    for _ in 0..2 {
        assert!(!flag.needs_wake() && core.gateway.may_sleep());
        // Whatever has woken it.
        core.turn();
        assert!(!flag.needs_wake());
    }
    core.publisher.publish("t", Payload::text("1")).unwrap();
    assert!(!core.gateway.may_sleep() && !flag.needs_wake());
    core.turn();
    assert!(core.gateway.may_sleep() && flag.needs_wake());
}

/// Lets clients in by the token in their query, and counts its decisions.
#[derive(Debug, Default)]
struct Guard {
    asked: usize,
}

impl Handler for Guard {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        self.asked += 1;
        match request.query.is_some_and(|query| query.contains("token=7")) {
            true => Ok(()),
            false => Err(Rejection::Forbidden.into()),
        }
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

/// The application decides first, whatever is wrong with the rest of the request.
#[test]
fn the_application_decides_before_the_request_is_judged() {
    let [mut core, mut other] = cores_with(Guard::default);
    let cases = [
        ("/pubsub", "", "403"),
        ("/pubsub?token=8", "", "403"),
        ("/pubsub?x=1", "", "403"),
        ("/topics/a?role=both", "", "403"),
        ("/topics/%", "", "403"),
        ("/topics", "", "403"),
        ("/pubsub/", "", "403"),
        ("/pubsub", "Sec-WebSocket-Protocol: mqtt\r\n", "403"),
        ("/pubsub?token=7", "", "101"),
        ("/pubsub?access_token=7", "", "101"),
        ("/topics/a?token=7&role=pub", "", "101"),
        ("/topics/a?role=pub&access_token=7", "", "101"),
        ("/pubsub?token=7&x=1", "", "400"),
        ("/pubsub/?token=7", "", "400"),
        ("/topics/a?token=7&role=x", "", "400"),
        ("/topics/a?token=7&jwt=1", "", "400"),
        ("/topics/%?token=7", "", "400"),
        ("/topics?token=7", "", "400"),
        ("/pubsub?token=7", "Sec-WebSocket-Protocol: mqtt\r\n", "400"),
    ];
    for (number, (target, further, status)) in cases.into_iter().enumerate() {
        let (client, answer) = Client::connect(&mut core, id(7), target, further);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        assert_eq!(core.gateway.app().asked, number + 1, "{target}");
        close(&mut core, client);
        core.settle(&mut other);
    }
    // Other paths are for `upgrade`.
    let (_, answer) = Client::connect(&mut core, id(7), "/?x=1", "");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(core.gateway.app().asked, cases.len());
}

#[test]
fn a_client_that_only_subscribes_is_closed_when_it_sends() {
    let [mut core, mut other] = cores();
    let (mut client, _) = Client::connect(&mut core, id(7), "/topics/t?role=sub", "");
    core.settle(&mut other);
    let mut out = Output::default();
    client.session.respond(Millis::default(), Ok(None), &mut client.pools, &mut out, |_| {});
    let mut bytes = Vec::new();
    masked(&mut bytes, "x");
    let (_, reply) = client.receive(&mut core, &mut bytes);
    assert_eq!(reply[2..4], CloseCode::POLICY_VIOLATION.value().to_be_bytes());
    assert_eq!(core.published(), 0);
}
