//! TLS of one connection, with the input cut at every byte.

mod handshakes;
mod records;
mod rogue;

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection,
    SupportedProtocolVersion,
};

use super::fault::{Exhausted, Fault};
use super::{Certificates, Keyring, Tls, TlsSession};

/// The server's side, with what a driver keeps for it.
struct Server {
    session: TlsSession,
    keys: Keyring,
    input: Vec<u8>,
    plain: Vec<u8>,
    out: Vec<u8>,
    is_ended: bool,
}

impl Server {
    /// Takes a piece of what the client has sent.
    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.take_with(piece, u64::MAX)
    }

    /// The same in calls that are allowed so much work each.
    fn take_with(&mut self, piece: &[u8], allowed: u64) -> Result<(), Fault> {
        self.input.extend_from_slice(piece);
        loop {
            let Self { session, keys, input, plain, out, .. } = self;
            let taken = session.receive(keys, 7, input, out, allowed);
            assert!(taken.plain.end <= taken.bytes && taken.bytes <= input.len(), "{taken:?}");
            assert!(taken.is_paused || taken.work < u64::MAX / 2);
            plain.extend_from_slice(&input[taken.plain]);
            input.drain(..taken.bytes);
            self.is_ended |= taken.is_end;
            if let Some(fault) = taken.fault {
                return Err(fault);
            }
            if !taken.is_paused {
                return Ok(());
            }
        }
    }

    fn seal(&mut self, plain: &[u8]) -> Result<u64, Exhausted> {
        self.session.seal(&mut self.keys, plain, &mut self.out)
    }

    fn end(&mut self) -> Result<(), Exhausted> {
        self.session.end(&mut self.keys, &mut self.out)
    }

    /// Takes all of it in two pieces.
    fn take_cut(&mut self, bytes: &[u8], at: usize) {
        let (one, other) = bytes.split_at(at.min(bytes.len()));
        self.take(one).unwrap();
        // Something may be sent while a record is incomplete.
        if self.session.is_open() {
            self.seal(b"in between").unwrap();
        }
        self.take(other).unwrap();
    }
}

struct Client(ClientConnection);

