use super::*;
use crate::base::Chunk;
use crate::io::Received;

mod echo;

const TURN: Option<Duration> = Some(Duration::from_millis(500));

fn kind() -> SimRing {
    SimRing::new(1, SimOptions::default())
}

fn events(ring: &mut SimRing) -> Vec<Event> {
    ring.enter(TURN).unwrap();
    std::iter::from_fn(|| ring.next_event()).collect()
}

/// Connects a client and accepts it.
fn connected(ring: &mut SimRing) -> (ClientId, ConnectionId) {
    let client = ring.network().connect(0);
    if ring.stats().enters == 0 {
        ring.accept(0, Accepts::Multishot);
    }
    match events(ring).as_slice() {
        [Event::Accepted { listener: 0, result: Ok(slot), armed: true, peer: None }] => {
            (client, ConnectionId { slot: *slot, generation: 0 })
        }
        other => panic!("{other:?}"),
    }
}

fn owned(bytes: &[u8]) -> Payload {
    Payload::Chunk(Chunk::Owned { bytes: bytes.to_vec(), from: 0 })
}

#[test]
fn sleeping_moves_the_clock() {
    let mut ring = kind();
    let hour = Duration::from_secs(3600);
    ring.enter(Some(hour)).unwrap();
    assert!(ring.now() >= hour && ring.now() < hour + Duration::from_millis(1));
    ring.waker().wake();
    assert!(matches!(events(&mut ring)[..], [Event::Woken]));
}

#[test]
fn clients_act_while_the_worker_sleeps() {
    let mut ring = kind();
    let (client, id) = connected(&mut ring);
    ring.receive(id, true);
    let at = ring.now() + Duration::from_secs(60);
    ring.network().drive(move |network| {
        if network.now() < at {
            return Some(at);
        }
        network.half_close(client);
        None
    });
    ring.enter(Some(Duration::from_secs(3600))).unwrap();
    assert!(ring.now() > at && ring.now() < at + Duration::from_millis(1));
    let event = ring.next_event();
    assert!(matches!(event, Some(Event::Received { outcome: Received::Eof, .. })), "{event:?}");
}

