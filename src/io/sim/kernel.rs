//! The contract of [`Driver`](crate::io::Driver), checked at each call and at each event.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::brief::Brief;
use super::operation::{Listener, Slot, Stage, Submission};
use super::options::SimOptions;
use crate::base::ConnectionId;
use crate::io::{DriverStats, Event};

/// The table of connections, the queues, and what is under way.
#[derive(Debug)]
pub(super) struct Kernel {
    seed: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) listeners: Vec<Listener>,
    pub(super) submissions: Vec<Submission>,
    pub(super) events: VecDeque<Event>,
    pub(super) completions: usize,
    /// All events since the last `enter` have been handed out.
    pub(super) handed_out: bool,
    pub(super) recycled: Vec<Vec<u8>>,
    pub(super) enters: u64,
    pub(super) overflows: u64,
    pub(super) refused: u64,
    lent: Rc<Cell<u32>>,
}

impl Kernel {
    pub(super) fn new(seed: u64, options: &SimOptions, lent: Rc<Cell<u32>>) -> Self {
        Self {
            seed,
            slots: (0..options.slots).map(|_| Slot::default()).collect(),
            listeners: (0..options.listeners).map(|_| Listener::default()).collect(),
            submissions: Vec::new(),
            events: VecDeque::new(),
            completions: options.completions.max(1),
            handed_out: true,
            recycled: Vec::new(),
            enters: 0,
            overflows: 0,
            refused: 0,
            lent,
        }
    }

    /// Ends the run: the worker, or the test, did what it may not do.
    pub(super) fn breach(&self, what: &str) -> ! {
        panic!("simulated ring, seed {}: {what}", self.seed)
    }

    pub(super) fn require(&self, holds: bool, id: ConnectionId, otherwise: &str) {
        if !holds {
            self.breach(&format!("{otherwise} (slot {}, {:?})", id.slot, id));
        }
    }

    /// The slot that `id` names, checked to be the connection it means.
    fn slot_of(&mut self, id: ConnectionId, operation: &str) -> &mut Slot {
        let Some(slot) = self.slots.get(id.slot as usize) else {
            self.breach(&format!("{operation} on slot {}, which does not exist", id.slot));
        };
        if slot.client.is_none() || slot.closing {
            self.breach(&format!("{operation} on a closed connection ({id:?})"));
        }
        let stale = match (slot.generation, slot.generation_before) {
            (Some(generation), _) => generation != id.generation,
            (None, Some(before)) => {
                let ahead = id.generation.wrapping_sub(before) & ConnectionId::GENERATION_MASK;
                ahead == 0 || ahead > ConnectionId::GENERATION_MASK / 2
            }
            (None, None) => false,
        };
        if stale {
            let (now, before) = (slot.generation, slot.generation_before);
            self.breach(&format!(
                "{operation} with a stale generation: {id:?}, but the slot is used by \
                 generation {now:?} after {before:?}"
            ));
        }
        let slot = &mut self.slots[id.slot as usize];
        slot.generation = Some(id.generation);
        slot
    }

    /// Takes a call of the worker, if the contract allows it.
    pub(super) fn queue(&mut self, submission: Submission) {
        tracing::trace!("{}", Brief(&submission));
        if let Err(breach) = self.check(&submission) {
            self.breach(&format!("{breach}: {}", Brief(&submission)));
        }
        self.submissions.push(submission);
    }

