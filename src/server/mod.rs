//! A server: listeners, one pinned thread with its worker on each core, starting and stopping.

mod admin;
mod affinity;
mod backend;
mod capacity;
mod control;
mod ending;
mod handle;
mod handover;
mod holding;
mod life;
mod listen;
mod offered;
mod overlap;
mod passed;
mod reload;
mod reloads;
mod rlimit;
mod sockets;
mod starting;
mod succession;
mod taken;
mod tcp;
mod thread;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod unix;
mod view;
mod watchdog;

use std::fmt;
use std::iter;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::Duration;

use crate::app::{Handler, OnPanic, Panic};
use crate::authority::Verify;
use crate::config::Config;
use crate::error::Error;
use crate::gateway::Addresses;
use crate::pubsub::Totals;
#[cfg(feature = "tls")]
use crate::transport::tls::Tls;
use admin::Admin;
pub use affinity::allowed_cores;
use control::Stop;
use handle::Parts;
pub use handle::ServerHandle;
use holding::Holding;
pub use listen::{Listen, Listening};
use sockets::Bound;
use starting::{connect, controls, serve, spawn_each, wait_until_ready, wakers};
use succession::{OnTakeOver, Succession};
pub use taken::Taken;
use thread::CoreThread;
use token::Token;
pub use view::CoreStats;

/// The limit of loops per core. Each loop has a queue to every other, so memory grows with the
/// square.
const MAX_LOOPS: usize = 16;

/// The default time that a loop may take for one turn before a warning is logged.
const WATCHDOG: Duration = Duration::from_secs(1);

/// A server that is not started yet.
///
/// ```no_run
/// use corecast::config::Config;
/// use corecast::app::echo::Echo;
/// use corecast::server::Server;
///
/// # fn main() -> Result<(), corecast::error::Error> {
/// let server = Server::new(Config::default()).listen("127.0.0.1:9001".parse().unwrap());
/// let running = server.start(|_core, _handle| Echo)?;
/// println!("listening on {:?}", running.addresses());
/// running.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    config: Config,
    listen: Vec<Listen>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    authority: Option<Arc<dyn Verify>>,
    lost: Option<Arc<AtomicU64>>,
    cores: Option<Vec<usize>>,
    loops_per_core: usize,
    on_panic: Option<OnPanic>,
    watchdog: Option<Duration>,
    admin_token: Option<Token>,
    hand_over: Option<PathBuf>,
    on_take_over: Option<OnTakeOver>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, listen, cores, loops_per_core, watchdog, hand_over, .. } = self;
        let mut debug = f.debug_struct("Server");
        debug.field("config", config).field("listen", listen).field("cores", cores);
        debug.field("loops_per_core", loops_per_core).field("watchdog", watchdog);
        debug.field("hand_over", hand_over);
        debug.finish_non_exhaustive()
    }
}

