//! The records after the handshake, against those of rustls.

use std::cell::Cell;

use rustls::kernel::KernelConnection;
use rustls::{CipherSuite, KeyLog};

use super::*;
use crate::transport::tls::keys::Secret;

pub(super) const SUITES: [CipherSuite; 6] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];

pub(super) fn has_tls13(suite: CipherSuite) -> bool {
    format!("{suite:?}").starts_with("TLS13")
}

/// Any records of any sizes, cut anywhere, in calls that may do little, with updates of the keys:
/// both sides read what the other has sent.
#[test]
fn rustls_and_this_understand_each_other() {
    let pair = Pair::new();
    for (suite, seed) in SUITES.into_iter().flat_map(|suite| (0..6).map(move |seed| (suite, seed)))
    {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut client, mut server) = pair.open_with(suite);
        server
            .session
            .limit_to(u64::from(random.u8(1..9)) * if has_tls13(suite) { 1 } else { 999 });
        for round in 0..30 {
            let mut sent = Vec::new();
            let mut bytes = Vec::new();
            for _ in 0..random.usize(0..6) {
                let len =
                    if random.bool() { random.usize(0..64) } else { random.usize(0..=16_384) };
                let message: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
                client.0.writer().write_all(&message).unwrap();
                if has_tls13(suite) && random.u8(..) < 40 {
                    client.0.refresh_traffic_keys().unwrap();
                }
                sent.extend(message);
                bytes.extend(client.written());
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let at = random.usize(1..=rest.len().min(20_000));
                server.take_with(&rest[..at], random.u64(1..9_000)).unwrap();
                rest = &rest[at..];
            }
            assert!(std::mem::take(&mut server.plain) == sent, "{suite:?} {seed} {round}");
            assert!(server.input.is_empty());
            let len = random.usize(0..40_000);
            let answer: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            server.seal(&answer).unwrap();
            let read = client.read(&std::mem::take(&mut server.out)).unwrap();
            assert!(read == answer, "{suite:?} {seed} {round}");
        }
        client.0.send_close_notify();
        server.take(&client.written()).unwrap();
        assert!(server.is_ended);
    }
}

/// A byte that is changed anywhere in a record ends the connection. Behind the header it does so
/// with the alert that rustls gives.
#[test]
fn no_byte_can_be_changed() {
    let pair = Pair::new();
    let alert_of = |error: Error| match error {
        Error::AlertReceived(alert) => alert,
        error => panic!("{error}"),
    };
    for suite in SUITES {
        for at in 0..60 {
            let (mut client, mut server) = pair.open_with(suite);
            let (mut other, mut rustls) = pair.open_rustls(suite);
            let mut alerts = Vec::new();
            for (client, is_ours) in [(&mut client, true), (&mut other, false)] {
                client.0.writer().write_all(&[7; 31]).unwrap();
                let mut bytes = client.written();
                if at >= bytes.len() {
                    continue;
                }
                bytes[at] ^= 1 << (at % 8);
                // A length that grew needs more.
                bytes.extend([0; 40_000]);
                let out = if is_ours {
                    assert!(server.take(&bytes).is_err(), "{suite:?} {at}");
                    assert!(server.plain.is_empty());
                    std::mem::take(&mut server.out)
                } else if at < 5 {
                    continue;
                } else {
                    let mut out = Vec::new();
                    while rustls.read_tls(&mut &bytes[..]).is_ok_and(|read| read > 0) {
                        if rustls.process_new_packets().is_err() {
                            break;
                        }
                    }
                    while rustls.wants_write() {
                        rustls.write_tls(&mut out).unwrap();
                    }
                    out
                };
                alerts.push(alert_of(client.read(&out).unwrap_err()));
            }
            assert!(alerts.windows(2).all(|pair| pair[0] == pair[1]), "{suite:?} {at}: {alerts:?}");
        }
    }
}

