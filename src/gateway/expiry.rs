//! Tokens that end while their clients are connected.

use super::gate::Step;
use super::service::Gateway;
use crate::app::Handler;
use crate::authority::{TokenError, refuse};
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound};

/// The most clients that are warned or closed in one turn.
const BATCH: usize = 128;
const ENDED: &str = "the token has expired";

impl<H: Handler> Gateway<H> {
    /// Warns the clients whose tokens end soon, and closes those whose tokens have ended, with
    /// 4401.
    pub(super) fn expire_tokens<O: Outbound>(&mut self, out: &mut O) {
        let Some(gate) = self.gate.as_deref_mut() else { return };
        gate.expire(self.now);
        for _ in 0..BATCH {
            let Some((id, step)) = gate.next_step() else { return };
            match step {
                Step::Warn(seconds) => {
                    if let Some(client) = self.clients.get(id) {
                        client.expiring(id, seconds, out);
                    }
                }
                Step::End => {
                    // If it waits for its handshake, that is refused, else this does nothing.
                    out.respond(id, Err(refuse(&TokenError::Expired)), |_| {});
                    out.close(id, CloseReason::Local(CloseCode::UNAUTHORIZED), ENDED);
                    // Its close frame is to be read.
                    out.set_reading(id, true);
                }
            }
        }
    }
}
