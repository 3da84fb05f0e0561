//! Goal: behind a proxy the address is the one that the proxy names, if it is believed.

use super::*;

fn limits(config: &mut Config) {
    config.limits.max_connections_per_address = Some(2);
}

fn proxied() -> Limited {
    let any = Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    Limited::start_on(&[any.proxy_protocol()], 2, limits)
}

/// A header of the PROXY protocol for a client.
pub(super) fn header(client: &str) -> String {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let server = if client.contains(':') { "2001:db8::9" } else { "192.0.2.9" };
    format!("PROXY {family} {client} {server} 5000 443\r\n")
}

#[test]
fn the_address_in_a_proxy_header_counts() {
    let server = proxied();
    let mut open = Vec::new();
    for (client, status) in [
        ("192.0.2.1", 101),
        ("192.0.2.1", 101),
        ("192.0.2.1", 429),
        ("192.0.2.2", 101),
        // All of these are one /64, and the last is the next one.
        ("2001:db8:0:1::1", 101),
        ("2001:db8:0:1:ffff::2", 101),
        ("2001:db8:0:1::3", 429),
        ("2001:db8:0:2::1", 101),
    ] {
        let mut connection = Client::connect(server.addr());
        let answer = ask(&mut connection, header(client).as_bytes(), "");
        assert_eq!(answer.0, status, "{client}: {answer:?}");
        open.push(connection);
    }
    assert_eq!(server.counts().0.connections, 2);
    // Health checks of the proxy itself, and connections without a client, are not counted.
    for _ in 0..5 {
        let mut connection = Client::connect(server.addr());
        assert_eq!(ask(&mut connection, b"PROXY UNKNOWN\r\n", "").0, 101);
        open.push(connection);
    }
    open.remove(0).close();
    let is_open = wait_until(PATIENCE, || {
        let mut connection = Client::connect(server.addr());
        ask(&mut connection, header("192.0.2.1").as_bytes(), "").0 == 101
    });
    assert!(is_open, "no place after one has left");
}

fn trusting() -> Limited {
    Limited::start(|config| {
        limits(config);
        config.trusted_proxies.networks.push("127.0.0.1".parse().unwrap());
    })
}

#[test]
fn the_address_that_a_trusted_proxy_names_counts() {
    let server = trusting();
    let mut open = Vec::new();
    for (client, status) in [
        ("192.0.2.1", 101),
        ("192.0.2.1", 101),
        ("192.0.2.1", 429),
        ("192.0.2.2", 101),
        ("2001:db8::1", 101),
        ("2001:db8::2", 101),
        ("2001:db8::3", 429),
    ] {
        let mut connection = connect_from([127, 0, 0, 1], server.addr());
        let answer = ask(&mut connection, b"", &format!("X-Forwarded-For: {client}\r\n"));
        assert_eq!(answer.0, status, "{client}: {answer:?}");
        if status == 429 {
            assert_eq!(answer.1, TOO_MANY);
        }
        open.push(connection);
    }
    // What the proxy asks for itself is not counted.
    for _ in 0..5 {
        let mut connection = connect_from([127, 0, 0, 1], server.addr());
        assert_eq!(ask(&mut connection, b"", "").0, 101);
        open.push(connection);
    }
    assert_eq!(server.counts().0.connections, 2);
    // A client that adds a header of its own, which the proxy passes on, is not believed, and does
    // not count as the proxy itself.
    for status in [101, 101, 429] {
        let mut connection = connect_from([127, 0, 0, 1], server.addr());
        let headers = "Forwarded: for=unknown\r\nX-Forwarded-For: 192.0.2.9\r\n";
        assert_eq!(ask(&mut connection, b"", headers).0, status);
        open.push(connection);
    }
}

/// Somebody who is no proxy names other addresses in vain.
#[test]
fn others_are_not_believed() {
    let server = trusting();
    let mut open = Vec::new();
    for number in 1..4 {
        let mut connection = connect_from([127, 0, 0, 2], server.addr());
        let answer = ask(&mut connection, b"", &format!("X-Forwarded-For: 192.0.2.{number}\r\n"));
        assert_eq!(answer.0, if number < 3 { 101 } else { 429 }, "{number}");
        open.push(connection);
    }
}
