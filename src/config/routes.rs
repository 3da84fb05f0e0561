//! What is served on which paths.

use std::fmt;

use super::pattern::{Pattern, PatternError};
use super::rates::RouteRates;
use super::slow::SlowConsumer;
use crate::protocol::http::percent_decoded;
use crate::protocol::websocket::handshake::{DeflatePolicy, Origins};

/// The name that a path to topics has to have.
pub(crate) const TOPIC: &str = "topic";

/// The routes of a server.
///
/// Without any, the built-in paths are served. With some, nothing is served but them: a path that
/// belongs to none is answered with 404, whatever is built in. If a path belongs to several, the
/// most specific one counts: the one that has text where the other has `{name}`, or `{name}` where
/// the other has all the rest, in the first segment in which they differ.
///
/// ```
/// use corecast::config::{Access, Compression, Config, Route, RouteTo, Routes};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::default();
/// config.routes = Routes::new([
///     Route::new("/app/*", RouteTo::Application)?.max_message(64 << 10),
///     Route::new("/live/{topic...}", RouteTo::Topics)?.compression(Compression::Off),
///     Route::new("/live/internal/*", RouteTo::Off)?,
///     Route::new("/pubsub", RouteTo::PubSub)?.access(Access::Token),
///     Route::new("/healthz", RouteTo::Health)?,
/// ])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// By their numbers. Those that are in force no more are still there, for connections that came
    /// by them.
    all: Box<[Route]>,
    /// The places of those in force, the most specific one first.
    order: Box<[u8]>,
}

/// The same routes are in force.
impl PartialEq for Routes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Routes {}

/// One route: paths, what is served there, and what holds there in place of the [`Config`]'s.
///
/// [`Config`]: super::Config
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The paths.
    pub path: Pattern,
    /// What is served there.
    pub to: RouteTo,
    /// Bytes of one message of a client, in place of
    /// [`Limits::max_message`](super::Limits::max_message).
    pub max_message: Option<usize>,
    /// In place of [`Config::origins`](super::Config::origins).
    pub origins: Option<Origins>,
    /// In place of [`Config::deflate`](super::Config::deflate), but for the sizes of windows.
    pub compression: Option<Compression>,
    /// In place of [`PubSub::slow`](super::PubSub::slow).
    pub slow: Option<SlowConsumer>,
    /// In place of [`PubSub::queue`](super::PubSub::queue).
    pub queue: Option<usize>,
    /// Who may connect. By default, clients of topics need a token if the server verifies tokens,
    /// and those of the application if `Handler::TOKENS` says so.
    pub access: Option<Access>,
    /// In place of [`Config::rates`](super::Config::rates).
    pub rates: RouteRates,
}

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteTo {
    /// The handler of the program, for WebSockets and plain requests. That of `corecast serve` is
    /// the echo.
    Application,
    /// The endpoint of one topic, which is otherwise `/topics/<topic>`. The path has `{topic}` or
    /// `{topic...}`.
    Topics,
    /// The endpoint of many topics in JSON, which is otherwise `/pubsub`.
    PubSub,
    /// The answer 200 and `ok` to plain requests, or 503 while the server drains, which is
    /// otherwise `/healthz`.
    Health,
    /// Nothing: 404, as for a path without a route.
    Off,
}

impl RouteTo {
    pub(crate) const fn is_topics(self) -> bool {
        matches!(self, Self::Topics | Self::PubSub)
    }

    const fn is_websocket(self) -> bool {
        matches!(self, Self::Application | Self::Topics | Self::PubSub)
    }
}

/// permessage-deflate (RFC 7692) on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not negotiated.
    Off,
    /// Negotiated; no side keeps its window from message to message.
    NoContextTakeover,
    /// Negotiated; both sides may keep their windows.
    ContextTakeover,
}

