//! Requests that are no handshakes: their bodies, their answers, and whether another one follows.

use crate::base::{Millis, Pace, Work};
use crate::protocol::http::{
    Answer, BodyReader, Framing, HeadLimits, Persistence, Request, Response,
};
use crate::protocol::websocket::handshake::Rejection;
use crate::session::context::{ReceiveContext, Stop};
use crate::session::head::{PartialBody, Unanswered};
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::reason::CloseReason;
use crate::session::request_line::RequestLine;
use crate::session::service::Inbound;
use crate::session::state::{Marks, Phase, RareState, Session};

/// The interim response to a client that waits before it sends a body (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Session {
    /// The head of a plain request is complete. It is answered at once if it has no body.
    pub(super) fn plain<S: Inbound>(
        &mut self,
        request: &Request<'_>,
        head: &[u8],
        has_more: bool,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<(), Rejection> {
        let framing = request.framing()?;
        let waits = request.expects_continue()?;
        if framing == Framing::None {
            self.answer(request, head, cx, service);
            return Ok(());
        }
        let reader = BodyReader::new(framing, cx.pools.config.limits.max_body)?;
        if waits && !has_more {
            cx.appendable().extend_from_slice(CONTINUE);
        }
        let mut body = PartialBody {
            head: head.into(),
            reader,
            content: Vec::new(),
            is_wanted: match self.is_admin() {
                true => service.wants_admin_body(request),
                false => service.wants_body(request),
            },
            charge: cx.pools.ledger.open(),
            received: 0,
            pace: Pace::new(cx.now),
        };
        body.recharge();
        self.deadline = cx.now.after(cx.pools.config.timeouts.body);
        self.rare = Some(Box::new(RareState::Body(body)));
        Ok(())
    }

    /// Takes more of a body. Returns how many bytes it took.
    pub(super) fn receive_body<S: Inbound>(
        &mut self,
        mut body: PartialBody,
        bytes: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> usize {
        let mut content_len = 0;
        let PartialBody { reader, content, is_wanted, .. } = &mut body;
        let result = reader.read(bytes, |part| {
            content_len += part.len();
            if *is_wanted {
                content.extend_from_slice(part);
            }
        });
        body.received += bytes.len() as u64;
        body.recharge();
        let taken = match result {
            Ok(taken) => taken,
            Err(error) => {
                self.refuse_body(cx, error, &body.head);
                return bytes.len();
            }
        };
        cx.pools.work.charge(Work::of_bytes(content_len));
        cx.pools.work.charge_bytes(taken - content_len, Work::CHUNK_BYTE);
        if !body.reader.is_done() {
            self.rare = Some(Box::new(RareState::Body(body)));
            return taken;
        }
        // It was parsed before, when its last byte had come; the limits may be others now.
        if let Ok(mut request) = Request::parse(&body.head, &HeadLimits::NONE) {
            request.body = &body.content;
            request.is_tls = self.marks.contains(Marks::TLS);
            self.answer(&request, &body.head, cx, service);
        }
        taken
    }

    /// Answers a request, all of which has come.
    fn answer<S: Inbound>(
        &mut self,
        request: &Request<'_>,
        head: &[u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) {
        let line = RequestLine::of(head, &cx.pools.config);
        let response = match self.is_admin() {
            true => service.admin_request(self.id, request),
            false => service.request(self.id, request),
        };
        let is_to_head = request.method == "HEAD";
        let answer = Answer { persistence: request.persistence(), is_to_head };
        if let Some(response) = response {
            return self.write_answer(&response, answer, line, cx);
        }
        let mut charge = cx.pools.ledger.open();
        charge.set(size_of::<RareState>());
        cx.pools.work.charge(Work::REQUEST);
        self.rare = Some(Box::new(RareState::Unanswered(Unanswered { answer, line, charge })));
        self.marks.insert(Marks::ACCEPTED);
        self.phase = Phase::Deciding;
        self.deadline = cx.now.after(cx.pools.config.timeouts.handshake);
    }

    /// Gives the answer to a request that the service had left for later; does nothing if there is
    /// none.
    pub fn answer_request(
        &mut self,
        now: Millis,
        response: &Response,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let is_waiting = |rare: &mut Box<RareState>| matches!(**rare, RareState::Unanswered(_));
        let Some(rare) = self.rare.take_if(is_waiting) else { return };
        if let RareState::Unanswered(Unanswered { answer, line, .. }) = *rare {
            self.marks.remove(Marks::ACCEPTED);
            self.phase = Phase::Request;
            let mut cx = ReceiveContext { now, backlog: 0, pools, out, stop: Stop::No };
            self.write_answer(response, answer, line, &mut cx);
        }
    }

    fn write_answer(
        &mut self,
        response: &Response,
        answer: Answer,
        line: Option<RequestLine>,
        cx: &mut ReceiveContext<'_>,
    ) {
        cx.pools.note_answered(self.id, line, response.status().code());
        let out = cx.appendable();
        let before = out.len();
        response.write_for(out, answer);
        let written = out.len() - before;
        if !self.is_admin() {
            cx.pools.counts.responses.count(response.status());
            self.note_begun(&mut cx.pools.counts);
        }
        cx.pools.work.charge(Work::of_bytes(written));
        let timeouts = &cx.pools.config.timeouts;
        if answer.persistence == Persistence::Close {
            self.end(Phase::Lingering, CloseReason::Answered);
            self.deadline = cx.now.after(timeouts.linger);
        } else {
            self.marks.insert(Marks::ANSWERED);
            self.deadline = cx.now.after(timeouts.keep_alive);
        }
    }
}
