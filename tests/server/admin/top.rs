//! `corecast top`: views of a server.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::admin::page::Administrated;
use crate::support::client::Client;
use crate::support::host::wait_until;
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

/// The entries below this header, up to an empty line.
fn entries<'t>(text: &'t str, header: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|line| !line.contains(header));
    assert!(lines.next().is_some(), "no {header} in\n{text}");
    lines.take_while(|line| !line.is_empty()).map(str::trim).collect()
}

fn subscriber(server: &Administrated, topic: &str) -> Client {
    let mut client = Client::connect(server.addr());
    client.open_at(&format!("/topics/{topic}?role=sub"), "");
    client
}

#[test]
fn topics_are_shown_by_their_subscribers() {
    let server = Administrated::start(&[]);
    let topics = ["a", "b", "b", "b", "c", "c"];
    let _subscribers = topics.map(|topic| subscriber(&server, topic));
    let view = top(&server.admin.to_string(), &[]);
    assert!(view.status.success(), "{}", view.stderr);
    let shown: Vec<(&str, &str)> = entries(&view.stdout, "TOPIC OR FILTER")
        .into_iter()
        .map(|line| (line.split(' ').next().unwrap(), line.rsplit(' ').next().unwrap()))
        .collect();
    assert_eq!(shown, [("3", "b"), ("2", "c"), ("1", "a")], "{}", view.stdout);
}

/// Two do not read. The one for which more waits is shown first, and who reads is not shown.
#[test]
fn the_slowest_clients_are_shown_first() {
    const LARGE: usize = 512 << 10;
    let queues = ["--subscriber-queue", "256MiB", "--publish-backlog", "256MiB"];
    let flags = [&queues[..], &["--max-memory", "1GiB"]].concat();
    let server = Administrated::start(&flags);
    let ids = |server: &Administrated| {
        let all = server.connections();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let new_id = |before: &[String]| {
        let is_new = |id: &String| !before.contains(id);
        ids(&server).into_iter().find(is_new).expect("a new connection")
    };
    let _less = subscriber(&server, "less");
    let less = ids(&server).remove(0);
    let _more = subscriber(&server, "more");
    let more = new_id(std::slice::from_ref(&less));
    let _reads = subscriber(&server, "quiet");
    let publisher = |topic: &str, count: usize| {
        let mut client = Client::connect(server.addr());
        client.open_at(&format!("/topics/{topic}?role=pub"), "");
        (0..count).for_each(|_| client.send(&frame(FIN | TEXT, &vec![b'x'; LARGE])));
        client
    };
    // The sockets take some megabytes.
    let _publishers = [publisher("less", 40), publisher("more", 80)];
    let queued = |id: &str| {
        let all = server.connections();
        let of_id = all.iter().find(|one| one["id"] == id).expect("its connection");
        of_id["queued_bytes"].as_u64().unwrap()
    };
    let is_queued = || queued(&less) > 0 && queued(&more) > queued(&less) + (4 << 20);
    assert!(wait_until(LIMIT, is_queued), "{} {}", queued(&less), queued(&more));
    let view = top(&server.admin.to_string(), &[]);
    assert!(view.status.success(), "{}", view.stderr);
    let shown = entries(&view.stdout, "SLOWEST CLIENT");
    assert_eq!(shown.len(), 2, "{}", view.stdout);
    for (line, id) in shown.iter().zip([more, less]) {
        assert!(line.contains(&format!(" ({id})")), "{line} is not of {id}");
        assert!(line.contains("topics") && !line.starts_with("0 "), "{line}");
    }
}

/// One view after the other, until nobody reads them.
#[test]
fn views_follow_one_another() {
    let server = Administrated::start(&[]);
    let place = server.admin.to_string();
    let mut viewer = command(&["top", "--admin", &place, "--interval", "1"]);
    viewer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut viewer = viewer.spawn().unwrap();
    let mut lines = BufReader::new(viewer.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let view = lines.find(|line| line.as_ref().unwrap().starts_with("corecast "));
        assert!(view.is_some_and(|line| line.unwrap().ends_with("ready")), "no view");
    }
    drop(lines);
    let mut status = None;
    let has_ended = wait_until(LIMIT, || {
        status = viewer.try_wait().unwrap();
        status.is_some()
    });
    if !has_ended {
        viewer.kill().unwrap();
    }
    let said = viewer.wait_with_output().unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{said:?}");
    assert!(said.stderr.is_empty(), "{said:?}");
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
