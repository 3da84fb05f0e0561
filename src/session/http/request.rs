//! Takes requests out of what is received.

use crate::base::{Millis, Pace, Work};
use crate::protocol::http::{BodyError, HeadError, HeadScanner};
use crate::protocol::proxy;
use crate::protocol::websocket::handshake::{Parsed, Refusal, Rejection, parse};
use crate::session::context::{Handled, ReceiveContext, Stop};
use crate::session::head::{PartialHead, asks_head};
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::reason::CloseReason;
use crate::session::request_line::RequestLine;
use crate::session::service::Inbound;
use crate::session::state::{Marks, Phase, RareState, Session};

/// The most bytes of a body that are read before the work is looked at.
const BODY_PIECE: usize = 4 << 10;
/// The first byte that a client of TLS sends: the type of a record with a part of a handshake (RFC
/// 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// A record of TLS with the alert `handshake_failure`, which is fatal (RFC 8446 section 6).
const TLS_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

impl Session {
    /// Takes requests, or parts of them. They are answered in their order, each before the next one
    /// is looked at.
    pub(in crate::session) fn receive_requests<S: Inbound>(
        &mut self,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Handled {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            at += match self.rare.take().map(|rare| *rare) {
                Some(RareState::Body(body)) => {
                    let piece = rest.get(..BODY_PIECE).unwrap_or(rest);
                    self.receive_body(body, piece, cx, service)
                }
                Some(RareState::Head(head)) => self.continue_head(head, rest, cx, service),
                _ => self.receive_head(rest, cx, service),
            };
            let waits = self.phase == Phase::Deciding || cx.stop == Stop::Held;
            if waits {
                return Handled::Until(at);
            }
            // What follows the last request is discarded.
            let is_done = self.phase != Phase::Request || at >= bytes.len();
            if cx.pools.work.is_used_up() {
                // Said also if nothing is left, so that the turn can end.
                return Handled::Paused(if is_done { bytes.len() } else { at });
            }
            if is_done {
                return Handled::All;
            }
        }
    }