impl Compression {
    /// The policy with this.
    pub(crate) const fn apply(self, policy: DeflatePolicy) -> DeflatePolicy {
        let keeps = matches!(self, Self::ContextTakeover);
        DeflatePolicy {
            enabled: !matches!(self, Self::Off),
            server_context_takeover: keeps,
            client_context_takeover: keeps,
            ..policy
        }
    }
}

/// Who may connect by a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everybody; on routes to topics everybody may publish and subscribe to all.
    Anyone,
    /// Who shows a token or an API key that the server accepts, until it ends.
    Token,
}

/// Names the route that a connection came by: a number that fits beside the state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteId(u8);

impl RouteId {
    /// None: the server has no routes.
    pub const NONE: Self = Self(0);

    /// Its place in tables in which [`NONE`](Self::NONE) is the first.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why routes cannot hold. Its text names the route and says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    path: Pattern,
    setting: &'static str,
    reason: String,
}

impl RouteError {
    fn new(route: &Route, setting: &'static str, reason: impl Into<String>) -> Self {
        Self { path: route.path.clone(), setting, reason: reason.into() }
    }

    /// The key, as in a configuration file, whose value is wrong.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }

    /// The text without the name of the route.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the route `{}`: {}", self.path, self.reason)
    }
}

impl std::error::Error for RouteError {}

impl Route {
    /// A route on which all else is as in the [`Config`](super::Config).
    ///
    /// # Errors
    /// If `path` is no pattern.
    pub fn new(path: &str, to: RouteTo) -> Result<Self, PatternError> {
        Ok(Self {
            path: path.parse()?,
            to,
            max_message: None,
            origins: None,
            compression: None,
            slow: None,
            queue: None,
            access: None,
            rates: RouteRates::default(),
        })
    }

    /// With this limit of messages.
    #[must_use]
    pub fn max_message(self, bytes: usize) -> Self {
        Self { max_message: Some(bytes), ..self }
    }

    /// With these origins.
    #[must_use]
    pub fn origins(self, origins: Origins) -> Self {
        Self { origins: Some(origins), ..self }
    }

    /// With this compression.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression: Some(compression), ..self }
    }

    /// With this policy for subscribers that read too slowly.
    #[must_use]
    pub fn slow(self, slow: SlowConsumer) -> Self {
        Self { slow: Some(slow), ..self }
    }

    /// With a queue of so many bytes for each subscriber.
    #[must_use]
    pub fn queue(self, bytes: usize) -> Self {
        Self { queue: Some(bytes), ..self }
    }

    /// For these clients.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access: Some(access), ..self }
    }

    /// With these rates.
    #[must_use]
    pub fn rates(self, rates: RouteRates) -> Self {
        Self { rates, ..self }
    }

    /// Whether its clients can publish and subscribe.
    #[must_use]
    pub const fn serves_topics(&self) -> bool {
        self.to.is_topics()
    }

    /// What cannot hold of it by itself.
    #[must_use]
    pub fn faults(&self) -> Vec<RouteError> {
        let mut faults = Vec::new();
        if self.to == RouteTo::Topics && !self.path.names(TOPIC) {
            let text = "a path to topics has to say which part of it is the topic: write \
                        `{topic...}` at its end, or `{topic}` for one segment";
            faults.push(RouteError::new(self, "path", text));
        }
        let (to, is_websocket) = (self.to, self.to.is_websocket());
        let rates = self.rates.given().map(|setting| (setting, true, is_websocket));
        for (setting, is_given, has_effect) in rates.chain([
            ("max-message", self.max_message.is_some(), is_websocket),
            ("allow-origin", self.origins.is_some(), to != RouteTo::Off),
            ("compression", self.compression.is_some(), is_websocket),
            ("slow-consumer", self.slow.is_some(), to.is_topics()),
            ("subscriber-queue", self.queue.is_some(), to.is_topics()),
            ("authority", self.access.is_some(), is_websocket),
        ]) {
            if is_given && !has_effect {
                let text = format!("`{setting}` has no effect on what it leads to; leave it out");
                faults.push(RouteError::new(self, setting, text));
            }
        }
        if to.is_topics() && self.compression == Some(Compression::ContextTakeover) {
            let text = "messages of topics are compressed once for all subscribers, so no window \
                        is kept; write `no-context-takeover`, or `off`";
            faults.push(RouteError::new(self, "compression", text));
        }
        faults
    }
}