impl Client {
    fn written(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).unwrap();
            let state = self.0.process_new_packets()?;
            let mut part = vec![0; state.plaintext_bytes_to_read()];
            self.0.reader().read_exact(&mut part).unwrap();
            plain.extend(part);
        }
        Ok(plain)
    }

    /// Gives a server of rustls what was written, and takes its answer.
    fn exchange(&mut self, server: &mut ServerConnection) {
        server.read_tls(&mut &self.written()[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        self.read(&out).unwrap();
    }
}

struct Pair {
    certificates: Certificates,
    roots: RootCertStore,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let cert = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let cert = cert.self_signed(&key).unwrap();
        let tls = Tls::from_pem(cert.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Self { certificates: Certificates::new(&tls).unwrap(), roots }
    }

    fn connect(&self, version: &'static SupportedProtocolVersion) -> (Client, Server) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        let name = "localhost".try_into().unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        (Client(client), self.server())
    }

    fn server(&self) -> Server {
        let session = TlsSession::new(&self.certificates.current().config).unwrap();
        Server {
            session,
            keys: Keyring::default(),
            input: Vec::new(),
            plain: Vec::new(),
            out: Vec::new(),
            is_ended: false,
        }
    }

    /// A pair after its handshake.
    fn open(&self, version: &'static SupportedProtocolVersion) -> (Client, Server) {
        let (client, server) = self.connect(version);
        finish(client, server)
    }
}

/// Does the handshake.
fn finish(mut client: Client, mut server: Server) -> (Client, Server) {
    while client.0.is_handshaking() || !server.session.is_open() {
        server.take(&client.written()).unwrap();
        client.read(&std::mem::take(&mut server.out)).unwrap();
    }
    (client, server)
}

/// Each flight of the client, with data and the end behind the handshake, is cut at every byte.
#[test]
fn input_may_be_cut_at_every_byte() {
    let pair = Pair::new();
    for version in [&TLS13, &TLS12] {
        let mut longest = 1;
        let mut at = 0;
        while at < longest {
            let (mut client, mut server) = pair.connect(version);
            client.0.writer().write_all(b"data").unwrap();
            let mut answer = Vec::new();
            while client.0.is_handshaking() || !server.session.is_open() {
                let bytes = client.written();
                longest = longest.max(bytes.len());
                server.take_cut(&bytes, at);
                answer.extend(client.read(&std::mem::take(&mut server.out)).unwrap());
            }
            for message in [&b"one"[..], &[b'x'; 300], b""] {
                client.0.writer().write_all(message).unwrap();
            }
            client.0.send_close_notify();
            let bytes = client.written();
            longest = longest.max(bytes.len());
            server.take_cut(&bytes, at);
            assert_eq!(server.plain, [&b"dataone"[..], &[b'x'; 300]].concat(), "{at}");
            assert!(server.is_ended && server.input.is_empty(), "{at}");
            server.seal(b"bye").unwrap();
            server.end().unwrap();
            answer.extend(client.read(&std::mem::take(&mut server.out)).unwrap());
            assert!(answer.ends_with(b"in betweenbye"), "{at}: {answer:?}");
            assert!(client.0.process_new_packets().unwrap().peer_has_closed());
            at += 1;
        }
        assert!(longest > 200, "{longest}");
    }
}

#[test]
fn what_is_encrypted_is_added_and_may_be_of_any_size() {
    let pair = Pair::new();
    for version in [&TLS13, &TLS12] {
        let (mut client, mut server) = pair.open(version);
        let mut sent = Vec::new();
        for size in [0, 1, 100, 16_383, 16_384, 16_385, 65_536, 100_000] {
            let message = vec![u8::try_from(size % 251).unwrap(); size];
            server.seal(&message).unwrap();
            sent.extend(message);
        }
        assert!(client.read(&std::mem::take(&mut server.out)).unwrap() == sent);
        // No record was made for nothing.
        server.seal(b"").unwrap();
        assert!(server.out.is_empty());
    }
}

/// The answer to an update of the keys goes before the next bytes.
#[test]
fn updates_of_keys_are_answered_with_the_next_bytes() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.open(&TLS13);
    for _ in 0..3 {
        client.0.refresh_traffic_keys().unwrap();
        client.0.writer().write_all(b"more").unwrap();
        let bytes = client.written();
        for at in 0..bytes.len() {
            server.take(&bytes[at..=at]).unwrap();
            server.seal(b".").unwrap();
        }
        let answer = client.read(&std::mem::take(&mut server.out)).unwrap();
        assert_eq!(answer, vec![b'.'; bytes.len()]);
    }
    assert_eq!(server.plain, b"moremoremore");
}

/// A message of the handshake that never ends, in records of one byte each: something may be sent
/// at any time, and nothing panics.
#[test]
fn a_message_of_the_handshake_may_stay_incomplete() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.connect(&TLS13);
    let hello = client.written();
    // The payload of the record, one byte in each of many records.
    for byte in &hello[5..hello.len() - 1] {
        server.take(&[22, 3, 1, 0, 1, *byte]).unwrap();
        assert!(server.seal(b"x").is_err());
    }
    assert!(server.out.is_empty() && server.plain.is_empty());
    server.take(&[22, 3, 1, 0, 1, hello[hello.len() - 1]]).unwrap();
    assert!(!server.out.is_empty(), "the hello is complete and answered");
}

#[test]
fn faults_are_answered_with_an_alert() {
    let pair = Pair::new();
    for version in [&TLS13, &TLS12] {
        let (mut client, mut server) = pair.open(version);
        client.0.writer().write_all(b"fine").unwrap();
        let mut bytes = client.written();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(server.take(&bytes).is_err());
        assert!(server.plain.is_empty());
        let refused = client.read(&server.out).unwrap_err();
        assert_eq!(refused, Error::AlertReceived(AlertDescription::BadRecordMac));
        // Nothing can be sent any more.
        assert!(server.seal(b"x").is_err());
    }
    // What is no TLS at all.
    let (_, mut server) = pair.connect(&TLS13);
    assert!(server.take(&[7; 100]).is_err());
    assert!(server.out.first() == Some(&21), "{:?}", server.out);
}
