//! The frames that one receive has brought.

use bytes::Bytes;

use super::control::Control;
use super::fast_path::{FrameSpan, count_work};
use crate::base::{Millis, Work};
use crate::protocol::websocket::assembler::Assembler;
use crate::protocol::websocket::deflate::COMPRESSIBLE;
use crate::protocol::websocket::frame::{
    FrameHeader, MAX_CLIENT_HEADER, MAX_SERVER_HEADER, append_frame, write_server_header,
};
use crate::protocol::websocket::mask::unmask;
use crate::protocol::websocket::{Opcode, Violation};
use crate::session::assembly::Assembly;
use crate::session::compression::{Compression, Encoder};
use crate::session::context::{Handled, ReceiveContext, Stop};
use crate::session::pending::{PendingFrame, PendingPayload, continue_header};
use crate::session::replies::{Message, Replies};
use crate::session::service::Inbound;
use crate::session::state::{Marks, Phase, Session};
use crate::session::stream::StreamEvent;

/// The work of short messages that are alone in a receive is not counted up to this many bytes: the
/// receive itself is more.
const FEW: usize = 2 << 10;
/// So much of a compressed payload is decompressed at once. It becomes a megabyte at most.
const COMPRESSED_PIECE: usize = 1 << 10;
/// From here on a message is not copied if the service has to keep it.
const LARGE: usize = 128 << 10;
/// The send of a longer echo counts as work. A last byte can cause it.
const SENT: usize = 16 << 10;

impl Session {
    /// Takes frames until `bytes` are used up, the connection is no longer open, the service wants
    /// the rest to wait, or the work that is allowed is used up. At least one frame is taken, or a
    /// piece of one.
    #[inline]
    pub(in crate::session) fn receive_frames<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Handled {
        let mut at = 0;
        while at < bytes.len() && matches!(self.phase, Phase::Open | Phase::Closing) {
            let step = if self.pending.is_some() {
                self.resume(bytes, at, cx, service)
            } else {
                match self.short_frames(bytes, at, cx, service) {
                    // Most receives are short messages and nothing else.
                    Ok(next) if next == bytes.len() && next - at <= FEW && cx.stop == Stop::No => {
                        return Handled::All;
                    }
                    Ok(next) if next < bytes.len() && cx.stop == Stop::No => {
                        cx.pools.work.charge_bytes(next - at, Work::SHORT_MESSAGES_BYTE);
                        self.frame(bytes, next, cx, service)
                    }
                    Ok(next) if next - at > FEW => {
                        self.count_short_frames(next - at, cx);
                        Ok(next)
                    }
                    done => done,
                }
            };
            match step {
                Ok(next) => at = next,
                Err(violation) => {
                    cx.copy_out(bytes);
                    self.fail(violation, cx);
                    return Handled::All;
                }
            }
            match cx.stop {
                Stop::No => {}
                Stop::Held => return Handled::Until(at),
                Stop::Paused => return Handled::Paused(at),
            }
        }
        // A peer that sends after its close frame would lose the answer to a reset.
        if self.phase == Phase::Finished && at < bytes.len() {
            self.phase = Phase::Lingering;
            self.deadline = cx.now.after(cx.pools.config.timeouts.linger);
        }
        Handled::All
    }

    /// Counts the work of `len` bytes of short messages.
    #[cold]
    fn count_short_frames(&self, len: usize, cx: &mut ReceiveContext<'_>) {
        cx.pools.work.charge_bytes(len, Work::SHORT_MESSAGES_BYTE);
        self.pause_if_used_up(cx);
    }

    /// After a piece of work that is counted: whether the rest has to wait.
    fn pause_if_used_up(&self, cx: &mut ReceiveContext<'_>) {
        if cx.pools.work.is_used_up() {
            self.pause(cx);
        }
    }

    /// Lets the rest wait for a later turn. Said also if there is none, so that the turn can end.
    pub(super) fn pause(&self, cx: &mut ReceiveContext<'_>) {
        let is_on = matches!(self.phase, Phase::Open | Phase::Closing);
        if is_on && cx.stop == Stop::No {
            cx.stop = Stop::Paused;
        }
    }

    fn rsv1_allowed(&self) -> bool {
        self.compression.is_some()
    }

