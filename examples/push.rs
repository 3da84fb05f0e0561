//! Push from another thread: each connection is sent an answer that is computed elsewhere.

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use corecast::app::{Accept, ConnectionHandle, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::Request;
use corecast::pubsub::Payload;
use corecast::server::{Server, ServerHandle};
use corecast::session::Message;

struct Jobs(Sender<(ConnectionHandle, String)>);

impl Handler for Jobs {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        let text = message.text().unwrap_or_default().to_owned();
        let _ = self.0.send((cx.handle(), text));
    }
}

pub(crate) fn start(address: SocketAddr) -> Result<ServerHandle, Error> {
    let (jobs, queue) = channel::<(ConnectionHandle, String)>();
    thread::spawn(move || {
        for (connection, text) in queue {
            let answer: String = text.chars().rev().collect();
            if let Err(error) = connection.send(Payload::text(answer)) {
                eprintln!("not sent: {error}");
            }
        }
    });
    let server = Server::new(Config::default()).listen(address);
    server.start(move |_core, _handle| Jobs(jobs.clone()))
}

fn main() -> Result<(), Error> {
    start(SocketAddr::from(([127, 0, 0, 1], 9001)))?.join()?;
    Ok(())
}
