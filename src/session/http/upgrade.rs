//! The opening handshake of a connection (RFC 6455 section 4.2).

use crate::base::Millis;
use crate::protocol::websocket::handshake::{
    Agreement, Refusal, Rejection, Request, negotiate_deflate, write_accepted,
};
use crate::session::compression::Compression;
use crate::session::context::{ReceiveContext, Stop};
use crate::session::head::Deciding;
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::replies::Replies;
use crate::session::request_line::RequestLine;
use crate::session::service::{Accept, Inbound, Terms, Verdict};
use crate::session::state::{Marks, Phase, RareState, Session};

/// The status of an accepted handshake.
const SWITCHING: u16 = 101;

impl Session {
    /// A valid opening handshake: asks the service.
    pub(super) fn upgrade<S: Inbound>(
        &mut self,
        request: &Request<'_>,
        head: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<(), Refusal> {
        let config = &cx.pools.config;
        let route = config.routes.of_handshake(request.path).ok_or(Rejection::NotFound)?;
        if !config.origins_of(route).allows(request.origin, request.host) {
            cx.pools.said.note_origin(self.id, request.origin.unwrap_or_default());
            return Err(Rejection::Origin.into());
        }
        let agreement = negotiate_deflate(request.extensions(), &config.deflate_of(route));
        self.route = route;
        let terms = Terms { route, deflate: agreement.as_ref() };
        let verdict = service.upgrade(self.id, request, terms);
        cx.pools.work.charge(service.take_work());
        let (accept, is_deferred) = match verdict {
            Verdict::Accept(accept) => (accept, false),
            Verdict::Defer(accept) => (accept, true),
            Verdict::Refuse(refusal) => return Err(refusal),
            Verdict::Stream(endpoint, stream) => {
                self.marks.insert(Marks::ACCEPTED);
                self.marks.remove(Marks::ANSWERED);
                self.endpoint = endpoint;
                self.note_begun(&mut cx.pools.counts);
                self.begin_stream(stream, cx);
                return Ok(());
            }
        };
        self.marks.insert(Marks::ACCEPTED);
        self.marks.remove(Marks::ANSWERED);
        self.endpoint = accept.endpoint;
        if is_deferred {
            let offered: Vec<&str> = request.subprotocols().collect();
            let offered: Box<str> = offered.join(",").into();
            let mut charge = cx.pools.ledger.open();
            let key: Box<str> = request.key.into();
            charge.set(size_of::<Deciding>() + key.len() + offered.len());
            let line = RequestLine::of(head, &cx.pools.config);
            let deciding = Deciding { key, offered, accept, agreement, line, charge };
            self.phase = Phase::Deciding;
            self.rare = Some(Box::new(RareState::Deciding(deciding)));
        } else {
            self.switch(request.key, request.subprotocols(), &accept, agreement, cx);
            let line = RequestLine::of(head, &cx.pools.config);
            cx.pools.note_answered(self.id, line, SWITCHING);
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
                let Deciding { key, offered, accept, agreement, line, .. } = deciding;
                let accept = decided.unwrap_or(accept);
                self.endpoint = accept.endpoint;
                let mut cx = ReceiveContext { now, backlog: 0, pools, out, stop: Stop::No };
                self.switch(&key, offered.split(','), &accept, agreement, &mut cx);
                cx.pools.note_answered(self.id, line, SWITCHING);
                self.call_open(&mut cx, |_, _, replies| open(replies));
                return true;
            }
            (Err(refusal), rare) => {
                self.rare = rare.map(Box::new);
                self.refuse(now, refusal, pools, out);
            }
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
        if let Some(controls) = &mut cx.pools.controls {
            controls.open(self.id, self.route, cx.now);
        }
        cx.pools.counts.count_opened(self.endpoint);
        cx.pools.by_route.count_opened(self.route, self.endpoint);
        self.note_begun(&mut cx.pools.counts);
        self.marks.insert(Marks::OPENED);
        self.phase = Phase::Open;
        self.start_keepalive(cx.now, &cx.pools.config);
    }
}
