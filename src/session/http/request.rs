//! The opening handshake of a connection (RFC 6455 section 4.2).

use crate::base::Millis;
use crate::base::Work;
use crate::protocol::http::{HeadScanner, Response, Status};
use crate::protocol::websocket::handshake::{
    Agreement, Parsed, Refusal, Rejection, Request, negotiate_deflate, parse, write_accepted,
};
use crate::session::compression::Compression;
use crate::session::context::{Handled, ReceiveContext, Stop};
use crate::session::head::{Deciding, PartialHead};
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::reason::CloseReason;
use crate::session::replies::Replies;
use crate::session::service::{Accept, Inbound, Verdict};
use crate::session::state::{Marks, Phase, RareState, Session};

/// The body of the response to a plain `GET /`.
const PAGE: &str = "corecast: a WebSocket echo and publish/subscribe server (RFC 6455).\n\
    Connect with a WebSocket client, for example: websocat ws://<this host>:<port>/\n";

impl Session {
    /// Takes bytes of the request head, or the whole of it.
    pub(in crate::session) fn receive_head<S: Inbound>(
        &mut self,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Handled {
        let limits = cx.pools.config.limits.head;
        let Some(mut rare) = self.rare.take() else {
            let mut scanner = HeadScanner::default();
            match scanner.scan(bytes, &limits) {
                Ok(Some(end)) => return self.answer_head(bytes, end, cx, service),
                Ok(None) => {
                    let mut start = cx.pools.buffers.take();
                    start.extend_from_slice(bytes);
                    let charge = cx.pools.ledger.open();
                    let mut head = PartialHead { scanner, bytes: start, charge };
                    head.recharge();
                    self.rare = Some(Box::new(RareState::Head(head)));
                }
                Err(rejection) => self.refuse(cx.now, rejection, cx.pools, cx.out),
            }
            return Handled::All;
        };
        let RareState::Head(head) = &mut *rare else { return Handled::All };
        head.bytes.extend_from_slice(bytes);
        head.recharge();
        match head.scanner.scan(&head.bytes, &limits) {
            Ok(Some(end)) => {
                let whole = std::mem::take(&mut head.bytes);
                let before = whole.len() - bytes.len();
                let handled = self.answer_head(&whole, end, cx, service);
                cx.pools.buffers.give(whole);
                match handled {
                    Handled::Until(at) => Handled::Until(at - before),
                    other => other,
                }
            }
            Ok(None) => {
                self.rare = Some(rare);
                Handled::All
            }
            Err(rejection) => {
                cx.pools.buffers.give(std::mem::take(&mut head.bytes));
                self.refuse(cx.now, rejection, cx.pools, cx.out);
                Handled::All
            }
        }
    }

    /// The head is complete: `bytes[..end]`.
    fn answer_head<S: Inbound>(
        &mut self,
        bytes: &[u8],
        end: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Handled {
        let (head, early) = bytes.split_at(end);
        cx.pools.work.charge_bytes(end, Work::HEAD_BYTE);
        let limits = cx.pools.config.limits.head;
        let result = match parse(head, &limits) {
            Err(rejection) => Err(rejection.into()),
            // A client waits for the answer before it sends more (RFC 6455 section 4.1): bytes that
            // come early may be meant for something else than a WebSocket.
            Ok(_) if !early.is_empty() => Err(Rejection::EarlyData.into()),
            Ok(_) if self.marks.contains(Marks::REJECT) => Err(Rejection::Full.into()),
            Ok(Parsed::Plain(request)) if request.path == "/" => {
                Response::text(Status::OK, PAGE).write(cx.appendable());
                self.end(Phase::Lingering, CloseReason::Answered);
                self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
                Ok(())
            }
            Ok(Parsed::Plain(_)) => Err(Rejection::UpgradeRequired.into()),
            Ok(Parsed::Upgrade(request)) => self.upgrade(&request, cx, service),
        };
        if let Err(refusal) = result {
            self.refuse(cx.now, refusal, cx.pools, cx.out);
        }
        let waits = self.phase == Phase::Deciding || cx.stop == Stop::Held;
        if waits { Handled::Until(end) } else { Handled::All }
    }

    fn upgrade<S: Inbound>(
        &mut self,
        request: &Request<'_>,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<(), Refusal> {
        if !cx.pools.config.origins.allows(request.origin, request.host) {
            return Err(Rejection::Origin.into());
        }
        let agreement = negotiate_deflate(request.extensions(), &cx.pools.config.deflate);
        let (accept, is_deferred) = match service.upgrade(self.id, request, agreement.as_ref()) {
            Verdict::Accept(accept) => (accept, false),
            Verdict::Defer(accept) => (accept, true),
            Verdict::Refuse(refusal) => return Err(refusal),
            Verdict::Stream(endpoint, stream) => {
                self.marks.insert(Marks::ACCEPTED);
                self.endpoint = endpoint;
                self.begin_stream(stream, cx);
                return Ok(());
            }
        };
        self.marks.insert(Marks::ACCEPTED);
        self.endpoint = accept.endpoint;
        if is_deferred {
            let offered: Vec<&str> = request.subprotocols().collect();
            let offered: Box<str> = offered.join(",").into();
            let mut charge = cx.pools.ledger.open();
            let key: Box<str> = request.key.into();
            charge.set(size_of::<Deciding>() + key.len() + offered.len());
            let deciding = Deciding { key, offered, accept, agreement, charge };
            self.phase = Phase::Deciding;
            self.rare = Some(Box::new(RareState::Deciding(deciding)));
        } else {
            self.switch(request.key, request.subprotocols(), &accept, agreement, cx);
            self.call_open(cx, |id, endpoint, replies| service.open(id, endpoint, replies));
        }
        Ok(())
    }

    /// Answers a deferred handshake; does nothing in any other phase. If it is accepted, `open` may
    /// send behind the 101, and `true` is returned.
    pub fn respond(
        &mut self,
        now: Millis,
        decision: Result<Option<Accept>, Refusal>,
        pools: &mut Pools,
        out: &mut Output,
        open: impl FnOnce(&mut Replies<'_>),
    ) -> bool {
        if self.phase != Phase::Deciding {
            return false;
        }
        match (decision, self.rare.take().map(|rare| *rare)) {
            (Ok(decided), Some(RareState::Deciding(deciding))) => {
                let Deciding { key, offered, accept, agreement, .. } = deciding;
                let accept = decided.unwrap_or(accept);
                self.endpoint = accept.endpoint;
                let mut cx = ReceiveContext { now, backlog: 0, pools, out, stop: Stop::No };
                self.switch(&key, offered.split(','), &accept, agreement, &mut cx);
                self.call_open(&mut cx, |_, _, replies| open(replies));
                return true;
            }
            (Err(refusal), _) => self.refuse(now, refusal, pools, out),
            (Ok(_), _) => self.refuse(now, Rejection::Undecided, pools, out),
        }
        false
    }

    /// Writes the 101. From here on the connection is a WebSocket.
    fn switch<'o>(
        &mut self,
        key: &str,
        mut offered: impl Iterator<Item = &'o str>,
        accept: &Accept,
        agreement: Option<Agreement>,
        cx: &mut ReceiveContext<'_>,
    ) {
        // A client has to fail over a subprotocol that it did not offer (RFC 6455 section 4.1).
        let protocol = accept.protocol.as_deref().filter(|ours| offered.any(|it| it == *ours));
        write_accepted(cx.appendable(), key, protocol, agreement.as_ref(), &accept.headers);
        self.compression =
            agreement.map(|agreed| Box::new(Compression::new(agreed, &cx.pools.ledger)));
        self.phase = Phase::Open;
        self.start_keepalive(cx.now, &cx.pools.config);
    }

    /// Answers with the status of the refusal, then lingers.
    pub(crate) fn refuse(
        &mut self,
        now: Millis,
        refusal: impl Into<Refusal>,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let refusal = refusal.into();
        refusal.write_response(out.appendable(|| pools.buffers.take()));
        self.end(Phase::Lingering, CloseReason::Refused(refusal.rejection));
        self.deadline = now.after(pools.config.timeouts.linger);
        self.free(pools);
    }
}
