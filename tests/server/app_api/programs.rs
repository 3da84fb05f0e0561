//! The programs in the README.

use std::net::SocketAddr;

use corecast::error::Error;
use corecast::server::ServerHandle;

use super::{expect, say};
use crate::support::client::{Client, request_to};

#[path = "../../../examples/push.rs"]
#[allow(dead_code, reason = "its main")]
mod push;
#[path = "../../../examples/state.rs"]
#[allow(dead_code, reason = "its main")]
mod state;
#[path = "../../../examples/token.rs"]
#[allow(dead_code, reason = "its main")]
mod token;

fn run(start: fn(SocketAddr) -> Result<ServerHandle, Error>, test: impl FnOnce(SocketAddr)) {
    let server = start(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    test(server.addresses()[0]);
    server.drain();
    server.join().unwrap();
}

#[test]
fn each_connection_has_its_state() {
    run(state::start, |addr| {
        let [mut a, mut b] = [Client::open(addr), Client::open(addr)];
        for (client, text, answer) in [(&mut a, "x", "1: 1 bytes"), (&mut b, "xyz", "1: 3 bytes")] {
            say(client, text);
            expect(client, answer);
        }
        say(&mut a, "");
        expect(&mut a, "2: 0 bytes");
    });
}

#[test]
fn a_token_names_the_user() {
    run(token::start, |addr| {
        let mut refused = Client::connect(addr);
        refused.send(&request_to("/?token=eve", ""));
        assert!(refused.read_head().status.contains(" 403 "));
        let mut ann = Client::connect(addr);
        ann.open_at("/?x=1&token=ann", "");
        expect(&mut ann, "hello ann");
        say(&mut ann, "echo");
        expect(&mut ann, "echo");
        let mut bob = Client::connect(addr);
        bob.open_at("/pubsub?token=bob", "");
        say(&mut bob, r#"{"publish":"ann/x","data":1}"#);
        expect(&mut bob, r#"{"error":"\"ann/x\": not your topic"}"#);
    });
}

#[test]
fn another_thread_answers() {
    run(push::start, |addr| {
        let [mut a, mut b] = [Client::open(addr), Client::open(addr)];
        say(&mut a, "abc");
        say(&mut b, "xyz");
        expect(&mut b, "zyx");
        expect(&mut a, "cba");
    });
}

/// The README shows them as they are.
#[test]
fn the_readme_holds_the_programs() {
    let readme = include_str!("../../../README.md");
    for program in [
        include_str!("../../../examples/state.rs"),
        include_str!("../../../examples/token.rs"),
        include_str!("../../../examples/push.rs"),
    ] {
        let code = program.split_once("\nuse std").unwrap().1;
        assert!(readme.contains(code.trim_end()), "the README lacks:\n{code}");
    }
}
