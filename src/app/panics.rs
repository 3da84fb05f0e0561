//! Panics in callbacks of an application.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::base::ConnectionId;

/// A panic in a callback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Panic {
    /// The callback, a method of [`Handler`](super::Handler).
    pub callback: &'static str,
    /// The connection that it was called for.
    pub connection: ConnectionId,
    /// The text of the panic, if it had one.
    pub message: String,
}

/// Called with each panic in a callback, on the thread of its core.
pub type OnPanic = Arc<dyn Fn(&Panic) + Send + Sync>;

/// The panics of one core.
#[derive(Default)]
pub(crate) struct Panics {
    pub(crate) count: u64,
    pub(crate) hook: Option<OnPanic>,
}

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panics").field("count", &self.count).finish_non_exhaustive()
    }
}

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Calls back into the application; `Err` if that panics. A state that a panic leaves behind is the
/// application's own: its connection is closed, and nothing of the server's is borrowed by it.
#[inline(always)]
pub(crate) fn catch<R>(callback: impl FnOnce() -> R) -> Result<R, Payload> {
    // Nothing to catch, so that the call is as cheap as one without this.
    if cfg!(panic = "abort") {
        return Ok(callback());
    }
    catch_unwind(AssertUnwindSafe(callback))
}

/// The same if `is_wanted`, a constant of the [`Handler`](super::Handler). Otherwise a panic goes
/// on and ends the loop.
#[inline(always)]
pub(crate) fn catch_if<R>(is_wanted: bool, callback: impl FnOnce() -> R) -> Result<R, Payload> {
    if is_wanted { catch(callback) } else { Ok(callback()) }
}

/// Drops what a panic carried. That can panic again, if it is a value with a `Drop` of its own.
#[cold]
fn discard(payload: Payload) {
    if let Err(again) = catch(|| drop(payload)) {
        // What this one carries may panic in the same way.
        std::mem::forget(again);
    }
}

/// The text of a panic.
pub(crate) fn panic_text(payload: &Payload) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

impl Panics {
    /// Counts and logs a panic, and passes it on.
    #[cold]
    pub(crate) fn record(&mut self, callback: &'static str, id: ConnectionId, payload: Payload) {
        self.count += 1;
        let panic = Panic { callback, connection: id, message: panic_text(&payload) };
        discard(payload);
        // The text may be that of a client. As a string, of which a log line escapes line feeds.
        let text = panic.message.as_str();
        tracing::error!(callback, slot = id.slot, panic = text, "a callback panicked");
        if let Some(hook) = &self.hook
            && let Err(payload) = catch(|| hook(&panic))
        {
            discard(payload);
            tracing::error!("the callback for panics panicked");
        }
    }
}