/// No key protects more records than it may: TLS 1.3 goes on to the next, TLS 1.2 ends.
#[test]
fn keys_are_changed_before_they_are_used_up() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.open_with(SUITES[1]);
    server.session.limit_to(3);
    for _ in 0..20 {
        server.seal(&[5; 40_000]).unwrap();
    }
    let out = std::mem::take(&mut server.out);
    assert!(client.read(&out).unwrap() == [5; 800_000]);
    // 60 records of data and one for each change.
    let records = |mut bytes: &[u8]| {
        let mut count = 0;
        while let [_, _, _, high, low, rest @ ..] = bytes {
            bytes = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
            count += 1;
        }
        count
    };
    assert!((70..=90).contains(&records(&out)), "{}", records(&out));
    let (mut client, mut server) = pair.open_with(SUITES[4]);
    server.session.limit_to(3);
    for _ in 0..3 {
        server.seal(b"x").unwrap();
    }
    assert!(server.seal(b"x").is_err());
    assert_eq!(client.read(&server.out).unwrap(), b"xxx");
    assert!(client.0.process_new_packets().unwrap().peer_has_closed());
}

/// The expanded keys of a core are for those that were in use last, and nobody gets those of
/// others.
#[test]
fn connections_that_share_a_place_keep_their_keys() {
    let pair = Pair::new();
    let mut keys = Keyring::default();
    let mut open: Vec<_> = (0..3)
        .map(|_| {
            let (client, mut server) = pair.connect(&TLS13);
            server.keys = std::mem::take(&mut keys);
            let open = finish(client, server);
            let (client, mut server) = open;
            keys = std::mem::take(&mut server.keys);
            (client, server)
        })
        .collect();
    for round in 0..9_u8 {
        for (client, server) in &mut open {
            server.keys = std::mem::take(&mut keys);
            client.0.writer().write_all(&[round]).unwrap();
            server.take(&client.written()).unwrap();
            server.seal(&[round]).unwrap();
            assert_eq!(client.read(&std::mem::take(&mut server.out)).unwrap(), [round]);
            keys = std::mem::take(&mut server.keys);
        }
    }
    assert!(keys.memory() < 4096, "they have one place");
    assert!(open.iter().all(|(_, server)| server.plain == (0..9).collect::<Vec<u8>>()));
}

/// What an idle connection takes is the state that is left of it.
#[test]
fn the_state_of_a_connection_is_small() {
    let state = size_of::<TlsSession>();
    assert!(state <= 384, "{state} bytes");
    assert!(state < size_of::<KernelConnection<rustls::server::ServerConnectionData>>());
}

thread_local! {
    /// The secrets of the last handshake of a client: of what it sends, and of what it receives.
    pub(super) static OF_CLIENT: [Cell<Option<Secret>>; 2] =
        const { [Cell::new(None), Cell::new(None)] };
}

#[derive(Debug)]
struct Kept;

impl KeyLog for Kept {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let of = ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"];
        if let Some(at) = of.iter().position(|&known| known == label) {
            OF_CLIENT.with(|kept| kept[at].set(Secret::new(secret)));
        }
    }
}

impl Pair {
    fn client_of(&self, suite: CipherSuite) -> Client {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.retain(|known| known.suite() == suite);
        let version = if has_tls13(suite) { &TLS13 } else { &TLS12 };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_secret_extraction = true;
        config.key_log = Arc::new(Kept);
        let name = "localhost".try_into().unwrap();
        Client(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    pub(super) fn open_with(&self, suite: CipherSuite) -> (Client, Server) {
        let (_, server) = self.connect(&TLS13);
        finish(self.client_of(suite), server)
    }

    fn open_rustls(&self, suite: CipherSuite) -> (Client, ServerConnection) {
        let mut client = self.client_of(suite);
        let mut server = ServerConnection::new(self.certificates.current().config).unwrap();
        while client.0.is_handshaking() || server.is_handshaking() {
            client.exchange(&mut server);
        }
        (client, server)
    }
}
