//! What one run is made of, drawn from its seed, and what all its clients share.

use std::time::Duration;

use corecast::config::Config;
use corecast::io::sim::{Faults, SimOptions};

/// The circumstances of a run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) options: SimOptions,
    pub(crate) clients: usize,
    /// More connections than the worker takes up in one turn.
    pub(crate) is_crowded: bool,
    /// When the server is told to stop.
    pub(crate) stop_at: Duration,
    /// The time of this moment.
    pub(crate) now: Duration,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Which is 128.
        let is_crowded = rng.u8(0..64) == 0;
        let clients = if is_crowded { rng.usize(150..=400) } else { rng.usize(1..=16) };
        let options = SimOptions {
            slots: if is_crowded { 400 } else { rng.u32(1..=20) },
            buffers: rng.u16(1..=24),
            buffer_size: *rng.choice(&[64, 200, 1000, 4096, 16_448]).unwrap(),
            listeners: rng.usize(1..=2),
            completions: *rng.choice(&[4, 32, 256]).unwrap(),
            tells_progress: !seed.is_multiple_of(4),
            notifies_late: false,
            faults: if rng.u8(0..8) == 0 { Faults::default() } else { Faults::swarm(rng.u64(..)) },
        };
        let mut config = Config::default();
        if rng.bool() {
            config.limits.max_message = *rng.choice(&[1000, 20_000, 66_000]).unwrap();
        }
        if rng.bool() {
            config.limits.max_fragments = rng.u32(6..20);
        }
        config.limits.send_queue = *rng.choice(&[2_000, 30_000, 256 << 10]).unwrap();
        if rng.u8(0..8) == 0 {
            config.limits.max_connections = rng.u32(1..=4);
        }
        if rng.u8(0..4) == 0 {
            config.timeouts.idle = Some(Duration::from_secs(rng.u64(5..100)));
        }
        // Sometimes in the middle of everything, sometimes when all have long been idle or gone.
        let seconds = if rng.bool() { rng.u64(1..30) } else { rng.u64(60..300) };
        let stop_at = Duration::from_secs(seconds);
        Self { config, options, clients, is_crowded, stop_at, now: Duration::ZERO }
    }

    /// Whether the server may find that `time` has come: it counts whole milliseconds, so it may
    /// seem to be one too early.
    pub(crate) fn is_past(&self, time: Duration) -> bool {
        self.now + Duration::from_millis(1) > time
    }

    /// Whether the server may have been told to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.now >= self.stop_at
    }

    /// Whether the server may have waited in vain for the answer to a close frame of its own.
    pub(crate) fn is_hurrying(&self) -> bool {
        self.is_past(self.stop_at + self.config.timeouts.close)
    }

    /// Whether the server may cut connections because its patience is over.
    pub(crate) fn is_cutting(&self) -> bool {
        self.is_past(self.stop_at + self.config.timeouts.drain)
    }

    /// Whether a connection may have to wait for a slot before it is accepted.
    pub(crate) fn may_have_no_slot(&self) -> bool {
        // Earlier connections of the clients may still be on their way out.
        (self.options.slots as usize) < 2 * self.clients
    }

    /// Whether a connection that is accepted may be refused for want of room.
    pub(crate) fn may_be_full(&self) -> bool {
        (self.config.limits.max_connections as usize) < self.clients
    }
}
