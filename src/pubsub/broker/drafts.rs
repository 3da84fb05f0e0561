//! The batches that a turn builds.

use std::collections::HashMap;

use crate::base::Work;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{BatchBuilder, Retain, Scratch};
use crate::pubsub::index::{Index, Matches, Recipients};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

/// The work that the searches of one turn may cost, about a millisecond. A search that exceeds it
/// goes on in the next turn.
const SEARCH_WORK: u64 = 1_000_000;

/// The batches of this turn.
#[derive(Debug)]
pub(super) struct Drafts {
    /// In the order in which they began.
    list: Vec<BatchBuilder>,
    /// The last batch of each topic.
    by_topic: HashMap<Topic, usize>,
    /// The bytes that all of them hold, with their lists of subscribers.
    bytes: usize,
    scratch: Scratch,
    pool: Pool,
    matches: Matches,
    /// The work for searches in each turn, and what is left of it in this one.
    pub(super) search_work: u64,
    search_left: u64,
    /// The work of searching and encoding.
    pub(super) work: Work,
}

/// The search for the recipients of a message goes on in the next turn. What is to be retained
/// comes back.
#[derive(Debug)]
pub(super) struct Unfinished(pub(super) Option<Retain>);

impl Drafts {
    pub(super) fn new(deflate_level: u32) -> Self {
        Self {
            list: Vec::new(),
            by_topic: HashMap::new(),
            bytes: 0,
            scratch: Scratch::default(),
            pool: Pool::new(deflate_level),
            matches: Matches::default(),
            search_work: SEARCH_WORK,
            search_left: SEARCH_WORK,
            work: Work::default(),
        }
    }

    /// The bytes that all of them hold, with their lists of subscribers.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A turn begins, with new work for searches.
    pub(super) const fn start_turn(&mut self) {
        self.search_left = self.search_work;
    }

    /// Adds a message to the batch of its topic. A message without subscribers and without a change
    /// of the retained value is dropped.
    ///
    /// # Errors
    /// If the search for its subscribers is not complete; [`resume`](Self::resume) goes on with it.
    pub(super) fn add(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        index: &Index,
    ) -> Result<(), Unfinished> {
        match self.find(message, index.version()) {
            Some(at) => {
                self.encode(at, message, retain);
                Ok(())
            }
            None => {
                index.begin(message.topic, &mut self.matches);
                self.resume(message, retain, index)
            }
        }
    }

    /// Goes on with [`add`](Self::add), after which the index has not changed.
    ///
    /// # Errors
    /// If the search is still not complete.
    pub(super) fn resume(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        index: &Index,
    ) -> Result<(), Unfinished> {
        if !self.search_on(message.topic, index) {
            return Err(Unfinished(retain));
        }
        if !self.matches.found.is_empty() || retain.is_some() {
            let at = self.begin(message.topic, index.version());
            self.encode(at, message, retain);
        }
        Ok(())
    }

    /// The recipients of a topic, if they are found in this turn; otherwise
    /// [`resume_search`](Self::resume_search) goes on.
    pub(super) fn search(&mut self, topic: &Topic, index: &Index) -> Option<Recipients> {
        index.begin(topic, &mut self.matches);
        self.resume_search(topic, index)
    }

    /// Goes on with a search since which the index has not changed.
    pub(super) fn resume_search(&mut self, topic: &Topic, index: &Index) -> Option<Recipients> {
        self.search_on(topic, index).then(|| self.matches.take())
    }

    /// Takes all batches, in the order in which they began.
    pub(super) fn take(&mut self) -> impl Iterator<Item = BatchBuilder> {
        self.by_topic.clear();
        self.bytes = 0;
        self.list.drain(..)
    }

    fn search_on(&mut self, topic: &Topic, index: &Index) -> bool {
        let before = self.search_left;
        let is_complete = index.resume(topic, &mut self.matches, &mut self.search_left);
        self.work.charge(before - self.search_left);
        is_complete
    }

    fn encode(&mut self, at: usize, message: &Publication<'_>, retain: Option<Retain>) {
        if let Some(draft) = self.list.get_mut(at) {
            self.work.charge(draft.work(message));
            self.bytes += draft.add(message, retain, &mut self.scratch, &mut self.pool);
        }
    }

    /// The position of the batch that a message may be added to: the last of its topic, if it has
    /// room and its subscribers are still the same.
    fn find(&self, message: &Publication<'_>, version: u64) -> Option<usize> {
        let topic = message.topic;
        let last = self.list.len().checked_sub(1)?;
        let at = match self.list.get(last) {
            Some(draft) if draft.topic.is_same(topic) => last,
            _ => *self.by_topic.get(topic)?,
        };
        let draft = self.list.get(at)?;
        (draft.version == version && draft.has_room(message.payload.len())).then_some(at)
    }

    /// Begins a batch for the recipients found last.
    fn begin(&mut self, topic: &Topic, version: u64) -> usize {
        let at = self.list.len();
        let draft = BatchBuilder::new(topic, self.matches.take(), version);
        self.bytes += draft.empty_len();
        self.list.push(draft);
        self.by_topic.insert(topic.clone(), at);
        at
    }
}
