//! What a service has wait: the rest of the input after a message, or a handshake and all after it.

use super::{Bench, REQUEST, answer, close_frame, frame};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::protocol::websocket::handshake::{ExtraHeaders, Refusal, Rejection, Request};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{
    Accept, CloseReason, EndpointId, Handled, Inbound, Message, Phase, Replies, Terms, Verdict,
};

const KEY: [u8; 4] = [5, 6, 7, 8];

/// Sends every message back, and has all wait that follows one which begins with `h`. Handshakes
/// for `/defer` are decided later, and what follows those for `/wait` waits from the start.
#[derive(Default)]
struct Holding {
    seen: Vec<Vec<u8>>,
    ended: Vec<CloseReason>,
    waits: bool,
}

impl Inbound for Holding {
    fn upgrade(&mut self, _: ConnectionId, head: &Request<'_>, _: Terms<'_>) -> Verdict {
        let accept = Accept { endpoint: EndpointId(1), ..Accept::default() };
        self.waits = head.path == "/wait";
        if head.path == "/defer" { Verdict::Defer(accept) } else { Verdict::Accept(accept) }
    }

    fn open(&mut self, _: ConnectionId, _: EndpointId, replies: &mut Replies<'_>) {
        if self.waits {
            replies.hold();
        }
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        assert!(BUILT_IN);
        self.seen.push(message.payload().to_vec());
        replies.echo(message);
        if message.payload().starts_with(b"h") {
            replies.hold();
        }
        if message.payload().ends_with(b"c") {
            replies.close(CloseCode::NORMAL, "as asked");
        }
    }

    fn closed(&mut self, _: ConnectionId, _: EndpointId, reason: CloseReason, _: &str) {
        self.ended.push(reason);
    }
}

fn bench() -> Bench<Holding> {
    Bench::of(Holding::default(), Config::default())
}

fn request(path: &str) -> Vec<u8> {
    std::str::from_utf8(REQUEST).unwrap().replace("/chat", path).into_bytes()
}

/// Input of every shape with what must come back, and the places in both at which the rest waits.
fn conversation() -> (Vec<u8>, Vec<u8>, Vec<(usize, usize)>) {
    let long = [b"h", vec![b'x'; 300].as_slice()].concat();
    let messages: [(&[u8], usize); 12] = [
        (b"a", 0),
        (b"h1", 0),
        (b"h2", 0),
        (b"b", 2),
        (b"h3 in three frames", 3),
        (b"", 0),
        (b"h4", 1),
        (&long, 0),
        (b"c and", 0),
        (&long, 1),
        (b"d", 0),
        (b"h at the end", 0),
    ];
    let (mut input, mut output, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for (payload, cuts) in messages {
        let step = payload.len() / (cuts + 1);
        for part in 0..cuts {
            let first = if part == 0 { 0x01 } else { 0x00 };
            input.extend(frame(first, &payload[part * step..(part + 1) * step], KEY));
            input.extend(frame(0x89, b"between", KEY));
            output.extend(answer(Opcode::Pong, b"between"));
        }
        let first = if cuts == 0 { 0x81 } else { 0x80 };
        input.extend(frame(first, &payload[cuts * step..], KEY));
        output.extend(answer(Opcode::Text, payload));
        if payload.starts_with(b"h") {
            waits.push((input.len(), output.len()));
        }
    }
    (input, output, waits)
}

/// Hands in `pieces` as a driver does: what a session has not handled is handed in again, before
/// all that follows. Returns the output, and where in input and output it had to wait.
fn drive(bench: &mut Bench<Holding>, pieces: &[&[u8]]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut output, mut waits, mut handled) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (out, result) = bench.receive_some(rest);
            output.extend(out);
            let Handled::Until(at) = result else { break };
            handled += at;
            waits.push((handled, output.len()));
            rest = &rest[at..];
        }
        handled += rest.len();
    }
    (output, waits)
}

#[test]
fn what_follows_waits_wherever_the_input_is_cut() {
    let (input, output, waits) = conversation();
    assert_eq!(waits.len(), 7);
    for cut in 0..=input.len() {
        let mut bench = bench().opened();
        let (left, right) = input.split_at(cut);
        let (got, waited) = drive(&mut bench, &[left, right]);
        assert!(got == output, "cut at {cut}");
        assert_eq!(waited, waits, "cut at {cut}");
        assert_eq!(bench.service.seen.len(), 12);
    }
    let mut bench = bench().opened();
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(drive(&mut bench, &bytes), (output, waits));
}

/// It is not looked at, whatever it is: a violation, a close frame, half a frame.
#[test]
fn what_waits_is_not_looked_at() {
    for behind in [vec![0xFF; 20], frame(0x88, &[], KEY), vec![0x81], frame(0x89, b"p", KEY)] {
        let mut bench = bench().opened();
        let first = frame(0x81, b"h", KEY);
        let (out, handled) = bench.receive_some(&[&first[..], &behind].concat());
        assert_eq!(out, answer(Opcode::Text, b"h"));
        assert_eq!(handled, Handled::Until(first.len()));
        assert_eq!(bench.session.phase(), Phase::Open);
        assert!(bench.session.pending.is_none());
    }
}

#[test]
fn a_message_may_close_and_have_the_rest_wait() {
    let mut bench = bench().opened();
    let (first, second) = (frame(0x81, b"h c", KEY), frame(0x81, b"h", KEY));
    let (out, handled) = bench.receive_some(&[&first[..], &second].concat());
    assert_eq!(out, [answer(Opcode::Text, b"h c"), close_frame(1000, "as asked")].concat());
    assert_eq!((handled, bench.session.phase()), (Handled::Until(first.len()), Phase::Closing));
    assert_eq!(bench.receive(&second), b"", "nothing has a meaning any more");
    assert_eq!(bench.service.seen, [b"h c"]);
}

