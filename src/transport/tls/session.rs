//! TLS of one connection, sans-IO: records in, plain bytes out, and the other way.

use std::sync::Arc;

use rustls::{AlertDescription, ServerConfig};

use super::fault::{Exhausted, Fault, Taken};
use super::handshake::{Handshake, Progress};
use super::keyring::Keyring;
use super::records::Records;

/// The state of TLS of one connection. It holds no part of what is received or sent: a record that
/// is not complete stays with the caller.
pub(crate) struct TlsSession(State);

#[allow(clippy::large_enum_variant, reason = "nearly all connections have the large one")]
enum State {
    /// Several kilobytes, for a short time.
    Handshake(Box<Handshake>),
    Records(Records),
    /// Nothing more is received or sent.
    Over,
}

impl std::fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSession").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl TlsSession {
    /// The memory of a handshake, in bytes, about.
    pub(crate) const HANDSHAKE: usize = 6 << 10;

    pub(crate) fn new(config: &Arc<ServerConfig>) -> Result<Self, Fault> {
        let handshake = Handshake::new(config).map_err(Fault::Handshake)?;
        Ok(Self(State::Handshake(Box::new(handshake))))
    }

    /// Whether the handshake is complete, so that plain bytes can be sent.
    #[inline]
    pub(crate) const fn is_open(&self) -> bool {
        matches!(&self.0, State::Records(records) if records.is_open())
    }

    /// Whether it still holds the state of a handshake.
    pub(crate) const fn is_handshake(&self) -> bool {
        matches!(self.0, State::Handshake(_))
    }

    /// Takes records from the front of `input`, until so much work is done, and decrypts them
    /// there. Adds what TLS itself has to say to `out`. `slot` is the connection's.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        keys: &mut Keyring,
        slot: u32,
        input: &mut [u8],
        out: &mut Vec<u8>,
        allowed: u64,
    ) -> Taken {
        match &mut self.0 {
            State::Records(records) => records.receive(keys, input, out, allowed),
            State::Handshake(_) => self.shake_hands(keys, slot, input, out, allowed),
            State::Over => Taken::default(),
        }
    }

    #[cold]
    fn shake_hands(
        &mut self,
        keys: &mut Keyring,
        slot: u32,
        input: &mut [u8],
        out: &mut Vec<u8>,
        allowed: u64,
    ) -> Taken {
        let State::Handshake(handshake) = &mut self.0 else { return Taken::default() };
        let (mut taken, progress) = handshake.receive(input, out);
        taken.is_slow = handshake.is_slow();
        if progress == Progress::Incomplete {
            return taken;
        }
        // Before the handshake is moved out of its box, which is freed as it is.
        let secrets = handshake.secrets.take();
        let State::Handshake(handshake) = std::mem::replace(&mut self.0, State::Over) else {
            return taken;
        };
        let is_resumed = handshake.is_resumed();
        match handshake.into_records(&secrets, keys.enter(slot)) {
            Ok(mut records) => {
                if progress == Progress::GoesOn {
                    let what = "a message that goes on behind the handshake";
                    let fault = Fault::Records(AlertDescription::UnexpectedMessage, what);
                    records.fail(keys, &fault, out);
                    taken.fault = Some(fault);
                }
                keys.handshakes += 1;
                keys.resumed += u64::from(is_resumed);
                self.0 = State::Records(records);
                if taken.fault.is_some() {
                    return taken;
                }
            }
            Err(error) => {
                taken.fault = Some(Fault::Handshake(error));
                return taken;
            }
        }
        // What has come with the end of the handshake.
        let rest = input.get_mut(taken.bytes..).unwrap_or_default();
        let behind = self.receive(keys, slot, rest, out, allowed);
        let before = taken.bytes;
        let plain = behind.plain.start + before..behind.plain.end + before;
        Taken { bytes: before + behind.bytes, plain, is_slow: taken.is_slow, ..behind }
    }

    /// The handshake is not gone on with: adds an alert to `out` that says so. `input` is what was
    /// given to [`receive`](Self::receive) and not taken.
    pub(crate) fn refuse(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if let State::Handshake(handshake) = &mut self.0 {
            handshake.refuse(input, out);
        }
    }

    /// Encrypts `plain` and adds the records to `out`. Returns the work that it was.
    #[inline]
    pub(crate) fn seal(
        &mut self,
        keys: &mut Keyring,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Exhausted> {
        let State::Records(records) = &mut self.0 else { return Err(Exhausted) };
        records.seal(keys, plain, out)
    }

    /// Adds the alert to `out` that says that nothing more is sent (`close_notify`).
    pub(crate) fn end(&mut self, keys: &mut Keyring, out: &mut Vec<u8>) -> Result<(), Exhausted> {
        let State::Records(records) = &mut self.0 else { return Err(Exhausted) };
        records.end(keys, out)
    }

    /// The connection has ended: drops what a core keeps for it, and overwrites its keys where they
    /// are.
    pub(crate) fn forget(&mut self, keys: &mut Keyring) {
        match &mut self.0 {
            State::Records(records) => records.forget(keys),
            State::Handshake(handshake) => handshake.secrets.wipe(),
            State::Over => {}
        }
        self.0 = State::Over;
    }

    /// Lets the present keys protect so many records more, and each of the next ones.
    #[cfg(test)]
    pub(super) const fn limit_to(&mut self, records: u64) {
        if let State::Records(of) = &mut self.0 {
            of.limit_to(records);
        }
    }
}
