//! Accepts of listeners, and how they end: what waits is accepted before a socket is closed.

use std::os::fd::{AsRawFd, RawFd};

use io_uring::opcode;

use super::UringRing;
use super::accept::Ending;
use super::tag::{Kind, Tag};
use crate::io::{Accepts, Errno, Event};

/// The most connections that are accepted from a listener once it is to be closed. Under a flood
/// there is always one more.
const LAST: u32 = 1024;

impl UringRing {
    /// Notes that an accept of a listener is submitted, and returns its descriptor.
    pub(super) fn arm(&mut self, listener: usize, kind: Accepts) -> Option<RawFd> {
        let listener = self.listeners.get_mut(listener)?;
        let fd = listener.socket.as_ref()?.as_raw_fd();
        listener.armed = Some(kind);
        Some(fd)
    }

    /// Ends accepting on the listeners but those for which `kept` says true. Each is closed once
    /// the kernel has cancelled its accept, since one that is still queued would find the
    /// descriptor closed, or another file by it; and once nobody waits.
    ///
    /// A connection may have come for which the kernel has woken this accept, which was cancelled
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
                self.cancel_last_accept(index);
            }
        }
    }

    fn cancel_last_accept(&mut self, listener: usize) {
        let index = u16::try_from(listener).unwrap_or(u16::MAX);
        let entry = opcode::AsyncCancel::new(Tag::plain(Kind::Accept, index).0).build();
        self.push(entry.user_data(Tag::plain(Kind::CloseListener, index).0));
    }

    /// An accept has brought a connection, or has ended. On a listener that is to be closed the end
    /// is told later.
    pub(super) fn accepted(
        &mut self,
        index: usize,
        result: Result<u32, Errno>,
        armed: bool,
    ) -> Option<Event> {
        self.in_use += u32::from(result.is_ok());
        let listener = self.listeners.get_mut(index)?;
        if !armed {
            listener.armed = None;
        }
        let name = self.peer_names.get(index).filter(|_| result.is_ok());
        let peer = name.and_then(|name| name.address());
        let Some(ending) = &mut listener.ending else {
            return Some(Event::Accepted { listener: index, result, armed, peer });
        };
        ending.count(result);
        let is_over = !armed && ending.is_cancelled;
        let last = if is_over { self.accept_last(index) } else { None };
        if result.is_ok() {
            self.own_events.extend(last);
            return Some(Event::Accepted { listener: index, result, armed: true, peer });
        }
        last
    }

    /// The cancel of an accept has come back; the accept may have ended before, or ends soon.
    pub(super) fn accept_is_cancelled(&mut self, index: usize) -> Option<Event> {
        let listener = self.listeners.get_mut(index)?;
        listener.ending.as_mut()?.is_cancelled = true;
        if listener.armed.is_some() { None } else { self.accept_last(index) }
    }

    /// The kernel has no accept of a listener that is to be closed. Takes another connection if one
    /// waits and has a slot; otherwise closes the socket, and tells the end. An accept that comes
    /// too late, because another loop has taken the connection, is cancelled.
    fn accept_last(&mut self, index: usize) -> Option<Event> {
        let others = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
        let has_slot = self.in_use.saturating_add(others) <= self.slots;
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
            let once = if kind == Accepts::OnceWithPeer { kind } else { Accepts::Once };
            self.push_accept(index, once);
            self.cancel_last_accept(index);
            return None;
        }
        listener.socket = None;
        let end = Err(Errno::CANCELED);
        kind.map(|_| Event::Accepted { listener: index, result: end, armed: false, peer: None })
    }
}
