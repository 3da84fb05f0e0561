//! Receives.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use corecast::config::Buffers;
use corecast::io::{Errno, Event, Received};
use rustix::net::{SendFlags, send, sockopt};

use super::rig::{Rig, Tested, pattern};

pub(crate) fn bytes_come_in_order_and_then_the_end<D: Tested>() {
    // Whole buffers, a part of one, and just as much as fits.
    for len in [1, 4095, 4096, 4097, 50_000] {
        let mut rig = Rig::<D>::new(4);
        let (id, mut client) = rig.accept_receiving();
        let sent = pattern(len);
        client.write_all(&sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        let outcome = loop {
            if let Some(outcome) = rig.receive(id, &mut received) {
                break outcome;
            }
        };
        assert!(matches!(outcome, Received::Eof), "{outcome:?}");
        assert!(received == sent, "{} of {len} bytes", received.len());
        rig.expect_quiet();
        rig.expect_all_released();
    }
}

/// One turn brings data, receives that end with it, and ends of connections, in this order and
/// another.
pub(crate) fn ends_among_the_data_of_others_lose_nothing<D: Tested>() {
    const CLIENTS: usize = 6;
    for round in 0..4 {
        let mut rig = Rig::<D>::with(8, Buffers::new(64, 64));
        let ends = |at: usize| (at + round).is_multiple_of(2);
        let mut clients = Vec::new();
        for at in 0..CLIENTS {
            let (id, client) = rig.accept();
            match (at + round) % 3 {
                0 => rig.driver.receive_once(id),
                _ => rig.driver.receive(id, false),
            }
            clients.push((id, client, pattern(at * 50), Vec::new(), false));
        }
        rig.expect_quiet();
        for (at, (_, client, sent, ..)) in clients.iter_mut().enumerate() {
            client.write_all(sent).unwrap();
            if ends(at) {
                client.shutdown(Shutdown::Write).unwrap();
            }
        }
        let is_complete = |at: usize, received: &[u8], has_ended: bool| {
            received.len() == at * 50 && has_ended == ends(at)
        };
        while !(0..CLIENTS).all(|at| is_complete(at, &clients[at].3, clients[at].4)) {
            let event = rig.event();
            let Event::Received { id, outcome, armed } = event else { panic!("{event:?}") };
            let at = clients.iter().position(|client| client.0 == id).unwrap();
            let (_, _, _, received, has_ended) = &mut clients[at];
            assert!(!*has_ended, "something came after the end of {at}");
            match outcome {
                Received::Data { buffer, len } => {
                    received.extend_from_slice(&rig.driver.bytes(&buffer)[..len]);
                    rig.driver.release(buffer);
                    if !armed {
                        rig.driver.receive(id, true);
                    }
                }
                Received::Eof => *has_ended = true,
                other => panic!("{other:?}"),
            }
        }
        for (_, _, sent, received, _) in &clients {
            assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
        }
        rig.expect_quiet();
        rig.expect_all_released();
    }
}

pub(crate) fn a_reset_is_told<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, client) = rig.accept_receiving();
    rig.expect_quiet();
    sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    let outcome = rig.receive(id, &mut Vec::new());
    assert!(matches!(outcome, Some(Received::Failed(Errno::CONNRESET))), "{outcome:?}");
    rig.driver.close(id);
    rig.expect_quiet();
}

pub(crate) fn a_cancelled_receive_leaves_later_bytes_to_the_next<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept_receiving();
    client.write_all(b"first").unwrap();
    assert_eq!(rig.receive_all(id, 5), b"first");
    rig.driver.cancel_receive(id);
    let outcome = rig.receive(id, &mut Vec::new());
    assert!(matches!(outcome, Some(Received::Cancelled)), "{outcome:?}");
    client.write_all(b"second").unwrap();
    rig.expect_quiet();
    rig.driver.receive(id, true);
    assert_eq!(rig.receive_all(id, 6), b"second");
}

