//! Handshakes that another thread decides about, and answers of any kind.

use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use corecast::app::{Accept, Context, Decision, Handler, SendError, Upgrade};
use corecast::config::Config;
use corecast::protocol::http::{Response, Status};
use corecast::protocol::websocket::handshake::{Refusal, Rejection, Request};
use corecast::session::{CloseReason, Message};

use super::{Log, expect, say};
use crate::support::client::{Client, End, request_to};
use crate::support::host::wait_until;
use crate::support::library::Embedded;

const LIMIT: Duration = Duration::from_secs(20);

/// State that stays on its core.
type Name = Rc<String>;

/// Passes the decision about `/later` on, decides about `/now` before it returns, and refuses all
/// other paths at once.
struct Gate {
    decisions: Sender<Decision<Name>>,
    log: Log,
}

impl Handler for Gate {
    type Connection = Name;
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<Name> {
        accept.first_protocol(request);
        match request.path {
            "/later" => {
                let (later, decision) = accept.decide_later();
                self.decisions.send(decision).unwrap();
                later
            }
            "/now" => {
                let (later, decision) = accept.decide_later();
                decision.accept(|| Rc::new("now".to_owned())).unwrap();
                later
            }
            "/lost" => {
                let (_, lost) = accept.decide_later::<Name>();
                let (later, decision) = accept.decide_later();
                assert!(!lost.is_open() && decision.is_open());
                assert_eq!(lost.refuse(Rejection::NotFound), Err(SendError::Gone));
                drop(decision);
                later
            }
            path => Upgrade::refuse(answer(path)),
        }
    }

    fn open(&mut self, name: &mut Name, cx: &mut Context<'_, '_>) {
        cx.text(&format!("hello {name}")).unwrap();
    }

    fn message<'a>(&mut self, name: &mut Name, message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.text(&format!("{name}: {}", message.text().unwrap())).unwrap();
    }

    fn close(&mut self, name: Name, reason: CloseReason, _: &mut corecast::app::CloseContext<'_>) {
        self.log.lock().unwrap().push(format!("{name} {reason}"));
    }
}

/// A response by the path.
fn answer(path: &str) -> Refusal {
    let ask = |name, value| Response::text(Status::UNAUTHORIZED, "{}").with_header(name, value);
    match path {
        "/401" => ask("WWW-Authenticate", "Bearer").unwrap().into(),
        "/302" => {
            let response = Response::new(Status::FOUND).with_header("Location", "/other");
            response.unwrap().into()
        }
        "/204" => Response::text(Status::NO_CONTENT, "not sent").into(),
        "/599" => Response::new(Status::new(599).unwrap()).with_body(vec![0xff; 1 << 20]).into(),
        _ => Rejection::NotFound.into(),
    }
}

fn gate(config: Config) -> (Embedded, Receiver<Decision<Name>>, Log) {
    let (decisions, queue) = channel();
    let log = Log::default();
    let notes = Log::clone(&log);
    let make = move |_, _: &_| Gate { decisions: decisions.clone(), log: Log::clone(&notes) };
    (Embedded::start_with(config, make), queue, log)
}

/// A client whose handshake is held, and the decision about it.
fn held(server: &Embedded, queue: &Receiver<Decision<Name>>) -> (Client, Decision<Name>) {
    let mut client = Client::connect(server.addr());
    client.send(&request_to("/later", "Sec-WebSocket-Protocol: a, b\r\n"));
    let decision = queue.recv_timeout(LIMIT).unwrap();
    assert!(decision.is_open());
    (client, decision)
}

fn gone(decision: Decision<Name>) {
    assert!(wait_until(LIMIT, || !decision.is_open()));
    assert_eq!(decision.accept(|| unreachable!("not made")), Err(SendError::Gone));
}

fn connections(server: &Embedded) -> usize {
    server.handle().stats().iter().map(|stats| stats.connections).sum()
}

