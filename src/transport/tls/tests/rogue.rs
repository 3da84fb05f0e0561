//! A client that sends what rustls never does.

use std::cell::Cell;

use rustls::{AlertDescription as Alert, CipherSuite};

use super::records::{OF_CLIENT, SUITES, has_tls13};
use super::*;
use crate::transport::tls::header::{ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE};
use crate::transport::tls::keys::{Half, Suite, Version};
use crate::transport::tls::records::Records;

/// A client that sends any records, and the server.
struct Rogue {
    records: Records,
    keys: Keyring,
    server: Server,
    version: Version,
}

impl Rogue {
    fn new(pair: &Pair, suite: CipherSuite) -> Self {
        let (client, mut server) = pair.open_with(suite);
        let version = if has_tls13(suite) { Version::Tls13 } else { Version::Tls12 };
        let secrets = OF_CLIENT.with(|kept| kept.each_ref().map(Cell::take));
        #[allow(deprecated, reason = "the test needs no more than the keys")]
        let extracted = client.0.dangerous_extract_secrets().unwrap();
        let half = |(seq, keys): &(u64, _), secret: &Option<_>| {
            Half::new(version, (*seq, keys), secret.as_ref()).unwrap()
        };
        let (read, cipher) = half(&extracted.rx, &secrets[1]);
        let (write, _) = half(&extracted.tx, &secrets[0]);
        let mut keys = Keyring::default();
        let owner = keys.enter(0);
        server.out.clear();
        let records = Records::new(Suite { version, cipher }, (read, write), owner, 1 << 24);
        Self { records, keys, server, version }
    }

    /// Sends a record.
    fn send(&mut self, kind: u8, plain: &[u8]) -> Result<(), Fault> {
        let mut out = Vec::new();
        self.records.put_any(&mut self.keys, kind, plain, &mut out);
        self.server.take(&out)
    }

    /// The alert that the server has sent, if any.
    fn alert(&mut self) -> Option<Alert> {
        let mut bytes = std::mem::take(&mut self.server.out);
        let taken = self.records.receive(&mut self.keys, &mut bytes, &mut Vec::new(), u64::MAX);
        match taken.fault {
            Some(Fault::Alert(alert)) => Some(alert),
            None => None,
            fault => panic!("{fault:?}"),
        }
    }

    /// Expects the last record to be refused.
    fn expect_refused(mut self, result: Result<(), Fault>, alert: Alert) {
        assert!(result.is_err(), "{alert:?} was expected");
        assert_eq!(self.alert(), Some(alert), "{result:?}");
        assert!(self.server.seal(b"x").is_err() && !self.server.session.is_open());
    }
}

const UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const ASKING_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];

#[test]
fn wrong_records_get_the_right_alert() {
    let pair = Pair::new();
    let (tls13, tls12) = (SUITES[0], SUITES[3]);
    let long = vec![1; 16_385];
    let table: [(CipherSuite, u8, &[u8], Alert); 19] = [
        // The last byte that is not zero is the type: without one it is all padding.
        (tls13, 0, &[], Alert::UnexpectedMessage),
        (tls13, 0, &[0; 300], Alert::UnexpectedMessage),
        (tls13, CHANGE_CIPHER_SPEC, &[1], Alert::UnexpectedMessage),
        (tls13, 99, b"what", Alert::UnexpectedMessage),
        (tls13, DATA, &long, Alert::RecordOverflow),
        (tls12, DATA, &long, Alert::RecordOverflow),
        (tls13, ALERT, &[], Alert::DecodeError),
        (tls13, ALERT, &[1], Alert::DecodeError),
        (tls13, ALERT, &[1, 0, 1], Alert::DecodeError),
        (tls13, ALERT, &[3, 0], Alert::IllegalParameter),
        (tls13, ALERT, &[1, 100], Alert::DecodeError),
        (tls13, HANDSHAKE, &[], Alert::UnexpectedMessage),
        (tls13, HANDSHAKE, &[1, 0, 0, 9], Alert::UnexpectedMessage),
        (tls13, HANDSHAKE, &[24, 0, 0, 1, 2], Alert::IllegalParameter),
        (tls13, HANDSHAKE, &[24, 0, 0, 2, 0, 0], Alert::DecodeError),
        (tls13, HANDSHAKE, &[24, 0, 0, 1, 0, 24], Alert::UnexpectedMessage),
        (tls12, HANDSHAKE, &[0, 0, 0, 0], Alert::UnexpectedMessage),
        (tls12, HANDSHAKE, &[1, 1, 0, 0], Alert::DecodeError),
        (tls12, ALERT, &[1], Alert::DecodeError),
    ];
    for (suite, kind, plain, alert) in table {
        let mut rogue = Rogue::new(&pair, suite);
        rogue.send(DATA, b"fine").unwrap();
        let result = rogue.send(kind, plain);
        rogue.expect_refused(result, alert);
    }
    // Headers, which are refused before the rest of the record is there.
    for (suite, header, alert) in [
        (tls13, [20, 3, 3, 0, 1], Alert::UnexpectedMessage),
        (tls13, [22, 3, 3, 0, 99], Alert::UnexpectedMessage),
        (tls13, [23, 3, 1, 0, 99], Alert::DecodeError),
        (tls13, [23, 3, 3, 0x41, 1], Alert::RecordOverflow),
        (tls13, [23, 3, 3, 0, 15], Alert::BadRecordMac),
        (tls12, [20, 3, 3, 0, 1], Alert::UnexpectedMessage),
        (tls12, [23, 3, 2, 0, 99], Alert::DecodeError),
        (tls12, [23, 3, 3, 0x48, 1], Alert::RecordOverflow),
        (tls12, [23, 3, 3, 0, 23], Alert::BadRecordMac),
    ] {
        let mut rogue = Rogue::new(&pair, suite);
        let result = rogue.server.take(&header);
        rogue.expect_refused(result, alert);
    }
}

