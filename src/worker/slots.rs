//! The connections of one core, by slot number.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bitflags::bitflags;

use super::input::Deferred;
use crate::base::blocks::Blocks;
use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Millis, Pace};
use crate::config::{Config, RouteId};
use crate::session::{CloseReason, Phase, Pools, SendQueue, Session, WindowEdge};

/// Where the output of a connection is in the [`Outbox`](super::outbox::Outbox). Kept in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutboxIndex(u32);

impl OutboxIndex {
    /// The connection has no output in this turn.
    pub(super) const NONE: Self = Self(0);
    /// Set if the rest is an index of the recipients, not of the entries.
    const BROADCAST: u32 = 1 << 31;

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) const fn clear(&mut self) {
        *self = Self::NONE;
    }

    /// The index of the last of `len` entries, counted from 1.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "one for each slot, 2^20 at most")]
    pub(super) const fn entry(len: usize) -> Self {
        Self(len as u32)
    }

    /// The index of the last of `len` recipients.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "one for each slot, 2^20 at most")]
    pub(super) const fn recipient(len: usize) -> Self {
        Self(Self::BROADCAST | len as u32)
    }

    pub(super) const fn is_recipient(self) -> bool {
        self.0 & Self::BROADCAST != 0
    }

    pub(super) const fn index(self) -> usize {
        (self.0 & !Self::BROADCAST) as usize - 1
    }
}

/// The state of a connection's multishot receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    /// The kernel has held none since the connection was accepted.
    New,
    /// The kernel holds no receive.
    Idle,
    /// The kernel holds no receive. The last one found no buffer, or has brought more than could be
    /// handled at once.
    Paced,
    /// The kernel holds a receive.
    Armed,
    /// The kernel holds a receive that is being cancelled.
    Cancelling,
}

bitflags! {
    /// Why a connection is not read from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Blocked: u8 {
        /// Too many replies wait to be sent to it.
        const SEND_BACKLOG = 1;
        /// The service wants its input to wait.
        const BY_SERVICE = 1 << 1;
        /// No receive buffer was free. It is in the list of connections to be armed again.
        const AWAITING_BUFFER = 1 << 2;
        /// Its receive is cancelled, to be armed anew.
        const REARMING = 1 << 3;
        /// It has sent more than it may in a short time. What it has sent is deferred.
        const OVER_RATE = 1 << 4;
    }

    /// How far the end of a connection is, and in which lists it is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Flags: u8 {
        /// The peer has sent FIN, or TCP is broken: nothing more will be received.
        const INPUT_ENDED = 1;
        /// The connection is given up: what waits to be sent is dropped.
        const ABORTED = 1 << 1;
        /// FIN is being sent.
        const HALF_CLOSING = 1 << 2;
        /// FIN has been sent.
        const HALF_CLOSED = 1 << 3;
        /// In the list of connections that are looked at for their end.
        const CLOSING = 1 << 4;
        /// In the list of connections whose deferred input waits for room.
        const AWAITING_ROOM = 1 << 5;
        /// In a list of connections whose deferred input waits for a later turn.
        const PAUSED = 1 << 6;
        /// In the list of connections whose next send waits for a later turn.
        const AWAITING_SEND = 1 << 7;
    }
}

/// One connection and the state of its operations.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its output in this turn.
    pub(super) outbox: OutboxIndex,
    pub(super) receive: Receive,
    pub(super) blocked: Blocked,
    pub(super) flags: Flags,
    /// The number of inputs until one of them is expected to cause little work, because an earlier
    /// one caused much; 0 if none did.
    pub(super) costly: u8,
    /// The timer set in the wheel.
    pub(super) timer: Millis,
    /// What waits to be sent.
    pub(super) queue: Option<Box<Queue>>,
    /// What was received and waits to be handled, in order.
    pub(super) deferred: Option<Box<Deferred>>,
    pub(super) session: Session,
}

/// The send queue of a connection, and how long it may go without progress.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) queue: SendQueue,
    /// When the connection is given up if the peer takes and reads nothing more until then.
    pub(super) stall: Millis,
    /// For the bytes that it shares with no other connection.
    pub(super) charge: Charge,
    /// For the bytes in it, at [`Pools::queued`].
    pub(super) queued: Charge,
    /// When it is cut off, because it was closed for what it holds, or by the operator.
    pub(super) cut_at: Millis,
    /// When the peer's progress is queried if nothing more was sent until then.
    pub(super) check: Millis,
    /// The edge of the peer's window in the queries since something was sent.
    pub(super) edge: WindowEdge,
    /// The bytes that were sent of it, and how fast the peer takes them: from when memory is short.
    pub(super) taken: u64,
    pub(super) pace: Option<Box<Pace>>,
}

