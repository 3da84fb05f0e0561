//! The opening handshake of a connection (RFC 6455 section 4.2).

use crate::base::Millis;
use crate::protocol::http::{HeadScanner, Response, Status};
use crate::protocol::websocket::handshake::{
    ExtraHeaders, Parsed, Refusal, Rejection, Request, negotiate_deflate, parse, write_accepted,
};
use crate::session::{Aside, CloseReason, Compression, Connection, Handler, Output, Phase, Shared};

/// The body of the response to a plain `GET /`.
const PAGE: &str = "corecast: a WebSocket echo and publish/subscribe server (RFC 6455).\n\
    Connect with a WebSocket client, for example: websocat ws://<this host>:<port>/\n";

/// What has been received of a request head that did not come in one piece.
#[derive(Debug)]
pub(in crate::session) struct Opening {
    scanner: HeadScanner,
    head: Vec<u8>,
}

impl Opening {
    pub(in crate::session) fn into_buffer(self) -> Vec<u8> {
        self.head
    }
}

impl Connection {
    pub(in crate::session) fn receive_opening<H: Handler>(
        &mut self,
        now: Millis,
        bytes: &[u8],
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        let limits = shared.config.limits.head;
        let Some(mut aside) = self.aside.take() else {
            let mut scanner = HeadScanner::default();
            return match scanner.scan(bytes, &limits) {
                Ok(Some(end)) => self.answer(now, bytes, end, shared, out),
                Ok(None) => {
                    let mut head = shared.buffers.take();
                    head.extend_from_slice(bytes);
                    self.aside = Some(Box::new(Aside::Opening(Opening { scanner, head })));
                }
                Err(rejection) => self.refuse(now, rejection, shared, out),
            };
        };
        let Aside::Opening(opening) = &mut *aside else { return };
        opening.head.extend_from_slice(bytes);
        match opening.scanner.scan(&opening.head, &limits) {
            Ok(Some(end)) => {
                self.answer(now, &opening.head, end, shared, out);
                shared.buffers.give(std::mem::take(&mut opening.head));
            }
            Ok(None) => self.aside = Some(aside),
            Err(rejection) => {
                shared.buffers.give(std::mem::take(&mut opening.head));
                self.refuse(now, rejection, shared, out);
            }
        }
    }

    /// The head is complete: `bytes[..end]`.
    fn answer<H: Handler>(
        &mut self,
        now: Millis,
        bytes: &[u8],
        end: usize,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        let (head, early) = bytes.split_at(end);
        let limits = shared.config.limits.head;
        match parse(head, &limits) {
            Err(rejection) => self.refuse(now, rejection, shared, out),
            // A client waits for the answer before it sends more (RFC 6455 section 4.1): bytes that
            // come early may be meant for something else than a WebSocket.
            Ok(_) if !early.is_empty() => self.refuse(now, Rejection::EarlyData, shared, out),
            Ok(_) if self.refuse => self.refuse(now, Rejection::Full, shared, out),
            Ok(Parsed::Plain(request)) if request.path == "/" => {
                Response::text(Status::OK, PAGE).write(self.output(shared, out));
                self.end(Phase::Lingering, CloseReason::Answered);
                self.deadline = now.after(shared.config.timeouts.linger);
            }
            Ok(Parsed::Plain(_)) => {
                self.refuse(now, Rejection::UpgradeRequired, shared, out);
            }
            Ok(Parsed::Upgrade(request)) => {
                if let Err(refusal) = self.accept(now, &request, shared, out) {
                    self.refuse(now, refusal, shared, out);
                }
            }
        }
    }

    fn accept<H: Handler>(
        &mut self,
        now: Millis,
        request: &Request<'_>,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if !shared.config.origins.allows(request.origin, request.host) {
            return Err(Rejection::Origin.into());
        }
        let agreement = negotiate_deflate(request.extensions(), &shared.config.deflate);
        let acceptance = shared.handler.open(self.id, request)?;
        // A client has to fail over a subprotocol that it did not offer (RFC 6455 section 4.1).
        let protocol =
            acceptance.protocol.filter(|ours| request.subprotocols().any(|p| p == *ours));
        self.accepted = true;
        self.tag = acceptance.tag;
        shared.handler.opened(self.id, agreement.as_ref());
        let out = self.output(shared, out);
        write_accepted(out, request.key, protocol, agreement.as_ref(), &ExtraHeaders::new());
        self.compression = agreement.map(|agreed| Box::new(Compression::new(agreed)));
        self.phase = Phase::Open;
        self.start_keepalive(now, shared);
        Ok(())
    }

    /// Answers with the status of the refusal, then lingers.
    pub(in crate::session) fn refuse<H>(
        &mut self,
        now: Millis,
        refusal: impl Into<Refusal>,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        let refusal = refusal.into();
        refusal.write_response(self.output(shared, out));
        self.end(Phase::Lingering, CloseReason::Refused(refusal.rejection));
        self.deadline = now.after(shared.config.timeouts.linger);
        self.free(shared);
    }
}
