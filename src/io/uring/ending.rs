//! Accepts of listeners, and how they end: what waits is accepted before a socket is closed.

use super::UringRing;
use super::accept::Ending;
use super::tag::{Kind, Tag};
use crate::io::{Errno, Event};

/// The most connections that are accepted from a listener once it is to be closed. Under a flood
/// there is always one more.
const LAST: u32 = 1024;

impl UringRing {
    /// Ends accepting on the listeners but those for which `kept` says true. Each is closed once
    /// the kernel has cancelled its accepts, since one that is still queued would find the
    /// descriptor closed, or another file by it; and once nobody waits.
    ///
    /// A connection may have come for which the kernel has woken an accept, which was cancelled
    /// before it has taken the connection. Where others accept from the same socket, as a successor
    /// does, none of them is woken for it, so it would wait until another one comes; where nobody
    /// does, it would be reset.
    pub(super) fn close_listeners(&mut self, kept: &[bool]) {
        for index in 0..self.listeners.len() {
            let listener = &mut self.listeners[index];
            if kept.get(index) != Some(&true)
                && listener.socket.is_some()
                && listener.ending.is_none()
            {
                let kind = listener.armed;
                listener.ending = Some(Ending { kind, is_cancelled: false, left: LAST });
                self.cancel_last_accepts(index);
            }
        }
    }

    fn cancel_last_accepts(&mut self, listener: usize) {
        let index = u16::try_from(listener).unwrap_or(u16::MAX);
        if let Some(cancel) = self.cancel_places(listener) {
            self.push(cancel.user_data(Tag::plain(Kind::CloseListener, index).0));
        }
    }

    /// The accept of a place has brought a connection, or has ended. On a listener that is to be
    /// closed the end is told later.
    pub(super) fn accepted(
        &mut self,
        index: usize,
        place: u32,
        result: Result<u32, Errno>,
        is_held: bool,
    ) -> Option<Event> {
        self.in_use += u32::from(result.is_ok());
        let listener = self.listeners.get_mut(index)?;
        let peer = if result.is_ok() { listener.peer(place) } else { None };
        if !is_held {
            listener.held &= !(1 << place);
        }
        let Some(ending) = &mut listener.ending else {
            let armed = self.goes_on(index, result, is_held);
            let is_next_to_end = armed && result == Err(Errno::CANCELED);
            if !armed {
                self.listeners[index].armed = None;
            }
            let event = Event::Accepted { listener: index, result, armed, peer };
            return Some(event).filter(|_| !is_next_to_end);
        };
        ending.count(result);
        let is_over = listener.held == 0 && ending.is_cancelled;
        let last = if is_over { self.accept_last(index) } else { None };
        if result.is_ok() {
            self.own_events.extend(last);
            return Some(Event::Accepted { listener: index, result, armed: true, peer });
        }
        last
    }

    /// The cancel of the accepts has come back; they may have ended before, or end soon.
    pub(super) fn accept_is_cancelled(&mut self, index: usize) -> Option<Event> {
        let listener = self.listeners.get_mut(index)?;
        listener.ending.as_mut()?.is_cancelled = true;
        if listener.held != 0 { None } else { self.accept_last(index) }
    }

    /// The kernel has no accept of a listener that is to be closed. Takes another connection if one
    /// waits and has a slot; otherwise closes the socket, and tells the end. An accept that comes
    /// too late, because another loop has taken the connection, is cancelled.
    fn accept_last(&mut self, index: usize) -> Option<Event> {
        // Accepts of other listeners may bring as many.
        let has_slot = self.in_use.saturating_add(self.accepts) < self.slots;
        let listener = self.listeners.get_mut(index)?;
        let ending = listener.ending.as_mut()?;
        let (kind, left) = (ending.kind, ending.left);
        if has_slot
            && left > 0
            && let Some(kind) = kind
            && listener.has_waiting()
        {
            if let Some(ending) = &mut listener.ending {
                ending.is_cancelled = false;
            }
            self.arm(index, kind.once());
            self.cancel_last_accepts(index);
            return None;
        }
        listener.socket = None;
        let end = Err(Errno::CANCELED);
        kind.map(|_| Event::Accepted { listener: index, result: end, armed: false, peer: None })
    }
}
