//! Clients that may send so many messages and bytes in a second. With such limits the loop handles
//! received data by functions of its own, so that nothing of this is paid for without them.

use super::Worker;
use super::core::Core;
use super::input::Input;
use super::meters::Meters;
use super::slots::Blocked;
use crate::base::{ConnectionId, Millis};
use crate::io::{Buffer, Driver, Received};
use crate::protocol::websocket::Violation;
use crate::session::{
    Allowance, Handled, Lease, Meter, Metered, NextFrame, Phase, Pools, Service, TooFast,
};

/// The most connections that go on in one turn because their time has come.
const RESUMED: usize = 256;

/// What was handled so far, on all connections.
#[derive(Clone, Copy)]
struct Total {
    bytes: u64,
    messages: u64,
}

impl Total {
    const fn of(pools: &Pools) -> Self {
        Self { bytes: pools.counts.received_bytes, messages: pools.counts.messages }
    }
}

impl<D: Driver, S: Service> Worker<D, S> {
    /// Handles the events of a turn.
    #[inline(never)]
    pub(super) fn handle_metered(&mut self) {
        if self.core.meters.due() <= self.core.now {
            self.core.resume_waiting();
        }
        self.handle_each::<true>();
    }

    /// Data has come that has to be looked at.
    #[cold]
    #[inline(never)]
    pub(super) fn on_metered(&mut self, id: ConnectionId, buffer: Buffer, len: usize, armed: bool) {
        match self.core.allowance(id, len) {
            None => self.on_data::<true, false>(id, buffer, len, armed),
            Some(Allowance::All) => {
                let before = Total::of(&self.core.pools);
                self.on_data::<true, false>(id, buffer, len, armed);
                self.core.charge_meter(id, before);
            }
            Some(_) => self.defer(id, Received::Data { buffer, len }, armed),
        }
    }

    /// Takes deferred input of a connection, as far as it may be handled now. Returns false if it
    /// has to wait.
    #[cold]
    pub(super) fn take_metered(&mut self, id: ConnectionId) -> bool {
        let deferred = self.core.slots.get(id).and_then(|slot| slot.deferred.as_ref());
        let allowance = match deferred.and_then(|deferred| deferred.first_len()) {
            Some(len) => self.core.allowance(id, len),
            // An end need not wait.
            None => None,
        };
        match allowance {
            None => self.take_next(id),
            Some(Allowance::All) => {
                let before = Total::of(&self.core.pools);
                self.take_next(id);
                self.core.charge_meter(id, before);
            }
            Some(Allowance::Frames) => self.take_frames(id),
            Some(Allowance::Wait(time, by)) => {
                self.core.let_wait(id, time, by);
                return false;
            }
            Some(Allowance::Close(_)) => self.core.with_output(id, |slot, now, pools, output| {
                slot.session.end_too_fast(now, Violation::ByteRate, pools, output);
            }),
        }
        true
    }

    /// Takes frames of the deferred input of a connection, as many as it may send now.
    fn take_frames(&mut self, id: ConnectionId) {
        let Some(mut rest) = self.core.take_first(id) else { return };
        let (mut at, mut handled) = (0, Handled::All);
        while at < rest.len() {
            let refused = match self.core.next_frame(id) {
                NextFrame::Nothing => break,
                next => next == NextFrame::NoMessage,
            };
            let (core, service) = (&mut self.core, &mut self.service);
            if at > 0 {
                // It was counted with the frame before.
                core.pools.counts.received_bytes -= (rest.len() - at) as u64;
            }
            let messages = core.pools.counts.messages;
            let allowed = core.pools.begin_frame(refused);
            core.with_output(id, |slot, now, pools, output| {
                let (backlog, bytes) = (slot.backlog(), rest.get_mut(at..).unwrap_or_default());
                handled = slot.session.receive(now, bytes, backlog, pools, service, output);
                output.copy_out(bytes, || pools.buffers.take());
            });
            core.pools.end_frame(allowed);
            let took = match handled {
                Handled::All => rest.len() - at,
                Handled::Until(took) | Handled::Paused(took) => took,
            };
            at += took;
            core.charge_frame(id, took as u64, core.pools.counts.messages - messages);
            let goes_on = core.slots.get(id).is_some_and(|slot| {
                slot.session.phase() == Phase::Open && !slot.lacks_room(service)
            });
            if !goes_on || matches!(handled, Handled::Until(_)) || core.pools.work.is_used_up() {
                break;
            }
        }
        rest.drain(..at);
        if !rest.is_empty() || matches!(handled, Handled::Until(_)) {
            self.core.defer_rest(id, rest, handled);
        }
    }
}

