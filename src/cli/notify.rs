//! What the service manager is told (sd_notify(3)): datagrams to a socket that a variable names.

use std::env;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use corecast::server::ServerHandle;
use rustix::time::{ClockId, clock_gettime};

/// Where to send what. Without a service manager nothing is sent.
#[derive(Debug)]
pub(super) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    stops: AtomicBool,
}

impl Notifier {
    /// As the variable NOTIFY_SOCKET says: a path, or `@` and a name of the abstract namespace.
    pub(super) fn of_process() -> Self {
        let to = env::var_os("NOTIFY_SOCKET").and_then(open);
        Self { to, stops: AtomicBool::new(false) }
    }

    fn send(&self, text: &str) {
        if let Some((socket, to)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), to)
        {
            tracing::warn!(%error, "the service manager cannot be told `{text}`");
        }
    }

    /// It serves. A successor is the main process of the service from now on. Nothing is said once
    /// it stops: a reload may end after that.
    pub(super) fn ready(&self, succeeds: bool) {
        if self.stops.load(Ordering::Relaxed) {
            return;
        }
        if succeeds {
            self.send(&format!("READY=1\nMAINPID={}", std::process::id()));
        } else {
            self.send("READY=1");
        }
    }

    /// It reads its settings again; [`reloaded`](Self::reloaded) follows.
    pub(super) fn reloading(&self) {
        if self.stops.load(Ordering::Relaxed) {
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// It has read its settings again, or why it has not taken them.
    pub(super) fn reloaded(&self, result: &Result<(), String>) {
        if self.stops.load(Ordering::Relaxed) {
            return;
        }
        let status = match result {
            Ok(()) => "the last reload was good".to_owned(),
            Err(fault) => {
                let fault = fault.lines().next().unwrap_or_default();
                format!("the last reload failed and changed nothing: {fault}")
            }
        };
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// It stops.
    pub(super) fn stopping(&self) {
        self.stops.store(true, Ordering::Relaxed);
        self.send("STOPPING=1");
    }

    /// Tells twice within the time that the service manager gives that all loops work. One that
    /// hangs has the service ended by it.
    pub(super) fn watch(server: ServerHandle) -> std::io::Result<()> {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // A successor is the main process of the service, whatever it was when it started.
        let is_other = !server.is_successor()
            && number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
        let Some(time) = number("WATCHDOG_USEC").filter(|time| *time > 0 && !is_other) else {
            return Ok(());
        };
        let notifier = Self::of_process();
        let every = Duration::from_micros(time / 2);
        thread::Builder::new().name("corecast-notify".to_owned()).spawn(move || {
            loop {
                if server.all_loops_answer() {
                    notifier.send("WATCHDOG=1");
                }
                thread::sleep(every);
            }
        })?;
        Ok(())
    }
}

fn open(name: OsString) -> Option<(UnixDatagram, SocketAddr)> {
    let bytes = name.as_bytes();
    let to = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    Some((UnixDatagram::unbound().ok()?, to.ok()?))
}
