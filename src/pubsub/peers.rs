//! The other cores: what each core wants of a filter, and the messages between cores.
//!
//! Interest is a table with two sides. Each core counts the changes of what it wants. For every
//! other core it keeps which filters have changed since the last update, the last change that was
//! sent, and the last change that the other core has acknowledged. Changes of a filter are sent as
//! its current state, so a filter that changes often is sent once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::delivery::batch::Batch;
use super::encoding::{Form, Forms};
use super::name::Filter;
use crate::mesh::Port;

/// A message from core to core.
#[derive(Clone, Debug)]
pub struct PeerMessage(pub(super) Message);

#[derive(Clone, Debug)]
pub(super) enum Message {
    /// Published messages.
    Batch(Arc<Batch>),
    /// The forms that subscribers of the sender want of the filter now.
    Interest(Filter, Forms),
    /// All changes of interest up to this number have been sent.
    Sent(u64),
    /// All changes of interest of the receiver up to this number are in the index of the sender.
    Acked(u64),
}

/// The bytes that a message without payload counts for.
const SMALL: usize = 256;

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
    /// Filters changed since the last update; the flag says whether the other core holds an entry.
    /// A filter that came and went in between is never sent.
    dirty: BTreeMap<Filter, bool>,
    /// The last change that was sent, and the last that the other core has acknowledged.
    sent: u64,
    acked: u64,
    /// The last change received from the other core, and the last that was acknowledged to it.
    received: u64,
    ack_sent: u64,
}

/// The other cores.
#[derive(Debug)]
pub(super) struct Peers {
    port: Port<PeerMessage>,
    /// By core; that of this core is not used.
    peers: Vec<Peer>,
    wanted: HashMap<Filter, Wanted>,
    /// Counted up with each change of what is wanted.
    changes: u64,
}

impl Peers {
    pub(super) fn new(port: Port<PeerMessage>) -> Self {
        let peers = (0..port.cores()).map(|_| Peer::default()).collect();
        Self { port, peers, wanted: HashMap::new(), changes: 0 }
    }

    pub(super) const fn port(&mut self) -> &mut Port<PeerMessage> {
        &mut self.port
    }

    pub(super) const fn number(&self) -> usize {
        self.port.number()
    }

    /// The numbers of the other cores.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.number();
        (0..self.port.cores()).filter(move |core| *core != own)
    }

    /// Whether batches wait for room.
    pub(super) fn is_backed_up(&self) -> bool {
        self.peers.iter().any(|peer| !peer.backlog.is_empty())
    }

    /// Whether anything waits for room.
    pub(super) fn is_unfinished(&self) -> bool {
        let mut peers = self.others().filter_map(|core| self.peers.get(core));
        peers.any(|peer| !peer.is_finished(self.changes))
    }

    /// The number of updates that are not sent yet.
    #[cfg(test)]
    pub(super) fn unsent(&self) -> usize {
        self.peers.iter().map(|peer| peer.dirty.len()).sum()
    }

    /// Sends a batch to core `to`.
    pub(super) fn send_batch(&mut self, to: usize, batch: &Arc<Batch>) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        let message = PeerMessage(Message::Batch(Arc::clone(batch)));
        if !peer.backlog.is_empty() || self.port.push(to, batch.len(), message).is_err() {
            peer.backlog.push_back(Arc::clone(batch));
        }
    }

    /// Counts a subscription, and has the other cores sent, if they are not, that it wants `filter`
    /// in this form. Returns the number of the change that they have to know of before it is in
    /// force.
    pub(super) fn want(&mut self, filter: &Filter, form: Form) -> u64 {
        if self.port.cores() < 2 {
            return 0;
        }
        let wanted = self.wanted.entry(filter.clone()).or_default();
        wanted.subscriptions += 1;
        if !wanted.forms.contains(form) {
            wanted.forms = wanted.forms.with(form);
            wanted.number = self.changes + 1;
            self.changes += 1;
            let is_held = wanted.subscriptions > 1;
            for to in self.others() {
                if let Some(peer) = self.peers.get_mut(to) {
                    peer.dirty.entry(filter.clone()).or_insert(is_held);
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
                        peer.mark_gone(filter);
                    }
                }
            }
        }
    }

    /// The last change that all other cores have acknowledged.
    pub(super) fn acked_by_all(&self) -> u64 {
        let acked = self.others().filter_map(|core| self.peers.get(core)).map(|peer| peer.acked);
        acked.min().unwrap_or(u64::MAX)
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

    /// Sends what there is room for; `wake` takes the numbers of the cores to be woken.
    pub(super) fn flush(&mut self, wake: &mut Vec<usize>) {
        for to in self.others() {
            if let Some(peer) = self.peers.get_mut(to) {
                let _ = peer.flush(to, &mut self.port, &self.wanted, self.changes);
            }
        }
        self.port.publish(|core| wake.push(core));
    }
}

impl Peer {
    /// The filter is not wanted any more.
    fn mark_gone(&mut self, filter: &Filter) {
        if self.dirty.get(filter) == Some(&false) {
            self.dirty.remove(filter);
        } else {
            self.dirty.insert(filter.clone(), true);
        }
    }

    /// Whether the other core has been sent everything.
    fn is_finished(&self, changes: u64) -> bool {
        self.backlog.is_empty() && self.sent == changes && self.received == self.ack_sent
    }

    /// Sends until there is no more room, which is the error.
    fn flush(
        &mut self,
        to: usize,
        port: &mut Port<PeerMessage>,
        wanted: &HashMap<Filter, Wanted>,
        changes: u64,
    ) -> Result<(), ()> {
        let mut push = |bytes, message| port.push(to, bytes, PeerMessage(message)).map_err(drop);
        while let Some(batch) = self.backlog.front() {
            push(batch.len(), Message::Batch(Arc::clone(batch)))?;
            self.backlog.pop_front();
        }
        if self.received != self.ack_sent {
            push(SMALL, Message::Acked(self.received))?;
            self.ack_sent = self.received;
        }
        while let Some((filter, _)) = self.dirty.first_key_value() {
            let forms = wanted.get(filter).map_or(Forms::EMPTY, |wanted| wanted.forms);
            push(SMALL + filter.as_str().len(), Message::Interest(filter.clone(), forms))?;
            self.dirty.pop_first();
        }
        if self.sent != changes {
            push(SMALL, Message::Sent(changes))?;
            self.sent = changes;
        }
        Ok(())
    }
}
