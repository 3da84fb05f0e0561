//! Accepts, slots, and the end of accepting.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use corecast::base::ConnectionId;
use corecast::io::{Accepts, Errno, Event};

use super::rig::{QUIET, Rig, Tested};

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

/// As far as there are slots; the others are reset.
pub(crate) fn what_waits_is_accepted_before_the_end<D: Tested>() {
    for (kind, slots, expected) in
        [(Accepts::Once, 8, 3), (Accepts::OnceWithPeer, 8, 3), (Accepts::Once, 2, 2)]
    {
        let mut rig = Rig::<D>::new(slots);
        rig.driver.accept(0, kind);
        let mut clients: Vec<TcpStream> = (0..3).map(|_| rig.connect()).collect();
        let address = rig.take_listener();
        rig.driver.stop_accepting(&[]);
        for client in &clients[..expected] {
            let event = rig.event();
            let Event::Accepted { result: Ok(_), armed: true, peer, .. } = event else {
                panic!("{event:?}");
            };
            let is_told = kind == Accepts::OnceWithPeer;
            assert_eq!(peer, is_told.then(|| client.local_addr().unwrap()));
        }
        assert_eq!(accepted(&mut rig), (Err(Errno::CANCELED), false));
        assert!(TcpStream::connect(address).is_err());
        for client in &mut clients[expected..] {
            assert!(client.read(&mut [0]).is_err(), "it is reset");
        }
        rig.expect_quiet();
    }
}

/// Of those that wait for a socket the kernel wakes one, here the first. If that ends, nobody knows
/// of the connection.
pub(crate) fn a_connection_that_woke_an_accept_that_ends_is_not_left_behind<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let mut other = rig.another(4);
    for rig in [&mut rig, &mut other] {
        rig.driver.accept(0, Accepts::Once);
        rig.turn(None);
    }
    let _client = rig.connect();
    rig.driver.stop_accepting(&[]);
    let mut taken = 0;
    while let (Ok(_), armed) = accepted(&mut rig) {
        assert!(armed, "the end follows");
        taken += 1;
    }
    other.turn(Some(QUIET));
    taken += std::iter::from_fn(|| other.next_waiting()).count();
    assert_eq!(taken, 1);
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