impl Server {
    /// A server with this configuration, on every core that the process may use.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            listen: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            authority: None,
            lost: None,
            cores: None,
            loops_per_core: 1,
            on_panic: None,
            watchdog: Some(WATCHDOG),
            admin_token: None,
            hand_over: None,
            on_take_over: None,
        }
    }

    /// Adds an address to listen on. With port 0 the system chooses the port. `[::]` accepts IPv4
    /// as well, unless an IPv4 address with the same port is given. Addresses that overlap are an
    /// error of [`start`](Self::start).
    #[must_use]
    pub fn listen(self, address: SocketAddr) -> Self {
        self.listen_on(Listen::tcp(address))
    }

    /// Adds a Unix-domain socket to listen on; see [`Listen::unix`].
    #[must_use]
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        self.listen_on(Listen::unix(path))
    }

    /// Adds something to listen on. The same thing twice is an error of [`start`](Self::start).
    #[must_use]
    pub fn listen_on(mut self, listen: Listen) -> Self {
        self.listen.push(listen);
        self
    }

    /// Adds an address to listen on with TLS. Of all else [`listen`](Self::listen) tells. Needs
    /// [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn listen_tls(self, address: SocketAddr) -> Self {
        self.listen_on(Listen::tcp(address).tls())
    }

    /// The certificates of the listeners with TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Clients of `/topics/...` and `/pubsub` have to show a token or a key that `verify` accepts,
    /// such as [`Tokens`](crate::authority::Tokens), and may publish and subscribe to what that
    /// allows. By default anybody may. Clients of the application need one if
    /// [`Handler::TOKENS`] says so.
    #[must_use]
    pub fn authority(mut self, verify: Arc<dyn Verify>) -> Self {
        self.authority = Some(verify);
        self
    }

    /// How many lines of its log the program has lost, which counts there: for the metric
    /// `corecast_lost_log_lines`, which is 0 otherwise.
    #[must_use]
    pub fn lost_log_lines(mut self, count: Arc<AtomicU64>) -> Self {
        self.lost = Some(count);
        self
    }

    /// Runs on these cores only.
    #[must_use]
    pub fn cores(mut self, cores: Vec<usize>) -> Self {
        self.cores = Some(cores);
        self
    }

    /// The number of loops on each core, 1 to 16; default 1. More than one is useful only to hold
    /// more connections than the limit of open files (`RLIMIT_NOFILE`) allows, if that cannot be
    /// raised: the limit counts for each ring. Wherever this documentation says "core", read
    /// "loop" then.
    #[must_use]
    pub fn loops_per_core(mut self, loops: usize) -> Self {
        self.loops_per_core = loops.clamp(1, MAX_LOOPS);
        self
    }

    /// Calls `callback` for each panic in a callback of the application, on the thread of its core.
    /// The connection is closed with 1011 and the core goes on. Without effect if panics abort the
    /// process.
    #[must_use]
    pub fn on_panic(mut self, callback: impl Fn(&Panic) + Send + Sync + 'static) -> Self {
        self.on_panic = Some(Arc::new(callback));
        self
    }

    /// Logs a warning when a loop takes longer than `limit` for one turn because a callback blocks
    /// or computes. No other connection of the loop is served during that time. Default 1 s;
    /// `None` turns it off. If there are several loops, one that takes longer than 3 s is logged
    /// as an error in any case, and the others go on without it: they do not wait until it has
    /// acknowledged a subscription, and drop messages for its subscribers once 8 MiB
    /// ([`PubSub::backlog`](crate::config::PubSub::backlog)) wait. Meanwhile no value is retained.
    /// If messages were dropped, the loop closes its subscribers with 1013 when it goes on.
    #[must_use]
    pub const fn watchdog(mut self, limit: Option<Duration>) -> Self {
        self.watchdog = limit;
        self
    }

    /// The token that requests to listeners for administration have to give, as
    /// `Authorization: Bearer TOKEN`: a word of at least 16 characters. White space around it is
    /// dropped. Without one such a listener has to be local. A shorter one is an error of
    /// [`start`](Self::start).
    #[must_use]
    pub fn admin_token(mut self, token: &str) -> Self {
        self.admin_token = Some(Token::new(token));
        self
    }

    /// Whether a text can be the token of [`admin_token`](Self::admin_token).
    ///
    /// # Errors
    /// [`Error::Usage`], which says what is wrong.
    pub fn check_admin_token(token: &str) -> Result<(), Error> {
        if Token::new(token).is_wrong() { Err(Error::Usage(Token::WRONG)) } else { Ok(()) }
    }

    /// Restarts without refusing anybody. At the start, the listening sockets of a server that was
    /// started with the same path are taken from it, where what is listened on is written in the
    /// same way, or as the address that it has. Once this server serves, that one drains. Then this
    /// server listens at the path, a Unix-domain socket, for a successor of the same user.
    /// Connections of a predecessor are not taken: they are closed as by [`ServerHandle::drain`],
    /// and their clients connect again.
    #[must_use]
    pub fn hand_over(mut self, path: impl Into<PathBuf>) -> Self {
        self.hand_over = Some(path.into());
        self
    }

    /// Calls `callback` if there is a predecessor ([`hand_over`](Self::hand_over)), once this
    /// server serves and before that one is told to drain. What must be known before the
    /// predecessor ends is said here, such as the new main process to a service manager.
    #[must_use]
    pub fn on_take_over(mut self, callback: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_take_over = Some(Arc::new(callback));
        self
    }

    /// Starts the workers, by default one on each core, and returns once all of them serve. `make`
    /// creates the handler of each worker, on its thread, and is given the number of the core and a
    /// handle of the server. Raises the limit of open files of the process.
    ///
    /// # Errors
    /// An address or core that cannot be used, io_uring refused if
    /// [`Config::backend`](crate::config::Config::backend) insists on it, or a panic of `make`. No
    /// thread is left behind.
    pub fn start<H, F>(self, make: F) -> Result<ServerHandle, Error>
    where
        H: Handler + 'static,
        F: Fn(usize, &ServerHandle) -> H + Send + Sync + 'static,
    {
        reload::check_routes(&self.config, self.authority.is_some())?;
        let affinity::Cores { list: cores, pinned } = affinity::choose(self.cores.as_deref())?;
        let all = cores.iter().flat_map(|core| iter::repeat_n(*core, self.loops_per_core));
        let loops: Vec<usize> = all.collect();
        let mut config = self.config;
        config.peer_addresses |= self.listen.iter().any(|listen| listen.is_admin);
        let asked_connections = config.limits.max_connections;
        let capacities = capacity::fit(config, loops.len());
        let (succession, handed) = Succession::begin(self.hand_over, self.on_take_over)?;
        let (bound, left) = sockets::bind(&self.listen, loops.len(), handed)?;
        let Bound { listening, has_tls, is_proxied, is_admin, loops: sockets, files, kept } = bound;
        let counted = (&self.authority, &self.lost);
        let admin = Admin::new(&listening, &is_admin, &self.admin_token, counted)?;
        #[cfg(feature = "tls")]
        let tls = tls::prepare(self.tls.as_ref(), &has_tls)?;
        let (config, wakers) = (&capacities.uring.config, wakers(loops.len())?);
        let (ports, publishers, inboxes) = connect(config, &wakers);
        let controls = controls(&loops, &wakers, &ports);
        let handle = ServerHandle::new(Parts {
            listening,
            has_tls,
            is_proxied,
            is_admin,
            cores,
            publishers,
            controls: controls.clone(),
            stop: Arc::new(Stop::default()),
            #[cfg(feature = "tls")]
            certificates: tls.as_ref().map(|tls| Arc::clone(&tls.certificates)),
            admin_token: self.admin_token,
            config: Holding::new(config, asked_connections, self.authority.is_some()),
            succeeds: succession.has_predecessor(),
        });
        let (totals, make, files) = (Totals::new(&config.pubsub), Arc::new(make), Arc::new(files));
        let addresses = Addresses::new(&config.limits).map(Arc::new);
        let (ready, started) = mpsc::channel();
        let votes = backend::votes(config.backend, loops.len());
        let ends = ports.into_iter().zip(inboxes).zip(sockets.into_iter().zip(votes));
        let result = spawn_each(&controls, ends, |control, ends| {
            let ((port, inbox), (listeners, vote)) = ends;
            let thread = CoreThread {
                pin: pinned.then_some(control.core),
                listeners,
                files: Arc::clone(&files),
                #[cfg(feature = "tls")]
                tls: tls.clone(),
                vote,
                capacities: capacities.clone(),
                port,
                inbox,
                totals: totals.clone(),
                authority: self.authority.clone(),
                addresses: addresses.clone(),
                control: Arc::clone(control),
                wakers: wakers.clone(),
                on_panic: self.on_panic.clone(),
                handle: handle.clone(),
                admin: admin.as_ref().map(|admin| admin.pages(&handle)),
            };
            handle.add_thread(control, thread.spawn(Arc::clone(&make), ready.clone())?);
            Ok(())
        });
        drop(ready);
        let result = result.and_then(|()| wait_until_ready(&started, controls.len()));
        succession.complete(serve(result, handle, controls, self.watchdog)?, kept, &left, &files)
    }
}
