//! Plain requests: one after the other, with bodies, and a handshake as a later one.

use super::{Bench, ID, REQUEST, frame};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::protocol::http::{Request as PlainRequest, Response, Status};
use crate::protocol::websocket::handshake::{Rejection, Request};
use crate::session::{
    Accept, CloseReason, Handled, Inbound, Message, Phase, Replies, Session, Terms, Verdict,
};

/// Answers with what was asked for.
#[derive(Debug, Default)]
struct Mirror {
    requests: usize,
    ended: Vec<CloseReason>,
}

impl Inbound for Mirror {
    fn upgrade(&mut self, _: ConnectionId, _: &Request<'_>, _: Terms<'_>) -> Verdict {
        Verdict::Accept(Accept::default())
    }

    fn request(&mut self, id: ConnectionId, request: &PlainRequest<'_>) -> Option<Response> {
        assert_eq!(id, ID);
        self.requests += 1;
        let body = String::from_utf8_lossy(request.body);
        let text = format!("{} {} {body}\n", request.method, request.target);
        Some(match request.path {
            "/later" => return None,
            "/none" => Response::new(Status::NO_CONTENT),
            "/missing" => Response::text(Status::NOT_FOUND, text),
            _ => Response::text(Status::OK, text),
        })
    }

    fn wants_body(&self, request: &PlainRequest<'_>) -> bool {
        request.path != "/discard"
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        replies.echo(message);
    }

    fn closed(
        &mut self,
        _: ConnectionId,
        _: crate::session::EndpointId,
        reason: CloseReason,
        _: &str,
    ) {
        self.ended.push(reason);
    }
}

fn bench() -> Bench<Mirror> {
    Bench::of(Mirror::default(), Config::default())
}

fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n").into_bytes()
}

fn post(path: &str, more: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n{body}").into_bytes()
}

