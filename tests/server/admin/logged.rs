//! Lines of the log: refusals, abnormal ends, and requests if that is asked for.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::admin::page::{Administrated, ask};
use crate::support::client::{Client, request, request_to};
use crate::support::host::{unread, wait_until};
use crate::support::server::{Server, command, run};
use crate::support::slow::SlowSubscriber;
use crate::support::wire::{self, BINARY, FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(20);

fn await_line(server: &Server, parts: &[&str]) -> String {
    let find =
        || server.log().into_iter().find(|line| parts.iter().all(|part| line.contains(part)));
    assert!(wait_until(LIMIT, || find().is_some()), "{parts:?} in {:#?}", server.log());
    find().unwrap()
}

/// Each kind has a line of its own, with the client. Many of a kind have one each second.
#[test]
fn refusals_and_violations_have_their_causes_and_clients() {
    let server = Administrated::start(&["--max-message", "1KiB"]);
    for _ in 0..30 {
        let mut client = Client::connect(server.addr());
        client.send(&request("Sec-WebSocket-Key: again\r\n"));
        assert!(client.read_head().status.contains("400"));
    }
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | TEXT, b"\xffsecret"));
    client.read_to_end(LIMIT);
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | BINARY, &[0; 2_000]));
    client.read_to_end(LIMIT);
    let server = &server.server;
    await_line(server, &["refused", "status=400", "client=127.0.0.1"]);
    await_line(server, &["broke a rule", "code=1007", "client=127.0.0.1"]);
    await_line(server, &["broke a rule", "code=1009", "client=127.0.0.1"]);
    let refused = || {
        let lines = server.log().into_iter().filter(|line| line.contains("status=400"));
        let connections = lines.map(|line| {
            let count = line.split_once("connections=").unwrap().1;
            count.split(' ').next().unwrap().parse::<u32>().unwrap()
        });
        connections.collect::<Vec<_>>()
    };
    assert!(wait_until(LIMIT, || refused().iter().sum::<u32>() == 30), "{:?}", refused());
    assert!(refused().len() < 15, "{:?}", refused());
    assert!(server.log().iter().all(|line| !line.contains("secret")));
}

/// The lines with all of these parts.
fn lines_with(server: &Server, parts: &[&str]) -> Vec<String> {
    let lines = server.log().into_iter();
    lines.filter(|line| parts.iter().all(|part| line.contains(part))).collect()
}

/// Who finds no place has one line with the limit, which differs, and the address.
#[test]
fn refusals_for_want_of_a_place_have_one_line() {
    for (flag, status, cause) in [
        ("--max-connections", "503", "The server is full"),
        ("--max-connections-per-address", "429", "Your address has too many connections"),
    ] {
        let server = Administrated::start(&[flag, "1"]);
        let mut first = Client::open(server.addr());
        let mut second = Client::connect(server.addr());
        second.send(&request(""));
        let head = second.read_head();
        assert_eq!(head.status.split(' ').nth(1), Some(status));
        let wanted = format!("status={status}");
        let line = await_line(&server.server, &["refused", &wanted, "client=127.0.0.1"]);
        assert!(line.contains(cause) && line.contains("connections=1 "), "{line}");
        first.expect_alive();
        first.close();
        drop(second);
        // What comes later is behind it in the log.
        server.server.signal(Signal::TERM);
        await_line(&server.server, &["stopped"]);
        assert_eq!(lines_with(&server.server, &["refused", "status="]), [line]);
    }
}

/// So has a subscriber that does not read.
/// Clients that are silent for too long, and those that do not answer a ping, are told apart.
#[test]
fn clients_that_are_not_heard_of_are_counted_by_cause() {
    let (idle, dead) = (["--idle-timeout", "1"], ["--ping-after", "1", "--pong-timeout", "1"]);
    for (args, cause) in [(&idle[..], "idle"), (&dead[..], "no_pong")] {
        let server = Administrated::start(args);
        let mut client = Client::open(server.addr());
        client.read_to_end(LIMIT);
        let name = format!("corecast_closed_connections_total{{cause=\"{cause}\",code=\"1001\"}}");
        assert!(wait_until(LIMIT, || server.metrics().get(&name) == 1.0), "{cause}");
        if cause == "no_pong" {
            await_line(&server.server, &["closed by the server", "code=1001", "no pong in time"]);
        }
    }
}

#[test]
fn slow_readers_have_one_line() {
    let server = Administrated::start(&["--subscriber-queue", "64KiB"]);
    let mut slow = SlowSubscriber::start(server.addr());
    slow.publish_until(|| server.connections().iter().any(|one| one["state"] == "closing"));
    let writer = slow.leave();
    let parts = ["closed by the server", "code=1013", "client=127.0.0.1"];
    let line = await_line(&server.server, &parts);
    assert!(line.contains("reads too slowly") && line.contains("connections=1 "), "{line}");
    writer.close();
    server.server.signal(Signal::TERM);
    await_line(&server.server, &["stopped"]);
    assert_eq!(lines_with(&server.server, &["closed by the server"]), [line]);
}

