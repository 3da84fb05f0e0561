//! Goal: the example in README works as it stands there.
//! Method: the lines before the start of the server are run by `sh`, which has `openssl` make a
//! secret and a token; the server is started with the flags of the example.

use std::process::Command;

use super::*;

const README: &str = include_str!("../../../README.md");

/// The lines of the block that begins with the example.
fn block() -> Vec<&'static str> {
    let section = README.split("\n### Tokens\n").nth(1).expect("a section on tokens");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block of commands").lines().collect()
}

#[test]
fn the_example_of_the_readme_works() {
    let files = Files::new();
    let lines = block();
    let start = lines.iter().position(|line| line.starts_with("corecast serve ")).unwrap();
    let script = format!("set -e\n{}\nprintf %s \"$token\"", lines[..start].join("\n"));
    let made = Command::new("sh").args(["-c", &script]).current_dir(&files.0).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap();
    assert_eq!(token.split('.').count(), 3, "{token}");
    let flags: Vec<&str> = lines[start].trim_end_matches(" &").split(' ').skip(2).collect();
    let mut command = Command::new(crate::support::server::binary());
    command.current_dir(&files.0).args(["serve", "--listen", "127.0.0.1:0"]).args(&flags);
    if let Some(backend) = crate::support::backend::flag() {
        command.args(["--backend", &backend]);
    }
    let server = Server::spawn(command);
    // What the example connects to, with what it says.
    let connect = lines[start + 1..].join("\n");
    assert!(connect.contains("http://127.0.0.1:9001/pubsub") && connect.contains("$token"));
    let mut client = open(server.addr(), "/pubsub", &token);
    send(&mut client, r#"{"subscribe":"chat/#"}"#);
    assert_eq!(read(&mut client), r#"{"subscribed":["chat/#"]}"#);
    send(&mut client, r#"{"publish":"chat/ann","data":"hello"}"#);
    assert_eq!(read(&mut client), r#"{"topic":"chat/ann","data":"hello"}"#);
    send(&mut client, r#"{"publish":"chat/bob","data":"hello"}"#);
    assert!(read(&mut client).contains("does not allow"));
    assert_eq!(status(server.addr(), "/pubsub", ""), 401);
}