/// A response with a body of text.
fn text(status: &str, connection: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let connection = match connection {
        "" => String::new(),
        option => format!("Connection: {option}\r\n"),
    };
    format!(
        "HTTP/1.1 {status}\r\n{connection}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    text("200 OK", "", body)
}

/// What is said to `input`, in one piece, cut at every byte, and byte by byte; all must be alike.
/// What is not handled is passed again.
fn all_ways(input: &[u8]) -> (Vec<u8>, Phase) {
    let run = |pieces: &[&[u8]]| {
        let mut bench = bench();
        let mut said = Vec::new();
        for piece in pieces {
            let mut rest = piece.to_vec();
            while !rest.is_empty() {
                let (out, handled) = bench.receive_some(&rest);
                said.extend(out);
                match handled {
                    Handled::All => rest.clear(),
                    Handled::Paused(at) | Handled::Until(at) => drop(rest.drain(..at)),
                }
            }
        }
        (said, bench.session.phase())
    };
    let whole = run(&[input]);
    for cut in 1..input.len() {
        let (left, right) = input.split_at(cut);
        assert_eq!(run(&[left, right]), whole, "cut at {cut}: {}", input.escape_ascii());
    }
    assert_eq!(run(&input.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

#[test]
fn requests_of_a_connection_are_answered_in_their_order() {
    let input = [
        get("/a", ""),
        b"\r\n".to_vec(),
        get("/missing", "X: y\r\n"),
        b"HEAD /c HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        get("/none", ""),
        post("/d", "Content-Length: 5\r\n", "hello"),
        post("/e", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n1;x=y\r\n!\r\n0\r\nT: u\r\n\r\n"),
        post("/discard", "Content-Length: 3\r\n", "abc"),
        post("/f", "Content-Length: 0\r\n", ""),
        b"GET /g HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
        get("/h", "Connection: close\r\n"),
        get("/never", ""),
    ]
    .concat();
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\n";
    let expected = [
        ok("GET /a \n"),
        text("404 Not Found", "", "GET /missing \n"),
        head.to_vec(),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        ok("POST /d hello\n"),
        ok("POST /e hi!\n"),
        ok("POST /discard \n"),
        ok("POST /f \n"),
        text("200 OK", "keep-alive", "GET /g \n"),
        text("200 OK", "close", "GET /h \n"),
    ]
    .concat();
    let (said, phase) = all_ways(&input);
    assert_eq!(String::from_utf8_lossy(&said), String::from_utf8_lossy(&expected));
    assert_eq!(phase, Phase::Lingering);
}

#[test]
fn a_later_request_may_open_a_websocket() {
    let before = [get("/a", ""), post("/b", "Content-Length: 2\r\n", "xy")].concat();
    let (said, phase) = all_ways(&[&before, REQUEST].concat());
    assert_eq!(phase, Phase::Open);
    let answers = [ok("GET /a \n"), ok("POST /b xy\n")].concat();
    assert!(said.starts_with(&answers));
    assert!(said[answers.len()..].starts_with(b"HTTP/1.1 101 "));
    // It is one like any other: nothing of HTTP is left.
    let mut bench = bench();
    bench.receive(&before);
    bench.receive(REQUEST);
    assert_eq!((bench.session.phase(), bench.session.memory()), (Phase::Open, 0));
    assert_eq!(bench.pools.ledger.used(), 0);
    assert_eq!(bench.receive(&frame(0x81, b"hello", [7; 4])), b"\x81\x05hello");
    bench.act(|session, _, _, _| session.receive_eof());
    bench.finish();
    assert_eq!(bench.service.ended, [CloseReason::Eof]);
}

#[test]
fn what_ends_a_connection_is_answered_once() {
    let length = |value: &str| post("/", &format!("Content-Length: {value}\r\n"), "");
    let chunked = |body: &str| post("/", "Transfer-Encoding: chunked\r\n", body);
    for (input, status, is_head) in [
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n".to_vec(), "505", false),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "400", false),
        (b"HEAD / HTTP/2.0\r\nHost: h\r\n\r\n".to_vec(), "505", true),
        (b"\r\nHEAD / HTTP/1.1\r\nX Y\r\n\r\n".to_vec(), "400", true),
        (get(&format!("/{}", "p".repeat(9_000)), ""), "414", false),
        (get("/", &"X: y\r\n".repeat(70)), "431", false),
        (length("1048577"), "413", false),
        (length("99999999999999999999999"), "413", false),
        (length("+5"), "400", false),
        (
            post("/", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            "400",
            false,
        ),
        (post("/", "Transfer-Encoding: gzip, chunked\r\n", ""), "501", false),
        (post("/", "Expect: 200-ok\r\nContent-Length: 1\r\n", ""), "417", false),
        (chunked("x\r\n"), "400", false),
        (chunked("100001\r\n"), "413", false),
        (chunked("1\r\nabc"), "400", false),
        ([&REQUEST[..REQUEST.len() - 2], b"Content-Length: 1\r\n\r\nx"].concat(), "400", false),
        ([REQUEST, b"GET / HTTP/1.1\r\n"].concat(), "400", false),
    ] {
        let input = [get("/first", ""), input].concat();
        // What comes behind a handshake is early only if it comes with it.
        let is_early = input.ends_with(b"GET / HTTP/1.1\r\n");
        let (said, phase) = if is_early {
            let mut bench = bench();
            (bench.receive(&input), bench.session.phase())
        } else {
            all_ways(&input)
        };
        let first = ok("GET /first \n");
        assert!(said.starts_with(&first), "{}", input.escape_ascii());
        let answer = String::from_utf8_lossy(&said[first.len()..]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count() - answer.matches("use HTTP/1.1").count(), 1);
        assert_eq!(answer.ends_with("\r\n\r\n"), is_head, "{answer}");
        assert_eq!(phase, Phase::Lingering, "{answer}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on() {
    let head = post("/", "Expect: 100-continue\r\nContent-Length: 2\r\n", "");
    let mut slow = bench();
    assert_eq!(slow.receive(&head), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(slow.receive(b"h"), b"");
    assert_eq!(slow.receive(b"i"), ok("POST / hi\n"));
    // One that does not wait has no use for that.
    let mut quick = bench();
    assert_eq!(quick.receive(&[&head[..], b"hi"].concat()), ok("POST / hi\n"));
    // HTTP/1.0 does not know it, and without a body there is nothing to wait for.
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(bench().receive(old), b"");
    let empty = post("/", "Expect: 100-continue\r\nContent-Length: 0\r\n", "");
    assert_eq!(bench().receive(&empty), ok("POST / \n"));
}

#[test]
fn a_connection_without_a_request_ends_in_time() {
    let mut bench = bench();
    bench.receive(&get("/", ""));
    assert_eq!(bench.session.deadline(), Millis(60_000));
    // While answers are still to be read, it has more time.
    bench.backlog = 1;
    assert_eq!(bench.timeout(), b"");
    assert_eq!(
        (bench.session.phase(), bench.session.deadline()),
        (Phase::Request, Millis(120_000))
    );
    bench.backlog = 0;
    assert_eq!(bench.timeout(), b"");
    assert_eq!(bench.session.phase(), Phase::Lingering);
    assert_eq!(bench.session.reason(), Some(CloseReason::Answered));
    // What comes too late is not answered.
    assert_eq!(bench.receive(&get("/", "")), b"");
}

#[test]
fn later_requests_have_the_time_of_the_first() {
    let mut bench = bench();
    bench.receive(&get("/", ""));
    bench.now = Millis(30_000);
    let (begun, rest) = (&get("/", "")[..9], &get("/", "")[9..]);
    bench.receive(begun);
    assert_eq!(bench.session.deadline(), Millis(35_000));
    bench.now = Millis(34_000);
    assert_eq!(bench.receive(rest), ok("GET / \n"));
    assert_eq!(bench.session.deadline(), Millis(94_000));
    // A body has 30 s from the end of its head.
    bench.receive(&post("/", "Content-Length: 9\r\n", "x"));
    assert_eq!(bench.session.deadline(), Millis(64_000));
    bench.now = Millis(60_000);
    bench.receive(b"yz");
    assert_eq!(bench.session.deadline(), Millis(64_000));
    let late = bench.timeout();
    assert!(late.starts_with(b"HTTP/1.1 408 "), "{}", late.escape_ascii());
    assert_eq!(bench.session.reason(), Some(CloseReason::Refused(Rejection::Timeout)));
    assert_eq!(bench.pools.ledger.used(), 0);
}

#[test]
fn a_server_that_stops_answers_503() {
    let close = |bench: &mut Bench<Mirror>| {
        let reason = CloseReason::Local(crate::protocol::websocket::CloseCode::GOING_AWAY);
        bench.act(|session, now, pools, out| session.close(now, reason, "stops", pools, out))
    };
    // In the midst of a body at once.
    let mut body = bench();
    body.receive(&post("/", "Content-Length: 9\r\n", "x"));
    assert!(close(&mut body).starts_with(b"HTTP/1.1 503 "));
    // Between two requests to the next one, if it comes soon.
    let mut next = bench();
    next.receive(&get("/", ""));
    assert_eq!(close(&mut next), b"");
    let answer = next.receive(&get("/healthz", ""));
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", answer.escape_ascii());
    let mut head = bench();
    head.receive(&get("/", ""));
    close(&mut head);
    let answer = head.receive(b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 503 ") && answer.ends_with(b"\r\n\r\n"));
    let mut none = bench();
    none.receive(&get("/", ""));
    close(&mut none);
    assert_eq!(none.session.deadline(), Millis(100));
    assert_eq!(none.timeout(), b"");
    assert_eq!(none.session.phase(), Phase::Lingering);
}

#[test]
fn what_a_request_holds_is_charged_and_freed() {
    let mut bench = bench();
    let body = "x".repeat(10_000);
    let request = post("/", "Content-Length: 20000\r\n", &body);
    bench.receive(&request[..20]);
    assert!(bench.session.memory() >= 20);
    bench.receive(&request[20..]);
    let held = bench.session.memory();
    assert!(held > 10_000 && bench.pools.ledger.used() == held, "{held}");
    bench.receive(body.as_bytes());
    assert_eq!((bench.session.memory(), bench.pools.ledger.used()), (0, 0));
    // What is not wanted is not held.
    bench.receive(&post("/discard", "Content-Length: 20000\r\n", &body));
    assert!(bench.session.memory() < 500, "{}", bench.session.memory());
    // Nor what was only declared.
    bench.receive(body.as_bytes());
    bench.receive(&post("/", "Content-Length: 1000000\r\n", ""));
    assert!(bench.session.memory() < 500, "{}", bench.session.memory());
}

#[test]
fn many_requests_in_one_receive_are_paused() {
    let mut bench = bench();
    bench.pools.work.begin_turn();
    bench.pools.work.allow(20_000);
    let one = get("/", "");
    let (said, handled) = bench.receive_some(&one.repeat(100));
    let Handled::Paused(at) = handled else { panic!("{handled:?}") };
    let count = at / one.len();
    assert!(at % one.len() == 0 && (2..50).contains(&count), "{at}");
    assert_eq!(said, ok("GET / \n").repeat(count));
    // With nothing left, one is answered.
    let (said, handled) = bench.receive_some(&one.repeat(3));
    assert_eq!((said, handled), (ok("GET / \n"), Handled::Paused(one.len())));
    assert_eq!(bench.service.requests, count + 1);
}

#[test]
fn a_body_is_read_in_pieces() {
    let mut bench = bench();
    bench.receive(&post("/discard", "Transfer-Encoding: chunked\r\n", ""));
    let body = b"1\r\nx\r\n".repeat(2_500);
    for (units, least, most) in [(0, 4_000, 4_200), (20_000, 4_200, 12_000)] {
        bench.pools.work.begin_turn();
        bench.pools.work.allow(units);
        let (said, handled) = bench.receive_some(&body);
        let Handled::Paused(at) = handled else { panic!("{handled:?}") };
        assert!(said.is_empty() && (least..most).contains(&at), "{units}: {at}");
        // The next piece begins with a chunk again.
        bench.pools.work.allow(u64::MAX);
        bench.receive(&body[at..at.next_multiple_of(6)]);
    }
    bench.receive(&body);
    assert_eq!(bench.receive(b"0\r\n\r\n"), ok("POST /discard \n"));
}

#[test]
fn random_requests_are_answered_alike_however_they_are_split() {
    let mut rng = fastrand::Rng::with_seed(9112);
    for _ in 0..60 {
        let mut input = Vec::new();
        for _ in 0..rng.usize(1..6) {
            input.extend(match rng.u8(..7) {
                0 => post("/d", "Content-Length: 3\r\n", "abc"),
                1 => post("/e", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
                2 => b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
                3 => b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
                4 => b"\r\n".to_vec(),
                _ => get("/x", "X: y\r\n"),
            });
        }
        if rng.bool() {
            let at = rng.usize(..input.len());
            input[at] = rng.u8(..);
        }
        all_ways(&input);
    }
}

#[test]
fn a_server_without_room_answers_503() {
    let mut full = bench();
    full.session = Session::new(ID, Millis(0), &Config::default(), true);
    let answer = full.receive(&get("/", ""));
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", answer.escape_ascii());
    assert_eq!(full.session.phase(), Phase::Lingering);
}
