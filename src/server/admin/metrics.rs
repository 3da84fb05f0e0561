//! `GET /metrics`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::metric::Snapshot;
use super::series::render;
use super::text::Format;
use super::waiting::{Gathered, Parts, Pending, Teller};
use crate::app::Responder;
use crate::authority::Verify;
use crate::config::Backend;
use crate::io::uring::kernel_release;
use crate::protocol::http::{Response, Status};
use crate::server::handle::ServerHandle;
use crate::server::view::{CoreStats, CoreView, Visit};

/// What is remembered between two requests.
pub(super) struct Metrics {
    /// The last answer of each loop. The figures of one that does not answer stay in the sums: a
    /// counter must not decrease.
    last: Mutex<Vec<Option<CoreStats>>>,
    started: Duration,
    authority: Option<Arc<dyn Verify>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("started", &self.started).finish_non_exhaustive()
    }
}

/// Tells the counters of a loop.
struct Count(Teller<CoreStats>);

impl Visit for Count {
    fn visit(self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        self.0.tell(core.stats());
        None
    }
}

impl Metrics {
    /// `authority` decides about clients; what it asks others is counted.
    pub(super) fn new(authority: Option<Arc<dyn Verify>>) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { last: Mutex::default(), started, authority }
    }

    /// Answers once all loops have.
    pub(super) fn answer(
        self: &Arc<Self>,
        server: &ServerHandle,
        format: Format,
        responder: Responder,
    ) -> Arc<dyn Pending> {
        let (metrics, handle) = (Arc::clone(self), server.clone());
        let finish = move |parts: Parts<CoreStats>| {
            let text = render(&metrics.snapshot(&handle, parts), format);
            Response::text(Status::OK, text).with_type(format.content_type())
        };
        Gathered::ask(server.controls(), responder, |teller| Box::new(Count(teller)), finish)
    }

    fn snapshot(&self, server: &ServerHandle, parts: Parts<CoreStats>) -> Snapshot {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.resize(parts.len(), None);
        let mut loops = Vec::with_capacity(parts.len());
        for ((number, part), last) in parts.into_iter().enumerate().zip(&mut *last) {
            let has_answered = part.is_some();
            *last = part.or(*last);
            let core = server.controls().get(number).map_or(0, |control| control.core);
            let unknown = CoreStats { core, number, ..CoreStats::default() };
            loops.push((last.unwrap_or(unknown), has_answered));
        }
        Snapshot {
            loops,
            backend: if server.backend() == Backend::Epoll { "epoll" } else { "io_uring" },
            kernel: kernel_release(),
            is_draining: server.is_draining(),
            started: self.started.as_secs_f64(),
            max_connections: server.max_connections().into(),
            asked: self.authority.as_ref().and_then(|authority| authority.asked()),
            max_memory: server.config().limits.memory as u64,
        }
    }
}
