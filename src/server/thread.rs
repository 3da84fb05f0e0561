//! The thread of one core.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::Builder;
use std::time::{Duration, SystemTime};

use super::admin::Pages;
use super::affinity;
use super::backend::{Decision, Vote};
use super::capacity::{Capacities, Capacity};
use super::control::{self, CoreControl, Stop};
use super::handle::{CoreJoin, Failure, ServerHandle, Serving};
use super::sockets::Listener;
#[cfg(feature = "tls")]
use super::tls::LoopTls;
use super::unix::SocketFile;
use crate::app::{Handler, Inbox, OnPanic, panic_text};
use crate::authority::Verify;
use crate::config::Config;
use crate::error::Error;
use crate::gateway::{Addresses, Gateway};
use crate::io::epoll::EpollDriver;
use crate::io::uring::UringRing;
use crate::io::{Driver, LoopWaker};
use crate::mesh::Port;
use crate::proxied::Proxied;
use crate::pubsub::{PeerMessage, Totals};
use crate::worker::{Listeners, Stats, Worker};

/// The parts of which a thread builds its worker.
pub(super) struct CoreThread {
    /// The core that the thread is pinned to, if any.
    pub(super) pin: Option<usize>,
    pub(super) listeners: Vec<Listener>,
    /// Removed when the last loop has ended.
    pub(super) files: Arc<Vec<SocketFile>>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<LoopTls>,
    pub(super) vote: Vote,
    pub(super) capacities: Capacities,
    pub(super) port: Port<PeerMessage>,
    pub(super) inbox: Inbox,
    pub(super) totals: Totals,
    pub(super) authority: Option<Arc<dyn Verify>>,
    pub(super) addresses: Option<Arc<Addresses>>,
    pub(super) control: Arc<CoreControl>,
    pub(super) wakers: Vec<LoopWaker>,
    pub(super) on_panic: Option<OnPanic>,
    pub(super) handle: ServerHandle,
    /// Answers what comes to listeners for administration, if there are any.
    pub(super) admin: Option<Pages>,
}

/// Receives the result of the start of each core.
type Ready = Sender<Result<Serving, Error>>;

/// The time, by which tokens end.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Ends a core when its thread ends, however that happens.
struct End {
    control: Arc<CoreControl>,
    handle: ServerHandle,
    has_failed: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        self.handle.end_core(&self.control, self.has_failed);
    }
}

impl CoreThread {
    pub(super) fn spawn<H, F>(self, make: Arc<F>, ready: Ready) -> Result<CoreJoin, Error>
    where
        H: Handler + 'static,
        F: Fn(usize, &ServerHandle) -> H + Send + Sync + 'static,
    {
        let thread = Builder::new().name(format!("corecast-{}", self.control.core));
        thread.spawn(move || self.run(&*make, ready)).map_err(Error::Thread)
    }

    fn run<H: Handler>(
        self,
        make: &dyn Fn(usize, &ServerHandle) -> H,
        ready: Ready,
    ) -> Result<Stats, Failure> {
        control::set_core_thread();
        let (control, handle) = (Arc::clone(&self.control), self.handle.clone());
        let files = Arc::clone(&self.files);
        let mut end = End { control, handle, has_failed: true };
        let result = catch_unwind(AssertUnwindSafe(|| self.serve(make, ready)))
            .unwrap_or_else(|panic| Err(Failure::Panic(panic_text(&panic))));
        end.has_failed = result.is_err();
        if end.handle.has_handed_over() {
            files.iter().for_each(SocketFile::leave);
        }
        // The last loop removes the files of sockets, before anybody is told that all have ended.
        drop(files);
        result
    }

