//! Whether a session holds a part of something that comes too slowly.

use super::state::{RareState, Session};
use crate::base::Millis;

impl Session {
    /// Whether a part of a message or of a request comes too slowly to be held while memory is
    /// short: nothing for a second, or too little. Nobody is too slow whose input waits here.
    /// `None` if there is no such part.
    pub fn comes_too_slowly(&mut self, now: Millis, is_read: bool) -> Option<bool> {
        let (pace, last, received, held) = match (&mut self.assembly, self.rare.as_deref_mut()) {
            (Some(assembly), _) => {
                let held = assembly.charge.bytes();
                (&mut assembly.pace, self.last_message, assembly.received, held)
            }
            (None, Some(RareState::Head(head))) => {
                let (received, held) = (head.bytes.len() as u64, head.charge.bytes());
                (&mut head.pace, self.last_received, received, held)
            }
            (None, Some(RareState::Body(body))) => {
                (&mut body.pace, self.last_received, body.received, body.charge.bytes())
            }
            _ => return None,
        };
        if !is_read {
            pace.excuse(now, received);
            return Some(false);
        }
        Some(pace.is_too_slow(now, last, received, held))
    }
}
