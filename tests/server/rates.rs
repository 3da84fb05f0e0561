//! Goal: no client sends more in a second than it may; who sends less notices nothing.
//! Method: a server in the test's own process, raw clients, and limits whose last token comes much
//! later than the test sends. What is judged is how many messages come back, and never sooner than
//! the rate allows: a slow machine makes them later.

mod closed;
mod control;
mod delayed;
mod reload;
mod routes;

use std::time::Duration;

use crate::support::client::{Client, PATIENCE};
use crate::support::host::wait_until;
use crate::support::library::Embedded;
use crate::support::wire::{BINARY, CONTINUATION, FIN, RSV1, TEXT, frame, server_close};
use corecast::config::{Config, RatePolicy};
use corecast::server::CoreStats;
use corecast::session::RateCounts;

const MESSAGES: &str = "too many messages in a short time";
const BYTES: &str = "too many bytes in a short time";

/// The ways in which messages may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// All in one write.
    AtOnce,
    /// Each in a write.
    OneByOne,
    /// Each in two frames, all in one write.
    Fragments,
    /// Each compressed, all in one write.
    Compressed,
    /// Each longer than a receive buffer.
    Large,
    /// With a ping behind each, all in one write.
    Pings,
}

const WAYS: [Way; 6] =
    [Way::AtOnce, Way::OneByOne, Way::Fragments, Way::Compressed, Way::Large, Way::Pings];

impl Way {
    /// The bytes of one message.
    fn message(self) -> Vec<u8> {
        match self {
            Self::AtOnce | Self::OneByOne => frame(FIN | TEXT, b"hello"),
            Self::Fragments => [frame(TEXT, b"hel"), frame(FIN | CONTINUATION, b"lo")].concat(),
            Self::Compressed => {
                frame(FIN | TEXT | RSV1, &crate::support::deflate::deflated(b"hello"))
            }
            Self::Large => frame(FIN | BINARY, &[7; 20_000]),
            Self::Pings => {
                [frame(FIN | TEXT, b"hello"), frame(FIN | crate::support::wire::PING, b"")].concat()
            }
        }
    }

    fn open(self, server: &Embedded) -> Client {
        let offer = match self {
            Self::Compressed => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            _ => "",
        };
        Client::open_with(server.addr(), offer).0
    }

    fn send(self, client: &mut Client, messages: usize) {
        match self {
            Self::OneByOne => (0..messages).for_each(|_| {
                client.try_send(&self.message());
            }),
            _ => {
                client.try_send(&self.message().repeat(messages));
            }
        }
    }
}

/// Counts messages of the server until `most` have come, or another frame but a pong, which is
/// returned.
fn echoes(client: &mut Client, most: usize, limit: Duration) -> (usize, Option<Vec<u8>>) {
    let mut count = 0;
    while count < most {
        let Ok(frame) = client.try_read_frame(limit) else { break };
        match frame.first & 0x0f {
            TEXT | BINARY => count += 1,
            crate::support::wire::PONG => {}
            _ => return (count, Some(crate::support::wire::unmasked(frame.first, &frame.payload))),
        }
    }
    (count, None)
}

fn start(change: impl FnOnce(&mut Config)) -> Embedded {
    let mut config = Config::default();
    config.deflate.enabled = true;
    change(&mut config);
    Embedded::start(config)
}

/// At most so many messages at once, then one in a second.
fn messages(burst: u32, policy: RatePolicy) -> Embedded {
    start(|config| {
        config.rates.messages = Some(1);
        config.rates.message_burst = Some(burst);
        config.rates.policy = policy;
    })
}

/// The counters of the only loop, which may need some time on a busy machine.
fn stats(server: &Embedded) -> CoreStats {
    let mut stats = None;
    wait_until(PATIENCE, || {
        stats = server.handle().stats().pop();
        stats.is_some()
    });
    stats.expect("a loop that answers")
}

fn rate_counts(server: &Embedded) -> RateCounts {
    stats(server).worker.sessions.rates
}

fn closed_by(reason: &str) -> Vec<u8> {
    server_close(1008, reason)
}
