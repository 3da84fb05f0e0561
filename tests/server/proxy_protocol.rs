//! The PROXY protocol on listeners that ask for it: whose address counts, and what happens to
//! connections without a header.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::backend;
use crate::support::client::{Client, End, PATIENCE, request_to};
use crate::support::host::wait_until;
use crate::support::server::Server;
use crate::support::wire::{self, FIN, TEXT};
use corecast::app::{Accept, Context, Handler, RequestContext, Upgrade};
use corecast::config::Config;
use corecast::protocol::http::{self, Response, Status};
use corecast::protocol::websocket::handshake::{Refusal, Request};
use corecast::server::{Listen, ServerHandle};
use corecast::session::Message;

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 with these two bytes, and what follows them.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

fn v2_tcp4() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x67, 0x23, 0x29])
}

/// Headers, each with the address that counts; `None` for that of the socket.
fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let v6 = |last: u8| [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[last]].concat();
    let v6 = v2(0x21, 0x21, &[&v6(1)[..], &v6(2), &[0x12, 0x67, 0x23, 0x29]].concat());
    let extended = v2(0x21, 0x11, &[&v2_tcp4()[16..], &[4, 1, 0x2c][..], &[0; 300]].concat());
    let v4 = Some("Some(192.0.2.1:4711)");
    let ipv6 = Some("Some([2001:db8::1]:4711)");
    vec![
        (V1.to_vec(), v4),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 9001\r\n".to_vec(), ipv6),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 9001\r\n".to_vec(), v4),
        (v2_tcp4(), v4),
        (extended, v4),
        (v6, ipv6),
        (v2(0x21, 0x31, &[b'a'; 216]), Some("None")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (v2(0x21, 0, &[]), None),
        (v2(0x20, 0, &[]), None),
        (v2(0x20, 0x11, &v2_tcp4()[16..]), None),
    ]
}

/// Tells every client the address of its peer, as the server knows it. It does not ask for
/// addresses: that a listener takes headers is enough.
struct Where;

impl Handler for Where {
    type Connection = String;
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<String> {
        Upgrade::Accept(format!("{:?}", request.peer_addr))
    }

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        let said = format!("{:?}", request.peer_addr);
        Err(Response::text(Status::FORBIDDEN, said).into())
    }

    fn request(
        &mut self,
        request: &http::Request<'_>,
        cx: &mut RequestContext<'_>,
    ) -> Option<Response> {
        let told = match request.path {
            "/client" => format!("{:?}", cx.client_addr()),
            _ => format!("{:?}", cx.peer_addr()),
        };
        Some(Response::text(Status::OK, told))
    }

    fn message<'a>(&mut self, told: &mut String, _: Message<'a>, cx: &mut Context<'_, 'a>) {
        let now = format!("{:?}", cx.peer_addr());
        assert_eq!(*told, now);
        cx.text(&now).unwrap();
    }
}

/// A server with one listener that takes headers, and one that does not. Stopped when dropped.
struct Running(ServerHandle);

impl Running {
    fn start(config: Config) -> Self {
        let address = || Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = backend::server(config).listen_on(address().proxy_protocol());
        Self(server.listen_on(address()).start(|_, _| Where).unwrap())
    }

    fn proxied(&self) -> SocketAddr {
        self.0.addresses()[0]
    }

    fn plain(&self) -> SocketAddr {
        self.0.addresses()[1]
    }

    /// The connections that were counted because they had no header.
    fn without_header(&self) -> u64 {
        self.0.stats().iter().map(|core| core.worker.driver.without_header).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.drain();
        let stopped = self.0.join();
        assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
    }
}

