//! The command: the effect of the flags, the start line, and stopping.

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::client::{ACCEPT, Client, End, Head, request};
use support::server::{Finished, Server, command, run};
use support::wire::{self, BINARY, FIN, TEXT};

/// The close code and reason that every client gets when the server stops.
const GOING_AWAY: (u16, &str) = (1001, "server is stopping");
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs the command with `args`; it must end by itself.
fn finished(args: &[&str]) -> Finished {
    run(command(args), Duration::from_secs(5))
}

#[test]
fn help_and_version_are_no_errors() {
    let help = finished(&["--help"]);
    assert!(help.status.success() && help.stderr.is_empty(), "{help:?}");
    assert!(help.stdout.contains("serve") && help.stdout.contains("probe"), "{help:?}");
    let serve = finished(&["serve", "--help"]);
    assert!(serve.status.success(), "{serve:?}");
    for flag in [
        "--listen",
        "--cores",
        "--max-message",
        "--no-deflate",
        "--allow-origin",
        "--ping-after",
        "--idle-timeout",
        "--log-format",
    ] {
        assert!(serve.stdout.contains(flag), "{flag} is not in {}", serve.stdout);
    }
    let version = finished(&["--version"]);
    assert_eq!(version.stdout, format!("corecast {}\n", env!("CARGO_PKG_VERSION")));
}

/// A reader of the output may have ended, and a disk may be full: no panic, and an exit code that
/// says what would have been said.
#[test]
fn an_output_that_is_closed_or_full_causes_no_panic() {
    let closed = || {
        let (own, _) = std::os::unix::net::UnixStream::pair().unwrap();
        std::process::Stdio::from(std::os::fd::OwnedFd::from(own))
    };
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for (args, code, if_full) in [
        (&["probe"][..], 0, 1),
        (&["default-config"], 0, 1),
        (&["--help"], 0, 1),
        (&["serve", "--print-config"], 0, 1),
        (&["serve", "--bogus"], 2, 2),
        (&["serve", "--max-message", "x"], 2, 2),
        (&["check-config", "/nonexistent"], 2, 2),
        (&["top", "--once", "--admin", "127.0.0.1:1"], 1, 1),
    ] {
        let mut of_closed = command(args);
        let of_closed = of_closed.stdout(closed()).stderr(closed()).status().unwrap();
        let mut of_full = command(args);
        let of_full = of_full.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!((of_closed.code(), of_full.code()), (Some(code), Some(if_full)), "{args:?}");
    }
}

/// The table of flags in README is that of the command.
#[test]
fn the_readme_lists_every_flag() {
    let readme = include_str!("../README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `--")).collect();
    let help = finished(&["serve", "--help"]).stdout;
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let flags: Vec<&str> = flags.filter_map(|line| line.split([' ', ',']).next()).collect();
    assert!(flags.len() > 20, "{flags:?}");
    for flag in flags {
        let forms = [format!("`--{flag} "), format!("`--{flag}`")];
        let names = |row: &&str| {
            let first = row.split(" | ").next().unwrap_or_default();
            forms.iter().any(|form| first.contains(form))
        };
        assert!(rows.iter().any(names), "--{flag} is in no row");
    }
}

