//! SIGTERM and SIGUSR2: readiness, the delay, the window and the code.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::life::{LIMIT, ask};
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Server, run};
use crate::support::wire::server_close;

const STOPPING: &str = "server is stopping";

fn refuses(server: &Server) -> bool {
    TcpStream::connect(server.addr()).is_err()
}

/// When each client was sent the close frame, since `start`; each answers with the end of its
/// connection.
fn told(clients: Vec<Client>, start: Instant, expected: &[u8]) -> Vec<Duration> {
    let wait = move |mut client: Client| {
        client.expect(expected);
        start.elapsed()
    };
    thread::scope(|scope| {
        let all: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(move || wait(client))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn with_nothing_to_lose_it_is_out_at_once_whatever_the_window() {
    let args = ["--drain-window", "3000", "--drain-timeout", "4000"];
    let mut server = Server::start(&args);
    drop(Client::open(server.addr()));
    server.await_no_connections(LIMIT);
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// Clients are told over the window, and not together. The last one ends the process.
#[test]
fn connections_are_closed_over_the_window_with_the_code_of_the_setting() {
    let window = Duration::from_secs(3);
    for (code, text) in [(1001, STOPPING), (1012, "server restarts")] {
        let number = code.to_string();
        let args = ["--drain-window", "3", "--drain-timeout", "60", "--drain-code", &number];
        let mut server = Server::start(&args);
        let clients: Vec<Client> = (0..60).map(|_| Client::open(server.addr())).collect();
        let start = Instant::now();
        server.signal(Signal::TERM);
        let times = told(clients, start, &server_close(code, text));
        let early = times.iter().filter(|time| **time < window / 4).count();
        let late = times.iter().filter(|time| **time > window / 2).count();
        assert!(early < 40 && late >= 10, "{times:?}");
        assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    }
}

/// The deadline counts from the signal, also for those that do not leave.
#[test]
fn the_deadline_cuts_who_does_not_leave() {
    let args = ["--drain-window", "1", "--drain-timeout", "2", "--close-timeout", "600"];
    let mut server = Server::start(&args);
    let clients: Vec<Client> = (0..10).map(|_| Client::open(server.addr())).collect();
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    assert!(start.elapsed() >= Duration::from_millis(1_990), "{:?}", start.elapsed());
    for mut client in clients {
        client.expect(&server_close(1001, STOPPING));
    }
}

/// The status of `/healthz` of the clients' port, on a connection that is kept.
fn health(client: &mut Client) -> u16 {
    client.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.read_head();
    client.read_bytes(head.get("Content-Length").unwrap().parse().unwrap());
    head.status.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A load balancer sees that the server is not ready before anybody is refused, whichever port it
/// asks.
#[test]
fn readiness_is_off_before_anything_is_refused() {
    for (signal, ends) in [(Signal::TERM, true), (Signal::USR2, false)] {
        let args = ["--admin", "127.0.0.1:0", "--drain-delay", "3", "--drain-timeout", "60"];
        let mut server = Server::start(&args);
        readiness_is_off(&server, signal);
        if !ends {
            server.signal(Signal::TERM);
        }
        assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    }
}

fn readiness_is_off(server: &Server, signal: Signal) {
    let admin = server.admin();
    assert_eq!(ask(admin, "GET", "/readyz").0, 200);
    let mut before = Client::open(server.addr());
    let mut kept = Client::connect(server.addr());
    assert_eq!((health(&mut kept), ask(server.addr(), "GET", "/healthz").0), (200, 200));
    let start = Instant::now();
    server.signal(signal);
    assert!(wait_until(LIMIT, || ask(admin, "GET", "/readyz").0 == 503));
    let during = TcpStream::connect(server.addr());
    if start.elapsed() < Duration::from_secs(2) {
        assert_eq!(health(&mut kept), 503, "on a kept connection");
        let mut during = Client::from_stream(during.expect("a server that accepts"));
        assert_eq!(health(&mut during), 503, "on a new connection");
        during.open_at("/", "");
        before.expect_alive();
    }
    before.expect(&server_close(1001, STOPPING));
    assert!(start.elapsed() >= Duration::from_millis(2_990), "{:?}", start.elapsed());
    assert!(wait_until(LIMIT, || refuses(server)));
}

/// A second one changes nothing; SIGTERM ends the process.
#[test]
fn sigusr2_drains_and_stays() {
    let mut server = Server::start(&["--admin", "127.0.0.1:0"]);
    let admin = server.admin();
    let mut client = Client::open(server.addr());
    server.signal(Signal::USR2);
    client.expect(&server_close(1001, STOPPING));
    drop(client);
    assert!(wait_until(LIMIT, || refuses(&server)));
    server.signal(Signal::USR2);
    let says = |text: &str| server.log().iter().any(|line| line.contains(text));
    assert!(wait_until(LIMIT, || says("draining already")), "{:?}", server.log());
    assert_eq!(ask(admin, "GET", "/readyz").0, 503);
    assert_eq!(ask(admin, "GET", "/healthz").0, 200);
    assert!(server.is_running());
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// The delay and the window leave time before the deadline, or the start fails.
#[test]
fn times_that_do_not_fit_are_refused() {
    for (delay, window, timeout, is_good) in [
        ("0", "8", "9", true),
        ("4", "4", "9", true),
        ("4", "5", "9", false),
        ("0", "9", "9", false),
    ] {
        let args = ["serve", "--print-config", "--drain-delay", delay, "--drain-window", window];
        let timeout = ["--drain-timeout", timeout];
        let command = crate::support::server::command(&[&args[..], &timeout].concat());
        let end = run(command, LIMIT);
        assert_eq!(end.status.success(), is_good, "{delay} {window}: {end:?}");
        assert!(is_good || end.stderr.contains("are not less than `--drain-timeout`"), "{end:?}");
    }
}
