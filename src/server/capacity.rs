//! How many connections a loop may have, by the descriptors that there are.

use std::sync::Arc;

use super::handle::Serving;
use super::rlimit;
use crate::base::ConnectionId;
use crate::config::{Backend, Config};

/// Slots of each loop beyond `max_connections`, so that further connections can be answered with
/// 503.
const SPARE_SLOTS: u32 = 64;

/// Descriptors that the process needs for other things than connections: files of the program,
/// listeners, and those with which loops are woken. A quarter of all if these are few.
const OTHER_FILES: u32 = 128;

/// The slots of each loop, and the configuration with the limit of connections that fits.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    pub(super) slots: u32,
    pub(super) config: Arc<Config>,
}

impl Capacity {
    /// What a loop with it tells once it serves, on epoll.
    pub(super) fn serving(&self) -> Serving {
        Serving { features: None, connections: self.config.limits.max_connections }
    }
}

/// The capacities of a loop on io_uring and on epoll.
#[derive(Clone, Debug)]
pub(super) struct Capacities {
    pub(super) uring: Capacity,
    pub(super) epoll: Capacity,
}

/// Raises the limit of open files as far as `loops` loops need. It holds for each ring by itself,
/// but for the sockets of all loops on epoll together.
pub(super) fn fit(mut config: Config, loops: usize) -> Capacities {
    let limit = &mut config.limits.max_connections;
    *limit = (*limit).clamp(1, ConnectionId::MAX_SLOTS - SPARE_SLOTS);
    let wanted = *limit + SPARE_SLOTS;
    let uring = fitted(&config, rlimit::raise(u64::from(wanted)));
    if config.backend == Backend::Uring {
        return Capacities { epoll: uring.clone(), uring };
    }
    let loops = loops.max(1) as u64;
    let files = rlimit::raise(u64::from(wanted) * loops + u64::from(OTHER_FILES));
    let others = u64::from(OTHER_FILES).min(files / 4);
    let epoll = fitted(&config, (files - others) / loops);
    Capacities { uring, epoll }
}

/// Lowers `max_connections` to the `files` that a loop may have.
fn fitted(config: &Config, files: u64) -> Capacity {
    let mut config = config.clone();
    let limit = &mut config.limits.max_connections;
    let slots = (*limit + SPARE_SLOTS).min(u32::try_from(files).unwrap_or(u32::MAX)).max(2);
    let spare = SPARE_SLOTS.min(slots / 4).max(1);
    *limit = (*limit).min(slots - spare);
    Capacity { slots, config: Arc::new(config) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_connections_fit_the_files() {
        let mut config = Config::default();
        config.limits.max_connections = 1000;
        for (files, slots, connections) in
            [(u64::MAX, 1064, 1000), (1064, 1064, 1000), (500, 500, 436), (20, 20, 15), (0, 2, 1)]
        {
            let fitted = fitted(&config, files);
            let found = (fitted.slots, fitted.config.limits.max_connections);
            assert_eq!(found, (slots, connections), "{files} files");
        }
    }
}
