//! The parts of which a server is started, and the wait until all loops serve.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::control::CoreControl;
use super::handle::{ServerHandle, Serving};
use super::watchdog;
use crate::app::{self, Inbox, Publisher};
use crate::config::Config;
use crate::error::Error;
use crate::io::{LoopWaker, Wake};
use crate::mesh::{self, Port};
use crate::pubsub::PeerMessage;

/// What wakes each loop.
pub(super) fn wakers(loops: usize) -> Result<Vec<LoopWaker>, Error> {
    (0..loops).map(|_| LoopWaker::new().map_err(Error::Waker)).collect()
}

/// Starts the threads of the loops, until one fails.
pub(super) fn spawn_each<T>(
    controls: &[Arc<CoreControl>],
    ends: impl Iterator<Item = T>,
    mut spawn: impl FnMut(&Arc<CoreControl>, T) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut spawned = 0;
    let result = controls.iter().zip(ends).try_for_each(|(control, ends)| {
        spawn(control, ends)?;
        spawned += 1;
        Ok(())
    });
    // Nobody is to wait for the end of a loop that has no thread.
    controls.iter().skip(spawned).for_each(|control| control.end());
    result
}

/// All loops serve, or one of them has failed.
pub(super) fn serve(
    result: Result<Serving, Error>,
    handle: ServerHandle,
    controls: Vec<Arc<CoreControl>>,
    watchdog: Option<Duration>,
) -> Result<ServerHandle, Error> {
    let result = result.and_then(|serving| {
        handle.set_serving(serving);
        watch(controls, watchdog)
    });
    result.map_err(|error| handle.end_failed_start(error))?;
    Ok(handle)
}

/// Starts the watchdog, unless nobody wants it: a single loop has no other to go on without it.
fn watch(controls: Vec<Arc<CoreControl>>, limit: Option<Duration>) -> Result<(), Error> {
    if limit.is_some() || controls.len() > 1 { watchdog::spawn(controls, limit) } else { Ok(()) }
}

/// What the handle of the server knows of each loop.
pub(super) fn controls(
    loops: &[usize],
    wakers: &[LoopWaker],
    ports: &[Port<PeerMessage>],
) -> Vec<Arc<CoreControl>> {
    let control = |((core, waker), port): ((&usize, &LoopWaker), &Port<PeerMessage>)| {
        Arc::new(CoreControl::new(*core, port.number(), waker.clone(), port.sleep_flag()))
    };
    loops.iter().zip(wakers).zip(ports).map(control).collect()
}

/// Waits until every worker serves, or until one has failed.
pub(super) fn wait_until_ready(
    started: &mpsc::Receiver<Result<Serving, Error>>,
    workers: usize,
) -> Result<Serving, Error> {
    let mut serving = None;
    for _ in 0..workers {
        match started.recv() {
            Ok(result) => serving = Some(result?),
            Err(_) => return Err(Error::Usage("a worker ended before it began")),
        }
    }
    serving.ok_or(Error::Usage("there is no core to serve on"))
}

/// Creates the queues between cores and the inboxes through which other threads publish. Returns
/// the end of each core.
pub(super) fn connect(
    config: &Arc<Config>,
    wakers: &[LoopWaker],
) -> (Vec<Port<PeerMessage>>, Vec<Publisher>, Vec<Inbox>) {
    let limits = mesh::Limits { bytes: config.pubsub.backlog, ..mesh::Limits::default() };
    let ports = mesh::mesh(wakers.len(), limits);
    let inbox = |(port, waker): (&Port<PeerMessage>, &LoopWaker)| {
        let waker = waker.clone();
        app::inbox(config, port.sleep_flag(), Arc::new(move || waker.wake()))
    };
    let (publishers, inboxes) = ports.iter().zip(wakers).map(inbox).unzip();
    (ports, publishers, inboxes)
}
