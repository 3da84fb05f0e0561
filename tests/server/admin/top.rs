//! `corecast top`: one view of a server.

use std::time::Duration;

use crate::admin::page::Administrated;
use crate::support::client::Client;
use crate::support::server::{command, run};
use crate::support::wire::{FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(30);

fn top(place: &str, more: &[&str]) -> crate::support::server::Finished {
    run(command(&[&["top", "--admin", place, "--once"], more].concat()), LIMIT)
}

#[test]
fn one_view() {
    let server = Administrated::start(&[]);
    let mut client = Client::open(server.addr());
    let mut readers: Vec<Client> = (0..3).map(|_| Client::connect(server.addr())).collect();
    readers.iter_mut().for_each(|reader| drop(reader.open_at("/topics/news?role=sub", "")));
    let place = server.admin.to_string();
    // Messages while it looks, so that there are rates.
    let viewer = std::thread::spawn(move || top(&place, &[]));
    while !viewer.is_finished() {
        client.send(&frame(FIN | TEXT, b"hello"));
        client.read_frame();
        server.post("/publish/news", b"text");
        readers.iter_mut().for_each(|reader| drop(reader.read_frame()));
    }
    let view = viewer.join().unwrap();
    assert!(view.status.success(), "{}", view.stderr);
    let text = view.stdout;
    let line = |part: &str| {
        let found = text.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no {part} in\n{text}"))
    };
    assert!(line("corecast ").ends_with("ready"));
    assert!(line("connections ").contains("app 1, topics 3, pubsub 0"), "{text}");
    let received = line("messages/s").split("received ").nth(1).unwrap();
    assert!(!received.starts_with("0,"), "{text}");
    assert!(line("published to written").contains("p99 <= "), "{text}");
    assert!(line("news").trim_start().starts_with("3 "), "{text}");
    let core = corecast::server::allowed_cores()[0];
    line(&format!("   0 {core:>4} "));
    assert!(!text.contains('\x1b'), "no terminal, so no orders for one");
}

#[test]
fn faults_are_told_in_one_line() {
    let server = Administrated::start(&[]);
    for (place, part) in [
        (server.addr().to_string(), "is no admin listener"),
        ("nonsense".to_owned(), "is no address"),
        ("127.0.0.1:1".to_owned(), "does not answer"),
        ("unix:/nonexistent".to_owned(), "does not answer"),
    ] {
        let finished = top(&place, &[]);
        assert!(finished.error_line(1).contains(part), "{}", finished.stderr);
    }
    let finished = top(&server.admin.to_string(), &["--admin-token-file", "/nonexistent"]);
    assert!(finished.error_line(1).contains("token"), "{}", finished.stderr);
}
