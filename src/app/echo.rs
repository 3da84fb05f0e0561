//! The handler of `corecast serve`: every message back to its sender.

use crate::base::ConnectionId;
use crate::session::{Handler, Message, Replies};

/// Echoes every message, opcode and boundaries kept, on every path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    #[inline]
    fn message<'a>(&mut self, _: ConnectionId, message: Message<'a>, replies: &mut Replies<'a>) {
        replies.echo(message);
    }
}
