//! Accepts, slots, and the end of accepting.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};

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

const MULTISHOT: [Accepts; 2] = [Accepts::Multishot, Accepts::MultishotWithPeers];

pub(crate) fn a_cancelled_accept_takes_no_connection_any_more<D: Tested>() {
    for kind in MULTISHOT {
        let mut rig = Rig::<D>::new(4);
        rig.driver.accept(0, kind);
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
}

/// Of the accepts that io_uring arms for one that tells peers, each has brought a connection by
/// then, and none is armed again yet.
pub(crate) fn an_accept_is_cancelled_between_the_calls_of_enter<D: Tested>() {
    for kind in MULTISHOT {
        let mut rig = Rig::<D>::new(128);
        let burst = rig.driver.accept_burst(Accepts::MultishotWithPeers);
        let _clients: Vec<TcpStream> = (0..burst).map(|_| rig.connect()).collect();
        rig.driver.accept(0, kind);
        (0..burst).for_each(|_| assert!(matches!(accepted(&mut rig), (Ok(_), true))));
        rig.driver.cancel_accept(0);
        let _another = rig.connect();
        assert_eq!(accepted(&mut rig), (Err(Errno::CANCELED), false));
        rig.expect_quiet();
        rig.driver.accept(0, kind);
        assert!(matches!(accepted(&mut rig), (Ok(_), true)));
    }
}

pub(crate) fn a_multishot_accept_brings_all_that_wait<D: Tested>() {
    for kind in MULTISHOT {
        let mut rig = Rig::<D>::new(256);
        let clients: Vec<TcpStream> = (0..100).map(|_| rig.connect()).collect();
        rig.driver.accept(0, kind);
        let (mut slots, mut peers) = (BTreeSet::new(), BTreeSet::new());
        for _ in &clients {
            let event = rig.event();
            let Event::Accepted { result: Ok(slot), armed: true, peer, .. } = event else {
                panic!("{event:?}");
            };
            slots.insert(slot);
            peers.extend(peer);
        }
        assert_eq!(slots.len(), 100, "each has a slot of its own");
        let clients = clients.iter().map(|client| client.local_addr().unwrap());
        let expected: BTreeSet<SocketAddr> = clients.filter(|_| kind.tells_peers()).collect();
        assert_eq!(peers, expected);
    }
}

/// So many come with one call, and the others with the next ones: other events are not kept
/// waiting.
pub(crate) fn an_accept_that_tells_peers_brings_no_more_at_a_time_than_it_says<D: Tested>() {
    let mut rig = Rig::<D>::new(256);
    let burst = rig.driver.accept_burst(Accepts::MultishotWithPeers) as usize;
    let clients: Vec<TcpStream> = (0..burst + 32).map(|_| rig.connect()).collect();
    rig.driver.accept(0, Accepts::MultishotWithPeers);
    let (mut taken, mut turns) = (0, 0);
    while taken < clients.len() && turns < 1_000 {
        rig.turn(Some(QUIET));
        let now = std::iter::from_fn(|| rig.next_waiting()).count();
        assert!(now <= burst, "{now} at once");
        (taken, turns) = (taken + now, turns + 1);
    }
    assert_eq!(taken, clients.len());
}

pub(crate) fn without_a_slot_a_multishot_accept_ends<D: Tested>() {
    for kind in MULTISHOT {
        let mut rig = Rig::<D>::new(2);
        let _clients: Vec<TcpStream> = (0..4).map(|_| rig.connect()).collect();
        rig.driver.accept(0, kind);
        let (mut slots, mut errors) = (Vec::new(), Vec::new());
        loop {
            let (result, armed) = accepted(&mut rig);
            match result {
                Ok(slot) => slots.push(slot),
                Err(error) => errors.push(error),
            }
            if !armed {
                break;
            }
        }
        assert_eq!((slots.len(), errors.first()), (2, Some(&Errno::NFILE)), "{errors:?}");
        rig.expect_quiet();
        rig.driver.close(ConnectionId { slot: slots[1], generation: 1 });
        let _client = rig.connect();
        rig.driver.accept(0, kind);
        assert_eq!(accepted(&mut rig).0, Ok(slots[1]));
    }
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
    for kind in [Accepts::Once, Accepts::Multishot, Accepts::MultishotWithPeers] {
        let mut rig = Rig::<D>::new(4);
        let address = rig.take_listener();
        rig.driver.accept(0, kind);
        rig.driver.stop_accepting(&[]);
        assert_eq!(accepted(&mut rig), (Err(Errno::CANCELED), false));
        rig.turn(None);
        assert!(TcpStream::connect(address).is_err());
        rig.expect_quiet();
    }
}

/// As far as there are slots; the others are reset.
pub(crate) fn what_waits_is_accepted_before_the_end<D: Tested>() {
    for (kind, slots, expected) in [
        (Accepts::Once, 8, 3),
        (Accepts::OnceWithPeer, 8, 3),
        (Accepts::Once, 2, 2),
        (Accepts::Multishot, 8, 3),
        (Accepts::MultishotWithPeers, 8, 3),
    ] {
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
            assert_eq!(peer, kind.tells_peers().then(|| client.local_addr().unwrap()));
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
    for kind in [Accepts::Once, Accepts::OnceWithPeer, Accepts::MultishotWithPeers] {
        let mut rig = Rig::<D>::new(4);
        let mut other = rig.another(4);
        for rig in [&mut rig, &mut other] {
            rig.driver.accept(0, kind);
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
