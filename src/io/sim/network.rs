//! The simulated network: virtual time, and bytes that take their time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::client::{ClientId, ServerEnd};
use super::faults::Faults;
use super::options::SimOptions;
use super::socket::{Socket, move_bytes};
use crate::base::SendProgress;
use crate::io::Errno;

/// Something that happens at a set time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// A connection reaches the backlog of its listener.
    Connect(ClientId),
    /// Bytes or a FIN arrive at the server.
    MoveIn(ClientId),
    /// Bytes or a FIN arrive at the client.
    MoveOut(ClientId),
    /// The client's RST arrives at the server.
    ClientReset(ClientId),
    /// The server's RST arrives at the client.
    ServerReset(ClientId),
    /// An operation of the kernel has got further, or the test wants its turn.
    Look,
}

/// The connections, the clock and the dice.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) rng: fastrand::Rng,
    pub(super) faults: Faults,
    tells_progress: bool,
    notifies_late: bool,
    pub(super) now: Duration,
    /// Sleeps are cut short here.
    pub(super) limit: Option<Duration>,
    /// The deadline of a sleep that was cut short.
    pub(super) sleeps_until: Option<Duration>,
    /// Something has happened that clients can see.
    pub(super) stirred: bool,
    pub(super) sockets: Vec<Socket>,
    /// For each listener the connections to be accepted.
    pub(super) backlogs: Vec<VecDeque<ClientId>>,
    /// For each listener whether it still takes connections.
    listening: Vec<bool>,
    scheduled: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    /// How many happenings were ever scheduled: what orders those of the same time.
    count: u64,
}

impl Network {
    pub(super) fn new(seed: u64, options: &SimOptions) -> Self {
        let listeners = options.listeners;
        Self {
            rng: fastrand::Rng::with_seed(seed),
            faults: options.faults,
            tells_progress: options.tells_progress,
            notifies_late: options.notifies_late,
            now: Duration::ZERO,
            limit: None,
            sleeps_until: None,
            stirred: true,
            sockets: Vec::new(),
            backlogs: vec![VecDeque::new(); listeners],
            listening: vec![true; listeners],
            scheduled: BinaryHeap::new(),
            count: 0,
        }
    }

    /// Whether a fault with a probability of `per_mille` thousandths strikes now.
    pub(super) fn strikes(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.rng.u16(0..1000) < per_mille
    }

    /// How long something takes on the way.
    pub(super) fn delay(&mut self) -> Duration {
        let longest = if self.strikes(self.faults.slow) { 200_000 } else { 100 };
        Duration::from_micros(self.rng.u64(1..=longest))
    }

    pub(super) fn schedule(&mut self, at: Duration, happening: Happening) {
        self.scheduled.push(Reverse((at, self.count, happening)));
        self.count += 1;
    }

    fn schedule_soon(&mut self, happening: Happening) {
        let at = self.now + self.delay();
        self.schedule(at, happening);
    }

    /// When the next thing happens.
    pub(super) fn next_time(&self) -> Option<Duration> {
        self.scheduled.peek().map(|Reverse((at, ..))| *at)
    }

    /// Does everything that is due.
    pub(super) fn run_due(&mut self) {
        while self.next_time().is_some_and(|at| at <= self.now) {
            let Some(Reverse((_, _, happening))) = self.scheduled.pop() else { break };
            match happening {
                Happening::Connect(client) => self.arrive_at_backlog(client),
                Happening::MoveIn(client) => self.move_in(client),
                Happening::MoveOut(client) => self.move_out(client),
                Happening::ClientReset(client) => self.client_reset_arrives(client),
                Happening::ServerReset(client) => self.server_reset_arrives(client),
                Happening::Look => {}
            }
        }
    }

    pub(super) fn connect(&mut self, listener: usize) -> ClientId {
        let small = self.strikes(self.faults.small_sockets);
        let (least, most) = if small { (256, 8192) } else { (16 * 1024, 256 * 1024) };
        let (inbound, outbound) = (self.rng.usize(least..=most), self.rng.usize(least..=most));
        let client = ClientId(self.sockets.len());
        self.sockets.push(Socket::new(listener, inbound, outbound));
        self.schedule_soon(Happening::Connect(client));
        client
    }

    fn arrive_at_backlog(&mut self, client: ClientId) {
        let listener = self.sockets[client.0].listener;
        if self.listening[listener] {
            self.backlogs[listener].push_back(client);
        } else {
            self.refuse(client);
        }
    }

    /// The server does not take the connection.
    fn refuse(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.closed = true;
        socket.break_server_side(None);
        self.schedule_soon(Happening::ServerReset(client));
    }

    /// Loses the next connection of a backlog, as a fault.
    pub(super) fn drop_from_backlog(&mut self, listener: usize) {
        if let Some(client) = self.backlogs[listener].pop_front() {
            self.sockets[client.0].faulted = true;
            self.refuse(client);
        }
    }

