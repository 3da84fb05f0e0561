//! Handshakes: when they go on, and what they are charged.

use super::Transport;
use super::connection::Stage;
use super::tls::TlsSession;
use super::work::SHARE;
use crate::base::{ConnectionId, Work};
use crate::io::Driver;

/// The answer to a client that speaks HTTP to a listener with TLS. Its first bytes are the name of
/// a method.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\nConnection: close\r\n\r\n\
    This port speaks TLS only: use https:// or wss://.\n";

/// What a key exchange takes, in steps of a handshake without it: on X25519 or P-256, and on P-384.
const EXCHANGE: u32 = 3;
const P384: u32 = 30;

impl<D: Driver> Transport<D> {
    /// Goes on with handshakes, as many as this turn may do. Returns whether there is an event.
    #[cold]
    pub(super) fn advance_handshakes(&mut self) -> bool {
        while self.allowed > 0
            && let Some(id) = self.handshakes.pop_front()
        {
            let Some(connection) = self.table.get(id) else { continue };
            connection.is_listed = false;
            let said = connection.output.len();
            if matches!(connection.stage, Stage::New) {
                self.begin(id);
            }
            self.spend(1);
            let is_slow = self.take_waiting(id, SHARE);
            // The answer to the first message of a client contains the signature.
            if self.table.get(id).is_some_and(|connection| connection.output.len() > said) {
                self.spend(self.current.signature + if is_slow { P384 } else { EXCHANGE });
            }
            if !self.events.is_empty() {
                return true;
            }
        }
        false
    }

    /// A part of the handshakes of a turn is used up.
    fn spend(&mut self, cost: u32) {
        self.allowed = self.allowed.saturating_sub(cost);
        self.work.count(u64::from(cost) * Work::HANDSHAKE);
    }

    /// The first bytes of a client are there.
    fn begin(&mut self, id: ConnectionId) {
        if self.version != self.certificates.version() {
            self.version = self.certificates.version();
            self.current = self.certificates.current();
        }
        let Some(connection) = self.table.get(id) else { return };
        let is_http = connection.input.first().is_some_and(u8::is_ascii_uppercase);
        let session = (!is_http).then(|| TlsSession::new(&self.current.config));
        match session {
            Some(Ok(session)) => {
                connection.stage = Stage::Tls(session);
                self.held += TlsSession::HANDSHAKE;
            }
            Some(Err(fault)) => {
                tracing::debug!(slot = id.slot, %fault, "TLS cannot begin");
                self.refuse(id);
            }
            None => {
                tracing::debug!(slot = id.slot, "a client speaks HTTP to a listener with TLS");
                connection.output.extend_from_slice(USE_TLS);
                self.refuse(id);
            }
        }
    }
}
