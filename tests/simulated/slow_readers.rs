//! Goal: a reader that is slow but steady stays, whatever its rate, and is told of what was
//! dropped; a peer that is gone, or reads nothing, is noticed in the time configured.
//! Method: the worker on a simulated ring, and a reader at some rate for as long as it takes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::io::sim::{ClientId, Faults, SimNetwork, SimOptions, SimRing};
use corecast::worker::Worker;

use crate::support::client::request;
use crate::support::echo::echo;
use crate::support::wire::{self, BINARY, CLOSE, FIN, PING, PONG};

const STEP: Duration = Duration::from_millis(100);
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(15);
const STALL: Duration = Duration::from_secs(60);
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// What deadlines may be late by: the tick of a timer and a few steps of the client.
const LATE: Duration = Duration::from_secs(1);

/// A client that sends some messages at once and reads their echoes.
struct Reader {
    id: ClientId,
    /// Bytes for each second, from some time on.
    rate: usize,
    pauses_at: Duration,
    resumes_at: Duration,
    answers: bool,
    /// Sends FIN behind its messages.
    half_closes: bool,
    /// What it sends once it is connected.
    outbox: Vec<u8>,
    unparsed: Vec<u8>,
    echoed: usize,
    read: usize,
    pongs: usize,
    /// When the close frame of the server came, and when the server let go of the connection.
    closed: Option<(Duration, Vec<u8>)>,
    let_go: Option<Duration>,
    next_at: Duration,
}

impl Reader {
    fn read(&mut self, network: &SimNetwork) {
        let now = network.now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + STEP;
        if network.is_closed(self.id) {
            self.let_go.get_or_insert(now);
        }
        if (self.pauses_at..self.resumes_at).contains(&now) {
            return;
        }
        if now >= self.resumes_at {
            // As fast as it can.
            self.rate = usize::MAX;
            network.set_receive_window(self.id, usize::MAX);
        }
        let bytes = network.read_up_to(self.id, self.rate / 10);
        self.read += bytes.len();
        self.unparsed.extend(bytes);
        if self.unparsed.starts_with(b"HTTP")
            && let Some(end) = self.unparsed.windows(4).position(|four| four == b"\r\n\r\n")
        {
            self.unparsed.drain(..end + 4);
            network.write(self.id, &std::mem::take(&mut self.outbox));
            if self.half_closes {
                network.half_close(self.id);
            }
        }
        if self.unparsed.starts_with(b"H") {
            return;
        }
        let (frames, rest) = wire::server_frames(&self.unparsed);
        let rest = rest.to_vec();
        for frame in frames {
            match frame.first {
                first if first == FIN | PING && self.answers => {
                    network.write(self.id, &wire::frame(FIN | PONG, &frame.payload));
                    self.pongs += 1;
                }
                first if first == FIN | CLOSE => {
                    self.closed = Some((now, frame.payload));
                }
                first if first == FIN | BINARY => self.echoed += 1,
                _ => {}
            }
        }
        self.unparsed = rest;
    }
}

struct Run {
    reader: Rc<RefCell<Reader>>,
    network: SimNetwork,
    worker: Worker<SimRing, Gateway<Echo>>,
}

impl Run {
    /// One client that sends `messages` of `size` bytes behind its handshake, and has `window`.
    fn new(seed: u64, tells_progress: bool, messages: usize, size: usize, window: usize) -> Self {
        let faults = Faults { small_sockets: 500, short_queued: 100, ..Faults::default() };
        let options =
            SimOptions { tells_progress, notifies_late: true, faults, ..SimOptions::default() };
        let ring = SimRing::new(seed, options);
        let network = ring.network();
        let id = network.connect(0);
        network.set_receive_window(id, window);
        network.write(id, &request(""));
        let reader = Reader {
            id,
            rate: usize::MAX,
            pauses_at: Duration::MAX,
            resumes_at: Duration::MAX,
            answers: true,
            half_closes: false,
            outbox: wire::frame(FIN | BINARY, &vec![7; size]).repeat(messages),
            unparsed: Vec::new(),
            echoed: 0,
            read: 0,
            pongs: 0,
            closed: None,
            let_go: None,
            next_at: Duration::ZERO,
        };
        let reader = Rc::new(RefCell::new(reader));
        let acting = Rc::clone(&reader);
        network.drive(move |network| {
            let mut reader = acting.borrow_mut();
            reader.read(network);
            Some(reader.next_at)
        });
        let mut config = Config::default();
        let service = echo(&mut config);
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(ring, Arc::new(config), service, 1, stop);
        Self { reader, network, worker }
    }

    /// Runs until `limit`, or until `done`, or until the server has let go of the connection.
    fn until(&mut self, limit: Duration, done: impl Fn(&Reader) -> bool) {
        while self.network.now() < limit
            && !done(&self.reader.borrow())
            && self.reader.borrow().let_go.is_none()
        {
            self.worker.turn().unwrap();
        }
    }
}

/// Reads 400 kB or more at rates that take a minute to an hour, in kernels with more or less room.
#[test]
fn a_steady_reader_is_never_closed() {
    for (seed, rate) in [200, 700, 2_000, 8_000, 30_000].into_iter().cycle().take(15).enumerate() {
        let seed = seed as u64;
        let window = [2_000, 20_000, 200_000][seed as usize % 3];
        // What a reader has in its own kernel and its program may take too long to read is that of
        // a slower reader than is promised; those have small receive buffers here.
        let window = if rate < 8_192 { window.min(rate * 5) } else { window };
        let (messages, size) = [(40, 10_000), (4, 100_000)][seed as usize % 2];
        let mut run = Run::new(seed, true, messages, size, window);
        run.reader.borrow_mut().rate = rate;
        run.until(Duration::from_secs(7_200), |reader| reader.echoed == messages);
        let reader = run.reader.borrow();
        let ended = (reader.closed.clone(), reader.let_go);
        assert_eq!(ended, (None, None), "seed {seed}, {rate} B/s");
        assert_eq!(reader.echoed, messages, "seed {seed}, {rate} B/s");
    }
}

