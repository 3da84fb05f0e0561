//! State of each connection: every message is answered with its number.

use std::net::SocketAddr;

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{Server, ServerHandle};
use corecast::session::Message;

struct Counter;

impl Handler for Counter {
    type Connection = u64;
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<u64> {
        Upgrade::Accept(0)
    }

    fn message<'a>(&mut self, count: &mut u64, message: Message<'a>, cx: &mut Context<'_, 'a>) {
        *count += 1;
        let text = format!("{count}: {} bytes", message.payload().len());
        // An error says that the peer does not read, and is closed or loses this message.
        let _ = cx.text(&text);
    }
}

pub(crate) fn start(address: SocketAddr) -> Result<ServerHandle, Error> {
    Server::new(Config::default()).listen(address).start(|_core, _handle| Counter)
}

fn main() -> Result<(), Error> {
    start(SocketAddr::from(([127, 0, 0, 1], 9001)))?.join()?;
    Ok(())
}
