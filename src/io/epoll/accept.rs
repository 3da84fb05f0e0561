//! Accepting connections.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventData};

use super::listener::{Accepted, Listener};
use super::wait::CONNECTION_EDGES;
use super::{CONNECTION, EpollDriver};
use crate::io::{Errno, Event, is_passing};

/// The most connections that are accepted from a listener once it is to be closed. Under a flood
/// there is always one more.
const LAST: u32 = 1024;

impl EpollDriver {
    /// Whether an accept is armed where connections may wait.
    pub(super) fn may_accept(&self) -> bool {
        self.listeners.iter().any(|listener| listener.wanted().is_some())
    }

    /// Ends the accept of a listener, with its last event.
    pub(super) fn end_accept(&mut self, index: usize) {
        if self.listeners.get_mut(index).and_then(|listener| listener.armed.take()).is_some() {
            self.events.push_back(ended(index, Errno::CANCELED));
        }
    }

    /// Accepts what waits on a listener that is to be closed: it would be reset.
    pub(super) fn accept_last(&mut self, index: usize) {
        if let Some(kind) = self.listeners.get(index).and_then(|listener| listener.armed) {
            self.accept_all(index, |listener| listener.accept(kind));
        }
    }

    /// Accepts in this way until it fails for more than one connection.
    fn accept_all(&mut self, index: usize, mut accept: impl FnMut(&Listener) -> Accepted) {
        for _ in 0..LAST {
            if !self.table.has_free() {
                return;
            }
            let accepted = accept(&self.listeners[index]);
            match accepted.and_then(|(socket, peer)| self.add(socket, peer)) {
                Ok((slot, peer)) => self.events.push_back(Event::Accepted {
                    listener: index,
                    result: Ok(slot),
                    armed: true,
                    peer,
                }),
                Err(error) if is_passing(error) => {}
                Err(_) => return,
            }
        }
    }

    /// Accepts a connection. Each listener has its turn.
    pub(super) fn next_accepted(&mut self) -> Option<Event> {
        let count = self.listeners.len();
        let mut in_vain = 0;
        while self.accepts_left > 0 && in_vain < count {
            let index = self.next_listener % count;
            self.next_listener = index + 1;
            match self.accept_one(index) {
                Some(event) => {
                    self.accepts_left -= 1;
                    return Some(event);
                }
                None => in_vain += 1,
            }
        }
        None
    }

    fn accept_one(&mut self, index: usize) -> Option<Event> {
        let has_free = self.table.has_free();
        let listener = self.listeners.get_mut(index)?;
        let kind = listener.wanted()?;
        let accepted = if has_free { listener.accept(kind) } else { Err(Errno::NFILE) };
        if accepted.as_ref().is_err_and(|errno| *errno == Errno::AGAIN) {
            listener.is_ready = false;
            return None;
        }
        let armed = !kind.is_once() && accepted.is_ok();
        let result = accepted.and_then(|(socket, peer)| self.add(socket, peer));
        let armed = armed && result.is_ok();
        if !armed {
            self.listeners[index].armed = None;
        }
        match result {
            Ok((slot, peer)) => {
                Some(Event::Accepted { listener: index, result: Ok(slot), armed, peer })
            }
            Err(errno) => Some(ended(index, errno)),
        }
    }

    /// Gives a connection a slot, and registers it for good.
    fn add(
        &mut self,
        socket: OwnedFd,
        peer: Option<SocketAddr>,
    ) -> Result<(u32, Option<SocketAddr>), Errno> {
        let index = self.table.take_free().ok_or(Errno::NFILE)?;
        let data = EventData::new_u64(CONNECTION | u64::from(index));
        if let Err(errno) = epoll::add(&self.epoll, &socket, data, CONNECTION_EDGES) {
            self.table.give_back(index);
            return Err(errno);
        }
        if let Some(slot) = self.table.get_mut(index) {
            slot.socket = Some(socket);
        }
        Ok((index, peer))
    }
}

/// An accept that has ended without a connection.
fn ended(listener: usize, errno: Errno) -> Event {
    Event::Accepted { listener, result: Err(errno), armed: false, peer: None }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::config::Buffers;
    use crate::io::LoopWaker;

    /// One that has left is no reason to leave others in the queue.
    #[test]
    fn errors_of_one_connection_do_not_end_accepting() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let waker = LoopWaker::new().unwrap();
        let listeners = vec![listener.into()];
        let mut driver = EpollDriver::new(8, Buffers::default(), listeners, waker).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let mut results = [
            Err(Errno::CONNABORTED),
            Ok((one.into(), None)),
            Err(Errno::PROTO),
            Err(Errno::INTR),
            Ok((other.into(), None)),
            Err(Errno::AGAIN),
        ]
        .into_iter();
        driver.accept_all(0, |_| results.next().expect("none behind the last one"));
        assert_eq!((driver.events.len(), results.len()), (2, 0));
    }
}
