//! What a transport holds of input that waits.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore};

use super::tls::Tls;
use super::*;
use crate::base::Chunk;
use crate::base::Work;
use crate::io::sim::{ClientId, SimNetwork, SimOptions, SimRing};
use crate::io::{Accepts, Errno, Payload, Received};

/// More than one call into the kernel brings.
const MUCH: usize = 4 << 20;
/// What may come until the kernel has stopped receiving.
const MOST: usize = 1 << 20;

fn transport(ring: SimRing) -> (Transport<SimRing>, RootCertStore) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let tls = Tls::from_pem(cert.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    (Transport::new(ring, vec![true], Arc::new(Certificates::new(&tls).unwrap())), roots)
}

/// One that accepts connections, and its network.
fn listening() -> (Transport<SimRing>, SimNetwork, RootCertStore) {
    let ring = SimRing::new(1, SimOptions { buffers: 256, ..SimOptions::default() });
    let network = ring.network();
    let (mut transport, roots) = transport(ring);
    transport.accept(0, Accepts::Multishot);
    (transport, network, roots)
}

/// While a handshake waits for its turn, a client that goes on sending fills a part of the memory
/// only, and is read from again afterwards.
#[test]
fn little_is_held_of_a_client_whose_handshake_waits() {
    let (mut transport, network, _) = listening();
    let client = network.connect(0);
    // The beginning of a record of a handshake, and much else.
    network.write(client, &[&[22, 3, 1, 64, 0][..], &vec![0; MUCH]].concat());
    let id = ConnectionId { slot: 0, generation: 1 };
    let (mut has_stopped, mut is_refused) = (false, false);
    for turn in 0..200 {
        network.limit(network.now() + Duration::from_millis(1));
        transport.enter(Some(Duration::from_millis(1))).unwrap();
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

/// A first message that does not end: the client is told that this is no handshake.
#[test]
fn a_handshake_that_is_too_long_is_refused_with_an_alert() {
    let (mut transport, network, _) = listening();
    let client = network.connect(0);
    // A `ClientHello` of 65,535 bytes.
    let begin = [&[22, 3, 1, 64, 0, 1, 0, 0xff, 0xff][..], &[0; 16_380]].concat();
    let more = [&[22, 3, 1, 64, 0][..], &[0; 16_384]].concat();
    network.write(client, &[&begin[..], &more, &more].concat());
    let id = ConnectionId { slot: 0, generation: 1 };
    let mut is_refused = false;
    for _ in 0..100 {
        network.limit(network.now() + Duration::from_millis(1));
        transport.enter(Some(Duration::from_millis(1))).unwrap();
        while let Some(event) = transport.next_event() {
            match event {
                Event::Accepted { .. } => transport.receive(id, false),
                Event::Received { outcome: Received::Refused, .. } => is_refused = true,
                Event::Received { outcome: Received::Cancelled, .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }
    let answer = network.read(client);
    assert!(is_refused && answer.len() == 7, "{answer:?}");
    assert_eq!(answer[..6], [21, 3, 3, 0, 2, 2]);
}

/// Connections of TLS over the simulated network.
struct World {
    transport: Transport<SimRing>,
    network: SimNetwork,
    clients: Vec<(ClientId, ClientConnection)>,
    /// The plain bytes of each.
    plain: Vec<Vec<u8>>,
}

impl World {
    /// So many clients after their handshake.
    fn new(clients: usize) -> Self {
        Self::with_groups(clients, ring::default_provider().kx_groups).0
    }

    /// The same with these groups for the key exchange, and the work of the handshakes.
    fn with_groups(clients: usize, groups: Vec<&'static dyn SupportedKxGroup>) -> (Self, u64) {
        let (transport, network, roots) = listening();
        let provider = CryptoProvider { kx_groups: groups, ..ring::default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        let mut this = Self { transport, network, clients: Vec::new(), plain: Vec::new() };
        let mut work = 0;
        for _ in 0..clients {
            let id = this.network.connect(0);
            let name = "localhost".try_into().unwrap();
            let tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
            this.clients.push((id, tls));
            this.plain.push(Vec::new());
            for turn in 0.. {
                this.flush();
                work += this.turn();
                let (id, tls) = this.clients.last_mut().unwrap();
                tls.read_tls(&mut &this.network.read(*id)[..]).unwrap();
                tls.process_new_packets().unwrap();
                if !tls.is_handshaking() && turn > 20 {
                    break;
                }
            }
        }
        (this, work)
    }

    /// Sends what the clients have to send.
    fn flush(&mut self) {
        for (id, tls) in &mut self.clients {
            let mut bytes = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut bytes).unwrap();
            }
            self.network.write(*id, &bytes);
        }
    }

    /// A turn of a loop. Returns the work of it.
    fn turn(&mut self) -> u64 {
        let Self { transport, network, plain, .. } = self;
        network.limit(network.now() + Duration::from_millis(1));
        transport.enter(Some(Duration::from_millis(1))).unwrap();
        while let Some(event) = transport.next_event() {
            match event {
                Event::Accepted { result, .. } => {
                    let id = ConnectionId { slot: result.unwrap(), generation: 1 };
                    transport.receive(id, false);
                }
                Event::Received { id, outcome, armed } => {
                    if let Received::Data { buffer, len } = outcome {
                        let bytes = &transport.bytes(&buffer)[..len];
                        plain[id.slot as usize].extend_from_slice(bytes);
                        transport.release(buffer);
                    } else {
                        assert!(matches!(outcome, Received::Cancelled), "{outcome:?}");
                    }
                    if !armed {
                        transport.receive(id, false);
                    }
                }
                event => panic!("{event:?}"),
            }
        }
        transport.take_work()
    }
}

/// Clients that send records of one byte have a share of each turn, which is counted. What others
/// send is there in the turn in which it comes or in the next one, and nothing is lost.
#[test]
fn records_of_one_byte_do_not_hold_a_core() {
    const FLOODS: usize = 40;
    const RECORDS: usize = 4_000;
    let mut world = World::new(FLOODS + 1);
    for (_, tls) in &mut world.clients[..FLOODS] {
        tls.set_buffer_limit(None);
        for byte in 0..RECORDS {
            tls.writer().write_all(&[u8::try_from(byte % 251).unwrap()]).unwrap();
        }
    }
    world.flush();
    let (mut turns, mut counted, mut latest) = (0, 0, 0);
    let (mut is_asked, mut arrived, mut answers) = (false, None, 0);
    while world.plain[..FLOODS].iter().any(|plain| plain.len() < RECORDS) {
        let before = world.plain[..FLOODS].iter().map(Vec::len).sum::<usize>();
        let honest = world.clients[FLOODS].0;
        if !is_asked {
            world.clients[FLOODS].1.writer().write_all(b"honest").unwrap();
            world.flush();
            is_asked = true;
        }
        let work = world.turn();
        // From then on the transport has it.
        if is_asked && arrived.is_none() && world.network.bytes_not_received(honest) == 0 {
            arrived = Some(turns);
        }
        turns += 1;
        let after = world.plain[..FLOODS].iter().map(Vec::len).sum::<usize>();
        let records = (after - before) as u64;
        assert!(work >= records * Work::RECORD, "{records} records are {work}");
        assert!(work < 600_000, "a turn of {work} with {records} records");
        counted += work;
        if world.plain[FLOODS] == b"honest" {
            latest = latest.max(turns - arrived.take().unwrap());
            (is_asked, answers) = (false, answers + 1);
            world.plain[FLOODS].clear();
        }
        assert!(turns < 10_000);
    }
    assert!(counted >= (FLOODS * RECORDS) as u64 * Work::RECORD);
    assert!(turns > FLOODS * RECORDS / 4_000, "{turns} turns");
    assert!(answers > 3 && latest <= 2, "{answers} answers, one in {latest} turns");
    let expected: Vec<u8> = (0..RECORDS).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    assert!(world.plain[..FLOODS].iter().all(|plain| *plain == expected));
    assert_eq!(world.transport.held, 0);
    assert!(world.transport.waiting.is_empty());
}

/// A key exchange on P-384 takes ten times as long as on the others, and is charged for that.
#[test]
fn handshakes_are_charged_for_their_key_exchange() {
    let [x25519, p256, p384] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1]
        .map(|name| {
            let mut groups = ring::default_provider().kx_groups;
            groups.retain(|group| group.name() == name);
            World::with_groups(4, groups).1 / 4
        });
    assert!(x25519 == p256 && x25519 < 12 * Work::HANDSHAKE, "{x25519} and {p256}");
    let more = p384 - x25519;
    assert!((20 * Work::HANDSHAKE..40 * Work::HANDSHAKE).contains(&more), "{more} more");
}

/// What a loop has to send to the first client.
#[derive(Default)]
struct Queued {
    left: VecDeque<Vec<u8>>,
    is_sending: bool,
}

impl World {
    /// Ten turns with queued sends. Returns how those have ended that have.
    fn send(&mut self, queued: &mut Queued) -> Vec<Result<usize, Errno>> {
        let id = ConnectionId { slot: 0, generation: 1 };
        let mut ended = Vec::new();
        for _ in 0..10 {
            if !queued.is_sending
                && let Some(bytes) = queued.left.pop_front()
            {
                queued.is_sending = true;
                self.transport.send_queued(id, Chunk::Owned { bytes, from: 0 }, 1 << 20);
            }
            self.network.limit(self.network.now() + Duration::from_millis(1));
            self.transport.enter(Some(Duration::from_millis(1))).unwrap();
            while let Some(event) = self.transport.next_event() {
                let rest = match event {
                    Event::Sent { mut chunk, result, .. } => {
                        queued.is_sending = false;
                        chunk.skip(result.unwrap_or(0));
                        ended.push(result);
                        chunk
                    }
                    Event::ShortSend { rest: Payload::Chunk(rest), error: None, .. } => rest,
                    event => panic!("{event:?}"),
                };
                if !rest.rest().is_empty() {
                    queued.left.push_front(rest.rest().to_vec());
                }
            }
        }
        ended
    }

    /// The bytes of the first client's connection that are encrypted and wait.
    fn raw(&mut self) -> usize {
        self.transport.table.get(ConnectionId { slot: 0, generation: 1 }).unwrap().raw as usize
    }
}

/// A queued send of which nothing was sent is no progress. What was encrypted goes before all else,
/// and the peer can read it.
#[test]
fn a_cancelled_send_is_no_progress() {
    let mut world = World::new(1);
    let client = world.clients[0].0;
    let id = ConnectionId { slot: 0, generation: 1 };
    let message: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut queued = Queued { left: [message.clone()].into(), is_sending: false };
    world.network.set_receive_window(client, 0);
    while !world.send(&mut queued).is_empty() {}
    // The socket is full, with a part of what was encrypted. With as much room as the rest takes it
    // is full again, to the byte.
    world.transport.cancel_send(id);
    assert_eq!(world.send(&mut queued), [Ok(64 << 10)]);
    let raw = world.raw();
    world.network.set_receive_window(client, raw);
    while !world.send(&mut queued).is_empty() {}
    assert!(raw > 0 && world.raw() == 0 && queued.is_sending, "{raw} bytes were encrypted");
    world.network.set_receive_window(client, 0);
    for _ in 0..3 {
        world.transport.cancel_send(id);
        assert_eq!(world.send(&mut queued), [Err(Errno::CANCELED)]);
        assert!(world.raw() > 60_000);
    }
    world.network.set_receive_window(client, usize::MAX);
    let mut received = Vec::new();
    while received.len() < message.len() {
        world.send(&mut queued);
        let bytes = world.network.read(client);
        let mut bytes = &bytes[..];
        assert!(!bytes.is_empty(), "{} of {} bytes", received.len(), message.len());
        while !bytes.is_empty() {
            let (_, tls) = &mut world.clients[0];
            tls.read_tls(&mut bytes).unwrap();
            let state = tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).unwrap();
            received.extend(plain);
        }
    }
    assert!(received == message);
}
