//! Many clients under seeded faults, their input cut at random, with a service that has input wait
//! and lacks room at random. Every byte that comes back is checked, in its order.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Rig, TURNS, frame, head_len, masked, request};
use crate::config::Config;
use crate::io::Driver;
use crate::io::sim::{ClientId, Faults, SimNetwork, SimOptions, SimRing};
use crate::worker::Worker;

const SEEDS: u64 = 400;

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its last bytes end the session.
    Said,
    /// With FIN behind its last byte.
    HalfClose,
    /// With a reset, this far into its bytes.
    Reset(usize),
}

/// What the runs have seen: a run in which nothing waits has shown nothing.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    reset: usize,
    faulted: usize,
    waits: usize,
    no_buffers: u64,
    late: u64,
    resumed: u64,
}

struct Client {
    rng: fastrand::Rng,
    path: &'static str,
    id: Option<ClientId>,
    input: Vec<u8>,
    written: usize,
    ending: Ending,
    /// Writes before the handshake is answered, once the request was received.
    is_early: bool,
    has_ended: bool,
    due: Duration,
    expected: Vec<u8>,
    got: Vec<u8>,
}

impl Client {
    fn new(mut rng: fastrand::Rng) -> Self {
        let path = *rng.choice(&["/echo", "/hold", "/hold", "/defer", "/defer", "/lines"]).unwrap();
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for number in 0..rng.usize(0..20) {
            let letter = *rng.choice(&["h", "m"]).unwrap();
            let text = letter.repeat(rng.usize(1..90)) + &number.to_string();
            if path == "/lines" {
                input.extend(format!("{text}\n").bytes());
                expected.extend(format!("{text}\n").bytes());
                continue;
            }
            let (start, end) = text.as_bytes().split_at(rng.usize(0..=text.len()));
            if rng.bool() {
                input.extend([masked(0x01, start), masked(0x80, end)].concat());
            } else {
                input.extend(masked(0x81, text.as_bytes()));
            }
            expected.extend(frame(text.as_bytes()));
            if letter == "h" && path != "/echo" {
                expected.extend(frame(format!("{text}!").as_bytes()));
            }
        }
        let ending = match rng.u8(0..4) {
            0 => Ending::Reset(rng.usize(0..=input.len())),
            1 => Ending::HalfClose,
            _ if path == "/lines" => {
                input.extend(b"quit\n");
                expected.extend(b"bye\n");
                Ending::Said
            }
            _ => {
                input.extend(masked(0x88, &[3, 232]));
                expected.extend([0x88, 2, 3, 232]);
                Ending::Said
            }
        };
        let (is_early, due) = (rng.bool(), Duration::from_millis(rng.u64(0..50)));
        let (id, written, has_ended, got) = (None, 0, false, Vec::new());
        Self { rng, path, id, input, written, ending, is_early, has_ended, due, expected, got }
    }

    /// Does what is due; returns when it wants to act again, if it does.
    fn act(&mut self, network: &SimNetwork) -> Option<Duration> {
        let now = network.now();
        if now < self.due {
            return Some(self.due);
        }
        let id = *self.id.get_or_insert_with(|| {
            let id = network.connect(0);
            network.write(id, &request(self.path));
            id
        });
        self.got.extend(network.read(id));
        let is_open = head_len(&self.got).is_some();
        let is_received = network.bytes_not_received(id) == 0;
        // The stream has no word before its head.
        let may_write = is_open || self.is_early && is_received && self.path != "/lines";
        if self.is_gone(network) || self.has_ended {
            // What is left to read is seen when it comes.
            return None;
        }
        if !may_write {
            return Some(now + Duration::from_millis(7));
        }
        let most = [3, 30, 300, 3000][self.rng.usize(0..4)];
        let mut end = self.input.len().min(self.written + self.rng.usize(1..=most));
        if let Ending::Reset(at) = self.ending {
            end = end.min(at);
        }
        network.write(id, &self.input[self.written..end]);
        self.written = end;
        match self.ending {
            Ending::Reset(at) if at == end => {
                network.reset(id);
                self.has_ended = true;
            }
            Ending::HalfClose | Ending::Said if end == self.input.len() => {
                // A client that has said its last words leaves when the server has.
                if self.ending == Ending::HalfClose {
                    network.half_close(id);
                }
                self.has_ended = true;
            }
            _ => {}
        }
        self.due = now + Duration::from_millis(self.rng.u64(0..40));
        Some(self.due)
    }