    /// Ends listening: what waits in the backlog is refused.
    pub(super) fn stop_listening(&mut self, listener: usize) {
        self.listening[listener] = false;
        while let Some(client) = self.backlogs[listener].pop_front() {
            self.refuse(client);
        }
    }

    /// Breaks the connection as a fault: the caller reports the error.
    pub(super) fn break_by_fault(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.faulted = true;
        socket.break_server_side(None);
        socket.inbound.clear();
        self.schedule_soon(Happening::ServerReset(client));
    }

    /// The next piece of `available` bytes.
    fn piece(&mut self, available: usize) -> usize {
        if self.strikes(self.faults.tiny) {
            return self.rng.usize(1..=available.min(8));
        }
        if self.rng.u8(0..4) == 0 { self.rng.usize(1..=available.min(1460)) } else { available }
    }

    /// Sees to it that what the client wrote arrives.
    pub(super) fn start_moving_in(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        let room = socket.closed || socket.inbound.len() < socket.inbound_capacity;
        let bytes = !socket.to_server.is_empty() && room;
        let fin = socket.to_server.is_empty() && socket.client_fin && !socket.client_fin_arrived;
        if (bytes || fin) && !socket.moving_in && !socket.broken && socket.end != ServerEnd::RESET {
            socket.moving_in = true;
            self.schedule_soon(Happening::MoveIn(client));
        }
    }

    fn move_in(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.moving_in = false;
        if socket.broken {
            return;
        }
        if socket.to_server.is_empty() {
            socket.client_fin_arrived = socket.client_fin;
            return;
        }
        if socket.closed {
            // Nobody will receive this: the server's kernel answers with RST.
            socket.break_server_side(None);
            self.schedule_soon(Happening::ServerReset(client));
            return;
        }
        let room = socket.inbound_capacity.saturating_sub(socket.inbound.len());
        let available = room.min(socket.to_server.len());
        if available > 0 {
            let count = self.piece(available);
            let socket = &mut self.sockets[client.0];
            move_bytes(&mut socket.to_server, &mut socket.inbound, count);
        }
        self.start_moving_in(client);
    }

    /// Sees to it that what the server sent arrives.
    pub(super) fn start_moving_out(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        let bytes = !socket.outbound.is_empty() && socket.arrived.len() < socket.window;
        let fin = socket.outbound.is_empty() && socket.server_fin && socket.end.is_none();
        if (bytes || fin) && !socket.moving_out && !socket.broken && socket.end.is_none() {
            socket.moving_out = true;
            self.schedule_soon(Happening::MoveOut(client));
        }
    }

    fn move_out(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.moving_out = false;
        self.stirred = true;
        if socket.broken || socket.end.is_some() {
            return;
        }
        if socket.outbound.is_empty() {
            socket.end = socket.server_fin.then_some(ServerEnd::Fin);
            return;
        }
        let room = socket.window.saturating_sub(socket.arrived.len());
        let available = room.min(socket.outbound.len());
        if available > 0 {
            let count = self.piece(available);
            let socket = &mut self.sockets[client.0];
            move_bytes(&mut socket.outbound, &mut socket.arrived, count);
            socket.acked += count as u64;
        }
        self.start_moving_out(client);
    }

    /// Whether a send of the server would take something. One that is waiting to be notified may
    /// have to wait longer.
    pub(super) fn is_writable(&self, client: ClientId, must_notify: bool) -> bool {
        self.sockets[client.0].is_writable(must_notify && self.notifies_late)
    }

    /// How far a client is with what it was sent, if the simulated kernel tells.
    pub(super) fn progress(&self, client: ClientId) -> Option<SendProgress> {
        if self.tells_progress { self.sockets[client.0].progress() } else { None }
    }

    pub(super) fn reset_by_client(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.to_server.clear();
        socket.arrived.clear();
        socket.end = ServerEnd::RESET;
        self.schedule_soon(Happening::ClientReset(client));
    }

    fn client_reset_arrives(&mut self, client: ClientId) {
        let lost = self.rng.bool();
        let socket = &mut self.sockets[client.0];
        if socket.broken {
            return;
        }
        socket.break_server_side(Some(Errno::CONNRESET));
        if lost {
            socket.inbound.clear();
        }
    }

    fn server_reset_arrives(&mut self, client: ClientId) {
        self.stirred = true;
        let socket = &mut self.sockets[client.0];
        if socket.end.is_none() {
            socket.end = ServerEnd::RESET;
        }
    }

    pub(super) fn half_close_by_server(&mut self, client: ClientId) {
        self.sockets[client.0].server_fin = true;
        self.start_moving_out(client);
    }

    pub(super) fn close_by_server(&mut self, client: ClientId) {
        let socket = &mut self.sockets[client.0];
        socket.closed = true;
        if socket.broken {
            return;
        }
        if socket.inbound.is_empty() {
            self.half_close_by_server(client);
            // What the client still has on the way will be answered with RST.
            self.start_moving_in(client);
        } else {
            socket.inbound.clear();
            socket.break_server_side(None);
            self.schedule_soon(Happening::ServerReset(client));
        }
    }
}