    /// Takes the frame that begins at `at`; returns where the next one begins.
    fn frame<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(header) = FrameHeader::parse(rest, self.rsv1_allowed())? else {
            let mut start = [0; MAX_CLIENT_HEADER];
            start[..rest.len()].copy_from_slice(rest);
            self.pending = Some(Box::new(PendingFrame::Header { bytes: start, len: rest.len() }));
            self.receive_partial_header(start[0], cx.now);
            return Ok(bytes.len());
        };
        self.payload(&header, bytes, at + header.len, cx, service)
    }

    /// A header has come in part. If it is that of a data frame, a message is under way, which is
    /// no idle time.
    fn receive_partial_header(&mut self, first: u8, now: Millis) {
        const CONTROL: u8 = 0x08;
        if first & CONTROL == 0 {
            self.last_message = now;
        }
    }

    /// Goes on with the frame that the last receive has cut.
    fn resume<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        if self.stream_event(StreamEvent::Received(&bytes[at..]), cx) {
            return Ok(bytes.len());
        }
        let rsv1_allowed = self.rsv1_allowed();
        match self.pending.take().map(|partial| *partial) {
            Some(PendingFrame::Header { bytes: mut start, mut len }) => {
                let fresh = &bytes[at..];
                match continue_header(&mut start, &mut len, fresh, rsv1_allowed)? {
                    Some((header, took)) => self.payload(&header, bytes, at + took, cx, service),
                    None => {
                        let partial = PendingFrame::Header { bytes: start, len };
                        self.pending = Some(Box::new(partial));
                        self.receive_partial_header(start[0], cx.now);
                        Ok(bytes.len())
                    }
                }
            }
            Some(PendingFrame::Payload(body)) => self.body(body, bytes, at, cx, service),
            Some(PendingFrame::Stream(_)) | None => Ok(at),
        }
    }

    /// Takes the payload of a frame whose header ends before `at`.
    fn payload<S: Inbound>(
        &mut self,
        header: &FrameHeader,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        let whole = header.payload_len <= (bytes.len() - at) as u64;
        let starts = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        let simple = header.fin && starts && !header.rsv1;
        if whole && simple && self.assembly.is_none() && self.phase == Phase::Open {
            #[allow(clippy::cast_possible_truncation, reason = "not above bytes.len()")]
            let len = header.payload_len as usize;
            if len >= cx.pools.looked_at_from {
                cx.pools.look_at(len, self.route)?;
            }
            cx.pools.work.charge(Work::RECEIVED_FRAME + Work::of_payload(len));
            let span = FrameSpan { opcode: header.opcode, mask: header.mask, at, len };
            if self.endpoint.is_built_in() {
                self.single_frame::<S, true>(span, bytes, cx, service)?;
            } else {
                self.single_frame::<S, false>(span, bytes, cx, service)?;
            }
            cx.pools.counts.messages += 1;
            self.pause_if_used_up(cx);
            return Ok(at + len);
        }
        if !header.opcode.is_control() {
            self.begin_data_frame(header, cx)?;
        }
        self.body(PendingPayload::new(header), bytes, at, cx, service)
    }

    /// Begins or continues the message in progress with one more frame.
    fn begin_data_frame(
        &mut self,
        header: &FrameHeader,
        cx: &mut ReceiveContext<'_>,
    ) -> Result<(), Violation> {
        let pools = &mut *cx.pools;
        if self.phase != Phase::Open {
            self.marks.insert(Marks::SENDS_AFTER_CLOSE);
            return Ok(());
        }
        match (&self.assembly, header.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::ContinuationWithoutStart),
            (None, opcode) => {
                let inflater = match &mut self.compression {
                    Some(compression) if header.rsv1 => {
                        pools.work.charge(Work::COMPRESSED_MESSAGE);
                        Some(compression.inflater(&mut pools.deflate))
                    }
                    _ => None,
                };
                let buffer = pools.buffers.take_large(header.payload_len);
                let assembly = Assembler::new(opcode, buffer, inflater);
                let limits = pools.message_limits(self.route);
                let assembly = Assembly::new(assembly, limits, cx.now, pools);
                self.deadline = self.deadline.min(assembly.due(pools.config.timeouts.message));
                self.assembly = Some(assembly);
            }
            (Some(_), Opcode::Continuation) => {}
            (Some(_), _) => return Err(Violation::MessageInterrupted),
        }
        let Some(assembly) = &mut self.assembly else { return Ok(()) };
        assembly.assembler.frame(header, assembly.limits)
    }

    /// Takes what has been received of a frame's payload, from `at`.
    fn body<S: Inbound>(
        &mut self,
        mut body: PendingPayload,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        let there = bytes.len() - at;
        let take = usize::try_from(body.remaining).map_or(there, |remaining| remaining.min(there));
        let mut take = take;
        if self.assembly.as_ref().is_some_and(|assembly| assembly.assembler.is_compressed()) {
            take = take.min(COMPRESSED_PIECE);
        }
        let fresh = &mut bytes[at..at + take];
        if body.opcode.is_control() {
            unmask(fresh, body.mask);
            body.control.extend_from_slice(fresh);
        } else if let Some(assembly) = &mut self.assembly {
            let Assembly { assembler, received, limits, .. } = &mut **assembly;
            let (before, capacity) = (assembler.len(), assembler.capacity());
            take = assembler.push(fresh, body.mask, *limits)?;
            *received += take as u64;
            let (added, work) = (assembler.len() - before, &mut cx.pools.work);
            if assembler.is_compressed() {
                work.charge_bytes(take, Work::DEFLATE_READ_BYTE);
                work.charge_bytes(added, Work::INFLATED_BYTE);
            } else {
                work.charge(Work::of_filled(added));
            }
            if assembler.capacity() > capacity {
                // What was there has been copied: megabytes, of a large message.
                work.charge(Work::of_payload(before));
            }
            let mut besides = 0;
            if self.endpoint.is_built_in() {
                let opcode = assembler.opcode();
                besides = service.assembling(self.id, opcode, assembler.payload());
                cx.pools.work.charge(service.take_work());
            }
            assembly.recharge(besides);
            // A message under way is no idle time, however long it takes.
            self.last_message = cx.now;
        }
        cx.pools.work.charge(Work::RECEIVED_FRAME);
        body.mask = body.mask.advanced(take);
        body.remaining -= take as u64;
        if body.remaining > 0 {
            self.pending = Some(Box::new(PendingFrame::Payload(body)));
        } else if body.opcode.is_control() {
            let control = Control { opcode: body.opcode, payload: &body.control };
            cx.copy_out(bytes);
            self.control(control, cx, service)?;
        } else if body.fin && self.assembly.is_some() {
            self.finish_message(bytes, cx, service)?;
        }
        self.pause_if_used_up(cx);
        Ok(at + take)
    }

    /// The last byte of an assembled message is there.
    fn finish_message<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<(), Violation> {
        if cx.pools.refuses_messages {
            return Err(Violation::MessageRate);
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.assembler.finish(assembly.limits)?;
        }
        let Some(assembly) = self.assembly.take() else { return Ok(()) };
        let Assembly { assembler: assembly, .. } = *assembly;
        self.last_message = cx.now;
        let (opcode, compressed) = (assembly.opcode(), assembly.is_compressed());
        let (mut buffer, inflater) = assembly.into_parts();
        if let (Some(inflater), Some(compression)) = (inflater, &mut self.compression) {
            compression.keep_inflater(inflater, &mut cx.pools.deflate);
        }
        if self.endpoint.is_built_in() && buffer.len() > LARGE {
            self.large_message(opcode, buffer, bytes, cx, service);
            return Ok(());
        }
        let (room, payload) = buffer.split_at_mut(MAX_SERVER_HEADER);
        let message = Message { opcode, payload, compressed, endpoint: self.endpoint };
        let compression: Option<&mut Compression> = self.compression.as_deref_mut();
        let mut replies = Replies::new(bytes, cx, compression);
        if self.endpoint.is_built_in() {
            service.message::<true>(self.id, message, &mut replies);
        } else {
            service.message::<false>(self.id, message, &mut replies);
        }
        let end = replies.end();
        cx.pools.counts.messages += 1;
        // An echo comes back compressed, as it came, where that pays.
        let compressed = compressed && COMPRESSIBLE.contains(&payload.len());
        let buffer = if end.echo && cx.out.is_empty() && !compressed {
            // No reply precedes it: the memory that the message was assembled in is the reply.
            let took = write_server_header(room, opcode, false, payload.len());
            if payload.len() > SENT {
                cx.pools.work.charge(Work::of_bytes(payload.len()));
            }
            cx.out.adopt(buffer, MAX_SERVER_HEADER - took)
        } else {
            cx.pools.counts.not_echoed += 1;
            if end.echo {
                cx.copy_out(bytes);
                let compression = self.compression.as_deref_mut();
                let written = &mut cx.pools.counts.written;
                let mut encoder = Encoder { compression, pool: &mut cx.pools.deflate, written };
                encoder.append(cx.out.appendable(Vec::new), opcode, payload, compressed);
            }
            buffer
        };
        cx.pools.buffers.give(buffer);
        cx.pools.work.charge(cx.pools.deflate.take_work());
        if self.endpoint.is_built_in() {
            count_work(cx, service);
        } else {
            cx.pools.work.charge(service.take_work());
        }
        self.apply(end, bytes, cx);
        Ok(())
    }

    /// A large message to an endpoint of the server: the service may keep the memory.
    fn large_message<S: Inbound>(
        &mut self,
        opcode: Opcode,
        buffer: Vec<u8>,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) {
        let memory = Bytes::from(buffer);
        let payload = memory.get(MAX_SERVER_HEADER..).unwrap_or_default();
        let message = Message { opcode, payload, compressed: false, endpoint: self.endpoint };
        let mut replies = Replies::new(bytes, cx, self.compression.as_deref_mut());
        service.large_message(self.id, message, &memory, &mut replies);
        let end = replies.end();
        cx.pools.counts.messages += 1;
        cx.pools.counts.not_echoed += u64::from(!end.echo);
        if end.echo {
            cx.copy_out(bytes);
            append_frame(cx.appendable(), opcode, false, payload);
        }
        if memory.is_unique() {
            cx.pools.buffers.give(Vec::from(memory));
        }
        cx.pools.work.charge(cx.pools.deflate.take_work());
        count_work(cx, service);
        self.apply(end, bytes, cx);
    }
}