/// What is done by order of an administrator has a line with what it was, and who has said so.
#[test]
fn orders_have_a_line_each() {
    let mut all = Administrated::start(&[]);
    let mut client = Client::open(all.addr());
    let id = all.connections()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(all.post(&format!("/connections/{id}/close?code=4001"), b"").0, "204");
    client.expect(&wire::server_close(4001, "closed by the operator"));
    assert_eq!(all.post("/connections/0-9999-1/close", b"").0, "404");
    assert_eq!(all.post("/drain?exit=2", b"").0, "400");
    assert_eq!(all.post("/drain", b"").0, "202");
    let text = "a connection is closed by the admin listener";
    let line = await_line(&all.server, &[text, "code=4001", "client=127.0.0.1"]);
    assert!(line.contains(&format!(" id={id} ")), "{line}");
    let told = "told to drain by the admin listener";
    await_line(&all.server, &[told, "exit=false", "client=127.0.0.1"]);
    assert_eq!(all.post("/drain?exit=1", b"").0, "202");
    await_line(&all.server, &[told, "exit=true"]);
    drop(client);
    assert!(all.server.wait(LIMIT).is_some_and(|status| status.success()));
    assert_eq!(lines_with(&all.server, &["by the admin listener"]).len(), 3);
}

#[test]
fn requests_are_logged_if_that_is_asked_for() {
    let server = Server::start(&["--access-log"]);
    ask(server.addr(), "GET", "/healthz?token=s3cret", "", b"");
    let mut client = Client::connect(server.addr());
    client.open_at("/topics/a?role=both&access_token=s3cret", "");
    client.close();
    let mut client = Client::connect(server.addr());
    client.send(&request_to("/topics/+?token=s3cret", ""));
    client.read_head();
    await_line(&server, &["request", "GET", "path=\"/healthz\"", "status=200", "client=127.0.0.1"]);
    let line = await_line(&server, &["request", "path=\"/topics/a\"", "status=101"]);
    // The end can be told to be that of this request.
    let id =
        line.split(' ').find(|word| word.starts_with("id=\"0-") || word.starts_with("id=\"1-"));
    await_line(&server, &[" closed id=", id.unwrap(), "code=\"1000\""]);
    await_line(&server, &["request", "path=\"/topics/+\"", "status=400"]);
    await_line(&server, &["closed", "cause=\"peer\"", "code=\"1000\""]);
    let mut client = Client::open(server.addr());
    client.send(&wire::close(4321, ""));
    await_line(&server, &["closed", "cause=\"peer\"", "code=\"4321\""]);
    assert!(server.log().iter().all(|line| !line.contains("s3cret")), "{:#?}", server.log());
    let quiet = Server::start(&[]);
    ask(quiet.addr(), "GET", "/healthz", "", b"");
    assert!(quiet.log().iter().all(|line| !line.contains("/healthz")));
}

#[test]
fn the_level_is_that_of_the_flag_or_of_the_variable() {
    // Without its start line a server says nothing, so its address has to be known.
    let info = Server::start(&["--log-level", "info,corecast::access=off", "--access-log"]);
    ask(info.addr(), "GET", "/healthz", "", b"");
    let mut with_variable = command(&["serve", "--listen", "127.0.0.1:0"]);
    with_variable.env("RUST_LOG", "corecast=trace,info");
    let trace = Server::spawn(with_variable);
    ask(trace.addr(), "GET", "/healthz", "", b"");
    await_line(&trace, &["TRACE", "closed"]);
    assert!(info.log().iter().all(|line| !line.contains("TRACE") && !line.contains("/healthz")));
    let mut wrong = command(&["serve", "--listen", "127.0.0.1:0"]);
    wrong.env("RUST_LOG", "loud");
    await_line(&Server::spawn(wrong), &["WARN", "RUST_LOG"]);
}

/// Nobody reads standard error. A start that fails has told so much, and ends all the same.
#[test]
fn an_error_at_the_end_waits_for_nobody() {
    let args = ["serve", "--listen", "203.0.113.1:9"];
    let done = run(command(&args), LIMIT);
    assert!(done.error_line(1).contains("203.0.113.1:9"), "{done:?}");
    let (_reader, full) = unread();
    let mut server = command(&args);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full);
    let mut server = server.spawn().unwrap();
    let mut status = None;
    let has_ended = wait_until(LIMIT, || {
        status = server.try_wait().unwrap();
        status.is_some()
    });
    let _ = server.kill();
    assert!(has_ended, "it waits for somebody to read");
    assert_eq!(status.and_then(|status| status.code()), Some(1));
}

/// A server, and the folder of its sockets. Nobody reads what it says.
struct Unread(Child, PathBuf);

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

/// Standard error is a pipe that nobody reads, and there is much to log.
#[test]
fn a_log_that_is_not_read_stops_nobody() {
    const AT_ONCE: usize = 500;
    let name = format!("corecast-unread-log-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let [clients, admin] = ["clients", "admin"].map(|name| folder.join(name));
    let listens = [&clients, &admin].map(|path| format!("unix:{}", path.display()));
    let flags = ["serve", "--access-log", "--listen", &listens[0], "--admin", &listens[1]];
    let mut serve = command(&flags);
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Unread(serve.spawn().unwrap(), folder);
    assert!(wait_until(LIMIT, || UnixStream::connect(&admin).is_ok()));
    let mut client = Client::connect_unix(&clients);
    let one = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100));
    // Some 2 MiB of lines: more than a pipe and the queue hold.
    for _ in 0..10_000 / AT_ONCE {
        client.send(one.repeat(AT_ONCE).as_bytes());
        for _ in 0..AT_ONCE {
            let head = client.read_head();
            client.read_bytes(head.get("Content-Length").unwrap().parse().unwrap());
        }
    }
    let mut metrics = Client::connect_unix(&admin);
    metrics.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (text, _) = metrics.read_to_end(LIMIT);
    let text = String::from_utf8(text).unwrap();
    let lost = text.lines().find_map(|line| line.strip_prefix("corecast_lost_log_lines_total "));
    assert!(lost.is_some_and(|lost| lost != "0"), "{lost:?}");
    rustix::process::kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
    assert!(wait_until(LIMIT, || server.0.try_wait().unwrap().is_some()));
}