pub(crate) fn a_receive_for_one_buffer_ends_with_it<D: Tested>() {
    let mut rig = Rig::<D>::with(4, Buffers::new(4, 64));
    let (id, mut client) = rig.accept_receiving();
    rig.driver.cancel_receive(id);
    let outcome = rig.receive(id, &mut Vec::new());
    assert!(matches!(outcome, Some(Received::Cancelled)), "{outcome:?}");
    let sent = pattern(100);
    // Bytes that are there already, and bytes that come later.
    for waits in [false, true] {
        if !waits {
            client.write_all(&sent).unwrap();
        }
        let mut received = Vec::new();
        for len in [64, 36] {
            rig.driver.receive_once(id);
            if waits && len == 64 {
                rig.expect_quiet();
                client.write_all(&sent).unwrap();
            }
            let event = rig.event();
            let Event::Received { outcome: Received::Data { buffer, len: got }, armed, .. } = event
            else {
                panic!("{event:?}")
            };
            assert_eq!((got, armed), (len, false));
            received.extend_from_slice(&rig.driver.bytes(&buffer)[..got]);
            rig.driver.release(buffer);
            rig.expect_quiet();
        }
        assert_eq!(received, sent);
    }
    // It is cancelled like any other, and the next one is for any number of buffers again.
    rig.driver.receive_once(id);
    rig.driver.cancel_receive(id);
    let outcome = rig.receive(id, &mut Vec::new());
    assert!(matches!(outcome, Some(Received::Cancelled)), "{outcome:?}");
    rig.driver.receive(id, true);
    client.write_all(&sent).unwrap();
    assert_eq!(rig.receive_all(id, 100), sent);
    rig.expect_all_released();
}

pub(crate) fn without_a_buffer_a_receive_ends_and_loses_nothing<D: Tested>() {
    let mut rig = Rig::<D>::with(4, Buffers::new(2, 64));
    let (id, mut client) = rig.accept_receiving();
    let sent = pattern(1000);
    client.write_all(&sent).unwrap();
    let (mut received, mut held, mut misses) = (Vec::new(), Vec::new(), 0);
    while received.len() < sent.len() {
        let event = rig.event();
        let Event::Received { outcome, armed, .. } = event else { panic!("{event:?}") };
        match outcome {
            Received::Data { buffer, len } => {
                received.extend_from_slice(&rig.driver.bytes(&buffer)[..len]);
                held.push(buffer);
                if !armed {
                    rig.driver.receive(id, true);
                }
            }
            Received::NoBuffers => {
                assert!(!armed && held.len() == 2, "{} are lent", held.len());
                misses += 1;
                held.drain(..).for_each(|buffer| rig.driver.release(buffer));
                rig.driver.receive(id, true);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(received == sent && misses > 0, "{misses} misses");
}

pub(crate) fn a_flood_does_not_keep_others_waiting<D: Tested>() {
    let mut rig = Rig::<D>::with(8, Buffers::new(64, 1024));
    let (flooding, mut flooder) = rig.accept_receiving();
    let (quiet, mut client) = rig.accept_receiving();
    flooder.set_nonblocking(true).unwrap();
    let (mut before, mut flooded) = (0, 0);
    let mut fill = move || while flooder.write(&[1; 65_536]).is_ok() {};
    fill();
    client.write_all(b"hello").unwrap();
    loop {
        let event = rig.event();
        let Event::Received { id, outcome, armed } = event else { panic!("{event:?}") };
        if id == quiet {
            break;
        }
        before += 1;
        if let Received::Data { buffer, len } = outcome {
            flooded += len;
            rig.driver.release(buffer);
        }
        if !armed {
            rig.driver.receive(flooding, true);
        }
        // It always has more.
        fill();
        assert!(before < 300, "{flooded} bytes of the flood came first");
    }
}

pub(crate) fn a_slot_is_used_again_without_events_of_the_connection_before<D: Tested>() {
    let mut rig = Rig::<D>::new(1);
    for round in 0..50_u8 {
        let (id, mut client) = rig.accept_receiving();
        client.write_all(&[round; 10]).unwrap();
        assert_eq!(rig.receive_all(id, 10), [round; 10]);
        // More comes, and is not received any more.
        client.write_all(b"more").unwrap();
        rig.driver.cancel_receive(id);
        let mut late = Vec::new();
        while rig.receive(id, &mut late).is_none() {}
        rig.driver.close(id);
        rig.turn(None);
    }
    rig.expect_all_released();
}

pub(crate) fn urgent_data_hold_nothing_up<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    let (id, mut client) = rig.accept_receiving();
    client.write_all(b"ab").unwrap();
    send(&client, b"c", SendFlags::OOB).unwrap();
    client.write_all(b"de").unwrap();
    // Urgent data are not part of the stream.
    assert_eq!(rig.receive_all(id, 4), b"abde");
}
