//! A message of which a part has been received, and what it is charged.

use std::time::Duration;

use super::pools::Pools;
use crate::base::ledger::Charge;
use crate::base::{Millis, Pace};
use crate::protocol::websocket::assembler::{Assembler, MessageLimits};

/// The bytes of a message that have to come in each second, once its time is over.
const LEAST_RATE: u64 = 4 << 10;

/// A message of which only a part has been received.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) assembler: Assembler,
    pub(super) charge: Charge,
    /// Those of the route of the connection.
    pub(super) limits: MessageLimits,
    /// When its first frame came, or later by the time in which it was not read from.
    pub(super) begun: Millis,
    /// The bytes that were received of it, as they came: masked and compressed.
    pub(super) received: u64,
    pub(super) pace: Pace,
}

impl Assembly {
    pub(super) fn new(
        assembler: Assembler,
        limits: MessageLimits,
        now: Millis,
        pools: &Pools,
    ) -> Box<Self> {
        let charge = pools.ledger.open();
        let pace = Pace::new(now);
        let mut assembly = Self { assembler, charge, limits, begun: now, received: 0, pace };
        assembly.recharge(0);
        Box::new(assembly)
    }

    /// When it must be complete.
    pub(super) fn due(&self, timeout: Duration) -> Millis {
        self.begun.after(timeout.saturating_add(self.earned()))
    }

    /// Has it be due no earlier than the whole timeout after `now`.
    pub(super) fn give_time(&mut self, now: Millis) {
        self.begun = self.begun.max(now.before(self.earned()));
    }

    /// The time that it has for what has come.
    const fn earned(&self) -> Duration {
        Duration::from_secs(self.received / LEAST_RATE)
    }

    /// Charges what it holds now, with `besides` that the service holds for it.
    pub(super) fn recharge(&mut self, besides: usize) {
        self.charge.set(self.assembler.memory() + besides);
    }
}
