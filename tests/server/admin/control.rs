//! Orders, who may give them, and where.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::admin::page::{Administrated, ask, ask_on, status};
use crate::support::client::{Client, request};
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};
use crate::support::slow::SlowSubscriber;
use crate::support::wire::{BINARY, FIN, TEXT, frame, server_close};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn health_readiness_and_the_index() {
    let server = Administrated::start(&[]);
    assert_eq!(server.get("/healthz"), ("200".into(), "ok\n".into()));
    assert_eq!(server.get("/readyz"), ("200".into(), "ready\n".into()));
    let (status, index) = server.get("/");
    assert_eq!(status, "200");
    for page in ["/metrics", "/connections", "/topics", "/publish/", "/drain"] {
        assert!(index.contains(page), "{page}");
    }
    let mut client = Client::connect(server.admin);
    for method in ["GET", "HEAD", "GET"] {
        let (head, body) = ask_on(&mut client, method, "/metrics", "", b"");
        assert_eq!(head.status, "HTTP/1.1 200 OK");
        assert!(body.is_empty() == (method == "HEAD"), "one connection serves many requests");
    }
}

/// The public listener knows nothing of administration, and the admin listener serves nothing else.
#[test]
fn each_listener_serves_its_own() {
    let server = Administrated::start(&[]);
    for target in ["/metrics", "/readyz", "/connections", "/topics"] {
        let (status, body) = ask(server.addr(), "GET", target, "", b"");
        assert!(status != "200" && !body.contains("corecast_"), "{target}: {status} {body}");
    }
    for target in ["/drain", "/publish/a", "/connections/0-0-1/close"] {
        let (status, _) = ask(server.addr(), "POST", target, "", b"");
        assert!(["404", "405", "426"].contains(&&*status), "{target}: {status}");
    }
    assert_eq!(ask(server.addr(), "GET", "/healthz", "", b"").0, "200", "it still runs");
    let mut client = Client::connect(server.admin);
    client.send(&request(""));
    assert_eq!(client.read_head().status, "HTTP/1.1 404 Not Found");
    for (method, target, expected) in [
        ("GET", "/echo", "404"),
        ("GET", "/publish/a", "405"),
        ("GET", "/drain", "405"),
        ("POST", "/metrics", "405"),
        ("GET", "/connections/0-0-1/close", "405"),
        ("GET", "/connections/0-0-1", "404"),
    ] {
        assert_eq!(ask(server.admin, method, target, "", b"").0, expected, "{method} {target}");
    }
}

#[test]
fn a_connection_is_closed() {
    let server = Administrated::start(&[]);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::open(server.addr())).collect();
    let port = clients[1].stream().local_addr().unwrap().port();
    let peer = format!("127.0.0.1:{port}");
    let listed = server.connections();
    let id = listed.iter().find(|one| one["peer"] == peer).unwrap()["id"].as_str().unwrap();
    let (status, _) =
        server.post(&format!("/connections/{id}/close?code=4001&reason=go%20away"), b"");
    assert_eq!(status, "204");
    clients[1].expect(&server_close(4001, "go away"));
    for client in [0, 2] {
        clients[client].expect_alive();
    }
    // Its id is that of no other connection.
    clients.remove(1);
    assert!(wait_until(LIMIT, || server.connections().len() == 2));
    for wrong in [id, "7-0-1", "0-9999999-1", "x", ""] {
        let (status, body) = server.post(&format!("/connections/{wrong}/close"), b"");
        assert_eq!(status, "404", "{wrong}: {body}");
    }
    let other = server.connections()[0]["id"].as_str().unwrap().to_owned();
    for code in ["999", "1005", "5000", "x"] {
        let (status, _) = server.post(&format!("/connections/{other}/close?code={code}"), b"");
        assert_eq!(status, "400", "{code}");
    }
}

/// Who misspells a parameter would believe that it holds.
/// One that does not read is gone in the time of its answer, whatever waits for it.
#[test]
fn a_slow_reader_is_closed() {
    let server = Administrated::start(&[
        "--subscriber-queue",
        "64MiB",
        "--close-timeout",
        "1",
        "--stall-timeout",
        "600",
    ]);
    let mut slow = SlowSubscriber::start(server.addr());
    let queued = |connection: &Value| connection["queued_bytes"].as_u64().unwrap();
    let find = || server.connections().into_iter().find(|one| queued(one) > 8 << 20);
    slow.publish_until(|| find().is_some());
    let id = find().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/connections/{id}/close"), b"").0, "204");
    let is_there = || server.connections().iter().any(|one| one["id"] == *id);
    assert!(wait_until(LIMIT, || !is_there()));
    let waits = |(name, bytes): (&String, &f64)| name.contains("queued_bytes{") && *bytes > 0.0;
    assert!(!server.metrics().0.iter().any(waits), "nothing waits any more");
    slow.leave().expect_alive();
}

