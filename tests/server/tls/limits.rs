//! TLS connections above the limit.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use corecast::config::Config;

use super::Running;
use super::client::{End, TlsClient};
use crate::certificates::Pair;
use crate::support::client::{Head, PATIENCE, request_to};
use crate::support::host::wait_until;

fn full(pair: &Pair) -> (Running, TlsClient) {
    let mut config = Config::default();
    config.limits.max_connections = 1;
    // One loop, so that the limit is reached by one client.
    let server = Running::start_on_one_core(pair.tls(), config);
    let client = TlsClient::open(server.tls(), pair.client(), "/");
    (server, client)
}

/// The handshake is done for a connection above the limit too, and the answer is 503.
#[test]
fn a_full_server_answers_503_over_tls() {
    let pair = Pair::new(&["localhost"]);
    let (server, mut first) = full(&pair);
    for _ in 0..20 {
        let mut late = TlsClient::connect(server.tls(), pair.client());
        late.send(&request_to("/", ""));
        let (answer, end) = late.read_to_end();
        let (head, _) = Head::parse(&answer).unwrap();
        assert_eq!(head.status, "HTTP/1.1 503 Service Unavailable");
        assert_eq!((head.get("Retry-After"), end), (Some("1"), End::Notified));
    }
    first.echo(b"still served");
    first.close();
    let served = wait_until(PATIENCE, || {
        let mut client = TlsClient::connect(server.tls(), pair.client());
        client.send(&request_to("/", ""));
        client.try_read_head().is_ok_and(|head| head.status == "HTTP/1.1 101 Switching Protocols")
    });
    assert!(served, "no place after one has left");
}

/// Silent connections hold all slots above the limit. Each is ended in its turn, within moments, so
/// that others get theirs; one that has not done its handshake by then cannot be answered.
#[test]
fn silent_connections_do_not_keep_tls_clients_waiting() {
    let pair = Pair::new(&["localhost"]);
    let (server, mut first) = full(&pair);
    let silent: Vec<TcpStream> =
        (0..1_000).map(|_| TcpStream::connect(server.tls()).unwrap()).collect();
    let began = Instant::now();
    let mut answered = 0;
    for _ in 0..10 {
        let stream = TcpStream::connect(server.tls()).unwrap();
        answered += u32::from(TlsClient::try_refused(stream, &pair));
    }
    println!("{answered} of 10 were answered over TLS in {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    first.echo(b"still served");
    first.close();
    drop(silent);
}

/// The status of a connection that is refused, over TLS.
fn refused(server: &Running, pair: &Pair) -> String {
    let mut client = TlsClient::connect(server.tls(), pair.client());
    client.send(&request_to("/", ""));
    let (answer, end) = client.read_to_end();
    assert_eq!(end, End::Notified);
    Head::parse(&answer).unwrap().0.status
}

/// A connection that has not done its handshake of TLS is one in progress.
#[test]
fn handshakes_of_tls_are_handshakes_in_progress() {
    let pair = Pair::new(&["localhost"]);
    let mut config = Config::default();
    config.limits.max_handshakes = Some(2);
    config.timeouts.handshake = Duration::from_secs(600);
    let server = Running::start_on_one_core(pair.tls(), config);
    // None if the loop does not answer at once.
    let connections = || server.0.stats().first().map(|one| one.connections);
    let first = TcpStream::connect(server.tls()).unwrap();
    assert!(wait_until(PATIENCE, || connections() == Some(1)));
    let mut open = TlsClient::open(server.tls(), pair.client(), "/");
    let second = TcpStream::connect(server.tls()).unwrap();
    assert!(wait_until(PATIENCE, || connections() == Some(3)));
    assert_eq!(refused(&server, &pair), "HTTP/1.1 503 Service Unavailable");
    drop((first, second));
    assert!(wait_until(PATIENCE, || connections() == Some(1)));
    TlsClient::open(server.tls(), pair.client(), "/").close();
    open.echo(b"still served");
}

/// Addresses are counted on all listeners together, and the answer comes over TLS.
#[test]
fn an_address_beyond_its_limit_is_told_so_over_tls() {
    let pair = Pair::new(&["localhost"]);
    let mut config = Config::default();
    config.limits.max_connections_per_address = Some(2);
    let server = Running::start_with(pair.tls(), config);
    let _plain = crate::support::client::Client::open(server.plain());
    let mut open = TlsClient::open(server.tls(), pair.client(), "/");
    assert_eq!(refused(&server, &pair), "HTTP/1.1 429 Too Many Requests");
    open.echo(b"still served");
}
