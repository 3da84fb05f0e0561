//! Frames of an open connection: the loop over what one receive has brought.

use super::control::Control;
use super::fast_path::Place;
use super::pending::{Body, Partial, continue_header};
use crate::base::Millis;
use crate::protocol::websocket::assembler::Assembler;
use crate::protocol::websocket::frame::{
    FrameHeader, MAX_CLIENT_HEADER, MAX_SERVER_HEADER, write_server_header,
};
use crate::protocol::websocket::mask::unmask;
use crate::protocol::websocket::{Opcode, Violation};
use crate::session::{
    Acceptance, Compression, Connection, Encoder, Handler, Message, Output, Phase, Replies, Shared,
};

/// What one call of `receive` works with.
pub(in crate::session) struct Turn<'t, H> {
    pub(in crate::session) now: Millis,
    pub(in crate::session) congested: bool,
    pub(in crate::session) shared: &'t mut Shared<H>,
    pub(in crate::session) out: &'t mut Output,
}

impl Connection {
    /// Takes frames until `bytes` are used up or the connection is no longer open.
    #[inline]
    pub(in crate::session) fn receive_frames<H: Handler>(
        &mut self,
        now: Millis,
        bytes: &mut [u8],
        congested: bool,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        let mut turn = Turn { now, congested, shared, out };
        let mut at = 0;
        while at < bytes.len() && matches!(self.phase, Phase::Open | Phase::Closing) {
            let step = if self.partial.is_some() {
                self.resume(bytes, at, &mut turn)
            } else {
                match self.short_messages(bytes, at, &mut turn) {
                    Ok(next) if next < bytes.len() => self.frame(bytes, next, &mut turn),
                    done => done,
                }
            };
            match step {
                Ok(next) => at = next,
                Err(violation) => {
                    turn.out.spill(bytes, || turn.shared.buffers.take());
                    return self.fail(now, violation, turn.shared, turn.out);
                }
            }
        }
        // A peer that goes on after its close frame would lose the answer to a reset.
        if self.phase == Phase::Finished && at < bytes.len() {
            self.phase = Phase::Lingering;
            self.deadline = now.after(turn.shared.config.timeouts.linger);
        }
    }

    /// Whether messages go to an endpoint of the server's own.
    #[inline]
    pub(in crate::session) const fn is_endpoint(&self) -> bool {
        self.tag > Acceptance::MAX_TAG
    }

    fn rsv1_allowed(&self) -> bool {
        self.compression.is_some()
    }

