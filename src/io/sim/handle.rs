//! The test's side of the simulation: the clients and the clock.

use std::time::Duration;

use super::client::{ClientId, ServerEnd};
use super::faults::Faults;
use super::world::{Clients, SimNetwork, World};

impl SimNetwork {
    /// Virtual time since the ring began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.borrow().network.now
    }

    /// Moves the clock on, as if the server were not scheduled for so long. What arrives within
    /// that time is there when it enters the ring the next time.
    pub fn advance(&self, time: Duration) {
        self.world.borrow_mut().network.now += time;
    }

    /// Has `act` called from within [`enter`](crate::io::Driver::enter), without ending its sleep:
    /// soon, and then whenever something has arrived at a client and at the time that `act` itself
    /// returned. It acts for the clients; the ring is not to be used in it.
    pub fn drive(&self, act: impl FnMut(&Self) -> Option<Duration> + 'static) {
        let World { network, clients, .. } = &mut *self.world.borrow_mut();
        network.stirred = true;
        *clients = Clients { act: Some(Box::new(act)), due: None };
    }

    /// Lets no sleep move the clock beyond `limit`, so that several rings can be kept at one time:
    /// [`enter`](crate::io::Driver::enter) then returns without events, and the sleep goes on with
    /// the next call. The worker takes that for the end of its sleep; a handler around the one
    /// under test, which asks [`asleep_until`](Self::asleep_until), can keep it from noticing.
    pub fn limit(&self, limit: Duration) {
        self.world.borrow_mut().network.limit = Some(limit);
    }

    /// If the last call of [`enter`](crate::io::Driver::enter) was cut short by
    /// [`limit`](Self::limit): when the sleep is to go on, unless the ring is woken before.
    #[must_use]
    pub fn asleep_until(&self) -> Option<Duration> {
        let network = &self.world.borrow().network;
        let deadline = network.sleeps_until?;
        Some(network.next_time().map_or(deadline, |next| next.min(deadline)))
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.borrow_mut().network.faults = faults;
    }

    /// Connects to a listener. The connection reaches the server some time later; it can be
    /// written to at once.
    #[must_use]
    pub fn connect(&self, listener: usize) -> ClientId {
        self.world.borrow_mut().network.connect(listener)
    }

    /// Sends bytes to the server. They arrive in order, in pieces. Without effect on a connection
    /// that is reset or half closed.
    pub fn write(&self, client: ClientId, bytes: &[u8]) {
        let network = &mut self.world.borrow_mut().network;
        let socket = &mut network.sockets[client.0];
        if !socket.client_fin && !socket.broken && socket.end != ServerEnd::RESET {
            socket.to_server.extend(bytes);
            network.start_moving_in(client);
        }
    }

    /// Takes what has arrived from the server.
    #[must_use]
    pub fn read(&self, client: ClientId) -> Vec<u8> {
        self.read_up_to(client, usize::MAX)
    }

    /// Takes at most `max` bytes of what has arrived from the server.
    #[must_use]
    pub fn read_up_to(&self, client: ClientId, max: usize) -> Vec<u8> {
        let network = &mut self.world.borrow_mut().network;
        let socket = &mut network.sockets[client.0];
        let count = max.min(socket.arrived.len());
        let bytes: Vec<u8> = socket.arrived.drain(..count).collect();
        socket.read += count as u64;
        network.start_moving_out(client);
        bytes
    }

    /// How many bytes may have arrived and not be read; unlimited at first. With 0 the client
    /// takes nothing more.
    pub fn set_receive_window(&self, client: ClientId, bytes: usize) {
        let network = &mut self.world.borrow_mut().network;
        network.sockets[client.0].window = bytes;
        network.start_moving_out(client);
    }

    /// Sends FIN after what was written.
    pub fn half_close(&self, client: ClientId) {
        let network = &mut self.world.borrow_mut().network;
        network.sockets[client.0].client_fin = true;
        network.start_moving_in(client);
    }

    /// Resets the connection; what was written and has not arrived is lost.
    pub fn reset(&self, client: ClientId) {
        self.world.borrow_mut().network.reset_by_client(client);
    }

    /// Whether and how the server has ended its direction, once everything before has arrived.
    #[must_use]
    pub fn closed_by_server(&self, client: ClientId) -> Option<ServerEnd> {
        self.world.borrow().network.sockets[client.0].end
    }

    /// Whether the server has accepted the connection.
    #[must_use]
    pub fn is_accepted(&self, client: ClientId) -> bool {
        self.world.borrow().network.sockets[client.0].accepted
    }

    /// Whether the server has closed or refused the connection, seen or not by the client.
    #[must_use]
    pub fn is_closed(&self, client: ClientId) -> bool {
        self.world.borrow().network.sockets[client.0].closed
    }

    /// Whether the simulation broke the connection or refused it, not the client or the server.
    #[must_use]
    pub fn is_faulted(&self, client: ClientId) -> bool {
        self.world.borrow().network.sockets[client.0].faulted
    }

    /// How many bytes the client wrote that the server has not received.
    #[must_use]
    pub fn bytes_not_received(&self, client: ClientId) -> usize {
        let socket = &self.world.borrow().network.sockets[client.0];
        socket.to_server.len() + socket.inbound.len()
    }

    /// Checks that the worker has given everything back: no buffers lent, nothing in flight or
    /// queued, no accept armed, all slots free.
    ///
    /// # Panics
    /// If it has not.
    pub fn check_quiescent(&self) {
        self.world.borrow().kernel.check_quiescent();
    }
}