    pub(super) fn slot_count(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    fn check(&mut self, submission: &Submission) -> Result<(), String> {
        let handed_out = self.handed_out;
        match *submission {
            Submission::Accept { listener, .. } => {
                let Some(listener) = self.listeners.get_mut(listener) else {
                    return Err("accept on a listener that does not exist".into());
                };
                begin(&mut listener.stage, "accept armed twice")
            }
            Submission::CancelAccept(_) | Submission::StopAccepting(_) => Ok(()),
            Submission::Receive { id, .. } => {
                begin(&mut self.slot_of(id, "receive").receive.stage, "receive armed twice")
            }
            Submission::CancelReceive(id) => {
                let slot = self.slot_of(id, "cancel_receive");
                allow(slot.receive.stage != Stage::Idle, "cancel of a receive that is not armed")
            }
            Submission::SendNow { id, .. } => {
                let slot = self.slot_of(id, "send_now");
                allow(slot.send.stage == Stage::Idle, "send_now during a send_queued")?;
                allow(handed_out, "send_now before next_event returned None")?;
                begin(&mut slot.send_now, "send_now twice between two calls of enter")
            }
            Submission::SendQueued { id, .. } => {
                let slot = self.slot_of(id, "send_queued");
                allow(slot.send_now == Stage::Idle, "send_queued behind a send_now of its batch")?;
                begin(&mut slot.send.stage, "send_queued twice")
            }
            Submission::CancelSend(id) => {
                let slot = self.slot_of(id, "cancel_send");
                allow(slot.send.stage != Stage::Idle, "cancel of a send that is not under way")
            }
            Submission::QueryProgress(id) => {
                self.slot_of(id, "query_progress");
                Ok(())
            }
            Submission::HalfClose(id) => {
                begin(&mut self.slot_of(id, "half_close").half_close.stage, "half_close twice")
            }
            Submission::Close(id)
                if self.slots.get(id.slot as usize).is_some_and(|s| s.retired) =>
            {
                Ok(())
            }
            Submission::Close(id) | Submission::Retire(id) => {
                let slot = self.slot_of(id, "close");
                slot.closing = true;
                match slot.under_way() {
                    Some(operation) => Err(format!("close while a {operation} is under way")),
                    None => Ok(()),
                }
            }
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Hands out the next event; what it ends may be asked for again.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let Some(event) = self.events.pop_front() else {
            self.handed_out = true;
            return None;
        };
        tracing::trace!("-> {}", Brief(&event));
        match &event {
            Event::Accepted { listener, armed: false, .. } => {
                self.listeners[*listener].stage = Stage::Idle;
            }
            Event::Received { id, armed: false, .. } => {
                self.slots[id.slot as usize].receive.stage = Stage::Idle;
            }
            Event::ShortSend { id, .. } => {
                self.slots[id.slot as usize].send_now = Stage::Idle;
            }
            Event::Sent { id, .. } => {
                self.slots[id.slot as usize].send.stage = Stage::Idle;
            }
            Event::HalfClosed { id } => {
                self.slots[id.slot as usize].half_close.stage = Stage::Idle;
            }
            Event::Accepted { .. }
            | Event::Received { .. }
            | Event::NotCancelled { .. }
            | Event::Peer { .. }
            | Event::Progress { .. }
            | Event::Woken => {}
        }
        Some(event)
    }

    pub(super) fn stats(&self) -> DriverStats {
        let held = |stage: Stage| u32::from(stage == Stage::Held);
        DriverStats {
            enters: self.enters,
            overflows: self.overflows,
            refused: self.refused,
            buffers: 0,
            buffers_lent: self.lent.get(),
            in_flight: self.slots.iter().map(|s| held(s.receive.stage) + held(s.send.stage)).sum(),
            ..DriverStats::default()
        }
    }

    pub(super) fn check_quiescent(&self) {
        let lent = self.lent.get();
        if lent > 0 {
            self.breach(&format!("{lent} receive buffers were not given back"));
        }
        if let Some(event) = self.events.front() {
            self.breach(&format!("an event was not handed out: {}", Brief(event)));
        }
        if let Some(submission) = self.submissions.first() {
            self.breach(&format!("an operation was not submitted: {}", Brief(submission)));
        }
        if let Some(listener) = self.listeners.iter().position(|l| l.stage != Stage::Idle) {
            self.breach(&format!("the accept of listener {listener} is still armed"));
        }
        if let Some(slot) = self.slots.iter().position(|slot| slot.client.is_some()) {
            let under_way = self.slots[slot].under_way();
            self.breach(&format!("slot {slot} was not closed; under way: {under_way:?}"));
        }
    }
}

/// Moves an operation from idle to queued.
fn begin(stage: &mut Stage, otherwise: &str) -> Result<(), String> {
    allow(*stage == Stage::Idle, otherwise)?;
    *stage = Stage::Queued;
    Ok(())
}

fn allow(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
