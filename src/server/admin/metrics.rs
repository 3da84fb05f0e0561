//! `GET /metrics`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::by_route;
use super::metric::Snapshot;
use super::refusals::Refusals;
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
use crate::session::RouteCounts;

/// What is remembered between two requests.
pub(super) struct Metrics {
    /// The last answer of each loop. The figures of one that does not answer stay in the sums: a
    /// counter must not decrease.
    last: Mutex<Vec<Option<Told>>>,
    started: Duration,
    authority: Option<Arc<dyn Verify>>,
    lost_log_lines: Option<Arc<AtomicU64>>,
    /// Requests of those who may not ask.
    pub(super) refusals: Refusals,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("started", &self.started).finish_non_exhaustive()
    }
}

/// The counters of a loop.
#[derive(Clone, Debug, Default)]
struct Told {
    stats: CoreStats,
    by_route: RouteCounts,
}

/// Tells the counters of a loop.
struct Count(Teller<Told>);

impl Visit for Count {
    fn visit(self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        self.0.tell(Told { stats: core.stats(), by_route: core.by_route() });
        None
    }
}

impl Metrics {
    /// `authority` decides about clients; what it asks others is counted.
    pub(super) fn new(
        authority: Option<Arc<dyn Verify>>,
        lost_log_lines: Option<Arc<AtomicU64>>,
    ) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (last, refusals) = (Mutex::default(), Refusals::default());
        Self { last, started, authority, lost_log_lines, refusals }
    }

    /// Answers once all loops have.
    pub(super) fn answer(
        self: &Arc<Self>,
        server: &ServerHandle,
        format: Format,
        responder: Responder,
    ) -> Arc<dyn Pending> {
        let (metrics, handle) = (Arc::clone(self), server.clone());
        let finish = move |parts: Parts<Told>| {
            let text = render(&metrics.snapshot(&handle, parts), format);
            Response::text(Status::OK, text).with_type(format.content_type())
        };
        Gathered::ask(server.controls(), responder, |teller| Box::new(Count(teller)), finish)
    }

    fn snapshot(&self, server: &ServerHandle, parts: Parts<Told>) -> Snapshot {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.resize_with(parts.len(), || None);
        let mut loops = Vec::with_capacity(parts.len());
        for ((number, part), last) in parts.into_iter().enumerate().zip(&mut *last) {
            let has_answered = part.is_some();
            *last = part.or_else(|| last.take());
            let core = server.controls().get(number).map_or(0, |control| control.core);
            let unknown = CoreStats { core, number, ..CoreStats::default() };
            let stats = last.as_ref().map_or(unknown, |told| told.stats);
            loops.push((stats, has_answered));
        }
        let (config, reloads) = (server.config(), server.reloads());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let by_route = last.iter().flatten().map(|told| &told.by_route);
        let by_route = by_route::sum(&config.routes, by_route);
        Snapshot {
            loops,
            by_route,
            backend: if server.backend() == Backend::Epoll { "epoll" } else { "io_uring" },
            kernel: kernel_release(),
            is_draining: server.is_draining(),
            started: self.started.as_secs_f64(),
            refusals: self.refusals.counts(),
            max_connections: server.max_connections().into(),
            asked: self.authority.as_ref().and_then(|authority| authority.asked()),
            lost_log_lines: self.lost_log_lines.as_deref().map_or(0, read),
            max_memory: config.limits.memory as u64,
            reloads: [&reloads.good, &reloads.failed].map(read),
            last_good_reload: read(&reloads.last_good),
        }
    }
}
