//! What was received from a connection and is not handled yet.

use std::collections::VecDeque;

use crate::base::Ledger;
use crate::base::ledger::Charge;
use crate::io::{Buffer, Received};

/// One event of a receive that waits to be handled.
#[derive(Debug)]
pub(super) enum Input {
    /// As the driver reported it.
    Received(Received),
    /// Bytes that are in no receive buffer: the rest of a receive, of which the session has handled
    /// the beginning only, or a whole one.
    Rest(Vec<u8>),
}

/// A receive of at most so many bytes causes little work, so that it need not wait for others that
/// came before it.
pub(super) const SHORT: usize = 2 << 10;

/// What was received from a connection and waits to be handled, in order.
#[derive(Debug)]
pub(super) struct Deferred {
    inputs: VecDeque<Input>,
    /// Whether it is one short receive, of which nothing is handled.
    is_new: bool,
    /// For what is not in a receive buffer.
    pub(super) charge: Charge,
}

impl Deferred {
    pub(super) fn new(ledger: &Ledger) -> Box<Self> {
        Box::new(Self { inputs: VecDeque::new(), is_new: false, charge: ledger.open() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Whether more may be received: the end of the connection is noticed by that.
    pub(super) fn has_room(&self) -> bool {
        self.inputs.len() < 2
    }

    /// Whether it is one short receive, of which nothing is handled.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn push_back(&mut self, received: Received) {
        let is_short = matches!(received, Received::Data { len, .. } if len <= SHORT);
        self.is_new = is_short && self.inputs.is_empty();
        self.inputs.push_back(Input::Received(received));
    }

    /// Adds a whole receive that was copied out of its buffer.
    pub(super) fn push_copied(&mut self, bytes: Vec<u8>) {
        self.charge.set(self.charge.bytes() + bytes.capacity());
        self.is_new = bytes.len() <= SHORT && self.inputs.is_empty();
        self.inputs.push_back(Input::Rest(bytes));
    }

    /// Puts the rest of a receive in front of what came later.
    pub(super) fn push_front(&mut self, rest: Vec<u8>) {
        self.charge.set(self.charge.bytes() + rest.capacity());
        self.is_new = false;
        self.inputs.push_front(Input::Rest(rest));
    }

    /// The peer has reset the connection behind all this: takes that event.
    pub(super) fn take_reset(&mut self) -> Option<Received> {
        let Some(Input::Received(Received::Failed(_))) = self.inputs.back() else { return None };
        match self.inputs.pop_back()? {
            Input::Received(outcome) => Some(outcome),
            Input::Rest(_) => None,
        }
    }

    /// The bytes of the first input; `None` if it has none.
    pub(super) fn first_len(&self) -> Option<usize> {
        match self.inputs.front()? {
            Input::Received(Received::Data { len, .. }) => Some(*len),
            Input::Rest(rest) => Some(rest.len()),
            Input::Received(_) => None,
        }
    }

    /// Copies what is in receive buffers out of them.
    pub(super) fn copy_all(&mut self, mut copy: impl FnMut(Buffer, usize) -> Vec<u8>) {
        for _ in 0..self.inputs.len() {
            let input = match self.inputs.pop_front() {
                Some(Input::Received(Received::Data { buffer, len })) => {
                    let bytes = copy(buffer, len);
                    self.charge.set(self.charge.bytes() + bytes.capacity());
                    Input::Rest(bytes)
                }
                Some(other) => other,
                None => return,
            };
            self.inputs.push_back(input);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Input> {
        self.is_new = false;
        let input = self.inputs.pop_front();
        if let Some(Input::Rest(rest)) = &input {
            self.charge.set(self.charge.bytes() - rest.capacity());
        }
        input
    }
}
