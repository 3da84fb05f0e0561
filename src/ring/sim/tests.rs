use super::*;
use crate::ring::Received;

const TURN: Option<Duration> = Some(Duration::from_millis(500));

fn kind() -> SimRing {
    SimRing::new(1, SimOptions::default())
}

fn events(ring: &mut SimRing) -> Vec<Event> {
    ring.enter(TURN).unwrap();
    std::iter::from_fn(|| ring.next_event()).collect()
}

/// Connects a client and accepts it.
fn connected(ring: &mut SimRing) -> (ClientId, Token) {
    let client = ring.network().connect(0);
    if ring.stats().enters == 0 {
        ring.accept(0);
    }
    match events(ring).as_slice() {
        [Event::Accepted { listener: 0, result: Ok(slot), armed: true }] => {
            (client, Token { slot: *slot, generation: 0 })
        }
        other => panic!("{other:?}"),
    }
}

fn owned(bytes: &[u8]) -> Payload {
    Payload::Owned { bytes: bytes.to_vec(), from: 0 }
}

/// A server of raw bytes for the tests: what it receives it sends back.
struct Echo {
    ring: SimRing,
    generations: Vec<u32>,
    /// For each slot what is to be sent, while it is open.
    open: Vec<Option<Vec<u8>>>,
    sending: Vec<bool>,
    receiving: Vec<bool>,
    ended: Vec<bool>,
    accepting: bool,
    log: Vec<String>,
}

impl Echo {
    fn new(seed: u64) -> Self {
        let options = SimOptions {
            slots: 4,
            buffers: 3,
            buffer_size: 100,
            completions: 8,
            faults: Faults { send_error: 0, receive_error: 0, ..Faults::swarm(seed) },
            ..SimOptions::default()
        };
        Self {
            ring: SimRing::new(seed, options),
            generations: vec![0; 4],
            open: vec![None; 4],
            sending: vec![false; 4],
            receiving: vec![false; 4],
            ended: vec![false; 4],
            accepting: false,
            log: Vec::new(),
        }
    }

