//! Which of the connections with deferred input go on in a turn, and how far.

use super::Worker;
use super::deferring::{Expected, Part};
use super::slots::Flags;
use crate::base::{ConnectionId, Work};
use crate::io::Driver;
use crate::session::Service;

/// Input that causes more work than this causes much. A connection that has sent such input is
/// expected to do it again, until it has sent so many inputs in a row that caused less.
const MUCH: u64 = 20_000;
const REMEMBERED: u8 = 64;
/// So many connections of a list that lack room are looked at in one turn.
const MAX_SKIPPED: usize = 512;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Handles deferred input, as far as there is room and the budget of the turn allows. No list
    /// can take the part of another: connections that cause much work do not keep publishers
    /// waiting, and a large message does not keep others waiting.
    #[cold]
    pub(super) fn retry_deferred(&mut self) {
        // Input that has caused more work than it was expected to do takes the share of what
        // follows: it is expected to do so from then on.
        let late = self.core.budget.late;
        let eighths = [8, 10, 11, 12];
        for (expected, share) in Expected::ALL.into_iter().zip(eighths) {
            self.retry_late(expected, late / 8 * share);
        }
        let start = self.core.pools.work.used();
        let sixth = self.core.budget.deferred / 6;
        // Who comes first may take all the room there is.
        let first = usize::try_from(self.core.stats.turns % 3).unwrap_or(0);
        for (at, part) in Part::ALL.into_iter().enumerate() {
            let until = start.saturating_add(sixth * (2 * at as u64 + 2));
            self.retry_paused(part, until.saturating_sub(sixth));
            match Part::ALL[(first + at) % Part::ALL.len()] {
                Part::New => self.retry_awaiting_room(until),
                part => self.retry_in_message(part, until),
            }
        }
    }

    /// Handles short input that came too late for its turn, until so much work is done.
    fn retry_late(&mut self, expected: Expected, until: u64) {
        for _ in 0..self.core.deferring.late.len(expected) {
            if self.core.pools.work.used() >= until {
                return;
            }
            let Some(id) = self.core.deferring.late.pop(expected) else { return };
            self.resume(id);
        }
    }

    /// Goes on with connections that have used up their share of a turn, until so much work is
    /// done. While memory is scarce large messages wait, and what may become one: a kilobyte of it
    /// may become a megabyte, and newcomers and publishers would wait until that is freed.
    /// Meanwhile the largest holders are closed.
    fn retry_paused(&mut self, part: Part, until: u64) {
        for _ in 0..self.core.deferring.paused.attempts(part) {
            let waits = part == Part::Large && self.core.large_messages_wait();
            if waits || self.core.pools.work.used() >= until {
                return;
            }
            let Some(id) = self.core.deferring.paused.pop(part) else { return };
            if part == Part::Other && self.core.large_messages_wait() && self.may_grow(id) {
                self.core.deferring.paused.hold_back(id);
            } else {
                self.resume(id);
            }
        }
    }

    fn may_grow(&mut self, id: ConnectionId) -> bool {
        self.core.slots.get(id).is_some_and(|slot| slot.may_grow())
    }

    /// Goes on with connections whose input needs room, in the order of what they have caused,
    /// while there is room, until so much work is done.
    fn retry_awaiting_room(&mut self, until: u64) {
        let Self { core, service, .. } = self;
        let usual = |id| service.usual_deliveries(id);
        core.deferring.awaiting_room.place(usual, &core.pools.ledger);
        for _ in 0..self.core.deferring.awaiting_room.len() {
            let Some(next) = self.core.deferring.awaiting_room.next_deliveries() else { return };
            let has_room = self.service.has_room() || self.service.has_room_for_few(next);
            if self.core.pools.work.used() >= until || !has_room {
                return;
            }
            let Some(id) = self.core.deferring.awaiting_room.pop() else { return };
            let Some(slot) = self.core.slots.get(id) else { continue };
            slot.flags.remove(Flags::AWAITING_ROOM);
            // The room that is kept for few is for one input.
            let (work, waiting) = (self.core.pools.work.used(), self.service.undelivered());
            self.serve_deferred(id, true);
            let deliveries = self.service.undelivered().saturating_sub(waiting) as u64;
            let work = self.core.pools.work.used() - work + deliveries * Work::DELIVERY;
            self.core.deferring.awaiting_room.served(work);
        }
    }

    /// The same for connections of a list, which are in the middle of a message.
    fn retry_in_message(&mut self, part: Part, until: u64) {
        let mut skipped = 0;
        for _ in 0..self.core.deferring.in_message.attempts(part) {
            if self.core.pools.work.used() >= until || !self.service.has_room() {
                return;
            }
            let Some(id) = self.core.deferring.in_message.pop(part) else { return };
            let Some(slot) = self.core.slots.get(id) else { continue };
            if slot.lacks_room(&self.service) {
                // Its message is a large one.
                self.core.deferring.in_message.lacks_room(id, part);
                skipped += 1;
                if skipped == MAX_SKIPPED {
                    return;
                }
                continue;
            }
            slot.flags.remove(Flags::AWAITING_ROOM);
            self.serve_deferred(id, false);
        }
    }

    /// Goes on with a connection that was paused.
    fn resume(&mut self, id: ConnectionId) {
        if let Some(slot) = self.core.slots.get(id) {
            slot.flags.remove(Flags::PAUSED);
            self.core.stats.resumed += 1;
            self.serve_deferred(id, false);
        }
    }

    /// Handles deferred input of a connection, and notes how much work that was. `has_room` says
    /// that there is room for the first input.
    fn serve_deferred(&mut self, id: ConnectionId, has_room: bool) {
        let (before, held) = (self.core.pools.work.used(), self.core.pools.ledger.used());
        self.take_deferred(id, has_room);
        let freed = held.saturating_sub(self.core.pools.ledger.used());
        self.core.pools.work.charge(Work::of_freed(freed));
        let work = self.core.pools.work.used() - before;
        if let Some(slot) = self.core.slots.get(id) {
            slot.costly = if work > MUCH { REMEMBERED } else { slot.costly.saturating_sub(1) };
        }
    }

    /// Handles the deferred input of a connection, until the service wants the rest to wait, or the
    /// share of the connection is used up.
    fn take_deferred(&mut self, id: ConnectionId, mut has_room: bool) {
        self.core.pools.work.allow(self.core.budget.share);
        loop {
            let Some(slot) = self.core.slots.get(id) else { return };
            if slot.input_waits() || self.core.give_up_reset(id) {
                return;
            }
            let Some(slot) = self.core.slots.get(id) else { return };
            if slot.deferred.as_ref().is_some_and(|deferred| deferred.is_empty()) {
                slot.deferred = None;
            }
            if slot.deferred.is_none() {
                break;
            }
            let lacks_room = !std::mem::take(&mut has_room) && slot.lacks_room(&self.service);
            if lacks_room || self.core.pools.work.is_used_up() {
                return self.core.list_for_retry(id);
            }
            if !self.core.meters.are_used {
                self.take_next(id);
            } else if !self.take_metered(id) {
                return;
            }
        }
        self.core.update_receive(id);
        self.core.mark_dirty(id);
    }
}
