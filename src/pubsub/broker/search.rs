//! From a message to those whom it is for, also where the search for them takes more than a turn.

use std::sync::Arc;

use super::drafts::Unfinished;
use super::message::Message;
use super::searching::{Item, Search, Waiting};
use super::state::Broker;
use crate::base::ConnectionId;
use crate::pubsub::delivery::batch::{Batch, Retain};
use crate::pubsub::encoding::{Forms, ONE_PIECE};
use crate::pubsub::index::Recipients;
use crate::pubsub::publication::Publication;
use crate::pubsub::retained::RetainLimit;

/// Why a message was not published, or not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpublished {
    /// The search for its subscribers is a long one, or a message to the same topic waits, and
    /// another search goes on. Or its encoding costs much, and this turn has done enough. Nothing
    /// has happened: [`Broker::publish_later`] lets it wait.
    Busy,
    /// It is published, but not retained.
    NotRetained(RetainLimit),
}

impl Broker {
    /// Whether a message can be accepted beside those that wait for long searches: its own is
    /// short, and none of them has the same topic.
    #[cold]
    pub(super) fn can_publish_now(&mut self, message: &Publication<'_>) -> bool {
        !self.searching.holds(message.topic) && self.drafts.can_add(message, &self.index)
    }

    /// Lets a message wait that [`publish`](Self::publish) has refused as
    /// [`Busy`](Unpublished::Busy), until it is accepted. [`take_accepted`](Self::take_accepted)
    /// then returns the client `from`, which must publish nothing more before.
    #[cold]
    pub(crate) fn publish_later(&mut self, message: &Publication<'_>, from: Option<ConnectionId>) {
        self.held.has_changed = true;
        let item = Item::Message(Message::new(message), None);
        self.searching.push(Waiting { item, from });
    }

    /// Takes a client of which the message was accepted after it had waited.
    #[inline]
    pub(crate) fn take_accepted(&mut self) -> Option<(ConnectionId, Result<(), RetainLimit>)> {
        self.accepted.pop_front()
    }

    /// Whether no further message of a program should be published in this turn.
    pub(crate) fn is_busy_for_programs(&self) -> bool {
        self.searching.has_program() || self.drafts.has_searched_enough()
    }

    /// Adds a message to the batch of its topic, now or once its subscribers are found.
    pub(super) fn accept(&mut self, message: &Publication<'_>, retain: Option<Retain>) {
        self.held.has_changed = true;
        if let Err(Unfinished(retain)) = self.drafts.add(message, retain, &self.index) {
            self.search_for(Item::Message(Message::new(message), retain));
        }
    }

    /// Adds a batch of another core to the deliveries, now or once its subscribers are found.
    pub(super) fn accept_batch(&mut self, batch: Arc<Batch>, is_change: bool) {
        if self.searching.is_active() && self.searching.holds(&batch.topic) {
            return self.let_batch_wait(batch, is_change);
        }
        match self.drafts.recipients(&batch.topic, &self.index) {
            Some(recipients) => self.deliver_batch(batch, is_change, recipients),
            None if self.searching.is_active() => self.let_batch_wait(batch, is_change),
            None => self.search_for(Item::Batch(batch, is_change)),
        }
    }

    /// A long search begins.
    fn search_for(&mut self, item: Item) {
        let matches = self.drafts.take_search();
        self.searching.set_current(Search { item, matches });
    }

    #[cold]
    fn let_batch_wait(&mut self, batch: Arc<Batch>, is_change: bool) {
        self.searching.push(Waiting { item: Item::Batch(batch, is_change), from: None });
    }

    /// A change of a retained value is delivered in any form. It may have been published before its
    /// core knew of a subscription here, which has come into force since, since acknowledgements do
    /// not wait for batches.
    ///
    /// A large value is encoded in pieces for that, and further batches to its topic wait behind
    /// it.
    fn deliver_batch(&mut self, mut batch: Arc<Batch>, is_change: bool, recipients: Recipients) {
        let Recipients { lists, local, .. } = recipients;
        if lists.is_empty() {
            return;
        }
        let local = if is_change { batch.lacking(local) } else { Forms::EMPTY };
        let is_large = !local.is_empty() && batch.value().payload.len() > ONE_PIECE;
        if is_large || self.drafts.encoding.holds_batch(&batch.topic) {
            let recipients = Recipients { lists, local, ..Recipients::default() };
            return self.drafts.encoding.push_batch(batch, recipients);
        }
        if !local.is_empty() {
            let (completed, work) = batch.completed(local);
            self.work.charge(work);
            batch = Arc::new(completed);
        }
        self.deliveries.add(batch, Vec::new(), lists);
    }

    /// Goes on with the long searches, as far as the work of a turn allows. Once one is complete,
    /// no other begins in the turn if changes of the index wait, but not in two turns one after the
    /// other.
    pub(super) fn go_on_searching(&mut self) {
        self.held.has_changed = true;
        let gave_way = std::mem::take(&mut self.searching.gives_way);
        let mut left = self.drafts.search_work;
        loop {
            if let Some(mut search) = self.searching.take_current() {
                let topic = search.item.topic();
                if !self.drafts.search_on(topic, &mut search.matches, &self.index, &mut left) {
                    return self.searching.set_current(search);
                }
                self.found(search);
                // Changes that other cores announce have their turn as well.
                self.take_control();
            }
            if !gave_way && self.has_changes() {
                self.searching.gives_way = true;
                return;
            }
            if left == 0 || self.drafts.has_searched_enough() {
                return;
            }
            let Some(waiting) = self.searching.pop() else { return };
            let before = self.drafts.work.used();
            self.begin(waiting);
            left = left.saturating_sub(self.drafts.work.used() - before);
        }
    }

    /// A long search is complete.
    fn found(&mut self, Search { item, mut matches }: Search) {
        let recipients = matches.take();
        match item {
            Item::Message(message, retain) => {
                if recipients.is_empty() && retain.is_none() {
                    return;
                }
                let (version, publication) = (self.index.version(), message.publication());
                self.drafts.add_found(&publication, retain, recipients, version);
            }
            Item::Batch(batch, is_change) => self.deliver_batch(batch, is_change, recipients),
        }
    }

    /// Accepts a message that has waited.
    fn begin(&mut self, Waiting { item, from }: Waiting) {
        match item {
            Item::Message(message, _) => {
                let result = self.publish_now(&message.publication());
                if let Some(client) = from {
                    self.accepted.push_back((client, result));
                }
            }
            Item::Batch(batch, is_change) => {
                match self.drafts.recipients(&batch.topic, &self.index) {
                    Some(recipients) => self.deliver_batch(batch, is_change, recipients),
                    None => self.search_for(Item::Batch(batch, is_change)),
                }
            }
        }
    }
}
