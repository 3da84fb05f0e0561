//! Subscriptions that another core does not acknowledge, and subscribers that have missed messages
//! because their core hung.

use super::service::Gateway;
use crate::app::Handler;
use crate::protocol::websocket::CloseCode;
use crate::pubsub::Overdue;
use crate::session::{CloseReason, Outbound};

const OVERDUE: &str = "the server could not subscribe in time; try again later";
const MISSED: &str = "messages were lost: the server did not respond";
/// The most subscribers that are closed in one turn because they have missed messages.
const MISSED_BATCH: usize = 128;

impl<H: Handler> Gateway<H> {
    /// Ends the connections whose subscriptions have waited too long: a handshake that waits is
    /// refused with 503, an open connection is closed with 1013. Says which core does not answer.
    pub(super) fn end_overdue<O: Outbound>(&mut self, out: &mut O) {
        while let Some(Overdue { id, core }) = self.core.broker.take_overdue() {
            if let Some(core) = core {
                tracing::error!(core, "this core acknowledges no subscriptions; it hangs or ended");
            }
            if let Some(client) = self.clients.get(id) {
                client.give_up(id, OVERDUE, out);
            }
        }
    }

    /// Closes a part of the subscribers that may have missed messages.
    pub(super) fn close_missed<O: Outbound>(&mut self, out: &mut O) {
        for _ in 0..MISSED_BATCH {
            let Some(id) = self.core.broker.take_missed() else { return };
            if let Some(client) = self.clients.get(id) {
                client.give_up(id, MISSED, out);
                out.close(id, CloseReason::Local(CloseCode::TRY_AGAIN_LATER), MISSED);
                out.set_reading(id, true);
            }
        }
    }
}
