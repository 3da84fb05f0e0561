//! Accepts that are armed, armed again, and cancelled.

use std::os::fd::AsRawFd;
use std::ptr;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, DestinationSlot, Fd};

use super::UringRing;
use super::tag::{Kind, Tag};
use crate::base::ConnectionId;
use crate::io::{Accepts, Errno, Event, is_passing};

impl UringRing {
    /// Arms the accept of a listener.
    pub(super) fn arm(&mut self, listener: usize, kind: Accepts) {
        if let Some(one) = self.listeners.get_mut(listener) {
            (one.armed, one.is_ending) = (Some(kind), false);
            self.fill_places(listener);
        }
    }

    /// Arms the places whose accepts have brought a connection. That is done once for each call of
    /// `enter`, so that a flood of connections ends a turn as others do.
    #[cold]
    pub(super) fn rearm_accepts(&mut self) {
        let mut listeners = std::mem::take(&mut self.to_rearm);
        for listener in listeners.drain(..) {
            self.fill_places(usize::from(listener));
        }
        self.to_rearm = listeners;
    }

    fn fill_places(&mut self, index: usize) {
        let (Some(listener), Ok(number)) = (self.listeners.get_mut(index), u16::try_from(index))
        else {
            return;
        };
        let (Some(socket), Some(kind)) = (&listener.socket, listener.armed) else { return };
        let fd = Fd(socket.as_raw_fd());
        loop {
            let place = self.listeners[index].lacking().trailing_zeros();
            if place == u64::BITS {
                return;
            }
            let listener = &mut self.listeners[index];
            listener.held |= 1 << place;
            let entry = match kind {
                Accepts::Multishot => {
                    opcode::AcceptMulti::new(fd).allocate_file_index(true).build()
                }
                Accepts::Once | Accepts::MultishotWithPeers | Accepts::OnceWithPeer => {
                    let (address, len) = match kind.tells_peers() {
                        // The listener keeps the place until the ring is closed.
                        true => listener.room(place),
                        false => (ptr::null_mut(), ptr::null_mut()),
                    };
                    opcode::Accept::new(fd, address.cast(), len.cast())
                        .file_index(Some(DestinationSlot::auto_target()))
                        .build()
                }
            };
            let id = ConnectionId { slot: place, generation: 0 };
            self.accepts += 1;
            self.push(entry.user_data(Tag::new(Kind::Accept, id, number).0));
        }
    }

    /// Cancels the accept of a listener.
    pub(super) fn end_accepts(&mut self, index: usize) {
        let Some(listener) = self.listeners.get_mut(index) else { return };
        if listener.ending.is_some() {
            return;
        }
        listener.is_ending = true;
        if listener.held == 0 {
            // The kernel has none: each place was to be armed again.
            if listener.armed.take().is_some() {
                let result = Err(Errno::CANCELED);
                let last = Event::Accepted { listener: index, result, armed: false, peer: None };
                self.own_events.push_back(last);
            }
        } else if let Some(cancel) = self.cancel_places(index) {
            self.push(cancel.user_data(Tag::plain(Kind::Ignore, 0).0));
        }
    }

    /// What cancels all accepts of a listener that the kernel has. The kernel finds them by the
    /// file: nothing else is done with a listening socket.
    pub(super) fn cancel_places(&self, index: usize) -> Option<Entry> {
        let socket = self.listeners.get(index)?.socket.as_ref()?;
        let all = CancelBuilder::fd(Fd(socket.as_raw_fd())).all();
        Some(opcode::AsyncCancel2::new(all).build())
    }

    /// Whether the accept of a listener goes on after this result, which the kernel has told of a
    /// place that it holds no more or, with `is_held`, goes on with. After an error it ends, as a
    /// multishot accept of the kernel does.
    pub(super) fn goes_on(
        &mut self,
        index: usize,
        result: Result<u32, Errno>,
        is_held: bool,
    ) -> bool {
        let Some(listener) = self.listeners.get_mut(index) else { return false };
        if listener.armed == Some(Accepts::MultishotWithPeers) && !listener.is_ending {
            if result.is_ok() || result.is_err_and(is_passing) {
                self.to_rearm.extend(u16::try_from(index));
                self.is_due = true;
                return true;
            }
            listener.is_ending = true;
            if listener.held != 0
                && let Some(cancel) = self.cancel_places(index)
            {
                self.push(cancel.user_data(Tag::plain(Kind::Ignore, 0).0));
            }
        }
        is_held || self.listeners[index].held != 0
    }
}
