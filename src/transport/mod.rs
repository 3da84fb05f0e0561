//! Transports between a driver and a loop: TLS.
//!
//! [`Transport`] is a [`Driver`] around another one. What the inner driver
//! receives on a listener with TLS is decrypted before the loop sees it, and what the loop sends is
//! encrypted, so the loop and the sessions know nothing of it. Connections of other listeners pass
//! after one look into a table. A server without such a listener does not use it at all.
//!
//! - `receive.rs`: input. Records are decrypted in the receive buffer.
//! - `handshakes.rs`: handshakes wait until all else that was received is handled, and a turn does
//!   a limited number of them.
//! - `work.rs`: how much a turn decrypts, for one connection and for all.
//! - `send.rs`: output. What the socket does not take of what is encrypted goes back to the loop's
//!   queue, at its head, and is sent from there as it is.
//! - `driver.rs`: the implementation of the trait, and the order in which things are sent.
//! - `tls/`: settings, and TLS of one connection, sans-IO.

mod buffers;
mod connection;
mod driver;
mod handshakes;
mod receive;
mod send;
#[cfg(test)]
mod tests;
pub mod tls;
mod work;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::base::ledger::Charge;
use crate::base::{BufferPool, Chunk, ConnectionId};
use crate::io::{Driver, Event};
use buffers::Buffers;
use connection::Table;
use tls::{Certificates, Current, Keyring};
use work::{Allowance, Waiting};

/// A driver with TLS on some of its listeners.
#[derive(Debug)]
pub struct Transport<D> {
    inner: D,
    /// Whether the connections of each listener speak TLS.
    is_tls: Vec<bool>,
    certificates: Arc<Certificates>,
    /// What new connections are made with, and its version.
    current: Current,
    version: u64,
    table: Table,
    buffers: Buffers,
    keys: Keyring,
    /// What this turn may still decrypt.
    work: Allowance,
    /// Connections whose input could not be decrypted yet.
    waiting: Waiting,
    /// What was decrypted could not be lent.
    has_lost: bool,
    /// Vectors to encrypt into.
    spare: BufferPool,
    /// What was sent in plain and is encrypted; for the loop to use again.
    recycled: Vec<Vec<u8>>,
    /// Events that come before those of the inner driver.
    events: VecDeque<Event>,
    /// The rest of sends at once that are longer than what is encrypted at once; to be told after
    /// the next call of `enter`.
    cut: Vec<Event>,
    /// Connections whose handshake can go on, in their order.
    handshakes: VecDeque<ConnectionId>,
    /// The steps of handshakes that this turn may still do.
    allowed: u32,
    /// Events of this turn that are not counted in that yet.
    handled: u32,
    /// Connections that were refused for what they sent.
    refused: u64,
    /// Connections with output of TLS itself.
    flushing: Vec<ConnectionId>,
    /// Connections that are to be half closed once all is sent.
    half_closing: Vec<ConnectionId>,
    /// What the loop's queue has given to send and is encrypted, by slot.
    sealed: HashMap<u32, Sealed>,
    /// The inner driver is settled, and all its events are handed out, so something may be sent.
    may_send: bool,
    /// The number of calls of `enter` before which something could be sent.
    batch: u32,
    /// The memory of input that waits and of what is encrypted, in bytes.
    held: usize,
    charge: Option<Charge>,
}

/// A piece of the loop's queue that is sent encrypted.
#[derive(Debug)]
struct Sealed {
    chunk: Chunk,
    /// The plain bytes of it that are encrypted.
    plain: usize,
    /// The memory of what they have become.
    memory: usize,
}

impl<D: Driver> Transport<D> {
    /// Puts TLS on those listeners of `inner` for which `is_tls` says so.
    #[must_use]
    pub fn new(inner: D, is_tls: Vec<bool>, certificates: Arc<Certificates>) -> Self {
        let (version, current) = (certificates.version(), certificates.current());
        Self {
            inner,
            is_tls,
            certificates,
            current,
            version,
            table: Table::default(),
            buffers: Buffers::new(),
            keys: Keyring::default(),
            work: Allowance::new(),
            waiting: Waiting::default(),
            has_lost: false,
            spare: BufferPool::default(),
            recycled: Vec::new(),
            events: VecDeque::new(),
            cut: Vec::new(),
            handshakes: VecDeque::new(),
            allowed: 0,
            handled: 0,
            refused: 0,
            flushing: Vec::new(),
            half_closing: Vec::new(),
            sealed: HashMap::new(),
            may_send: true,
            batch: 1,
            held: 0,
            charge: None,
        }
    }
}
