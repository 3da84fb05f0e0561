//! Subscriptions that come into force.

use super::service::Gateway;
use crate::app::Handler;
use crate::pubsub::Established;
use crate::session::Outbound;

impl<H: Handler> Gateway<H> {
    /// Answers the clients whose subscriptions every core has acknowledged, and starts their
    /// deliveries.
    pub(super) fn establish<O: Outbound>(&mut self, out: &mut O) {
        while let Some(established) = self.core.broker.take_established() {
            established.into_iter().for_each(|one| self.establish_one(one, out));
        }
        self.end_overdue(out);
        self.close_missed(out);
    }

    fn establish_one<O: Outbound>(&mut self, established: Established, out: &mut O) {
        let id = established.id;
        if let Some(client) = self.clients.get(id) {
            client.confirm(id, out);
        }
        self.core.broker.put_in_force(established, out);
    }
}
