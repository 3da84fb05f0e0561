//! Goal: refusals are visible. Requests answered with an error status and peers that break a rule
//! are counted, and logged with at most one line a second. Method: the command, refusals of several
//! kinds, its log lines and the totals in its last line.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::Server;
use crate::support::wire;
use rustix::process::Signal;

const FOREIGN_ORIGIN: &str = "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn refusals_and_broken_rules_are_counted_and_logged() {
    let mut server = Server::start(&["--allow-origin", "https://good.example"]);
    let requests =
        ["GET /elsewhere HTTP/9.9\r\nHost: h\r\n\r\n", "nonsense\r\n\r\n", FOREIGN_ORIGIN];
    for request in requests.iter().cycle().take(24) {
        let mut client = Client::connect(server.addr());
        client.send(request.as_bytes());
        let head = client.read_head();
        assert!(
            ["403", "505", "400"].iter().any(|status| head.status.contains(status)),
            "{head:?}"
        );
    }
    // An unmasked frame, text that is not UTF-8, and a reserved opcode.
    let faults = [
        vec![0x81, 0x01, b'a'],
        wire::frame(wire::FIN | wire::TEXT, &[0xFF]),
        wire::frame(0x83, b""),
    ];
    for fault in &faults {
        let mut client = Client::open(server.addr());
        client.send(fault);
        client.read_frame();
    }
    server.await_no_connections(Duration::from_secs(20));
    let log = server.log();
    let lines = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert!((1..=24).contains(&lines(" refused ")), "{log:?}");
    assert!((1..=3).contains(&lines(" broke a rule ")), "{log:?}");
    let named = "last=\"This origin is not allowed to connect: https://evil.example\"";
    assert!(lines(named) > 0, "{log:?}");
    server.signal(Signal::TERM);
    server.wait(Duration::from_secs(20)).expect("it stops");
    let last = server.log().pop().expect("a last line");
    assert!(last.contains("refused=24 violations=3"), "{last}");
    // By then each is in a line, also the last ones.
    assert_eq!((logged(&server, " refused "), logged(&server, " broke a rule ")), (24, 3));
}

/// The client is told by an alert; who runs the server, by the log.
#[test]
fn a_client_of_tls_is_logged_as_one() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    client.send(&[22, 3, 1, 2, 0, 1, 0, 1]);
    client.expect(&[21, 3, 3, 0, 2, 2, 40]);
    let limit = Duration::from_secs(20);
    let is_logged = || server.log().iter().any(|line| line.contains("does not speak TLS"));
    assert!(wait_until(limit, is_logged), "{:?}", server.log());
}

/// The sum of `connections` in the lines with this text.
fn logged(server: &Server, text: &str) -> u64 {
    let of = |line: &String| -> Option<u64> {
        let (_, rest) = line.split_once("connections=")?;
        rest.split(' ').next()?.parse().ok()
    };
    server.log().iter().filter(|line| line.contains(text)).filter_map(of).sum()
}

#[test]
fn without_refusals_nothing_is_logged_of_them() {
    let mut server = Server::start(&[]);
    Client::open(server.addr()).close();
    server.signal(Signal::TERM);
    server.wait(Duration::from_secs(20)).expect("it stops");
    let log = server.log();
    assert!(!log.iter().any(|line| line.contains(" refused ")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains(" broke a rule ")), "{log:?}");
}