impl<D: Driver> Core<D> {
    /// The meter of a connection, and the limits that it has; `None` if nothing is limited, or it
    /// sends no messages now.
    fn meter(&mut self, id: ConnectionId) -> Option<(&Metered, &mut Meter)> {
        let session = &self.slots.get(id)?.session;
        if session.phase() != Phase::Open {
            return None;
        }
        let Meters { limits, meters, .. } = &mut self.meters;
        let of = limits.get(session.route().index())?.as_ref()?;
        let meter = meters.reach(id.slot, || None);
        Some((of, meter.get_or_insert_with(|| Box::new(Meter::new(of, self.now)))))
    }

    /// What may be handled of so many bytes; `None` if that is not limited.
    fn allowance(&mut self, id: ConnectionId, len: usize) -> Option<Allowance> {
        let (now, mut lease) =
            (self.now, Lease(self.meters.lease(id.slot).copied().unwrap_or_default()));
        let allowance = self.meter(id).map(|(of, meter)| meter.allow(of, now, len, &mut lease));
        let session = self.slots.get(id).map(|slot| &slot.session);
        if allowance.is_none() && session.is_some_and(|session| session.phase() == Phase::Open) {
            lease = Lease::MAX;
        }
        self.meters.set_lease(id.slot, lease);
        allowance
    }

    fn next_frame(&mut self, id: ConnectionId) -> NextFrame {
        self.meter(id).map_or(NextFrame::Any, |(of, meter)| meter.next(of))
    }

    /// A frame was handled.
    fn charge_frame(&mut self, id: ConnectionId, bytes: u64, messages: u64) {
        if let Some((of, meter)) = self.meter(id) {
            meter.charge(of, bytes, messages);
        }
    }

    /// Charges what was handled since `before`.
    fn charge_meter(&mut self, id: ConnectionId, before: Total) {
        let Total { bytes, messages } = Total::of(&self.pools);
        if let Some((of, meter)) = self.meter(id) {
            meter.charge(of, bytes - before.bytes, messages - before.messages);
            let lease = meter.lease(of);
            self.meters.set_lease(id.slot, lease);
        }
    }

    /// Lets a connection wait until it may send more. What it has sent is kept outside of the
    /// receive buffers, which are for all connections.
    fn let_wait(&mut self, id: ConnectionId, time: Millis, by: TooFast) {
        let Self { slots, driver, meters, pools, .. } = self;
        let Some(slot) = slots.get(id) else { return };
        slot.blocked.insert(Blocked::OVER_RATE);
        if let Some(deferred) = &mut slot.deferred {
            deferred.copy_all(|buffer, len| {
                let bytes = driver.bytes(&buffer).get(..len).unwrap_or_default().to_vec();
                driver.release(buffer);
                bytes
            });
        }
        meters.push(id, time);
        pools.counts.rates.count_delayed(by);
        if self.give_up_reset(id) {
            return;
        }
        self.update_receive(id);
        self.mark_dirty(id);
    }

    /// Goes on with connections whose time has come.
    fn resume_waiting(&mut self) {
        for _ in 0..RESUMED {
            if self.meters.due() > self.now {
                return;
            }
            let Some(id) = self.meters.pop() else { return };
            if let Some(slot) = self.slots.get(id) {
                slot.blocked.remove(Blocked::OVER_RATE);
                self.list_for_retry(id);
                self.update_receive(id);
            }
        }
    }

    /// Takes the first bytes that a connection has deferred.
    fn take_first(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let input = self.slots.get(id)?.deferred.as_mut()?.pop_front()?;
        match input {
            Input::Rest(rest) => Some(rest),
            Input::Received(Received::Data { buffer, len }) => {
                let bytes = self.driver.bytes(&buffer).get(..len).unwrap_or_default().to_vec();
                self.driver.release(buffer);
                Some(bytes)
            }
            Input::Received(_) => None,
        }
    }
}