impl Queue {
    pub(super) fn new(pools: &Pools, route: RouteId) -> Box<Self> {
        let (slow, limit) = pools.config.queue_of(route);
        let queue = SendQueue::new(slow, limit);
        let (charge, queued) = (pools.ledger.open(), pools.queued.open());
        let (never, edge) = (Millis::NEVER, WindowEdge::default());
        Box::new(Self {
            queue,
            stall: never,
            charge,
            queued,
            cut_at: never,
            check: never,
            edge,
            taken: 0,
            pace: None,
        })
    }
}

impl Slot {
    pub(super) fn new(session: Session) -> Self {
        Self {
            outbox: OutboxIndex::NONE,
            receive: Receive::New,
            blocked: Blocked::empty(),
            flags: Flags::empty(),
            costly: 0,
            timer: Millis::NEVER,
            queue: None,
            deferred: None,
            session,
        }
    }

    /// Its id.
    pub(super) const fn id(&self) -> ConnectionId {
        self.session.id()
    }

    /// When its queue is to be looked at, unless something more is sent before.
    pub(super) fn queue_deadline(&self) -> Millis {
        let of = |queue: &Queue| queue.stall.min(queue.check).min(queue.cut_at);
        self.queue.as_deref().map_or(Millis::NEVER, of)
    }

    /// Whether its time is over to take what was left to it when it was closed.
    pub(super) fn is_cut(&self, now: Millis) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.cut_at <= now)
    }

    /// Whether it may have sent something that was not handled.
    pub(super) fn may_have_unread(&self) -> bool {
        let unread = Blocked::SEND_BACKLOG | Blocked::BY_SERVICE;
        self.blocked.intersects(unread) || self.deferred.is_some()
    }

    /// Whether it is at a built-in endpoint and is not read from, because it does not read.
    pub(super) fn is_held_up(&self) -> bool {
        self.blocked.contains(Blocked::SEND_BACKLOG) && self.may_need_room()
    }

    /// Whether the queue made progress, or the peer was seen to read, within `time` before `now`.
    pub(super) fn has_sent_within(&self, time: Duration, now: Millis, config: &Config) -> bool {
        let Some(queue) = self.queue.as_ref().filter(|queue| queue.stall != Millis::NEVER) else {
            return false;
        };
        queue.stall.0 > now.after(config.timeouts.stall.saturating_sub(time)).0
    }

    /// Bytes that wait to be sent.
    #[inline]
    pub(super) fn backlog(&self) -> usize {
        // A queue without bytes still has gap notices to send.
        self.queue.as_ref().map_or(0, |queue| queue.queue.len().max(1))
    }

    /// Bytes of these that may not be dropped.
    pub(super) fn committed(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.queue.committed())
    }

    /// Whether the service wants its input to wait. Not once it is closing: its end is waited for,
    /// and what it sends has no meaning any more.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.blocked.contains(Blocked::BY_SERVICE)
            && matches!(self.session.phase(), Phase::Open | Phase::Deciding)
    }

    /// Whether what it has sent is not handled: the service wants that, or too many replies wait
    /// already. Compressed input of a kilobyte can cause replies of a megabyte.
    #[inline]
    pub(super) fn input_waits(&self) -> bool {
        self.is_held()
            || self.is_over_rate()
            || (self.blocked.contains(Blocked::SEND_BACKLOG) && self.answers_input())
    }

    /// Whether it has to wait because it has sent much in a short time.
    fn is_over_rate(&self) -> bool {
        self.blocked.contains(Blocked::OVER_RATE) && self.session.phase() == Phase::Open
    }

    /// Whether too many replies wait to be sent to it. Not once it is closing: then its input
    /// causes no more replies, and has to be read to see whether it goes on sending. But input of a
    /// peer that reads nothing stays unread, so that the kernel resets the connection at its end.
    fn has_send_backlog(&self) -> bool {
        let is_stalled = self.session.reason() == Some(CloseReason::Stalled);
        self.blocked.contains(Blocked::SEND_BACKLOG) && (self.answers_input() || is_stalled)
    }

    /// Whether what it sends is answered: messages, or requests that follow each other.
    fn answers_input(&self) -> bool {
        matches!(self.session.phase(), Phase::Request | Phase::Open)
    }

    /// Whether it is to be read from.
    pub(super) fn wants_input(&self) -> bool {
        let has_ended =
            self.flags.contains(Flags::INPUT_ENDED) || self.session.phase() == Phase::Finished;
        let has_to_wait = self.blocked.intersects(Blocked::AWAITING_BUFFER | Blocked::REARMING);
        let waits = self.has_send_backlog() || has_to_wait || self.is_held() || self.is_over_rate();
        !has_ended && !waits && self.deferred.as_ref().is_none_or(|deferred| deferred.has_room())
    }

    /// Whether a message of it is not complete, or it has sent more than one short input that is
    /// not handled: it is likely to send more.
    pub(super) fn is_amid_message(&self) -> bool {
        let has_sent_much = self.deferred.as_ref().is_some_and(|deferred| !deferred.is_new());
        has_sent_much || self.session.assembled() > 0
    }

    /// The kernel holds its receive no longer.
    pub(super) fn receive_stopped(&mut self) {
        self.receive = if self.deferred.is_some() { Receive::Paced } else { Receive::Idle };
        self.blocked.remove(Blocked::REARMING);
    }

    /// Whether its next receive is to bring one buffer: the last one found none or has brought more
    /// than could be handled at once, or what it brings is discarded.
    pub(super) fn is_paced(&self) -> bool {
        let is_ending = matches!(self.session.phase(), Phase::Closing | Phase::Lingering);
        is_ending || self.receive == Receive::Paced
    }
}

