//! What the sessions of a core count: plain integers, which nobody else touches.

use super::endpoint::EndpointId;
use super::meter::TooFast;
use crate::config::RouteId;
use crate::protocol::http::Status;
use crate::protocol::websocket::Violation;

/// Statuses that are counted one by one.
const STATUSES: [u16; 25] = [
    200, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414,
    417, 426, 429, 431, 500, 501,
];
const MORE: [u16; 3] = [502, 503, 505];
/// The endpoints that are counted one by one; further ones count as the last.
const ENDPOINTS: usize = 4;

/// Counters of the sessions of one core since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Bytes handled that were received, without those of TLS itself.
    pub received_bytes: u64,
    /// Whole messages received.
    pub messages: u64,
    /// Of these, the ones that were not sent back in their place.
    pub(crate) not_echoed: u64,
    /// Messages framed for one connection: answers, and what handlers send.
    pub(crate) written: u64,
    /// Handshakes that were answered with 101, by endpoint.
    opened: [u64; ENDPOINTS],
    /// `WebSocket` connections that have ended, by endpoint.
    ended: [u64; ENDPOINTS],
    /// Connections whose first request is answered, or which have ended without.
    pub(crate) begun: u64,
    /// Responses to plain requests.
    pub responses: Statuses,
    /// Requests that were refused: all other responses.
    pub refusals: Statuses,
    /// Clients that have sent more than they may in a short time.
    pub rates: RateCounts,
}

/// How often clients have sent more than they may in a short time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateCounts {
    /// Times a client was not read from because of its messages.
    pub delayed_by_messages: u64,
    /// Times a client was not read from because of its bytes.
    pub delayed_by_bytes: u64,
    /// Connections closed because of messages.
    pub closed_by_messages: u64,
    /// Connections closed because of bytes.
    pub closed_by_bytes: u64,
    /// Connections closed because of pings and pongs.
    pub closed_by_control: u64,
}

impl RateCounts {
    #[cold]
    #[inline(never)]
    pub(super) fn count_closed(&mut self, violation: Violation) {
        match violation {
            Violation::MessageRate => self.closed_by_messages += 1,
            Violation::ByteRate => self.closed_by_bytes += 1,
            Violation::ControlRate => self.closed_by_control += 1,
            _ => {}
        }
    }

    /// A client is made to wait.
    pub fn count_delayed(&mut self, by: TooFast) {
        match by {
            TooFast::Messages => self.delayed_by_messages += 1,
            TooFast::Bytes => self.delayed_by_bytes += 1,
        }
    }
}

impl Counts {
    /// Messages sent to one connection: echoes, answers, and what handlers send. Deliveries of
    /// topics are not among them.
    #[must_use]
    pub const fn replies(&self) -> u64 {
        self.messages - self.not_echoed + self.written
    }

    /// Handshakes that were answered with 101, of connections to this endpoint.
    #[must_use]
    pub fn handshakes(&self, endpoint: EndpointId) -> u64 {
        self.opened[place(endpoint)]
    }

    /// `WebSocket` connections to this endpoint at this moment.
    #[must_use]
    pub fn open(&self, endpoint: EndpointId) -> u64 {
        self.opened[place(endpoint)] - self.ended[place(endpoint)]
    }

    /// `WebSocket` connections to all endpoints at this moment.
    #[must_use]
    pub fn all_open(&self) -> u64 {
        self.opened.iter().sum::<u64>() - self.ended.iter().sum::<u64>()
    }

    pub(super) fn count_opened(&mut self, endpoint: EndpointId) {
        self.opened[place(endpoint)] += 1;
    }

    pub(super) fn count_ended(&mut self, endpoint: EndpointId) {
        self.ended[place(endpoint)] += 1;
    }
}

/// `WebSocket` connections that came by each route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounts {
    /// By the number of the route, then by endpoint. As long as the routes by which any came.
    passed: Vec<[Passed; ENDPOINTS]>,
}

/// `WebSocket` connections to one endpoint by one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// Handshakes that were answered with 101.
    pub opened: u64,
    /// Of these connections, those that have ended.
    pub ended: u64,
}

impl Passed {
    /// Adds what another core has counted.
    pub const fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.ended += other.ended;
    }
}