fn local(client: &Client) -> String {
    format!("Some({})", client.stream().local_addr().unwrap())
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// The body of the next answer.
fn told(client: &mut Client) -> String {
    let len = client.read_head().get("Content-Length").unwrap().parse().unwrap();
    String::from_utf8(client.read_bytes(len)).unwrap()
}

#[test]
fn the_address_in_the_header_counts() {
    let server = Running::start(Config::default());
    for (header, address) in headers() {
        let shown = header.escape_ascii().to_string();
        // Followed at once by the request.
        let mut client = Client::connect(server.proxied());
        let expected = address.map_or_else(|| local(&client), str::to_owned);
        client.send(&[&header[..], &get("/"), &get("/")].concat());
        assert_eq!([told(&mut client), told(&mut client)], [&expected[..]; 2], "{shown}");
        // Alone, with a WebSocket behind it.
        let mut client = Client::connect(server.proxied());
        let expected = address.map_or_else(|| local(&client), str::to_owned);
        client.send(&header);
        client.open_at("/", "");
        client.send(&wire::frame(FIN | TEXT, b"where"));
        client.expect(&wire::unmasked(FIN | TEXT, expected.as_bytes()));
        client.close();
        // Of a client of an endpoint.
        let mut client = Client::connect(server.proxied());
        let expected = address.map_or_else(|| local(&client), str::to_owned);
        client.send(&[&header[..], &request_to("/pubsub", "")].concat());
        assert_eq!(told(&mut client), expected, "{shown}");
    }
    assert_eq!(server.without_header(), 0);
}

#[test]
fn headers_may_come_in_pieces() {
    let server = Running::start(Config::default());
    for header in [V1.to_vec(), v2_tcp4()] {
        let mut client = Client::connect(server.proxied());
        for byte in &[&header[..], &get("/")].concat() {
            client.send(&[*byte]);
            // Each is a segment of its own.
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(told(&mut client), "Some(192.0.2.1:4711)");
    }
}

/// A slot is used by one connection after the other: each has its own address.
#[test]
fn connections_of_other_listeners_have_the_address_of_their_socket() {
    let server = Running::start(Config::default());
    for number in 1..50 {
        let mut client = Client::connect(server.proxied());
        client.send(format!("PROXY TCP4 192.0.2.{number} 127.0.0.1 {number} 1\r\n").as_bytes());
        client.send(&get("/"));
        assert_eq!(told(&mut client), format!("Some(192.0.2.{number}:{number})"));
        drop(client);
        let mut client = Client::connect(server.plain());
        client.send(&get("/"));
        assert_eq!(told(&mut client), local(&client));
    }
}

/// What a proxy of HTTP says in front of the proxy of TCP, if it is trusted.
#[test]
fn forwarded_headers_count_by_the_address_in_the_header() {
    let mut config = Config::default();
    config.trusted_proxies.networks.push("192.0.2.0/24".parse().unwrap());
    let server = Running::start(config);
    let header = "X-Forwarded-For: 203.0.113.9\r\n";
    let request = format!("GET /client HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    for (address, client) in [("192.0.2.1", "203.0.113.9"), ("127.0.0.1", "127.0.0.1")] {
        let mut connection = Client::connect(server.proxied());
        connection.send(format!("PROXY TCP4 {address} 127.0.0.1 1 1\r\n{request}").as_bytes());
        assert_eq!(told(&mut connection), format!("Some({client})"));
    }
}

#[test]
fn a_connection_without_a_header_is_closed_and_counted() {
    let server = Running::start(Config::default());
    let wrong = [
        get("/"),
        request_to("/", ""),
        vec![22, 3, 1, 2, 0, 1, 0, 1],
        b"PROXY TCP5 192.0.2.1 198.51.100.2 4711 9001\r\n".to_vec(),
        format!("PROXY UNKNOWN {}\r\n", "x".repeat(107)).into_bytes(),
        // It declares more than there may be.
        [SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &[0; 20_000]].concat(),
        v2(0x21, 0x12, &v2_tcp4()[16..]),
        vec![0; 100_000],
    ];
    for (count, bytes) in (1..).zip(&wrong) {
        let mut client = Client::connect(server.proxied());
        // The server may end it before it has read everything.
        client.try_send(bytes);
        let (said, end) = client.read_to_end(PATIENCE);
        assert!(said.is_empty() && end != End::Open, "{} {end:?}", bytes.escape_ascii());
        drop(client);
        assert_eq!(server.without_header(), count);
    }
    // The header is the first one only: another is a wrong request.
    let mut client = Client::connect(server.proxied());
    client.send(&[V1, V1, b"\r\n"].concat());
    assert_eq!(client.read_head().status, "HTTP/1.1 400 Bad Request");
    let mut client = Client::connect(server.proxied());
    client.send(&[V1, &get("/")].concat());
    assert_eq!(told(&mut client), "Some(192.0.2.1:4711)");
}

#[test]
fn a_header_has_the_deadline_of_a_handshake() {
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_millis(500);
    let server = Running::start(config);
    for (bytes, counted) in [(&b""[..], 0), (&V1[..20], 1), (&v2_tcp4()[..20], 2)] {
        let start = Instant::now();
        let mut client = Client::connect(server.proxied());
        client.send(bytes);
        let (said, end) = client.read_to_end(PATIENCE);
        assert!(said.is_empty() && end != End::Open, "{end:?}");
        assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
        assert!(wait_until(PATIENCE, || server.without_header() == counted));
    }
    // One that leaves within its header is no open connection any longer.
    let mut client = Client::connect(server.proxied());
    client.send(&V1[..20]);
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE), (Vec::new(), End::Fin));
    assert!(wait_until(PATIENCE, || server.without_header() == 3));
}

