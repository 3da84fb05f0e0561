//! Close frames that this side sends first.

use crate::base::Millis;
use crate::protocol::websocket::Violation;
use crate::protocol::websocket::close_frame::{ClosePayload, append_close};
use crate::session::context::ReceiveContext;
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::reason::CloseReason;
use crate::session::state::{Phase, Session};

impl Session {
    /// Sends a close frame and waits for the peer's.
    pub(in crate::session) fn begin_close(
        &mut self,
        now: Millis,
        reason: CloseReason,
        text: &str,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let code = reason.code();
        append_close(out.appendable(|| pools.buffers.take()), code, text);
        self.drop_message(pools);
        self.note_close(ClosePayload::new(code, text).reason());
        self.end(Phase::Closing, reason);
        self.deadline = now.after(pools.config.timeouts.close);
    }

    /// Ends the connection because the peer broke a rule: close frame, FIN, and some time to read
    /// what the peer has sent already. No reply may stand in place.
    pub(super) fn fail(&mut self, violation: Violation, cx: &mut ReceiveContext<'_>) {
        if self.phase == Phase::Open {
            append_close(cx.appendable(), violation.code(), violation.reason());
        }
        self.note_close(violation.reason());
        self.end(Phase::Lingering, CloseReason::Violation(violation));
        self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
        self.free(cx.pools);
    }
}
