//! The batches that a turn builds.

use std::collections::HashMap;

use super::encoding::Encoding;
use super::pending::Message;
use crate::base::Work;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{BatchBuilder, Retain};
use crate::pubsub::encoding::{ONE_PIECE, Scratch};
use crate::pubsub::index::{Index, Matches, Recipients};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

/// The work that the searches of one turn may cost, about a millisecond. A search that exceeds it
/// goes on in the next turn.
const SEARCH_WORK: u64 = 1_000_000;
/// The same for the encoding of large messages.
const ENCODE_WORK: u64 = 1_000_000;

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
    /// Messages that are encoded in pieces, which become batches of this turn or a later one.
    pub(super) encoding: Encoding,
    /// The work for them in each turn.
    pub(super) encode_work: u64,
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
            encoding: Encoding::default(),
            encode_work: ENCODE_WORK,
            search_work: SEARCH_WORK,
            search_left: SEARCH_WORK,
            work: Work::default(),
        }
    }

    /// The bytes that all of them hold, with their lists of subscribers.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes + self.encoding.bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.encoding.is_empty()
    }

    /// Whether a message is encoded in pieces: it is large, or one of its topic is before it.
    fn is_slow(&self, message: &Publication<'_>) -> bool {
        message.payload.len() > ONE_PIECE || self.encoding.holds(message.topic)
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
            Some(at) if !self.is_slow(message) => {
                self.encode(at, message, retain);
                Ok(())
            }
            _ => {
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
            if self.is_slow(message) {
                let (recipients, version) = (self.matches.take(), index.version());
                self.encoding.push(Message::new(message), retain, recipients, version);
                return Ok(());
            }
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

    /// Goes on with the messages that are encoded in pieces, as far as a turn allows.
    pub(super) fn encode_some(&mut self) {
        let mut left = self.encode_work;
        while let Some(draft) = self.encoding.step(&mut left, &mut self.pool) {
            self.push(draft);
        }
        self.work.charge(self.encode_work - left);
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
        let recipients = self.matches.take();
        self.push(BatchBuilder::new(topic, recipients, version))
    }

    fn push(&mut self, draft: BatchBuilder) -> usize {
        let at = self.list.len();
        self.bytes += draft.len();
        self.by_topic.insert(draft.topic.clone(), at);
        self.list.push(draft);
        at
    }
}
