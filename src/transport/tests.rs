//! What a transport holds of input that waits.

use rcgen::{CertificateParams, KeyPair};

use super::tls::Tls;
use super::*;
use crate::io::sim::{SimOptions, SimRing};
use crate::io::{Accepts, Received};

/// More than one call into the kernel brings.
const MUCH: usize = 4 << 20;
/// What may come until the kernel has stopped receiving.
const MOST: usize = 1 << 20;

fn transport(ring: SimRing) -> Transport<SimRing> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let tls = Tls::from_pem(cert.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    Transport::new(ring, vec![true], Arc::new(Certificates::new(&tls).unwrap()))
}

/// While a handshake waits for its turn, a client that goes on sending fills a part of the memory
/// only, and is read from again afterwards.
#[test]
fn little_is_held_of_a_client_whose_handshake_waits() {
    let ring = SimRing::new(1, SimOptions { buffers: 256, ..SimOptions::default() });
    let network = ring.network();
    let mut transport = transport(ring);
    transport.accept(0, Accepts::Multishot);
    let client = network.connect(0);
    // The beginning of a record of a handshake, and much else.
    network.write(client, &[&[22, 3, 1, 64, 0][..], &vec![0; MUCH]].concat());
    let id = ConnectionId { slot: 0, generation: 1 };
    let (mut has_stopped, mut is_refused) = (false, false);
    for turn in 0..200 {
        network.limit(network.now() + std::time::Duration::from_millis(1));
        transport.enter(Some(std::time::Duration::from_millis(1))).unwrap();
        // As if others had used up the handshakes of each of the first turns.
        transport.allowed = if turn < 100 { 0 } else { transport.allowed };
        while let Some(event) = transport.next_event() {
            match event {
                Event::Accepted { result, .. } => {
                    assert_eq!(result, Ok(0));
                    transport.receive(id, false);
                }
                Event::Received { outcome: Received::Refused, .. } => is_refused = true,
                Event::Received { outcome: Received::Cancelled, armed: false, .. } => {
                    has_stopped = true;
                }
                event => panic!("{event:?}"),
            }
        }
        assert!(transport.held <= MOST, "{} bytes after {turn} turns", transport.held);
        assert!(turn >= 100 || !has_stopped, "the loop would go on receiving");
    }
    assert!(network.bytes_not_received(client) > MUCH / 2);
    assert!(has_stopped && is_refused && transport.held == 0);
}
