//! TLS behind a header of the PROXY protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{Listen, ServerHandle};
use corecast::session::Message;
use rustls::ClientConnection;

use super::Running;
use super::client::TlsClient;
use crate::certificates::Pair;
use crate::support::backend;
use crate::support::client::PATIENCE;
use crate::support::host::wait_until;
use crate::support::wire::{self, BINARY, FIN};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\x23\x29";

/// Answers every message with the address of the peer.
struct Where;

impl Handler for Where {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, cx: &mut Context<'_, 'a>) {
        let address = cx.peer_addr().unwrap().to_string();
        cx.text(&address).unwrap();
    }
}

/// A server with a listener that has both, and one with TLS alone.
fn start(pair: &Pair, config: Config) -> Running {
    let listen = || Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).tls();
    let server = backend::server(config).tls(pair.tls());
    let server = server.listen_on(listen().proxy_protocol()).listen_on(listen());
    Running(server.start(|_, _| Where).unwrap())
}

fn without_header(server: &ServerHandle) -> u64 {
    server.stats().iter().map(|core| core.worker.driver.without_header).sum()
}

/// A connection of which the first bytes, with the header and those of TLS, are sent in pieces.
fn connect(addr: SocketAddr, pair: &Pair, header: &[u8], cuts: &[usize]) -> TlsClient {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::new(pair.client()), name).unwrap();
    let mut first = header.to_vec();
    tls.write_tls(&mut first).unwrap();
    let mut from = 0;
    for &to in cuts {
        stream.write_all(&first[from..to]).unwrap();
        // Each piece is a segment of its own.
        std::thread::sleep(Duration::from_millis(5));
        from = to;
    }
    stream.write_all(&first[from..]).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).unwrap();
    }
    TlsClient::of(tls, stream)
}

fn where_am_i(client: &mut TlsClient) -> String {
    client.send(&wire::frame(FIN | BINARY, b"where"));
    String::from_utf8(client.read_frame().payload).unwrap()
}

#[test]
fn the_header_comes_before_tls() {
    let pair = Pair::new(&["localhost"]);
    let server = start(&pair, Config::default());
    for header in [V1, V2] {
        let len = header.len();
        for cuts in [&[][..], &[len], &[1], &[len - 1], &[len + 1], &[7, len, len + 6]] {
            let client = connect(server.0.addresses()[0], &pair, header, cuts);
            let mut client = client.upgrade("/");
            assert_eq!(where_am_i(&mut client), "192.0.2.1:4711", "{cuts:?}");
            client.close();
        }
    }
    let mut client = TlsClient::open(server.0.addresses()[1], pair.client(), "/");
    let own = client.stream.local_addr().unwrap();
    assert_eq!(where_am_i(&mut client), own.to_string());
    client.close();
    assert_eq!(without_header(&server.0), 0);
}

/// TLS or HTTP without a header, the deadline, and a header where none is asked for.
#[test]
fn connections_with_the_wrong_beginning_are_closed() {
    let pair = Pair::new(&["localhost"]);
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_millis(500);
    let server = start(&pair, config);
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[0; 506]].concat();
    for (bytes, count) in [(&hello[..], 1), (b"GET / HTTP/1.1\r\n\r\n", 2), (&V2[..20], 3)] {
        let mut stream = TcpStream::connect(server.0.addresses()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.is_empty(), "{said:?}");
        assert!(wait_until(PATIENCE, || without_header(&server.0) == count));
    }
    let mut stream = TcpStream::connect(server.0.addresses()[1]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(V2).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(said.len() < 10, "{said:?}");
}
