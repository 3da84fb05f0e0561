//! What `close` is told of the end of a connection: code, text, and which side.

use corecast::config::Config;

use super::{say, script, wait_for};
use crate::support::client::Client;
use crate::support::wire::{self, BINARY, FIN};

/// `stop` cuts connections without a close frame, but their handlers are told.
#[test]
fn a_stop_tells_the_handler_of_each_connection() {
    let (server, log) = script(Config::default());
    let clients: Vec<Client> = (0..5)
        .map(|number| {
            let mut client = Client::connect(server.addr());
            client.open_at(&format!("/{number}"), "");
            client
        })
        .collect();
    server.handle().stop();
    for number in 0..5 {
        wait_for(&log, &format!("end /{number}: here 1001 \"\""));
    }
    drop(clients);
}

/// A path, how a connection there ends, and what the handler is told.
type End = (&'static str, fn(Client), &'static str);

/// Opens a connection at each path, ends it in a way of its own, and waits for what is told of it.
#[test]
fn the_end_tells_code_text_and_side() {
    let (server, log) = script(Config::default());
    let ends: [End; 8] = [
        (
            "/bye",
            |mut client| {
                client.send(&wire::close(4321, "bye \u{e9}"));
                client.expect(&wire::server_close(4321, "bye \u{e9}"));
            },
            "there 4321 \"bye \u{e9}\"",
        ),
        ("/empty", |client| client.close(), "there 1000 \"\""),
        (
            "/asked",
            |mut client| {
                say(&mut client, "close");
                client.expect(&wire::server_close(1000, "asked"));
                // The answer is not what closed it.
                client.send(&wire::close(4000, "other"));
            },
            "here 1000 \"asked\"",
        ),
        (
            "/panicked",
            |mut client| {
                say(&mut client, "panic");
                client.expect(&wire::server_close(1011, "internal error"));
            },
            "here 1011 \"internal error\"",
        ),
        (
            "/violation",
            |mut client| {
                // A server masks nothing, a client everything.
                client.send(&wire::unmasked(FIN | BINARY, b"x"));
                assert_eq!(client.read_frame().payload[..2], 1002_u16.to_be_bytes());
            },
            "here 1002 \"",
        ),
        ("/fin", |client| client.finish(), "there 1006 \"\""),
        ("/reset", Client::reset, "there 1006 \"\""),
        (
            "/no-status",
            |mut client| {
                client.send(&wire::frame(FIN | wire::CLOSE, b""));
                client.expect(&wire::unmasked(FIN | wire::CLOSE, b""));
            },
            "there 1005 \"\"",
        ),
    ];
    for (path, end, told) in ends {
        let mut client = Client::connect(server.addr());
        client.open_at(path, "");
        end(client);
        wait_for(&log, &format!("end {path}: {told}"));
    }
    let log = log.lock().unwrap();
    let count = log.iter().filter(|line| line.starts_with("end ")).count();
    assert_eq!(count, ends.len(), "each once: {log:?}");
}
