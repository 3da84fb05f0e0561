//! Subscriptions that another core does not acknowledge.

use super::service::Gateway;
use crate::app::Handler;
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
            if let Some((client, _)) = self.clients.get(id) {
                client.give_up(id, OVERDUE, out);
            }
        }
    }
}
