//! The addresses of peers, for a service that asks for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{frame, masked, request};
use crate::base::ConnectionId;
use crate::config::Config;
use crate::io::sim::{Faults, SimOptions, SimRing};
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::Request;
use crate::session::{Accept, Inbound, Message, Replies, Service, Terms, Verdict};
use crate::worker::Worker;

/// Tells each client its address.
#[derive(Default)]
struct Peers(Rc<RefCell<HashMap<ConnectionId, SocketAddr>>>);

impl Inbound for Peers {
    fn upgrade(&mut self, _: ConnectionId, _: &Request<'_>, _: Terms<'_>) -> Verdict {
        Verdict::Accept(Accept::default())
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        id: ConnectionId,
        _: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        replies.send(Opcode::Text, self.0.borrow()[&id].to_string().as_bytes());
    }
}

impl Service for Peers {
    fn wants_peers(&self) -> bool {
        true
    }

    fn connected(&mut self, id: ConnectionId, peer: Option<SocketAddr>) {
        let before = self.0.borrow_mut().insert(id, peer.unwrap());
        assert_eq!(before, None, "told once");
    }
}

/// Also where accepts fail, and with more clients than slots, so that slots are used again: as many
/// as are scarce, and many.
#[test]
fn every_connection_is_told_the_address_of_its_own_peer() {
    for seed in 0..100 {
        let slots = if seed % 2 == 0 { 4 } else { 68 };
        let faults = Faults { accept_error: 200, accept_ends: 200, ..Faults::default() };
        let ring = SimRing::new(seed, SimOptions { slots, faults, ..SimOptions::default() });
        let (network, service) = (ring.network(), Peers::default());
        let (config, stop) = (Arc::new(Config::default()), Arc::new(AtomicBool::new(false)));
        let mut worker = Worker::new(ring, config, service, 1, stop);
        let mut waiting = Vec::new();
        for _ in 0..5 * slots {
            let client = network.connect(0);
            network.write(client, &request("/"));
            waiting.push((client, Vec::new(), false));
        }
        let mut right = 0;
        for _ in 0..100_000 {
            network.limit(network.now() + Duration::from_millis(1));
            worker.turn().unwrap();
            waiting.retain_mut(|(client, got, has_asked)| {
                got.extend(network.read(*client));
                let Some(end) = super::head_len(got) else { return !network.is_faulted(*client) };
                if !std::mem::replace(has_asked, true) {
                    network.write(*client, &masked(0x81, b"where"));
                }
                let answer = frame(client.address().to_string().as_bytes());
                if got.len() < end + answer.len() {
                    return true;
                }
                assert_eq!(got[end..], answer, "seed {seed}");
                network.half_close(*client);
                right += 1;
                false
            });
            if waiting.is_empty() {
                break;
            }
        }
        assert!(waiting.is_empty() && right > 0, "seed {seed}: {right}");
    }
}
