//! A server: listeners, one pinned thread with its worker on each core, starting and stopping.

mod affinity;
mod listener;
mod rlimit;

use std::iter;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::config::Config;
use crate::connection::{Handler, Shared};
use crate::error::Error;
use crate::mesh::{self, Port};
use crate::pubsub::{self, Hub, Inbox, Parcel, Publisher, Totals};
use crate::ring::Wake;
use crate::ring::uring::{Features, UringRing, UringWaker};
use crate::worker::{Stats, Worker};
pub use affinity::allowed_cores;

/// Each loop has rings to all others.
const MOST_LOOPS: usize = 16;

/// Slots of each loop beyond its connections, so that those too many get their 503.
const SPARE_SLOTS: u32 = 64;

/// A server to be started.
///
/// ```no_run
/// use corecast::config::Config;
/// use corecast::echo::Echo;
/// use corecast::server::Server;
///
/// # fn main() -> Result<(), corecast::error::Error> {
/// let server = Server::new(Config::default()).listen("127.0.0.1:9001".parse().unwrap());
/// let running = server.start(|_core| Echo)?;
/// println!("listening on {:?}", running.addresses());
/// running.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    listen: Vec<SocketAddr>,
    cores: Option<Vec<usize>>,
    loops_per_core: usize,
}

impl Server {
    /// A server with this configuration, on every core that the process may use.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, listen: Vec::new(), cores: None, loops_per_core: 1 }
    }

    /// Listens on `address` as well. With port 0 the system chooses one. `[::]` takes IPv4 as well,
    /// unless an IPv4 address with the same port is given. Addresses that overlap are an error.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.push(address);
        self
    }

    /// Runs on these cores only.
    #[must_use]
    pub fn cores(mut self, cores: Vec<usize>) -> Self {
        self.cores = Some(cores);
        self
    }

    /// Runs so many loops on each core instead of one, 1 to 16. More than one serves a single end:
    /// connections beyond the limit of open files (`RLIMIT_NOFILE`), where that cannot be raised,
    /// since it counts for each ring. What is said of a core elsewhere then holds for a loop.
    #[must_use]
    pub fn loops_per_core(mut self, loops: usize) -> Self {
        self.loops_per_core = loops.clamp(1, MOST_LOOPS);
        self
    }

    /// Starts the workers, one on each core unless told otherwise, each with the handler that
    /// `make` makes for the core's number, and returns once all of them serve. Raises the limit of
    /// open files.
    ///
    /// # Errors
    /// An address or core that cannot be used, or io_uring refused.
    pub fn start<H, F>(mut self, make: F) -> Result<Running, Error>
    where
        H: Handler + 'static,
        F: Fn(usize) -> H + Send + Sync + 'static,
    {
        let affinity::Cores { list: cores, pinned } = affinity::choose(self.cores.as_deref())?;
        if self.listen.is_empty() {
            return Err(Error::Nothing("no address to listen on; give one with --listen"));
        }
        let slots = self.fit_connections();
        let loops: Vec<usize> =
            cores.iter().flat_map(|core| iter::repeat_n(*core, self.loops_per_core)).collect();
        let (addresses, listeners) = listener::bind(&self.listen, loops.len())?;
        let config = Arc::new(self.config);
        let make = Arc::new(make);
        let mut wakers = Vec::new();
        for _ in &loops {
            wakers.push(UringWaker::new().map_err(Error::Waker)?);
        }
        let stop = Stop { flag: Arc::new(AtomicBool::new(false)), wakers };
        let (ports, publishers, inboxes) = connect(&config, &stop.wakers);
        let totals = Totals::new(&config.pubsub);
        let mut running = Running {
            addresses,
            cores,
            connections: config.limits.max_connections,
            features: None,
            publishers,
            next_publisher: AtomicUsize::new(0),
            stop: stop.clone(),
            threads: Vec::new(),
        };
        let ends = stop.wakers.clone().into_iter().zip(ports).zip(inboxes);
        let parts = loops.into_iter().zip(listeners).zip(ends);
        let (ready, started) = mpsc::channel();
        let result = parts.into_iter().try_for_each(|((core, listeners), end)| {
            let (config, stop) = (Arc::clone(&config), stop.clone());
            let ((waker, port), inbox) = end;
            let totals = totals.clone();
            let pin = pinned.then_some(core);
            let part =
                Part { core, pin, slots, listeners, waker, port, inbox, totals, config, stop };
            let (make, ready) = (Arc::clone(&make), ready.clone());
            let thread = std::thread::Builder::new()
                .name(format!("corecast-{core}"))
                .spawn(move || part.run(&*make, ready))
                .map_err(Error::Thread)?;
            running.threads.push(thread);
            Ok(())
        });
        drop(ready);
        // No worker stays behind of a server that did not start.
        result.and_then(|()| running.wait_until_ready(&started)).inspect_err(|_| stop.stop())?;
        Ok(running)
    }

    /// Fits the number of connections to the descriptors that a ring may have; returns the slots of
    /// each loop.
    fn fit_connections(&mut self) -> u32 {
        let limit = &mut self.config.limits.max_connections;
        *limit = (*limit).clamp(1, crate::ring::Token::MAX_SLOTS - SPARE_SLOTS);
        let files = rlimit::raise(u64::from(*limit + SPARE_SLOTS));
        let slots = (*limit + SPARE_SLOTS).min(u32::try_from(files).unwrap_or(u32::MAX)).max(2);
        let spare = SPARE_SLOTS.min(slots / 4).max(1);
        *limit = (*limit).min(slots - spare);
        slots
    }
}

