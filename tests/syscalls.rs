//! The number of system calls for each message: far fewer than one. On io_uring one call submits
//! the replies to all input that the previous call returned; on epoll there is one receive and one
//! send for all messages that a connection has sent together.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::Client;
use support::host::{tool, wait_until};
use support::server::Server;
use support::wire::{self, BINARY, FIN};

const MESSAGE: [u8; 20] = *b"twenty bytes of load";
const WARM_UP: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_secs(3);

/// A connection with a fixed number of messages in flight.
struct Connection {
    stream: TcpStream,
    /// Bytes of a reply received so far.
    part: usize,
}

/// Keeps `depth` messages in flight on each of `connections`, without sleeping, until `done` is
/// set; counts the replies.
fn load(addr: SocketAddr, connections: usize, depth: usize, done: &AtomicBool, count: &AtomicU64) {
    let requests = wire::frame(FIN | BINARY, &MESSAGE).repeat(depth);
    let (request, reply) = (requests.len() / depth, wire::unmasked(FIN | BINARY, &MESSAGE));
    let mut lanes: Vec<Connection> = (0..connections)
        .map(|_| {
            let mut client = Client::open(addr);
            client.send(&requests);
            let stream = client.into_stream();
            stream.set_nonblocking(true).unwrap();
            Connection { stream, part: 0 }
        })
        .collect();
    let mut buffer = vec![0; depth * reply.len()];
    while !done.load(Ordering::Relaxed) {
        for lane in &mut lanes {
            let read = match lane.stream.read(&mut buffer) {
                Ok(0) => panic!("the server has ended a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            };
            let got = buffer[..read].iter().zip(reply.iter().cycle().skip(lane.part));
            assert!(got.clone().all(|(got, expected)| got == expected), "a wrong reply");
            let complete = (lane.part + read) / reply.len();
            lane.part = (lane.part + read) % reply.len();
            // A socket takes a few hundred bytes at once; otherwise the load is wrong.
            lane.stream.write_all(&requests[..complete * request]).unwrap();
            count.fetch_add(complete as u64, Ordering::Relaxed);
        }
    }
}

/// The system calls that strace counts in the server, and the replies, within the window.
fn calls_and_messages(backend: &str, connections: usize, depth: usize) -> (u64, u64) {
    let server = Server::start(&["--backend", backend]);
    let (done, count) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| load(server.addr(), connections, depth, &done, &count));
        let stop = StopOnDrop(&done);
        std::thread::sleep(WARM_UP);
        let (calls, messages) = trace(server.pid(), || count.load(Ordering::Relaxed));
        drop(stop);
        (calls, messages)
    })
}

/// Ends the load also if the test fails, since the scope waits for its thread.
struct StopOnDrop<'d>(&'d AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts the system calls of all threads of `pid`, and the growth of `counter` in that time. The
/// calls are counted for a little longer than the messages, never the other way round.
fn trace(pid: u32, counter: impl Fn() -> u64) -> (u64, u64) {
    let table = std::env::temp_dir().join(format!("corecast-strace-{pid}"));
    let mut strace = tool("strace")
        .args(["-c", "-f", "-o"])
        .arg(&table)
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = strace.stderr.take().unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("attached") {
        let mut byte = [0];
        let read = said.read(&mut byte).unwrap();
        assert!(read > 0, "strace cannot attach: {}", String::from_utf8_lossy(&text));
        text.extend(byte);
    }
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        !status.contains("TracerPid:\t0\n")
    };
    assert!(wait_until(Duration::from_secs(5), traced), "strace did not attach");
    let (start, before) = (Instant::now(), counter());
    while start.elapsed() < WINDOW {
        std::thread::sleep(Duration::from_millis(50));
    }
    let messages = counter() - before;
    kill_process(Pid::from_child(&strace), Signal::INT).unwrap();
    strace.wait().unwrap();
    let table_text = std::fs::read_to_string(&table).unwrap();
    let _ = std::fs::remove_file(&table);
    println!("{table_text}");
    (total_calls(&table_text), messages)
}

/// The calls in the last line of strace's table.
fn total_calls(table: &str) -> u64 {
    let total = table.lines().find(|line| line.ends_with(" total"));
    let total = total.unwrap_or_else(|| panic!("no total in {table:?}"));
    total.split_whitespace().nth(3).unwrap().parse().unwrap()
}

fn per_message(backend: &str, connections: usize, depth: usize) -> f64 {
    let (calls, messages) = calls_and_messages(backend, connections, depth);
    let ratio = calls as f64 / messages as f64;
    println!(
        "{backend}, {connections} connections, depth {depth}: {calls} system calls for {messages} \
         messages, {ratio:.4} each"
    );
    assert!(calls > 0 && messages > 100, "this measured nothing");
    ratio
}

#[test]
fn io_uring_needs_less_than_a_tenth_of_a_call_for_each_message() {
    let ratio = per_message("uring", 100, 16);
    assert!(ratio < 0.1, "{ratio:.4} system calls per message");
    // A check of the measurement: one message at a time needs at least one call.
    let alone = per_message("uring", 1, 1);
    assert!(alone > 0.9, "{alone:.4} system calls for a message at a time");
}

#[test]
fn epoll_needs_two_calls_for_sixteen_messages_and_few_more() {
    let ratio = per_message("epoll", 100, 16);
    assert!(ratio < 0.2, "{ratio:.4} system calls per message");
}

#[test]
fn the_total_of_a_table_is_parsed() {
    let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                 ------ ----------- ----------- --------- --------- ----------------\n\
                 \x2099.00    0.100000          50      2000        10 io_uring_enter\n\
                 \x20\x201.00    0.001000          10       100           read\n\
                 ------ ----------- ----------- --------- --------- ----------------\n\
                 100.00    0.101000          48      2100        10 total\n";
    assert_eq!(total_calls(table), 2_100);
}
