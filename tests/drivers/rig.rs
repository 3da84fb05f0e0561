//! A driver, its listener, and clients.

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use corecast::base::ConnectionId;
use corecast::config::Buffers;
use corecast::io::epoll::EpollDriver;
use corecast::io::uring::UringRing;
use corecast::io::{Accepts, Driver, Event, LoopWaker, Received};
use rustix::net::sockopt;

/// The time that anything may take which has to happen.
const LIMIT: Duration = Duration::from_secs(20);
/// The time for which nothing must happen.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

/// A driver that can be made for a test.
pub(crate) trait Tested: Driver<Waker = LoopWaker> {
    fn make(slots: u32, buffers: Buffers, listeners: Vec<OwnedFd>) -> Self;
}

impl Tested for UringRing {
    fn make(slots: u32, buffers: Buffers, listeners: Vec<OwnedFd>) -> Self {
        let ring = Self::new(slots, buffers, LoopWaker::new().unwrap()).unwrap();
        ring.with_listeners(listeners)
    }
}

impl Tested for EpollDriver {
    fn make(slots: u32, buffers: Buffers, listeners: Vec<OwnedFd>) -> Self {
        Self::new(slots, buffers, listeners, LoopWaker::new().unwrap()).unwrap()
    }
}

pub(crate) struct Rig<D> {
    pub(crate) driver: D,
    listener: TcpListener,
    /// Events that nobody has asked for yet.
    waiting: VecDeque<Event>,
    generation: u32,
    /// Data of this turn are asked for before other events, as the loop of a worker does. In every
    /// other turn all is asked for as events, as a worker does when it defers them.
    data_first: bool,
}

impl<D: Tested> Rig<D> {
    pub(crate) fn new(slots: u32) -> Self {
        Self::with(slots, Buffers::new(16, 4096))
    }

    pub(crate) fn with(slots: u32, buffers: Buffers) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), slots, buffers)
    }

    /// Another driver that accepts from the same socket.
    pub(crate) fn another(&self, slots: u32) -> Self {
        Self::on(self.listener.try_clone().unwrap(), slots, Buffers::new(16, 4096))
    }

    fn on(listener: TcpListener, slots: u32, buffers: Buffers) -> Self {
        let ours = vec![listener.try_clone().unwrap().into()];
        let driver = D::make(slots, buffers, ours);
        let waiting = VecDeque::new();
        Self { driver, listener, waiting, generation: 0, data_first: false }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Closes the test's descriptor of the listener, so that only the driver holds it.
    pub(crate) fn take_listener(&mut self) -> std::net::SocketAddr {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        std::mem::replace(&mut self.listener, other).local_addr().unwrap()
    }

    /// Bounds what the kernel keeps of sends to the connections accepted from now on.
    pub(crate) fn send_buffers(&self, bytes: usize) {
        sockopt::set_socket_send_buffer_size(&self.listener, bytes).unwrap();
    }

    /// One call of `enter`, and its events.
    pub(crate) fn turn(&mut self, wait: Option<Duration>) {
        self.driver.enter(wait).unwrap();
        self.data_first = !self.data_first;
        loop {
            while self.data_first
                && let Some(data) = self.driver.next_data()
            {
                self.waiting.push_back(data.into());
            }
            let Some(event) = self.driver.next_event() else { return };
            self.waiting.push_back(event);
        }
    }

    /// The next event of the turns so far.
    pub(crate) fn next_waiting(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Event {
        let start = Instant::now();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return event;
            }
            assert!(start.elapsed() < LIMIT, "no event comes");
            self.turn(Some(Duration::from_millis(100)));
        }
    }

    /// Checks that nothing happens for a moment.
    pub(crate) fn expect_quiet(&mut self) {
        self.turn(Some(QUIET));
        assert!(self.waiting.is_empty(), "{:?}", self.waiting);
    }

    /// Accepts the connection of a new client.
    pub(crate) fn accept(&mut self) -> (ConnectionId, TcpStream) {
        let client = self.connect();
        self.driver.accept(0, Accepts::Once);
        let event = self.event();
        let Event::Accepted { result: Ok(slot), armed: false, .. } = event else {
            panic!("{event:?}");
        };
        self.generation += 1;
        (ConnectionId { slot, generation: self.generation }, client)
    }

    /// The same, and arms its receive.
    pub(crate) fn accept_receiving(&mut self) -> (ConnectionId, TcpStream) {
        let (id, client) = self.accept();
        self.driver.receive(id, false);
        (id, client)
    }

    /// The next event, which must be of the receive of `id`: its bytes are appended to `bytes`.
    /// Returns an outcome that is not data.
    pub(crate) fn receive(&mut self, id: ConnectionId, bytes: &mut Vec<u8>) -> Option<Received> {
        match self.event() {
            Event::Received { id: of, outcome: Received::Data { buffer, len }, armed }
                if of == id =>
            {
                bytes.extend_from_slice(&self.driver.bytes(&buffer)[..len]);
                self.driver.release(buffer);
                if !armed {
                    self.driver.receive(id, true);
                }
                None
            }
            Event::Received { id: of, outcome, armed: false } if of == id => Some(outcome),
            other => panic!("{other:?}"),
        }
    }

    /// Receives until there are `len` bytes of `id`.
    pub(crate) fn receive_all(&mut self, id: ConnectionId, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let outcome = self.receive(id, &mut bytes);
            assert!(outcome.is_none(), "{outcome:?} after {} bytes", bytes.len());
        }
        bytes
    }

    /// Checks that no buffer is lent.
    pub(crate) fn expect_all_released(&mut self) {
        self.turn(None);
        assert_eq!(self.driver.stats().buffers_lent, 0);
    }
}

/// Bytes of which every part differs from the others.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}
