//! A server of raw bytes under every mixture of faults.

use super::*;

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
            self.ring.accept(0, Accepts::Multishot);
        }
        for index in 0..4u32 {
            let slot = index as usize;
            let id = ConnectionId { slot: index, generation: self.generations[slot] };
            let Some(rest) = &mut self.open[slot] else { continue };
            if !self.ended[slot] && !std::mem::replace(&mut self.receiving[slot], true) {
                self.ring.receive(id, true);
            }
            if !self.sending[slot] && !rest.is_empty() {
                self.sending[slot] = true;
                let bytes = std::mem::take(rest);
                self.ring.send_queued(id, Chunk::Owned { bytes, from: 0 }, 64);
            } else if !self.sending[slot] && self.ended[slot] {
                self.ring.close(id);
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
                Event::Received { id, outcome, armed } => {
                    let slot = id.slot as usize;
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
                Event::Sent { id, chunk: Chunk::Owned { bytes, .. }, result } => {
                    let slot = id.slot as usize;
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
        echo.ring.stop_accepting(&[]);
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
