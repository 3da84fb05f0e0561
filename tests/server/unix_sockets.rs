//! Unix-domain sockets: everything is served over them as over TCP, and their files are made,
//! replaced and removed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::backend;
use crate::support::client::{Client, End};
use crate::support::host::expect_descriptors_refused;
use crate::support::server::{Finished, Server, command, run};
use crate::support::wire::{self, BINARY, FIN, PING, PONG, TEXT};
use corecast::app::echo::Echo;
use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{Listen, Listening};
use corecast::session::Message;
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(10);

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("corecast-unix-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn flag(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A server on a free port and on `path`.
fn serve(path: &Path, more: &[&str]) -> std::process::Command {
    let flag = flag(path);
    command(&[&["serve", "--listen", "127.0.0.1:0", "--listen", &flag], more].concat())
}

fn open(path: &Path) -> Client {
    let mut client = Client::connect_unix(path);
    client.open_at("/", "");
    client
}

/// The one line with which a server that listens on `listen` does not start.
fn refused(listen: &[&str], code: i32) -> String {
    let args: Vec<&str> = listen.iter().flat_map(|listen| ["--listen", listen]).collect();
    let end: Finished = run(command(&[&["serve"][..], &args].concat()), LIMIT);
    end.error_line(code).to_owned()
}

#[test]
fn messages_requests_and_topics_are_served() {
    let folder = Folder::new("served");
    let path = folder.socket();
    let server = Server::spawn(serve(&path, &["--ping-after", "1"]));
    let names_it = |line: &String| line.contains(&format!(", {}", flag(&path)));
    assert!(server.log().iter().any(names_it), "{:?}", server.log());
    let mut client = open(&path);
    for len in [0, 5, 125, 20_000, 3 << 20] {
        let payload = vec![b'x'; len];
        client.send(&wire::frame(FIN | BINARY, &payload));
        client.expect(&wire::unmasked(FIN | BINARY, &payload));
    }
    let mut plain = Client::connect_unix(&path);
    plain.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(plain.read_head().status.contains("200"));
    plain.expect(b"ok\n");
    // One subscriber on each kind of socket, and a publisher on the other.
    let mut subscribers = [Client::connect_unix(&path), Client::connect(server.addr())];
    let mut publishers = [Client::connect(server.addr()), Client::connect_unix(&path)];
    for (number, client) in subscribers.iter_mut().enumerate() {
        client.open_at(&format!("/topics/t{number}?role=sub"), "");
    }
    for (number, client) in publishers.iter_mut().enumerate() {
        client.open_at(&format!("/topics/t{number}?role=pub"), "");
        client.send(&wire::frame(FIN | TEXT, b"news"));
        subscribers[number].expect(&wire::unmasked(FIN | TEXT, b"news"));
    }
    // The kernel tells nothing about how far such a peer has read; it is pinged all the same.
    client.expect(&wire::unmasked(FIN | PING, b""));
    client.send(&wire::frame(FIN | PONG, b""));
    client.send(&wire::close(1000, ""));
    client.expect_end(&wire::server_close(1000, ""));
}

#[test]
fn a_client_that_reads_slowly_is_sent_everything() {
    const COUNT: usize = 400;
    let folder = Folder::new("slowly");
    let path = folder.socket();
    let _server = Server::spawn(serve(&path, &[]));
    let mut client = open(&path);
    let (frame, echo) =
        (wire::frame(FIN | BINARY, &[7; 30_000]), wire::unmasked(FIN | BINARY, &[7; 30_000]));
    let mut writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        (0..COUNT).for_each(|_| writer.write_all(&frame).unwrap());
    });
    // Nothing is read until the server has stopped reading.
    std::thread::sleep(Duration::from_millis(500));
    (0..COUNT).for_each(|_| client.expect(&echo));
    sender.join().unwrap();
}

#[test]
fn a_violation_is_answered_before_the_end() {
    let folder = Folder::new("violation");
    let path = folder.socket();
    let _server = Server::spawn(serve(&path, &[]));
    let mut client = open(&path);
    client.send(&wire::frame(FIN | TEXT, &[0xff; 100]));
    client.send(&[0; 5_000]);
    let (bytes, end) = client.read_to_end(LIMIT);
    assert_eq!(&bytes[2..4], 1007_u16.to_be_bytes(), "{bytes:?}");
    assert_eq!(end, End::Fin);
}

/// A loop that has no room for descriptors would close them, and the peer decides how long that
/// takes.
#[test]
fn peers_cannot_pass_descriptors() {
    let folder = Folder::new("descriptors");
    let (path, admin) = (folder.socket(), folder.0.join("admin"));
    let _server = Server::spawn(serve(&path, &["--admin", &flag(&admin)]));
    expect_descriptors_refused(&path);
    expect_descriptors_refused(&admin);
    open(&path);
}

