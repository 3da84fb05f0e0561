//! A chat server: what people say in a room is published to the topic `chat/<room>`.
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
//! `/pubsub`, which every corecast serves, and `corecast serve` would do for them as well. What a
//! program of one's own adds is below: its rules, a 404 for all other paths, and a voice. Each line
//! that is typed here is said in the lobby. Ctrl-C ends it.

use std::error::Error;
use std::io::{self, BufRead};

use corecast::base::ConnectionId;
use corecast::config::{Config, SlowConsumer};
use corecast::protocol::websocket::handshake::{Origins, Refusal, Rejection, Request};
use corecast::pubsub::Payload;
use corecast::server::Server;
use corecast::session::{Acceptance, Handler, Message, Replies};
use serde_json::json;

/// What is served besides `/pubsub` and `/topics/<topic>`, which never come to a handler: nothing.
struct NothingElse;

impl Handler for NothingElse {
    fn open<'a>(&mut self, _: ConnectionId, _: &Request<'a>) -> Result<Acceptance<'a>, Refusal> {
        Err(Refusal::saying(Rejection::NotFound, "This is a chat; connect to /pubsub."))
    }

    /// Without connections there are no messages.
    fn message<'a>(&mut self, _: ConnectionId, _: Message<'a>, _: &mut Replies<'a>) {}
}

fn rules() -> Config {
    let mut config = Config::default();
    // A page opened from disk has the origin `null`, one from another web server that server's.
    // This chat has no users and no cookies, so no page can abuse its visitor's; one that has lists
    // its own pages: `Origins::list(["https://chat.example.org"])`.
    config.origins = Origins::Any;
    // Nobody types 64 KiB. Longer messages are closed with 1009.
    config.limits.max_message = 64 << 10;
    // Who reads too slowly loses the oldest lines, sees a gap where they were, and stays.
    config.pubsub.slow = SlowConsumer::DropOldest;
    config
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let running = Server::new(rules()).listen(address.parse()?).start(|_core| NothingElse)?;
    for address in running.addresses() {
        println!("chatting on ws://{address}; open examples/chat.html?server=ws://{address}");
    }

    let publisher = running.publisher();
    // Retained: who comes later gets it too, until somebody sets another subject.
    let subject = json!("Say hello. /subject TEXT changes this line.");
    publisher.retain("chat/lobby/subject", Payload::text(subject.to_string()))?;

    for line in io::stdin().lock().lines() {
        let said = json!({ "from": "the server", "text": line? });
        // Never waits for anybody: too long a line, or one too many, is an error instead.
        if let Err(error) = publisher.publish("chat/lobby", Payload::text(said.to_string())) {
            eprintln!("not said: {error}");
        }
    }
    // The end of the input is not the end of the chat.
    running.join()?;
    Ok(())
}
