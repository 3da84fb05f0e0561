//! Goal: what the driver of io_uring promises about slots holds on this kernel. Method: a ring with
//! few slots, without a worker.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use corecast::base::ConnectionId;
use corecast::config::Buffers;
use corecast::io::uring::UringRing;
use corecast::io::{Accepts, Driver, Errno, Event, LoopWaker};

struct Ring {
    ring: UringRing,
    listener: TcpListener,
}

impl Ring {
    fn new(slots: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = vec![listener.try_clone().unwrap().into()];
        let (buffers, waker) = (Buffers::new(2, 4096), LoopWaker::new().unwrap());
        Self { ring: UringRing::new(slots, buffers, waker).unwrap().with_listeners(ours), listener }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listener.local_addr().unwrap()).unwrap()
    }

    /// What the next event says of the accept: its result, and whether it stays armed.
    fn accepted(&mut self) -> (Result<u32, Errno>, bool) {
        for _ in 0..100 {
            self.ring.enter(Some(Duration::from_millis(100))).unwrap();
            while let Some(event) = self.ring.next_event() {
                if let Event::Accepted { result, armed, .. } = event {
                    return (result, armed);
                }
            }
        }
        panic!("no accept has ended");
    }

    fn accept_one(&mut self) -> (u32, TcpStream) {
        let client = self.connect();
        self.ring.accept(0, Accepts::Once);
        (self.accepted().0.unwrap(), client)
    }
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

#[test]
fn a_retired_slot_is_not_given_again_until_it_is_closed() {
    let mut ring = Ring::new(2);
    let (first, mut client) = ring.accept_one();
    assert!(ring.ring.retire(id(first)));
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the connection is closed");
    let (second, _client) = ring.accept_one();
    assert_ne!(second, first);
    ring.ring.close(id(second));
    let (third, _client) = ring.accept_one();
    assert_eq!(third, second, "there is no other");
    ring.ring.close(id(first));
    let (fourth, _client) = ring.accept_one();
    assert_eq!(fourth, first);
}

#[test]
fn a_cancelled_accept_takes_no_connection_any_more() {
    let mut ring = Ring::new(4);
    ring.ring.accept(0, Accepts::Multishot);
    let _first = ring.connect();
    assert!(matches!(ring.accepted(), (Ok(_), true)));
    ring.ring.cancel_accept(0);
    let _second = ring.connect();
    assert_eq!(ring.accepted(), (Err(Errno::CANCELED), false));
    ring.ring.enter(Some(Duration::from_millis(100))).unwrap();
    assert!(ring.ring.next_event().is_none());
    // The connection waits for the next accept.
    ring.ring.accept(0, Accepts::Once);
    assert!(matches!(ring.accepted(), (Ok(_), false)));
}
