//! Subscriptions that another core does not acknowledge.

use super::clients::Client;
use super::service::Gateway;
use crate::app::Handler;
use crate::base::ConnectionId;
use crate::protocol::websocket::CloseCode;
use crate::protocol::websocket::handshake::{Refusal, Rejection};
use crate::pubsub::Overdue;
use crate::session::Outbound;

const OVERDUE: &str = "the server could not subscribe in time; try again later";

impl<H: Handler> Gateway<H> {
    /// Ends the connections whose subscriptions have waited too long: a handshake that waits is
    /// refused with 503, an open connection is closed with 1013. Says which core does not answer.
    pub(super) fn end_overdue<O: Outbound>(&mut self, out: &mut O) {
        while let Some(Overdue { id, core }) = self.core.broker.take_overdue() {
            if let Some(core) = core {
                tracing::error!(core, "this core acknowledges no subscriptions; it hangs or ended");
            }
            self.end_one(id, out);
        }
    }

    fn end_one<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
        match self.clients.get(id) {
            Some((Client::Raw { .. }, _)) => {
                out.respond(id, Err(Refusal::saying(Rejection::Undecided, OVERDUE)));
            }
            _ => {
                out.close(id, CloseCode::TRY_AGAIN_LATER, OVERDUE);
                // The close frame of the peer is read, and nothing that it has sent is handled.
                out.set_reading(id, true);
            }
        }
    }
}