/// What may come, but not for ever.
#[test]
fn what_leads_nowhere_is_bounded() {
    let pair = Pair::new();
    let (tls13, tls12) = (SUITES[0], SUITES[3]);
    for (suite, kind, plain, most) in [
        (tls13, DATA, &b""[..], 32),
        (tls12, DATA, &b""[..], 32),
        (tls13, HANDSHAKE, &ASKING_UPDATE, 32),
        (tls13, ALERT, &[1, 90], 4),
        (tls12, ALERT, &[1, 41], 4),
        (tls12, HANDSHAKE, &[1, 0, 0, 2, 9, 9], 1),
    ] {
        let mut rogue = Rogue::new(&pair, suite);
        for _ in 0..most {
            rogue.send(kind, plain).unwrap();
            if plain == ASKING_UPDATE {
                rogue.records.next_keys(&mut rogue.keys);
            }
        }
        let result = rogue.send(kind, plain);
        rogue.expect_refused(result, Alert::UnexpectedMessage);
    }
    // Data between them.
    let mut rogue = Rogue::new(&pair, tls13);
    for _ in 0..100 {
        rogue.send(HANDSHAKE, &UPDATE).unwrap();
        rogue.records.next_keys(&mut rogue.keys);
        rogue.send(DATA, b"").unwrap();
        rogue.send(DATA, b"x").unwrap();
    }
    assert_eq!(rogue.server.plain, [b'x'; 100]);
}

/// A message in any two pieces, with nothing between them.
#[test]
fn messages_may_be_split_over_records() {
    let pair = Pair::new();
    for (suite, message) in [
        (SUITES[1], &ASKING_UPDATE[..]),
        (SUITES[4], &[1, 0, 0, 5, 1, 2, 3, 4, 5]),
        (SUITES[4], &[1, 0, 0, 0]),
    ] {
        for at in 1..message.len() {
            let mut rogue = Rogue::new(&pair, suite);
            rogue.send(HANDSHAKE, &message[..at]).unwrap();
            rogue.send(HANDSHAKE, &message[at..]).unwrap();
            if rogue.version == Version::Tls13 {
                rogue.records.next_keys(&mut rogue.keys);
            }
            rogue.send(DATA, b"fine").unwrap();
            assert_eq!(rogue.server.plain, b"fine");
            // The server goes on to its next keys, or says that it does not begin anew.
            rogue.server.seal(b"yes").unwrap();
            assert_eq!(rogue.alert(), None);
            let mut rogue = Rogue::new(&pair, suite);
            rogue.send(HANDSHAKE, &message[..at]).unwrap();
            let result = rogue.send(DATA, b"");
            rogue.expect_refused(result, Alert::UnexpectedMessage);
        }
    }
}

/// Padding is taken off, and alerts end the connection without an answer.
#[test]
fn padding_and_alerts_are_understood() {
    let pair = Pair::new();
    let mut rogue = Rogue::new(&pair, SUITES[2]);
    rogue.send(0, &[b'a', b'b', DATA, 0, 0, 0]).unwrap();
    rogue.send(0, &[DATA]).unwrap();
    rogue.send(0, &[0, b'c', DATA]).unwrap();
    assert_eq!(rogue.server.plain, b"ab\0c");
    assert!(matches!(rogue.send(ALERT, &[2, 40]), Err(Fault::Alert(Alert::HandshakeFailure))));
    assert!(rogue.server.out.is_empty() && rogue.server.seal(b"x").is_err());
    // What comes behind the end is not looked at.
    for suite in SUITES {
        let mut rogue = Rogue::new(&pair, suite);
        rogue.send(ALERT, &[1, 0]).unwrap();
        assert!(rogue.server.is_ended);
        rogue.server.seal(b"bye").unwrap();
        rogue.server.end().unwrap();
        assert!(rogue.server.end().is_err() && rogue.server.seal(b"more").is_err());
        let mut bytes = std::mem::take(&mut rogue.server.out);
        let taken = rogue.records.receive(&mut rogue.keys, &mut bytes, &mut Vec::new(), u64::MAX);
        assert!(taken.is_end && &bytes[taken.plain] == b"bye");
    }
}
