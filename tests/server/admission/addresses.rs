//! Goal: an address has as many connections as it may, on all cores together.

use super::*;

const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [127, 0, 0, 2];

#[test]
fn one_connection_more_than_the_limit() {
    for limit in [1, 2, 30] {
        let server = Limited::start(|config| {
            config.limits.max_connections_per_address = Some(limit);
        });
        let mut clients = Vec::new();
        for number in 1..=limit + 1 {
            let mut client = connect_from(HERE, server.addr());
            let answer = ask(&mut client, b"", "");
            if number <= limit {
                assert_eq!(answer.0, 101, "{number} of {limit}");
                clients.push(client);
            } else {
                assert_eq!(answer, refused(TOO_MANY, 429), "{number} of {limit}");
                client.expect_end(b"");
            }
        }
        assert_eq!(server.counts().0.connections, 1);
        // Another address has its own, and those that are there go on.
        let mut others: Vec<Client> = (0..limit).map(|_| open_from(THERE, server.addr())).collect();
        clients.iter_mut().chain(&mut others).for_each(Client::expect_alive);
        // A place that is free is for the next one.
        let before = server.connections();
        clients.pop().unwrap().close();
        server.await_connections(before - 1);
        let mut next = open_from(HERE, server.addr());
        next.expect_alive();
    }
}

/// Connections that are refused and say nothing do not stay, however many come.
#[test]
fn silent_connections_beyond_the_limit_are_ended() {
    let server = Limited::start(|config| config.limits.max_connections_per_address = Some(1));
    let mut first = open_from(HERE, server.addr());
    let mut silent: Vec<Client> = (0..300).map(|_| connect_from(HERE, server.addr())).collect();
    for client in &mut silent {
        let (said, end) = client.read_to_end(PATIENCE);
        assert!(said.is_empty() && end != crate::support::client::End::Open, "{end:?}");
    }
    assert_eq!(server.counts().0.connections, 300);
    server.await_connections(1);
    first.expect_alive();
    open_from(THERE, server.addr()).expect_alive();
}

#[test]
fn plain_requests_count_while_they_are_connected() {
    let server = Limited::start(|config| config.limits.max_connections_per_address = Some(1));
    let ask_plain = |client: &mut Client| {
        client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.read_head();
        client.read_bytes(head.get("Content-Length").unwrap().parse().unwrap());
        head.status
    };
    let mut first = connect_from(HERE, server.addr());
    assert_eq!(ask_plain(&mut first), "HTTP/1.1 200 OK");
    let mut second = connect_from(HERE, server.addr());
    assert_eq!(ask_plain(&mut second), "HTTP/1.1 429 Too Many Requests");
    assert_eq!(ask_plain(&mut first), "HTTP/1.1 200 OK");
}

/// Listeners for administration, and peers without an address, are not limited.
#[test]
fn who_is_not_counted() {
    let path = std::env::temp_dir().join(format!("corecast-admission-{}", std::process::id()));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listen = [Listen::tcp(any), Listen::unix(&path), Listen::tcp(any).admin()];
    let server = Limited::start_on(&listen, 2, |config| {
        config.limits.max_connections_per_address = Some(1);
        config.limits.handshake_rate = Some(1);
    });
    let _one = open_from(HERE, server.addr());
    for _ in 0..5 {
        let mut client = Client::connect_unix(&path);
        assert_eq!(ask(&mut client, b"", "").0, 101);
        client.close();
    }
    let corecast::server::Listening::Tcp(admin) = server.0.listening()[2] else { panic!() };
    for _ in 0..5 {
        let mut client = Client::connect(admin);
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.read_head().status, "HTTP/1.1 200 OK");
    }
    assert_eq!(server.counts().0, AddressCounts::default());
}

/// All connections of a loop have their limit too, and each refusal is counted for what it was.
#[test]
fn a_full_loop_counts_what_it_refuses() {
    let any = Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = Limited::start_on(&[any], 1, |config| {
        config.limits.max_connections = 2;
        config.limits.max_connections_per_address = Some(1);
    });
    let _first = open_from(HERE, server.addr());
    let _second = open_from(THERE, server.addr());
    let mut third = connect_from([127, 0, 0, 3], server.addr());
    assert_eq!(ask(&mut third, b"", ""), refused(FULL, 503));
    let (addresses, limits) = server.counts();
    assert_eq!((addresses.connections, limits.connections), (0, 1));
}
