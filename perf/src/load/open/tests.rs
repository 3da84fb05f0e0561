//! All kinds of load over TLS, against corecast itself, and the record layer.

use std::time::Duration;

use corecast::app::echo::Echo as Echoes;
use corecast::config::Config;
use corecast::server::{Server, ServerHandle, allowed_cores};
use corecast::transport::tls::Tls as ServerTls;

use super::*;
use crate::load::{
    Content, Echo, Fanout, Handshakes, Idle, Length, Outcome, Pace, Plan, Work, run,
};

/// corecast with TLS on one core; it ends when it is dropped.
struct Secured(ServerHandle);

impl Secured {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let cores = allowed_cores().into_iter().take(1).collect();
        let server = Server::new(Config::default()).listen_tls(address).tls(tls).cores(cores);
        Self(server.start(|_, _| Echoes).unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.addresses()[0]
    }

    fn plan(&self, work: Work, length: Length, tls: Tls) -> Plan {
        Plan {
            address: self.address(),
            work,
            warm_up: Duration::ZERO,
            length,
            busy: false,
            verify: true,
            deflate: false,
            tls: Some(tls),
        }
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.0.stop();
        self.0.join().unwrap();
    }
}

fn load(plan: &Plan) -> Outcome {
    run(plan, &mut |_| Ok(())).unwrap()
}

const APART: Tls = Tls { apart: true, resume: false };

#[test]
fn messages_of_all_sizes_come_back() {
    let server = Secured::start();
    for tls in [Tls::default(), APART] {
        for (size, depth, count) in
            [(0, 3, 500), (20, 16, 2000), (16 << 10, 2, 100), (1 << 20, 3, 9)]
        {
            let (path, content) = (Some("/".to_owned()), Content::Binary);
            let pace = Pace::Depth(depth);
            let work = Work::Echo(Echo { path, connections: 4, size, content, pace });
            let outcome = load(&server.plan(work, Length::Count(count), tls));
            assert!(outcome.messages >= count, "{size} bytes, {tls:?}");
        }
    }
}

#[test]
fn an_open_loop_works_as_well() {
    let server = Secured::start();
    let (path, content, pace) = (Some("/".to_owned()), Content::Ascii, Pace::Rate(5000.0));
    let work = Work::Echo(Echo { path, connections: 3, size: 50, content, pace });
    assert!(load(&server.plan(work, Length::Count(500), APART)).messages >= 500);
}

#[test]
fn deliveries_reach_all_subscribers() {
    let server = Secured::start();
    for busy in [false, true] {
        let work = Work::Fanout(Fanout {
            subscriber: "/topics/x?role=sub".to_owned(),
            publisher: "/topics/x?role=pub".to_owned(),
            subscribe: None,
            subscribers: 10,
            size: 3000,
            burst: 8,
        });
        let plan = server.plan(work, Length::Count(20), Tls::default());
        assert_eq!(load(&Plan { busy, ..plan }).messages, 20 * 8 * 10);
    }
}

#[test]
fn handshakes_are_full_or_all_of_them_resumed() {
    let server = Secured::start();
    for resume in [false, true] {
        let work = Work::Handshakes(Handshakes { path: "/".to_owned(), concurrent: 5 });
        let tls = Tls { apart: false, resume };
        assert!(load(&server.plan(work, Length::Count(40), tls)).messages >= 40);
    }
}

#[test]
fn idle_connections_get_a_broadcast() {
    let server = Secured::start();
    let broadcast = Some("/topics/x?role=pub".to_owned());
    let path = "/topics/x?role=sub".to_owned();
    let work = Work::Idle(Idle { path, connections: 100, broadcast });
    let length = Length::Time(Duration::from_millis(20));
    let outcome = load(&server.plan(work, length, Tls::default()));
    assert!(outcome.messages == 100 && outcome.broadcast.is_some());
}

/// Opens a connection, and returns whether its session was resumed.
fn is_resumed(opener: &Opener, address: SocketAddr) -> bool {
    let mut stream = connect::dial(address, None, false).unwrap();
    let mut client = opener.handshake().unwrap().unwrap();
    let request = frames::request("/", address, &connect::random_key(), Offer::Nothing);
    client.send(request.as_bytes()).unwrap();
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while frames::head_end(&head).is_none() {
        client.flush(&stream).unwrap();
        let n = stream.read(&mut part).unwrap();
        assert!(n > 0);
        client.received(&part[..n]);
        while client.record(&mut head).unwrap() {}
    }
    client.is_resumed()
}

#[test]
fn only_a_server_that_knows_the_ticket_resumes() {
    let (one, other) = (Secured::start(), Secured::start());
    let opener = Opener::new(one.address(), Some(Tls { apart: false, resume: true })).unwrap();
    assert!(!is_resumed(&opener, one.address()));
    assert!(opener.tickets.as_ref().unwrap().count() > 0);
    assert!(is_resumed(&opener, one.address()));
    assert!(!is_resumed(&opener, other.address()));
    let without = Opener::new(one.address(), Some(Tls::default())).unwrap();
    assert!(!is_resumed(&without, one.address()));
    assert!(!is_resumed(&without, one.address()));
}

#[test]
fn a_server_without_tls_is_named() {
    let address = crate::load::fake::listen();
    let opener = Opener::new(address.local_addr().unwrap(), Some(Tls::default())).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = address.accept().unwrap();
        let _ = stream.read(&mut [0; 512]).unwrap();
        io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = opener.open("/x", Offer::Nothing, None).unwrap_err().to_string();
    server.join().unwrap();
    assert!(error.starts_with("opening 127.0.0.1:") && error.contains("/x by TLS: "), "{error}");
}