/// All slots. A slot in use is `Some`; generations survive in a table of their own.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Blocks<Option<Slot>>,
    generations: Blocks<u32>,
    used: usize,
    /// Slots whose generations are used up, and which therefore rest, longest first.
    pub(super) retired: VecDeque<u32>,
}

impl Slots {
    /// The number of connections.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// The id of a new connection in slot `index`.
    pub(super) fn next_id(&mut self, index: u32) -> ConnectionId {
        let generation = self.generations.reach(index, || 0);
        *generation = generation.wrapping_add(1) & ConnectionId::GENERATION_MASK;
        ConnectionId { slot: index, generation: *generation }
    }

    /// The next id of slot `index` is the one after this generation.
    #[cfg(test)]
    pub(super) fn set_generation(&mut self, index: u32, generation: u32) {
        *self.generations.reach(index, || 0) = generation;
    }

    pub(super) fn insert(&mut self, index: u32, slot: Slot) {
        let place = self.slots.reach(index, || None);
        debug_assert!(place.is_none(), "the kernel gave a slot twice");
        *place = Some(slot);
        self.used += 1;
    }

    /// The connection that `id` names, if it still lives.
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.at(id.slot).filter(|slot| slot.session.id().generation == id.generation)
    }

    /// The connection in slot `index`.
    #[inline]
    pub(super) fn at(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index)?.as_mut()
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Slot> {
        let slot = self.slots.get_mut(index)?.take();
        self.used -= usize::from(slot.is_some());
        slot
    }

    /// All connections.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.range(0..self.end())
    }

    /// The connections in these slots.
    pub(super) fn range(&self, slots: Range<u32>) -> impl Iterator<Item = &Slot> {
        slots.filter_map(|index| self.slots.get(index)?.as_ref())
    }

    /// The open connections of the application.
    pub(super) fn open(&self) -> impl Iterator<Item = ConnectionId> {
        let is_open = |slot: &&Slot| {
            slot.session.phase() == Phase::Open && !slot.session.endpoint().is_built_in()
        };
        self.iter().filter(is_open).map(Slot::id)
    }

    /// The number after the last slot there may be.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// The slot numbers in use, from `start` on, at most `max` of them; and where to go on.
    pub(super) fn used_from(&self, start: u32, max: usize) -> (Vec<u32>, Option<u32>) {
        let mut found = Vec::new();
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        for index in start..end {
            if found.len() == max {
                return (found, Some(index));
            }
            if self.slots.get(index).is_some_and(Option::is_some) {
                found.push(index);
            }
        }
        (found, None)
    }
}

#[cfg(test)]
mod tests;
