//! Close frames that this side sends first.

use crate::base::Millis;
use crate::protocol::websocket::Violation;
use crate::protocol::websocket::close_frame::{ClosePayload, append_close};
use crate::session::context::{ReceiveContext, Stop};
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

    /// The peer has sent more than it may in a short time: ends the connection.
    pub fn end_too_fast(
        &mut self,
        now: Millis,
        violation: Violation,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let mut cx = ReceiveContext { now, backlog: 0, pools, out, stop: Stop::No };
        self.fail(violation, &mut cx);
    }

    /// Ends the connection because the peer broke a rule: close frame, FIN, and some time to read
    /// what the peer has sent already. No reply may stand in place.
    #[inline(always)]
    pub(super) fn fail(&mut self, violation: Violation, cx: &mut ReceiveContext<'_>) {
        if self.phase == Phase::Open {
            append_close(cx.appendable(), violation.code(), violation.reason());
        }
        cx.pools.counts.rates.count_closed(violation);
        self.note_close(violation.reason());
        self.end(Phase::Lingering, CloseReason::Violation(violation));
        self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
        self.free(cx.pools);
    }
}
