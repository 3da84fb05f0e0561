//! The other cores: what each core wants of a filter, and the messages between cores.
//!
//! Messages without payload (interest and acknowledgements) go through a queue of their own, so
//! that a core that is busy with payload delays no subscription. There is no order between the two
//! queues, and none is needed: a message that is accepted after a subscription is in force is sent
//! after its acknowledgement was taken, whichever queue is read first.
//!
//! Interest is a table with two sides. Each core counts the changes of what it wants. For every
//! other core it keeps which filters have changed since the last update, the last change that was
//! sent, and the last change that the other core has acknowledged. Changes of a filter are sent as
//! its current state, so a filter that changes often is sent once. They are sent in the order of
//! their numbers, so each waits only for those before it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::delivery::batch::Batch;
use super::encoding::{Form, Forms};
use super::name::Filter;
use super::unsent::Unsent;
use crate::base::sharded::ShardedMap;
use crate::mesh::Port;

/// A message from core to core.
#[derive(Clone, Debug)]
pub struct PeerMessage(pub(super) Message);

#[derive(Clone, Debug)]
pub(super) enum Message {
    /// Published messages.
    Batch(Arc<Batch>),
    /// All batches that the sender will send have retained values of a later clock.
    Clock(u64),
    /// The forms that subscribers of the sender want of the filter now. With this message all
    /// changes of interest up to the number have been sent.
    Interest(Filter, Forms, u64),
    /// All changes of interest up to this number have been sent.
    Sent(u64),
    /// All changes of interest of the receiver up to this number are in the index of the sender.
    Acked(u64),
    /// The sender has dropped messages for the receiver, because it did not respond.
    Lost,
}

impl PeerMessage {
    fn batch(batch: &Arc<Batch>) -> Self {
        Self(Message::Batch(Arc::clone(batch)))
    }

    /// The bytes of published messages in it.
    pub(super) fn len(&self) -> usize {
        if let Message::Batch(batch) = &self.0 { batch.len() } else { 0 }
    }
}

/// The bytes that a message without payload counts for.
const SMALL: usize = 256;

/// A core sends its clock when that has advanced so far.
const CLOCK_EVERY: u64 = 1024;

/// What this core wants of a filter.
#[derive(Debug, Default)]
struct Wanted {
    forms: Forms,
    /// The number of the change that added the last form.
    number: u64,
    /// The subscriptions that want it, in force or not yet.
    subscriptions: usize,
}

/// The state towards one other core.
#[derive(Debug, Default)]
struct Peer {
    /// Batches that found no room.
    backlog: VecDeque<Arc<Batch>>,
    /// Filters that have changed since the last update.
    unsent: Unsent,
    /// The last change that was sent, and the last that the other core has acknowledged.
    sent: u64,
    acked: u64,
    /// The last change received from the other core, and the last that was acknowledged to it.
    received: u64,
    ack_sent: u64,
    /// The last clock that was sent.
    clock_sent: u64,
    /// The other core hangs, and there is no room for more batches: they are dropped.
    is_cut_off: bool,
    /// Messages for the other core were dropped, which it has not been told.
    has_lost: bool,
}

/// The other cores.
#[derive(Debug)]
pub(super) struct Peers {
    port: Port<PeerMessage>,
    /// By core; that of this core is not used.
    peers: Vec<Peer>,
    wanted: ShardedMap<Filter, Wanted>,
    /// The bytes of all batches that found no room.
    backlog: usize,
    /// Counted up with each change of what is wanted.
    changes: u64,
    /// The batches that were dropped because the core they were for hangs.
    lost: u64,
}

impl Peers {
    pub(super) fn new(port: Port<PeerMessage>) -> Self {
        let peers = (0..port.cores()).map(|_| Peer::default()).collect();
        Self { port, peers, wanted: ShardedMap::default(), backlog: 0, changes: 0, lost: 0 }
    }

    pub(super) const fn port(&mut self) -> &mut Port<PeerMessage> {
        &mut self.port
    }

    pub(super) const fn number(&self) -> usize {
        self.port.number()
    }

    /// Whether there are other cores.
    pub(super) const fn are_some(&self) -> bool {
        self.port.cores() > 1
    }