/// A kernel that does not tell is tried instead, as long as something waits in the server.
#[test]
fn a_steady_reader_is_served_where_the_kernel_does_not_tell() {
    let (messages, size) = (100, 10_000);
    for (seed, rate) in [300, 2_000, 30_000].into_iter().cycle().take(15).enumerate() {
        let window = 2_000;
        let mut run = Run::new(seed as u64, false, messages, size, window);
        run.reader.borrow_mut().rate = rate;
        run.until(Duration::from_secs(7_200), |reader| reader.echoed == messages);
        let read = run.reader.borrow().read;
        // The most that a simulated socket holds.
        let in_kernel = 256 << 10;
        assert!(read + in_kernel + window >= messages * size, "seed {seed}, {rate} B/s: {read}");
    }
}

/// When it has read all and goes on answering it stays, at the same price as any: a ping each 30 s.
#[test]
fn it_stays_when_it_has_caught_up() {
    let mut run = Run::new(1, true, 40, 10_000, 10_000);
    run.reader.borrow_mut().rate = 4_000;
    run.until(Duration::from_secs(3_600), |_| false);
    assert_eq!(run.reader.borrow().closed, None);
    let pongs = run.reader.borrow().pongs;
    assert!((100..=121).contains(&pongs), "{pongs} pings in an hour");
}

/// A reader that stops for good while much is on its way to it is cut `STALL` after its last
/// progress, which is known to a second or to the interval of the checks, and the close timeout
/// later.
#[test]
fn a_reader_that_stops_is_cut() {
    for (seed, tells) in (0..20_u64).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut run = Run::new(seed, tells, 100, 10_000, 5_000);
        run.reader.borrow_mut().rate = 20_000;
        let stops_at = Duration::from_secs(10);
        run.reader.borrow_mut().pauses_at = stops_at;
        run.until(Duration::from_secs(600), |_| false);
        let took = run.reader.borrow().let_go.expect("it is cut") - stops_at;
        let unseen = if tells { Duration::from_secs(2) } else { STALL / 4 };
        let least = STALL + CLOSE_WITHIN;
        assert!(took + unseen >= least, "seed {seed}, {tells}: cut after {took:?}");
        assert!(took <= least + STALL / 4 + LATE, "seed {seed}: cut after {took:?}");
    }
}

/// One that is given up is sent a close frame behind what is queued, and gets it if it reads again
/// before the server ends the connection.
#[test]
fn a_reader_that_is_given_up_is_told_if_it_reads_again() {
    for (seed, tells) in (0..10_u64).flat_map(|seed| [(seed, true), (seed, false)]) {
        let run_with = |resumes_at| {
            let mut run = Run::new(seed, tells, 100, 10_000, 5_000);
            {
                let mut reader = run.reader.borrow_mut();
                (reader.rate, reader.pauses_at) = (20_000, Duration::from_secs(10));
                reader.resumes_at = resumes_at;
            }
            run.until(Duration::from_secs(600), |reader| reader.closed.is_some());
            let reader = run.reader.borrow();
            (reader.closed.clone(), reader.let_go)
        };
        let (closed, let_go) = run_with(Duration::MAX);
        let cut_at = let_go.expect("it is cut");
        assert_eq!(closed, None);
        let (closed, _) = run_with(cut_at - Duration::from_secs(2));
        let (_, payload) = closed.expect("a close frame");
        assert_eq!(payload, [&1013_u16.to_be_bytes(), &b"does not read"[..]].concat());
    }
}

/// One that has sent FIN is owed its replies for as long as it reads them.
#[test]
fn a_reader_that_has_sent_fin_gets_everything() {
    for (seed, tells) in (0..10_u64).flat_map(|seed| [(seed, true), (seed, false)]) {
        let (messages, size) = (60, 10_000);
        let mut run = Run::new(seed, tells, messages, size, 5_000);
        {
            let mut reader = run.reader.borrow_mut();
            (reader.rate, reader.half_closes) = (2_000, true);
        }
        // The last bytes are still under way when the server has ended the connection.
        while run.network.now() < Duration::from_secs(3_600) {
            run.worker.turn().unwrap();
        }
        assert_eq!(run.reader.borrow().echoed, messages, "seed {seed}, {tells}");
    }
}

/// A program that hangs with nothing to read but the ping, and one that reads and does not answer.
#[test]
fn silence_is_the_end_in_the_time_configured() {
    for (tells, hangs) in [(true, true), (true, false), (false, true), (false, false)] {
        for seed in 0..10 {
            let mut run = Run::new(seed, tells, 3, 1_000, usize::MAX);
            run.reader.borrow_mut().answers = false;
            run.until(Duration::from_secs(5), |_| false);
            assert_eq!(run.reader.borrow().echoed, 3);
            if hangs {
                run.reader.borrow_mut().pauses_at = Duration::from_secs(5);
            }
            run.until(Duration::from_secs(300), |reader| reader.closed.is_some());
            let reader = run.reader.borrow();
            let took =
                reader.closed.as_ref().map(|closed| closed.0).or(reader.let_go).expect("an end");
            let due = PING_AFTER + PONG_WITHIN;
            // One that hangs does not see the close frame; the server waits for its own.
            let due = if hangs { due + CLOSE_WITHIN } else { due };
            assert!(took >= due && took <= due + LATE, "{tells}, {hangs}: after {took:?}");
        }
    }
}
