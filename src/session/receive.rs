//! What drives a session: bytes, the end of input, time, and its driver's wish to close.

use std::time::Duration;

use super::context::{Handled, ReceiveContext, Stop};
use super::outbound::Output;
use super::pending::PendingFrame;
use super::pools::Pools;
use super::reason::CloseReason;
use super::service::Inbound;
use super::state::{Marks, Phase, RareState, Session};
use super::stream::{Next, Stream, StreamEvent};
use crate::base::Millis;
use crate::config::Config;
use crate::protocol::websocket::CloseCode;
use crate::protocol::websocket::handshake::Rejection;

/// How long a request may still be on its way when the connection is to be closed.
const REQUEST_GRACE: Duration = Duration::from_millis(100);

impl Session {
    /// Handles `bytes` just received, which are changed in place, and leaves replies in `out`.
    ///
    /// What `out` holds in place refers to the very `bytes` of this call; copy it out before
    /// another call. `backlog` is the number of bytes that wait to be sent from earlier turns.
    /// While it is not 0, pings are answered later, with one pong for all of them (RFC 6455 section
    /// 5.5.3).
    #[inline]
    pub fn receive<S: Inbound>(
        &mut self,
        now: Millis,
        bytes: &mut [u8],
        backlog: usize,
        pools: &mut Pools,
        service: &mut S,
        out: &mut Output,
    ) -> Handled {
        pools.counts.received_bytes += bytes.len() as u64;
        self.last_received = now;
        self.pong_due = Millis::NEVER;
        let mut cx = ReceiveContext { now, backlog, pools, out, stop: Stop::No };
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.receive_frames(bytes, &mut cx, service)
        } else {
            self.receive_other(bytes, &mut cx, service)
        }
    }

    /// Handles bytes before the WebSocket is open, and after it.
    #[inline(never)]
    fn receive_other<S: Inbound>(
        &mut self,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Handled {
        match self.phase {
            Phase::Request => self.receive_requests(bytes, cx, service),
            Phase::Deciding => Handled::Until(0),
            _ => {
                self.linger_again(cx);
                self.marks.insert(Marks::SENDS_AFTER_CLOSE);
                Handled::All
            }
        }
    }

    /// The peer has sent something behind its close frame, before the connection was closed. To
    /// close it with input unread would reset it, and the peer might lose the answer to its close
    /// frame. So the connection lingers, once.
    fn linger_again(&mut self, cx: &ReceiveContext<'_>) {
        let is_ended_by_peer = matches!(self.reason, Some(CloseReason::Peer(_)));
        if self.phase == Phase::Finished
            && is_ended_by_peer
            && !self.marks.contains(Marks::SENDS_AFTER_CLOSE)
        {
            self.phase = Phase::Lingering;
            self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
        }
    }

    /// The peer will send no more. It may take what is still queued, as long as it reads.
    pub fn receive_eof(&mut self) {
        if self.phase != Phase::Finished {
            self.deadline = Millis::NEVER;
        }
        let is_answered = self.marks.contains(Marks::ANSWERED);
        let reason = if is_answered { CloseReason::Answered } else { CloseReason::Eof };
        self.end(Phase::Finished, reason);
    }

    /// The transport cannot understand the peer and has answered it: what was gathered is of no
    /// use, and the answer is to reach the peer.
    pub fn break_off(&mut self, now: Millis, pools: &mut Pools) {
        if self.phase < Phase::Lingering {
            self.end(Phase::Lingering, CloseReason::Broken);
            self.deadline = now.after(pools.config.timeouts.linger);
            self.free(pools);
        }
    }

    /// The server ends, so a request that does not come soon is not waited for.
    pub fn hasten(&mut self, now: Millis) {
        self.deadline = self.deadline.min(now.after(REQUEST_GRACE));
    }

    /// All is said, but the peer may have to say that too, on the level of the transport: reads on
    /// for a while before the connection is closed.
    pub fn linger(&mut self, now: Millis, config: &Config) {
        if self.phase == Phase::Finished {
            self.phase = Phase::Lingering;
            self.deadline = now.after(config.timeouts.linger);
        }
    }

    /// TCP broke, or the peer does not take what is sent: nothing more can be done.
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(Phase::Finished, reason);
    }

    /// Whether it was closed because it does not read, or too slowly.
    fn is_too_slow(&self) -> bool {
        matches!(
            self.reason,
            Some(CloseReason::TooSlow | CloseReason::Memory(CloseCode::TRY_AGAIN_LATER))
        )
    }

    /// The peer takes what is sent to it, so it will find the close frame by itself, although it
    /// has sent data after this side had closed.
    pub fn reads_on(&mut self) {
        self.marks.remove(Marks::SENDS_AFTER_CLOSE);
    }

    /// [`deadline`](Self::deadline) has come: does what is due and sets the next one. Receiving
    /// does not move the deadline, so it is common that nothing is due yet.
    ///
    /// `backlog` as in [`receive`](Self::receive); a ping would only wait behind it.
    ///
    /// Returns whether the driver is to query the peer's progress, for
    /// [`handle_progress`](Self::handle_progress).
    pub fn handle_timeout(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
    ) -> bool {
        match self.phase {
            Phase::Request if self.has_partial_request() => {
                // One that was only given a moment to send its request is not to blame.
                let rejection =
                    if self.is_rejected() { self.rejection() } else { Rejection::Timeout };
                self.refuse(now, rejection, pools, out);
            }
            Phase::Request if self.marks.contains(Marks::ANSWERED) => {
                // While answers are still to be read, the client need not have a next request.
                if backlog > 0 && !self.marks.contains(Marks::REJECT) {
                    self.deadline = now.after(pools.config.timeouts.keep_alive);
                } else {
                    // A request may be on its way: closing at once could reset the connection, and
                    // the client might lose an answer.
                    self.end(Phase::Lingering, CloseReason::Answered);
                    self.deadline = now.after(pools.config.timeouts.linger);
                }
            }
            Phase::Request => self.end(Phase::Finished, CloseReason::NoRequest),
            Phase::Deciding => self.refuse(now, Rejection::Undecided, pools, out),
            Phase::Open => {
                let mut cx = ReceiveContext { now, backlog, pools, out, stop: Stop::No };
                if !self.stream_event(StreamEvent::Timeout, &mut cx) {
                    return self.handle_open_timeout(now, backlog, pools, out);
                }
            }
            Phase::Closing | Phase::Lingering => {
                // What is still queued is sent as long as the peer reads. But a peer that was
                // closed because it does not read, and that goes on sending, has to learn it soon:
                // by a reset.
                let is_unaware = self.marks.contains(Marks::SENDS_AFTER_CLOSE);
                let is_reset = is_unaware && self.is_too_slow();
                if self.phase == Phase::Closing && self.is_too_slow() && !is_reset && backlog > 0 {
                    // It may begin to send at any time before all is sent.
                    self.deadline = now.after(pools.config.timeouts.close);
                    return false;
                }
                self.deadline = if is_reset { now } else { Millis::NEVER };
                self.end(Phase::Finished, CloseReason::Broken);
            }
            Phase::Finished => self.deadline = Millis::NEVER,
        }
        false
    }

    /// Sends a close frame with the code of `reason` and waits for the peer's, as when the server
    /// stops. A connection that is not open yet is answered with 503: at once if a part of its
    /// request is known, otherwise if its request comes soon. One that is closing already is left
    /// alone.
    pub fn close(
        &mut self,
        now: Millis,
        reason: CloseReason,
        text: &str,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        match self.phase {
            Phase::Open => {
                let mut cx = ReceiveContext { now, backlog: 0, pools, out, stop: Stop::No };
                if !self.stream_event(StreamEvent::Close(reason.code()), &mut cx) {
                    self.begin_close(now, reason, text, pools, out);
                }
            }
            Phase::Deciding => self.refuse(now, Rejection::Full, pools, out),
            Phase::Request if self.has_partial_request() => {
                self.refuse(now, Rejection::Full, pools, out);
            }
            Phase::Request => {
                self.marks.insert(Marks::REJECT);
                self.hasten(now);
            }
            Phase::Closing | Phase::Lingering | Phase::Finished => {}
        }
    }

    /// Whether a part of a request has come.
    fn has_partial_request(&self) -> bool {
        matches!(self.rare.as_deref(), Some(RareState::Head(_) | RareState::Body(_)))
    }

    /// The peer does not read what is sent to it: closes as [`close`](Self::close) does, with 1013.
    /// The close frame stands behind what is queued, so it may be that the peer never gets it.
    pub fn close_stalled(&mut self, now: Millis, pools: &mut Pools, out: &mut Output) {
        self.reason.get_or_insert(CloseReason::Stalled);
        let reason = CloseReason::Local(CloseCode::TRY_AGAIN_LATER);
        self.close(now, reason, "does not read", pools, out);
    }

    /// The connection becomes `stream`, which answers the request.
    pub(super) fn begin_stream(&mut self, stream: Stream, cx: &mut ReceiveContext<'_>) {
        self.phase = Phase::Open;
        self.pending = Some(Box::new(PendingFrame::Stream(stream)));
        self.stream_event(StreamEvent::Begin, cx);
    }

    /// Whether the connection has become a stream, to which no frames are written.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.pending.as_deref(), Some(PendingFrame::Stream(_)))
    }

    /// Passes an event to the stream that the connection has become. `false` if it is a WebSocket,
    /// for which there are other ways.
    pub(super) fn stream_event(
        &mut self,
        event: StreamEvent<'_>,
        cx: &mut ReceiveContext<'_>,
    ) -> bool {
        let Some(PendingFrame::Stream(stream)) = self.pending.as_deref_mut() else { return false };
        match stream.handle(event, cx) {
            Next::Until(time) => self.deadline = time,
            Next::End(reason) => {
                self.end(Phase::Lingering, reason);
                self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
                self.free(cx.pools);
            }
        }
        true
    }
}