    /// Takes the beginning of a request head, or the whole of it. Returns how many bytes it took.
    fn receive_head<S: Inbound>(
        &mut self,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> usize {
        if self.marks.contains(Marks::ANSWERED) {
            self.deadline = cx.now.after(cx.pools.config.timeouts.handshake);
        }
        let mut scanner = HeadScanner::default();
        match scanner.scan(bytes, &cx.pools.config.limits.head) {
            Ok(Some(end)) => {
                let (head, more) = bytes.split_at(end);
                self.answer_head(head, !more.is_empty(), cx, service);
                return end;
            }
            Err(HeadError::NotHttp) if bytes.starts_with(&[TLS_HANDSHAKE]) => self.refuse_tls(cx),
            Ok(None) => {
                cx.pools.work.charge(Work::of_filled(bytes.len()));
                let mut start = cx.pools.buffers.take();
                start.extend_from_slice(bytes);
                let charge = cx.pools.ledger.open();
                let pace = Pace::new(cx.now);
                let mut head = PartialHead { scanner, bytes: start, charge, pace };
                head.recharge();
                self.rare = Some(Box::new(RareState::Head(head)));
            }
            Err(error) => self.refuse_request(cx, fault(error, bytes), bytes),
        }
        bytes.len()
    }

    /// Takes more of a request head.
    fn continue_head<S: Inbound>(
        &mut self,
        mut head: PartialHead,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> usize {
        let before = head.bytes.len();
        head.bytes.extend_from_slice(bytes);
        head.recharge();
        let scanned = head.scanner.scan(&head.bytes, &cx.pools.config.limits.head);
        let mut taken = bytes.len();
        match scanned {
            Ok(None) => {
                cx.pools.work.charge(Work::of_filled(taken));
                self.rare = Some(Box::new(RareState::Head(head)));
                return taken;
            }
            Ok(Some(end)) => {
                taken = end - before;
                let (whole, more) = head.bytes.split_at(end);
                self.answer_head(whole, !more.is_empty(), cx, service);
            }
            Err(error) => {
                self.refuse_request(cx, fault(error, &head.bytes), &head.bytes);
            }
        }
        cx.pools.buffers.give(head.into_buffer());
        taken
    }

    /// The head is complete. `has_more` says whether anything was received behind it.
    fn answer_head<S: Inbound>(
        &mut self,
        head: &[u8],
        has_more: bool,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) {
        cx.pools.work.charge_bytes(head.len(), Work::HEAD_BYTE);
        cx.pools.work.charge(Work::REQUEST);
        let limits = cx.pools.config.limits.head;
        let result = match parse(head, &limits) {
            Err(rejection) => Err(fault(rejection, head).into()),
            Ok(_) if self.is_rejected() => Err(self.rejection().into()),
            Ok(Parsed::Plain(mut request)) => {
                request.is_tls = self.marks.contains(Marks::TLS);
                self.plain(&request, head, has_more, cx, service).map_err(Refusal::from)
            }
            // A client waits for the answer before it sends more (RFC 6455 section 4.1): bytes that
            // come early may be meant for something else than a WebSocket.
            Ok(Parsed::Upgrade(_)) if self.is_admin() => Err(Rejection::NotFound.into()),
            Ok(Parsed::Upgrade(_)) if has_more => Err(Rejection::EarlyData.into()),
            Ok(Parsed::Upgrade(request)) => self.upgrade(&request, head, cx, service),
        };
        if let Err(refusal) = result {
            self.refuse_request(cx, refusal, head);
        }
    }

    /// The body of a request is not acceptable.
    pub(super) fn refuse_body(
        &mut self,
        cx: &mut ReceiveContext<'_>,
        error: BodyError,
        head: &[u8],
    ) {
        self.refuse_request(cx, Rejection::from(error), head);
    }

    /// The client speaks TLS, and this connection does not. It is told so in its own language, so
    /// that it fails at once.
    fn refuse_tls(&mut self, cx: &mut ReceiveContext<'_>) {
        cx.out.append(&TLS_ALERT, || cx.pools.buffers.take());
        if !self.is_admin() {
            cx.pools.counts.refusals.count(HeadError::Tls.status());
        }
        self.note_begun(&mut cx.pools.counts);
        self.end(Phase::Lingering, CloseReason::Refused(HeadError::Tls.into()));
        self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
        self.free(cx.pools);
    }

    /// Answers the request that is being received, of which this is the head, with the status of
    /// the refusal, then lingers.
    fn refuse_request(
        &mut self,
        cx: &mut ReceiveContext<'_>,
        refusal: impl Into<Refusal>,
        head: &[u8],
    ) {
        let line = RequestLine::of(head, &cx.pools.config);
        let request = (asks_head(head), line);
        self.write_refusal(cx.now, &refusal.into(), request, cx.pools, cx.out);
    }

    /// Answers with the status of the refusal, then lingers.
    pub(crate) fn refuse(
        &mut self,
        now: Millis,
        refusal: impl Into<Refusal>,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let config = &pools.config;
        let of_head = |head: &[u8]| (asks_head(head), RequestLine::of(head, config));
        let request = match self.rare.as_deref_mut() {
            Some(RareState::Head(head)) => of_head(&head.bytes),
            Some(RareState::Body(body)) => of_head(&body.head),
            Some(RareState::Unanswered(request)) => {
                (request.answer.is_to_head, request.line.take())
            }
            Some(RareState::Deciding(request)) => (false, request.line.take()),
            _ => (false, None),
        };
        self.write_refusal(now, &refusal.into(), request, pools, out);
    }

    fn write_refusal(
        &mut self,
        now: Millis,
        refusal: &Refusal,
        (is_head, line): (bool, Option<RequestLine>),
        pools: &mut Pools,
        out: &mut Output,
    ) {
        pools.note_answered(self.id, line, refusal.rejection.status().code());
        refusal.write_response_to(is_head, out.appendable(|| pools.buffers.take()));
        if !self.is_admin() {
            pools.counts.refusals.count(refusal.rejection.status());
            if let Some(line) = refusal.line() {
                pools.said.note(self.id, line);
            }
        }
        self.note_begun(&mut pools.counts);
        self.end(Phase::Lingering, CloseReason::Refused(refusal.rejection));
        self.deadline = now.after(pools.config.timeouts.linger);
        self.free(pools);
    }
}

/// Why a request is not understood: a proxy may have been told to send what nobody takes here.
fn fault(error: impl Into<Rejection>, bytes: &[u8]) -> Rejection {
    if proxy::is_v1_header(bytes) { HeadError::ProxyHeader.into() } else { error.into() }
}
