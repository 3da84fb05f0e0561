//! Output: what the loop sends is encrypted.
//!
//! Encrypted bytes cannot be taken back: the peer must get all of them, in their order. So what the
//! socket does not take is given to the loop as the rest of the send, which puts it at the head of
//! its queue, where nothing is dropped or put in front of it. `Connection::raw` counts these bytes,
//! and they are sent as they are when they come back.

use std::rc::Rc;

use super::connection::{Connection, Stage};
use super::tls::{Exhausted, Keyring};
use super::{Sealed, Transport};
use crate::base::{Chunk, ConnectionId, Shared};
use crate::io::{Driver, Errno, Event, Payload};

/// The most plain bytes that are encrypted at a time. What they become belongs to one connection,
/// while the plain bytes may be those of many.
const MOST: usize = 64 << 10;

impl<D: Driver> Transport<D> {
    /// Sends `payload` encrypted.
    pub(super) fn seal_now(&mut self, id: ConnectionId, mut payload: Payload) {
        let Self { inner, table, buffers, spare, keys, work, .. } = self;
        let Some(connection) = table.get(id) else { return };
        if !connection.can_send() {
            return self.recycle(payload);
        }
        let bytes: &[u8] = match &payload {
            Payload::Received { buffer, start, len } => {
                let range = *start as usize..*start as usize + *len as usize;
                let bytes =
                    if buffers.owns(buffer) { buffers.bytes(buffer) } else { inner.bytes(buffer) };
                bytes.get(range).unwrap_or_default()
            }
            Payload::Chunk(chunk) => chunk.rest(),
        };
        let mut out = std::mem::take(&mut connection.output);
        if out.capacity() == 0 {
            out = spare.take();
        }
        let piece = bytes.get(..MOST).unwrap_or(bytes);
        let (is_whole, sealed) =
            (piece.len() == bytes.len(), seal(connection, keys, piece, &mut out));
        work.count(*sealed.as_ref().unwrap_or(&0));
        if !out.is_empty() {
            connection.sent_in = self.batch;
            inner.send_now(id, Payload::Chunk(Chunk::Owned { bytes: out, from: 0 }));
        }
        let id = id.masked();
        if sealed.is_err() {
            self.over(id);
            let error = Some(Errno::PIPE);
            self.cut.push(Event::ShortSend { id, rest: payload, error });
        } else if is_whole {
            self.recycle(payload);
        } else {
            payload.skip(MOST);
            self.cut.push(Event::ShortSend { id, rest: payload, error: None });
        }
    }