#[test]
fn parameters_that_are_not_known_are_refused() {
    let server = Administrated::start(&[]);
    for target in ["/publish/a?retain=true", "/publish/a?retain=2", "/publish/a?retian=1"] {
        assert_eq!(server.post(target, b"x").0, "400", "{target}");
    }
    for target in ["/drain?exit=yes", "/drain?exti=1", "/connections/0-0-1/close?cod=1"] {
        assert_eq!(server.post(target, b"").0, "400", "{target}");
    }
    for (target, expected) in [
        ("/connections?foo=1", "400"),
        ("/topics?from=a", "400"),
        ("/topics?after=a&limit=1", "200"),
        ("/metrics?foo=1", "200"),
        ("/readyz?foo=1", "200"),
    ] {
        let (status, body) = server.get(target);
        assert_eq!(status, expected, "{target}: {body}");
    }
    assert_eq!(server.post("/publish/a?retain=0", b"x").0, "204");
    assert_eq!(server.metrics().get("corecast_retained_values"), 0.0);
}

#[test]
fn messages_are_published() {
    let server = Administrated::start(&[]);
    let mut reader = Client::connect(server.addr());
    reader.open_at("/topics/a/%C3%A9?role=sub", "");
    assert_eq!(server.post("/publish/a/%C3%A9", "h\u{e9}".as_bytes()).0, "204");
    let frame = reader.read_frame();
    assert_eq!((frame.first, &*frame.payload), (FIN | TEXT, "h\u{e9}".as_bytes()));
    let octets = "Content-Type: application/octet-stream\r\n";
    assert_eq!(ask(server.admin, "POST", "/publish/a/%C3%A9?retain=1", octets, b"bin").0, "204");
    let frame = reader.read_frame();
    assert_eq!((frame.first, &*frame.payload), (FIN | BINARY, &b"bin"[..]));
    let mut late = Client::connect(server.addr());
    late.open_at("/topics/a/%C3%A9?role=sub", "");
    assert_eq!(late.read_frame().payload, b"bin");
    for (target, expected) in [("/publish/+", "400"), ("/publish/%ZZ", "400"), ("/publish/", "400")]
    {
        let (status, body) = server.post(target, b"x");
        assert!(status == expected && body.contains("\"error\""), "{target}: {status} {body}");
    }
}

/// It drains and stays, is not ready, and answers all the time; SIGTERM ends it.
#[test]
fn a_drained_server_stays_until_it_is_stopped() {
    let mut server = Administrated::start(&[]);
    let mut client = Client::open(server.addr());
    let mut kept = Client::connect(server.admin);
    assert_eq!(status(&ask_on(&mut kept, "GET", "/readyz", "", b"").0), "200");
    assert_eq!(server.post("/drain", b"").0, "202");
    client.expect(&server_close(1001, "server is stopping"));
    client.send(&frame(0x88, &[0x03, 0xe9]));
    assert_eq!(server.get("/readyz"), ("503".into(), "draining\n".into()));
    assert_eq!(status(&ask_on(&mut kept, "GET", "/readyz", "", b"").0), "503");
    assert_eq!(server.metrics().get("corecast_ready"), 0.0);
    let refused = || std::net::TcpStream::connect(server.server.addr()).is_err();
    assert!(wait_until(LIMIT, refused), "new clients are accepted");
    assert!(wait_until(LIMIT, || server.connections().is_empty()));
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.server.is_running() && server.get("/healthz").0 == "200");
    server.server.signal(Signal::TERM);
    let ended = server.server.wait(LIMIT).expect("an end");
    assert!(ended.success(), "{ended}");
}

