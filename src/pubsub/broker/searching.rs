//! Long searches: messages of which the subscribers are not found at once.
//!
//! Such a search goes on over several turns, one message after the other. Meanwhile the index does
//! not change: subscriptions neither begin nor end, and the interest of other cores waits. So the
//! message gets to those who were subscribed when it was accepted. Between two of these searches
//! such changes have their turn.
//!
//! A message to another topic does not wait, as long as its own search is short. Any other waits
//! and is not accepted yet. The client that has published it is not read from until then, so a
//! client has one message here at most that waits. The order of each topic is kept.
//!
//! Messages that are costly to encode wait here as well, once a turn has done enough.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::Message;
use crate::base::ConnectionId;
use crate::pubsub::delivery::batch::{Batch, Retain};
use crate::pubsub::index::Matches;
use crate::pubsub::name::Topic;

/// The most batches of other cores that wait. With more, this core takes no further ones.
const MAX_BATCHES: usize = 1024;

/// The search that goes on, and what waits for its end.
#[derive(Debug, Default)]
pub(super) struct Searching {
    current: Option<Search>,
    waiting: VecDeque<Waiting>,
    /// The number of messages of each topic, of both.
    topics: HashMap<Topic, usize>,
    /// The bytes that both hold, and how many of them are large messages, batches of other cores
    /// and messages of programs.
    bytes: usize,
    large: usize,
    batches: usize,
    programs: usize,
    /// No search begins in this turn, so that the index can change at its end.
    pub(super) gives_way: bool,
}

/// A search that has begun.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) item: Item,
    pub(super) matches: Matches,
}

/// An accepted message, or several of another core.
#[derive(Debug)]
pub(super) enum Item {
    /// A message published on this core, and what is to be retained of it.
    Message(Message, Option<Retain>),
    /// Messages of another core, and whether they have changed the retained value here.
    Batch(Arc<Batch>, bool),
}

/// A message that waits for its search or its encoding. One of this core is not accepted yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) item: Item,
    /// The client that has published it; `None` for a program, and for another core.
    pub(super) from: Option<ConnectionId>,
}

impl Item {
    pub(super) fn topic(&self) -> &Topic {
        match self {
            Self::Message(message, _) => message.topic(),
            Self::Batch(batch, _) => &batch.topic,
        }
    }

    fn len(&self) -> usize {
        let held = match self {
            Self::Message(message, _) => message.len(),
            Self::Batch(batch, _) => batch.len(),
        };
        held + size_of::<Self>()
    }

    fn is_large(&self) -> bool {
        matches!(self, Self::Message(message, _) if message.is_large())
    }
}

impl Waiting {
    const fn is_batch(&self) -> bool {
        matches!(self.item, Item::Batch(..))
    }

    const fn is_of_program(&self) -> bool {
        self.from.is_none() && !self.is_batch()
    }
}

impl Searching {
    /// Whether a message that needs a long search has to wait.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.gives_way || !self.is_empty()
    }

    /// Whether there is neither a search nor a message that waits for one.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Whether a search goes on. Until it ends the index must not change.
    #[inline]
    pub(super) const fn needs_index(&self) -> bool {
        self.current.is_some()
    }

    /// Whether further messages to `topic` have to wait, to keep their order.
    pub(super) fn holds(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether no further batch of another core should be taken.
    pub(super) const fn is_full(&self) -> bool {
        self.batches >= MAX_BATCHES
    }

    /// Whether a message of a program waits.
    pub(super) const fn has_program(&self) -> bool {
        self.programs > 0
    }

    /// Whether there is a large message.
    pub(super) const fn has_large(&self) -> bool {
        self.large > 0
    }

    /// The bytes that all of them hold.
    pub(super) const fn memory(&self) -> usize {
        self.bytes
    }

    /// The bytes of the message that is searched for. The others have clients of their own that
    /// wait for them.
    pub(super) fn current_bytes(&self) -> usize {
        self.current.as_ref().map_or(0, |search| search.item.len())
    }

    /// The clock of the change of a retained value that is accepted and not passed on yet.
    pub(super) fn clock(&self) -> Option<u64> {
        match &self.current.as_ref()?.item {
            Item::Message(_, retain) => retain.as_ref().map(|retain| retain.version.clock),
            Item::Batch(..) => None,
        }
    }

    /// A search begins, or goes on in the next turn.
    pub(super) fn set_current(&mut self, search: Search) {
        debug_assert!(self.current.is_none(), "one search at a time");
        self.count(&search.item);
        self.current = Some(search);
    }

    /// Takes the search that goes on.
    pub(super) fn take_current(&mut self) -> Option<Search> {
        let search = self.current.take()?;
        self.uncount(&search.item);
        Some(search)
    }

    /// Adds a message behind those that wait.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.count(&waiting.item);
        self.batches += usize::from(waiting.is_batch());
        self.programs += usize::from(waiting.is_of_program());
        self.waiting.push_back(waiting);
    }

    /// Takes the first that waits.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.uncount(&waiting.item);
        self.batches -= usize::from(waiting.is_batch());
        self.programs -= usize::from(waiting.is_of_program());
        Some(waiting)
    }

    fn count(&mut self, item: &Item) {
        *self.topics.entry(item.topic().clone()).or_default() += 1;
        self.bytes += item.len();
        self.large += usize::from(item.is_large());
    }

    fn uncount(&mut self, item: &Item) {
        self.bytes -= item.len();
        self.large -= usize::from(item.is_large());
        if let Some(count) = self.topics.get_mut(item.topic()) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(item.topic());
            }
        }
    }
}
