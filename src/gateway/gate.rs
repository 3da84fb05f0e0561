//! Who may come in, and for how long: the tokens of the clients of a core.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{Action, Denied};
use crate::authority::{
    Admission, Authority, Credential, Question, TokenError, Verify, Verifying, refuse,
};
use crate::base::blocks::Blocks;
use crate::base::ledger::Charge;
use crate::base::wheel::Wheel;
use crate::base::{ConnectionId, Ledger, Millis};
use crate::protocol::websocket::handshake::{Refusal, Request};
use crate::pubsub::Filter;

/// A client is warned so long before its token ends.
const WARNING: Duration = Duration::from_secs(30);
/// The end of a token is looked at again after this time: the clock of the system may have changed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The work to compare an action with a filter, without its bytes.
const COMPARED: u64 = 40;

const NO_TOKEN: &str = "This connection has no token.";
const NEEDS_NONE: &str = "This connection needs no token.";
const MAY_NOT_SUBSCRIBE: &str = "the token does not allow to subscribe to this";
const MAY_NOT_PUBLISH: &str = "the token does not allow to publish to this";

/// What clients were not allowed by their tokens after their handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedCounts {
    /// Requests to subscribe.
    pub subscriptions: u64,
    /// Messages.
    pub publications: u64,
    /// New tokens that were refused.
    pub tokens: u64,
}

/// What verifies tokens, and what the clients of a core may do by theirs.
pub(super) struct Gate {
    verify: Arc<dyn Verify>,
    /// The time after the beginning of 1970.
    clock: fn() -> Duration,
    max_topic: usize,
    held: Blocks<Option<Box<Held>>>,
    /// When each has to be looked at.
    wheel: Wheel,
    /// Timers set in this turn. The wheel takes them when the time is known.
    fresh: Vec<(ConnectionId, Duration)>,
    /// The slots whose timers are due.
    due: VecDeque<u32>,
    work: u64,
    denied: DeniedCounts,
}

/// What is kept of a client.
#[derive(Debug)]
struct Held {
    id: ConnectionId,
    /// `None` if it may do all.
    authority: Option<Authority>,
    /// Whether it may publish to its one topic, if that is settled.
    may_publish: Option<bool>,
    is_warned: bool,
    charge: Charge,
}

impl Held {
    /// When its token ends.
    fn ends(&self) -> Option<Duration> {
        self.authority.as_ref().and_then(Authority::ends)
    }
}

/// What is known of a client at its handshake.
pub(super) enum Admitted {
    /// What it may do.
    Now(Authority),
    /// Somebody else has to say.
    Later(Box<dyn Question>),
}

/// What is to be done about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It ends in so many seconds: the client is warned.
    Warn(u64),
    /// It has ended.
    End,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("due", &self.due).finish_non_exhaustive()
    }
}

impl Gate {
    pub(super) fn new(verify: Arc<dyn Verify>, clock: fn() -> Duration, max_topic: usize) -> Self {
        let (held, wheel, due) = (Blocks::default(), Wheel::new(), VecDeque::new());
        let (fresh, denied) = (Vec::new(), DeniedCounts::default());
        Self { verify, clock, max_topic, held, wheel, fresh, due, work: 0, denied }
    }

    /// Whether newcomers may take the loop long.
    pub(super) fn is_costly(&self) -> bool {
        self.verify.is_costly()
    }

    /// What was denied so far.
    pub(super) const fn denied(&self) -> DeniedCounts {
        self.denied
    }

    /// The work since the last call.
    pub(super) const fn take_work(&mut self) -> u64 {
        std::mem::replace(&mut self.work, 0)
    }

    /// What the client of a request may do, or the question about that.
    pub(super) fn admit(&mut self, request: &Request<'_>) -> Result<Admitted, Refusal> {
        let mut cx = Verifying::new((self.clock)(), self.max_topic);
        let admission = self.verify.admit(request, &mut cx);
        self.work += cx.work();
        match admission {
            Admission::Now(result) => self.check_end(result?).map(Admitted::Now),
            Admission::Later(question) => Ok(Admitted::Later(question)),
        }
    }

    /// What was allowed, unless its time is over: it may end while it is verified.
    pub(super) fn check_end(&self, authority: Authority) -> Result<Authority, Refusal> {
        match authority.ends() {
            Some(end) if end <= (self.clock)() => Err(refuse(&TokenError::Expired)),
            _ => Ok(authority),
        }
    }

    fn verify(&mut self, credential: &Credential<'_>) -> Result<Authority, TokenError> {
        let mut cx = Verifying::new((self.clock)(), self.max_topic);
        let result = self.verify.verify(credential, &mut cx);
        self.work += cx.work();
        match result {
            Ok(authority) if authority.ends().is_some_and(|end| end <= cx.now) => {
                Err(TokenError::Expired)
            }
            result => result,
        }
    }

    /// A client is let in, without an authority one that may do all. `may_publish` is said of one
    /// that has one topic.
    pub(super) fn hold(
        &mut self,
        id: ConnectionId,
        authority: Option<Authority>,
        may_publish: Option<bool>,
        ledger: &Ledger,
    ) {
        let mut charge = ledger.open();
        charge.set(size_of::<Held>() + authority.as_ref().map_or(0, Authority::memory));
        let held = Held { id, authority, may_publish, is_warned: false, charge };
        *self.held.reach(id.slot, || None) = Some(Box::new(held));
        self.set_timer(id);
    }