    fn is_gone(&self, network: &SimNetwork) -> bool {
        let Some(id) = self.id else { return false };
        let has_reset = self.has_ended && matches!(self.ending, Ending::Reset(_));
        has_reset || network.closed_by_server(id).is_some() || network.is_faulted(id)
    }

    fn check(&mut self, network: &SimNetwork, tally: &mut Tally) {
        let id = self.id.expect("connected");
        self.got.extend(network.read(id));
        let body = head_len(&self.got).map_or(&[][..], |at| &self.got[at..]);
        let show = || String::from_utf8_lossy(&self.got).into_owned();
        assert!(self.expected.starts_with(body), "{}: other bytes in {}", self.path, show());
        match self.ending {
            _ if network.is_faulted(id) => tally.faulted += 1,
            Ending::Reset(_) => tally.reset += 1,
            Ending::HalfClose | Ending::Said => {
                let (got, expected) = (body.len(), self.expected.len());
                assert_eq!(got, expected, "{}, {:?}: bytes are missing", self.path, self.ending);
                tally.whole += 1;
            }
        }
    }
}

fn run(seed: u64, tally: &mut Tally) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let options = SimOptions {
        slots: 32,
        buffers: rng.u16(1..=24),
        buffer_size: *rng.choice(&[64, 200, 4096]).unwrap(),
        completions: *rng.choice(&[4, 32, 256]).unwrap(),
        faults: if rng.u8(0..4) == 0 { Faults::default() } else { Faults::swarm(rng.u64(..)) },
        ..SimOptions::default()
    };
    let clients: Vec<Client> = (0..rng.usize(1..8)).map(|_| Client::new(rng.fork())).collect();
    let clients = Rc::new(RefCell::new(clients));
    let ring = SimRing::new(seed, options);
    let (network, rig) = (ring.network(), Rig::default());
    let work_per_turn = *rng.choice(&[u64::MAX, 100, 2_000, 50_000]).unwrap();
    rig.0.borrow_mut().rng = Some(rng);
    let acting = Rc::clone(&clients);
    network.drive(move |network| {
        acting.borrow_mut().iter_mut().filter_map(|client| client.act(network)).min()
    });
    let (config, stop) = (Arc::new(Config::default()), Arc::new(AtomicBool::new(false)));
    let worker = Worker::new(ring, config, rig.clone(), 1, stop);
    let mut worker = worker.with_work_per_turn(work_per_turn);
    for turn in 0.. {
        worker.turn().unwrap();
        if clients.borrow().iter().all(|client| client.is_gone(&network)) {
            worker.drain();
        }
        if worker.is_done() {
            break;
        }
        let state = rig.0.borrow();
        assert!(turn < TURNS, "no end at {:?}: {state:?}", network.now());
    }
    network.set_faults(Faults::default());
    worker.turn().unwrap();
    network.check_quiescent();
    assert_eq!(worker.driver().stats().buffers_lent, 0);
    clients.borrow_mut().iter_mut().for_each(|client| client.check(&network, tally));
    let (stats, state) = (worker.stats(), rig.0.borrow());
    assert_eq!((stats.accepted, stats.stale), (stats.closed, 0), "{stats:?}");
    assert_eq!(state.opened.len(), state.ended.len());
    assert!(state.waiting.is_empty(), "{state:?}");
    tally.waits += state.waits;
    tally.no_buffers += stats.no_buffers;
    tally.late += stats.late;
    tally.resumed += stats.resumed;
}

#[test]
fn everything_comes_back_in_order_whatever_waits() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(seed, &mut tally);
        }));
        assert!(result.is_ok(), "seed {seed}");
    }
    let Tally { whole, reset, faulted, waits, no_buffers, late, resumed } = &tally;
    assert!(*whole > 500 && *reset > 100 && *faulted > 10, "{tally:?}");
    assert!(*waits > 1000 && *no_buffers > 100, "{tally:?}");
    assert!(*late > 0 && *resumed > 100, "{tally:?}");
}
