//! What was received from those who publish, while too much is to be passed on already: it stays
//! in its receive buffers, compressed as it came, until there is room.

use super::Worker;
use super::slots::Slot;
use crate::base::ConnectionId;
use crate::io::{Driver, Received};
use crate::session::{Acceptance, Handler, Phase};

impl<D: Driver, H: Handler> Worker<D, H> {
    /// Puts what a receive has brought off; what follows on this connection waits behind it.
    #[cold]
    pub(super) fn put_off(&mut self, id: ConnectionId, outcome: Received, armed: bool) {
        if let Some(slot) = self.slots.get(id) {
            slot.put_off = slot.put_off.saturating_add(1);
            slot.receiving = armed;
            if !armed {
                slot.cancelling = false;
            } else if !slot.cancelling {
                // No more than is on its way: buffers are for all.
                slot.cancelling = true;
                self.driver.cancel_receive(id);
            }
        }
        self.put_off.push_back((id, outcome));
    }

    /// Looks again at what was put off, in its order; some of it is put off once more.
    pub(super) fn take_up(&mut self) {
        let mut still = Vec::new();
        for _ in 0..self.put_off.len() {
            let Some((id, outcome)) = self.put_off.pop_front() else { return };
            let mut stopped = false;
            if let Some(slot) = self.slots.get(id) {
                let has_no_room = has_no_room(slot, &self.shared.handler);
                if has_no_room || still.contains(&id) {
                    still.push(id);
                    self.put_off.push_back((id, outcome));
                    continue;
                }
                slot.put_off = slot.put_off.saturating_sub(1);
                stopped = slot.put_off == 0 && !slot.receiving;
            }
            match outcome {
                Received::Data { buffer, len } => self.take::<false>(id, buffer, len, stopped),
                outcome => self.receive_ended(id, &outcome, stopped),
            }
        }
    }
}

/// Whether what a connection has sent is to be put off: behind what is already, or if there is no
/// room.
#[inline]
pub(super) fn is_put_off<H: Handler>(slot: &Slot, handler: &H) -> bool {
    slot.connection.tag() > Acceptance::MAX_TAG && (slot.put_off > 0 || has_no_room(slot, handler))
}

/// Whether there is no room for what a connection may publish. Not once it is closed: its end is
/// waited for, and what it sends means nothing any more.
fn has_no_room<H: Handler>(slot: &Slot, handler: &H) -> bool {
    slot.connection.phase() == Phase::Open && handler.is_full()
}
