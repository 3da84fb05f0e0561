//! A restart under load: no client is refused, reset before its handshake, or answered with an
//! error. `CORECAST_RESTARTS` is the number of restarts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::life::LIMIT;
use crate::support::client::{Client, request};
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};
use crate::support::wire::{FIN, TEXT, frame, server_close};

const CLIENTS: usize = 8;

fn restarts(usual: usize) -> usize {
    let given = std::env::var("CORECAST_RESTARTS").ok();
    given.map_or(usual, |text| text.parse().expect("a number of restarts"))
}

/// A path in a folder of its own, which is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    opened: AtomicUsize,
    echoed: AtomicUsize,
    told: AtomicUsize,
}

/// Connects, opens a WebSocket and has one message echoed. An error is one that a restart must not
/// cause.
fn visit(addr: SocketAddr, seen: &Seen) -> Result<(), String> {
    let told = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let mut stream = TcpStream::connect(addr).map_err(told("connect"))?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&request("")).map_err(told("request"))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        let count = stream.read(&mut buffer).map_err(told("answer"))?;
        bytes.extend_from_slice(&buffer[..count]);
        match bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None if count == 0 => return Err("an end before the answer".to_owned()),
            None => {}
        }
    };
    if !bytes.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&bytes).into_owned());
    }
    seen.opened.fetch_add(1, Ordering::Relaxed);
    // From here on the server may close at any time; a client would connect again.
    bytes.drain(..end);
    let _ = stream.write_all(&frame(FIN | TEXT, b"hello"));
    while bytes.len() < 7 {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            Ok(0) | Err(_) => break,
        }
    }
    match bytes.first() {
        Some(0x81) => seen.echoed.fetch_add(1, Ordering::Relaxed),
        Some(0x88) => seen.told.fetch_add(1, Ordering::Relaxed),
        first => return Err(format!("neither an echo nor a close frame: {first:?}")),
    };
    Ok(())
}

