//! The settings of one run, drawn from its seed and shared by all clients.

use std::time::Duration;

use crate::trace;
use corecast::config::Config;
use corecast::io::sim::{Faults, SimOptions};

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) options: SimOptions,
    pub(crate) clients: usize,
    /// There are more connections than the worker handles in one turn.
    pub(crate) has_many_clients: bool,
    /// The time at which the server is stopped.
    pub(crate) stop_at: Duration,
    /// The current time.
    pub(crate) now: Duration,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // A turn handles 128 connections.
        let has_many_clients = rng.u8(0..64) == 0;
        let clients = if has_many_clients { rng.usize(150..=400) } else { rng.usize(1..=16) };
        let options = SimOptions {
            slots: if has_many_clients { 400 } else { rng.u32(1..=20) },
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
        // Sometimes in the middle of a run, sometimes when all clients have long been idle or gone.
        let seconds = if rng.bool() { rng.u64(1..30) } else { rng.u64(60..300) };
        let stop_at = Duration::from_secs(seconds);
        // Not drawn, so that all else is as it was.
        if seed >= trace::SEEDS && seed % 5 == 3 {
            config.draining.window = Duration::from_secs(seed % 7);
        }
        Self { config, options, clients, has_many_clients, stop_at, now: Duration::ZERO }
    }

    /// Whether the server may consider `time` reached. It counts whole milliseconds, so it may be
    /// up to one early.
    pub(crate) fn is_past(&self, time: Duration) -> bool {
        self.now + Duration::from_millis(1) > time
    }

    /// Whether the server may have started to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.now >= self.stop_at
    }

    /// Whether the server may have given up waiting for the answer to its close frame.
    pub(crate) fn is_hurrying(&self) -> bool {
        self.is_past(self.stop_at + self.config.timeouts.close)
    }

    /// Whether the server may cut connections because a timeout is over.
    pub(crate) fn is_cutting(&self) -> bool {
        self.is_past(self.stop_at + self.config.timeouts.drain)
    }

    /// Whether a connection may have to wait for a slot before it is accepted.
    pub(crate) fn may_have_no_slot(&self) -> bool {
        // Earlier connections of the clients may not be closed yet.
        (self.options.slots as usize) < 2 * self.clients
    }

    /// Whether an accepted connection may be refused because the server is full.
    pub(crate) fn may_be_full(&self) -> bool {
        (self.config.limits.max_connections as usize) < self.clients
    }
}
