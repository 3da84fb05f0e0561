//! Control frames: close, ping, pong (RFC 6455 section 5.5).

use crate::base::{ConnectionId, Millis, Work};
use crate::protocol::websocket::close_frame::parse_close;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::{Opcode, Violation};
use crate::session::context::{ReceiveContext, Stop};
use crate::session::endpoint::EndpointId;
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::reason::CloseReason;
use crate::session::replies::{Replies, RepliesEnd};
use crate::session::service::Inbound;
use crate::session::state::{Phase, RareState, Session};

/// One control frame, unmasked.
pub(super) struct Control<'p> {
    pub(super) opcode: Opcode,
    pub(super) payload: &'p [u8],
}

impl Session {
    /// Answers a control frame. No reply may stand in place.
    pub(super) fn control<S: Inbound>(
        &mut self,
        control: Control<'_>,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<(), Violation> {
        if control.opcode == Opcode::Close {
            cx.pools.work.charge(Work::CLOSE_FRAME);
            return self.receive_close(control.payload, cx);
        }
        if self.phase != Phase::Open {
            return Ok(());
        }
        cx.pools.work.charge(Work::CONTROL_FRAME);
        if let Some(controls) = &mut cx.pools.controls
            && !controls.takes(self.id, self.route, cx.now)
        {
            return Err(Violation::ControlRate);
        }
        if control.opcode == Opcode::Ping {
            self.receive_ping(control.payload, cx);
        }
        let mut replies = Replies::new(&[], cx, self.compression.as_deref_mut());
        service.control(self.id, self.endpoint, control.opcode, control.payload, &mut replies);
        let end = replies.end();
        self.apply(end, &[], cx);
        Ok(())
    }

    fn receive_close(
        &mut self,
        payload: &[u8],
        cx: &mut ReceiveContext<'_>,
    ) -> Result<(), Violation> {
        let (code, text) = parse_close(payload)?;
        self.note_close(text);
        if self.phase == Phase::Open {
            // The peer's own payload is the answer (RFC 6455 section 5.5.1).
            append_frame(cx.appendable(), Opcode::Close, false, payload);
        }
        // The server closes TCP first (RFC 6455 section 7.1.1).
        self.end(Phase::Finished, CloseReason::Peer(code));
        // What still waits to be sent before the answer is sent as long as the peer reads.
        self.deadline = Millis::NEVER;
        self.free(cx.pools);
        Ok(())
    }

    fn receive_ping(&mut self, payload: &[u8], cx: &mut ReceiveContext<'_>) {
        if cx.backlog > 0 {
            // Pongs must not pile up behind replies that the peer does not read.
            self.rare = Some(Box::new(RareState::HeldPong(payload.to_vec())));
        } else {
            append_frame(cx.appendable(), Opcode::Pong, false, payload);
        }
    }

    /// Between two chunks of the queue, the pong that was held back may be sent.
    pub fn release_pong(&mut self, pools: &mut Pools, out: &mut Output) {
        if self.phase == Phase::Open
            && let Some(rare) = self.rare.take()
            && let RareState::HeldPong(payload) = *rare
        {
            append_frame(out.appendable(|| pools.buffers.take()), Opcode::Pong, false, &payload);
        }
    }

    /// Tells the service that the handshake is answered. What it sends follows the 101.
    pub(in crate::session) fn call_open(
        &mut self,
        cx: &mut ReceiveContext<'_>,
        open: impl FnOnce(ConnectionId, EndpointId, &mut Replies<'_>),
    ) {
        let mut replies = Replies::new(&[], cx, self.compression.as_deref_mut());
        open(self.id, self.endpoint, &mut replies);
        let end = replies.end();
        self.apply(end, &[], cx);
    }

    /// Lets `act` send to an open connection outside of what it receives. No reply may stand in
    /// place. Returns whether the connection is an open WebSocket; otherwise `act` is not called.
    pub fn reply(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
        act: impl FnOnce(&mut Replies<'_>),
    ) -> bool {
        if self.phase != Phase::Open || self.is_stream() {
            return false;
        }
        let mut cx = ReceiveContext { now, backlog, pools, out, stop: Stop::No };
        let mut replies = Replies::new(&[], &mut cx, self.compression.as_deref_mut());
        act(&mut replies);
        let end = replies.end();
        self.apply(end, &[], &mut cx);
        true
    }

    /// Does what the service asked for besides its replies. `buffer` is what is being received, up
    /// to where replies may stand in it.
    #[inline]
    pub(super) fn apply(&mut self, end: RepliesEnd, buffer: &[u8], cx: &mut ReceiveContext<'_>) {
        if end.hold {
            cx.stop = Stop::Held;
        }
        if let Some((reason, text)) = end.close {
            cx.copy_out(buffer);
            self.begin_close(cx.now, reason, text, cx.pools, cx.out);
        }
    }
}