/// Restarts with `args`, one after the other, while clients come and go. Returns the last server.
fn restart_under_load(path: &str, count: usize, args: &[&[&str]]) -> Server {
    let start = |number: usize| {
        let args = args[number % args.len()];
        // Some clients do not answer the close frame.
        Server::start(&[args, &["--handover", path, "--close-timeout", "1"]].concat())
    };
    let mut server = start(0);
    let (addr, stop, seen) = (server.addr(), AtomicBool::new(false), Seen::default());
    let idle: Vec<Client> = (0..4).map(|_| Client::open(addr)).collect();
    let faults: Vec<String> = thread::scope(|scope| {
        let load = || {
            while !stop.load(Ordering::Relaxed) {
                visit(addr, &seen)?;
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        for number in 1..=count {
            let opened = seen.opened.load(Ordering::Relaxed);
            let successor = start(number);
            assert_eq!(successor.addr(), addr);
            let status = server.wait(LIMIT).expect("an end of the predecessor");
            assert!(status.success(), "{status}: {:?}", server.log());
            server = successor;
            let goes_on = || seen.opened.load(Ordering::Relaxed) >= opened + 50;
            let is_over = || clients.iter().any(thread::ScopedJoinHandle::is_finished);
            assert!(wait_until(LIMIT, || goes_on() || is_over()), "{seen:?}");
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().filter_map(|client| client.join().unwrap().err()).collect()
    });
    assert!(faults.is_empty(), "{faults:?} {seen:?}");
    eprintln!("{count} restarts: {seen:?}");
    for mut client in idle {
        client.expect(&server_close(1001, "server is stopping"));
    }
    server
}

#[test]
fn a_restart_refuses_nobody() {
    let folder = Folder::new("handover");
    let path = folder.path("s");
    let mut server = restart_under_load(&path, restarts(5), &[&["--loops-per-core", "2"]]);
    assert!(Path::new(&path).exists(), "the last server waits for a successor");
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    assert!(!Path::new(&path).exists());
    assert!(TcpStream::connect(server.addr()).is_err(), "nobody listens any more");
}

/// With more loops, with fewer, and with the other interface of the kernel.
#[test]
fn a_successor_may_have_other_settings() {
    let folder = Folder::new("handover-other");
    let args: &[&[&str]] = &[
        &["--loops-per-core", "1"],
        &["--loops-per-core", "3", "--backend", "epoll"],
        &["--loops-per-core", "2", "--backend", "auto"],
    ];
    let mut server = restart_under_load(&folder.path("s"), 3, args);
    let log = server.log();
    let start = log.iter().find(|line| line.contains("listening on ")).unwrap();
    assert_eq!(start.matches(&server.addr().to_string()).count(), 1, "{start}");
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// The file of a socket belongs to the server that listens.
#[test]
fn unix_sockets_and_the_admin_listener_are_handed_over() {
    let folder = Folder::new("handover-unix");
    let (path, socket) = (folder.path("s"), folder.path("clients"));
    let listen = format!("unix:{socket}");
    let args = ["--handover", &path, "--listen", &listen, "--admin", "127.0.0.1:0"];
    // Clients wait for as long as a successor takes to start.
    let args = [&args[..], &["--handshake-timeout", "60", "--drain-timeout", "60"]].concat();
    let mut server = Server::start(&args);
    let admin = server.admin();
    for _ in 0..3 {
        let mut client = Client::connect_unix(Path::new(&socket));
        let successor = Server::start(&args);
        // Accepted by one of them, and served in any case.
        client.open_at("/", "");
        assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
        server = successor;
        assert_eq!(server.admin(), admin);
        assert_eq!(crate::life::ask(admin, "GET", "/readyz"), (200, "ready\n".to_owned()));
        let mut client = Client::connect_unix(Path::new(&socket));
        client.open_at("/", "");
        client.close();
    }
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    assert!(!Path::new(&socket).exists());
}

/// A successor that cannot start changes nothing.
#[test]
fn a_successor_that_fails_leaves_all_as_it_is() {
    let folder = Folder::new("handover-fails");
    let (path, socket) = (folder.path("s"), folder.path("clients"));
    let listen = format!("unix:{socket}");
    let all = ["--handover", &path, "--listen", &listen];
    let mut server = Server::start(&all);
    let mut client = Client::open(server.addr());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    let args = [&["serve", "--listen", "127.0.0.1:0", "--handover", &path], &all[2..]].concat();
    let end = run(command(&[&args[..], &["--listen", &other]].concat()), LIMIT);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let says = || server.log().iter().any(|line| line.contains("has not taken over"));
    assert!(wait_until(LIMIT, says), "{:?}", server.log());
    client.expect_alive();
    Client::open(server.addr()).close();
    let visit = || Client::connect_unix(Path::new(&socket)).open_at("/", "");
    visit();
    // What speaks another language is sent away.
    let mut stranger = UnixStream::connect(&path).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(stranger.read(&mut [0; 10]), Ok(0) | Err(_)));
    let mut successor = Server::start(&all);
    assert_eq!(successor.addr(), server.addr());
    client.expect(&server_close(1001, "server is stopping"));
    drop(client);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    visit();
    successor.signal(Signal::TERM);
    assert!(successor.wait(LIMIT).is_some_and(|status| status.success()));
    assert!(!Path::new(&socket).exists());
}

/// What the old server has listened on is closed with it, so a mistyped address is an outage.
#[test]
fn both_sides_say_what_is_handed_over_and_what_is_not() {
    let folder = Folder::new("handover-left");
    let (path, socket) = (folder.path("s"), folder.path("clients"));
    let listen = format!("unix:{socket}");
    let mut server =
        Server::start(&["--handover", &path, "--listen", &listen, "--admin", "127.0.0.1:0"]);
    let admin = server.admin();
    let successor = Server::start(&["--handover", &path]);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    let said = |of: &Server, parts: &[&str]| {
        let has = || of.log().iter().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(wait_until(LIMIT, has), "{parts:?} is not in {:#?}", of.log());
    };
    said(&server, &["INFO", "handed over", &format!("process={}", successor.pid())]);
    said(&successor, &["INFO", "took over", &format!("process={}", server.pid())]);
    for place in [&listen, &admin.to_string()] {
        said(&successor, &["WARN", place, "nobody listens there any more"]);
    }
    let warned = successor.log().iter().filter(|line| line.contains("nobody listens")).count();
    assert_eq!(warned, 2, "{:?}", successor.log());
}

/// What connects and says nothing does not hold a successor up for long.
#[test]
fn a_mute_connection_is_not_waited_for() {
    let folder = Folder::new("handover-mute");
    let path = folder.path("s");
    let args = ["--handover", &path];
    let mut server = Server::start(&args);
    let _mute = UnixStream::connect(&path).unwrap();
    let successor = Server::start(&args);
    assert_eq!(successor.addr(), server.addr());
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// Speaks as a successor does, up to the last message of the predecessor.
fn take_sockets(path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"ccH1").unwrap();
    let mut record = [0; 512];
    while !record.starts_with(b"end\0") {
        stream.read_exact(&mut record).expect("a further message");
    }
    stream
}

/// A start may take longer than a predecessor waits for a word.
#[test]
fn a_successor_may_say_that_it_starts() {
    let folder = Folder::new("handover-slow");
    let path = folder.path("s");
    let mut server = Server::start(&["--handover", &path]);
    let mut successor = take_sockets(&path);
    successor.write_all(b"..").unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(server.is_running());
    successor.write_all(b".S").unwrap();
    successor.read_exact(&mut [0; 1]).expect("an answer");
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// A predecessor that has given up waiting goes on serving, so it is told again.
#[test]
fn a_predecessor_that_waits_no_more_is_told_again() {
    let folder = Folder::new("handover-again");
    let path = folder.path("s");
    let predecessor = UnixListener::bind(&path).unwrap();
    predecessor.set_nonblocking(true).unwrap();
    let next = || {
        let mut next = None;
        let has_come = || {
            next = predecessor.accept().ok();
            next.is_some()
        };
        assert!(wait_until(LIMIT, has_come), "nobody has connected");
        let (mut stream, _) = next.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let mut end = [0; 512];
        end[..3].copy_from_slice(b"end");
        stream.write_all(&end).unwrap();
        stream
    };
    thread::scope(|scope| {
        let successor = scope.spawn(|| Server::start(&["--handover", &path]));
        drop(next());
        let mut told = next();
        let mut word = [0];
        told.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"S");
        std::fs::remove_file(&path).unwrap();
        told.write_all(b"S").unwrap();
        let mut successor = successor.join().unwrap();
        successor.signal(Signal::TERM);
        assert!(successor.wait(LIMIT).is_some_and(|status| status.success()));
    });
}

/// The successor listens with this file, so it outlives a predecessor that ends too early.
#[test]
fn a_predecessor_that_is_stopped_during_a_start_leaves_its_files() {
    let folder = Folder::new("handover-stopped");
    let (path, socket) = (folder.path("s"), folder.path("clients"));
    let listen = format!("unix:{socket}");
    let start = || Server::start(&["--handover", &path, "--listen", &listen]);
    for has_successor in [true, false] {
        let mut server = start();
        let mut successor = take_sockets(&path);
        if !has_successor {
            successor.write_all(b"?").unwrap();
            assert!(matches!(successor.read(&mut [0; 1]), Ok(0) | Err(_)));
        }
        server.signal(Signal::TERM);
        assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
        assert_eq!(Path::new(&socket).exists(), has_successor);
    }
}

/// What comes first and is served by the predecessor has its request answered.
#[test]
fn a_request_that_was_begun_is_answered() {
    let folder = Folder::new("handover-begun");
    let path = folder.path("s");
    let args = ["--handover", &path, "--handshake-timeout", "60", "--drain-timeout", "60"];
    let mut server = Server::start(&args);
    let all = request("");
    let mut begun = Client::open(server.addr());
    begun.expect_alive();
    let mut halves: Vec<Client> = (0..10).map(|_| Client::connect(server.addr())).collect();
    for half in &mut halves {
        half.send(&all[..30]);
    }
    thread::sleep(Duration::from_millis(200));
    let successor = Server::start(&args);
    begun.expect(&server_close(1001, "server is stopping"));
    drop(begun);
    for half in &mut halves {
        half.send(&all[30..]);
        let head = half.read_head();
        assert!(head.status.starts_with("HTTP/1.1 101"), "{head:?}");
        half.expect(&server_close(1001, "server is stopping"));
    }
    drop(halves);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    drop(successor);
}
