//! One run: its cores, clients and programs at one virtual time, and the order in which they run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corecast::config::{Config, SlowConsumer};
use corecast::io::sim::{Faults, SimOptions};
use corecast::mesh::{Limits, mesh};
use corecast::pubsub::Totals;

use crate::pubsub_model::actions;
use crate::pubsub_model::client::{Client, Kind, Stage};
use crate::pubsub_model::cores::Core;
use crate::pubsub_model::log::{Log, TOPICS};

/// If nothing is due for this long, no bytes are in flight: the slowest network takes half of it.
const QUIET: Duration = Duration::from_millis(400);
/// The limit of steps in one phase, more than any seed needs.
const STEPS: u64 = 400_000;
/// The number of the first program, above those of clients.
pub(crate) const PROGRAMS: usize = 1000;

pub(crate) struct World {
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: Duration,
    /// The number of events so far.
    pub(crate) moment: u64,
    pub(crate) policy: SlowConsumer,
    pub(crate) cores: Vec<Core>,
    pub(crate) clients: Vec<Client>,
    /// For each core a program that publishes: its remaining messages, and the time of the next.
    programs: Vec<(u32, Duration)>,
    pub(crate) log: Log,
    /// A core that is not scheduled by the system, and until when.
    frozen: (usize, Duration),
    /// Some messages are retained.
    retains: bool,
    pub(crate) stop: Arc<AtomicBool>,
    /// The number of times that the system was quiescent, and that losses were reported exactly.
    pub(crate) quiets: u64,
    pub(crate) exact: u64,
    /// Something has happened since the system was last quiescent.
    is_changed: bool,
}

fn config(rng: &mut fastrand::Rng) -> Config {
    let mut config = Config::default();
    // No timer wakes a core, only clients and brokers.
    config.timeouts.ping_after = Duration::from_secs(36_000);
    config.timeouts.handshake = Duration::from_secs(600);
    config.timeouts.stall = Duration::from_secs(600);
    let pubsub = &mut config.pubsub;
    pubsub.slow = *rng
        .choice(&[
            SlowConsumer::Close,
            SlowConsumer::Close,
            SlowConsumer::DropNewest,
            SlowConsumer::DropOldest,
            SlowConsumer::Conflate,
        ])
        .unwrap();
    pubsub.queue = *rng.choice(&[300, 2000, 20_000, 256 << 10]).unwrap();
    pubsub.backlog = *rng.choice(&[300, 1000, 5000, 8 << 20]).unwrap();
    config
}

/// Sockets are often small, so that they are full soon.
fn faults(rng: &mut fastrand::Rng) -> Faults {
    let mut faults = if rng.bool() { Faults::default() } else { Faults::swarm(rng.u64(..)) };
    if rng.u8(0..3) > 0 {
        faults.small_sockets = 1000;
    }
    faults
}

