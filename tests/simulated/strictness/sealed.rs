//! Runs the table through the worker with TLS around a simulated driver: what the client sends is
//! cut at every byte of its records.

use std::io::{Read, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::gateway::Gateway;
use corecast::io::sim::{ClientId, ServerEnd, SimNetwork, SimOptions, SimRing};
use corecast::transport::Transport;
use corecast::transport::tls::Certificates;
use corecast::worker::Worker;
use rustls::{ClientConfig, ClientConnection};

use super::case::Case;
use super::request::RequestCase;
use super::split;
use crate::certificates::Pair;
use crate::support::client::{Head, request};
use crate::support::echo::echo;
use crate::support::wire::{self, FIN, PING, PONG};
use crate::support::{deflate, hex};

/// Longer inputs are cut at so many places only.
const PLACES: usize = 300;
/// The turns in which an answer has to come.
const TURNS: usize = 400;

/// A worker with TLS, for one case after the other.
pub(crate) struct Sealed {
    network: SimNetwork,
    worker: Worker<Transport<SimRing>, Gateway<Echo>>,
    client: Arc<ClientConfig>,
}

/// One connection.
struct Connection {
    id: ClientId,
    tls: ClientConnection,
    answer: Vec<u8>,
    has_ended: bool,
}

impl Sealed {
    pub(crate) fn new(max_fragments: usize) -> Self {
        static PAIR: LazyLock<Pair> = LazyLock::new(|| Pair::new(&["localhost"]));
        let mut config = split::config(max_fragments);
        let service = echo(&mut config);
        let ring = SimRing::new(1, SimOptions::default());
        let network = ring.network();
        let certificates = Arc::new(Certificates::new(&PAIR.tls()).unwrap());
        let transport = Transport::new(ring, vec![true], certificates);
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(transport, Arc::new(config), service, 1, stop);
        Self { network, worker, client: Arc::new(PAIR.client()) }
    }

    /// One turn of the worker, and what it has sent.
    fn turn(&mut self, connection: &mut Connection) -> Result<(), String> {
        self.network.limit(self.network.now() + Duration::from_millis(1));
        self.worker.turn().unwrap();
        let Connection { id, tls, answer, has_ended } = connection;
        let bytes = self.network.read(*id);
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes).unwrap();
            let state = tls.process_new_packets().map_err(|error| error.to_string())?;
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).unwrap();
            answer.extend(plain);
            if state.peer_has_closed() && !std::mem::replace(has_ended, true) {
                tls.send_close_notify();
                let end = written(tls);
                self.network.write(*id, &end);
            }
        }
        Ok(())
    }

    /// A connection after the handshake of TLS, and after that of WebSocket if there is a request.
    fn connect(&mut self, request: &[u8]) -> Connection {
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        tls.set_buffer_limit(None);
        let id = self.network.connect(0);
        tls.writer().write_all(request).unwrap();
        let mut connection = Connection { id, tls, answer: Vec::new(), has_ended: false };
        for _ in 0..TURNS {
            let bytes = written(&mut connection.tls);
            self.network.write(id, &bytes);
            self.turn(&mut connection).unwrap();
            let is_open = request.is_empty() || Head::parse(&connection.answer).is_some();
            if !connection.tls.is_handshaking() && !connection.tls.wants_write() && is_open {
                return connection;
            }
        }
        panic!("no handshake");
    }

    /// Sends `parts` after the request, each in records of its own, cut at a byte of the records.
    /// Returns the answer up to `last` or up to the end, and whether the server has ended TLS and
    /// TCP.
    fn run(
        &mut self,
        request: &[u8],
        parts: &[&[u8]],
        at: usize,
        last: Option<&[u8]>,
    ) -> Result<Answer, String> {
        let mut connection = self.connect(request);
        let mut bytes = Vec::new();
        for part in parts {
            connection.tls.writer().write_all(part).unwrap();
            bytes.extend(written(&mut connection.tls));
        }
        let (one, other) = bytes.split_at(at.min(bytes.len()));
        self.network.write(connection.id, one);
        for _ in 0..5 {
            self.turn(&mut connection)?;
        }
        self.network.write(connection.id, other);
        let mut end = None;
        for _ in 0..TURNS {
            end = self.network.closed_by_server(connection.id);
            if end.is_some() || last.is_some_and(|last| connection.answer.ends_with(last)) {
                break;
            }
            self.turn(&mut connection)?;
        }
        let ended = connection.has_ended && end == Some(ServerEnd::Fin);
        if end.is_some() && !ended {
            return Err(format!("{end:?}, close_notify: {}", connection.has_ended));
        }
        self.network.reset(connection.id);
        self.turn(&mut connection)?;
        Ok(Answer { sent: connection.answer, ended, input: bytes.len() })
    }

    /// Runs `case`, cut at every byte.
    pub(crate) fn check(&mut self, case: &Case) -> Result<(), String> {
        let head = request(case.offer);
        let ping = wire::frame(FIN | PING, b"next");
        let pong = wire::unmasked(FIN | PONG, b"next");
        let mut expected = case.expects.clone();
        let (mut parts, mut last) = (vec![&case.sends[..]], None);
        if !case.ends {
            expected.extend_from_slice(&pong);
            (parts, last) = ([parts, vec![&ping]].concat(), Some(&pong[..]));
        }
        self.cut(&head, &parts, last, |answer| {
            let Some((head, len)) = Head::parse(&answer.sent) else {
                return Err(format!("no head in {}", hex(&answer.sent)));
            };
            let agreed = head.get("Sec-WebSocket-Extensions").unwrap_or_default();
            let keeps_window = !agreed.contains("server_no_context_takeover");
            let got = deflate::plain(&answer.sent[len..], keeps_window)?;
            if got == expected && answer.ended == case.ends {
                return Ok(());
            }
            let (expected, got) = (hex(&expected), hex(&got));
            Err(format!("expected {expected}, ends: {}\n  got {got}, {}", case.ends, answer.ended))
        })
    }

    /// Runs a handshake, cut at every byte.
    pub(crate) fn check_request(&mut self, case: &RequestCase) -> Result<(), String> {
        let last = case.opens.then_some(&case.expects[..]);
        self.cut(b"", &[&case.sends], last, |answer| {
            if answer.sent == case.expects && answer.ended != case.opens {
                return Ok(());
            }
            Err(format!(
                "expected {:?}\n  got {:?}, ended: {}",
                String::from_utf8_lossy(&case.expects),
                String::from_utf8_lossy(&answer.sent),
                answer.ended
            ))
        })
    }

    fn cut(
        &mut self,
        request: &[u8],
        parts: &[&[u8]],
        last: Option<&[u8]>,
        check: impl Fn(&Answer) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut at, mut len) = (0, 1);
        while at < len {
            let answer = self.run(request, parts, at, last);
            let answer = answer.and_then(|answer| check(&answer).map(|()| answer));
            len = answer.map_err(|why| format!("  cut at {at} of {len}: {why}"))?.input;
            at += len / PLACES + 1;
        }
        Ok(())
    }
}

/// What has come of one connection.
struct Answer {
    sent: Vec<u8>,
    ended: bool,
    /// The bytes of the records that the client has sent.
    input: usize,
}

/// What TLS has to send.
fn written(tls: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    bytes
}