    /// The numbers of the other cores.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.number();
        (0..self.port.cores()).filter(move |core| *core != own)
    }

    /// The batches that were dropped because the core they were for hangs.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether batches for some core are dropped because it hangs.
    pub(super) fn has_cut_off(&self) -> bool {
        self.peers.iter().any(|peer| peer.is_cut_off)
    }

    /// The bytes of the batches that wait for room, except at cores that are cut off.
    pub(super) const fn backlog(&self) -> usize {
        self.backlog
    }

    /// The batches that another core has not taken, the most of any, each counted `for_each` times,
    /// and so many times as often if that core is busy. Cores that hang are left out.
    pub(super) fn untaken(&self, for_each: usize, if_busy: usize) -> usize {
        let untaken = |core: usize| match self.port.untaken(core) {
            0 => 0,
            _ if self.port.is_hung(core) => 0,
            count if self.port.is_busy(core) => count * for_each * if_busy,
            count => count * for_each,
        };
        self.others().map(untaken).max().unwrap_or(0)
    }

    /// The memory of what is kept of the filters that other cores are sent.
    pub(super) const fn memory(&self) -> usize {
        self.wanted.memory()
    }

    /// The memory of what waits to be sent to other cores, besides batches.
    pub(super) fn unsent_memory(&self) -> usize {
        self.peers.iter().map(|peer| peer.unsent.memory()).sum()
    }

    /// Whether anything waits for room. Cores that hang are left out: when one goes on, this core
    /// is woken.
    pub(super) fn is_unfinished(&self) -> bool {
        let is_waiting = |core: usize| {
            self.peers.get(core).is_some_and(|peer| !peer.is_finished(self.changes))
                && !self.port.is_hung(core)
        };
        self.others().any(is_waiting)
    }

    /// The number of updates that are not sent yet.
    #[cfg(test)]
    pub(super) fn unsent(&self) -> usize {
        self.peers.iter().map(|peer| peer.unsent.len()).sum()
    }

    /// Sends a batch to core `to`.
    pub(super) fn send_batch(&mut self, to: usize, batch: &Arc<Batch>) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        if peer.is_cut_off {
            self.lost += peer.hold_back(Arc::clone(batch));
            return;
        }
        let message = PeerMessage::batch(batch);
        if !peer.backlog.is_empty() || self.port.push(to, batch.len(), message).is_err() {
            peer.backlog.push_back(Arc::clone(batch));
            self.backlog += batch.len();
        }
    }

    /// Counts a subscription, and has the other cores sent, if they are not, that it wants `filter`
    /// in this form. Returns the number of the change that they have to know of before it is in
    /// force.
    pub(super) fn want(&mut self, filter: &Filter, form: Form) -> u64 {
        if self.port.cores() < 2 {
            return 0;
        }
        let wanted = self.wanted.or_insert_with(filter.clone(), Wanted::default);
        wanted.subscriptions += 1;
        if !wanted.forms.contains(form) {
            wanted.forms = wanted.forms.with(form);
            wanted.number = self.changes + 1;
            self.changes += 1;
            let is_held = wanted.subscriptions > 1;
            for to in self.others() {
                if let Some(peer) = self.peers.get_mut(to) {
                    peer.unsent.want(filter, self.changes, is_held);
                }
            }
            return self.changes;
        }
        wanted.number
    }

    /// A subscription has ended. With the last one the other cores are notified.
    pub(super) fn withdraw(&mut self, filter: &Filter) {
        if let Some(wanted) = self.wanted.get_mut(filter) {
            wanted.subscriptions -= 1;
            if wanted.subscriptions == 0 {
                self.wanted.remove(filter);
                self.changes += 1;
                for to in self.others() {
                    if let Some(peer) = self.peers.get_mut(to) {
                        peer.unsent.withdraw(filter, self.changes);
                    }
                }
            }
        }
    }

    /// The last change that all other cores have acknowledged. Cores that hang are left out: they
    /// accept no messages, and take the changes when they go on.
    pub(super) fn acked_by_all(&self) -> u64 {
        let others = self.others().filter(|core| !self.port.is_hung(*core));
        let acked = others.filter_map(|core| self.peers.get(core)).map(|peer| peer.acked);
        acked.min().unwrap_or(u64::MAX)
    }

    /// The core that is furthest behind in acknowledging.
    pub(super) fn last_to_acknowledge(&self) -> Option<usize> {
        self.others().min_by_key(|core| self.peers.get(*core).map(|peer| peer.acked))
    }

    /// Another core has acknowledged the changes of this core up to `number`.
    pub(super) fn set_acked(&mut self, core: usize, number: u64) {
        if let Some(peer) = self.peers.get_mut(core) {
            peer.acked = number;
        }
    }

    /// This core has applied the changes of another core up to `number`, which is to be
    /// acknowledged.
    pub(super) fn set_received(&mut self, core: usize, number: u64) {
        if let Some(peer) = self.peers.get_mut(core) {
            peer.received = number;
        }
    }

    /// Sends what there is room for; `wake` takes the numbers of the cores to be woken. `clock` is
    /// that of the retained values, if all changes up to it are in batches that were sent.
    pub(super) fn flush(&mut self, clock: Option<u64>, wake: &mut Vec<usize>) {
        for to in self.others() {
            self.flush_backlog(to);
            if let Some(peer) = self.peers.get_mut(to) {
                if let Some(clock) = clock {
                    peer.flush_clock(to, &mut self.port, clock);
                }
                let _ = peer.flush_control(to, &mut self.port, &self.wanted, self.changes);
            }
        }
        self.port.publish(|core| wake.push(core));
    }

    /// Sends batches that found no room. If the core hangs, it is cut off: what waits for it is
    /// dropped, and what is sent to it from here on as well, until it goes on.
    fn flush_backlog(&mut self, to: usize) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        if peer.backlog.is_empty() && !peer.is_cut_off {
            return;
        }
        let is_hung = self.port.is_hung(to);
        if is_hung != peer.is_cut_off {
            peer.is_cut_off = is_hung;
            let bytes: usize = peer.backlog.iter().map(|batch| batch.len()).sum();
            if is_hung {
                self.backlog -= bytes;
                for batch in std::mem::take(&mut peer.backlog) {
                    self.lost += peer.hold_back(batch);
                }
            } else {
                self.backlog += bytes;
            }
        }
        if !peer.is_cut_off {
            self.backlog -= peer.flush_batches(to, &mut self.port);
        }
    }
}

