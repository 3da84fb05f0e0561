//! `GET /connections` and `POST /connections/<id>/close`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::field::display;

use super::answers;
use super::lists::{Held, Lists};
use super::waiting::{Client, Pending};
use crate::app::Responder;
use crate::base::ConnectionId;
use crate::protocol::http::{Response, Status};
use crate::protocol::websocket::CloseCode;
use crate::server::control::CoreControl;
use crate::server::view::{CoreView, Row, Visit};
use crate::session::Phase;
use crate::worker::Totals;

/// The most connections of a page.
pub(super) const MAX_LIMIT: usize = 1_000;
/// In one turn so many connections of a core are listed at most, and so many slots looked at.
const BATCH: usize = 32;
const LOOKS: u32 = 4_096;
/// A page that has looked at so many slots ends, full or not: most of them may be free.
const MAX_LOOKED: u32 = 32 * LOOKS;

/// A connection of the server: that of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) number: usize,
    pub(super) id: ConnectionId,
}

/// As `loop-slot-generation`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id.of_loop(self.number))
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-').map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_: &u32| is_number)
        });
        let (Some(Some(number)), Some(Some(slot)), Some(Some(generation)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        Ok(Self { number: number as usize, id: ConnectionId { slot, generation } })
    }
}

/// Where a page begins: a slot of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    number: usize,
    slot: u32,
}

/// As `loop-slot`.
impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.slot)
    }
}

impl FromStr for Start {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let Id { number, id } = format!("{text}-0").parse()?;
        Ok(Self { number, slot: id.slot })
    }
}

/// Somebody who waits for a page, and the loop that is at it.
#[derive(Debug)]
struct Waiting {
    client: Client,
    at: AtomicUsize,
    loops: Vec<Arc<CoreControl>>,
    permit: Held,
}

impl Waiting {
    fn new(at: usize, loops: &[Arc<CoreControl>], responder: Responder) -> Arc<Self> {
        let (client, at, loops) = (Client::new(responder), AtomicUsize::new(at), loops.to_vec());
        Arc::new(Self { client, at, loops, permit: Held::default() })
    }
}

impl Pending for Waiting {
    fn give_up(&self) {
        if self.permit.has_waited() {
            return self.client.answer(answers::not_begun);
        }
        let at = self.at.load(Ordering::Relaxed);
        self.client.answer(|| answers::no_answer(&self.loops, [at]));
        self.permit.give_back();
    }

    fn is_over(&self) -> bool {
        self.client.is_gone()
    }
}

/// Goes from loop to loop until the page is complete.
struct Page {
    waiting: Arc<Waiting>,
    walk: Walk,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.waiting.permit.give_back();
    }
}

/// A page, as far as it is made.
#[derive(Default)]
struct Walk {
    limit: usize,
    /// Where it goes on.
    at: Start,
    /// The slots that were looked at, without those at the ends of loops.
    looked: u32,
    found: Vec<Value>,
    /// Connections of the loop that it is at, whose totals are not known yet, and whether these
    /// were asked for.
    rows: Vec<Row>,
    has_asked: bool,
    /// Where to go on at this loop once they are known.
    next: Option<u32>,
}

/// Answers with a page.
pub(super) fn list(
    lists: &Arc<Lists>,
    loops: &[Arc<CoreControl>],
    start: Start,
    limit: usize,
    responder: Responder,
) -> Arc<dyn Pending> {
    let waiting = Waiting::new(start.number, loops, responder);
    let walk = Walk { limit, at: start, ..Walk::default() };
    let page = Arc::clone(&waiting);
    lists.begin(move |permit| {
        page.permit.begin(Some(permit));
        Page { waiting: page, walk }.go_on();
    });
    waiting
}

impl Page {
    /// Visits the loop that is next, or answers.
    fn go_on(self) {
        let wanted = self.walk.wanted(self.waiting.loops.len());
        match wanted.and_then(|number| self.waiting.loops.get(number)).cloned() {
            Some(control) => {
                self.waiting.at.store(control.number, Ordering::Relaxed);
                control.visit(Box::new(self));
            }
            None => self.answer(),
        }
    }

    fn answer(mut self) {
        let (waiting, walk) = (&self.waiting, std::mem::take(&mut self.walk));
        let next = walk.next_page(waiting.loops.len()).map(|start| start.to_string());
        let page = json!({ "connections": walk.found, "next": next });
        waiting.client.answer(|| answers::json(&page));
    }
}

impl Walk {
    fn is_complete(&self) -> bool {
        self.found.len() >= self.limit || self.looked >= MAX_LOOKED
    }

    /// The loop that it goes on at; `None` if it is complete.
    fn wanted(&self, loops: usize) -> Option<usize> {
        Some(self.at.number).filter(|number| *number < loops && !self.is_complete())
    }

    /// Where the next page begins, if there is one.
    fn next_page(&self, loops: usize) -> Option<Start> {
        Some(self.at).filter(|start| start.number < loops)
    }