impl RouteCounts {
    pub(super) fn count_opened(&mut self, route: RouteId, endpoint: EndpointId) {
        self.of(route, endpoint).opened += 1;
    }

    pub(super) fn count_ended(&mut self, route: RouteId, endpoint: EndpointId) {
        self.of(route, endpoint).ended += 1;
    }

    fn of(&mut self, route: RouteId, endpoint: EndpointId) -> &mut Passed {
        if self.passed.len() <= route.index() {
            self.passed.resize(route.index() + 1, Default::default());
        }
        &mut self.passed[route.index()][place(endpoint)]
    }

    /// What was counted of an endpoint by a route.
    #[must_use]
    pub fn get(&self, route: RouteId, endpoint: EndpointId) -> Passed {
        self.passed.get(route.index()).map_or_else(Passed::default, |all| all[place(endpoint)])
    }
}

fn place(endpoint: EndpointId) -> usize {
    usize::from(endpoint.0).min(ENDPOINTS - 1)
}

/// Responses by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    known: [u64; STATUSES.len()],
    more: [u64; MORE.len()],
    others: u64,
}

impl Statuses {
    pub(super) fn count(&mut self, status: Status) {
        let place = |codes: &[u16]| codes.iter().position(|code| *code == status.code());
        match (place(&STATUSES), place(&MORE)) {
            (Some(at), _) => self.known[at] += 1,
            (_, Some(at)) => self.more[at] += 1,
            _ => self.others += 1,
        }
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.known.iter_mut().zip(other.known).for_each(|(count, more)| *count += more);
        self.more.iter_mut().zip(other.more).for_each(|(count, more)| *count += more);
        self.others += other.others;
    }

    /// Each status with its count; `None` are all that are not counted one by one.
    pub fn iter(&self) -> impl Iterator<Item = (Option<u16>, u64)> {
        let known = STATUSES.iter().zip(self.known).chain(MORE.iter().zip(self.more));
        known.map(|(code, count)| (Some(*code), count)).chain([(None, self.others)])
    }

    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_counted_once() {
        let mut statuses = Statuses::default();
        for code in (200..=599).chain([503]) {
            statuses.count(Status::new(code).unwrap());
        }
        let counts: Vec<(Option<u16>, u64)> = statuses.iter().collect();
        assert_eq!(counts.len(), STATUSES.len() + MORE.len() + 1);
        for (code, count) in counts {
            let expected = match code {
                Some(503) => 2,
                Some(_) => 1,
                None => 400 - (STATUSES.len() + MORE.len()) as u64,
            };
            assert_eq!(count, expected, "{code:?}");
        }
        assert_eq!(statuses.sum(), 401);
    }

    #[test]
    fn open_connections_are_those_that_have_not_ended() {
        let mut counts = Counts::default();
        for endpoint in [0, 1, 1, 200] {
            counts.count_opened(EndpointId(endpoint));
        }
        counts.count_ended(EndpointId(1));
        assert_eq!((counts.handshakes(EndpointId(1)), counts.open(EndpointId(1))), (2, 1));
        assert_eq!((counts.open(EndpointId(3)), counts.all_open()), (1, 3));
    }

    #[test]
    fn each_route_counts_for_itself() {
        let mut config = crate::config::Config::default();
        let route = |path: &str| {
            crate::config::Route::new(path, crate::config::RouteTo::Application).unwrap()
        };
        config.routes = crate::config::Routes::new([route("/a"), route("/b")]).unwrap();
        let ids: Vec<RouteId> = config.routes.ids().collect();
        let mut counts = RouteCounts::default();
        for (route, endpoint) in [(ids[1], 0), (ids[1], 1), (RouteId::NONE, 2), (ids[1], 1)] {
            counts.count_opened(route, EndpointId(endpoint));
        }
        counts.count_ended(ids[1], EndpointId(1));
        let found = |route, endpoint| {
            let Passed { opened, ended } = counts.get(route, EndpointId(endpoint));
            (opened, ended)
        };
        assert_eq!(
            [found(ids[1], 0), found(ids[1], 1), found(ids[0], 0)],
            [(1, 0), (2, 1), (0, 0)]
        );
        assert_eq!([found(RouteId::NONE, 2), found(RouteId::NONE, 0)], [(1, 0), (0, 0)]);
    }
}
