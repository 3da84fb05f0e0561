//! A chat server: the messages of a room are published to the topic `chat/<room>`.
//!
//! ```text
//! cargo run --release --example chat              listens on 127.0.0.1:9001
//! cargo run --release --example chat -- 0.0.0.0:9001
//! ```
//!
//! Then open `examples/chat.html` in two windows of a browser, from disk or from any web server;
//! `?room=rust&name=ann` names a room and a person, `?server=ws://HOST:PORT` another server.
//!
//! There is no code for rooms, members or messages here. The pages subscribe and publish over
//! `/pubsub`, which `corecast serve` has as well. This program adds its own configuration, a 404
//! for all other paths, and its own messages: each line on standard input is published in the
//! lobby. Ctrl-C ends it.

use std::error::Error;
use std::io::{self, BufRead};

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::{Config, SlowConsumer};
use corecast::protocol::websocket::handshake::{Origins, Refusal, Rejection, Request};
use corecast::pubsub::Payload;
use corecast::server::Server;
use corecast::session::Message;
use serde_json::json;

/// Refuses every path but `/pubsub` and `/topics/<topic>`, which the server handles itself.
struct NothingElse;

impl Handler for NothingElse {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        let line = "This is a chat; connect to /pubsub.";
        Upgrade::Refuse(Refusal::saying(Rejection::NotFound, line))
    }

    /// Never called, because no connection is accepted.
    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {}
}

fn rules() -> Config {
    let mut config = Config::default();
    // A page opened from disk has the origin `null`, one from another web server that server's.
    // This chat has no users and no cookies, so no page can abuse its visitor's; one that has lists
    // its own pages: `Origins::list(["https://chat.example.org"])`.
    config.origins = Origins::Any;
    // Enough for typed text. A longer message closes its connection with 1009.
    config.limits.max_message = 64 << 10;
    // A client that reads too slowly loses the oldest lines, gets their number, and stays
    // connected.
    config.pubsub.slow = SlowConsumer::DropOldest;
    config
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let running =
        Server::new(rules()).listen(address.parse()?).start(|_core, _handle| NothingElse)?;
    for address in running.addresses() {
        println!("chatting on ws://{address}; open examples/chat.html?server=ws://{address}");
    }

    let publisher = running.publisher();
    // Retained: later clients are sent it too, until a client sets another subject.
    let subject = json!("Say hello. /subject TEXT changes this line.");
    publisher.retain("chat/lobby/subject", Payload::text(subject.to_string()))?;

    for line in io::stdin().lock().lines() {
        let said = json!({ "from": "the server", "text": line? });
        // Never blocks: a line that is too long, or for which there is no room, is an error.
        if let Err(error) = publisher.publish("chat/lobby", Payload::text(said.to_string())) {
            eprintln!("not published: {error}");
        }
    }
    // The chat goes on after the end of the input.
    running.join()?;
    Ok(())
}
