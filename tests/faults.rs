//! Peers that vanish, descriptors that run out, sockets that take little, errors of io_uring_enter:
//! the server goes on, and releases its resources.

mod support;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::backend;
use support::client::{Client, End, request};
use support::deflate::deflated;
use support::host::{cpu_time, descriptors, tool, wait_until};
use support::server::{Server, binary};
use support::wire::{self, BINARY, FIN, RSV1, TEXT};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

#[test]
fn resources_of_clients_that_reset_mid_message_are_released() {
    let server = Server::start(&[]);
    Client::open(server.addr()).close();
    server.await_no_connections(Duration::from_secs(2));
    let before = descriptors(server.pid());
    let big = wire::frame(FIN | BINARY, &vec![1; 200_000]);
    for round in 0..5 {
        let clients: Vec<Client> = (0..300)
            .map(|i| {
                let (mut client, _) = Client::open_with(server.addr(), OFFER);
                match i % 6 {
                    0 => client.send(&wire::cut_short(FIN | BINARY, 9_000_000, &[1; 3_000])),
                    1 => client.send(&wire::frame(TEXT, b"a first fragment")),
                    2 => client.send(&wire::header(FIN | TEXT, wire::Form::SixtyFour, 1)[..5]),
                    // Replies that are never read.
                    3 => client.send(&big),
                    4 => client.send(&wire::frame(RSV1 | TEXT, &deflated(b"half")[..3])),
                    _ => {}
                }
                client
            })
            .collect();
        let half_heads: Vec<Client> = (0..50)
            .map(|_| {
                let mut client = Client::connect(server.addr());
                client.send(&request("")[..70]);
                client
            })
            .collect();
        clients.into_iter().chain(half_heads).for_each(Client::reset);
        server.await_no_connections(Duration::from_secs(2));
        assert_eq!(descriptors(server.pid()), before, "round {round}");
        Client::open(server.addr()).close();
    }
}

/// The number of `clients` that have an answer to their request by now.
fn answered(clients: &[Client]) -> usize {
    clients
        .iter()
        .filter(|client| {
            let mut byte = [0];
            client.stream().set_nonblocking(true).unwrap();
            let peeked = client.stream().peek(&mut byte);
            client.stream().set_nonblocking(false).unwrap();
            matches!(peeked, Ok(1))
        })
        .count()
}

#[test]
fn without_descriptors_it_waits_and_accepts_again_later() {
    const FILES: usize = 64;
    let mut limited = Command::new("sh");
    let script = format!("ulimit -n {FILES}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script, binary(), "serve", "--listen", "127.0.0.1:0", "--cores", "0"]);
    limited.args(backend::flag().map(|name| format!("--backend={name}")));
    limited.args(["--max-connections", "1000"]);
    let server = Server::spawn(limited);
    let warns = |line: &String| line.contains("WARN") && line.contains("--max-connections is 1000");
    assert!(wait_until(Duration::from_secs(20), || server.log().iter().any(warns)));
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..300 {
        let mut client = Client::connect(server.addr());
        client.send(&request(""));
        clients.push(client);
    }
    // As many as there is room for are served; spare slots may be taken as well.
    assert!(wait_until(Duration::from_secs(2), || answered(&clients) >= FILES / 2));
    let mut served: Vec<Client> = Vec::new();
    let mut waiting: Vec<Client> = Vec::new();
    for mut client in clients {
        if answered(std::slice::from_ref(&client)) == 0 {
            waiting.push(client);
        } else if client.read_head().status.contains(" 101 ") {
            served.push(client);
        } else {
            // Keeps its slot until it is cut.
            waiting.push(client);
        }
    }
    println!("{} served, {} waiting", served.len(), waiting.len());
    assert!(served.len() >= FILES / 2 && served.len() < FILES, "{} served", served.len());
    let cpu = cpu_time(server.pid());
    std::thread::sleep(Duration::from_secs(2));
    let used = cpu_time(server.pid()) - cpu;
    println!("{used:?} of processor time in 2 s");
    assert!(used < Duration::from_millis(200), "it spins: {used:?} in 2 s");
    for client in &mut served {
        client.expect_alive();
    }
    // The kernel drops a connection that it accepts and has no slot for, so nothing may be accepted
    // without a slot.
    let mut lost = 0;
    for client in &mut waiting {
        let (_, end) = client.read_to_end(Duration::from_millis(1));
        lost += usize::from(end == End::Reset);
    }
    println!("{lost} reset");
    assert_eq!(lost, 0, "connections were reset instead of left waiting");
    drop(waiting);
    server_takes_new_ones(&server, served);
}

/// With all slots taken, half of the clients leave: another client is served within a second.
/// Before that, connections that send no request keep no other one from its answer.
fn server_takes_new_ones(server: &Server, mut served: Vec<Client>) {
    // Silent connections take all slots, the spare ones included.
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(server.addr()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(500));
    let mut late = Client::connect(server.addr());
    late.send(&request(""));
    let late = [late];
    assert!(
        wait_until(Duration::from_secs(5), || answered(&late) == 1),
        "silent connections keep it from being answered"
    );
    drop(silent);
    served.truncate(served.len() / 2);
    // Clients that disconnected in the accept queue count as connections until the server notices.
    let serves = wait_until(Duration::from_secs(1), || {
        let mut client = Client::connect(server.addr());
        client.send(&request(""));
        client.read_head().status == "HTTP/1.1 101 Switching Protocols"
    });
    assert!(serves, "it accepts, but has no room");
    for client in &mut served {
        client.expect_alive();
    }
}

#[test]
fn a_socket_that_takes_little_gets_every_byte_in_order() {
    let server = Server::start(&[]);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let server = &server;
            scope.spawn(move || slow_reader(server, seed));
        }
    });
}

