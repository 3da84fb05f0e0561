//! Lists of connections and topics, page by page.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use corecast::server::allowed_cores;
use serde_json::Value;

use crate::admin::page::Administrated;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::wire::{FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(20);

/// All cores, as a list for `--cores`.
fn cores() -> String {
    allowed_cores().iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// All entries of a list, by pages of `limit`, and the number of pages.
fn pages(server: &Administrated, list: &str, by: &str, limit: usize) -> (Vec<Value>, usize) {
    pages_while(server, list, by, limit, || {})
}

/// The same, with what is done after each page.
fn pages_while(
    server: &Administrated,
    list: &str,
    by: &str,
    limit: usize,
    mut between: impl FnMut(),
) -> (Vec<Value>, usize) {
    let (mut all, mut from, mut count) = (Vec::new(), String::new(), 0);
    loop {
        let page = server.json(&format!("/{list}?limit={limit}{from}"));
        let entries = page[list].as_array().unwrap();
        assert!(entries.len() <= limit);
        all.extend_from_slice(entries);
        count += 1;
        between();
        let Some(next) = page["next"].as_str() else { return (all, count) };
        from = format!("&{by}={}", next.replace('#', "%23").replace('+', "%2B"));
        assert!(count < 10_000);
    }
}

#[test]
fn each_connection_is_on_one_page() {
    let server = Administrated::start(&["--cores", &cores()]);
    let clients: Vec<Client> = (0..150).map(|_| Client::open(server.addr())).collect();
    let peers: BTreeSet<String> =
        clients.iter().map(|client| client.stream().local_addr().unwrap().to_string()).collect();
    for limit in [1, 7, 32, 100, 1_000] {
        let (all, count) = pages(&server, "connections", "from", limit);
        let apps = all.iter().filter(|one| one["endpoint"] == "app");
        let listed: Vec<&str> = apps.map(|one| one["peer"].as_str().unwrap()).collect();
        let unique: BTreeSet<String> = listed.iter().map(|peer| (*peer).to_owned()).collect();
        assert_eq!((listed.len(), &unique), (150, &peers), "limit {limit}");
        assert!(count >= 150 / limit, "{count} pages of {limit}");
    }
    for (target, expected) in [
        ("/connections?limit=0", "400"),
        ("/connections?limit=1001", "400"),
        ("/connections?limit=x", "400"),
        ("/connections?from=x", "400"),
        ("/connections?from=99-0", "200"),
        ("/topics?limit=0", "400"),
    ] {
        assert_eq!(server.get(target).0, expected, "{target}");
    }
}

/// Some come and go between pages, at all loops.
#[test]
fn those_who_stay_are_on_one_page_while_others_come_and_go() {
    const STAY: usize = 60;
    let server = Administrated::start(&["--cores", &cores()]);
    let reader = |topic: String| {
        let mut client = Client::connect(server.addr());
        client.open_at(&format!("/topics/{topic}?role=sub"), "");
        client
    };
    let name = |number: usize| format!("stay/{number:02}");
    // Each topic has one subscriber that stays, and those below have others that do not.
    let stay: Vec<Client> = (0..STAY).map(|number| reader(name(number))).collect();
    let peers: BTreeSet<String> =
        stay.iter().map(|client| client.stream().local_addr().unwrap().to_string()).collect();
    let mut others: VecDeque<Client> = (0..STAY).map(|number| reader(name(number))).collect();
    let mut number = 0;
    let mut change = || {
        for _ in 0..3 {
            drop(others.pop_front());
            others.push_back(reader(if number % 2 == 0 {
                name(number % STAY)
            } else {
                format!("{number}")
            }));
            number += 1;
        }
    };
    for limit in [1, 7, 32] {
        let (all, _) = pages_while(&server, "connections", "from", limit, &mut change);
        let listed: Vec<&str> = all.iter().filter_map(|one| one["peer"].as_str()).collect();
        let listed: Vec<&str> = listed.into_iter().filter(|peer| peers.contains(*peer)).collect();
        let unique: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!((listed.len(), unique.len()), (STAY, STAY), "limit {limit}");
        let (all, _) = pages_while(&server, "topics", "after", limit, &mut change);
        let names = all.iter().map(|one| one["topic"].as_str().unwrap().to_owned());
        let listed: Vec<String> = names.filter(|name| name.starts_with("stay/")).collect();
        assert!(listed.iter().cloned().eq((0..STAY).map(name)), "limit {limit}: {listed:?}");
    }
}

#[test]
fn an_entry_says_what_the_connection_is_and_has_done() {
    let server = Administrated::start(&[]);
    let mut echo = Client::open(server.addr());
    let mut reader = Client::connect(server.addr());
    reader.open_at("/topics/a?role=sub", "");
    let plain = Client::connect(server.addr());
    for _ in 0..10 {
        echo.send(&frame(FIN | TEXT, &[b'x'; 100]));
        echo.read_frame();
    }
    thread::sleep(Duration::from_millis(1_100));
    let find = |client: &Client| {
        let peer = client.stream().local_addr().unwrap().to_string();
        let all = server.connections();
        all.into_iter().find(|one| one["peer"] == peer).unwrap()
    };
    let one = find(&echo);
    assert_eq!((&one["protocol"], &one["endpoint"]), (&"websocket".into(), &"app".into()));
    assert_eq!(
        (&one["state"], &one["tls"], &one["user"]),
        (&"open".into(), &false.into(), &Value::Null)
    );
    assert!(one["age_seconds"].as_f64().unwrap() >= 1.0, "{one}");
    // What the kernel knows: the handshake and ten messages, each with a header.
    if one["received_bytes"].is_null() {
        println!("NOT CHECKED: this kernel does not tell how much was received");
    } else {
        let (received, sent) = (&one["received_bytes"], &one["sent_bytes"]);
        assert!((1_060..3_000).contains(&received.as_u64().unwrap()), "{one}");
        assert!((1_020..3_000).contains(&sent.as_u64().unwrap()), "{one}");
        for way in ["received", "sent"] {
            let [bytes, rate] = ["bytes", "bytes_per_second"]
                .map(|unit| one[format!("{way}_{unit}")].as_f64().unwrap());
            let age = one["age_seconds"].as_f64().unwrap();
            assert!((rate * age / bytes - 1.0).abs() < 0.01, "{one}");
        }
    }
    assert_eq!(find(&reader)["endpoint"], "topics");
    let one = find(&plain);
    assert_eq!((&one["protocol"], &one["endpoint"]), (&"http".into(), &"none".into()));
    assert_eq!(one["state"], "request");
}

#[test]
fn topics_have_the_subscribers_of_all_cores() {
    let server = Administrated::start(&["--cores", &cores()]);
    let mut clients: Vec<Client> = Vec::new();
    for number in 0..40 {
        let mut client = Client::connect(server.addr());
        client.open_at("/pubsub", "");
        let filters = format!(r##"{{"subscribe":["all","+/x","t/{number:02}","#"]}}"##);
        client.send(&frame(FIN | TEXT, filters.as_bytes()));
        client.read_frame();
        clients.push(client);
    }
    assert_eq!(server.post("/publish/kept?retain=1", b"value").0, "204");
    assert_eq!(server.post("/publish/all?retain=1", b"value").0, "204");
    let mut expected =
        vec![("#".to_owned(), 40), ("+/x".into(), 40), ("all".into(), 40), ("kept".into(), 0)];
    expected.extend((0..40).map(|number| (format!("t/{number:02}"), 1)));
    for limit in [1, 3, 40, 1_000] {
        let mut found = Vec::new();
        let is_met = wait_until(LIMIT, || {
            found = pages(&server, "topics", "after", limit).0;
            let pairs = found.iter().map(|one| {
                (one["topic"].as_str().unwrap().to_owned(), one["subscribers"].as_u64().unwrap())
            });
            pairs.collect::<Vec<_>>() == expected
        });
        assert!(is_met, "limit {limit}: {found:#?}");
        let bytes = |name: &str| {
            found.iter().find(|one| one["topic"] == name).unwrap()["retained_bytes"].as_u64()
        };
        assert!(bytes("kept").unwrap() >= 5 && bytes("all").is_some() && bytes("#").is_none());
    }
}

/// Few lists are made at a time. Those whose clients have left make room for others.
#[test]
fn lists_that_nobody_waits_for_keep_nobody_waiting() {
    let server = Administrated::start(&["--cores", &cores()]);
    for _ in 0..10 {
        for target in ["/connections?limit=1000", "/topics?limit=1000", "/connections"] {
            let mut stream = TcpStream::connect(server.admin).unwrap();
            let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
    }
    for target in ["/connections", "/topics"] {
        assert!(wait_until(LIMIT, || server.get(target).0 == "200"), "{target}");
    }
}

/// All that a loop answers in one turn is bounded, and everybody is answered.
#[test]
fn many_who_ask_at_once_are_all_answered() {
    let server = Administrated::start(&["--cores", &cores()]);
    let targets = ["/connections?limit=1000", "/topics", "/metrics", "/healthz"];
    thread::scope(|scope| {
        for number in 0..24 {
            let (target, server) = (targets[number % targets.len()], &server);
            scope.spawn(move || {
                assert!(wait_until(LIMIT, || server.get(target).0 == "200"), "{target}");
            });
        }
    });
}
