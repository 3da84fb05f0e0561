//! What a broker does in each turn of its core, and when it needs the next one.

use super::drafts::ELSEWHERE;
use super::sources::{Awaiting, Source};
use super::state::Broker;
use crate::base::{Millis, Work};
use crate::pubsub::delivery::counts::WIDE;
use crate::pubsub::encoding::ONE_PIECE;
use crate::pubsub::peers::{Message, PeerMessage};
use crate::session::{Outbound, Wakeup};

/// The most batches of each core that are taken in one turn, and at once.
const PEER_BATCH: usize = 256;
const PEER_CHUNK: usize = 4;
/// The changes of the index by clients of this core in one turn, each about a microsecond.
const CHANGES: usize = 1024;
/// Publishers wait while more deliveries than this wait, of which one of many bytes counts for
/// several. Each is made once those before it are, in four turns, of which each may take some
/// milliseconds.
const MAX_WAITING: usize = 512;
/// More room for messages to at most so many subscribers, for one or more of them: they go past
/// those to more, so they need not wait until these are delivered.
const FOR_FEW: usize = WIDE;
/// A batch that another core has not taken counts as so many deliveries, and as so many times more
/// if that core has too many deliveries itself. So what is published here waits for few batches
/// there.
const UNTAKEN: usize = ELSEWHERE;
const UNTAKEN_IF_BUSY: usize = 8;
/// The time until it is tried again whether another core has room.
const RETRY_MS: u64 = 1;

impl Broker {
    /// A turn begins. Goes on with the long searches, then takes the messages of other cores: what
    /// they want and acknowledge in any case, and published messages unless too many bytes wait to
    /// be delivered, or what `waits` for room is next. Returns whether that is what programs
    /// publish.
    pub fn start_turn(&mut self, now: Millis, waits: Awaiting) -> bool {
        // The core may have slept: what is retained or cleared from here on is not as old as that.
        self.now = now;
        if std::mem::take(&mut self.is_asleep) {
            self.peers.port().wake_up();
        }
        self.drafts.start_turn();
        if self.searching.is_active() {
            self.go_on_searching();
        }
        if self.peers.are_some() {
            self.untaken = self.peers.untaken(UNTAKEN, UNTAKEN_IF_BUSY);
            if !self.searching.needs_index() {
                self.take_control();
            }
        }
        if waits.is_any() {
            return self.take_in_turn(waits);
        }
        if self.peers.are_some() && !self.is_busy() {
            self.take_batches();
        }
        false
    }

    /// Takes batches of other cores if it is their turn, or if they are the only ones that can go
    /// on: then it is never this core for which they wait.
    #[cold]
    fn take_in_turn(&mut self, waits: Awaiting) -> bool {
        if !self.has_room() {
            if self.peers.are_some() && !self.is_busy() {
                self.take_batches();
            }
            return false;
        }
        let has_batches = !self.incoming.is_empty() || self.peers.port().has_items();
        let next = self.sources.next(waits, has_batches && !self.is_busy());
        if next == Source::OtherCores {
            self.take_batches();
        }
        next == Source::Programs
    }

    /// Takes the messages without payload. While a search goes on they wait, since they change the
    /// index.
    pub(super) fn take_control(&mut self) {
        let mut control = std::mem::take(&mut self.control);
        self.peers.port().drain_control(usize::MAX, |from, message| control.push((from, message)));
        if !control.is_empty() {
            self.has_news = true;
            self.held.set_stale();
        }
        for (from, PeerMessage(message)) in control.drain(..) {
            match message {
                Message::Interest(filter, forms, number) => {
                    self.index.set_remote(&filter, from, forms);
                    self.peers.set_received(from, number);
                }
                Message::Sent(number) => self.peers.set_received(from, number),
                Message::Acked(number) => self.peers.set_acked(from, number),
                Message::Lost => self.note_missed(from),
                _ => debug_assert!(false, "no control message"),
            }
        }
        self.control = control;
    }

    /// Takes batches of other cores. Nothing but its own deliveries and searches keeps a core from
    /// that, so two cores cannot wait for each other.
    fn take_batches(&mut self) {
        for _ in 0..PEER_BATCH / PEER_CHUNK {
            let (incoming, bytes) = (&mut self.incoming, &mut self.incoming_bytes);
            if incoming.is_empty() {
                self.peers.port().drain(PEER_CHUNK, |from, item| {
                    *bytes += item.len();
                    incoming.push_back((from, item));
                });
            }
            if self.incoming.is_empty() {
                return;
            }
            self.has_news = true;
            self.held.has_changed = true;
            while let Some((from, message)) = self.incoming.pop_front() {
                self.incoming_bytes -= message.len();
                match message.0 {
                    Message::Batch(batch) => self.receive_batch(batch),
                    Message::Clock(clock) => self.retained.passed(from, clock),
                    _ => debug_assert!(false, "a control message among batches"),
                }
                if self.is_busy() {
                    return;
                }
            }
        }
    }

    /// Whether too much waits for the deliveries of this core, or too many searches.
    fn is_busy(&self) -> bool {
        self.deliveries.bytes() + self.drafts.encoding.batch_bytes() > self.config.pubsub.backlog
            || self.deliveries.waiting() > MAX_WAITING
            || self.searching.is_full()
            || self.drafts.has_searched_enough()
    }

