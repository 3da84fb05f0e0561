//! The thread of one core.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::Builder;

use super::affinity;
use super::control::{self, CoreControl};
use super::handle::{CoreJoin, Failure, ServerHandle};
use crate::app::{Handler, Inbox, OnPanic, panic_text};
use crate::config::Config;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::io::uring::{Features, UringRing, UringWaker};
use crate::mesh::Port;
use crate::pubsub::{PeerMessage, Totals};
use crate::worker::{Stats, Worker};

/// The parts of which a thread builds its worker.
pub(super) struct CoreThread {
    /// The core that the thread is pinned to, if any.
    pub(super) pin: Option<usize>,
    pub(super) slots: u32,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) port: Port<PeerMessage>,
    pub(super) inbox: Inbox,
    pub(super) totals: Totals,
    pub(super) config: Arc<Config>,
    pub(super) control: Arc<CoreControl>,
    pub(super) wakers: Vec<UringWaker>,
    pub(super) on_panic: Option<OnPanic>,
    pub(super) handle: ServerHandle,
}

/// Receives the result of the start of each core.
type Ready = Sender<Result<Features, Error>>;

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
        let mut end = End { control, handle, has_failed: true };
        let result = catch_unwind(AssertUnwindSafe(|| self.serve(make, ready)))
            .unwrap_or_else(|panic| Err(Failure::Panic(panic_text(&panic))));
        end.has_failed = result.is_err();
        result
    }

    fn serve<H: Handler>(
        self,
        make: &dyn Fn(usize, &ServerHandle) -> H,
        ready: Ready,
    ) -> Result<Stats, Failure> {
        let (control, count) = (&self.control, self.listeners.len());
        let ring = self.pin.map_or(Ok(()), affinity::pin).and_then(|()| {
            let (buffers, waker) = (self.config.buffers, control.waker.clone());
            Ok(UringRing::new(self.slots, buffers, self.listeners, waker)?)
        });
        let ring = match ring {
            Ok(ring) => ring,
            Err(error) => {
                let _ = ready.send(Err(error));
                return Ok(Stats::default());
            }
        };
        let features = ring.features().clone();
        let app = make(control.core, &self.handle);
        let config = Arc::clone(&self.config);
        let service = Gateway::new(app, config, self.port, self.inbox, self.totals)
            .with_panic_hook(self.on_panic);
        let drain = Arc::clone(&self.handle.stop_flags().drain);
        let mut worker =
            Worker::new(ring, self.config, service, count, drain).with_peers(self.wakers);
        let _ = ready.send(Ok(features));
        // If another worker ends without a result, all senders are gone and `start` does not wait
        // for ever.
        drop(ready);
        while !worker.is_done() {
            worker.turn().map_err(Failure::Ring)?;
            if control.count_turn() {
                control.answer(&worker);
                if self.handle.is_halting() {
                    worker.abandon();
                    return Ok(worker.stats());
                }
            }
        }
        // Submits the closes that are still queued.
        worker.run().map_err(Failure::Ring)?;
        Ok(worker.stats())
    }
}
