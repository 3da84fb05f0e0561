//! Input: what the inner driver receives becomes what the loop is told.

use super::Transport;
use super::connection::{Connection, Stage};
use super::tls::Taken;
use super::work::SHARE;
use crate::base::{ConnectionId, Millis};
use crate::io::{Buffer, Driver, Errno, Event, Received};

/// The most input of a connection that waits to be complete: more than a record, or than the first
/// messages of any client. With more that waits for its turn, the connection is not read from.
const MAX_INPUT: usize = 32 << 10;
/// Input that waits and is not longer is short: it is decrypted before that which is.
const SHORT: usize = 2 << 10;
/// So many plain bytes of a record that was cut are copied into the receive buffer that has brought
/// the end of it.
const COPIED: usize = 1 << 10;

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
                if connection.is_ended
                    || connection.is_given_up
                    || matches!(connection.stage, Stage::Over) =>
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
                self.over(id);
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

    /// Keeps input as it is: a part of a handshake until all else that was received is handled, and
    /// records until there is time to decrypt them. With much of it, nothing more is received
    /// until it has had its turn: the loop arms the receive again once it is told that it has
    /// ended.
    #[cold]
    fn keep(&mut self, id: ConnectionId, buffer: Buffer, len: usize, armed: bool) {
        let Self { inner, table, spare, held, .. } = self;
        let Some(connection) = table.get(id) else { return inner.release(buffer) };
        let had_much = connection.input.len() > MAX_INPUT;
        let bytes = inner.bytes(&buffer).get(..len).unwrap_or_default();
        connection.add_input(bytes, spare, held);
        connection.last = Millis::from(inner.now());
        inner.release(buffer);
        if !armed {
            connection.after = Some(Received::Cancelled);
        } else if connection.input.len() > MAX_INPUT && !had_much {
            inner.cancel_receive(id);
        }
        self.list_input(id);
    }

    /// Puts a connection whose input waits into its list.
    fn list_input(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.get(id) else { return };
        if std::mem::replace(&mut connection.is_listed, true) {
            return;
        }
        let is_short = connection.costly == 0 && connection.input.len() <= SHORT;
        match connection.is_open() {
            true => self.waiting.of(is_short).list.push_back(id),
            false => self.handshakes.push_back(id),
        }
    }

    /// Goes on with input that could not be decrypted in the turns before. Returns whether there is
    /// an event.
    #[cold]
    pub(super) fn resume(&mut self) -> bool {
        self.resume_list(true) || self.resume_list(false)
    }

    fn resume_list(&mut self, is_short: bool) -> bool {
        while let Some(id) = self.waiting.of(is_short).next() {
            let Some(connection) = self.table.get(id) else { continue };
            // However much others cause, one of those who cause much goes on.
            let is_first = !is_short && !std::mem::replace(&mut self.waiting.has_resumed, true);
            let allowed =
                if is_first { SHARE } else { self.work.of_late(connection.share, is_short) };
            if allowed == 0 {
                self.waiting.of(is_short).stop(id);
                return false;
            }
            connection.is_listed = false;
            self.take_waiting(id, allowed);
            if !self.events.is_empty() {
                return true;
            }
        }
        false
    }

    /// Takes input that waited. Returns whether that has meant a slow key exchange.
    pub(super) fn take_waiting(&mut self, id: ConnectionId, allowed: u64) -> bool {
        let (taken, plain) = self.take_input(id, allowed);
        let data = plain.and_then(|plain| self.lend(plain));
        let is_slow = taken.is_slow;
        self.tell(id, data, taken);
        is_slow
    }

    /// Decrypts what was received in its buffer, and leaves the plain bytes there.
    #[inline]
    fn decrypt(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        armed: bool,
    ) -> Option<Event> {
        let Self { inner, table, keys, spare, held, work, .. } = self;
        let connection = table.get(id)?;
        let allowed = work.of(connection.share, connection.costly);
        if allowed == 0 {
            self.keep(id, buffer, len, armed);
            return None;
        }
        if !connection.input.is_empty() {
            return self.decrypt_joined(id, buffer, len, armed, allowed);
        }
        let Connection { stage: Stage::Tls(session), output, share, costly, .. } = connection
        else {
            inner.release(buffer);
            return None;
        };
        let bytes = inner.bytes(&buffer).get_mut(..len).unwrap_or_default();
        let taken = session.receive(keys, id.slot, bytes, output, allowed);
        work.charge(taken.work, share, costly);
        let rest = bytes.get(taken.bytes..).unwrap_or_default();
        let is_plain = taken.fault.is_none() && !taken.is_end && output.is_empty();
        if !rest.is_empty() && taken.fault.is_none() && !taken.is_end {
            connection.add_input(rest, spare, held);
            connection.last = Millis::from(inner.now());
        }
        let len = taken.plain.len();
        if is_plain && !taken.is_paused && len > 0 {
            return Some(Event::Received { id, outcome: Received::Data { buffer, len }, armed });
        }
        let data = if len > 0 {
            Some((buffer, len))
        } else {
            inner.release(buffer);
            None
        };
        self.tell_received(id, data, taken, armed)
    }

    /// Decrypts what was received behind the beginning of a record.
    #[cold]
    fn decrypt_joined(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        armed: bool,
        allowed: u64,
    ) -> Option<Event> {
        let Self { inner, table, spare, held, .. } = self;
        let connection = table.get(id)?;
        let bytes = inner.bytes(&buffer).get(..len).unwrap_or_default();
        connection.add_input(bytes, spare, held);
        connection.last = Millis::from(inner.now());
        let (taken, plain) = self.take_input(id, allowed);
        let (inner, spare) = (&mut self.inner, &mut self.spare);
        let data = match plain {
            Some(plain) if plain.len() <= COPIED.min(len) => {
                let place = inner.bytes(&buffer).get_mut(..plain.len()).unwrap_or_default();
                place.copy_from_slice(&plain);
                let len = plain.len();
                spare.give(plain);
                Some((buffer, len))
            }
            Some(plain) => {
                inner.release(buffer);
                self.lend(plain)
            }
            None => {
                inner.release(buffer);
                None
            }
        };
        self.tell_received(id, data, taken, armed)
    }

    /// Decrypts the input that a connection holds. Returns what it has become, in the memory of the
    /// input.
    fn take_input(&mut self, id: ConnectionId, allowed: u64) -> (Taken, Option<Vec<u8>>) {
        let Self { table, keys, spare, held, work, .. } = self;
        let Some(connection) = table.get(id) else { return (Taken::default(), None) };
        let before = connection.held();
        let mut input = std::mem::take(&mut connection.input);
        let Connection { stage, output, share, costly, .. } = connection;
        let taken = match stage {
            Stage::Tls(session) => session.receive(keys, id.slot, &mut input, output, allowed),
            Stage::New | Stage::Over => Taken::default(),
        };
        work.charge(taken.work, share, costly);
        let is_done = taken.is_end || taken.fault.is_some();
        let rest = input.get(taken.bytes..).filter(|rest| !rest.is_empty() && !is_done);
        let mut plain = None;
        if taken.plain.is_empty() {
            let left = rest.map_or(0, <[u8]>::len);
            input.drain(..input.len() - left);
            connection.input = input;
        } else {
            if let Some(rest) = rest {
                connection.input = spare.take();
                connection.input.extend_from_slice(rest);
            }
            input.truncate(taken.plain.end);
            input.drain(..taken.plain.start);
            plain = Some(input);
        }
        if connection.input.is_empty() {
            spare.give(std::mem::take(&mut connection.input));
        }
        *held = *held + connection.held() - before;
        (taken, plain)
    }

    /// Lends a vector as a buffer, of which the loop is told. `None` if that cannot be: then the
    /// connection has failed.
    fn lend(&mut self, plain: Vec<u8>) -> Option<(Buffer, usize)> {
        let len = plain.len();
        match self.buffers.lend(plain) {
            Ok(buffer) => Some((buffer, len)),
            Err(plain) => {
                self.spare.give(plain);
                self.has_lost = true;
                None
            }
        }
    }

    /// Tells the loop what came of a receive. Returns the first of its events.
    #[cold]
    fn tell_received(
        &mut self,
        id: ConnectionId,
        data: Option<(Buffer, usize)>,
        taken: Taken,
        armed: bool,
    ) -> Option<Event> {
        if !armed && let Some(connection) = self.table.get(id) {
            connection.after = Some(Received::Cancelled);
        }
        self.tell(id, data, taken);
        self.events.pop_front()
    }

    /// Tells the loop what came of input: what was decrypted, and how it ends.
    #[cold]
    fn tell(&mut self, id: ConnectionId, data: Option<(Buffer, usize)>, taken: Taken) {
        let has_lost = std::mem::take(&mut self.has_lost);
        let Some(connection) = self.table.get(id) else { return };
        let mut say = |outcome| self.events.push_back(Event::Received { id, outcome, armed: true });
        if let Some((buffer, len)) = data {
            say(Received::Data { buffer, len });
        }
        if taken.is_end && !connection.is_ended {
            connection.is_ended = true;
            say(Received::Eof);
        }
        let is_open = connection.is_open();
        let is_long = !is_open && connection.input.len() > MAX_INPUT;
        if has_lost {
            say(Received::Failed(Errno::NOBUFS));
            self.over(id);
        } else if taken.fault.is_some() || is_long {
            let text = taken.fault.map(|fault| fault.to_string());
            tracing::debug!(slot = id.slot, fault = text, is_long, "TLS is broken");
            connection.refuse_handshake();
            self.refuse(id);
        } else if taken.is_paused {
            self.list_input(id);
        }
        self.list_output(id);
        let Some(connection) = self.table.get(id) else { return };
        // With input that waits, it is told behind that.
        if !connection.is_listed
            && let Some(after) = connection.after.take()
        {
            let outcome = of_transport(connection, after);
            self.events.push_back(Event::Received { id, outcome, armed: false });
        }
    }

    /// Nothing more is taken from a peer. It is sent what was put into the output.
    pub(super) fn refuse(&mut self, id: ConnectionId) {
        self.refused += 1;
        self.over(id);
        self.list_output(id);
        self.events.push_back(Event::Received { id, outcome: Received::Refused, armed: true });
    }

    /// Ends the transport of a connection.
    pub(super) fn over(&mut self, id: ConnectionId) {
        let Self { table, keys, spare, held, .. } = self;
        let Some(connection) = table.get(id) else { return };
        *held -= connection.held();
        connection.end_stage(keys);
        spare.give(std::mem::take(&mut connection.input));
    }
}

/// What the end of a receive means with a transport: TCP may not end before TLS has.
fn of_transport(connection: &Connection, outcome: Received) -> Received {
    match outcome {
        Received::Eof if connection.is_open() && !connection.is_ended => Received::Truncated,
        outcome => outcome,
    }
}