    /// Sends the same bytes to each of `ids`, encrypted for those with a transport.
    pub(super) fn seal_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        let mut rest = ids;
        while !rest.is_empty() {
            let plain = rest.iter().take_while(|id| self.table.get(**id).is_none()).count();
            let (before, behind) = rest.split_at(plain);
            if !before.is_empty() {
                self.inner.send_shared(before, bytes);
            }
            let Some((id, behind)) = behind.split_first() else { return };
            let chunk = Chunk::Shared { bytes: Rc::clone(bytes), from: 0 };
            self.seal_now(*id, Payload::Chunk(chunk));
            rest = behind;
        }
    }

    /// Sends from the head of the loop's queue: what is encrypted as it is, and the rest encrypted.
    pub(super) fn seal_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        let Self { inner, table, spare, sealed, events, held, keys, work, .. } = self;
        let Some(connection) = table.get(id) else { return };
        if connection.raw > 0 {
            connection.is_sending = true;
            return inner.send_queued(id, chunk, max.min(connection.raw as usize));
        }
        let plain = chunk.rest().len().min(max).min(MOST);
        let id = id.masked();
        if !connection.can_send() {
            return events.push_back(Event::Sent { id, chunk, result: Ok(plain) });
        }
        let mut out = std::mem::take(&mut connection.output);
        if out.capacity() == 0 {
            out = spare.take();
        }
        let piece = chunk.rest().get(..plain).unwrap_or_default();
        match seal(connection, keys, piece, &mut out) {
            Ok(done) => work.count(done),
            Err(Exhausted) => {
                connection.output = out;
                events.push_back(Event::Sent { id, chunk, result: Err(Errno::PIPE) });
                self.over(id);
                return self.list_output(id);
            }
        }
        connection.is_sending = true;
        let (memory, len) = (out.capacity(), out.len());
        *held += memory;
        sealed.insert(id.slot, Sealed { chunk, plain, memory });
        inner.send_queued(id, Chunk::Owned { bytes: out, from: 0 }, len);
    }

    /// A send of the loop's queue has ended. Returns what the loop is told.
    pub(super) fn sent_event(
        &mut self,
        id: ConnectionId,
        mut chunk: Chunk,
        result: Result<usize, Errno>,
    ) -> Event {
        let Self { table, spare, sealed, events, held, .. } = self;
        let Some(connection) = table.get(id) else { return Event::Sent { id, chunk, result } };
        connection.is_sending = false;
        let Some(Sealed { chunk: mut given, plain, memory }) = sealed.remove(&id.slot) else {
            connection.take_raw(*result.as_ref().unwrap_or(&0));
            return Event::Sent { id, chunk, result };
        };
        *held -= memory;
        match result {
            Ok(_) | Err(Errno::CANCELED) => {
                chunk.skip(result.unwrap_or_default());
                let rest = chunk.rest().len();
                if rest > 0 {
                    // The plain bytes are done with, and what they have become takes their place.
                    connection.add_raw(rest);
                    let rest = Payload::Chunk(chunk);
                    events.push_front(Event::ShortSend { id, rest, error: None });
                } else if let Some(memory) = chunk.into_vec() {
                    spare.give(memory);
                }
                match result {
                    Ok(_) => Event::Sent { id, chunk: given, result: Ok(plain) },
                    // Nothing was sent, so the peer has not moved.
                    Err(error) => {
                        given.skip(plain);
                        Event::Sent { id, chunk: given, result: Err(error) }
                    }
                }
            }
            Err(error) => Event::Sent { id, chunk: given, result: Err(error) },
        }
    }

    /// A send at once fell short.
    pub(super) fn short_event(&mut self, id: ConnectionId, rest: &Payload) {
        if let Some(connection) = self.table.get(id)
            && let Payload::Chunk(chunk) = rest
        {
            connection.add_raw(chunk.rest().len());
        }
    }

    /// Has the peer told that this side sends no more.
    pub(super) fn end(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.get(id) else { return };
        if connection.can_send() {
            connection.has_ended = true;
            let Connection { stage, output, .. } = connection;
            if let Stage::Tls(session) = stage
                && session.end(&mut self.keys, output).is_ok()
            {
                self.list_output(id);
            }
        }
    }

    /// Makes sure that the output of TLS itself is sent, with what the loop sends next or without.
    pub(super) fn list_output(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.get(id)
            && !connection.output.is_empty()
            && !connection.is_flushed
        {
            connection.is_flushed = true;
            self.flushing.push(id);
        }
    }

    /// Half closes connections of which all is sent, and sends the output of TLS itself where the
    /// loop has sent nothing. Nothing may be under way but the sends of this batch. Returns whether
    /// the next call of `enter` has more to do.
    pub(super) fn flush(&mut self) -> bool {
        let Self { inner, table, flushing, half_closing, batch, .. } = self;
        let mut has_more = false;
        half_closing.retain(|&id| {
            let Some(connection) = table.get(id) else { return false };
            let is_ready = connection.is_flushed_before(*batch);
            if is_ready {
                inner.half_close(id);
            }
            has_more |= !is_ready && connection.raw == 0 && !connection.is_sending;
            !is_ready
        });
        flushing.retain(|&id| {
            let Some(connection) = table.get(id) else { return false };
            let waits = connection.raw > 0 || connection.is_sending || connection.sent_in == *batch;
            if !waits && !connection.output.is_empty() {
                let bytes = std::mem::take(&mut connection.output);
                connection.sent_in = *batch;
                inner.send_now(id, Payload::Chunk(Chunk::Owned { bytes, from: 0 }));
            }
            connection.is_flushed = !connection.output.is_empty();
            has_more |= connection.is_flushed && connection.sent_in == *batch;
            connection.is_flushed
        });
        has_more
    }

    /// Gives back what was sent in plain.
    fn recycle(&mut self, payload: Payload) {
        match payload {
            Payload::Received { buffer, .. } if self.buffers.owns(&buffer) => {
                self.spare.give(self.buffers.release(buffer));
            }
            Payload::Received { buffer, .. } => self.inner.release(buffer),
            Payload::Chunk(chunk) => self.recycled.extend(chunk.into_vec()),
        }
    }
}

impl Connection {
    fn add_raw(&mut self, bytes: usize) {
        if self.is_given_up {
            return;
        }
        self.raw = self.raw.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    fn take_raw(&mut self, bytes: usize) {
        self.raw = self.raw.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// Encrypts `plain` and adds it to `out`. Returns the work that it was.
fn seal(
    connection: &mut Connection,
    keys: &mut Keyring,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<u64, Exhausted> {
    let Stage::Tls(session) = &mut connection.stage else { return Err(Exhausted) };
    session.seal(keys, plain, out)
}
