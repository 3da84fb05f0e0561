//! The addresses of clients behind proxies: what only trusted proxies are believed.

use std::time::Duration;

use crate::support::backend;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};
use crate::support::wire::{self, FIN, TEXT};
use corecast::app::{Accept, Context, Handler, RequestContext, Upgrade};
use corecast::config::Config;
use corecast::protocol::http::{self, Network, Response, Status};
use corecast::protocol::websocket::handshake::{Refusal, Request};
use corecast::server::ServerHandle;
use corecast::session::Message;

/// Tells every client its own address, as the server knows it, if `ASKS` says that it asks.
struct Where<const ASKS: bool>;

impl<const ASKS: bool> Handler for Where<ASKS> {
    type Connection = String;
    type User = ();

    const PEER_ADDRESSES: bool = ASKS;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<String> {
        Upgrade::Accept(format!("{:?}", request.client_addr))
    }

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        Err(Response::text(Status::FORBIDDEN, format!("{:?}", request.client_addr)).into())
    }

    fn request(&mut self, _: &http::Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
        Some(Response::text(Status::OK, format!("{:?}", cx.client_addr())))
    }

    fn message<'a>(&mut self, told: &mut String, _: Message<'a>, cx: &mut Context<'_, 'a>) {
        let now = format!("{:?}", cx.client_addr());
        assert_eq!(*told, now);
        cx.text(&now).unwrap();
    }
}

fn start<const ASKS: bool>(trusted: &[&str], unix: Option<&std::path::Path>) -> ServerHandle {
    let mut config = Config::default();
    let network = |text: &&str| text.parse::<Network>().unwrap();
    let networks = trusted.iter().map(network);
    config.trusted_proxies.networks.extend(networks);
    config.trusted_proxies.unix = unix.is_some();
    let mut server = backend::server(config).listen("127.0.0.1:0".parse().unwrap());
    if let Some(path) = unix {
        server = server.listen_unix(path);
    }
    server.start(|_, _| Where::<ASKS>).unwrap()
}

fn stop(server: &ServerHandle) {
    server.drain();
    server.join().unwrap();
}

/// The answer to a plain request with this header line.
fn ask(client: &mut Client, header: &str) -> String {
    client.send(format!("GET /where HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n").as_bytes());
    let len = client.read_head().get("Content-Length").unwrap().parse().unwrap();
    String::from_utf8(client.read_bytes(len)).unwrap()
}

/// Asks in every way; each must be told `expected`.
fn check(connect: impl Fn() -> Client, header: &str, expected: &str) {
    assert_eq!(ask(&mut connect(), header), expected, "{header}");
    let mut open = connect();
    open.open_at("/", &format!("{header}\r\n"));
    open.send(&wire::frame(FIN | TEXT, b"where"));
    open.expect(&wire::unmasked(FIN | TEXT, expected.as_bytes()));
    let mut refused = connect();
    let request = crate::support::client::request_to("/pubsub", &format!("{header}\r\n"));
    refused.send(&request);
    assert!(refused.read_head().status.contains("403"));
    refused.expect(expected.as_bytes());
}

#[test]
fn a_trusted_proxy_says_which_client_it_is() {
    const CLIENT: &str = "Some(192.0.2.1)";
    for asks in [false, true] {
        let trusted = &["127.0.0.0/8", "10.0.0.0/8"];
        let server =
            if asks { start::<true>(trusted, None) } else { start::<false>(trusted, None) };
        let connect = || Client::connect(server.addresses()[0]);
        check(connect, "X-Forwarded-For: 203.0.113.9, 192.0.2.1", CLIENT);
        check(connect, "X-Forwarded-For: 192.0.2.1, 10.1.2.3", CLIENT);
        check(connect, "Forwarded: for=\"[2001:db8::1]:99\";proto=https", "Some(2001:db8::1)");
        check(connect, "X-Forwarded-For: nobody", "Some(127.0.0.1)");
        check(connect, "X-Other: 192.0.2.1", "Some(127.0.0.1)");
        // Requests of several clients come over one connection.
        let mut client = connect();
        assert_eq!(ask(&mut client, "X-Forwarded-For: 192.0.2.1"), CLIENT);
        assert_eq!(ask(&mut client, "X-Forwarded-For: 192.0.2.2"), "Some(192.0.2.2)");
        assert_eq!(ask(&mut client, "A: b"), "Some(127.0.0.1)");
        drop(client);
        stop(&server);
    }
}

#[test]
fn nobody_else_is_believed() {
    let headers = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1";
    for trusted in [&[][..], &["10.0.0.0/8"]] {
        let server = start::<true>(trusted, None);
        let connect = || Client::connect(server.addresses()[0]);
        check(connect, headers, "Some(127.0.0.1)");
        stop(&server);
    }
    let server = start::<false>(&[], None);
    check(|| Client::connect(server.addresses()[0]), headers, "None");
    stop(&server);
}

#[test]
fn peers_on_unix_sockets_are_believed_if_that_is_said() {
    let path = std::env::temp_dir().join(format!("corecast-trust-{}", std::process::id()));
    let header = "X-Forwarded-For: 192.0.2.1";
    let server = start::<true>(&[], Some(&path));
    check(|| Client::connect_unix(&path), header, "Some(192.0.2.1)");
    check(|| Client::connect_unix(&path), "A: b", "None");
    check(|| Client::connect(server.addresses()[0]), header, "Some(127.0.0.1)");
    stop(&server);
}

#[test]
fn the_log_names_the_clients_that_are_refused() {
    let server = Server::start(&["--trust-proxy", "127.0.0.1", "--max-message", "100"]);
    let has = |part: &str| {
        wait_until(Duration::from_secs(10), || server.log().iter().any(|line| line.contains(part)))
    };
    let header = "X-Forwarded-For: 192.0.2.1\r\n";
    let mut refused = Client::connect(server.addr());
    let bad = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}Upgrade: websocket\r\n\r\n");
    refused.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    refused.send(bad.as_bytes());
    let mut breaking = Client::connect(server.addr());
    breaking.open_at("/", header);
    breaking.send(&wire::frame(FIN | TEXT, &[b'x'; 101]));
    assert!(has("broke a rule connections=1 code=1009"), "{:?}", server.log());
    assert!(has("client=192.0.2.1"), "{:?}", server.log());
    // A malformed handshake is not judged by its headers: what the last good request said counts.
    assert!(has("client=192.0.2.7"), "{:?}", server.log());
    drop((refused, breaking));
    // Without the flag it is the address of the socket, if that is known.
    for (flags, is_known) in [(&[][..], true), (&["--no-peer-addresses"], false)] {
        let server = Server::start(flags);
        Client::connect(server.addr()).send(b"\r\n\r\n");
        let is_logged = || server.log().iter().any(|line| line.contains("refused"));
        assert!(wait_until(Duration::from_secs(10), is_logged));
        let log = server.log().join("\n");
        assert_eq!(log.contains("client=127.0.0.1"), is_known, "{log}");
        assert_eq!(log.contains("client="), is_known, "{log}");
    }
}

#[test]
fn networks_that_are_wrong_exit_with_2_and_name_a_right_one() {
    for (network, named) in [("10.1.2.3/8", "write `10.0.0.0/8`"), ("proxy", "`10.0.0.0/8`")] {
        let flags = ["serve", "--trust-proxy", network];
        let end = run(command(&flags), Duration::from_secs(10));
        assert!(end.error_line(2).contains(named), "{end:?}");
    }
}
