//! The expectations of one client: which frames may arrive, given its own input.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::frames::{BINARY, CLOSE, Frame, PING, PONG, TEXT};
use crate::sim::tally::Tally;
use crate::sim::world::World;

pub(crate) const GOING_AWAY: u16 = 1001;
/// To a client that does not read what it is sent.
const TRY_AGAIN_LATER: u16 = 1013;

/// The way in which the client ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not ended yet.
    None,
    /// A close frame with this payload.
    Close(Vec<u8>),
    /// A close frame with this payload and more bytes after it. The server need not read those, so
    /// it may reset the connection.
    CloseWithMore(Vec<u8>),
    /// A violation that must be answered with this close code.
    Violation(u16),
    /// FIN without a close frame.
    HalfClose,
}

/// The expectations of one client. Methods that handle received data return an error if the server
/// should not have sent it.
pub(crate) struct Model {
    /// Messages without an echo so far: opcode, payload, and send time.
    echoes: VecDeque<(u8, Vec<u8>, Duration)>,
    /// Pings without a pong so far.
    pings: VecDeque<Vec<u8>>,
    pub(crate) ending: Ending,
    /// The server has sent a close frame.
    closed: bool,
    /// The server has sent the close frame that answers the end of the client.
    answered: bool,
    code: Option<u16>,
    echoed: u64,
    pub(crate) echoed_bytes: u64,
    pongs: u64,
    pub(crate) server_pings: u64,
    /// The send time of the last echoed message, and the arrival time of its echo; at first the
    /// connect.
    idle_since: Duration,
    echoed_at: Duration,
    /// The client did not read or answer for so long that the server may have cut it.
    pub(crate) may_be_cut: bool,
}

impl fmt::Debug for Model {
    /// Without the payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("echoes_missing", &self.echoes.len())
            .field("pongs_missing", &self.pings.len())
            .field("ending", &self.ending)
            .field("code", &self.code)
            .field("echoed", &self.echoed)
            .field("echoed_at", &self.echoed_at)
            .field("server_pings", &self.server_pings)
            .field("may_be_cut", &self.may_be_cut)
            .finish_non_exhaustive()
    }
}

/// The reaction of the client to a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    Nothing,
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

impl Model {
    pub(crate) fn new(start_at: Duration) -> Self {
        Self {
            idle_since: start_at,
            echoed_at: start_at,
            echoes: VecDeque::new(),
            pings: VecDeque::new(),
            ending: Ending::None,
            closed: false,
            answered: false,
            code: None,
            echoed: 0,
            echoed_bytes: 0,
            pongs: 0,
            server_pings: 0,
            may_be_cut: false,
        }
    }

    pub(crate) fn sent_message(&mut self, opcode: u8, payload: Vec<u8>, world: &World) {
        self.echoes.push_back((opcode, payload, world.now));
    }

    pub(crate) fn sent_ping(&mut self, payload: Vec<u8>) {
        self.pings.push_back(payload);
    }

    pub(crate) fn report(&self, tally: &mut Tally) {
        tally.echoes += self.echoed;
        tally.echoed_bytes += self.echoed_bytes;
        tally.pongs += self.pongs;
        tally.pings += self.server_pings;
        if let Some(code) = self.code {
            *tally.codes.entry(code).or_default() += 1;
        }
    }

    /// Whether the end of the client has been answered with a close frame.
    pub(crate) const fn is_answered(&self) -> bool {
        self.answered
    }

    /// The client still waits for a slot: its idle time cannot have started before now.
    pub(crate) fn waits_for_slot(&mut self, world: &World) {
        self.echoed_at = world.now;
    }

    /// The times from which on the server may and must close the connection because no message
    /// came. Only a message that was echoed has certainly arrived.
    pub(crate) fn idle_until(&self, world: &World) -> (Duration, Duration) {
        let idle = world.config.timeouts.idle.unwrap_or(Duration::from_secs(1 << 20));
        (self.idle_since + idle, self.echoed_at + idle)
    }

    pub(crate) fn awaits_pong(&self) -> bool {
        !self.pings.is_empty()
    }

