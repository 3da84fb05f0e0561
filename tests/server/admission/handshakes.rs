//! Goal: no more connections wait for the answer to their first request than may.

use super::*;

fn server(limit: u32) -> Limited {
    let any = Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    Limited::start_on(&[any], 1, |config| {
        config.limits.max_handshakes = Some(limit);
        config.timeouts.handshake = Duration::from_secs(600);
    })
}

#[test]
fn one_handshake_more_than_the_limit() {
    for limit in [1, 2, 20] {
        for waiting in [limit - 1, limit] {
            let server = server(limit);
            // Open WebSockets are not in progress.
            let mut open: Vec<Client> = (0..3).map(|_| Client::open(server.addr())).collect();
            let mut silent: Vec<Client> =
                (0..waiting).map(|_| Client::connect(server.addr())).collect();
            server.await_connections(3 + waiting as usize);
            let mut next = Client::connect(server.addr());
            let answer = ask(&mut next, b"", "");
            let refusals = server.counts().1.handshakes;
            if waiting < limit {
                assert_eq!((answer.0, refusals), (101, 0), "{waiting} of {limit}");
            } else {
                assert_eq!((answer, refusals), (refused(FULL, 503), 1), "{waiting} of {limit}");
                // Once one of them has its answer, there is room.
                let first = silent.first_mut().unwrap();
                first.open_at("/", "");
                let mut next = Client::connect(server.addr());
                assert_eq!(ask(&mut next, b"", "").0, 101);
            }
            open.iter_mut().for_each(Client::expect_alive);
        }
    }
}

/// A part of a request is none, and what has ended without one is not in progress any more.
#[test]
fn an_end_makes_room() {
    let server = server(2);
    let mut half = Client::connect(server.addr());
    half.send(b"GET / HTTP/1.1\r\nHost:");
    let gone = Client::connect(server.addr());
    server.await_connections(2);
    let mut late = Client::connect(server.addr());
    assert_eq!(ask(&mut late, b"", ""), refused(FULL, 503));
    drop((gone, late));
    server.await_connections(1);
    let mut next = Client::connect(server.addr());
    assert_eq!(ask(&mut next, b"", "").0, 101);
    half.send(b" a\r\n\r\n");
    assert_eq!(half.read_head().status, "HTTP/1.1 200 OK");
}

/// Those that are refused are not in progress: they take nobody's place.
#[test]
fn refused_connections_do_not_count() {
    let server = server(1);
    let mut silent = Client::connect(server.addr());
    server.await_connections(1);
    let refused: Vec<Client> = (0..50).map(|_| Client::connect(server.addr())).collect();
    server.await_connections(51);
    silent.open_at("/", "");
    let mut next = Client::connect(server.addr());
    assert_eq!(ask(&mut next, b"", "").0, 101);
    assert_eq!(server.counts().1.handshakes, 50);
    drop(refused);
}
