//! Whether those who ask for the health of the server are told to go elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::protocol::http::{Response, Status};

const HEALTHY: &str = "ok\n";
const STOPPING: &str = "The server is stopping.\n";

/// The flags of a server that stops.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    drain: Arc<AtomicBool>,
    hands_over: Arc<AtomicBool>,
}

impl Stopping {
    /// It stops once `drain` is set; if `hands_over` is set by then, a successor has its address.
    pub(super) const fn new(drain: Arc<AtomicBool>, hands_over: Arc<AtomicBool>) -> Self {
        Self { drain, hands_over }
    }

    /// The answer on `/healthz`: whether new clients are to come to this address. They are if a
    /// successor has it.
    pub(super) fn health(&self) -> Response {
        let stops = self.drain.load(Ordering::Acquire) && !self.hands_over.load(Ordering::Acquire);
        match stops {
            true => Response::text(Status::SERVICE_UNAVAILABLE, STOPPING),
            false => Response::text(Status::OK, HEALTHY),
        }
    }
}