/// The answer to the order is sent before the end.
#[test]
fn a_drain_may_end_the_process() {
    let mut server = Administrated::start(&[]);
    assert_eq!(server.post("/drain?exit=1", b"").0, "202");
    assert!(server.server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// While clients are waited for, the admin listener answers.
#[test]
fn metrics_are_there_while_clients_leave() {
    let mut server = Administrated::start(&[]);
    let client = Client::open(server.addr());
    server.server.signal(Signal::TERM);
    assert!(wait_until(LIMIT, || server.get("/readyz").0 == "503"));
    let app = "corecast_connections{protocol=\"websocket\",endpoint=\"app\",route=\"\"}";
    assert_eq!(server.metrics().get(app), 1.0);
    drop(client);
    assert!(server.server.wait(LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn without_a_token_it_has_to_be_local() {
    for place in ["0.0.0.0:0", "[::]:0"] {
        let args = ["serve", "--listen", "127.0.0.1:0", "--admin", place];
        let ended = run(command(&args), LIMIT);
        assert_eq!(ended.status.code(), Some(2), "{place}");
        let said = ended.stderr;
        assert!(said.contains("--admin-token-file") && said.contains("127.0.0.1"), "{said}");
    }
    let missing = ["serve", "--admin", "127.0.0.1:0", "--admin-token-file", "/nonexistent/token"];
    let ended = run(command(&missing), LIMIT);
    assert!(ended.stderr.contains("/nonexistent/token"), "{}", ended.stderr);
    let short = std::env::temp_dir().join(format!("corecast-short-token-{}", std::process::id()));
    let path = short.to_str().unwrap();
    for text in ["", "0123456789abcde\n"] {
        std::fs::write(&short, text).unwrap();
        let args = ["serve", "--admin", "127.0.0.1:0", "--admin-token-file", path];
        let ended = run(command(&args), LIMIT);
        let error = ended.error_line(1);
        assert!(error.contains(path) && error.contains("openssl rand"), "{error}");
    }
    std::fs::remove_file(&short).unwrap();
}

#[test]
fn a_token_is_asked_for_on_each_request() {
    let file = std::env::temp_dir().join(format!("corecast-token-{}", std::process::id()));
    std::fs::write(&file, "s3cret0123456789\n").unwrap();
    let path = file.to_str().unwrap();
    let args = ["--admin", "0.0.0.0:0", "--admin-token-file", path];
    let server = Server::start(&args);
    std::fs::remove_file(&file).unwrap();
    // Of the two listeners it is the only one that others can reach, and clients cannot use it.
    let warns = |part| server.log().iter().any(|line| line.contains("WARN") && line.contains(part));
    assert!(wait_until(LIMIT, || warns("admin listener has no TLS")), "{:#?}", server.log());
    assert!(!warns("beyond this machine"), "{:#?}", server.log());
    let port = server.admin().port();
    let admin = ([127, 0, 0, 1], port).into();
    let mut client = Client::connect(admin);
    for (header, expected) in [
        ("", "401"),
        ("Authorization: Bearer s3cret0123456789\r\n", "200"),
        ("Authorization: Bearer s3cre\r\n", "401"),
        ("Authorization: Bearer s3cret01234567892\r\n", "401"),
        ("Authorization: Basic s3cret0123456789\r\n", "401"),
        ("authorization: bearer  s3cret0123456789 \r\n", "200"),
        ("Authorization: s3cret0123456789\r\n", "401"),
    ] {
        for page in ["/metrics", "/healthz"] {
            let (head, body) = ask_on(&mut client, "GET", page, header, b"");
            assert_eq!(status(&head), expected, "{header}: {body}");
            assert!(!body.contains("s3cret0123456789"));
        }
    }
    let mut client = Client::connect(admin);
    let (head, _) = ask_on(&mut client, "POST", "/drain", "", b"");
    assert_eq!((status(&head), head.get("WWW-Authenticate")), ("401".into(), Some("Bearer")));
    assert!(
        server.log().iter().all(|line| !line.contains("s3cret0123456789")),
        "{:?}",
        server.log()
    );
}

/// SIGHUP has the file read again; a file that is missing or wrong changes nothing.
#[test]
fn the_token_is_read_again() {
    let file = std::env::temp_dir().join(format!("corecast-new-token-{}", std::process::id()));
    std::fs::write(&file, "first-0123456789").unwrap();
    let server = Administrated::start(&["--admin-token-file", file.to_str().unwrap()]);
    let is_served = |token: &str| {
        let header = format!("Authorization: Bearer {token}\r\n");
        ask(server.admin, "GET", "/healthz", &header, b"").0 == "200"
    };
    let lines = |part: &str| server.server.log().iter().filter(|it| it.contains(part)).count();
    assert!(is_served("first-0123456789") && !is_served("second-0123456789"));
    std::fs::write(&file, "second-0123456789").unwrap();
    server.server.signal(Signal::HUP);
    assert!(wait_until(LIMIT, || lines("token was read again") == 1), "{:#?}", server.server.log());
    assert!(is_served("second-0123456789") && !is_served("first-0123456789"));
    std::fs::write(&file, "two words, long enough").unwrap();
    server.server.signal(Signal::HUP);
    assert!(wait_until(LIMIT, || lines("token stays") == 1), "{:#?}", server.server.log());
    std::fs::remove_file(&file).unwrap();
    server.server.signal(Signal::HUP);
    assert!(wait_until(LIMIT, || lines("token stays") == 2), "{:#?}", server.server.log());
    assert!(is_served("second-0123456789") && !is_served("two words, long enough"));
}

/// A page in a browser of the same machine can send requests, and can have a name of its own that
/// leads to this address.
#[test]
fn pages_in_browsers_may_not_ask() {
    let server = Administrated::start(&[]);
    let origin = "Origin: https://example.org\r\n";
    assert_eq!(ask(server.admin, "POST", "/drain", origin, b"").0, "403");
    let mut client = Client::connect(server.admin);
    client.send(b"GET /connections HTTP/1.1\r\nHost: example.org:80\r\n\r\n");
    assert_eq!(status(&client.read_head()), "403");
    assert_eq!(server.get("/readyz").0, "200");
}

#[test]
fn a_socket_file_is_local() {
    let path = std::env::temp_dir().join(format!("corecast-admin-{}", std::process::id()));
    let place = format!("unix:{}", path.display());
    let server = Server::start(&["--admin", &place]);
    let mut client = Client::connect_unix(&path);
    let (head, body) = ask_on(&mut client, "GET", "/connections", "", b"");
    assert_eq!(status(&head), "200");
    assert!(body.contains("\"peer\":null"), "{body}");
    drop(server);
    let _ = Command::new("true").status();
    let _ = std::fs::remove_file(&path);
}
