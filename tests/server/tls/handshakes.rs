//! What is agreed on: certificates, names, protocols, sessions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::config::Config;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, Error, HandshakeKind};

use super::Running;
use super::client::TlsClient;
use crate::certificates::Pair;

fn certificate(client: &TlsClient) -> CertificateDer<'static> {
    client.tls.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn sessions_are_resumed() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for version in [&TLS13, &TLS12] {
        // Clones of a configuration share the sessions.
        let config = pair.client_of(&[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = TlsClient::open(server.tls(), config.clone(), "/");
            client.echo(b"with the echo comes the ticket");
            assert_eq!(client.tls.handshake_kind(), Some(expected), "{version:?}");
            client.close();
        }
    }
}

/// The first certificate is for clients that ask for no name, or for one that nobody has.
#[test]
fn each_name_gets_its_certificate() {
    let first = Pair::new(&["localhost", "one.example"]);
    let second = Pair::new(&["two.example", "*.two.example"]);
    let tls = first.tls().and(second.tls());
    let server = Running::start_with(tls, Config::default());
    let ask = |pair: &Pair, name: &str| {
        TlsClient::try_connect(server.tls(), &Arc::new(pair.client()), name)
    };
    for (name, pair) in [
        ("localhost", &first),
        ("one.example", &first),
        ("two.example", &second),
        ("chat.two.example", &second),
    ] {
        assert_eq!(certificate(&ask(pair, name).unwrap()), pair.der, "{name}");
    }
    // The address is no name, so nothing is asked for; and there is none of this name.
    for name in ["127.0.0.1", "other.example"] {
        let mut config = first.client();
        config.dangerous().set_certificate_verifier(Arc::new(crate::certificates::Trusting));
        let client = TlsClient::try_connect(server.tls(), &Arc::new(config), name).unwrap();
        assert_eq!(certificate(&client), first.der, "{name}");
    }
}

#[test]
fn http_1_1_or_1_0_is_agreed_on() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let offering = |names: &[&str]| {
        let mut config: ClientConfig = pair.client();
        config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsClient::try_connect(server.tls(), &Arc::new(config), "localhost")
    };
    for names in [&["h2", "http/1.1"], &["http/1.0", "http/1.1"]] {
        let client = offering(names).unwrap();
        assert_eq!(client.tls.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let client = offering(&["http/1.0"]).unwrap();
    assert_eq!(client.tls.alpn_protocol(), Some(&b"http/1.0"[..]));
    assert_eq!(offering(&[]).unwrap().tls.alpn_protocol(), None);
    let refused = offering(&["h2"]).err();
    assert_eq!(refused, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

/// New connections get the new certificate, while open ones go on.
#[test]
fn certificates_are_replaced_while_connections_are_open() {
    let (old, new) = (Pair::new(&["localhost"]), Pair::new(&["localhost"]));
    let server = Running::start(&old);
    let mut before = TlsClient::open(server.tls(), old.client(), "/");
    server.0.reload_tls(&new.tls()).unwrap();
    let after = TlsClient::open(server.tls(), new.client(), "/");
    assert_eq!(certificate(&after), new.der);
    let refused = TlsClient::try_connect(server.tls(), &Arc::new(old.client()), "localhost");
    assert!(refused.is_err(), "the old one is no longer shown");
    before.echo(b"still open");
    before.close();
    after.close();
}

/// While hundreds of clients begin at once, an open connection is served, and all of them are.
#[test]
fn a_storm_of_handshakes_keeps_nobody_waiting() {
    let pair = Pair::p256(&["localhost"]);
    let mut config = Config::default();
    // The clients go on one after the other, which may take long on a busy machine.
    config.timeouts.handshake = Duration::from_secs(120);
    let server = Running::start_with(pair.tls(), config);
    let mut open = TlsClient::open(server.tls(), pair.client(), "/");
    let config = Arc::new(pair.client());
    let begin = |_| {
        let name = "localhost".try_into().unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = TcpStream::connect(server.tls()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tls.write_tls(&mut stream).unwrap();
        (tls, stream)
    };
    let mut storm: Vec<_> = (0..300).map(begin).collect();
    let start = Instant::now();
    for at in 0..20_u8 {
        open.echo(&[at; 100]);
    }
    let echoed = start.elapsed();
    for (tls, stream) in &mut storm {
        tls.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        while tls.is_handshaking() {
            tls.complete_io(stream).unwrap();
        }
        while tls.wants_write() {
            tls.write_tls(stream).unwrap();
        }
        let mut answer = [0; 8];
        rustls::Stream::new(tls, stream).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1");
    }
    assert!(echoed < Duration::from_secs(10), "{echoed:?} for 20 echoes");
}
