//! The load process: nonblocking sockets polled without sleeping, on a separate core.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::Workload;
use crate::{sys, wire};

/// The hidden argument that makes the program the load process.
pub(crate) const ARGUMENT: &str = "--load-process";

/// Replies per connection whose bytes are compared in full.
const CHECKED: u64 = 64;

/// One order to the load process.
struct Order {
    port: u16,
    load: Workload,
}

impl Order {
    fn to_line(&self) -> String {
        let Workload { connections, request, reply, depth } = self.load;
        format!("{} {connections} {request} {reply} {depth}\n", self.port)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let mut next = || fields.next()?.parse::<usize>().ok();
        Some(Self {
            port: u16::try_from(next()?).ok()?,
            load: Workload {
                connections: next()?,
                request: next()?,
                reply: next()?,
                depth: next()?,
            },
        })
    }
}

/// The load process as the server process sees it.
pub(crate) struct LoadProcess {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl LoadProcess {
    /// Starts this program again as the load process.
    pub(crate) fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, answers) = pipes.ok_or_else(|| io::Error::other("no pipes to the load"))?;
        Ok(Self { child, orders, answers: BufReader::new(answers) })
    }

    /// Starts one run against `port`. The first connection carries no messages: the run is over
    /// when the server closes it.
    pub(crate) fn order(&mut self, port: u16, load: Workload) -> io::Result<()> {
        self.orders.write_all(Order { port, load }.to_line().as_bytes())
    }

    /// Waits for the end of the run; an error when a reply was wrong.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match line.trim() {
            "ok" => Ok(()),
            other => Err(io::Error::other(format!("load process: {other}"))),
        }
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        // These calls fail if the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The main function of the load process: one answer line per order line.
pub(crate) fn main(core: usize) -> io::Result<()> {
    sys::pin(core)?;
    for line in io::stdin().lock().lines() {
        let order = Order::parse(&line?).ok_or_else(|| io::Error::other("malformed order"))?;
        match run(&order) {
            Ok(()) => println!("ok"),
            Err(e) => println!("{e}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

struct Client {
    stream: TcpStream,
    /// Request bytes still to be written, and where in its frame the next one is.
    owed: usize,
    offset: usize,
    /// Bytes of the current reply already read.
    got: usize,
    replies: u64,
}

/// The byte streams that every client sends and expects, long enough for any phase and depth.
struct Streams {
    requests: Vec<u8>,
    request_len: usize,
    reply: Vec<u8>,
}

fn run(order: &Order) -> io::Result<()> {
    let load = order.load;
    let request = wire::request(load.request);
    let streams = Streams {
        request_len: request.len(),
        requests: request.repeat(load.depth + 1),
        reply: wire::reply(load.reply),
    };
    let mut control = TcpStream::connect(("127.0.0.1", order.port))?;
    control.set_nonblocking(true)?;
    let mut clients = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let stream = TcpStream::connect(("127.0.0.1", order.port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        sys::linger_zero(stream.as_raw_fd())?;
        let owed = load.depth * streams.request_len;
        clients.push(Client { stream, owed, offset: 0, got: 0, replies: 0 });
    }
    let mut buffer = vec![0; 65_536];
    let patience = Instant::now() + Duration::from_secs(60);
    while control.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock) {
        for client in &mut clients {
            client.poll(&streams, &mut buffer)?;
        }
        if Instant::now() >= patience {
            return Err(io::Error::other("the server never ended the run"));
        }
    }
    match clients.iter().filter(|c| c.replies == 0).count() {
        0 => Ok(()),
        n => Err(io::Error::other(format!("{n} connections never got a reply"))),
    }
}

impl Client {
    fn poll(&mut self, streams: &Streams, buffer: &mut [u8]) -> io::Result<()> {
        if self.owed > 0 {
            self.write(streams)?;
        }
        match self.stream.read(buffer) {
            Ok(0) => Err(io::Error::other("the server closed a connection")),
            Ok(n) => {
                let new = self.count(&streams.reply, &buffer[..n])?;
                self.owed += new * streams.request_len;
                self.write(streams)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn write(&mut self, streams: &Streams) -> io::Result<()> {
        while self.owed > 0 {
            let end = streams.requests.len().min(self.offset + self.owed);
            match self.stream.write(&streams.requests[self.offset..end]) {
                Ok(n) => {
                    self.owed -= n;
                    self.offset = (self.offset + n) % streams.request_len;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Returns how many replies ended in `bytes`; compares the first ones byte by byte.
    fn count(&mut self, reply: &[u8], bytes: &[u8]) -> io::Result<usize> {
        if self.replies < CHECKED {
            let expected = reply.iter().cycle().skip(self.got);
            if bytes.iter().zip(expected).any(|(got, expected)| got != expected) {
                return Err(io::Error::other("a reply differs from what was expected"));
            }
        }
        let all = self.got + bytes.len();
        self.got = all % reply.len();
        self.replies += (all / reply.len()) as u64;
        Ok(all / reply.len())
    }
}