impl Peer {
    /// Drops a batch for a core that is cut off. Returns the number of its messages. Changes of
    /// retained values are kept: there are few, since no value is retained while a core is cut off.
    fn hold_back(&mut self, batch: Arc<Batch>) -> u64 {
        if batch.retain.is_some() {
            self.backlog.push_back(batch);
            return 0;
        }
        self.has_lost = true;
        batch.messages()
    }

    /// Whether the other core has been sent everything.
    fn is_finished(&self, changes: u64) -> bool {
        self.backlog.is_empty()
            && self.sent == changes
            && self.received == self.ack_sent
            && !self.has_lost
    }

    /// Sends batches until there is no more room. Returns the bytes of those that were sent.
    fn flush_batches(&mut self, to: usize, port: &mut Port<PeerMessage>) -> usize {
        let mut sent = 0;
        while let Some(batch) = self.backlog.front() {
            if port.push(to, batch.len(), PeerMessage::batch(batch)).is_err() {
                break;
            }
            sent += batch.len();
            self.backlog.pop_front();
        }
        sent
    }

    /// Sends the clock behind the batches, now and then: so the other core learns that no change of
    /// an earlier clock is on its way, also if this core makes none.
    fn flush_clock(&mut self, to: usize, port: &mut Port<PeerMessage>, clock: u64) {
        if clock >= self.clock_sent + CLOCK_EVERY
            && self.backlog.is_empty()
            && port.push(to, SMALL, PeerMessage(Message::Clock(clock))).is_ok()
        {
            self.clock_sent = clock;
        }
    }

    /// Sends what carries no payload, in a queue of its own, so that it never waits for batches.
    /// Sends until there is no more room, which is the error.
    fn flush_control(
        &mut self,
        to: usize,
        port: &mut Port<PeerMessage>,
        wanted: &ShardedMap<Filter, Wanted>,
        changes: u64,
    ) -> Result<(), ()> {
        let mut push =
            |bytes, message| port.push_control(to, bytes, PeerMessage(message)).map_err(drop);
        if self.has_lost && !self.is_cut_off {
            push(SMALL, Message::Lost)?;
            self.has_lost = false;
        }
        if self.received != self.ack_sent {
            push(SMALL, Message::Acked(self.received))?;
            self.ack_sent = self.received;
        }
        while let Some((filter, number)) = self.unsent.first(changes) {
            let forms = wanted.get(filter).map_or(Forms::EMPTY, |wanted| wanted.forms);
            let interest = Message::Interest(filter.clone(), forms, number);
            push(SMALL + filter.as_str().len(), interest)?;
            self.unsent.remove_first();
            self.sent = number;
        }
        if self.sent != changes {
            push(SMALL, Message::Sent(changes))?;
            self.sent = changes;
        }
        Ok(())
    }
}
