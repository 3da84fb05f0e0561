//! What a client may send before the end of its handshake: early data that another server has
//! allowed, a message cut into records, and what is refused with an alert.

use std::cell::Cell;

use rustls::server::ServerSessionMemoryCache;
use rustls::{KeyLog, ServerConfig};

use super::*;
use crate::transport::tls::header::{ALERT, DATA, HANDSHAKE, HEADER};
use crate::transport::tls::keys::{Cipher, Half, Secret, Suite, TAG, Version, open, seal};

const SUITE: Suite = Suite { version: Version::Tls13, cipher: Cipher::Aes256 };

thread_local! {
    /// With what the client protects the end of its last handshake.
    static OF_HANDSHAKE: Cell<Option<Secret>> = const { Cell::new(None) };
}

#[derive(Debug)]
struct Kept;

impl KeyLog for Kept {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "CLIENT_HANDSHAKE_TRAFFIC_SECRET" {
            OF_HANDSHAKE.set(Secret::new(secret));
        }
    }
}

/// The bytes of each record.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let [_, _, _, high, low, ..] = *bytes {
        let (record, rest) = bytes.split_at(HEADER + usize::from(u16::from_be_bytes([high, low])));
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

/// The end of a client's handshake, whose records the test makes itself.
struct Last {
    client: Client,
    server: Server,
    keys: Half,
    message: Vec<u8>,
}

impl Last {
    /// A client that has only to say that it has finished.
    fn new(pair: &Pair) -> Self {
        let mut config = pair.client();
        config.key_log = Arc::new(Kept);
        let (mut client, mut server) = (Client::new(config), pair.server());
        server.take(&client.written()).unwrap();
        client.read(&std::mem::take(&mut server.out)).unwrap();
        let mut last = records(&client.written()).pop().unwrap();
        let keys = Half::of(OF_HANDSHAKE.take().unwrap(), SUITE.cipher).unwrap();
        let key = keys.expanded(SUITE.cipher).unwrap();
        let additional = SUITE.additional(0, DATA, last.len() - HEADER - TAG);
        let len = open(&key, keys.nonce(), &additional, &mut last[HEADER..], 0).unwrap();
        let message = last[HEADER..HEADER + len].to_vec();
        assert_eq!(
            (message[0], message[len - 1]),
            (20, HANDSHAKE),
            "finished, in a record of its own"
        );
        Self { client, server, keys, message: message[..len - 1].to_vec() }
    }

    /// The next record of this type.
    fn record(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let mut inner = [plain, &[kind]].concat();
        let key = self.keys.expanded(SUITE.cipher).unwrap();
        let additional = SUITE.additional(0, DATA, inner.len());
        let tag = seal(&key, self.keys.nonce(), &additional, &mut inner).unwrap();
        self.keys.seq += 1;
        let [.., high, low] = (inner.len() + TAG).to_be_bytes();
        [&[DATA, 3, 3, high, low], &inner[..], tag.as_ref()].concat()
    }

    /// Expects this input to be refused with an alert.
    fn expect_refused(mut self, input: &[u8], alert: AlertDescription) {
        assert!(self.server.take(input).is_err(), "{alert:?} is expected");
        let told = self.client.read(&std::mem::take(&mut self.server.out)).unwrap_err();
        assert_eq!(told, Error::AlertReceived(alert));
        assert!(self.server.seal(b"x").is_err() && !self.server.session.is_open());
        let _ = self.server.take(b"more");
        assert!(self.server.out.is_empty(), "an alert is said once");
    }
}

impl Pair {
    fn client(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth()
    }

    /// A client that has a ticket of another server, which allows early data.
    fn client_with_ticket(&self) -> ClientConfig {
        let own = self.certificates.current().config;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(own.crypto_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&own.cert_resolver));
        config.session_storage = ServerSessionMemoryCache::new(8);
        config.max_early_data_size = 1 << 20;
        let mut other = ServerConnection::new(Arc::new(config)).unwrap();
        let mut config = self.client();
        config.enable_early_data = true;
        let mut client = Client::new(config.clone());
        for _ in 0..3 {
            client.exchange(&mut other);
        }
        config
    }
}

