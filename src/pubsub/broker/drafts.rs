//! The batches that a turn builds.

use std::collections::HashMap;
use std::sync::Arc;

use super::encoding::{Encoded, Encoding};
use super::message::Message;
use crate::base::Work;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{Batch, BatchBuilder, Retain};
use crate::pubsub::delivery::counts::{JOINED, SHORT};
use crate::pubsub::encoding::{Codec, Forms, ONE_PIECE, Scratch};
use crate::pubsub::index::{Index, Lists, Matches, Recipients};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

/// The work that a long search may cost in one turn, about a millisecond, and the work after which
/// a search is long.
const SEARCH_WORK: u64 = 1_000_000;
const SHORT_SEARCH: u64 = 200_000;
/// The same for the encoding of large messages and large retained values.
const ENCODE_WORK: u64 = 1_000_000;
/// A message of at least so many bytes may be costly to encode: in the worst case six times as many
/// bytes are compressed for three windows.
const MAYBE_COSTLY: usize = 2 << 10;
/// Once searches and encoding have cost so much in a turn, costly messages wait for a later one.
const AT_ONCE: u64 = 250_000;

/// A batch that other cores are sent as well counts as so many deliveries besides those of this
/// core, since it is not known how many it needs there.
pub(super) const ELSEWHERE: usize = 16;

/// The batches of this turn.
#[derive(Debug)]
pub(super) struct Drafts {
    /// In the order in which they began.
    list: Vec<BatchBuilder>,
    /// The last batch of each topic.
    by_topic: HashMap<Topic, usize>,
    /// The bytes that all of them hold, with their lists of subscribers.
    bytes: usize,
    /// The deliveries to be made of them, and of the one that needs most.
    deliveries: usize,
    most: usize,
    /// The same without regard to what goes out together.
    subscribers: usize,
    scratch: Scratch,
    pub(super) pool: Pool,
    matches: Matches,
    /// Messages that are encoded in pieces, which become batches of this turn or a later one.
    pub(super) encoding: Encoding,
    /// The work for them and for retained values in each turn.
    pub(super) encode_work: u64,
    /// The work for a long search in each turn, and for a short one.
    pub(super) search_work: u64,
    pub(super) short_search: u64,
    /// The work of short searches in this turn, and that of encoding.
    searched: u64,
    encoded: u64,
    /// The work of searching and encoding.
    pub(super) work: Work,
}

/// The search for the recipients of a message is a long one. What is to be retained comes back.
#[derive(Debug)]
pub(super) struct Unfinished(pub(super) Option<Retain>);

impl Drafts {
    pub(super) fn new(deflate_level: u32) -> Self {
        Self {
            list: Vec::new(),
            by_topic: HashMap::new(),
            bytes: 0,
            deliveries: 0,
            most: 0,
            subscribers: 0,
            scratch: Scratch::default(),
            pool: Pool::new(deflate_level),
            matches: Matches::default(),
            encoding: Encoding::default(),
            encode_work: ENCODE_WORK,
            search_work: SEARCH_WORK,
            short_search: SHORT_SEARCH,
            searched: 0,
            encoded: 0,
            work: Work::default(),
        }
    }