    fn turn(&mut self) {
        if !std::mem::replace(&mut self.accepting, true) {
            self.ring.accept(0);
        }
        for index in 0..4u32 {
            let slot = index as usize;
            let token = Token { slot: index, generation: self.generations[slot] };
            let Some(rest) = &mut self.open[slot] else { continue };
            if !self.ended[slot] && !std::mem::replace(&mut self.receiving[slot], true) {
                self.ring.receive(token, true);
            }
            if !self.sending[slot] && !rest.is_empty() {
                self.sending[slot] = true;
                let bytes = std::mem::take(rest);
                self.ring.send_queued(token, bytes, 0, 64);
            } else if !self.sending[slot] && self.ended[slot] {
                self.ring.close(token);
                self.open[slot] = None;
                self.generations[slot] += 1;
            }
        }
        for event in events(&mut self.ring) {
            self.log.push(format!("{:?} {event:?}", self.ring.now()));
            match event {
                Event::Accepted { result, armed, .. } => {
                    self.accepting = armed;
                    if let Ok(slot) = result {
                        self.open[slot as usize] = Some(Vec::new());
                        self.ended[slot as usize] = false;
                    }
                }
                Event::Received { token, outcome, armed } => {
                    let slot = token.slot as usize;
                    self.receiving[slot] = armed;
                    match outcome {
                        Received::Data { buffer, len } => {
                            let bytes = self.ring.bytes(&buffer)[..len].to_vec();
                            self.open[slot].as_mut().unwrap().extend(bytes);
                            self.ring.release(buffer);
                        }
                        Received::NoBuffers => {}
                        Received::Eof => self.ended[slot] = true,
                        other => panic!("{other:?}"),
                    }
                }
                Event::Sent { token, bytes, result } => {
                    let slot = token.slot as usize;
                    self.sending[slot] = false;
                    let mut rest = bytes[result.unwrap()..].to_vec();
                    rest.extend(self.open[slot].take().unwrap());
                    self.open[slot] = Some(rest);
                }
                Event::Woken => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Clients of one run, each with what it wrote and read; whatever goes wrong, bytes come back in
/// order and whole, and every slot is given back.
fn echo_run(seed: u64) -> Vec<String> {
    let mut echo = Echo::new(seed);
    let network = echo.ring.network();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut clients: Vec<(ClientId, Vec<u8>, Vec<u8>)> =
        (0..6).map(|_| (network.connect(0), Vec::new(), Vec::new())).collect();
    for turn in 0.. {
        for (client, wrote, read) in &mut clients {
            if wrote.len() < 5000 {
                let bytes: Vec<u8> = (0..rng.usize(0..400)).map(|_| rng.u8(..)).collect();
                network.write(*client, &bytes);
                wrote.extend(bytes);
                network.set_receive_window(*client, rng.usize(0..300));
            } else {
                network.set_receive_window(*client, usize::MAX);
                network.half_close(*client);
            }
            read.extend(network.read(*client));
        }
        echo.turn();
        let done = |(client, ..): &(ClientId, _, _)| network.closed_by_server(*client).is_some();
        if clients.iter().all(done) {
            break;
        }
        assert!(turn < 100_000, "seed {seed}: does not end");
    }
    for (client, wrote, read) in &mut clients {
        read.extend(network.read(*client));
        if network.is_faulted(*client) {
            assert!(wrote.starts_with(read.as_slice()), "seed {seed}");
        } else {
            assert!(wrote == read, "seed {seed}: {} of {} bytes", read.len(), wrote.len());
            assert_eq!(network.closed_by_server(*client), Some(ServerEnd::Fin), "seed {seed}");
        }
    }
    network.set_faults(Faults::default());
    if echo.accepting {
        echo.ring.stop_accepting();
    }
    while echo.accepting || echo.open.iter().any(Option::is_some) {
        let accepting = echo.accepting;
        echo.accepting = true;
        echo.turn();
        echo.accepting &= accepting;
    }
    echo.ring.enter(None).unwrap();
    assert!(echo.ring.next_event().is_none());
    network.check_quiescent();
    echo.log
}

#[test]
fn bytes_survive_every_mixture_of_faults() {
    for seed in 0..100 {
        echo_run(seed);
    }
}

#[test]
fn a_seed_replays_its_run() {
    for seed in 100..105 {
        assert_eq!(echo_run(seed), echo_run(seed));
    }
}

#[test]
fn sleeping_moves_the_clock() {
    let mut ring = kind();
    ring.network().alarm(Duration::from_secs(60));
    ring.enter(Some(Duration::from_secs(3600))).unwrap();
    assert_eq!(ring.now(), Duration::from_secs(60));
    ring.enter(Some(Duration::from_secs(3600))).unwrap();
    assert!(ring.now() >= Duration::from_secs(3660) && ring.now() < Duration::from_secs(3661));
    ring.waker().wake();
    assert!(matches!(events(&mut ring)[..], [Event::Woken]));
}

#[test]
fn a_full_socket_takes_a_part_and_says_so_before_anything_received() {
    let faults = Faults { small_sockets: 1000, ..Faults::default() };
    let mut ring = SimRing::new(2, SimOptions { faults, ..SimOptions::default() });
    let (client, token) = connected(&mut ring);
    ring.network().set_receive_window(client, 0);
    ring.network().write(client, b"hello");
    ring.receive(token, false);
    ring.send_now(token, owned(&[7; 10_000]));
    match &events(&mut ring)[..] {
        [Event::FellShort { rest: Payload::Owned { from, .. }, error: None, .. }, ..] => {
            ring.network().set_receive_window(client, usize::MAX);
            let mut arrived = Vec::new();
            while arrived.len() < *from {
                ring.enter(TURN).unwrap();
                arrived.extend(ring.network().read(client));
            }
            assert_eq!(arrived, vec![7; *from]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_echo_in_place_gives_its_buffer_back() {
    let mut ring = kind();
    let (client, token) = connected(&mut ring);
    ring.network().write(client, b"hello");
    ring.receive(token, false);
    let mut all = events(&mut ring);
    let Some(Event::Received { outcome: Received::Data { buffer, len: 5 }, .. }) = all.pop() else {
        panic!("no data");
    };
    assert_eq!(&ring.bytes(&buffer)[..6], b"hello\xDB");
    assert_eq!(ring.stats().buffers_lent, 1);
    ring.send_now(token, Payload::Received { buffer, start: 1, len: 3 });
    ring.enter(TURN).unwrap();
    assert_eq!((ring.stats().buffers_lent, ring.stats().in_flight), (0, 1));
    ring.enter(TURN).unwrap();
    assert_eq!(ring.network().read(client), b"ell");
}

#[test]
fn a_receive_without_buffers_ends() {
    let mut ring =
        SimRing::new(3, SimOptions { buffers: 1, buffer_size: 2, ..SimOptions::default() });
    let (client, token) = connected(&mut ring);
    ring.network().write(client, b"hello");
    let mut bytes = Vec::new();
    for round in 0.. {
        assert!(round < 10, "the receive neither brings data nor ends");
        ring.receive(token, true);
        let (mut held, mut armed_still) = (None, true);
        while armed_still && bytes.len() < 5 {
            for event in events(&mut ring) {
                let Event::Received { outcome, armed, .. } = event else { panic!("{event:?}") };
                armed_still = armed;
                match outcome {
                    // The first data takes the only buffer; what comes next finds none.
                    Received::Data { buffer, len } => {
                        assert!(armed && held.is_none());
                        bytes.extend_from_slice(&ring.bytes(&buffer)[..len]);
                        held = Some(buffer);
                    }
                    Received::NoBuffers => assert!(!armed && held.is_some()),
                    other => panic!("{other:?}"),
                }
            }
        }
        held.into_iter().for_each(|buffer| ring.release(buffer));
        if bytes.len() == 5 {
            break;
        }
    }
    assert_eq!((bytes.as_slice(), ring.stats().buffers_lent), (&b"hello"[..], 0));
}

#[test]
fn a_cancelled_receive_ends_once() {
    for seed in 0..200 {
        let faults = Faults { late_cancel: 500, ..Faults::default() };
        let mut ring = SimRing::new(seed, SimOptions { faults, ..SimOptions::default() });
        let (client, token) = connected(&mut ring);
        ring.receive(token, true);
        ring.network().write(client, b"hello");
        let mut ends = 0;
        for round in 0..10 {
            if round == 1 {
                ring.cancel_receive(token);
                ring.network().half_close(client);
            }
            for event in events(&mut ring) {
                let Event::Received { armed, .. } = event else { panic!("{event:?}") };
                assert!(ends == 0, "seed {seed}: {event:?} after the end");
                ends += u32::from(!armed);
            }
        }
        assert_eq!(ends, 1, "seed {seed}");
    }
}

#[test]
fn closing_with_unread_input_resets() {
    for unread in [false, true] {
        let mut ring = kind();
        let (client, token) = connected(&mut ring);
        ring.send_now(token, owned(b"bye"));
        if unread {
            ring.network().write(client, b"hello");
        }
        ring.enter(TURN).unwrap();
        assert!(ring.next_event().is_none());
        ring.close(token);
        ring.enter(TURN).unwrap();
        ring.enter(TURN).unwrap();
        let end = if unread { ServerEnd::Reset } else { ServerEnd::Fin };
        assert_eq!(ring.network().closed_by_server(client), Some(end));
        assert_eq!(ring.network().read(client), b"bye");
    }
}

#[test]
fn events_carry_twenty_bits_of_the_generation() {
    let mut ring = kind();
    let (client, mut token) = connected(&mut ring);
    token.generation = 0xABC1_2345;
    ring.receive(token, true);
    ring.network().half_close(client);
    match &events(&mut ring)[..] {
        [Event::Received { token, outcome: Received::Eof, armed: false }] => {
            assert_eq!(*token, Token { slot: 0, generation: 0x1_2345 });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[should_panic(expected = "stale generation")]
fn the_lowest_slot_is_reused_at_once() {
    let mut ring = kind();
    let (_, first) = connected(&mut ring);
    ring.close(first);
    let (_, second) = connected(&mut ring);
    assert_eq!(first, second);
    ring.receive(first, true);
}

#[test]
#[should_panic(expected = "seed 1: receive armed twice")]
fn a_receive_is_armed_once() {
    let mut ring = kind();
    let (_, token) = connected(&mut ring);
    ring.receive(token, true);
    ring.receive(token, true);
}

#[test]
#[should_panic(expected = "send_now twice")]
fn one_send_at_once_for_each_enter() {
    let mut ring = kind();
    let (_, token) = connected(&mut ring);
    ring.send_now(token, owned(b"a"));
    ring.send_now(token, owned(b"b"));
}

#[test]
#[should_panic(expected = "send_now before next_event returned None")]
fn no_send_at_once_before_all_events_are_handed_out() {
    let mut ring = kind();
    let (_, token) = connected(&mut ring);
    ring.enter(None).unwrap();
    ring.send_now(token, owned(b"a"));
}

#[test]
#[should_panic(expected = "close while a receive is under way")]
fn a_close_waits_for_what_is_under_way() {
    let mut ring = kind();
    let (_, token) = connected(&mut ring);
    ring.receive(token, true);
    ring.enter(None).unwrap();
    ring.close(token);
}

#[test]
#[should_panic(expected = "1 receive buffers were not given back")]
fn a_buffer_kept_is_found() {
    let mut ring = kind();
    let (client, token) = connected(&mut ring);
    ring.receive(token, true);
    ring.network().write(client, b"hello");
    let kept = events(&mut ring);
    assert_eq!(kept.len(), 1);
    ring.network().check_quiescent();
}