impl Client {
    fn new(config: ClientConfig) -> Self {
        let name = "localhost".try_into().unwrap();
        Self(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    /// Sends early data in records of these sizes.
    fn send_early(&mut self, sizes: &[usize]) {
        for &size in sizes {
            let early = vec![7; size];
            self.0.early_data().unwrap().write_all(&early).unwrap();
        }
    }
}

/// Another server has given the client a ticket, and allowed it early data. Here they are skipped,
/// and the handshake is a full one.
#[test]
fn early_data_for_another_server_is_skipped() {
    let pair = Pair::new();
    let many = [1; 60];
    for sizes in [&[][..], &[1], &[300; 8], &[9_000], &[16_384], &[12_000, 12_000], &many] {
        let mut client = Client::new(pair.client_with_ticket());
        client.send_early(sizes);
        let first = client.written();
        let cuts = if first.len() < 1_000 { first.len() } else { 1 };
        for at in 0..cuts {
            // The same client again, with the same input cut elsewhere.
            let mut client = Client::new(pair.client_with_ticket());
            client.send_early(sizes);
            let (mut server, bytes) = (pair.server(), client.written());
            server.take_cut(&bytes, at);
            while client.0.is_handshaking() || !server.session.is_open() {
                client.read(&std::mem::take(&mut server.out)).unwrap();
                server.take(&client.written()).unwrap();
            }
            assert!(!client.0.is_early_data_accepted());
            assert_eq!(client.0.handshake_kind(), Some(rustls::HandshakeKind::Full));
            client.0.writer().write_all(b"after").unwrap();
            server.take(&client.written()).unwrap();
            assert_eq!(server.plain, b"after", "{sizes:?}");
            server.seal(b"yes").unwrap();
            assert!(client.read(&std::mem::take(&mut server.out)).unwrap().ends_with(b"yes"));
        }
    }
}

/// In bytes and in records.
#[test]
fn little_early_data_is_skipped() {
    let pair = Pair::new();
    for sizes in [&[16_384, 16_384][..], &[1; 80]] {
        let mut client = Client::new(pair.client_with_ticket());
        client.send_early(sizes);
        let mut server = pair.server();
        assert!(server.take(&client.written()).is_err());
        let told = client.read(&server.out).unwrap_err();
        assert!(matches!(told, Error::AlertReceived(_)), "{told}");
        assert!(server.plain.is_empty());
    }
}

/// The client says that it has finished in any two records, and in one for each byte.
#[test]
fn the_last_message_may_be_cut_into_records() {
    let pair = Pair::new();
    let len = Last::new(&pair).message.len();
    for at in 1..=len {
        let mut last = Last::new(&pair);
        let message = last.message.clone();
        let pieces: Vec<&[u8]> = match at {
            at if at == len => message.chunks(1).collect(),
            at => vec![&message[..at], &message[at..]],
        };
        for piece in pieces {
            assert!(!last.server.session.is_open());
            let record = last.record(HANDSHAKE, piece);
            for byte in record {
                last.server.take(&[byte]).unwrap();
            }
        }
        last.client.0.writer().write_all(b"after").unwrap();
        last.server.take(&last.client.written()).unwrap();
        assert_eq!(last.server.plain, b"after", "{at}");
    }
}

/// A warning comes before the last message, so the records of that are not the first ones that can
/// be decrypted, and yet no early data.
#[test]
fn a_warning_may_come_before_the_last_message() {
    let pair = Pair::new();
    let len = Last::new(&pair).message.len();
    for at in 1..len {
        for is_right in [true, false] {
            let mut last = Last::new(&pair);
            let message = last.message.clone();
            let warning = last.record(ALERT, &[1, 90]);
            let pieces = [
                last.record(HANDSHAKE, &message[..at]),
                match is_right {
                    true => last.record(HANDSHAKE, &message[at..]),
                    false => [&[DATA, 3, 3, 0, 17][..], &[7; 17]].concat(),
                },
            ];
            let outcome = last.server.take(&[&warning[..], &pieces.concat()].concat());
            if is_right {
                outcome.unwrap();
            }
            assert_eq!(last.server.session.is_open(), is_right, "{at}");
        }
    }
}

/// Whatever is wrong before the end of a handshake, the client is told of it.
#[test]
fn refusals_of_a_handshake_are_alerts() {
    use AlertDescription as Alert;
    let pair = Pair::new();
    // More behind the last message, in its record and in the next one.
    let mut last = Last::new(&pair);
    let message = [&last.message[..], &[24, 0]].concat();
    let record = last.record(HANDSHAKE, &message);
    last.expect_refused(&record, Alert::UnexpectedMessage);
    // Another record within a message: rustls finds that out, and says nothing.
    let mut last = Last::new(&pair);
    let message = last.message.clone();
    let bytes = [last.record(HANDSHAKE, &message[..9]), last.record(ALERT, &[1, 90])].concat();
    last.expect_refused(&bytes, Alert::BadRecordMac);
    // What cannot be decrypted, without early data; and what is too short to be decrypted.
    let other = [&[DATA, 3, 3, 0, 40][..], &[7; 40]].concat();
    Last::new(&pair).expect_refused(&other, Alert::BadRecordMac);
    Last::new(&pair).expect_refused(&[DATA, 3, 3, 0, 16], Alert::DecodeError);
    Last::new(&pair).expect_refused(&[99, 3, 3, 0, 16], Alert::DecodeError);
    // An empty message, in too many records.
    let mut last = Last::new(&pair);
    let message = last.message.clone();
    let first = last.record(HANDSHAKE, &message[..1]);
    let bytes: Vec<u8> = (0..70).flat_map(|_| last.record(HANDSHAKE, b"")).collect();
    let mut server_input = first;
    server_input.extend(bytes);
    assert!(last.server.take(&server_input).is_err());
    assert!(last.client.read(&last.server.out).is_err());
    // Before the client's first message is complete.
    for wrong in [[HANDSHAKE, 3, 1, 0, 0], [99, 3, 1, 0, 5], [DATA, 3, 3, 0, 5]] {
        let mut server = pair.server();
        let first = Client::new(pair.client()).written();
        server.take(&[&[HANDSHAKE, 3, 1, 0, 9][..], &first[HEADER..HEADER + 9]].concat()).unwrap();
        assert!(server.take(&wrong).is_err());
        assert_eq!((server.out[0], server.out.len()), (ALERT, 7), "{wrong:?}");
    }
}