    /// The bytes that all of them hold, with their lists of subscribers.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes + self.encoding.bytes()
    }

    /// The deliveries to be made of all of them but the one that needs most: further messages of
    /// its topic are delivered together with it, so a burst of messages to many subscribers stays
    /// one send to each.
    #[inline]
    pub(super) const fn deliveries(&self) -> usize {
        self.deliveries - self.most
    }

    /// The subscribers of all of them; those on another core count for a fixed number.
    pub(super) const fn subscribers(&self) -> usize {
        self.subscribers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.encoding.is_empty()
    }

    /// Whether a message is encoded in pieces: it is large, or one of its topic is before it.
    fn is_slow(&self, message: &Publication<'_>) -> bool {
        message.payload.len() > ONE_PIECE || self.encoding.holds(message.topic)
    }

    /// A turn begins.
    pub(super) const fn start_turn(&mut self) {
        (self.searched, self.encoded) = (0, 0);
    }

    /// Whether a message of `len` bytes may cost so much that it should be left to a later turn.
    #[inline]
    pub(super) const fn may_wait(&self, len: usize) -> bool {
        len >= MAYBE_COSTLY && self.searched + self.encoded >= AT_ONCE
    }

    /// Whether the searches of this turn have cost so much that no message of another core or of a
    /// program should be taken.
    pub(super) const fn has_searched_enough(&self) -> bool {
        self.searched >= self.search_work
    }

    /// Adds a message to the batch of its topic. A message without subscribers and without a change
    /// of the retained value is dropped.
    ///
    /// # Errors
    /// If the search for its subscribers is a long one. [`take_search`](Self::take_search) returns
    /// what is found so far, and [`search_on`](Self::search_on) goes on.
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
            _ if self.search(message.topic, index) => {
                if !self.matches.found.is_empty() || retain.is_some() {
                    let recipients = self.matches.take();
                    self.add_found(message, retain, recipients, index.version());
                }
                Ok(())
            }
            _ => Err(Unfinished(retain)),
        }
    }

    /// Whether [`add`](Self::add) would not begin a long search, and would not encode what should
    /// be left to a later turn.
    pub(super) fn can_add(&mut self, message: &Publication<'_>, index: &Index) -> bool {
        let len = message.payload.len();
        if !self.is_slow(message)
            && let Some(at) = self.find(message, index.version())
        {
            let forms = self.list.get(at).map_or(Forms::EMPTY, BatchBuilder::forms);
            return !self.may_wait(len) || !is_costly(forms);
        }
        let is_short = self.search(message.topic, index);
        let costly = !self.is_slow(message) && is_costly(self.matches.found.forms());
        // Lists that are found count as held by a message.
        self.matches.clear();
        is_short && !(costly && self.may_wait(len))
    }

    /// Adds a message of which the recipients are found, in the index of this version.
    pub(super) fn add_found(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        recipients: Recipients,
        version: u64,
    ) {
        if self.is_slow(message) {
            self.encoding.push(Message::new(message), retain, recipients, version);
        } else {
            let draft = BatchBuilder::new(message.topic, recipients, version);
            let at = self.push(draft, message.payload.len() <= SHORT);
            self.encode(at, message, retain);
        }
    }

    /// The recipients of a topic; `None` if the search for them is a long one, of which
    /// [`take_search`](Self::take_search) returns what is found so far.
    pub(super) fn recipients(&mut self, topic: &Topic, index: &Index) -> Option<Recipients> {
        self.search(topic, index).then(|| self.matches.take())
    }

    /// Takes the search that was not complete.
    pub(super) fn take_search(&mut self) -> Matches {
        std::mem::take(&mut self.matches)
    }

    /// Goes on with a long search. The index must not have changed since the search began. The work
    /// is subtracted from `left`. Returns whether the search is complete.
    pub(super) fn search_on(
        &mut self,
        topic: &Topic,
        matches: &mut Matches,
        index: &Index,
        left: &mut u64,
    ) -> bool {
        let before = *left;
        let is_complete = index.resume(topic, matches, left);
        self.work.charge(before - *left);
        is_complete
    }

    /// Takes all batches, in the order in which they began.
    pub(super) fn take(&mut self) -> impl Iterator<Item = BatchBuilder> {
        self.by_topic.clear();
        (self.bytes, self.deliveries, self.most, self.subscribers) = (0, 0, 0, 0);
        self.list.drain(..)
    }

    /// Searches for the recipients of a topic. Returns whether they are found in `matches`; if not,
    /// the search is a long one.
    fn search(&mut self, topic: &Topic, index: &Index) -> bool {
        index.begin(topic, &mut self.matches);
        let mut left = self.short_search;
        let is_complete = index.resume(topic, &mut self.matches, &mut left);
        let work = self.short_search - left;
        self.searched += work;
        self.work.charge(work);
        is_complete
    }

    fn encode(&mut self, at: usize, message: &Publication<'_>, retain: Option<Retain>) {
        if let Some(draft) = self.list.get_mut(at) {
            let (bytes, work) = draft.add(message, retain, &mut self.scratch, &mut self.pool);
            self.work.charge(work);
            self.encoded += work;
            self.bytes += bytes;
        }
    }

    /// Goes on with the messages that are encoded in pieces, with `left` work at most. Returns a
    /// batch of another core that is completed; `None` if there is nothing more to do.
    pub(super) fn encode_some(&mut self, left: &mut u64) -> Option<(Arc<Batch>, Lists)> {
        while let Some(encoded) = self.encoding.step(left, &mut self.pool) {
            match encoded {
                Encoded::Draft(draft) => drop(self.push(draft, false)),
                Encoded::Batch(batch, lists) => return Some((batch, lists)),
            }
        }
        None
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

    /// Adds a batch, of which the first message `is_short` or not.
    fn push(&mut self, draft: BatchBuilder, is_short: bool) -> usize {
        let at = self.list.len();
        self.bytes += draft.len();
        let repeats = is_short && self.list.last().is_some_and(|last| draft.goes_with(last));
        let here = if repeats { draft.subscribers().div_ceil(JOINED) } else { draft.subscribers() };
        let elsewhere = if draft.is_for_others() { ELSEWHERE } else { 0 };
        let deliveries = here + elsewhere;
        self.subscribers += draft.subscribers() + elsewhere;
        self.deliveries += deliveries;
        self.most = self.most.max(deliveries);
        self.by_topic.insert(draft.topic.clone(), at);
        self.list.push(draft);
        at
    }
}

/// Whether a message costs more than a copy in any of these forms.
fn is_costly(forms: Forms) -> bool {
    forms.iter().any(|form| form.window_bits().is_some() || form.codec() != Codec::Raw)
}