/// The ways from core to core, and for programs to publish: for each core its end.
fn connect(
    config: &Arc<Config>,
    wakers: &[UringWaker],
) -> (Vec<Port<Parcel>>, Vec<Publisher>, Vec<Inbox>) {
    let limits = mesh::Limits { bytes: config.pubsub.backlog, ..mesh::Limits::default() };
    let ports = mesh::mesh(wakers.len(), limits);
    let inbox = |(port, waker): (&Port<Parcel>, &UringWaker)| {
        let waker = waker.clone();
        pubsub::inbox(config, port.sleeper(), Arc::new(move || waker.wake()))
    };
    let (publishers, inboxes) = ports.iter().zip(wakers).map(inbox).unzip();
    (ports, publishers, inboxes)
}

/// What one thread needs to become a worker.
struct Part {
    core: usize,
    /// The core that the thread stays on, if any.
    pin: Option<usize>,
    slots: u32,
    listeners: Vec<OwnedFd>,
    waker: UringWaker,
    port: Port<Parcel>,
    inbox: Inbox,
    totals: Totals,
    config: Arc<Config>,
    stop: Stop,
}

impl Part {
    fn run<H: Handler>(
        self,
        make: &(dyn Fn(usize) -> H + Send + Sync),
        ready: mpsc::Sender<Result<Features, Error>>,
    ) -> Result<Stats, Error> {
        let setup = || {
            self.pin.map_or(Ok(()), affinity::pin)?;
            let count = self.listeners.len();
            let buffers = self.config.buffers;
            let ring = UringRing::new(self.slots, buffers, self.listeners, self.waker)?;
            Ok((ring, count))
        };
        let (ring, listeners) = match setup() {
            Ok(parts) => parts,
            Err(error) => {
                let _ = ready.send(Err(error));
                return Ok(Stats::default());
            }
        };
        let features = ring.features().clone();
        let inner = make(self.core);
        let config = Arc::clone(&self.config);
        let hub = Hub::new(inner, config, self.port, Some(self.inbox), self.totals);
        let shared = Shared::new(self.config, hub);
        let flag = Arc::clone(&self.stop.flag);
        let peers = self.stop.wakers.clone();
        let mut worker = Worker::new(ring, shared, listeners, flag).with_peers(peers);
        let _ = ready.send(Ok(features));
        // Whoever waits for the start hears of it also if another worker never gets here.
        drop(ready);
        // A server with a core missing would only limp: all of it stops.
        worker.run().map_err(Error::Worker).inspect_err(|_| self.stop.stop())?;
        Ok(worker.stats())
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    cores: Vec<usize>,
    connections: u32,
    features: Option<Features>,
    publishers: Vec<Publisher>,
    next_publisher: AtomicUsize,
    stop: Stop,
    threads: Vec<JoinHandle<Result<Stats, Error>>>,
}

impl Running {
    fn wait_until_ready(
        &mut self,
        started: &mpsc::Receiver<Result<Features, Error>>,
    ) -> Result<(), Error> {
        for _ in 0..self.threads.len() {
            match started.recv() {
                Ok(Ok(features)) => self.features = Some(features),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(Error::Nothing("a worker ended before it began")),
            }
        }
        Ok(())
    }

    /// The addresses that are listened on, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The cores that serve.
    #[must_use]
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// The most connections of each loop, fitted to the descriptors that a ring may have.
    #[must_use]
    pub const fn max_connections(&self) -> u32 {
        self.connections
    }

    /// What of io_uring is used.
    #[must_use]
    pub const fn features(&self) -> Option<&Features> {
        self.features.as_ref()
    }

    /// A handle that publishes to topics, from any thread. Each call gives one for another core, so
    /// that several share the work; what is published by one and its clones keeps its order.
    ///
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let next = self.next_publisher.fetch_add(1, Ordering::Relaxed);
        self.publishers[next % self.publishers.len()].clone()
    }

    /// A handle that stops the server, from any thread.
    #[must_use]
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until every worker has ended, which they do once the server is stopped.
    ///
    /// # Errors
    /// The first failure of a worker.
    pub fn join(self) -> Result<Vec<Stats>, Error> {
        let mut stats = Vec::new();
        for thread in self.threads {
            match thread.join() {
                Ok(result) => stats.push(result?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(stats)
    }
}

/// Stops a server.
#[derive(Clone, Debug)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    wakers: Vec<UringWaker>,
}

impl Stop {
    /// Begins to stop: no new connections, close 1001 to all there are, and after the drain
    /// timeout an end to those that have not left.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::Release);
        for waker in &self.wakers {
            waker.wake();
        }
    }
}