    /// Lets the other cores know whether this one takes their batches.
    fn tell_whether_busy(&mut self) {
        if self.peers.are_some() {
            // Early enough that the others have stopped before there is too much.
            let is_busy = self.deliveries.waiting() > MAX_WAITING / 8 * 5 || self.is_busy();
            self.peers.port().set_busy(is_busy);
        }
    }

    /// All input of the turn is handled. Passes its messages on to the subscribers of before the
    /// turn, then ends subscriptions. So a list of subscribers changes at most once in a turn.
    pub fn distribute(&mut self, now: Millis) {
        self.now = now;
        self.has_news = false;
        // Not fewer than are asked for, or those that wait could become more and more.
        self.changes_left = CHANGES.max(2 * std::mem::take(&mut self.asked));
        if self.peers.are_some() {
            self.watch_acknowledgements();
        }
        if !self.drafts.encoding.is_empty() || self.values.is_encoding() {
            self.encode_some();
        }
        self.distribute_batches();
        if !self.encoding_last.is_empty() {
            self.answer_encoded();
        }
        if !self.searching.needs_index() {
            self.end_subscriptions();
        }
    }

    /// Sends messages to the other cores as far as there is room, and wakes those that sleep.
    pub fn flush<O: Outbound>(&mut self, out: &mut O) {
        self.held.has_changed |= self.peers.backlog() > 0;
        // Every change before that clock has been sent.
        let first = if self.drafts.encoding.is_empty() && self.searching.is_empty() {
            None
        } else {
            let encoded = self.drafts.encoding.first_clock();
            encoded.into_iter().chain(self.searching.clock()).min()
        };
        let clock =
            first.map_or_else(|| self.retained.last_clock(), |clock| clock.saturating_sub(1));
        self.peers.flush(Some(clock), &mut self.to_wake);
        self.tell_whether_busy();
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
        if self.deliveries.is_empty() && self.replaying.is_empty() && !self.values.has_ended() {
            return;
        }
        self.held.has_changed = true;
        let before = self.deliveries.work();
        let left = self.deliveries.deliver(max - max / 2, out);
        let left = self.replay(max / 2 + left, out);
        let left = self.deliveries.deliver(left, out);
        self.work.charge(self.deliveries.work() - before);
        self.work.charge((max - left) as u64 * Work::SUBSCRIBER);
    }

    /// When the broker needs its next turn.
    #[must_use]
    pub fn wakeup(&self) -> Wakeup {
        let has_deliveries = !self.deliveries.is_empty() || !self.replaying.is_empty();
        let has_drafts =
            !self.drafts.is_empty() || !self.searching.is_empty() || !self.values.is_empty();
        let has_changes = !self.ended.is_empty()
            || self.has_acknowledged()
            || self.establishing.has_acknowledged();
        let has_batches = self.has_news || !self.incoming.is_empty() || !self.missed.is_empty();
        if has_deliveries || has_batches || has_drafts || has_changes {
            Wakeup::Now
        } else if self.peers.is_unfinished() || self.untaken > 0 && !self.has_room() {
            Wakeup::At(Millis(self.now.0 + RETRY_MS))
        } else {
            Wakeup::At(self.overdue_at())
        }
    }

    /// Whether there is room for further messages, here and on the other cores. If not, or if the
    /// core is short of memory, publishers have to wait.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting_deliveries() <= MAX_WAITING && !self.is_full()
    }

    /// The same for a message of which so many deliveries are expected.
    #[must_use]
    pub fn has_room_for_few(&self, deliveries: u32) -> bool {
        deliveries as usize <= FOR_FEW
            && self.waiting_deliveries() <= MAX_WAITING + FOR_FEW
            && !self.is_full()
    }

    #[inline]
    fn waiting_deliveries(&self) -> usize {
        self.deliveries.waiting() + self.drafts.deliveries() + self.untaken
    }

    /// The deliveries of what was published in this turn. Those on another core count for a fixed
    /// number.
    #[must_use]
    pub const fn undelivered(&self) -> usize {
        self.drafts.subscribers()
    }

    /// Whether so many bytes wait, here or for another core, or so much memory is in use, that even
    /// the application may publish nothing.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.waiting() > self.config.pubsub.backlog
            || self.peers.backlog() > 0
            || self.has_used_up_memory()
    }

    /// Whether a message of which `bytes` have come would be encoded soon. Otherwise its publisher
    /// waits, so that few large messages at a time are held for that.
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= ONE_PIECE
            || self.drafts.encoding.has_room_for(bytes)
                && !self.searching.has_large()
                && !self.is_short_of_memory()
    }

    /// The bytes that published messages hold on this core until they are delivered to its
    /// subscribers and passed on to other cores, with what is kept about each, and with the lists
    /// of their subscribers, each counted once. The large message that is being encoded is not
    /// counted before it is done, and neither are messages that wait to be accepted.
    #[inline]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.deliveries.bytes()
            + self.drafts.bytes()
            + self.searching.current_bytes()
            + self.peers.backlog()
    }

    /// Declares that the core is about to sleep. Returns false if another core has sent messages:
    /// then the core must not sleep.
    pub fn try_sleep(&mut self) -> bool {
        self.peers.port().set_busy(false);
        self.is_asleep = self.peers.port().try_sleep();
        self.is_asleep
    }

    /// Declares that the core is awake, after [`try_sleep`](Self::try_sleep).
    pub fn cancel_sleep(&mut self) {
        self.peers.port().wake_up();
        self.is_asleep = false;
    }
}
