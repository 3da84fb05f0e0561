//! Receives: one for each connection in turn, while there are any and the turn may have more.

use rustix::net::{RecvFlags, recv};

use super::EpollDriver;
use super::table::Flags;
use crate::base::ConnectionId;
use crate::io::{Buffer, Data, Errno, Event, Received};

/// What a receive needs to have been made for.
const WANTED: Flags = Flags::RECEIVING.union(Flags::READABLE);

impl EpollDriver {
    /// Receives from the connection whose turn it is. One that has more goes to the end of the
    /// list, so that it does not keep others waiting. What is no data of a receive that stays armed
    /// becomes the next event. Inlined, so that what came is never in memory.
    #[inline(always)]
    pub(super) fn take_data(&mut self) -> Option<Data> {
        while self.receives_left > 0 {
            let index = self.readable.pop_front()?;
            let Some(slot) = self.table.get_mut(index) else { continue };
            slot.flags.remove(Flags::IN_READABLE);
            if !slot.flags.contains(WANTED) {
                continue;
            }
            let Some(socket) = &slot.socket else { continue };
            let Some(buffer) = self.pool.lend() else {
                self.no_buffers(index);
                return None;
            };
            self.receives_left -= 1;
            let room = self.pool.bytes(&buffer);
            let size = room.len();
            let received = recv(socket, room, RecvFlags::DONTWAIT).map(|(_, len)| len);
            let Ok(len @ 1..) = received else {
                self.pool.release(buffer);
                if self.no_data(index, received) {
                    return None;
                }
                continue;
            };
            let id = ConnectionId { slot: index, generation: slot.generation }.masked();
            if len < size && !slot.flags.intersects(Flags::ONCE | Flags::TO_THE_END) {
                // What comes from here on is another edge.
                slot.flags.remove(Flags::READABLE);
            } else if slot.flags.contains(Flags::ONCE) {
                self.received_once(index, buffer, len);
                return None;
            } else {
                slot.flags.insert(Flags::IN_READABLE);
                self.readable.push_back(index);
            }
            return Some(Data { id, buffer, len });
        }
        None
    }

    /// A receive that was to bring one buffer has done so.
    #[cold]
    #[inline(never)]
    fn received_once(&mut self, index: u32, buffer: Buffer, len: usize) {
        let is_full = len == self.pool.bytes(&buffer).len();
        if let Some(slot) = self.table.get_mut(index)
            && !is_full
            && !slot.flags.contains(Flags::TO_THE_END)
        {
            slot.flags.remove(Flags::READABLE);
        }
        self.receive_ended(index, Received::Data { buffer, len });
    }

    /// A receive has brought no data. Returns whether there is an event of that.
    #[cold]
    #[inline(never)]
    fn no_data(&mut self, index: u32, received: Result<usize, Errno>) -> bool {
        let Some(slot) = self.table.get_mut(index) else { return false };
        let outcome = match received {
            Ok(_) => Received::Eof,
            Err(Errno::AGAIN) => {
                slot.flags.remove(Flags::READABLE | Flags::TO_THE_END);
                return false;
            }
            Err(Errno::INTR) => {
                slot.flags.insert(Flags::IN_READABLE);
                self.readable.push_back(index);
                return false;
            }
            Err(errno) => Received::Failed(errno),
        };
        self.receive_ended(index, outcome);
        true
    }

    /// Every buffer is lent. The worker arms the receive again.
    #[cold]
    #[inline(never)]
    fn no_buffers(&mut self, index: u32) {
        self.receive_ended(index, Received::NoBuffers);
    }

    /// Ends a receive with what becomes the next event, before those of the worker's calls.
    fn receive_ended(&mut self, slot: u32, outcome: Received) {
        self.end_receive(slot);
        let generation = self.table.get_mut(slot).map_or(0, |slot| slot.generation);
        let id = ConnectionId { slot, generation }.masked();
        self.events.push_front(Event::Received { id, outcome, armed: false });
        self.due += 1;
        self.has_rare = true;
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
