//! Accepts, slots, and the end of accepting.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use corecast::base::ConnectionId;
use corecast::io::{Accepts, Errno, Event};

use super::rig::{Rig, Tested};

pub(crate) fn a_retired_slot_is_not_given_again_until_it_is_closed<D: Tested>() {
    let mut rig = Rig::<D>::new(2);
    let (first, mut client) = rig.accept();
    assert!(rig.driver.retire(first));
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the connection is closed");
    let (second, _client) = rig.accept();
    assert_ne!(second.slot, first.slot);
    rig.driver.close(second);
    let (third, _client) = rig.accept();
    assert_eq!(third.slot, second.slot, "there is no other");
    rig.driver.close(first);
    let (fourth, _client) = rig.accept();
    assert_eq!(fourth.slot, first.slot);
}

/// The result of the next event, which must be of the accept, and whether that stays armed.
fn accepted<D: Tested>(rig: &mut Rig<D>) -> (Result<u32, Errno>, bool) {
    let event = rig.event();
    let Event::Accepted { listener: 0, result, armed, .. } = event else { panic!("{event:?}") };
    (result, armed)
}

pub(crate) fn a_cancelled_accept_takes_no_connection_any_more<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    rig.driver.accept(0, Accepts::Multishot);
    let _first = rig.connect();
    assert!(matches!(accepted(&mut rig), (Ok(_), true)));
    rig.driver.cancel_accept(0);
    let _second = rig.connect();
    assert_eq!(accepted(&mut rig), (Err(Errno::CANCELED), false));
    rig.expect_quiet();
    // The connection waits for the next accept.
    rig.driver.accept(0, Accepts::Once);
    assert!(matches!(accepted(&mut rig), (Ok(_), false)));
}

pub(crate) fn a_multishot_accept_brings_all_that_wait<D: Tested>() {
    let mut rig = Rig::<D>::new(128);
    let _clients: Vec<TcpStream> = (0..100).map(|_| rig.connect()).collect();
    rig.driver.accept(0, Accepts::Multishot);
    let mut slots: Vec<u32> = (0..100).map(|_| accepted(&mut rig).0.unwrap()).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), 100, "each has a slot of its own");
}

pub(crate) fn peers_are_told_if_that_is_asked_for<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    for _ in 0..2 {
        let client = rig.connect();
        rig.driver.accept(0, Accepts::OnceWithPeer);
        let event = rig.event();
        let Event::Accepted { result: Ok(_), armed: false, peer, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(peer, Some(client.local_addr().unwrap()));
    }
}

/// A worker arms accepts and is told to stop in the same turn.
pub(crate) fn an_accept_that_is_not_submitted_yet_ends_as_any_other<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let address = rig.take_listener();
    rig.driver.accept(0, Accepts::Once);
    rig.driver.stop_accepting(&[]);
    assert_eq!(accepted(&mut rig), (Err(Errno::CANCELED), false));
    rig.turn(None);
    assert!(TcpStream::connect(address).is_err());
    rig.expect_quiet();
}

pub(crate) fn once_accepting_has_ended_connections_are_refused<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (open, mut client) = rig.accept();
    rig.driver.accept(0, Accepts::Multishot);
    rig.turn(None);
    let address = rig.take_listener();
    rig.driver.stop_accepting(&[]);
    let (result, armed) = accepted(&mut rig);
    assert!(result.is_err() && !armed, "{result:?}");
    // io_uring closes the socket with the call after the one that has ended its accept.
    rig.turn(None);
    assert!(TcpStream::connect(address).is_err());
    TcpListener::bind(address).expect("the address is free");
    rig.driver.close(ConnectionId { ..open });
    rig.turn(None);
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "those that were open can be closed");
}
