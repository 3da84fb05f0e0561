//! For unit tests: an [`Outbound`] that records its calls, and JSON that is hard to pass on
//! unchanged.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::base::ConnectionId;
use crate::protocol::http::Response;
use crate::protocol::websocket::CloseCode;
use crate::protocol::websocket::handshake::Refusal;
use crate::session::{Accept, CloseReason, Delivered, Frames, Outbound, Replies};

/// A call of an [`Outbound`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Deliver(ConnectionId),
    Answer(ConnectionId, Vec<u8>),
    /// Whether a deferred handshake was accepted.
    Respond(ConnectionId, bool),
    SetReading(ConnectionId, bool),
    Close(ConnectionId, CloseCode),
    Wake(usize),
}

/// Records all calls.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<Call>,
    pub(crate) deliveries: Vec<(ConnectionId, Rc<Frames>)>,
    /// Slots that take no delivery before the next turn.
    pub(crate) full: Vec<u32>,
    /// The most deliveries that each connection takes.
    pub(crate) portion: Option<usize>,
    /// Those that were given something in this turn, if that is to be told.
    pub(crate) joining: Option<HashSet<ConnectionId>>,
    /// Connections whose handshakes were answered.
    pub(crate) answered: Vec<ConnectionId>,
    given: HashMap<ConnectionId, usize>,
}

impl Recorder {
    /// The number of deliveries by topic.
    pub(crate) fn by_topic(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for (_, frames) in &self.deliveries {
            *counts.entry(frames.subject().to_string()).or_default() += 1;
        }
        counts
    }
}

impl Outbound for Recorder {
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> Delivered {
        let given = self.given.entry(to).or_default();
        if self.full.contains(&to.slot) || self.portion.is_some_and(|portion| *given >= portion) {
            return Delivered::NextTurn;
        }
        *given += 1;
        self.calls.push(Call::Deliver(to));
        self.deliveries.push((to, Rc::clone(frames)));
        let is_first = self.joining.as_mut().is_none_or(|joining| joining.insert(to));
        if is_first { Delivered::Taken } else { Delivered::Joined }
    }

    fn answer(&mut self, to: ConnectionId, frames: &[u8]) -> bool {
        self.calls.push(Call::Answer(to, frames.to_vec()));
        true
    }

    fn answer_shared(&mut self, to: ConnectionId, frames: &Rc<Frames>) {
        self.answer(to, frames.bytes());
    }

    fn with_replies(&mut self, _: ConnectionId, _: impl FnOnce(&mut Replies<'_>)) -> bool {
        false
    }

    fn respond(
        &mut self,
        to: ConnectionId,
        decision: Result<Option<Accept>, Refusal>,
        _: impl FnOnce(&mut Replies<'_>),
    ) -> bool {
        self.calls.push(Call::Respond(to, decision.is_ok()));
        false
    }

    fn is_deciding(&mut self, id: ConnectionId) -> bool {
        !self.answered.contains(&id)
    }

    fn answer_request(&mut self, to: ConnectionId, _: &Response) {
        self.calls.push(Call::Respond(to, true));
    }

    fn set_reading(&mut self, id: ConnectionId, on: bool) {
        self.calls.push(Call::SetReading(id, on));
    }

    fn close(&mut self, id: ConnectionId, reason: CloseReason, _: &str) {
        self.calls.push(Call::Close(id, reason.code()));
    }

    fn has_backlog(&mut self, _: ConnectionId) -> bool {
        false
    }

    fn wake(&mut self, core: usize) {
        self.calls.push(Call::Wake(core));
    }
}

/// Valid JSON nested more deeply than a stack allows.
pub(crate) fn deep_json() -> [String; 2] {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deeper = format!("{}1{}", "{\"a\":[".repeat(100_000), "]}".repeat(100_000));
    [deep, deeper]
}

/// Valid JSON that would not survive being parsed and written again.
pub(crate) fn hard_json() -> Vec<String> {
    let short = [
        "1e400",
        "-0",
        "0.10",
        "123456789012345678901234567890",
        "{ \"a\" : 1 ,\r\n\t\"a\":2}",
        r#""\u0041\/\ud800\b""#,
        "\"\u{2028}\u{7f}\"",
        "[ ]",
    ];
    short.map(str::to_owned).into_iter().chain(deep_json()).collect()
}
