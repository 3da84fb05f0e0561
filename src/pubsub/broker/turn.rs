//! What a broker does in each turn of its core, and when it needs the next one.

use super::state::Broker;
use crate::base::Millis;
use crate::pubsub::peers::{Message, PeerMessage};
use crate::session::{Outbound, Wakeup};

/// The most messages of each core that are taken in one turn.
const PEER_BATCH: usize = 256;
/// The time until it is tried again whether another core has room.
const RETRY_MS: u64 = 1;

impl Broker {
    /// A turn begins. Takes the messages of other cores, unless too many bytes wait to be
    /// delivered.
    ///
    /// The input of clients is handled after this, so that the Lamport clock of this core is ahead
    /// of everything that its clients may have seen from other cores.
    pub fn start_turn(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.peers.port().wake_up();
        }
        // Nothing but its own deliveries keeps a core from taking messages, so two cores cannot
        // wait for each other.
        if self.deliveries.bytes() > self.config.pubsub.backlog {
            return;
        }
        let mut incoming = std::mem::take(&mut self.incoming);
        self.peers.port().drain(PEER_BATCH, |from, message| incoming.push((from, message)));
        self.has_news |= !incoming.is_empty();
        for (from, PeerMessage(message)) in incoming.drain(..) {
            match message {
                Message::Batch(batch) => self.receive_batch(batch),
                Message::Interest(filter, forms) => self.index.set_remote(&filter, from, forms),
                Message::Sent(number) => self.peers.set_received(from, number),
                Message::Acked(number) => self.peers.set_acked(from, number),
            }
        }
        self.incoming = incoming;
    }

    /// All input of the turn is handled. Passes its messages on to the subscribers of before the
    /// turn, then ends subscriptions. So a list of subscribers changes at most once in a turn.
    pub fn distribute(&mut self, now: Millis) {
        self.now = now;
        self.has_news = false;
        self.distribute_batches();
        self.end_subscriptions();
    }

    /// Sends messages to the other cores as far as there is room, and wakes those that sleep.
    pub fn flush<O: Outbound>(&mut self, out: &mut O) {
        self.peers.flush(&mut self.to_wake);
        for core in self.to_wake.drain(..) {
            out.wake(core);
        }
    }

    /// Makes about `max` deliveries.
    ///
    /// New messages go first, and half of `max` is for retained values. With retained values first,
    /// a connection that reads many of them would reach the limit of bytes for a turn, and the
    /// delivery of every new message would have to wait for it.
    pub fn deliver<O: Outbound>(&mut self, max: usize, out: &mut O) {
        if self.deliveries.is_empty() && self.replaying.is_empty() {
            return;
        }
        let left = self.deliveries.deliver(max - max / 2, out);
        let left = self.replay(max / 2 + left, out);
        self.deliveries.deliver(left, out);
    }

    /// When the broker needs its next turn.
    #[must_use]
    pub fn wakeup(&self) -> Wakeup {
        let has_deliveries = !self.deliveries.is_empty() || !self.replaying.is_empty();
        if has_deliveries || self.has_news || !self.drafts.is_empty() {
            Wakeup::Now
        } else if self.peers.is_unfinished() {
            Wakeup::At(Millis(self.now.0 + RETRY_MS))
        } else {
            Wakeup::At(Millis::NEVER)
        }
    }

    /// Whether there is room for further messages. If not, publishers have to wait.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting = self.deliveries.bytes() + self.drafts.bytes();
        waiting <= self.config.pubsub.backlog && !self.peers.is_backed_up()
    }

    /// Declares that the core is about to sleep. Returns false if another core has sent messages:
    /// then the core must not sleep.
    pub fn try_sleep(&mut self) -> bool {
        self.is_asleep = self.peers.port().try_sleep();
        self.is_asleep
    }

    /// Declares that the core is awake, after [`try_sleep`](Self::try_sleep).
    pub fn cancel_sleep(&mut self) {
        self.peers.port().wake_up();
        self.is_asleep = false;
    }
}