    /// The next answer that the server must send to an open connection.
    pub(crate) fn next_answer(&self) -> Option<&'static str> {
        if !self.echoes.is_empty() {
            Some("an echo")
        } else if !self.pings.is_empty() {
            Some("a pong")
        } else {
            None
        }
    }

    pub(crate) fn frame(&mut self, frame: Frame, world: &World) -> Result<Reaction, String> {
        if self.closed {
            return Err(format!("opcode {:#x} after a close frame", frame.opcode));
        }
        match frame.opcode {
            TEXT | BINARY => self.echo(frame, world),
            PONG => {
                // A server with much queued data may answer only the latest ping.
                let Some(at) = self.pings.iter().position(|ping| *ping == frame.payload) else {
                    return Err(format!("a pong to no ping: {:?}", frame.payload));
                };
                self.pings.drain(..=at);
                self.pongs += 1;
                Ok(Reaction::Nothing)
            }
            PING => {
                self.server_pings += 1;
                Ok(Reaction::Pong(frame.payload))
            }
            CLOSE => self.close(frame.payload, world),
            opcode => Err(format!("opcode {opcode:#x}")),
        }
    }

    fn echo(&mut self, frame: Frame, world: &World) -> Result<Reaction, String> {
        let Some((opcode, payload, sent_at)) = self.echoes.pop_front() else {
            return Err(format!("{} bytes to no message", frame.payload.len()));
        };
        if opcode == frame.opcode && payload == frame.payload {
            self.echoed += 1;
            (self.idle_since, self.echoed_at) = (sent_at, world.now);
            self.echoed_bytes += payload.len() as u64;
            return Ok(Reaction::Nothing);
        }
        let same = frame.payload.iter().zip(&payload).take_while(|(a, b)| a == b).count();
        Err(format!(
            "not the echo: opcode {:#x}, {} bytes instead of opcode {opcode:#x}, {} bytes; the \
             first {same} bytes are the same",
            frame.opcode,
            frame.payload.len(),
            payload.len(),
        ))
    }

    fn close(&mut self, payload: Vec<u8>, world: &World) -> Result<Reaction, String> {
        self.closed = true;
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        self.code = code;
        let expected = match &self.ending {
            Ending::Close(sent) | Ending::CloseWithMore(sent) => *sent == payload,
            Ending::Violation(expected) => code == Some(*expected),
            Ending::None | Ending::HalfClose => false,
        };
        self.answered = expected;
        if expected {
            return match self.echoes.len() {
                0 => Ok(Reaction::Nothing),
                missing => Err(format!("closed with {code:?} before {missing} echoes")),
            };
        }
        let idle = world.is_past(self.idle_until(world).0);
        if code == Some(GOING_AWAY) && (world.is_draining() || self.may_be_cut || idle) {
            return Ok(Reaction::Close(payload));
        }
        if code == Some(TRY_AGAIN_LATER) && self.may_be_cut {
            return Ok(Reaction::Close(payload));
        }
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
        Err(format!("closed with {code:?} ({reason}): {self:?}"))
    }

    /// The stream has ended with FIN; `rest` are the bytes after the last complete frame.
    pub(crate) fn fin(&self, rest: &[u8], world: &World) -> Result<(), String> {
        if self.may_be_cut || world.is_cutting() {
            return Ok(());
        }
        if !rest.is_empty() {
            return Err(format!("end of stream {} bytes into a frame", rest.len()));
        }
        match self.ending {
            _ if self.closed => Ok(()),
            Ending::HalfClose if self.echoes.is_empty() || world.is_draining() => Ok(()),
            Ending::HalfClose => Err(format!("ended before {} echoes", self.echoes.len())),
            _ => Err("ended without a close frame".into()),
        }
    }

    /// The stream was reset, and no injected fault explains it.
    pub(crate) fn reset(&self, stopped_sending_at: Duration, world: &World) -> Result<(), String> {
        let timeouts = &world.config.timeouts;
        // After the linger time the server may stop reading.
        let violated = matches!(self.ending, Ending::Violation(_));
        let lingered = violated && world.is_past(stopped_sending_at + timeouts.linger);
        let sent_more = matches!(self.ending, Ending::CloseWithMore(_));
        let idle = world.is_past(self.idle_until(world).0 + timeouts.close);
        if self.may_be_cut || sent_more || lingered || idle || world.is_hurrying() {
            return Ok(());
        }
        Err(format!("reset by the server, last word at {stopped_sending_at:?}: {self:?}"))
    }
}
