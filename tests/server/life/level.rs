//! The level of the log: a setting wins over the variable `RUST_LOG`, which holds without one.

use super::reload::{Configured, READ};
use crate::admin::page::ask;
use crate::life::LIMIT;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Server, command};

/// A server with this variable and these flags.
fn start(variable: &str, flags: &[&str]) -> Server {
    let mut command = command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
    command.env("RUST_LOG", variable);
    Server::spawn(command)
}

/// A request, and the end of its connection, of which traces tell.
fn visit(server: &Server) {
    ask(server.addr(), "GET", "/healthz", "", b"");
    Client::open(server.addr()).close();
}

fn has_traces(server: &Server) -> bool {
    server.log().iter().any(|line| line.contains("TRACE"))
}

/// What the log says of a request with the access log comes after all traces before it.
fn await_access(server: &Server, path: &str) {
    ask(server.addr(), "GET", path, "", b"");
    let is_told = || server.log().iter().any(|line| line.contains(path));
    assert!(wait_until(LIMIT, is_told), "{path} is not in {:?}", server.log());
}

#[test]
fn a_setting_wins_over_the_variable() {
    // With the variable alone there are traces.
    let server = start("trace", &[]);
    visit(&server);
    assert!(wait_until(LIMIT, || has_traces(&server)), "{:?}", server.log());
    let server = start("trace", &["--log-level", "info", "--access-log"]);
    visit(&server);
    await_access(&server, "/after");
    assert!(!has_traces(&server), "{:?}", server.log());
    // It would have said nothing, not even where it listens.
    let server = start("off", &["--log-level", "info", "--access-log"]);
    await_access(&server, "/after");
    // What does not hold is not complained of.
    let server = start("loud", &["--log-level", "info", "--access-log"]);
    await_access(&server, "/after");
    assert!(!server.log().iter().any(|line| line.contains("RUST_LOG")), "{:?}", server.log());
}

/// A level in the file wins as well, and once it is not there the variable holds.
#[test]
fn the_variable_holds_without_a_level_in_the_file() {
    let file = std::env::temp_dir().join(format!("corecast-level-{}.toml", std::process::id()));
    let text = "log-level = \"info\"\naccess-log = true\n";
    std::fs::write(&file, text).unwrap();
    let server = start("trace", &["--config", file.to_str().unwrap()]);
    let mut all = Configured { server, file, seen: 1 };
    visit(&all.server);
    await_access(&all.server, "/after");
    assert!(!has_traces(&all.server), "{:?}", all.server.log());
    all.seen = 0;
    all.reload("access-log = true\n", READ);
    visit(&all.server);
    assert!(wait_until(LIMIT, || has_traces(&all.server)), "{:?}", all.server.log());
}