/// Sends a few MiB of numbered messages and reads the replies slowly.
fn slow_reader(server: &Server, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let client = Client::open(server.addr());
    rustix::net::sockopt::set_socket_recv_buffer_size(client.stream(), 32_768).unwrap();
    let (mut sends, mut expects) = (Vec::new(), Vec::new());
    while expects.len() < 4 << 20 {
        let len = random.choice([0, 30, 1_000, 20_000, 100_000, 500_000]).unwrap();
        let message: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        sends.extend(wire::frame(FIN | BINARY, &message));
        expects.extend(wire::unmasked(FIN | BINARY, &message));
    }
    let mut writer = Client::from_stream(client.stream().try_clone().unwrap());
    let mut reader = client;
    std::thread::scope(|scope| {
        scope.spawn(|| writer.send(&sends));
        for part in expects.chunks(30_000) {
            reader.expect(part);
            std::thread::sleep(Duration::from_micros(random.u64(..2_000)));
        }
    });
    reader.close();
}

/// strace attached to the server, which makes some of its calls fail. Detaches when dropped.
struct Injection {
    strace: std::process::Child,
    record: PathBuf,
}

impl Injection {
    fn attach(server: &Server, calls: &str, what: &str) -> Self {
        let pid = server.pid();
        let record = std::env::temp_dir().join(format!("corecast-inject-{pid}"));
        let strace = tool("strace")
            .args(["-f", "-q", "-e", &format!("trace={calls}"), "-o"])
            .arg(&record)
            .args(["-e", &format!("inject={calls}:{what}"), "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let injection = Self { strace, record };
        let traced = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            !status.contains("TracerPid:\t0\n")
        };
        assert!(wait_until(Duration::from_secs(5), traced), "strace did not attach");
        // Attaches to the other threads as well.
        std::thread::sleep(Duration::from_millis(300));
        injection
    }

    /// Detaches; returns the number of calls that it made fail.
    fn detach(mut self) -> usize {
        self.end();
        let record = std::fs::read_to_string(&self.record).unwrap();
        record.lines().filter(|line| line.ends_with("(INJECTED)")).count()
    }

    fn end(&mut self) {
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        let _ = self.strace.wait();
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_file(&self.record);
    }
}

#[test]
fn errors_of_io_uring_enter_lose_nothing() {
    for error in ["EAGAIN", "EBUSY", "EINTR", "ENOMEM"] {
        errors_lose_nothing("uring", "io_uring_enter", error);
    }
}

#[test]
fn interrupted_calls_on_epoll_lose_nothing() {
    for call in ["epoll_pwait", "recvfrom", "sendto", "epoll_pwait,recvfrom,sendto,accept4"] {
        errors_lose_nothing("epoll", call, "EINTR");
    }
}

/// Echoes while some of `calls` fail with `error`.
fn errors_lose_nothing(backend: &str, calls: &str, error: &str) {
    let mut server = Server::start(&["--backend", backend]);
    let injection = Injection::attach(&server, calls, &format!("error={error}:when=5+7"));
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let server = &server;
            scope.spawn(move || steady_echo(server, seed));
        }
    });
    let injected = injection.detach();
    println!("{calls}: {injected} calls");
    assert!(injected > 20, "only {injected} calls failed with {error}");
    assert!(server.is_running(), "{error} has ended the server");
    Client::open(server.addr()).close();
}

/// A few hundred messages, one after the other and some pipelined.
fn steady_echo(server: &Server, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::open(server.addr());
    for _ in 0..150 {
        let (mut sends, mut expects) = (Vec::new(), Vec::new());
        for _ in 0..random.usize(1..8) {
            let len = random.choice([0, 5, 200, 5_000, 40_000]).unwrap();
            let message: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            sends.extend(wire::frame(FIN | BINARY, &message));
            expects.extend(wire::unmasked(FIN | BINARY, &message));
        }
        client.send(&sends);
        client.expect(&expects);
    }
    client.close();
}
