//! The handler of `corecast serve`: every message is sent back to its sender.

use super::{Accept, Context, Handler, Upgrade};
use crate::protocol::websocket::handshake::Request;
use crate::session::Message;

/// Echoes every message, opcode and boundaries kept, on every path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    type Connection = ();
    type User = ();
    // The callbacks are code of the server.
    const CATCH_PANICS: bool = false;

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        accept.first_protocol(request);
        Upgrade::Accept(())
    }

    #[inline(always)]
    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}
