//! Headers cut at every byte, and connections without one, over a simulated network.

use super::*;
use crate::io::sim::{ClientId, SimNetwork, SimOptions, SimRing};

const ID: ConnectionId = ConnectionId { slot: 0, generation: 1 };
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\x23\x29";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// What the loop is told, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    peer: Option<Option<SocketAddr>>,
    bytes: Vec<u8>,
    is_refused: bool,
}

struct Bench {
    driver: Proxied<SimRing>,
    network: SimNetwork,
    client: ClientId,
    ledger: Ledger,
    told: Told,
}

impl Bench {
    /// A connection of a listener that asks for a header, or of one that does not.
    fn new(asks: bool) -> Self {
        let ring = SimRing::new(1, SimOptions::default());
        let network = ring.network();
        let mut driver = Proxied::new(ring, vec![asks]);
        let ledger = Ledger::default();
        driver.use_ledger(&ledger);
        driver.accept(0, Accepts::Multishot);
        let client = network.connect(0);
        Self { driver, network, client, ledger, told: Told::default() }
    }

    /// Sends, and has the driver take it.
    fn send(&mut self, bytes: &[u8]) {
        self.network.write(self.client, bytes);
        self.turns();
    }

    /// Closes the connection as the loop does.
    fn close(&mut self) {
        self.driver.cancel_receive(ID);
        self.turns();
        self.driver.close(ID);
        self.turns();
    }

    fn turns(&mut self) {
        for _ in 0..20 {
            self.network.limit(self.network.now() + Duration::from_millis(1));
            self.driver.enter(Some(Duration::from_millis(1))).unwrap();
            while let Some(event) = self.driver.next_event() {
                match event {
                    Event::Accepted { result, .. } => {
                        assert_eq!(result, Ok(ID.slot));
                        self.driver.receive(ID, false);
                    }
                    Event::Peer { id, peer } => {
                        assert!(id == ID && self.told.bytes.is_empty());
                        assert_eq!(self.told.peer.replace(peer), None);
                    }
                    Event::Received { outcome: Received::Data { buffer, len }, armed, .. } => {
                        assert!(len > 0 && armed && !self.told.is_refused);
                        self.told.bytes.extend_from_slice(&self.driver.bytes(&buffer)[..len]);
                        self.driver.release(buffer);
                    }
                    Event::Received { outcome: Received::Refused, armed: true, .. } => {
                        assert!(!std::mem::replace(&mut self.told.is_refused, true));
                    }
                    Event::Received { outcome: Received::Cancelled, armed: false, .. } => {}
                    event => panic!("{event:?}"),
                }
            }
        }
    }
}

fn told(peer: Option<&str>, bytes: &[u8]) -> Told {
    let peer = peer.map(|peer| Some(peer.parse().unwrap()));
    Told { peer, bytes: bytes.to_vec(), is_refused: false }
}

#[test]
fn headers_cut_at_every_byte_are_taken_out() {
    for (header, peer) in
        [(V1, Some("192.0.2.1:4711")), (V2, Some("192.0.2.1:4711")), (LOCAL, None)]
    {
        let all = [header, b"GET / HTTP/1.1"].concat();
        for cut in 0..all.len() {
            let mut bench = Bench::new(true);
            for piece in [&all[..cut], &all[cut..]].into_iter().filter(|it| !it.is_empty()) {
                bench.send(piece);
            }
            assert_eq!(bench.told, told(peer, b"GET / HTTP/1.1"), "{cut}");
            assert_eq!((bench.driver.count, bench.driver.held), (0, 0));
        }
        let mut bench = Bench::new(true);
        for (at, byte) in all.iter().enumerate() {
            bench.send(&[*byte]);
            assert_eq!(bench.told.bytes.len(), (at + 1).saturating_sub(header.len()));
        }
        assert_eq!(bench.told, told(peer, b"GET / HTTP/1.1"));
    }
}

#[test]
fn what_is_held_of_a_header_is_charged_and_bounded() {
    let long = [&V2[..14], &4000_u16.to_be_bytes(), &V2[16..], &[4, 0x0f, 0x91]].concat();
    let header = [&long[..], &vec![0; 0x0f91]].concat();
    assert_eq!(header.len(), 4016);
    let mut bench = Bench::new(true);
    for piece in header.chunks(500) {
        bench.send(piece);
        assert!(bench.ledger.used() <= 2 * MAX_HEADER + 100);
        assert!(bench.driver.count == 0 || bench.ledger.used() > 500);
    }
    assert_eq!(bench.told, told(Some("192.0.2.1:4711"), b""));
    bench.send(b"x");
    assert_eq!((bench.ledger.used(), bench.told.bytes.len()), (0, 1));
    bench.close();
}

#[test]
fn without_a_header_nothing_reaches_the_loop() {
    let declared = [&V2[..14], &5000_u16.to_be_bytes()].concat();
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[22, 3, 1, 2], b"PROXY TCP4 1\r\n", &declared] {
        for cut in 1..bytes.len() {
            let mut bench = Bench::new(true);
            bench.send(&bytes[..cut]);
            bench.send(&bytes[cut..]);
            bench.send(&[b'x'; 9000]);
            assert_eq!(bench.told, Told { is_refused: true, ..Told::default() });
            assert_eq!(bench.driver.stats().without_header, 1);
            assert_eq!((bench.driver.held, bench.ledger.used() < 100), (0, true));
            bench.close();
            assert_eq!(bench.driver.count, 0);
        }
    }
}

/// Of a connection that ends in the midst of a header that is counted; of one that sends nothing,
/// as some health checks do, it is not.
#[test]
fn an_end_within_a_header_is_counted() {
    for (bytes, count) in [(&b"PROXY"[..], 1), (b"", 0)] {
        let mut bench = Bench::new(true);
        bench.send(bytes);
        bench.close();
        assert_eq!((bench.driver.stats().without_header, bench.driver.count), (count, 0));
        assert_eq!(bench.told, Told::default());
    }
}

#[test]
fn other_listeners_are_not_concerned() {
    let mut bench = Bench::new(false);
    bench.send(V1);
    assert_eq!(bench.told, told(None, V1));
}

/// The addresses of IPv4 clients of proxies that write them as those of IPv6.
#[test]
fn mapped_addresses_are_those_of_ipv4() {
    let mut bench = Bench::new(true);
    bench.send(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 9001\r\n");
    assert_eq!(bench.told, told(Some("192.0.2.1:4711"), b""));
}

/// Of many refusals one is logged at once, and the rest a second later though nothing happens then.
#[test]
fn the_last_refusal_is_logged_without_another_event() {
    let mut bench = Bench::new(true);
    bench.send(b"GET / HTTP/1.1\r\n");
    bench.close();
    assert!(!bench.driver.log.has_more());
    let begun = bench.network.now();
    bench.driver.log.refused("of the same second", None, begun);
    assert!(bench.driver.log.has_more());
    bench.network.limit(begun + Duration::from_secs(10));
    let mut calls = 0;
    while bench.driver.log.has_more() {
        bench.driver.enter(Some(Duration::from_secs(3600))).unwrap();
        calls += 1;
    }
    let took = bench.network.now() - begun;
    assert!(took <= Duration::from_secs(1) && calls <= 2, "{took:?}, {calls} calls");
}