#[test]
fn a_full_socket_takes_a_part_and_says_so_before_anything_received() {
    let faults = Faults { small_sockets: 1000, ..Faults::default() };
    let mut ring = SimRing::new(2, SimOptions { faults, ..SimOptions::default() });
    let (client, id) = connected(&mut ring);
    ring.network().set_receive_window(client, 0);
    ring.network().write(client, b"hello");
    ring.receive(id, false);
    ring.send_now(id, owned(&[7; 10_000]));
    match &events(&mut ring)[..] {
        [
            Event::ShortSend {
                rest: Payload::Chunk(Chunk::Owned { from, .. }), error: None, ..
            },
            ..,
        ] => {
            ring.network().set_receive_window(client, usize::MAX);
            let mut arrived = Vec::new();
            while arrived.len() < *from {
                ring.enter(TURN).unwrap();
                arrived.extend(ring.network().read(client));
            }
            assert_eq!(arrived, vec![7; *from]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_echo_in_place_gives_its_buffer_back() {
    let mut ring = kind();
    let (client, id) = connected(&mut ring);
    ring.network().write(client, b"hello");
    ring.receive(id, false);
    let mut all = events(&mut ring);
    let Some(Event::Received { outcome: Received::Data { buffer, len: 5 }, .. }) = all.pop() else {
        panic!("no data");
    };
    assert_eq!(&ring.bytes(&buffer)[..6], b"hello\xDB");
    assert_eq!(ring.stats().buffers_lent, 1);
    ring.send_now(id, Payload::Received { buffer, start: 1, len: 3 });
    ring.enter(TURN).unwrap();
    assert_eq!((ring.stats().buffers_lent, ring.stats().in_flight), (0, 1));
    ring.enter(TURN).unwrap();
    assert_eq!(ring.network().read(client), b"ell");
}

#[test]
fn a_receive_without_buffers_ends() {
    let mut ring =
        SimRing::new(3, SimOptions { buffers: 1, buffer_size: 2, ..SimOptions::default() });
    let (client, id) = connected(&mut ring);
    ring.network().write(client, b"hello");
    let mut bytes = Vec::new();
    for round in 0.. {
        assert!(round < 10, "the receive neither brings data nor ends");
        ring.receive(id, true);
        let (mut held, mut armed_still) = (None, true);
        while armed_still && bytes.len() < 5 {
            for event in events(&mut ring) {
                let Event::Received { outcome, armed, .. } = event else { panic!("{event:?}") };
                armed_still = armed;
                match outcome {
                    // The first data takes the only buffer; what comes next finds none.
                    Received::Data { buffer, len } => {
                        assert!(armed && held.is_none());
                        bytes.extend_from_slice(&ring.bytes(&buffer)[..len]);
                        held = Some(buffer);
                    }
                    Received::NoBuffers => assert!(!armed && held.is_some()),
                    other => panic!("{other:?}"),
                }
            }
        }
        held.into_iter().for_each(|buffer| ring.release(buffer));
        if bytes.len() == 5 {
            break;
        }
    }
    assert_eq!((bytes.as_slice(), ring.stats().buffers_lent), (&b"hello"[..], 0));
}

#[test]
fn a_cancelled_receive_ends_once() {
    for seed in 0..200 {
        let faults = Faults { late_cancel: 500, ..Faults::default() };
        let mut ring = SimRing::new(seed, SimOptions { faults, ..SimOptions::default() });
        let (client, id) = connected(&mut ring);
        ring.receive(id, true);
        ring.network().write(client, b"hello");
        let mut ends = 0;
        for round in 0..10 {
            if round == 1 {
                ring.cancel_receive(id);
                ring.network().half_close(client);
            }
            for event in events(&mut ring) {
                let Event::Received { armed, .. } = event else { panic!("{event:?}") };
                assert!(ends == 0, "seed {seed}: {event:?} after the end");
                ends += u32::from(!armed);
            }
        }
        assert_eq!(ends, 1, "seed {seed}");
    }
}

#[test]
fn closing_with_unread_input_resets() {
    for unread in [false, true] {
        let mut ring = kind();
        let (client, id) = connected(&mut ring);
        ring.send_now(id, owned(b"bye"));
        if unread {
            ring.network().write(client, b"hello");
        }
        ring.enter(TURN).unwrap();
        assert!(ring.next_event().is_none());
        ring.close(id);
        ring.enter(TURN).unwrap();
        ring.enter(TURN).unwrap();
        let end = if unread { ServerEnd::Reset } else { ServerEnd::Fin };
        assert_eq!(ring.network().closed_by_server(client), Some(end));
        assert_eq!(ring.network().read(client), b"bye");
    }
}

#[test]
fn events_carry_24_bits_of_the_generation() {
    let mut ring = kind();
    let (client, mut id) = connected(&mut ring);
    id.generation = 0xABC1_2345;
    ring.receive(id, true);
    ring.network().half_close(client);
    match &events(&mut ring)[..] {
        [Event::Received { id, outcome: Received::Eof, armed: false }] => {
            assert_eq!(*id, ConnectionId { slot: 0, generation: 0xC1_2345 });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[should_panic(expected = "stale generation")]
fn the_lowest_slot_is_reused_at_once() {
    let mut ring = kind();
    let (_, first) = connected(&mut ring);
    ring.close(first);
    let (_, second) = connected(&mut ring);
    assert_eq!(first, second);
    ring.receive(first, true);
}

#[test]
#[should_panic(expected = "seed 1: receive armed twice")]
fn a_receive_is_armed_once() {
    let mut ring = kind();
    let (_, id) = connected(&mut ring);
    ring.receive(id, true);
    ring.receive(id, true);
}

#[test]
#[should_panic(expected = "send_now twice")]
fn one_send_at_once_for_each_enter() {
    let mut ring = kind();
    let (_, id) = connected(&mut ring);
    ring.send_now(id, owned(b"a"));
    ring.send_now(id, owned(b"b"));
}

#[test]
#[should_panic(expected = "send_now before next_event returned None")]
fn no_send_at_once_before_all_events_are_handed_out() {
    let mut ring = kind();
    let (_, id) = connected(&mut ring);
    ring.enter(None).unwrap();
    ring.send_now(id, owned(b"a"));
}

#[test]
#[should_panic(expected = "close while a receive is under way")]
fn a_close_waits_for_what_is_under_way() {
    let mut ring = kind();
    let (_, id) = connected(&mut ring);
    ring.receive(id, true);
    ring.enter(None).unwrap();
    ring.close(id);
}

#[test]
#[should_panic(expected = "1 receive buffers were not given back")]
fn a_buffer_kept_is_found() {
    let mut ring = kind();
    let (client, id) = connected(&mut ring);
    ring.receive(id, true);
    ring.network().write(client, b"hello");
    let kept = events(&mut ring);
    assert_eq!(kept.len(), 1);
    ring.network().check_quiescent();
}

#[test]
fn a_peer_has_an_address_that_is_told_if_asked_for() {
    let mut ring = kind();
    for n in 0..6 {
        let client = ring.network().connect(0);
        let is_asked = n % 3 > 0;
        ring.accept(0, if is_asked { Accepts::OnceWithPeer } else { Accepts::Once });
        match events(&mut ring).as_slice() {
            [Event::Accepted { result: Ok(_), armed: false, peer, .. }] => {
                assert_eq!(*peer, is_asked.then(|| client.address()));
            }
            other => panic!("{other:?}"),
        }
    }
}
