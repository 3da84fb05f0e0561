//! Input: what the inner driver receives becomes what the loop is told.

use super::Transport;
use super::buffers::SIZE;
use super::connection::{Connection, Stage};
use super::tls::{Taken, TlsSession};
use crate::base::ConnectionId;
use crate::io::{Buffer, Driver, Errno, Event, Received};

/// The most input of a connection that waits to be complete: more than a record, or than the first
/// messages of any client. With more that waits for its turn, the connection is not read from.
const MAX_INPUT: usize = 32 << 10;

/// The answer to a client that speaks HTTP to a listener with TLS. Its first bytes are the name of
/// a method.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\nConnection: close\r\n\r\n\
    This port speaks TLS only: use https:// or wss://.\n";

impl<D: Driver> Transport<D> {
    /// A receive of a connection with a transport has brought something. Returns what the loop is
    /// told of it at once.
    pub(super) fn receive_event(
        &mut self,
        id: ConnectionId,
        outcome: Received,
        armed: bool,
    ) -> Option<Event> {
        let Some(connection) = self.table.get(id) else {
            return Some(Event::Received { id, outcome, armed });
        };
        match outcome {
            Received::Data { buffer, .. }
                if connection.is_ended || matches!(connection.stage, Stage::Over) =>
            {
                self.inner.release(buffer);
                let outcome = Received::Cancelled;
                (!armed).then_some(Event::Received { id, outcome, armed })
            }
            Received::Data { buffer, len } if connection.is_open() && !connection.is_listed => {
                self.decrypt(id, buffer, len, armed)
            }
            Received::Data { buffer, len } => {
                self.keep(id, buffer, len, armed);
                None
            }
            outcome @ Received::Failed(_) => {
                connection.stage = Stage::Over;
                Some(Event::Received { id, outcome, armed })
            }
            outcome if connection.is_listed && !armed => {
                connection.after = Some(outcome);
                None
            }
            outcome => {
                let outcome = of_transport(connection, outcome);
                Some(Event::Received { id, outcome, armed })
            }
        }
    }

    /// Keeps a part of a handshake until all else that was received is handled. With much of it,
    /// nothing more is received until the handshake has had its turn: the loop arms the receive
    /// again once it is told that it has ended.
    fn keep(&mut self, id: ConnectionId, buffer: Buffer, len: usize, armed: bool) {
        let Self { inner, table, spare, handshakes, held, .. } = self;
        let Some(connection) = table.get(id) else { return inner.release(buffer) };
        let before = connection.input.capacity();
        if before == 0 {
            connection.input = spare.take();
        }
        let had_much = connection.input.len() > MAX_INPUT;
        let bytes = inner.bytes(&buffer).get(..len).unwrap_or_default();
        connection.input.extend_from_slice(bytes);
        *held = *held + connection.input.capacity() - before;
        inner.release(buffer);
        if !armed {
            connection.after = Some(Received::Cancelled);
        } else if connection.input.len() > MAX_INPUT && !had_much {
            inner.cancel_receive(id);
        }
        if !connection.is_listed {
            connection.is_listed = true;
            handshakes.push_back(id);
        }
    }

    /// Goes on with handshakes, as many as this turn may do. Returns whether there is an event.
    #[cold]
    pub(super) fn advance_handshakes(&mut self) -> bool {
        while self.allowed > 0
            && let Some(id) = self.handshakes.pop_front()
        {
            let Some(connection) = self.table.get(id) else { continue };
            connection.is_listed = false;
            if matches!(connection.stage, Stage::New) {
                self.begin(id);
            }
            self.advance(id);
            if !self.events.is_empty() {
                return true;
            }
        }
        false
    }

    /// The first bytes of a client are there.
    fn begin(&mut self, id: ConnectionId) {
        if self.version != self.certificates.version() {
            self.version = self.certificates.version();
            self.current = self.certificates.current();
        }
        let Some(connection) = self.table.get(id) else { return };
        let is_http = connection.input.first().is_some_and(u8::is_ascii_uppercase);
        let session = (!is_http).then(|| TlsSession::new(&self.current.config));
        match session {
            Some(Ok(session)) => {
                connection.stage = Stage::Tls(session);
                self.allowed = self.allowed.saturating_sub(self.current.cost);
            }
            Some(Err(fault)) => {
                tracing::debug!(slot = id.slot, %fault, "TLS cannot begin");
                self.refuse(id);
            }
            None => {
                tracing::debug!(slot = id.slot, "a client speaks HTTP to a listener with TLS");
                connection.output.extend_from_slice(USE_TLS);
                self.refuse(id);
            }
        }
    }

    /// Takes input that waited.
    fn advance(&mut self, id: ConnectionId) {
        self.allowed = self.allowed.saturating_sub(1);
        let Self { table, plain, .. } = self;
        let Some(connection) = table.get(id) else { return };
        plain.clear();
        let taken = take_input(connection, plain, &mut self.spare, &mut self.held);
        self.tell(id, taken);
    }

