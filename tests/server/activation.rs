//! Sockets that systemd passes: the server is started as systemd does it, by a shell that puts the
//! socket to descriptor 3 and sets the variables.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::backend;
use crate::support::client::{Client, request};
use crate::support::host::expect_descriptors_refused;
use crate::support::server::{Server, command};
use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::error::Error;
use corecast::server::Listen;
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(10);

/// The server with `socket` as descriptor 3, and again as 4, with these names. `args` follow.
fn passing(socket: impl Into<OwnedFd>, names: &str, args: &[&str]) -> Command {
    let count = names.split(':').count();
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names}; exec \"$@\" 3<&0 4<&0 \
         </dev/null"
    );
    let server = command(args);
    let mut shell = Command::new("sh");
    crate::support::server::without_settings(&mut shell);
    shell.args(["-c", &script, "sh"]).arg(server.get_program()).args(server.get_args());
    shell.stdin(Stdio::from(socket.into()));
    shell
}

fn start(command: Command) -> Server {
    Server::try_spawn_with_input(command).unwrap_or_else(|said| panic!("{said}"))
}

/// What the server says that does not start.
fn refused(mut command: Command, code: i32) -> String {
    let end = command.output().unwrap();
    let said = String::from_utf8(end.stderr).unwrap();
    assert_eq!((end.status.code(), said.lines().count()), (Some(code), 1), "{said}");
    said
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_passed_socket_is_served_by_all_loops() {
    for listen in ["systemd", "systemd:web"] {
        let (listener, address) = listener();
        // A client that comes before the server is started is served as well.
        let mut early = Client::connect(address);
        let args = ["serve", "--listen", listen, "--loops-per-core", "2"];
        let mut server = start(passing(listener, "web", &args));
        assert_eq!(server.addr(), address);
        early.open_at("/", "");
        for _ in 0..50 {
            Client::open(address).close();
        }
        server.signal(Signal::TERM);
        drop(early);
        assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(0));
    }
}

#[test]
fn a_passed_socket_takes_headers_of_the_proxy_protocol() {
    for listen in ["systemd,proxy", "systemd:web,proxy"] {
        let (listener, address) = listener();
        let args = ["serve", "--listen", listen, "--loops-per-core", "2"];
        let server = start(passing(listener, "web", &args));
        assert!(server.log()[0].contains(" (PROXY protocol)"), "{:?}", server.log());
        for _ in 0..20 {
            let mut client = Client::connect(address);
            client.send(b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n");
            client.open_at("/", "");
            client.close();
        }
        let mut client = Client::connect(address);
        client.try_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(client.read_to_end(LIMIT).0.is_empty());
    }
}

#[test]
fn a_passed_socket_outlives_its_server() {
    let (listener, address) = listener();
    let args = ["serve", "--listen", "systemd"];
    for _ in 0..3 {
        let mut server = start(passing(listener.try_clone().unwrap(), "web", &args));
        let mut client = Client::connect(address);
        client.send(&request(""));
        // The kernel takes down the ring of a killed process later, and may have woken that one.
        // Then the next connection brings this one with it.
        client.stream().set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        if client.stream().peek(&mut [0]).is_err() {
            Client::open(address).close();
        }
        client.stream().set_read_timeout(Some(LIMIT)).unwrap();
        assert!(client.read_head().status.contains("101"));
        client.close();
        server.signal(Signal::KILL);
        server.wait(LIMIT).expect("an end of the process");
    }
}

#[test]
fn a_passed_unix_socket_is_served_and_its_file_is_left_alone() {
    let path = std::env::temp_dir().join(format!("corecast-passed-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--listen", "systemd"];
    let mut server = start(passing(listener, "web", &args));
    let log = server.log();
    let names_it = |line: &String| line.contains(&format!(", unix:{}", path.display()));
    assert!(log.iter().any(names_it), "{log:?}");
    expect_descriptors_refused(&path);
    let mut client = Client::connect_unix(&path);
    client.open_at("/", "");
    drop(client);
    server.signal(Signal::TERM);
    server.wait(LIMIT).expect("an end of the process");
    assert!(path.exists(), "systemd has made the file, and removes it");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_cannot_be_used_is_named() {
    let args = ["serve", "--listen", "systemd"];
    let said = refused(command(&args), 1);
    assert!(said.contains("LISTEN_FDS is not set"), "{said}");
    let mut foreign = command(&args);
    foreign.envs([("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]);
    let said = refused(foreign, 1);
    assert!(said.contains("LISTEN_PID is `1`"), "{said}");
    let named = ["serve", "--listen", "systemd:other"];
    let said = refused(passing(listener().0, "web:admin", &named), 1);
    assert!(said.contains("named `other`") && said.contains("`web`, `admin`"), "{said}");
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let said = refused(passing(datagrams, "web", &args), 1);
    assert!(said.contains("`web` (descriptor 3) is no listening stream socket"), "{said}");
    let (listener, address) = listener();
    let connected = std::net::TcpStream::connect(address).unwrap();
    let said = refused(passing(connected, "web", &args), 1);
    assert!(said.contains("Accept=no"), "{said}");
    drop(listener);
}

/// Who has the unit of the sockets and not the setting is told what to write.
#[test]
fn a_socket_that_nobody_listens_on_is_named() {
    let (passed, address) = listener();
    let listen = address.to_string();
    let args = ["serve", "--listen", &listen];
    let said = refused(passing(passed.try_clone().unwrap(), "web", &args), 1);
    assert!(said.contains("that systemd has passed: write `systemd`"), "{said}");
    let server = start(passing(passed, "web", &["serve", "--listen", "127.0.0.1:0"]));
    let named = format!("WARN systemd has passed the socket {address}, which nobody listens on");
    assert!(server.log().iter().any(|line| line.contains(&named)), "{:?}", server.log());
    let served = start(passing(listener().0, "web", &["serve", "--listen", "systemd"]));
    assert!(served.log().iter().all(|line| !line.contains("nobody listens on")));
}

#[test]
fn what_is_given_twice_exits_with_2() {
    for (names, listen, expected) in [
        ("web", ["systemd", "systemd"], "systemd is given twice"),
        ("web:admin", ["systemd", "systemd:admin"], "systemd:admin is given twice"),
    ] {
        let args = ["serve", "--listen", listen[0], "--listen", listen[1]];
        let said = refused(passing(listener().0, names, &args), 2);
        assert!(said.contains(expected), "{said}");
    }
    let (listener, address) = listener();
    let address = address.to_string();
    let args = ["serve", "--listen", "systemd", "--listen", &address];
    let said = refused(passing(listener, "web", &args), 2);
    assert!(said.contains(&format!("{address} is given twice")), "{said}");
}

#[test]
fn a_program_is_told_why_there_are_none() {
    let server = backend::server(Config::default()).listen_on(Listen::systemd(None));
    let error = server.start(|_, _| Echo).unwrap_err();
    assert!(matches!(error, Error::Passed(_)), "{error:?}");
}