    /// A client has left.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            *self.held.reach(id.slot, || None) = None;
            self.wheel.clear(id.slot);
        }
    }

    fn get(&mut self, id: ConnectionId) -> Option<&mut Held> {
        self.held.get_mut(id.slot)?.as_deref_mut().filter(|held| held.id == id)
    }

    /// The user of a client, as its token has it.
    pub(super) fn user(&self, id: ConnectionId) -> Option<&str> {
        let held = self.held.get(id.slot).and_then(Option::as_deref);
        held.filter(|held| held.id == id)?.authority.as_ref().map(Authority::user)
    }

    /// Whether a client may do this.
    pub(super) fn authorise(&mut self, id: ConnectionId, action: Action<'_>) -> Result<(), Denied> {
        let held = self.held.get(id.slot).and_then(Option::as_deref);
        let held = held.filter(|held| held.id == id).ok_or_else(Denied::default)?;
        let Some(authority) = &held.authority else { return Ok(()) };
        let (is_allowed, reason, compared) = match action {
            Action::Subscribe(filter) => {
                (authority.may_subscribe(filter), MAY_NOT_SUBSCRIBE, authority.subscribe())
            }
            Action::Publish(topic) => match held.may_publish {
                Some(is_allowed) => (is_allowed, MAY_NOT_PUBLISH, &[][..]),
                None => (authority.may_publish(topic), MAY_NOT_PUBLISH, authority.publish()),
            },
        };
        self.work += compared_with(compared);
        if is_allowed {
            return Ok(());
        }
        match action {
            Action::Subscribe(_) => self.denied.subscriptions += 1,
            Action::Publish(_) => self.denied.publications += 1,
        }
        Err(Denied::because(reason))
    }

    /// A client shows another token. Returns what it may do from now on, and the seconds until that
    /// ends.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn renew(
        &mut self,
        id: ConnectionId,
        token: &str,
    ) -> Result<(&Authority, Option<u64>), String> {
        if let Err(why) = self.replace(id, token) {
            self.denied.tokens += 1;
            return Err(why);
        }
        self.set_timer(id);
        let now = (self.clock)();
        let authority = self.get(id).and_then(|held| held.authority.as_ref()).ok_or(NO_TOKEN)?;
        let expires = authority.ends().map(|end| seconds(end.saturating_sub(now)));
        Ok((authority, expires))
    }

    /// Keeps what the new token of a client allows.
    fn replace(&mut self, id: ConnectionId, token: &str) -> Result<(), String> {
        // One that needs none is not verified: that takes time.
        let held = self.get(id).ok_or(NO_TOKEN)?;
        held.authority.as_ref().ok_or(NEEDS_NONE)?;
        let new = self.verify(&Credential::Token(token.into())).map_err(|it| it.to_string())?;
        let held = self.get(id).ok_or(NO_TOKEN)?;
        if held.authority.as_ref().is_none_or(|authority| authority.user() != new.user()) {
            return Err("The token is for another user; open another connection with it.".into());
        }
        held.charge.set(size_of::<Held>() + new.memory());
        held.authority = Some(new);
        held.is_warned = false;
        Ok(())
    }

    /// Sets the timer of a client to the next step, if there will be one.
    fn set_timer(&mut self, id: ConnectionId) {
        let now = (self.clock)();
        let Some(held) = self.get(id) else { return };
        match held.ends() {
            Some(end) => {
                let next = if held.is_warned { end } else { end.saturating_sub(WARNING) };
                let wait = next.saturating_sub(now).min(LONGEST_WAIT);
                self.fresh.push((id, wait));
            }
            None => self.wheel.clear(id.slot),
        }
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_waiting(&self) -> bool {
        self.wheel.next_ms().is_some() || !self.fresh.is_empty() || !self.due.is_empty()
    }

    /// When [`next_step`](Self::next_step) has something to do.
    pub(super) fn wakeup(&self) -> Millis {
        match self.due.is_empty() && self.fresh.is_empty() {
            true => self.wheel.next_ms().map_or(Millis::NEVER, Millis),
            false => Millis::default(),
        }
    }

    /// Looks at all timers.
    pub(super) fn expire(&mut self, now: Millis) {
        for (id, wait) in std::mem::take(&mut self.fresh) {
            // It may have left meanwhile.
            if self.get(id).is_some() {
                self.wheel.set(id.slot, now.after(wait).0);
            }
        }
        let mut due = Vec::new();
        self.wheel.expire(now.0, &mut due);
        self.due.extend(due);
    }

    /// The next client that something is to be done about.
    pub(super) fn next_step(&mut self) -> Option<(ConnectionId, Step)> {
        let now = (self.clock)();
        while let Some(slot) = self.due.pop_front() {
            let Some(held) = self.held.get_mut(slot).and_then(Option::as_deref_mut) else {
                continue;
            };
            let id = held.id;
            let Some(end) = held.ends() else { continue };
            if now >= end {
                return Some((id, Step::End));
            }
            let is_time = !held.is_warned && end - now <= WARNING;
            held.is_warned |= is_time;
            self.set_timer(id);
            if is_time {
                return Some((id, Step::Warn(seconds(end - now))));
            }
        }
        None
    }
}

/// The work to compare an action with these filters.
pub(super) fn compared_with(filters: &[Filter]) -> u64 {
    filters.iter().map(|filter| COMPARED + filter.as_str().len() as u64).sum()
}

/// Whole seconds, and one more for a part of one.
const fn seconds(left: Duration) -> u64 {
    left.as_secs() + if left.subsec_nanos() > 0 { 1 } else { 0 }
}