    /// Takes the frame that begins at `at`; returns where the next one begins.
    fn frame<H: Handler>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(header) = FrameHeader::parse(rest, self.rsv1_allowed())? else {
            let mut start = [0; MAX_CLIENT_HEADER];
            start[..rest.len()].copy_from_slice(rest);
            self.partial = Some(Box::new(Partial::Header { bytes: start, len: rest.len() }));
            return Ok(bytes.len());
        };
        self.payload(&header, bytes, at + header.len, turn)
    }

    /// Goes on with the frame that the last receive has cut.
    fn resume<H: Handler>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        let rsv1_allowed = self.rsv1_allowed();
        match self.partial.take().map(|partial| *partial) {
            Some(Partial::Header { bytes: mut start, mut len }) => {
                let fresh = &bytes[at..];
                match continue_header(&mut start, &mut len, fresh, rsv1_allowed)? {
                    Some((header, took)) => self.payload(&header, bytes, at + took, turn),
                    None => {
                        let partial = Partial::Header { bytes: start, len };
                        self.partial = Some(Box::new(partial));
                        Ok(bytes.len())
                    }
                }
            }
            Some(Partial::Payload(body)) => self.body(body, bytes, at, turn),
            None => Ok(at),
        }
    }

    /// Takes the payload of a frame whose header ends before `at`.
    fn payload<H: Handler>(
        &mut self,
        header: &FrameHeader,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        let whole = header.payload_len <= (bytes.len() - at) as u64;
        let starts = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        let simple = header.fin && starts && !header.rsv1;
        if whole && simple && self.assembly.is_none() && self.phase == Phase::Open {
            #[allow(clippy::cast_possible_truncation, reason = "not above bytes.len()")]
            let len = header.payload_len as usize;
            if len > turn.shared.config.limits.max_message {
                return Err(Violation::MessageTooBig);
            }
            let place = Place { opcode: header.opcode, mask: header.mask, at, len };
            if self.is_endpoint() {
                self.whole_message::<H, true>(place, bytes, turn)?;
            } else {
                self.whole_message::<H, false>(place, bytes, turn)?;
            }
            return Ok(at + len);
        }
        if !header.opcode.is_control() {
            self.begin_data_frame(header, turn.shared)?;
        }
        self.body(Body::new(header), bytes, at, turn)
    }

    /// Begins or continues the message in progress with one more frame.
    fn begin_data_frame<H>(
        &mut self,
        header: &FrameHeader,
        shared: &mut Shared<H>,
    ) -> Result<(), Violation> {
        if self.phase != Phase::Open {
            return Ok(());
        }
        match (&self.assembly, header.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::ContinuationWithoutStart),
            (None, opcode) => {
                let inflater = match &mut self.compression {
                    Some(compression) if header.rsv1 => {
                        Some(compression.inflater(&mut shared.deflate))
                    }
                    _ => None,
                };
                let assembly = Assembler::new(opcode, shared.buffers.take_large(), inflater);
                self.assembly = Some(Box::new(assembly));
            }
            (Some(_), Opcode::Continuation) => {}
            (Some(_), _) => return Err(Violation::MessageInterrupted),
        }
        let limits = shared.message_limits();
        self.assembly.as_mut().map_or(Ok(()), |assembly| assembly.frame(header, limits))
    }

    /// Takes what has been received of a frame's payload, from `at`.
    fn body<H: Handler>(
        &mut self,
        mut body: Body,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        let there = bytes.len() - at;
        let take = usize::try_from(body.remaining).map_or(there, |remaining| remaining.min(there));
        let end = at + take;
        let fresh = &mut bytes[at..end];
        if body.opcode.is_control() {
            unmask(fresh, body.mask);
            body.control.extend_from_slice(fresh);
        } else if let Some(assembly) = &mut self.assembly {
            assembly.push(fresh, body.mask, turn.shared.message_limits())?;
        }
        body.mask = body.mask.advanced(take);
        body.remaining -= take as u64;
        if body.remaining > 0 {
            self.partial = Some(Box::new(Partial::Payload(body)));
        } else if body.opcode.is_control() {
            let control = Control { opcode: body.opcode, payload: &body.control };
            turn.out.spill(bytes, || turn.shared.buffers.take());
            self.control(control, turn)?;
        } else if body.fin && self.assembly.is_some() {
            self.finish_message(bytes, turn)?;
        }
        Ok(end)
    }

    /// The last byte of an assembled message is there.
    fn finish_message<H: Handler>(
        &mut self,
        bytes: &mut [u8],
        turn: &mut Turn<'_, H>,
    ) -> Result<(), Violation> {
        if let Some(assembly) = &mut self.assembly {
            assembly.finish(turn.shared.message_limits())?;
        }
        let Some(assembly) = self.assembly.take() else { return Ok(()) };
        self.last_message = turn.now;
        let shared = &mut *turn.shared;
        let (opcode, compressed) = (assembly.opcode(), assembly.is_compressed());
        let (mut buffer, inflater) = assembly.into_parts();
        if let (Some(inflater), Some(compression)) = (inflater, &mut self.compression) {
            compression.keep_inflater(inflater, &mut shared.deflate);
        }
        let (room, payload) = buffer.split_at_mut(MAX_SERVER_HEADER);
        let message = Message { opcode, payload, compressed, tag: self.tag };
        let is_endpoint = self.is_endpoint();
        let compression: Option<&mut Compression> = self.compression.as_deref_mut();
        let mut replies = Replies {
            before: bytes,
            out: turn.out,
            buffers: &mut shared.buffers,
            encoder: Encoder { compression, pool: &mut shared.deflate },
            echo: None,
            close: None,
        };
        if is_endpoint {
            shared.handler.server_message(self.id, message, &mut replies);
        } else {
            shared.handler.message(self.id, message, &mut replies);
        }
        let (echo, close) = (replies.echo.is_some(), replies.close);
        let buffer = if echo && turn.out.is_empty() && !compressed {
            // Nothing goes before it: the memory it was gathered in is the reply.
            let took = write_server_header(room, opcode, false, payload.len());
            turn.out.adopt(buffer, MAX_SERVER_HEADER - took)
        } else {
            if echo {
                turn.out.spill(bytes, || shared.buffers.take());
                let compression = self.compression.as_deref_mut();
                let mut encoder = Encoder { compression, pool: &mut shared.deflate };
                encoder.append(turn.out.appendable(Vec::new), opcode, payload, compressed);
            }
            buffer
        };
        shared.buffers.give(buffer);
        if let Some((code, reason)) = close {
            self.close_as_asked(code, reason, bytes, turn);
        }
        Ok(())
    }
}
