//! Sends.

use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use corecast::base::{Chunk, ConnectionId};
use corecast::io::{Errno, Event, Payload, Received};
use rustix::net::sockopt;

use super::rig::{QUIET, Rig, Tested, pattern};

fn owned(bytes: Vec<u8>) -> Chunk {
    Chunk::Owned { bytes, from: 0 }
}

pub(crate) fn a_complete_send_brings_no_event<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept();
    let sent = pattern(3000);
    rig.driver.send_now(id, Payload::Chunk(owned([b"skipped".to_vec(), sent.clone()].concat())));
    rig.expect_quiet();
    assert!(rig.driver.is_settled());
    let mut received = vec![0; 3007];
    client.read_exact(&mut received).unwrap();
    assert!(received[7..] == sent);
    let recycled = rig.driver.take_recycled().expect("the vector comes back");
    assert!(recycled.capacity() >= 3007);
    assert!(rig.driver.take_recycled().is_none());
}

pub(crate) fn an_echo_is_sent_from_its_buffer<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept_receiving();
    client.write_all(b"0123456789").unwrap();
    let event = rig.event();
    let Event::Received { outcome: Received::Data { buffer, len: 10 }, .. } = event else {
        panic!("{event:?}");
    };
    rig.driver.bytes(&buffer)[3] = b'x';
    rig.driver.send_now(id, Payload::Received { buffer, start: 2, len: 5 });
    let mut echoed = [0; 5];
    rig.expect_quiet();
    client.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"2x456");
    rig.expect_all_released();
}

pub(crate) fn shared_bytes_reach_all<D: Tested>() {
    let mut rig = Rig::<D>::new(8);
    let mut connections: Vec<_> = (0..5).map(|_| rig.accept()).collect();
    let ids: Vec<ConnectionId> = connections.iter().map(|(id, _)| *id).collect();
    let sent = pattern(2000);
    let shared = Rc::new(Bytes::from(sent.clone()).into());
    rig.driver.send_shared(&ids, &shared);
    rig.expect_quiet();
    assert_eq!(Rc::strong_count(&shared), 1, "the driver holds nothing any more");
    for (_, client) in &mut connections {
        let mut received = vec![0; 2000];
        client.read_exact(&mut received).unwrap();
        assert!(received == sent);
    }
}

/// Sends until the socket takes no more. Returns what it was sent, and the rest.
fn fill<D: Tested>(rig: &mut Rig<D>, id: ConnectionId) -> (Vec<u8>, Chunk) {
    let mut sent = Vec::new();
    for _ in 0..200 {
        let piece = pattern(1 << 20);
        sent.extend_from_slice(&piece);
        rig.driver.send_now(id, Payload::Chunk(owned(piece)));
        rig.turn(None);
        if let Some(event) = rig.next_waiting() {
            let Event::ShortSend { id: of, rest: Payload::Chunk(rest), error: None } = event else {
                panic!("{event:?}");
            };
            assert_eq!(of, id);
            return (sent, rest);
        }
    }
    panic!("the socket takes everything");
}

pub(crate) fn a_send_falls_short_and_goes_on_where_it_ended<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept();
    let (mut sent, rest) = fill(&mut rig, id);
    let more = pattern(3_000_000);
    sent.extend_from_slice(&more);
    let len = sent.len();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(QUIET);
        let mut received = vec![0; len];
        client.read_exact(&mut received).unwrap();
        received
    });
    for mut chunk in [rest, owned(more)] {
        while !chunk.rest().is_empty() {
            rig.driver.send_queued(id, chunk, 100_000);
            let event = rig.event();
            let Event::Sent { id: of, chunk: back, result } = event else { panic!("{event:?}") };
            let sent = result.unwrap();
            assert!(of == id && (1..=100_000).contains(&sent), "{sent}");
            chunk = back;
            chunk.skip(sent);
        }
    }
    assert!(reader.join().unwrap() == sent, "every byte once and in order");
}

pub(crate) fn a_queued_send_that_waits_can_be_called_back<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, _client) = rig.accept();
    let (_, rest) = fill(&mut rig, id);
    let len = rest.rest().len();
    rig.driver.send_queued(id, rest, usize::MAX);
    rig.expect_quiet();
    assert_eq!(rig.driver.stats().in_flight, 1);
    rig.driver.cancel_send(id);
    let event = rig.event();
    let Event::Sent { chunk, result: Err(Errno::CANCELED), .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(chunk.rest().len(), len, "nothing of it was sent");
    assert_eq!(rig.driver.stats().in_flight, 0);
    rig.driver.close(id);
    rig.expect_quiet();
}