/// The status of the answer of an admin listener, and the body.
fn administer(admin: SocketAddr, request: &str) -> (String, String) {
    let mut client = Client::connect(admin);
    client.send(format!("{request} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes());
    let status = client.read_head().status.split(' ').nth(1).unwrap().to_owned();
    let (body, _) = client.read_to_end(Duration::from_secs(20));
    (status, String::from_utf8(body).unwrap())
}

/// Each request of the table in README to the admin listener is answered as it says.
#[test]
fn the_requests_of_the_readme_are_answered() {
    let server = Server::start(&["--admin", "127.0.0.1:0"]);
    let _client = Client::open(server.addr());
    let admin = server.admin();
    let (_, page) = administer(admin, "GET /connections");
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let mut all = page["connections"].as_array().unwrap().iter();
    let id = all.find(|one| one["endpoint"] == "app").unwrap()["id"].as_str().unwrap();
    let section = include_str!("../README.md").split("### Metrics and the admin listener\n").nth(1);
    let (_, table) = section.unwrap().split_once("| request | answer |\n").unwrap();
    let rows: Vec<&str> = table.lines().skip(1).take_while(|row| row.starts_with('|')).collect();
    assert!(rows.len() >= 8 && rows[0].contains("GET /metrics"), "{rows:?}");
    for row in rows {
        let (request, answer) = row[2..].split_once(" | ").unwrap();
        // The first page.
        let request = request.trim_matches('`').replace("&from=NEXT", "");
        let request = request.replace("&after=NEXT", "").replace("<id>", id);
        let expected = answer.get(..3).filter(|code| code.parse::<u16>().is_ok()).unwrap_or("200");
        let (status, body) = administer(admin, &request.replace("<topic>", "news/today"));
        assert_eq!(status, expected, "{request}: {body}");
    }
    assert_eq!(administer(admin, "GET /nothing").0, "404");
}

#[test]
fn the_start_line_has_addresses_and_settings() {
    let server = Server::start(&["--cores", "0", "--max-message", "64KiB"]);
    let log = server.log();
    assert_eq!(log.len(), 1, "{log:?}");
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let address = format!("listening on {}", server.addr());
    for part in [&address, "cores=0 ", "max_message=65536", &kernel, env!("CARGO_PKG_VERSION")] {
        assert!(log[0].contains(part), "{part} is not in {}", log[0]);
    }
}

#[test]
fn the_start_line_can_be_json() {
    let server = Server::start(&["--log-format", "json"]);
    let line = server.log().remove(0);
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    for part in ["\"level\":\"INFO\"", "\"message\":\"", &format!("{}\"", server.addr())] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn all_given_addresses_are_served() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let line = server.log().remove(0);
    let list = line.split_once("listening on ").unwrap().1;
    let addresses: Vec<SocketAddr> =
        list.split([',', ' ']).filter_map(|part| part.parse().ok()).collect();
    assert_eq!(addresses.len(), 2, "{line}");
    assert_ne!(addresses[0], addresses[1]);
    for address in addresses {
        Client::open(address).close();
    }
}

#[test]
fn probe_prints_the_features_of_the_kernel() {
    let end = finished(&["probe"]);
    assert!(end.status.success(), "{end:?}");
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    assert!(end.stdout.contains(&format!("kernel: {kernel}\n")), "{end:?}");
    assert!(end.stdout.contains("io_uring: will be used"), "{end:?}");
    assert!(end.stdout.contains("features: single_issuer"), "{end:?}");
    assert!(end.stdout.contains("epoll: can be used, and will be with --backend"), "{end:?}");
}

#[test]
fn the_start_line_names_the_backend() {
    for (backend, name) in [("uring", "io_uring"), ("epoll", "epoll")] {
        let server = Server::start(&["--backend", backend]);
        Client::open(server.addr()).close();
        let log = server.log().join("\n");
        assert!(log.contains(&format!("backend=\"{name}\"")), "{log}");
        assert_eq!(log.contains("io_uring=single_issuer"), backend == "uring", "{log}");
        assert!(!log.contains("WARN"), "{log}");
    }
}

#[test]
fn max_message_is_enforced() {
    let server = Server::start(&["--max-message", "100"]);
    let mut client = Client::open(server.addr());
    client.send(&wire::frame(FIN | BINARY, &[7; 100]));
    client.expect(&wire::unmasked(FIN | BINARY, &[7; 100]));
    client.send(&wire::frame(FIN | BINARY, &[7; 101]));
    client.expect_end(&wire::server_close(1009, "message above the size limit"));
}

#[test]
fn compression_is_negotiated_unless_the_flag_forbids_it() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let answer = |args: &[&str]| {
        let server = Server::start(args);
        let (client, head) = Client::open_with(server.addr(), offer);
        client.close();
        head.get("Sec-WebSocket-Extensions").map(str::to_owned)
    };
    assert!(answer(&[]).unwrap().starts_with("permessage-deflate"));
    assert_eq!(answer(&["--no-deflate"]), None);
}

/// The status of a handshake with this Origin header.
fn status_for_origin(addr: SocketAddr, origin: &str) -> u16 {
    let mut client = Client::connect(addr);
    client.send(&request(&format!("Origin: {origin}\r\n")));
    let head: Head = client.read_head();
    let status = head.status.split(' ').nth(1).unwrap().parse().unwrap();
    if status == 101 {
        assert_eq!(head.get("Sec-WebSocket-Accept"), Some(ACCEPT));
    } else {
        let (_, end) = client.read_to_end(AT_ONCE);
        assert_eq!(end, End::Fin, "after {status}");
    }
    status
}

#[test]
fn only_allowed_origins_connect() {
    let allow = ["--allow-origin", "https://good.example", "--allow-origin", "http://b:8080"];
    let server = Server::start(&allow);
    for origin in ["https://good.example", "http://b:8080"] {
        assert_eq!(status_for_origin(server.addr(), origin), 101, "{origin}");
    }
    for origin in [
        "null",
        "http://good.example",
        "https://good.example:443",
        "https://good.example.evil.example",
        "https://evil-good.example",
        "https://good.example/",
        "https://sub.good.example",
        "https://evil.example/https://good.example",
        "http://b",
        "http://b:80801",
        "http://127.0.0.1",
        "good.example",
    ] {
        assert_eq!(status_for_origin(server.addr(), origin), 403, "{origin}");
    }
    // Clients other than browsers send no Origin.
    Client::open(server.addr()).close();
}

#[test]
fn without_the_flag_or_with_a_star_every_origin_connects() {
    for flags in [&[][..], &["--allow-origin", "*"]] {
        let server = Server::start(flags);
        for origin in ["null", "https://anywhere.example", "http://127.0.0.1:1"] {
            assert_eq!(status_for_origin(server.addr(), origin), 101, "{origin} with {flags:?}");
        }
    }
}

#[test]
fn sigterm_closes_all_with_1001_and_exits_with_0() {
    stops_gently(Signal::TERM);
}

#[test]
fn sigint_closes_all_with_1001_and_exits_with_0() {
    stops_gently(Signal::INT);
}

fn stops_gently(signal: Signal) {
    let mut server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..50).map(|_| Client::open(server.addr())).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        // Some connections are idle, some in the middle of a message.
        if i % 2 == 0 {
            client.send(&wire::cut_short(FIN | TEXT, 1_000, b"unfinished"));
        }
        if i % 5 == 0 {
            client.send(&wire::frame(wire::CONTINUATION, b"")[..1]);
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    server.signal(signal);
    for client in &mut clients {
        client.expect(&wire::server_close(GOING_AWAY.0, GOING_AWAY.1));
    }
    assert!(start.elapsed() < AT_ONCE, "all were closed only after {:?}", start.elapsed());
    // New connections are not accepted any more, or those that still were are refused.
    if let Ok(stream) = TcpStream::connect(server.addr()) {
        let mut late = Client::from_stream(stream);
        let _ = rustix::net::send(late.stream(), &request(""), rustix::net::SendFlags::NOSIGNAL);
        let (bytes, end) = late.read_to_end(AT_ONCE);
        let is_refused = bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 503 ");
        assert!(is_refused && end != End::Open, "{end:?} for a late comer");
    }
    for client in clients {
        drop(client);
    }
    let status = server.wait(Duration::from_secs(10)).expect("an end within 10 s");
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

#[test]
fn the_closing_handshake_ends_each_connection_while_stopping() {
    let mut server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(server.addr())).collect();
    server.signal(Signal::TERM);
    for client in &mut clients {
        client.expect(&wire::server_close(GOING_AWAY.0, GOING_AWAY.1));
        client.send(&wire::close(1001, ""));
        client.expect_end(b"");
    }
    assert_eq!(server.wait(AT_ONCE).and_then(|status| status.code()), Some(0));
}

#[test]
fn messages_received_before_the_signal_are_answered_completely() {
    let mut server = Server::start(&[]);
    let message = vec![b'm'; 200_000];
    let (frame, echo) = (wire::frame(FIN | TEXT, &message), wire::unmasked(FIN | TEXT, &message));
    let mut clients: Vec<Client> = (0..8).map(|_| Client::open(server.addr())).collect();
    for client in &mut clients {
        client.send(&frame);
    }
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::TERM);
    for client in &mut clients {
        client.expect(&echo);
        client.expect(&wire::server_close(GOING_AWAY.0, GOING_AWAY.1));
    }
    drop(clients);
    assert_eq!(server.wait(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
}

#[test]
fn clients_that_do_not_close_are_cut_within_10_seconds() {
    let mut server = Server::start(&[]);
    let mut silent: Vec<Client> = (0..5).map(|_| Client::open(server.addr())).collect();
    let half_open = TcpStream::connect(server.addr()).unwrap();
    let mut full = Client::open(server.addr());
    // This client sends and never reads: replies are queued for it, and the close frame after them.
    let frame = wire::frame(FIN | BINARY, &vec![1; 60_000]);
    full.stream().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    full.send_in_steps(&frame.repeat(500), 60_000);
    let start = Instant::now();
    server.signal(Signal::TERM);
    for client in &mut silent {
        client.expect(&wire::server_close(GOING_AWAY.0, GOING_AWAY.1));
    }
    let status = server.wait(Duration::from_secs(11)).expect("an end within 10 s and a bit");
    assert_eq!(status.code(), Some(0), "after {:?}", start.elapsed());
    drop((silent, half_open, full));
}

#[test]
fn without_connections_a_signal_ends_it_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let start = Instant::now();
        server.signal(signal);
        let status = server.wait(AT_ONCE).expect("an end at once");
        assert_eq!(status.code(), Some(0), "{signal:?}: {status}");
        assert!(start.elapsed() < Duration::from_millis(500), "took {:?}", start.elapsed());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut server = Server::start(&[]);
        let mut silent = Client::open(server.addr());
        server.signal(signal);
        silent.expect(&wire::server_close(GOING_AWAY.0, GOING_AWAY.1));
        std::thread::sleep(Duration::from_millis(100));
        assert!(server.is_running(), "it waits for the client");
        let start = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait(AT_ONCE).and_then(|status| status.code()), Some(code));
        let last = server.log().pop().unwrap();
        assert!(last.contains("WARN a second signal; ended at once"), "{last}");
        assert!(start.elapsed() < Duration::from_millis(300), "took {:?}", start.elapsed());
    }
}