    /// Does a part at the loop that it is at. Returns whether it goes on there.
    fn step(&mut self, core: &mut dyn CoreView) -> bool {
        if self.rows.is_empty() {
            let most = BATCH.min(self.limit - self.found.len());
            (self.rows, self.next) = core.connections(self.at.slot, most, LOOKS);
            self.looked += self.next.map_or(0, |next| next.saturating_sub(self.at.slot));
        }
        if !self.rows.is_empty() && !self.take_rows(core) {
            return true;
        }
        self.at = match self.next {
            Some(slot) => Start { slot, ..self.at },
            None => Start { number: self.at.number + 1, slot: 0 },
        };
        self.next.is_some() && !self.is_complete()
    }

    /// Adds what is found.
    fn take_rows(&mut self, core: &mut dyn CoreView) -> bool {
        if !self.has_asked {
            let ids: Vec<ConnectionId> = self.rows.iter().map(|row| row.inspected.id).collect();
            self.has_asked = core.query_totals(&ids);
            return false;
        }
        let Some(totals) = core.take_totals() else { return false };
        let (number, core) = (self.at.number, core.stats().core);
        for row in self.rows.drain(..) {
            let id = row.inspected.id;
            let totals = totals.get(&id.masked()).copied();
            self.found.push(describe(Id { number, id }, core, &row, totals));
        }
        self.has_asked = false;
        true
    }
}

impl Visit for Page {
    fn visit(mut self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        // Also if nobody waits any more, totals that were asked for have to be taken.
        if self.waiting.is_over() && self.walk.rows.is_empty() {
            return None;
        }
        if self.walk.step(core) {
            return Some(self);
        }
        self.go_on();
        None
    }
}

/// A connection as the list has it.
fn describe(id: Id, core: usize, row: &Row, totals: Option<Totals>) -> Value {
    let Row { inspected, described } = row;
    let is_websocket = inspected.phase >= Phase::Open && inspected.is_websocket;
    let endpoint = match (inspected.is_admin, is_websocket) {
        (true, _) => "admin",
        (false, true) => described.endpoint,
        (false, false) => "none",
    };
    json!({
        "id": id.to_string(),
        "core": core,
        "protocol": if is_websocket { "websocket" } else { "http" },
        "endpoint": endpoint,
        "route": described.route.as_deref().filter(|_| is_websocket),
        "state": state(inspected.phase),
        "peer": described.peer.map(|peer| peer.to_string()),
        "client": described.client.map(|client| client.to_string()),
        "user": described.user,
        "tls": inspected.is_tls,
        "age_seconds": inspected.age.as_secs_f64(),
        "received_bytes": totals.map(|totals| totals.received),
        "sent_bytes": totals.map(|totals| totals.sent),
        "received_bytes_per_second": totals.and_then(|it| rate(it.received, inspected.age)),
        "sent_bytes_per_second": totals.and_then(|it| rate(it.sent, inspected.age)),
        "queued_bytes": inspected.queued,
    })
}

/// The mean since the connection was accepted; `None` before any time has passed.
#[allow(clippy::cast_precision_loss, reason = "nobody needs all digits of a rate")]
fn rate(bytes: u64, age: Duration) -> Option<f64> {
    (!age.is_zero()).then(|| bytes as f64 / age.as_secs_f64())
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Request => "request",
        Phase::Deciding => "deciding",
        Phase::Open => "open",
        Phase::Closing | Phase::Lingering | Phase::Finished => "closing",
    }
}

/// Closes one connection.
struct Close {
    waiting: Arc<Waiting>,
    id: Id,
    code: CloseCode,
    reason: Box<str>,
    /// Who has said so, if that is known.
    by: Option<IpAddr>,
}

/// Answers once a connection is told to close, or is not there.
pub(super) fn close(
    loops: &[Arc<CoreControl>],
    id: Id,
    (code, reason, by): (CloseCode, &str, Option<IpAddr>),
    responder: Responder,
) -> Arc<dyn Pending> {
    let waiting = Waiting::new(id.number, loops, responder);
    waiting.permit.begin(None);
    let reason = reason[..reason.floor_char_boundary(123)].into();
    let close = Close { waiting: Arc::clone(&waiting), id, code, reason, by };
    match loops.get(id.number) {
        Some(control) => control.visit(Box::new(close)),
        None => waiting.client.answer(answers::no_connection),
    }
    waiting
}

impl Visit for Close {
    fn visit(self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        let Self { waiting, id, code, reason, by } = *self;
        let is_there = !waiting.is_over() && core.close(id.id, code, &reason);
        if is_there {
            let (code, client) = (code.value(), by.map(display));
            tracing::info!(%id, code, client, "a connection is closed by the admin listener");
        }
        waiting.client.answer(|| match is_there {
            true => Response::new(Status::NO_CONTENT),
            false => answers::no_connection(),
        });
        None
    }
}

#[cfg(test)]
mod tests;