/// Elsewhere a header is no request, and the answer to one of version 1 says what to do.
#[test]
fn other_listeners_refuse_headers() {
    let server = Running::start(Config::default());
    for header in [V1.to_vec(), v2_tcp4(), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut client = Client::connect(server.plain());
        client.send(&[&header[..], &get("/")].concat());
        let (said, end) = client.read_to_end(PATIENCE);
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
        // The first bytes of version 2 are refused before it is known to be one.
        assert_eq!(said.contains("`,proxy`"), header.starts_with(b"PROXY"), "{said}");
        assert_eq!(end, End::Fin);
    }
    // A method of this name is no header.
    let mut client = Client::connect(server.plain());
    client.send(b"PROXY / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_head().status.starts_with("HTTP/1.1 200 "));
}

#[test]
fn unix_sockets_take_headers() {
    let path: PathBuf =
        std::env::temp_dir().join(format!("corecast-proxied-{}", std::process::id()));
    let server = backend::server(Config::default());
    let server = server.listen_on(Listen::unix(&path).proxy_protocol());
    let server = Running(server.start(|_, _| Where).unwrap());
    for (header, address) in headers() {
        let mut client = Client::connect_unix(&path);
        client.send(&[&header[..], &get("/")].concat());
        assert_eq!(told(&mut client), address.unwrap_or("None"));
    }
    assert!(server.0.has_proxy_protocol(0));
}

#[test]
fn the_command_says_who_takes_headers_and_logs_what_it_refuses() {
    let server = Server::start(&["--listen", "127.0.0.1:0,proxy", "--listen", "127.0.0.1:0"]);
    let line = server.log()[0].clone();
    assert_eq!(line.matches(" (PROXY protocol)").count(), 1, "{line}");
    let (_, rest) = line.split_once("listening on ").unwrap();
    let proxied = rest.split(", ").find_map(|place| place.strip_suffix(" (PROXY protocol)"));
    let proxied: SocketAddr = proxied.unwrap().parse().unwrap();
    let has = |parts: &[&str]| {
        wait_until(PATIENCE, || {
            server.log().iter().any(|line| parts.iter().all(|part| line.contains(part)))
        })
    };
    // The client that the header names is the one in the log.
    let mut client = Client::connect(proxied);
    client.send(&[V1, b"no request\r\n\r\n"].concat());
    assert!(client.read_head().status.contains("400"));
    assert!(has(&["refused connections=1", "client=192.0.2.1"]), "{:?}", server.log());
    let mut stream = TcpStream::connect(proxied).unwrap();
    let address = stream.local_addr().unwrap();
    stream.write_all(&get("/")).unwrap();
    let parts = ["refused without a PROXY header connections=1", "does not begin with a header"];
    assert!(has(&parts), "{:?}", server.log());
    assert!(has(&[&format!("peer={address}")]), "{:?}", server.log());
}
