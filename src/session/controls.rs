//! How many pings and pongs each client may send.

use crate::base::blocks::Blocks;
use crate::base::bucket::{TokenBucket, Tokens};
use crate::base::{ConnectionId, Millis};
use crate::config::{Config, RouteId};

/// The limits of pings and pongs, and what each connection has left.
#[derive(Debug)]
pub(super) struct Controls {
    /// Those without a route, then those of each route.
    limits: Box<[Option<Tokens>]>,
    /// By slot.
    buckets: Blocks<TokenBucket>,
}

impl Controls {
    /// `None` if nothing is limited.
    pub(super) fn of(config: &Config) -> Option<Box<Self>> {
        let limits = limits(config);
        let is_any = limits.iter().any(Option::is_some);
        is_any.then(|| Box::new(Self { limits, buckets: Blocks::default() }))
    }

    /// These with the limits of other settings. A connection keeps what it has left.
    pub(super) fn with_limits(self, config: &Config) -> Self {
        Self { limits: limits(config), ..self }
    }

    fn limit(&self, route: RouteId) -> Option<Tokens> {
        self.limits.get(route.index()).copied().flatten()
    }

    /// A connection begins.
    pub(super) fn open(&mut self, id: ConnectionId, route: RouteId, now: Millis) {
        if let Some(limit) = self.limit(route) {
            *self.buckets.reach(id.slot, TokenBucket::default) = TokenBucket::full(limit, now);
        }
    }

    /// Whether a connection may send one more.
    pub(super) fn takes(&mut self, id: ConnectionId, route: RouteId, now: Millis) -> bool {
        let Some(limit) = self.limit(route) else { return true };
        let Some(bucket) = self.buckets.get_mut(id.slot) else { return true };
        bucket.refill(limit, now);
        let has_one = bucket.tokens() > 0;
        if has_one {
            bucket.take(1);
        }
        has_one
    }
}

/// The limits of connections without a route, then those of each route.
fn limits(config: &Config) -> Box<[Option<Tokens>]> {
    let limit = |route| config.rates_of(route).control_frames.map(|rate| Tokens::new(rate, None));
    std::iter::once(RouteId::NONE).chain(config.routes.ids()).map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_those_of_a_second_and_its_slot_begins_anew() {
        let mut config = Config::default();
        assert!(Controls::of(&config).is_none());
        config.rates.control_frames = Some(3);
        let mut controls = Controls::of(&config).unwrap();
        let (id, other) =
            (ConnectionId { slot: 2, generation: 1 }, ConnectionId { slot: 3, generation: 1 });
        controls.open(id, RouteId::NONE, Millis(10));
        controls.open(other, RouteId::NONE, Millis(10));
        let mut takes = |id, now| controls.takes(id, RouteId::NONE, Millis(now));
        assert_eq!([0, 1, 2, 3].map(|_| takes(id, 10)), [true, true, true, false]);
        assert!(takes(other, 10));
        assert_eq!((takes(id, 343), takes(id, 344), takes(id, 344)), (false, true, false));
        controls.open(id, RouteId::NONE, Millis(344));
        assert!(controls.takes(id, RouteId::NONE, Millis(344)));
    }
}
