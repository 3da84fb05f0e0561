//! Goal: plain HTTP/1.1 and 1.0 on the port of the WebSockets, as health checks, proxies and
//! browsers send it. Method: the command, raw bytes, and exact answers.

use std::time::Duration;

use crate::support::client::{Client, End, Head, request};
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{FIN, TEXT, frame, unmasked};
use corecast::config::Config;
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(20);

/// Reads a head and the body that its Content-Length announces.
fn read_response(client: &mut Client) -> (Head, String) {
    let head = client.read_head();
    let length = head.get("Content-Length").map_or(0, |length| length.parse().unwrap());
    let body = client.read_bytes(length);
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn a_connection_serves_one_request_after_another_and_then_a_websocket() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    for _ in 0..3 {
        client.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, body) = read_response(&mut client);
        assert_eq!((&*head.status, &*body), ("HTTP/1.1 200 OK", "ok\n"));
        assert_eq!(head.get("Connection"), None);
    }
    client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.status, "HTTP/1.1 200 OK");
    assert!(head.get("Content-Length").unwrap().parse::<usize>().unwrap() > 100);
    let (head, body) = read_response(&mut client);
    assert_eq!(head.status, "HTTP/1.1 404 Not Found");
    assert!(body.ends_with(".\n") && body.lines().count() == 1, "{body}");
    client.send(&request(""));
    assert_eq!(client.read_head().status, "HTTP/1.1 101 Switching Protocols");
    client.send(&frame(FIN | TEXT, b"hello"));
    client.expect(&unmasked(FIN | TEXT, b"hello"));
    client.close();
}

/// Behind a proxy with TLS the addresses are those that the client can use.
#[test]
fn the_page_has_the_scheme_that_a_trusted_proxy_names() {
    for (flags, scheme) in [(&["--trust-proxy", "127.0.0.0/8"][..], "wss"), (&[], "ws")] {
        let server = Server::start(flags);
        let mut client = Client::connect(server.addr());
        client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: https\r\n\r\n");
        let (_, page) = read_response(&mut client);
        assert!(page.contains(&format!("\n{scheme}://a.example/echo")), "{page}");
    }
}

#[test]
fn the_page_has_the_real_address() {
    let server = Server::start(&[]);
    let host = server.addr().to_string();
    let mut client = Client::connect(server.addr());
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let (_, page) = read_response(&mut client);
    let address = format!("ws://{host}/echo");
    assert!(page.contains(&address), "{page}");
    // It is right: a client that follows it gets its message back.
    client.open_at("/echo", "");
    client.expect_alive();
    assert!(page.contains("/topics/") && page.contains("/pubsub") && page.contains("/healthz"));
}

#[test]
fn http_1_0_is_answered_and_ends_unless_it_asks() {
    let server = Server::start(&[]);
    for line in ["GET / HTTP/1.0", "HEAD / HTTP/1.0", "OPTIONS / HTTP/1.0"] {
        let mut client = Client::connect(server.addr());
        client.send(format!("{line}\r\n\r\n").as_bytes());
        let head = client.read_head();
        assert_eq!((&*head.status, head.get("Connection")), ("HTTP/1.1 200 OK", Some("close")));
        let (body, end) = client.read_to_end(LIMIT);
        assert_eq!((body.is_empty(), end), (!line.starts_with("GET"), End::Fin), "{line}");
    }
    let mut client = Client::connect(server.addr());
    for _ in 0..2 {
        client.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let (head, body) = read_response(&mut client);
        assert_eq!((head.get("Connection"), &*body), (Some("keep-alive"), "ok\n"));
    }
}

