//! What other threads ask of a core.

use std::time::Duration;

use super::service::Gateway;
use crate::app::{Command, Context, Handler};
use crate::base::Millis;
use crate::pubsub::{Awaiting, Payload, Publication, RetainLimit, Topic, Unpublished};
use crate::session::{CloseReason, Outbound};

/// The most commands for connections that are taken in one turn.
const INBOX_BATCH: usize = 256;
/// The most publications of programs that are taken at once: at the beginning of a turn if it is
/// theirs, and at its end.
const PUBLICATIONS: usize = INBOX_BATCH / 2;
/// The least time between two warnings that a message of a program is not retained.
const WARN_EVERY: Duration = Duration::from_secs(1);

impl<H: Handler> Gateway<H> {
    /// A turn begins. Messages of other cores, of programs and of clients take turns if they wait.
    pub(super) fn begin_turn(&mut self, now: Millis, input_waits: bool) {
        let programs = self.core.inbox.has_publications();
        let waits = Awaiting { clients: input_waits, programs };
        if self.core.broker.start_turn(now, waits) {
            self.take_publications();
        }
    }

    /// Takes what other threads ask for. What is to be published waits until the broker has room.
    #[inline]
    pub(super) fn take_inbox<O: Outbound>(&mut self, out: &mut O) {
        if self.core.inbox.has_others() {
            self.take_others(out);
        }
        if self.core.inbox.has_publications() {
            self.take_publications();
        }
    }

    fn take_others<O: Outbound>(&mut self, out: &mut O) {
        for _ in 0..INBOX_BATCH {
            let Some(command) = self.core.inbox.take_other() else { return };
            self.run(command, out);
        }
    }

    fn take_publications(&mut self) {
        for _ in 0..PUBLICATIONS {
            if !self.core.broker.has_room() || self.core.broker.is_busy_for_programs() {
                return;
            }
            let next = self.core.inbox.take_publication();
            let Some(Command::Publish { topic, payload, retain }) = next else { return };
            self.publish(&topic, &payload, retain);
        }
    }

    fn run<O: Outbound>(&mut self, command: Command, out: &mut O) {
        match command {
            Command::Publish { topic, payload, retain } => self.publish(&topic, &payload, retain),
            Command::Send { to, payload } => {
                let core = &mut self.core;
                let is_open = out.with_replies(to, |replies| {
                    // What is refused is counted, and later sends of handles learn of it.
                    let mut cx = Context::new(to, replies, core);
                    let _ = cx.send(payload.opcode, &payload.bytes);
                });
                if !is_open {
                    self.core.set_gone(to);
                }
            }
            Command::Close { to, code, reason } => {
                out.close(to, CloseReason::Local(code), &reason);
            }
        }
    }

    fn publish(&mut self, topic: &Topic, payload: &Payload, retain: bool) {
        let broker = &mut self.core.broker;
        let publication = Publication { retain, ..payload.to(topic) };
        match broker.publish(&publication) {
            Ok(()) => {}
            Err(Unpublished::Busy) => broker.publish_later(&publication, None),
            Err(Unpublished::NotRetained(limit)) => self.warn_not_retained(topic, limit),
        }
    }

    /// Logs that a message is not retained, since the program that published it does not learn of
    /// it. The log is limited to one line in [`WARN_EVERY`].
    fn warn_not_retained(&mut self, topic: &Topic, limit: RetainLimit) {
        if self.now >= self.warn_again {
            self.warn_again = self.now.after(WARN_EVERY);
            let so_far = self.core.broker.stats().not_retained;
            // As a string, of which a log line escapes line feeds.
            tracing::warn!(topic = topic.as_str(), so_far, "{limit}");
        }
    }
}
