//! Control frames: close, ping, pong (RFC 6455 section 5.5).

use super::reader::Turn;
use crate::protocol::websocket::close_frame::parse_close;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::{Opcode, Violation};
use crate::session::{Aside, CloseReason, Connection, Phase};

/// One control frame, unmasked.
pub(in crate::session) struct Control<'p> {
    pub(in crate::session) opcode: Opcode,
    pub(in crate::session) payload: &'p [u8],
}

impl Connection {
    /// Answers a control frame. Nothing may stand in place in the output.
    pub(in crate::session) fn control<H>(
        &mut self,
        control: Control<'_>,
        turn: &mut Turn<'_, H>,
    ) -> Result<(), Violation> {
        match control.opcode {
            Opcode::Close => self.receive_close(control.payload, turn),
            Opcode::Ping => {
                self.receive_ping(control.payload, turn);
                Ok(())
            }
            // A pong has done its work by having been received.
            _ => Ok(()),
        }
    }

    fn receive_close<H>(
        &mut self,
        payload: &[u8],
        turn: &mut Turn<'_, H>,
    ) -> Result<(), Violation> {
        let (code, _) = parse_close(payload)?;
        if self.phase == Phase::Open {
            // The peer's own payload is the answer (RFC 6455 section 5.5.1).
            append_frame(self.output(turn.shared, turn.out), Opcode::Close, false, payload);
        }
        // The server closes TCP first (RFC 6455 section 7.1.1).
        self.end(Phase::Finished, CloseReason::Peer(code));
        // For what still waits to be sent before the answer.
        self.deadline = turn.now.after(turn.shared.config.timeouts.stall);
        self.free(turn.shared);
        Ok(())
    }

    fn receive_ping<H>(&mut self, payload: &[u8], turn: &mut Turn<'_, H>) {
        if self.phase != Phase::Open {
            return;
        }
        if turn.congested {
            // Pongs must not pile up behind replies that the peer does not read.
            self.aside = Some(Box::new(Aside::Pong(payload.to_vec())));
        } else {
            append_frame(self.output(turn.shared, turn.out), Opcode::Pong, false, payload);
        }
    }
}