impl Routes {
    /// The most routes of a server.
    pub const MAX: usize = 250;

    /// These routes, in any order.
    ///
    /// # Errors
    /// The first that cannot hold by itself, that has the same paths as another, or that is one
    /// too many.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, RouteError> {
        let mut list: Vec<Route> = Vec::new();
        for route in routes {
            if let Some(fault) = route.faults().into_iter().next() {
                return Err(fault);
            }
            if let Some(other) = list.iter().find(|other| other.path.is_same(&route.path)) {
                let text = format!("its paths are those of the route `{}`", other.path);
                return Err(RouteError::new(&route, "path", text));
            }
            if list.len() == Self::MAX {
                let text = format!("there are more than {} routes", Self::MAX);
                return Err(RouteError::new(&route, "path", text));
            }
            list.push(route);
        }
        list.sort_by(|one, other| one.path.by_specificity(&other.path));
        let order = (0..u8::MAX).take(list.len()).collect();
        Ok(Self { all: list.into(), order })
    }

    /// The routes `next` in place of these while a server runs. What connections have come by keeps
    /// its number and its settings: a route that is the same has the same number, a new one has
    /// a number that none has had.
    ///
    /// # Errors
    /// If there would be too many with all that were in force before.
    pub(crate) fn followed_by(&self, next: &Self) -> Result<Self, RouteError> {
        let mut all = self.all.to_vec();
        let mut order = Vec::new();
        for route in next.iter() {
            let known = all.iter().position(|known| known == route);
            let place = known.unwrap_or(all.len());
            if place >= Self::MAX {
                let text = format!(
                    "there were more than {} routes since the start, with those that were changed; \
                     start the server anew",
                    Self::MAX
                );
                return Err(RouteError::new(route, "path", text));
            }
            if known.is_none() {
                all.push(route.clone());
            }
            order.push(u8::try_from(place).unwrap_or(u8::MAX));
        }
        Ok(Self { all: all.into(), order: order.into() })
    }

    /// Whether there are none, so that the built-in paths are served.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The routes; of two that take a path, the one that counts comes first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.order.iter().filter_map(|place| self.all.get(usize::from(*place)))
    }

    /// The names of all routes that connections may have come by, in the order of their numbers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = RouteId> {
        (1..=u8::MAX).map(RouteId).take(self.all.len())
    }

    /// The route of a connection; nothing if the server had none when it came.
    #[must_use]
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.all.get(id.index().checked_sub(1)?)
    }

    /// The route of a path, as it is in a request target, if anything is served there.
    fn find(&self, path: &str) -> Option<RouteId> {
        if self.is_empty() {
            return Some(RouteId::NONE);
        }
        let path = percent_decoded(path).ok()?;
        let mut all = self.order.iter().zip(self.iter());
        let (place, route) = all.find(|(_, route)| route.path.matches(&path))?;
        (route.to != RouteTo::Off).then_some(RouteId(place + 1))
    }

    /// The route of a plain request. What is no path, such as the `*` of OPTIONS, has none.
    pub(crate) fn of_request(&self, target: &str) -> Option<RouteId> {
        if target.starts_with('/') { self.find(target) } else { Some(RouteId::NONE) }
    }

    /// The route of an opening handshake; `None` if no WebSocket is served there.
    pub(crate) fn of_handshake(&self, path: &str) -> Option<RouteId> {
        let id = self.find(path)?;
        self.get(id).is_none_or(|route| route.to.is_websocket()).then_some(id)
    }
}

#[cfg(test)]
mod tests;