fn clients(rng: &mut fastrand::Rng, cores: usize) -> Vec<Client> {
    let busy = if rng.bool() { 12 } else { 40 };
    let count = rng.usize(2..10);
    let one = |number| {
        let kind = match rng.u8(0..5) {
            0 | 1 => {
                let topic = rng.usize(0..TOPICS.len());
                let (publishes, subscribes) =
                    *rng.choice(&[(true, true), (true, false), (false, true)]).unwrap();
                Kind::Raw { topic, publishes, subscribes, echo: rng.bool() }
            }
            _ => Kind::Json,
        };
        let mut client = Client::new(number, rng.usize(0..cores), kind, rng.fork());
        client.stalls = rng.u8(0..4) == 0;
        client.actions = rng.u32(1..busy);
        client.next_at = actions::next_time(rng, Duration::ZERO);
        client
    };
    (0..count).map(one).collect()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.usize(1..=3);
        let config = Arc::new(config(&mut rng));
        let options: Vec<SimOptions> = (0..count)
            .map(|_| SimOptions {
                slots: 24,
                buffers: rng.u16(2..=16),
                buffer_size: *rng.choice(&[200, 4096]).unwrap(),
                faults: faults(&mut rng),
                ..SimOptions::default()
            })
            .collect();
        let limits = Limits {
            entries: *rng.choice(&[1, 2, 4, 8, 1024]).unwrap(),
            bytes: *rng.choice(&[100, 700, 3000, 8 << 20]).unwrap(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let totals = Totals::new(&config.pubsub);
        let (rings, wakers) = Core::rings(seed, &options);
        let cores = rings
            .into_iter()
            .zip(mesh(count, limits))
            .map(|(ring, port)| {
                let (peers, totals, stop) = (wakers.clone(), totals.clone(), Arc::clone(&stop));
                Core::new(ring, &config, port, peers, totals, stop)
            })
            .collect();
        let mut clients = clients(&mut rng, count);
        let retains = rng.u8(0..4) > 0;
        let conflates = config.pubsub.slow == SlowConsumer::Conflate;
        for client in &mut clients {
            (client.retains, client.conflates) = (retains, conflates);
        }
        let programs = (0..count).map(|_| (rng.u32(0..10), Duration::ZERO)).collect();
        Self {
            rng,
            now: Duration::ZERO,
            moment: 0,
            policy: config.pubsub.slow,
            cores,
            clients,
            programs,
            log: Log::default(),
            frozen: (0, Duration::ZERO),
            retains,
            stop,
            quiets: 0,
            exact: 0,
            is_changed: true,
        }
    }

    /// Whether clients and programs have done all their actions.
    pub(crate) fn is_idle(&self) -> bool {
        let is_done = |client: &Client| match client.stage {
            Stage::NotConnected | Stage::Opening => false,
            Stage::Open => client.actions == 0,
            Stage::Closing | Stage::Gone => true,
        };
        let no_stall = self.clients.iter().all(|client| client.stalled_until.is_none());
        no_stall && self.clients.iter().all(is_done) && self.programs.iter().all(|p| p.0 == 0)
    }

    /// Makes the next quiescent state be checked.
    pub(crate) const fn mark_changed(&mut self) {
        self.is_changed = true;
    }

    /// Runs until the system is quiescent and `is_done`.
    pub(crate) fn run(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        for _ in 0..STEPS {
            self.moment += 1;
            self.act();
            if self.turn()? {
                continue;
            }
            if self.is_quiet()? && is_done(self) {
                return Ok(());
            }
            self.advance();
        }
        Err("no end".into())
    }

    /// Runs a turn of one core that is awake or has something due; false if there is none.
    fn turn(&mut self) -> Result<bool, String> {
        let is_due = |core: &Core| {
            !core.worker.is_done() && core.asleep_until().is_none_or(|at| at <= self.now)
        };
        if self.rng.u8(0..100) == 0 {
            let until = self.now + Duration::from_micros(self.rng.u64(0..2000));
            self.frozen = (self.rng.usize(0..self.cores.len()), until);
        }
        let due = |(number, core)| (is_due(core) && !self.is_frozen(number)).then_some(number);
        let due: Vec<usize> = self.cores.iter().enumerate().filter_map(due).collect();
        let Some(number) = self.rng.choice(&due).copied() else { return Ok(false) };
        let core = &mut self.cores[number];
        core.network.limit(self.now);
        core.worker.turn().map_err(|error| error.to_string())?;
        for client in self.clients.iter_mut().filter(|client| client.core == number) {
            self.moment += 1;
            client
                .read(&core.network, &mut self.log, self.moment)
                .map_err(|error| format!("client {}: {error}", client.number))?;
        }
        Ok(true)
    }

    /// The time of the next event of any core.
    fn next_event(&self) -> Duration {
        let next = |(number, core): (usize, &Core)| {
            let next = core.asleep_until().unwrap_or(self.now);
            if self.is_frozen(number) { next.max(self.frozen.1) } else { next }
        };
        let running = self.cores.iter().enumerate().filter(|(_, core)| !core.worker.is_done());
        running.map(next).min().unwrap_or(Duration::MAX)
    }

    fn is_frozen(&self, core: usize) -> bool {
        self.frozen.0 == core && self.now < self.frozen.1
    }

    /// All cores sleep. Returns whether no bytes are in flight, and then checks everything.
    fn is_quiet(&mut self) -> Result<bool, String> {
        let is_quiet = self.next_event() >= self.now + QUIET;
        if is_quiet && std::mem::take(&mut self.is_changed) {
            self.quiets += 1;
            self.check_quiet()?;
        }
        Ok(is_quiet)
    }

    /// All cores sleep: advances the time to the next event.
    fn advance(&mut self) {
        let jitter = Duration::from_micros(self.rng.u64(0..200));
        let next = self.next_action().map_or(self.next_event(), |at| at.min(self.next_event()));
        self.now = self.now.max(next) + jitter;
    }

    fn next_action(&self) -> Option<Duration> {
        let stalls = self.clients.iter().filter_map(|client| client.stalled_until);
        let acts = |client: &&Client| match client.stage {
            Stage::NotConnected => true,
            Stage::Open => client.actions > 0,
            _ => false,
        };
        let clients = self.clients.iter().filter(acts).map(|client| client.next_at);
        let programs = self.programs.iter().filter(|(left, _)| *left > 0).map(|(_, at)| *at);
        stalls.chain(clients).chain(programs).min()
    }

    /// Runs a client or program that is due, or sometimes none, so that others run first.
    fn act(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            let network = &self.cores[client.core].network;
            if client.stalled_until.is_some_and(|until| until <= now) {
                client.stalled_until = None;
                self.is_changed = true;
                client.id.iter().for_each(|id| network.set_receive_window(*id, usize::MAX));
            }
            if client.next_at > now || self.rng.u8(0..4) == 0 {
                continue;
            }
            (self.moment, self.is_changed) = (self.moment + 1, true);
            match client.stage {
                Stage::NotConnected => client.connect(network, self.moment),
                Stage::Open if client.actions > 0 => {
                    client.act(network, &mut self.log, self.moment, now);
                }
                _ => continue,
            }
            client.next_at = actions::next_time(&mut self.rng, now);
        }
        for (number, (left, at)) in self.programs.iter_mut().enumerate() {
            if *left > 0 && *at <= now && self.rng.bool() {
                (self.moment, self.is_changed) = (self.moment + 1, true);
                let (core, rng) = (&self.cores[number], &mut self.rng);
                actions::publish((number, core), self.retains, rng, &mut self.log, self.moment);
                *left -= 1;
                *at = actions::next_time(rng, now);
            }
        }
    }
}