/// Without a bound, all of them are sent in the call in which the last has read.
pub(crate) fn many_that_begin_to_read_at_once_are_sent_to_in_turns<D: Tested>() {
    const CLIENTS: usize = 40;
    const MAX: usize = 256 << 10;
    const BOUND: usize = (2 << 20) + MAX;
    let mut rig = Rig::<D>::new(CLIENTS as u32);
    // Enough for a whole send, and no more.
    rig.send_buffers(MAX);
    let mut peers = Vec::new();
    let mut rests = Vec::new();
    for _ in 0..CLIENTS {
        let (id, client) = rig.accept();
        let (mut sent, rest) = fill(&mut rig, id);
        let more = pattern(1 << 20);
        sent.extend_from_slice(&more);
        rests.push((id, owned([rest.rest(), &more].concat())));
        peers.push((client, sent, 0));
    }
    // A socket may have got room meanwhile.
    while !rests.is_empty() {
        for (id, chunk) in rests.drain(..) {
            rig.driver.send_queued(id, chunk, MAX);
        }
        rig.turn(Some(QUIET));
        while let Some(event) = rig.next_waiting() {
            let Event::Sent { id, mut chunk, result: Ok(sent) } = event else { panic!() };
            chunk.skip(sent);
            rests.push((id, chunk));
        }
    }
    assert_eq!(rig.driver.stats().in_flight as usize, CLIENTS, "all wait for room");
    for (client, sent, read) in &mut peers {
        client.set_nonblocking(true).unwrap();
        read_what_is_there(client, sent, read);
    }
    let (mut total, mut most) = (0, 0);
    for _ in 0..2000 {
        rig.turn(Some(Duration::from_millis(10)));
        let mut turn = 0;
        while let Some(event) = rig.next_waiting() {
            let Event::Sent { result: Ok(sent), .. } = event else { panic!() };
            turn += sent;
        }
        most = most.max(turn);
        total += turn;
        for (client, sent, read) in &mut peers {
            read_what_is_there(client, sent, read);
        }
        if rig.driver.stats().in_flight == 0 {
            break;
        }
    }
    assert_eq!(rig.driver.stats().in_flight, 0, "each was sent to");
    assert!(total > 2 * BOUND, "{total} bytes show nothing");
    assert!(most <= BOUND, "{most} bytes in one turn");
}

/// Reads all that has come, which is what was sent from `read` on.
fn read_what_is_there(client: &mut std::net::TcpStream, sent: &[u8], read: &mut usize) {
    let mut bytes = vec![0; 1 << 20];
    while let Ok(len @ 1..) = client.read(&mut bytes) {
        assert!(sent[*read..*read + len] == bytes[..len], "every byte once and in order");
        *read += len;
    }
}

pub(crate) fn a_broken_connection_is_told_to_its_sender<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, client) = rig.accept();
    let (_, rest) = fill(&mut rig, id);
    rig.driver.send_queued(id, rest, usize::MAX);
    rig.expect_quiet();
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    let event = rig.event();
    let Event::Sent { result: Err(errno), .. } = event else { panic!("{event:?}") };
    assert!(matches!(errno, Errno::CONNRESET | Errno::PIPE), "{errno}");
    // No signal ends the process either.
    rig.driver.send_now(id, Payload::Chunk(owned(vec![1])));
    let event = rig.event();
    let Event::ShortSend { error: Some(errno), .. } = event else { panic!("{event:?}") };
    assert!(matches!(errno, Errno::CONNRESET | Errno::PIPE), "{errno}");
}

pub(crate) fn after_a_half_close_it_still_receives<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept_receiving();
    rig.driver.send_now(id, Payload::Chunk(owned(b"last".to_vec())));
    rig.turn(None);
    rig.driver.half_close(id);
    let event = rig.event();
    assert!(matches!(event, Event::HalfClosed { id: of } if of == id), "{event:?}");
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"last");
    client.write_all(b"answer").unwrap();
    assert_eq!(rig.receive_all(id, 6), b"answer");
}

pub(crate) fn the_kernel_tells_how_far_the_peer_is<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept();
    rig.driver.send_now(id, Payload::Chunk(owned(vec![1; 5000])));
    rig.turn(None);
    client.read_exact(&mut [0; 5000]).unwrap();
    client.write_all(&[2; 300]).unwrap();
    for _ in 0..200 {
        rig.driver.query_progress(id);
        let event = rig.event();
        let Event::Progress { id: of, progress } = event else { panic!("{event:?}") };
        assert_eq!(of, id);
        let Some(progress) = progress else {
            return println!("skipped: this kernel does not tell it");
        };
        if (progress.written, progress.acked, progress.unread) == (5000, 5000, 300) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the kernel does not tell of what was sent");
}
