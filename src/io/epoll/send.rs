//! Sends, and the end of a connection.

use std::rc::Rc;

use rustix::net::{SendFlags, send};

use super::table::Flags;
use super::{EpollDriver, Queued};
use crate::base::{Chunk, ConnectionId, Shared};
use crate::io::{Errno, Event, Payload};

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

impl EpollDriver {
    /// Sends what the socket takes. The sockets do not block, and a signal ends no call of theirs
    /// before it has done something.
    #[inline]
    fn send(&self, id: ConnectionId, bytes: &[u8]) -> Result<usize, Errno> {
        let socket = self.table.socket(id).ok_or(Errno::BADF)?;
        send(socket, bytes, FLAGS)
    }

    /// Inlined, because the caller usually knows the kind of payload.
    #[inline(always)]
    pub(super) fn try_send_now(&mut self, id: ConnectionId, payload: Payload) {
        let bytes = match &payload {
            Payload::Received { buffer, start, len } => self.pool.part(buffer, *start, *len),
            Payload::Chunk(chunk) => chunk.rest(),
        };
        let (whole, result) = (bytes.len(), self.send(id, bytes));
        if result != Ok(whole) {
            return self.fell_short(id, payload, result);
        }
        match payload {
            Payload::Received { buffer, .. } => self.pool.release(buffer),
            Payload::Chunk(Chunk::Owned { bytes, .. }) => self.recycled.push(bytes),
            Payload::Chunk(Chunk::Shared { .. }) => {}
        }
    }

    #[inline]
    pub(super) fn try_send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        for id in ids {
            let result = self.send(*id, bytes);
            if result != Ok(bytes.len()) {
                let chunk = Chunk::Shared { bytes: Rc::clone(bytes), from: 0 };
                self.fell_short(*id, Payload::Chunk(chunk), result);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn fell_short(&mut self, id: ConnectionId, mut rest: Payload, result: Result<usize, Errno>) {
        let error = match result {
            Ok(sent) => {
                rest.skip(sent);
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(errno) => Some(errno),
        };
        self.events.push_back(Event::ShortSend { id: id.masked(), rest, error });
    }

    /// Tries a queued send. Without room it waits for some; else its event is returned.
    pub(super) fn try_queued(&mut self, queued: Queued) -> Option<Event> {
        let bytes = queued.chunk.rest();
        let result = self.send(queued.id, &bytes[..bytes.len().min(queued.max)]);
        let slot = queued.id.slot;
        if matches!(result, Err(Errno::AGAIN | Errno::INTR))
            && let Some(found) = self.table.get_mut(slot)
        {
            found.flags.insert(Flags::SENDING);
            if result == Err(Errno::INTR) && !found.flags.contains(Flags::IN_WRITABLE) {
                found.flags.insert(Flags::IN_WRITABLE);
                self.writable.push_back(slot);
            }
            let before = self.queued.insert(slot, queued);
            assert!(before.is_none(), "one queued send for a connection at a time");
            return None;
        }
        Some(Event::Sent { id: queued.id, chunk: queued.chunk, result })
    }

    pub(super) fn take_queued(&mut self, index: u32) -> Option<Queued> {
        self.table.get_mut(index)?.flags.remove(Flags::SENDING);
        self.queued.remove(&index)
    }

    /// Tries the queued sends again that were told of room.
    pub(super) fn next_resent(&mut self) -> Option<Event> {
        while self.resend_left > 0
            && let Some(index) = self.writable.pop_front()
        {
            self.table.get_mut(index)?.flags.remove(Flags::IN_WRITABLE);
            let Some(queued) = self.take_queued(index) else { continue };
            let event = self.try_queued(queued);
            if let Some(Event::Sent { result, .. }) = &event {
                self.resend_left = self.resend_left.saturating_sub(result.unwrap_or_default());
                return event;
            }
        }
        None
    }

    /// Closes a socket, which ends its registration as well. What of the slot is listed stays so:
    /// it is skipped, or is for the next connection there.
    pub(super) fn close_socket(&mut self, index: u32) {
        self.end_receive(index);
        self.take_queued(index);
        if let Some(slot) = self.table.get_mut(index) {
            slot.flags &= Flags::IN_READABLE | Flags::IN_WRITABLE;
            slot.socket = None;
        }
    }
}