#[test]
fn all_may_wait_from_the_handshake_on() {
    let request = request("/wait");
    for cut in 0..request.len() {
        let mut bench = bench();
        assert_eq!(bench.receive(&request[..cut]), b"");
        let (out, handled) = bench.receive_some(&request[cut..]);
        assert!(out.starts_with(b"HTTP/1.1 101 "));
        assert_eq!(handled, Handled::Until(request.len() - cut), "cut at {cut}");
    }
}

/// A session whose handshake the service has not decided about, its head cut at `cut`.
fn deferred(cut: usize) -> Bench<Holding> {
    let (mut bench, request) = (bench(), request("/defer"));
    assert_eq!(bench.receive(&request[..cut]), b"");
    let (out, handled) = bench.receive_some(&request[cut..]);
    assert_eq!((out, handled), (Vec::new(), Handled::Until(request.len() - cut)), "cut at {cut}");
    assert_eq!(bench.session.phase(), Phase::Deciding);
    bench
}

fn respond(bench: &mut Bench<Holding>, decision: Result<(), Refusal>) -> Vec<u8> {
    let decision = decision.map(|()| None);
    bench.act(|session, now, pools, out| {
        session.respond(now, decision, pools, out, |_| {});
    })
}

/// A later decision may choose what an early one could have chosen: endpoint, subprotocol if the
/// client offers it, headers. What is sent at once follows the 101.
#[test]
fn a_deferred_handshake_is_accepted_with_what_is_chosen_later() {
    let offered = "Sec-WebSocket-Protocol: a, b\r\n\r\n";
    let request = String::from_utf8(request("/defer")).unwrap();
    let request = request.strip_suffix("\r\n").unwrap().to_owned() + offered;
    for (protocol, answered) in [(Some("b"), true), (Some("c"), false), (None, false)] {
        let mut bench = bench();
        assert_eq!(bench.receive_some(request.as_bytes()).0, b"");
        let mut headers = ExtraHeaders::new();
        headers.push("X-Later", "1").unwrap();
        let endpoint = EndpointId(7);
        let accept = Accept { endpoint, protocol: protocol.map(Into::into), headers };
        let mut is_open = false;
        let out = bench.act(|session, now, pools, out| {
            is_open = session.respond(now, Ok(Some(accept)), pools, out, |replies| {
                replies.send(Opcode::Text, b"hello");
            });
        });
        assert!(is_open);
        let greeting = answer(Opcode::Text, b"hello");
        let head = String::from_utf8(out.strip_suffix(&greeting[..]).unwrap().to_vec()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.ends_with("\r\nX-Later: 1\r\n\r\n"));
        assert_eq!(head.contains("\r\nSec-WebSocket-Protocol: b\r\n"), answered, "{head}");
        assert!(!head.contains("Protocol: c"));
        assert_eq!(bench.session.endpoint(), endpoint);
    }
}

#[test]
fn a_deferred_handshake_is_answered_as_an_undeferred_one() {
    let whole = bench().receive(&request("/chat"));
    for cut in 0..request("/defer").len() {
        let mut bench = deferred(cut);
        let input = frame(0x81, b"early", KEY);
        assert_eq!(bench.receive_some(&input), (Vec::new(), Handled::Until(0)));
        assert_eq!(respond(&mut bench, Ok(())), whole, "cut at {cut}");
        assert_eq!(bench.session.phase(), Phase::Open);
        assert_eq!(bench.receive(&input), answer(Opcode::Text, b"early"));
        assert_eq!(respond(&mut bench, Err(Rejection::Forbidden.into())), b"", "once");
        assert_eq!(bench.session.phase(), Phase::Open);
    }
}

#[test]
fn a_deferred_handshake_may_be_refused() {
    let mut bench = deferred(20);
    let answer = respond(&mut bench, Err(Refusal::saying(Rejection::Forbidden, "Not you.")));
    assert!(answer.starts_with(b"HTTP/1.1 403 ") && answer.ends_with(b"Not you.\n"));
    assert_eq!(bench.session.phase(), Phase::Lingering);
    bench.finish();
    assert_eq!(bench.service.ended, [CloseReason::Refused(Rejection::Forbidden)]);
}

#[test]
fn a_handshake_that_is_never_decided_is_answered_503() {
    let mut bench = deferred(0);
    let answer = bench.timeout();
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!((bench.now, bench.session.phase()), (Millis(5000), Phase::Lingering));
    assert_eq!(respond(&mut bench, Ok(())), b"", "too late");
    bench.finish();
    assert_eq!(bench.service.ended, [CloseReason::Refused(Rejection::Undecided)]);
}

#[test]
fn a_server_that_stops_answers_a_deferred_handshake_503() {
    let mut bench = deferred(0);
    let reason = CloseReason::Local(CloseCode::GOING_AWAY);
    let out = bench.act(|session, now, pools, out| session.close(now, reason, "stop", pools, out));
    assert!(out.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&out));
    assert_eq!(bench.session.phase(), Phase::Lingering);
}

#[test]
fn the_end_of_a_client_ends_a_deferred_handshake() {
    let mut bench = deferred(0);
    bench.session.abort(CloseReason::Broken);
    assert_eq!(respond(&mut bench, Ok(())), b"");
    bench.finish();
    assert_eq!(bench.service.ended, [CloseReason::Broken]);
}
