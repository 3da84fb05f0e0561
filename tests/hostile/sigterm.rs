//! How long it takes from SIGTERM in the middle of an attack until an honest client has its close
//! frame, and until the server has ended after the attackers have left.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::attack::Attack;
use crate::run::{Addresses, server, split};
use crate::script::Workload;
use crate::support::client::Client;
use crate::support::wire::{CLOSE, FIN};

/// The most that is waited for the end of the server.
const LIMIT: Duration = Duration::from_secs(20);

/// The head of the table; times in milliseconds.
pub(crate) const HEAD: &str = "\
| workload | close frame after | end after |\n\
|---|---|---|";

/// What came of one signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// From the signal to the close frame; `None` if the connection ended without one.
    pub(crate) close: Option<Duration>,
    /// From the signal to the end of the server; `None` if that did not come.
    pub(crate) end: Option<Duration>,
}

/// Starts a server of `cores` cores and the attack, and sends SIGTERM after `time`.
pub(crate) fn stop_under(workload: &Workload, time: Duration, cores: usize) -> Ended {
    let groups = (workload.make)();
    let (serving, loading) = split(cores);
    let mut server = server(&serving, &groups, workload.flags);
    let mut client = Client::open(server.addr());
    let attack = Attack::start(Addresses::of(&server), groups, loading);
    thread::sleep(time);
    let start = Instant::now();
    server.signal(Signal::TERM);
    let frame = client.try_read_frame(LIMIT);
    let is_close = frame.is_ok_and(|frame| frame.first == FIN | CLOSE);
    let close = is_close.then(|| start.elapsed());
    drop(client);
    attack.stop();
    let end = server.wait(LIMIT).map(|_| start.elapsed());
    Ended { close, end }
}

/// The row of one signal.
pub(crate) fn row(workload: &Workload, ended: &Ended) -> String {
    let ms = |time: Option<Duration>| time.map_or("never".into(), |t| t.as_millis().to_string());
    format!("| {} | {} | {} |", workload.name, ms(ended.close), ms(ended.end))
}