    /// Makes the driver that all loops agree on, and serves with it. The loop is compiled once for
    /// each.
    fn serve<H: Handler>(
        mut self,
        make: &dyn Fn(usize, &ServerHandle) -> H,
        ready: Ready,
    ) -> Result<Stats, Failure> {
        let (listeners, waker) = (mem::take(&mut self.listeners), self.control.waker.clone());
        let shared = Listeners::new(listeners.iter().map(|listener| listener.is_shared));
        #[cfg(feature = "tls")]
        let shared = match &self.tls {
            Some(tls) => shared.with_tls(&tls.is_tls),
            None => shared,
        };
        let shared = shared.with_admin(self.handle.admin()).with_proxied(self.handle.proxied());
        let listeners = listeners.into_iter().map(|listener| listener.socket).collect();
        let Capacities { uring, epoll } = self.capacities.clone();
        let error = match self.try_ring(&uring) {
            Ok((Decision::Uring, Some(ring))) => {
                let serving =
                    Serving { features: Some(ring.features().clone()), ..uring.serving() };
                let ring = ring.with_listeners(listeners);
                return self.serve_with(ring, uring.config, shared, serving, make, ready);
            }
            Ok((Decision::Epoll, ring)) => {
                drop(ring);
                match EpollDriver::new(epoll.slots, epoll.config.buffers, listeners, waker) {
                    Ok(driver) => {
                        let serving = epoll.serving();
                        return self.serve_with(driver, epoll.config, shared, serving, make, ready);
                    }
                    Err(errno) => Error::Epoll(errno),
                }
            }
            Ok((Decision::Refused(refusal), _)) => refusal.into(),
            // The loop that has ended tells why.
            Ok((Decision::Abandoned | Decision::Uring, _)) => return Ok(Stats::default()),
            Err(error) => error,
        };
        let _ = ready.send(Err(error));
        Ok(Stats::default())
    }

    /// Pins the thread and makes its ring, unless epoll is wanted. Returns what the loops have
    /// agreed on.
    fn try_ring(&mut self, capacity: &Capacity) -> Result<(Decision, Option<UringRing>), Error> {
        self.pin.map_or(Ok(()), affinity::pin)?;
        if !self.vote.needs_ring() {
            return Ok((self.vote.cast(None), None));
        }
        let (buffers, waker) = (capacity.config.buffers, self.control.waker.clone());
        Ok(match UringRing::new(capacity.slots, buffers, waker) {
            Ok(ring) => (self.vote.cast(None), Some(ring)),
            Err(refusal) => (self.vote.cast(Some(refusal)), None),
        })
    }

    /// Serves with the driver as it is, or with what listeners need around it: headers of proxies,
    /// and TLS around that. Without such listeners nothing is paid for it.
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "there is nothing to take"))]
    fn serve_with<D: Driver<Waker = LoopWaker>, H: Handler>(
        mut self,
        driver: D,
        config: Arc<Config>,
        listeners: Listeners,
        serving: Serving,
        make: &dyn Fn(usize, &ServerHandle) -> H,
        ready: Ready,
    ) -> Result<Stats, Failure> {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.take() {
            let driver = tls.wrap(Proxied::new(driver, self.handle.proxied().to_vec()));
            return self.serve_on(driver, config, listeners, serving, make, ready);
        }
        if self.handle.proxied().contains(&true) {
            let driver = Proxied::new(driver, self.handle.proxied().to_vec());
            return self.serve_on(driver, config, listeners, serving, make, ready);
        }
        self.serve_on(driver, config, listeners, serving, make, ready)
    }

    fn serve_on<D: Driver<Waker = LoopWaker>, H: Handler>(
        self,
        driver: D,
        config: Arc<Config>,
        listeners: Listeners,
        serving: Serving,
        make: &dyn Fn(usize, &ServerHandle) -> H,
        ready: Ready,
    ) -> Result<Stats, Failure> {
        let control = &self.control;
        let app = make(control.core, &self.handle);
        let service = Gateway::new(app, Arc::clone(&config), self.port, self.inbox, self.totals)
            .with_panic_hook(self.on_panic)
            .with_authority(self.authority, since_1970)
            .with_proxied(self.handle.proxied().contains(&true))
            .with_limits_of_addresses(self.addresses);
        let Stop { drain, stays, hands_over, .. } = self.handle.stop_flags();
        let service = service
            .with_admin(self.admin.map(|pages| pages.boxed()))
            .with_stop(Arc::clone(drain), Arc::clone(hands_over));
        let mut worker = Worker::new(driver, config, service, listeners, Arc::clone(drain))
            .with_number(control.number)
            .with_peers(self.wakers)
            .with_stays(Arc::clone(stays))
            .with_hand_over(Arc::clone(hands_over));
        let _ = ready.send(Ok(serving));
        // If another worker ends without a result, all senders are gone and `start` does not wait
        // for ever.
        drop(ready);
        while !worker.is_done() {
            worker.turn().map_err(Failure::Loop)?;
            if control.count_turn() {
                control.answer(&mut worker);
                if self.handle.is_halting() {
                    worker.abandon();
                    return Ok(worker.stats());
                }
            }
        }
        // Submits the closes that are still queued.
        worker.run().map_err(Failure::Loop)?;
        Ok(worker.stats())
    }
}