    /// Decrypts what was received in its buffer, and leaves the plain bytes there if they fit.
    #[inline]
    fn decrypt(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        armed: bool,
    ) -> Option<Event> {
        let Self { inner, table, plain, spare, held, .. } = self;
        let connection = table.get(id)?;
        plain.clear();
        let bytes = inner.bytes(&buffer);
        let room = bytes.len();
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        let taken = if connection.input.is_empty()
            && let Stage::Tls(session) = &mut connection.stage
        {
            let taken = session.receive(bytes, plain, &mut connection.output);
            let rest = bytes.get(taken.bytes..).unwrap_or_default();
            if !rest.is_empty() && !taken.is_end {
                connection.input = spare.take();
                connection.input.extend_from_slice(rest);
                *held += connection.input.capacity();
            }
            taken
        } else {
            let before = connection.input.capacity();
            connection.input.extend_from_slice(bytes);
            *held = *held + connection.input.capacity() - before;
            take_input(connection, plain, spare, held)
        };
        let is_plain = taken.fault.is_none() && !taken.is_end && connection.output.is_empty();
        if is_plain && plain.len() <= room && connection.input.len() <= MAX_INPUT {
            if plain.is_empty() {
                inner.release(buffer);
                let outcome = Received::Cancelled;
                return (!armed).then_some(Event::Received { id, outcome, armed });
            }
            let len = plain.len();
            inner.bytes(&buffer).get_mut(..len)?.copy_from_slice(plain);
            return Some(Event::Received { id, outcome: Received::Data { buffer, len }, armed });
        }
        inner.release(buffer);
        if !armed {
            connection.after = Some(Received::Cancelled);
        }
        self.tell(id, taken);
        self.events.pop_front()
    }

    /// Tells the loop what came of input: what was decrypted, and how it ends.
    #[cold]
    fn tell(&mut self, id: ConnectionId, taken: Taken) {
        let Self { table, plain, buffers, events, .. } = self;
        let Some(connection) = table.get(id) else { return };
        let mut is_lost = false;
        for bytes in plain.chunks(SIZE) {
            match buffers.lend(bytes) {
                Some(buffer) => {
                    let outcome = Received::Data { buffer, len: bytes.len() };
                    events.push_back(Event::Received { id, outcome, armed: true });
                }
                None => is_lost = true,
            }
        }
        if taken.is_end && !connection.is_ended {
            connection.is_ended = true;
            events.push_back(Event::Received { id, outcome: Received::Eof, armed: true });
        }
        let is_long = connection.input.len() > MAX_INPUT;
        if is_lost {
            let outcome = Received::Failed(Errno::NOBUFS);
            events.push_back(Event::Received { id, outcome, armed: true });
        } else if taken.fault.is_some() || is_long {
            let text = taken.fault.map(|fault| fault.to_string());
            tracing::debug!(slot = id.slot, fault = text, is_long, "TLS is broken");
            self.refuse(id);
        }
        self.list_output(id);
        let Some(connection) = self.table.get(id) else { return };
        if let Some(after) = connection.after.take() {
            let outcome = of_transport(connection, after);
            self.events.push_back(Event::Received { id, outcome, armed: false });
        }
    }

    /// Nothing more is taken from a peer. It is sent what was put into the output.
    fn refuse(&mut self, id: ConnectionId) {
        self.over(id);
        self.list_output(id);
        self.events.push_back(Event::Received { id, outcome: Received::Refused, armed: true });
    }

    /// Ends the transport of a connection.
    pub(super) fn over(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.get(id) else { return };
        connection.stage = Stage::Over;
        self.held -= connection.input.capacity();
        self.spare.give(std::mem::take(&mut connection.input));
    }
}

/// Takes the input that a connection holds.
fn take_input(
    connection: &mut Connection,
    plain: &mut Vec<u8>,
    spare: &mut crate::base::BufferPool,
    held: &mut usize,
) -> Taken {
    let Stage::Tls(session) = &mut connection.stage else {
        return Taken { bytes: 0, is_end: false, fault: None };
    };
    let taken = session.receive(&mut connection.input, plain, &mut connection.output);
    connection.input.drain(..taken.bytes.min(connection.input.len()));
    if connection.input.is_empty() || taken.is_end {
        *held -= connection.input.capacity();
        spare.give(std::mem::take(&mut connection.input));
    }
    taken
}

/// What the end of a receive means with a transport: TCP may not end before TLS has.
fn of_transport(connection: &Connection, outcome: Received) -> Received {
    match outcome {
        Received::Eof if connection.is_open() && !connection.is_ended => Received::Truncated,
        outcome => outcome,
    }
}