#[test]
fn the_file_has_the_permissions_asked_for_and_is_removed() {
    let folder = Folder::new("mode");
    let path = folder.socket();
    let listen = format!("{},mode=0620", flag(&path));
    for signal in [Signal::TERM, Signal::INT] {
        let mut server =
            Server::spawn(command(&["serve", "--listen", "127.0.0.1:0", "--listen", &listen]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o620);
        let client = open(&path);
        server.signal(signal);
        drop(client);
        assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn a_server_starts_at_once_after_its_predecessor_was_killed() {
    let folder = Folder::new("killed");
    let path = folder.socket();
    let mut server = Server::spawn(serve(&path, &[]));
    for _ in 0..20 {
        let client = open(&path);
        server.signal(Signal::KILL);
        server.wait(LIMIT).expect("an end of the process");
        assert!(path.exists(), "the file is left behind");
        server = Server::spawn(serve(&path, &[]));
        open(&path);
        drop(client);
    }
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let folder = Folder::new("in-use");
    let path = folder.socket();
    let server = Server::spawn(serve(&path, &[]));
    let line = refused(&[&flag(&path)], 1);
    assert!(line.contains(&format!("{} is in use", flag(&path))), "{line}");
    open(&path);
    drop(server);
    fs::remove_file(&path).unwrap();
    // A program whose accept queue is full is alive as well.
    let other = UnixListener::bind(&path).unwrap();
    let mut waiting = Vec::new();
    rustix::net::listen(&other, 1).unwrap();
    for _ in 0..2 {
        waiting.push(UnixStream::connect(&path).unwrap());
    }
    let line = refused(&[&flag(&path)], 1);
    assert!(line.contains("is in use"), "{line}");
}

#[test]
fn if_two_servers_start_together_one_listens() {
    let folder = Folder::new("together");
    let path = folder.socket();
    for _ in 0..10 {
        // The file of a predecessor that was killed.
        drop(UnixListener::bind(&path).unwrap());
        let start = |path: PathBuf| move || Server::try_spawn(serve(&path, &[]));
        let other = std::thread::spawn(start(path.clone()));
        let servers = [start(path.clone())(), other.join().unwrap()];
        let listening = servers.iter().filter(|server| server.is_ok()).count();
        assert_eq!(listening, 1, "{:?}", servers.map(|server| server.err()));
        open(&path);
        drop(servers);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn paths_that_cannot_be_used_are_named_with_the_reason() {
    let folder = Folder::new("reasons");
    let path = folder.socket();
    fs::write(&path, "text").unwrap();
    let missing = folder.0.join("missing/socket");
    let long = folder.0.join("x".repeat(108));
    for (path, reason) in [
        (&path, "is no socket"),
        (&missing, "there is no such directory"),
        (&long, "may have 107 bytes"),
    ] {
        let line = refused(&[&flag(path)], 1);
        assert!(line.contains(&flag(path)) && line.contains(reason), "{line}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    // A start that fails for another reason leaves no file behind.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let free = folder.0.join("free");
    assert!(refused(&[&flag(&free), &address], 1).contains(&address));
    assert!(!free.exists());
}

#[test]
fn a_path_that_is_given_twice_exits_with_2() {
    let folder = Folder::new("twice");
    let path = folder.socket();
    let same = folder.0.join(".").join("socket");
    for other in [&path, &same] {
        let line = refused(&[&flag(&path), "127.0.0.1:0", &flag(other)], 2);
        assert!(line.contains("socket is given twice"), "{line}");
    }
    assert!(!path.exists());
}

#[test]
fn connections_are_spread_over_all_loops() {
    const LOOPS: usize = 4;
    const CONNECTIONS: usize = 200;
    let folder = Folder::new("spread");
    let path = folder.socket();
    let server = backend::server(Config::default()).listen_unix(&path).loops_per_core(LOOPS);
    let server = server.cores(vec![corecast::server::allowed_cores()[0]]);
    let server = server.start(|_, _| Echo).unwrap();
    assert_eq!(server.listening(), [Listening::Unix(path.clone())]);
    assert!(server.addresses().is_empty());
    // Whichever loop is first takes a connection; none is left out. On a busy machine a loop may
    // not run for a while, so there are as many rounds as it needs.
    let (start, mut opened) = (Instant::now(), 0);
    loop {
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| open(&path)).collect();
        opened += clients.len() as u64;
        let stats = server.stats();
        if stats.len() == LOOPS && stats.iter().all(|of_loop| of_loop.worker.accepted > 0) {
            break;
        }
        assert!(start.elapsed() < 6 * LIMIT, "{stats:?}");
    }
    server.drain();
    let accepted: Vec<u64> = server.join().unwrap().iter().map(|stats| stats.accepted).collect();
    assert_eq!(accepted.iter().sum::<u64>(), opened, "{accepted:?}");
    assert!(!path.exists());
}

/// Asks for addresses, of which such a peer has none.
struct Where;

impl Handler for Where {
    type Connection = ();
    type User = ();

    const PEER_ADDRESSES: bool = true;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        assert_eq!(request.peer_addr, None);
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, cx: &mut Context<'_, 'a>) {
        let _ = cx.text(&format!("{:?}", cx.peer_addr()));
    }
}

#[test]
fn peers_have_no_address() {
    let folder = Folder::new("address");
    let path = folder.socket();
    let server = backend::server(Config::default()).listen_on(Listen::unix(&path).mode(0o600));
    let server = server.start(|_, _| Where).unwrap();
    for _ in 0..20 {
        let mut client = open(&path);
        client.send(&wire::frame(FIN | TEXT, b"where"));
        client.expect(&wire::unmasked(FIN | TEXT, b"None"));
    }
    server.drain();
    server.join().unwrap();
}
