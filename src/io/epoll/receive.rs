//! Receives: one for each connection in turn, while there are any and the turn may have more.

use rustix::net::{RecvFlags, recv};

use super::EpollDriver;
use super::table::Flags;
use crate::base::ConnectionId;
use crate::io::{Buffer, Errno, Event, Received};

/// What a receive needs to have been made for.
const WANTED: Flags = Flags::RECEIVING.union(Flags::READABLE);

impl EpollDriver {
    /// Receives from the connection whose turn it is. One that has more goes to the end of the
    /// list, so that it does not keep others waiting.
    #[inline(always)]
    pub(super) fn next_received(&mut self) -> Option<Event> {
        while self.receives_left > 0
            && let Some(index) = self.readable.pop_front()
        {
            let Some(slot) = self.table.get_mut(index) else { continue };
            slot.flags.remove(Flags::IN_READABLE);
            if !slot.flags.contains(WANTED) {
                continue;
            }
            let Some(socket) = &slot.socket else { continue };
            let Some(buffer) = self.pool.lend() else { return self.no_buffers(index) };
            self.receives_left -= 1;
            let room = self.pool.bytes(&buffer);
            let size = room.len();
            let received = recv(socket, room, RecvFlags::DONTWAIT).map(|(_, len)| len);
            if let Ok(len @ 1..) = received {
                let id = ConnectionId { slot: index, generation: slot.generation }.masked();
                if slot.flags.contains(Flags::ONCE) {
                    return Some(self.received_once(index, buffer, len));
                }
                if len == size || slot.flags.contains(Flags::TO_THE_END) {
                    slot.flags.insert(Flags::IN_READABLE);
                    self.readable.push_back(index);
                } else {
                    // What comes from here on is another edge.
                    slot.flags.remove(Flags::READABLE);
                }
                let outcome = Received::Data { buffer, len };
                return Some(Event::Received { id, outcome, armed: true });
            }
            self.pool.release(buffer);
            if let Some(event) = self.no_data(index, received) {
                return Some(event);
            }
        }
        None
    }

    /// A receive that was to bring one buffer has done so.
    #[cold]
    #[inline(never)]
    fn received_once(&mut self, index: u32, buffer: Buffer, len: usize) -> Event {
        let is_full = len == self.pool.bytes(&buffer).len();
        self.end_receive(index);
        let mut id = ConnectionId { slot: index, generation: 0 };
        if let Some(slot) = self.table.get_mut(index) {
            id.generation = slot.generation;
            if !is_full && !slot.flags.contains(Flags::TO_THE_END) {
                slot.flags.remove(Flags::READABLE);
            }
        }
        let outcome = Received::Data { buffer, len };
        Event::Received { id: id.masked(), outcome, armed: false }
    }

    /// A receive has brought no data.
    #[cold]
    #[inline(never)]
    fn no_data(&mut self, index: u32, received: Result<usize, Errno>) -> Option<Event> {
        let outcome = match received {
            Ok(_) => Received::Eof,
            Err(Errno::AGAIN) => {
                let slot = self.table.get_mut(index)?;
                slot.flags.remove(Flags::READABLE | Flags::TO_THE_END);
                return None;
            }
            Err(Errno::INTR) => {
                let slot = self.table.get_mut(index)?;
                slot.flags.insert(Flags::IN_READABLE);
                self.readable.push_back(index);
                return None;
            }
            Err(errno) => Received::Failed(errno),
        };
        self.receive_ended(index, outcome)
    }

    /// Every buffer is lent. The worker arms the receive again.
    #[cold]
    #[inline(never)]
    fn no_buffers(&mut self, index: u32) -> Option<Event> {
        self.receive_ended(index, Received::NoBuffers)
    }

    fn receive_ended(&mut self, index: u32, outcome: Received) -> Option<Event> {
        self.end_receive(index);
        let generation = self.table.get_mut(index)?.generation;
        let id = ConnectionId { slot: index, generation }.masked();
        Some(Event::Received { id, outcome, armed: false })
    }

    /// Ends the receive of a connection. Returns whether it had one.
    pub(super) fn end_receive(&mut self, index: u32) -> bool {
        let Some(slot) = self.table.get_mut(index) else { return false };
        let was_armed = slot.flags.contains(Flags::RECEIVING);
        slot.flags.remove(Flags::RECEIVING | Flags::ONCE);
        self.receives -= u32::from(was_armed);
        was_armed
    }
}
