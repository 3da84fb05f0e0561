//! A message of which a part has been received, and what it is charged.

use crate::base::Millis;
use std::time::Duration;

use crate::base::ledger::Charge;
use crate::protocol::websocket::assembler::Assembler;
use crate::session::pools::Pools;

/// The bytes of a message that have to come in each second, once its time is over.
const LEAST_RATE: u64 = 4 << 10;

/// A message of which only a part has been received.
#[derive(Debug)]
pub(in crate::session) struct Assembly {
    pub(in crate::session) assembler: Assembler,
    pub(in crate::session) charge: Charge,
    /// When its first frame came.
    pub(in crate::session) begun: Millis,
    /// The bytes that were received of it, as they came: masked and compressed.
    pub(in crate::session) received: u64,
}

impl Assembly {
    pub(in crate::session) fn new(assembler: Assembler, now: Millis, pools: &Pools) -> Box<Self> {
        let mut assembly = Self { assembler, charge: pools.ledger.open(), begun: now, received: 0 };
        assembly.recharge();
        Box::new(assembly)
    }

    /// When it must be complete.
    pub(in crate::session) fn due(&self, timeout: Duration) -> Millis {
        self.begun.after(timeout + Duration::from_secs(self.received / LEAST_RATE))
    }

    /// Charges what it holds now.
    pub(in crate::session) fn recharge(&mut self) {
        self.charge.set(self.assembler.memory());
    }
}
