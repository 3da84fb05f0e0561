//! The load: one publisher and its subscribers, polled by one thread that never sleeps.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::frames::{self, BINARY, Head, TEXT};
use crate::options::{Mode, Options};
use crate::sys;

/// How long nothing may move before a run has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it must be silent after the subscriptions, before the first message.
const SILENCE: Duration = Duration::from_millis(100);

/// Where the roles connect.
pub(crate) struct Paths {
    subscriber: String,
    publisher: String,
}

impl Paths {
    /// The endpoints of corecast.
    pub(crate) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Raw => Self {
                subscriber: "/topics/bench?role=sub".into(),
                publisher: "/topics/bench?role=pub".into(),
            },
            Mode::Json => Self::both("/pubsub"),
        }
    }

    /// One path for all.
    pub(crate) fn both(path: &str) -> Self {
        Self { subscriber: path.into(), publisher: path.into() }
    }
}

/// A subscriber that has not received all of the current burst.
struct Waiting {
    index: usize,
    got: usize,
}

/// All connections to one server.
pub(crate) struct Load {
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
    waiting: Vec<Waiting>,
    buffer: Vec<u8>,
    verify: bool,
    /// The publisher's frames of one burst.
    publish: Vec<u8>,
    /// What each subscriber gets for it.
    expected: Vec<u8>,
    /// Bytes of one delivery on the wire.
    pub(crate) delivery: usize,
    /// Whether deliveries come compressed.
    pub(crate) compressed: bool,
}

/// The payload: letters, since JSON has to hold them and deflate to find something.
fn payload(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().step_by(7).take(size).collect()
}