#[test]
fn a_body_is_asked_for_and_discarded() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.read_head().status, "HTTP/1.1 100 Continue");
    client.send(b"hello");
    let (head, _) = read_response(&mut client);
    assert_eq!(head.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(head.get("Allow"), Some("GET, HEAD, OPTIONS"));
    client.send(b"PUT /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        client.send(&[&b"1000\r\n"[..], &[b'x'; 4096], b"\r\n"].concat());
    }
    client.send(b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read_response(&mut client).0.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(read_response(&mut client).1, "ok\n");
    // Above the limit the answer comes before the body.
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    let (head, _) = read_response(&mut client);
    assert_eq!(head.status, "HTTP/1.1 413 Content Too Large");
    assert_eq!(client.read_to_end(LIMIT), (Vec::new(), End::Fin));
}

#[test]
fn the_limit_of_a_head_can_be_set() {
    let server = Server::start(&["--max-head", "32KiB"]);
    for (len, status) in
        [(9_000, "101 Switching Protocols"), (30_000, "101 Switching Protocols"), (40_000, "431")]
    {
        let mut client = Client::connect(server.addr());
        client.send(&request(&format!("Cookie: {}\r\n", "c".repeat(len))));
        let head = client.read_head();
        assert!(head.status.contains(status), "{len}: {}", head.status);
    }
}

#[test]
fn connections_that_wait_for_a_request_end_in_time() {
    let mut config = Config::default();
    config.timeouts.keep_alive = Duration::from_millis(500);
    config.timeouts.body = Duration::from_millis(500);
    let server = Embedded::start(config);
    let mut idle = Client::connect(server.addr());
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    read_response(&mut idle);
    let mut body = Client::connect(server.addr());
    body.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    assert_eq!(idle.read_to_end(LIMIT), (Vec::new(), End::Fin));
    assert_eq!(body.read_head().status, "HTTP/1.1 408 Request Timeout");
    assert_eq!(body.read_to_end(LIMIT).1, End::Fin);
}

#[test]
fn a_server_that_stops_ends_kept_connections() {
    let mut server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(server.addr())).collect();
    for client in &mut clients {
        client.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        read_response(client);
    }
    server.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.read_to_end(LIMIT), (Vec::new(), End::Fin));
    }
    drop(clients);
    server.wait(LIMIT).expect("it stops");
}

#[test]
fn one_empty_line_before_a_request_is_ignored() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    for _ in 0..2 {
        client.send(b"\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(read_response(&mut client).1, "ok\n");
    }
    client.send(&[b"\r\n", &request("")[..]].concat());
    assert_eq!(client.read_head().status, "HTTP/1.1 101 Switching Protocols");
    client.expect_alive();
    let mut client = Client::connect(server.addr());
    client.send(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.read_head().status, "HTTP/1.1 400 Bad Request");
}

/// A health check whose connection was there before.
#[test]
fn a_server_that_stops_is_not_healthy() {
    let mut server = Server::start(&[]);
    let mut check = Client::connect(server.addr());
    check.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read_response(&mut check).1, "ok\n");
    check.send(b"GET /healthz HTTP/1.1\r\n");
    // Once this is answered, the server has read the part of the request.
    let mut other = Client::open(server.addr());
    other.expect_alive();
    server.signal(Signal::TERM);
    let (head, body) = read_response(&mut check);
    assert_eq!(head.status, "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("stopping"), "{body}");
    drop((check, other));
    server.wait(LIMIT).expect("it stops");
}

#[test]
fn pages_of_allowed_origins_may_read_the_answers() {
    const ALLOW: &str = "Access-Control-Allow-Origin";
    let good = "https://good.example";
    let server = Server::start(&["--allow-origin", good]);
    let mut client = Client::connect(server.addr());
    let mut ask = |method: &str, origin: &str, more: &str| {
        let head =
            format!("{method} /healthz HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n{more}\r\n");
        client.send(head.as_bytes());
        read_response(&mut client).0
    };
    let preflight = "Access-Control-Request-Method: GET\r\n";
    let head = ask("OPTIONS", good, preflight);
    assert_eq!((&*head.status, head.get(ALLOW)), ("HTTP/1.1 200 OK", Some(good)));
    assert_eq!(head.get("Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!((head.get("Allow"), head.get("Vary")), (Some("GET, HEAD, OPTIONS"), Some("Origin")));
    assert_eq!(ask("GET", good, "").get(ALLOW), Some(good));
    let head = ask("OPTIONS", "https://evil.example", preflight);
    assert_eq!((&*head.status, head.get(ALLOW)), ("HTTP/1.1 403 Forbidden", None));
    let head = ask("GET", "https://evil.example", "");
    assert_eq!((head.get(ALLOW), head.get("Vary")), (None, Some("Origin")));
    // Without the flag every page may.
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nOrigin: https://any.example\r\n\r\n");
    let (head, _) = read_response(&mut client);
    assert_eq!((&*head.status, head.get(ALLOW)), ("HTTP/1.1 200 OK", Some("*")));
}

/// Nothing on this port takes the word of a client for its address.
#[test]
fn headers_of_the_proxy_protocol_are_refused() {
    let server = Server::start(&[]);
    let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 9001\r\n";
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\x23\x29";
    for header in [&line[..], binary] {
        let mut client = Client::connect(server.addr());
        client.send(&[header, &request("")].concat());
        assert_eq!(client.read_head().status, "HTTP/1.1 400 Bad Request");
        assert_eq!(client.read_to_end(LIMIT).1, End::Fin);
    }
}