#[test]
fn another_thread_accepts_and_what_was_sent_early_waits() {
    let (server, queue, log) = gate(Config::default());
    let (mut client, mut decision) = held(&server, &queue);
    for text in ["one", "two"] {
        say(&mut client, text);
        thread::sleep(Duration::from_millis(20));
    }
    let (early, end) = client.read_to_end(Duration::from_millis(100));
    assert_eq!((early, end), (Vec::new(), End::Open));
    assert_eq!(decision.answer.protocol.as_deref(), Some("a"));
    decision.answer.protocol = Some("b".into());
    decision.answer.header("X-Later", "yes").unwrap();
    let name = "ann".to_owned();
    thread::spawn(move || decision.accept(|| Rc::new(name)).unwrap()).join().unwrap();
    let head = client.read_head();
    assert_eq!(head.status, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(head.get("Sec-WebSocket-Protocol"), Some("b"));
    assert_eq!(head.get("X-Later"), Some("yes"));
    ["hello ann", "ann: one", "ann: two"].iter().for_each(|text| expect(&mut client, text));
    say(&mut client, "three");
    expect(&mut client, "ann: three");
    client.close();
    super::wait_for(&log, "ann closed by the peer");
}

#[test]
fn a_decision_before_upgrade_returns_counts_as_well() {
    let (server, _queue, _) = gate(Config::default());
    let mut client = Client::connect(server.addr());
    client.open_at("/now", "");
    expect(&mut client, "hello now");
    let mut lost = Client::connect(server.addr());
    lost.send(&request_to("/lost", ""));
    assert!(lost.read_head().status.contains(" 503 "));
}

#[test]
fn a_refusal_has_any_status_headers_and_body() {
    let (server, queue, log) = gate(Config::default());
    let refused = |path: &str, is_late: bool| {
        let mut client = if is_late {
            let (client, decision) = held(&server, &queue);
            let refusal = answer(path);
            thread::spawn(move || decision.refuse(refusal).unwrap());
            client
        } else {
            let mut client = Client::connect(server.addr());
            client.send(&request_to(path, ""));
            client
        };
        let head = client.read_head();
        let (body, end) = client.read_to_end(LIMIT);
        assert_eq!((head.get("Connection"), end), (Some("close"), End::Fin));
        (head, body)
    };
    for is_late in [false, true] {
        let (head, body) = refused("/401", is_late);
        assert_eq!(head.status, "HTTP/1.1 401 Unauthorized");
        assert_eq!((head.get("WWW-Authenticate"), body), (Some("Bearer"), b"{}".to_vec()));
        let (head, body) = refused("/302", is_late);
        assert_eq!(head.status, "HTTP/1.1 302 Found");
        assert_eq!((head.get("Location"), body), (Some("/other"), Vec::new()));
        let (head, body) = refused("/204", is_late);
        assert_eq!(head.status, "HTTP/1.1 204 No Content");
        assert_eq!((head.get("Content-Length"), body), (None, Vec::new()));
        let (head, body) = refused("/599", is_late);
        assert!(head.status.starts_with("HTTP/1.1 599"));
        assert!(body == vec![0xff; 1 << 20], "{} bytes", body.len());
    }
    assert!(log.lock().unwrap().is_empty(), "none was opened");
    let refused = || server.handle().stats().iter().map(|stats| stats.worker.refused).sum::<u64>();
    assert!(wait_until(LIMIT, || refused() == 8), "{} instead of 8", refused());
}

#[test]
fn an_undecided_handshake_is_refused() {
    let (server, queue, log) = gate(Config::default());
    let (mut client, decision) = held(&server, &queue);
    drop(decision);
    assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
    let (mut client, decision) = held(&server, &queue);
    decision.accept(|| panic!("no state")).unwrap();
    assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
    let panics: u64 = server.handle().stats().iter().map(|stats| stats.app.panics).sum();
    assert_eq!(panics, 1);
    assert!(log.lock().unwrap().is_empty(), "none was opened");
}

#[test]
fn the_wait_ends_with_the_handshake_timeout() {
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_millis(300);
    let (server, queue, log) = gate(config);
    let (mut client, decision) = held(&server, &queue);
    say(&mut client, "early");
    assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
    assert!(!decision.is_open(), "told before the client is answered");
    gone(decision);
    let (_, end) = client.read_to_end(LIMIT);
    assert_eq!(end, End::Fin);
    assert!(wait_until(LIMIT, || connections(&server) == 0));
    assert!(log.lock().unwrap().is_empty(), "none was opened");
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let (server, queue, log) = gate(Config::default());
    let (client, decision) = held(&server, &queue);
    client.finish();
    gone(decision);
    let (client, decision) = held(&server, &queue);
    client.reset();
    gone(decision);
    let (client, decision) = held(&server, &queue);
    drop(client);
    gone(decision);
    assert!(wait_until(LIMIT, || connections(&server) == 0));
    // What was sent early is handled before the FIN behind it.
    let (mut client, decision) = held(&server, &queue);
    say(&mut client, "early");
    client.finish();
    thread::sleep(Duration::from_millis(50));
    decision.accept(|| Rc::new("eve".to_owned())).unwrap();
    client.read_head();
    ["hello eve", "eve: early"].iter().for_each(|text| expect(&mut client, text));
    client.expect_end(b"");
    super::wait_for(&log, "eve ended by the peer without a close frame");
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[test]
fn a_server_that_stops_does_not_wait() {
    let (server, queue, _) = gate(Config::default());
    let (mut client, decision) = held(&server, &queue);
    server.handle().drain();
    assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
    client.finish();
    gone(decision);
    let (server, queue, _) = gate(Config::default());
    let (_client, decision) = held(&server, &queue);
    server.handle().stop();
    server.handle().join().unwrap();
    gone(decision);
}

/// A state without size stands for any other, so one too many taken would close the rest.
struct Unit(Sender<Decision<()>>);

impl Handler for Unit {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        if request.path != "/later" {
            return Upgrade::Accept(());
        }
        let (later, decision) = accept.decide_later();
        self.0.send(decision).unwrap();
        later
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

#[test]
fn handshakes_that_end_undecided_take_no_state_of_others() {
    let (decisions, queue) = channel();
    let server = Embedded::start_with(Config::default(), move |_, _| Unit(decisions.clone()));
    let mut open: Vec<Client> = (0..4).map(|_| Client::open(server.addr())).collect();
    for _ in 0..4 {
        let mut client = Client::connect(server.addr());
        client.send(&request_to("/later", ""));
        let decision = queue.recv_timeout(LIMIT).unwrap();
        client.finish();
        assert!(wait_until(LIMIT, || !decision.is_open()));
    }
    assert!(wait_until(LIMIT, || connections(&server) == 4));
    for client in &mut open {
        say(client, "still here");
        expect(client, "still here");
    }
}

/// No decision is lost, whether its core sleeps or not.
#[test]
fn many_decisions_of_many_threads_are_all_answered() {
    let (server, queue, _) = gate(Config::default());
    for _ in 0..20 {
        let (clients, decisions): (Vec<_>, Vec<_>) = (0..20).map(|_| held(&server, &queue)).unzip();
        let deciders: Vec<_> = decisions
            .into_iter()
            .enumerate()
            .map(|(at, decision)| {
                thread::spawn(move || match at % 3 {
                    0 => decision.accept(|| Rc::new("x".to_owned())).unwrap(),
                    1 => decision.refuse(Rejection::Forbidden).unwrap(),
                    _ => drop(decision),
                })
            })
            .collect();
        for (at, mut client) in clients.into_iter().enumerate() {
            let status = [" 101 ", " 403 ", " 503 "][at % 3];
            assert!(client.read_head().status.contains(status));
            if at % 3 == 0 {
                expect(&mut client, "hello x");
            }
        }
        deciders.into_iter().for_each(|decider| decider.join().unwrap());
    }
}