impl Load {
    /// Connects everyone, subscribes, and learns from a first message what a delivery looks like.
    pub(crate) fn open(
        address: SocketAddr,
        paths: &Paths,
        burst: usize,
        options: &Options,
    ) -> io::Result<Self> {
        let payload = payload(options.size);
        let text = String::from_utf8_lossy(&payload);
        let frame = match options.mode {
            Mode::Raw => frames::masked(BINARY, &payload),
            Mode::Json => {
                let command = format!(r#"{{"publish":"bench","data":"{text}"}}"#);
                frames::masked(TEXT, command.as_bytes())
            }
        };
        let mut subscribers = Vec::with_capacity(options.subscribers);
        for _ in 0..options.subscribers {
            let mut stream = connect(address, &paths.subscriber, options.deflate)?;
            if options.mode == Mode::Json {
                stream.write_all(&frames::masked(TEXT, br#"{"subscribe":"bench"}"#))?;
            }
            stream.set_nonblocking(true)?;
            subscribers.push(stream);
        }
        let publisher = connect(address, &paths.publisher, false)?;
        publisher.set_nonblocking(true)?;
        let mut load = Self {
            publisher,
            waiting: Vec::with_capacity(subscribers.len()),
            subscribers,
            buffer: vec![0; 1 << 18],
            verify: true,
            publish: frame.clone(),
            expected: Vec::new(),
            delivery: 0,
            compressed: false,
        };
        load.settle()?;
        load.learn(&payload, options.mode)?;
        load.delivery = load.expected.len();
        load.publish = frame.repeat(burst);
        load.expected = load.expected.repeat(burst);
        load.verify = options.verify;
        Ok(load)
    }

    /// Drops what servers say to new subscribers, until nothing more comes.
    fn settle(&mut self) -> io::Result<()> {
        let mut last = Instant::now();
        while last.elapsed() < SILENCE {
            for stream in &self.subscribers {
                if read(stream, &mut self.buffer)? > 0 {
                    last = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Publishes one message. What the first subscriber gets is checked against the payload; all
    /// others have to get the same bytes.
    fn learn(&mut self, payload: &[u8], mode: Mode) -> io::Result<()> {
        let mut sent = 0;
        let begin = Instant::now();
        let whole = |frame: &[u8]| Head::parse(frame).is_some_and(|h| h.payload.end <= frame.len());
        let mut frame = Vec::new();
        while !whole(&frame) {
            sent += write(&self.publisher, &self.publish[sent..])?;
            let n = read(&self.subscribers[0], &mut self.buffer)?;
            frame.extend_from_slice(&self.buffer[..n]);
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other("no subscriber got the first message"));
            }
        }
        let (text, compressed) = frames::message(&frame)?;
        let right = match mode {
            Mode::Raw => text == payload,
            Mode::Json => text.windows(payload.len()).any(|part| part == payload),
        };
        if !right {
            let text = String::from_utf8_lossy(&text);
            return Err(io::Error::other(format!("a delivery does not hold the payload: {text}")));
        }
        (self.expected, self.compressed) = (frame, compressed);
        self.exchange(sent, 1)
    }

    /// Publishes one burst and waits until every subscriber has all of it.
    pub(crate) fn burst(&mut self) -> io::Result<()> {
        self.exchange(0, 0)?;
        // What a server tells the publisher is of no interest, but must not pile up.
        while read(&self.publisher, &mut self.buffer)? > 0 {}
        Ok(())
    }

    /// Publishes what comes behind the `sent` bytes, and reads until the subscribers from `first`
    /// on have all that is expected.
    fn exchange(&mut self, mut sent: usize, first: usize) -> io::Result<()> {
        let Self { publisher, publish, subscribers, waiting, buffer, expected, verify, .. } = self;
        waiting.clear();
        waiting.extend((first..subscribers.len()).map(|index| Waiting { index, got: 0 }));
        let mut moved = Instant::now();
        while !waiting.is_empty() {
            let mut failed = None;
            let written = write(publisher, &publish[sent..])?;
            sent += written;
            let mut any = written > 0;
            waiting.retain_mut(|one| {
                let want = &expected[one.got..];
                // Room for one byte too many, so that it does not pass unnoticed.
                let room = buffer.len().min(want.len() + 1);
                match read(&subscribers[one.index], &mut buffer[..room]) {
                    Ok(n) if n > want.len() => {
                        failed = Some(io::Error::other("more was delivered than was published"));
                    }
                    Ok(n) if *verify && buffer[..n] != want[..n] => {
                        failed = Some(io::Error::other("a delivery differs from the first one"));
                    }
                    Ok(n) => {
                        one.got += n;
                        any |= n > 0;
                    }
                    Err(e) => failed = Some(e),
                }
                one.got < expected.len()
            });
            if let Some(error) = failed {
                return Err(error);
            }
            let now = Instant::now();
            if any {
                moved = now;
            } else if now.duration_since(moved) > PATIENCE {
                let (n, all) = (waiting.len(), subscribers.len());
                let text = format!("{n} of {all} subscribers did not get the whole burst");
                return Err(io::Error::other(text));
            }
        }
        Ok(())
    }
}

/// Reads what is there, which may be nothing; the end of the stream is an error.
fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::Error::other("the server closed a connection")),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(e) => Err(io::Error::other(format!("a connection broke: {e}"))),
        done => done,
    }
}

/// Writes what there is room for, which may be nothing.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match stream.write(bytes) {
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(e) => Err(io::Error::other(format!("publishing: {e}"))),
        done => done,
    }
}

/// Opens a WebSocket connection. What comes behind the answer is dropped: `settle` goes on so.
fn connect(address: SocketAddr, path: &str, deflate: bool) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    sys::linger_zero(stream.as_raw_fd())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(frames::request(path, address.port(), deflate).as_bytes())?;
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while frames::head_end(&head).is_none() {
        match stream.read(&mut bytes) {
            Ok(n) if n > 0 => head.extend_from_slice(&bytes[..n]),
            Ok(_) => break,
            Err(e) => return Err(io::Error::other(format!("no answer to a handshake: {e}"))),
        }
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        let text = String::from_utf8_lossy(&head);
        let line = text.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("the handshake for {path} got `{line}`")));
    }
    Ok(stream)
}
