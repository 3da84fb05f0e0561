//! Turns that end early, and clients that cause more work than one turn does.

use std::ops::Range;
use std::time::Duration;

use super::{Bench, COSTLY, frame, head_len, masked, request};
use crate::config::Config;
use crate::io::sim::{ClientId, SimOptions};

const FIN_TEXT: u8 = 0x81;
const RSV1: u8 = 0x40;
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0;

/// A message of empty fragments, and `end`. A receive brings 2,700 at most.
fn fragments(count: usize, end: &[u8]) -> Vec<u8> {
    let middle = masked(CONTINUATION, b"").repeat(count);
    [masked(TEXT, b""), middle, masked(0x80, end)].concat()
}

impl Bench {
    pub(super) fn with_work_per_turn(mut self, units: u64) -> Self {
        self.worker = self.worker.with_work_per_turn(units);
        self
    }

    pub(super) fn open(&mut self) -> ClientId {
        let (client, _) = self.request("/echo");
        self.read_head(client);
        client
    }
}

/// However many are at work, somebody who sends one short message is answered long before they are.
#[test]
fn much_work_of_some_holds_up_no_other() {
    for busy in [1, 5, 50] {
        let mut bench = Bench::new().with_work_per_turn(20_000);
        let clients: Vec<ClientId> = (0..busy).map(|_| bench.open()).collect();
        let other = bench.open();
        for client in &clients {
            bench.network.write(*client, &fragments(2000, b"end"));
        }
        bench.turn_until(|bench| bench.worker.stats().resumed > 2);
        bench.network.write(other, &masked(FIN_TEXT, b"hi"));
        let (network, mut turns) = (bench.network.clone(), 0);
        bench.turn_until(|bench| {
            // The bytes need some turns to arrive.
            turns += usize::from(network.bytes_not_received(other) == 0);
            bench.rig.0.borrow().messages > 0
        });
        assert!(turns < 3, "{busy} busy clients: {turns} turns");
        assert_eq!(bench.read(other, 4), frame(b"hi"), "{busy} busy clients are still at work");
        for client in &clients {
            assert_eq!(bench.read(*client, 5), frame(b"end"));
        }
        bench.finish();
    }
}

/// What came after a turn had done enough is handled in the order of arrival, but what causes
/// little work does not wait for what causes much.
#[test]
fn short_input_that_came_late_goes_before_long_input() {
    let mut bench = Bench::new().with_work_per_turn(500);
    let clients: Vec<ClientId> = (0..40).map(|_| bench.open()).collect();
    let other = bench.open();
    let long = fragments(400, b"end");
    for round in 0..3 {
        clients.iter().for_each(|client| bench.network.write(*client, &long));
        bench.network.write(other, &masked(FIN_TEXT, b"hi"));
        let (network, mut turns) = (bench.network.clone(), 0);
        // All arrive within one turn.
        network.advance(Duration::from_millis(1));
        bench.turn_until(|bench| {
            turns += usize::from(network.bytes_not_received(other) == 0);
            bench.rig.0.borrow().messages > round
        });
        assert!(turns < 8, "round {round}: {turns} turns");
    }
    assert!(bench.worker.stats().late > 0, "{:?}", bench.worker.stats());
    clients.iter().for_each(|client| bench.network.reset(*client));
    bench.finish();
}

/// However many send something at once that is short and costs much, turns end in time, and one
/// whose input costs little is served before them: at once if that is known before, or if its input
/// is very short and theirs is not or is compressed, and otherwise once it is known what the others
/// do.
#[test]
fn many_costly_messages_at_once_hold_up_no_other() {
    hold_up_no_other("", &masked(FIN_TEXT, b"w"), 2..4);
    hold_up_no_other("", &long(b"ww"), 1..2);
    // The letter as a stored block (RFC 7692 section 7.2.3.3).
    let stored = masked(FIN_TEXT | RSV1, &[0, 1, 0, 0xfe, 0xff, b'w', 0]);
    hold_up_no_other("Sec-WebSocket-Extensions: permessage-deflate\r\n", &stored, 1..2);
}

/// A text of 300 bytes, with a mask of zeros.
fn long(two: &[u8; 2]) -> Vec<u8> {
    [&[0x81, 0x80 | 126, 1, 44, 0, 0, 0, 0][..], &two.repeat(150)].concat()
}

/// The same with this input of each, and this header in their requests; in these rounds it is known
/// how short it is, or what it costs.
fn hold_up_no_other(header: &str, input: &[u8], known: Range<u64>) {
    const UNITS: u64 = 4 * COSTLY;
    let options = SimOptions { slots: 128, ..SimOptions::default() };
    let mut config = Config::default();
    config.deflate.enabled = true;
    let mut bench = Bench::with_options(config, options).with_work_per_turn(UNITS);
    let request =
        [&request("/hold")[..head_len(&request("/hold")).unwrap() - 2], header.as_bytes()];
    let request = [&request.concat()[..], b"\r\n"].concat();
    let costly: Vec<ClientId> = (0..100).map(|_| bench.send_request(&request).0).collect();
    let others = [bench.request("/echo"), bench.request("/hold")];
    bench.settle();
    let network = bench.network.clone();
    for round in 1..known.end {
        costly.iter().for_each(|client| network.write(*client, input));
        others.iter().for_each(|(client, _)| network.write(*client, &masked(FIN_TEXT, b"ok")));
        // All arrive within one turn.
        network.advance(Duration::from_millis(1));
        let (mut most, mut arrived) = (0, [None; 2]);
        bench.rig.0.borrow_mut().from.clear();
        let mut before = 0;
        bench.turn_until(|bench| {
            let handled = bench.rig.0.borrow().from.len();
            (most, before) = (most.max(handled - before), handled);
            for (arrived, (client, _)) in arrived.iter_mut().zip(&others) {
                let has_come = network.bytes_not_received(*client) == 0;
                *arrived = arrived.or(has_come.then_some(handled));
            }
            handled == costly.len() + others.len()
        });
        assert!(most <= 12, "round {round}: {most} messages in one turn");
        let waited = [0, 1].map(|at| {
            let from = &bench.rig.0.borrow().from;
            let place = from.iter().position(|id| *id == others[at].1).unwrap();
            place.saturating_sub(arrived[at].unwrap())
        });
        // One turn, and the one after it.
        assert!(waited[0] <= 2 * most, "round {round}: behind {waited:?} messages");
        let is_known = known.contains(&round);
        assert!(!is_known || waited[1] <= 4 * most, "round {round}: behind {waited:?} messages");
        bench.settle();
    }
    bench.finish();
}

/// How many newcomers with costly requests go before a message of somebody who is there, if all
/// arrive in one turn.
fn newcomers_before_a_message(are_costly: bool) -> usize {
    const UNITS: u64 = 4 * COSTLY;
    const NEWCOMERS: usize = 100;
    let options = SimOptions { slots: 128, ..SimOptions::default() };
    let mut bench = Bench::with_options(Config::default(), options).with_work_per_turn(UNITS);
    bench.rig.0.borrow_mut().newcomers_cost_much = are_costly;
    let network = bench.network.clone();
    let newcomers: Vec<ClientId> = (0..NEWCOMERS).map(|_| network.connect(0)).collect();
    bench.turn_until(|bench| bench.worker.connections() == NEWCOMERS);
    // The ring brings what has come in the order of the connections.
    let (there, _) = bench.request("/hold");
    bench.settle();
    newcomers.iter().for_each(|client| network.write(*client, &request("/costly")));
    network.write(there, &long(b"ok"));
    network.advance(Duration::from_millis(1));
    let mut at_arrival = None;
    bench.turn_until(|bench| {
        if network.bytes_not_received(there) == 0 {
            at_arrival.get_or_insert(bench.rig.0.borrow().opened.len());
        }
        bench.rig.0.borrow().messages == 1
    });
    let before = bench.rig.0.borrow().opened.len() - at_arrival.unwrap();
    bench.turn_until(|bench| bench.rig.0.borrow().opened.len() == NEWCOMERS + 1);
    bench.finish();
    before
}

/// Whoever is refused comes again as a newcomer, of whom nothing is known: those who are there do
/// not wait behind any number of them, if the service says that their requests may be costly.
#[test]
fn costly_requests_of_newcomers_hold_up_nobody_who_is_there() {
    let [unknown, known] = [false, true].map(newcomers_before_a_message);
    // Those of one turn, and of the one after it.
    assert!(known <= 12 && unknown > 4 * 12, "behind {known}, and {unknown} if it is not said");
}

/// They are served one message each in turn, so that none is far ahead of the others.
#[test]
fn those_who_cause_much_work_share_it_evenly() {
    const MESSAGES: usize = 10;
    let mut bench = Bench::new().with_work_per_turn(20_000);
    let clients: Vec<ClientId> = (0..8).map(|_| bench.open()).collect();
    for client in &clients {
        bench.network.write(*client, &fragments(200, b"end").repeat(MESSAGES));
    }
    let network = bench.network.clone();
    let mut got = vec![0; clients.len()];
    bench.turn_until(|_| {
        for (client, got) in clients.iter().zip(&mut got) {
            *got += network.read(*client).len();
        }
        got.iter().any(|got| *got == MESSAGES * frame(b"end").len())
    });
    assert!(got.iter().all(|got| *got >= (MESSAGES - 2) * frame(b"end").len()), "{got:?}");
    bench.finish();
}

/// Large messages are completed one after the other, but they do not take the shares of others.
#[test]
fn a_large_message_takes_no_share_of_others() {
    let mut bench = Bench::new().with_work_per_turn(20_000);
    let large: Vec<ClientId> = (0..3).map(|_| bench.open()).collect();
    let other = bench.open();
    for client in &large {
        bench.network.set_receive_window(*client, 4 << 20);
        bench.network.write(*client, &masked(TEXT, &[b'm'; 100]));
        bench.network.write(*client, &masked(CONTINUATION, &[b'm'; 100]).repeat(3 << 10));
    }
    let network = bench.network.clone();
    bench.turn_until(|_| large.iter().all(|client| network.bytes_not_received(*client) == 0));
    bench.settle();
    // Many turns of work for each of the large ones, a few for the other.
    for client in &large {
        bench.network.write(*client, &fragments(20_000, b"end")[masked(TEXT, b"").len()..]);
    }
    bench.turn_until(|bench| bench.worker.stats().resumed > 20);
    bench.network.write(other, &fragments(1_000, b"other"));
    let before = bench.worker.stats().resumed;
    bench.turn_until(|bench| bench.rig.0.borrow().messages > 0);
    let resumed = bench.worker.stats().resumed - before;
    assert!((5..1_000).contains(&resumed), "{resumed}");
    assert!(large.iter().all(|client| network.read(*client).is_empty()));
    assert_eq!(bench.read(other, 7), frame(b"other"));
    large.iter().for_each(|client| bench.network.reset(*client));
    bench.finish();
}

/// The end of a connection waits behind its own work, and a reset ends both.
#[test]
fn an_end_waits_for_the_work_before_it() {
    let mut bench = Bench::new().with_work_per_turn(5_000);
    let (says_goodbye, resets) = (bench.open(), bench.open());
    let bytes = fragments(2000, b"end");
    bench.network.write(says_goodbye, &bytes);
    bench.network.half_close(says_goodbye);
    bench.network.write(resets, &bytes);
    bench.turn_until(|bench| bench.worker.stats().resumed > 4);
    bench.network.reset(resets);
    assert_eq!(bench.read_to_end(says_goodbye), frame(b"end"));
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.rig.0.borrow().messages, 1);
    bench.finish();
}

/// Nobody is there for the answer to a large message of a client that has reset its connection.
/// What is short may have been sent for others, and is handled.
#[test]
fn a_large_message_of_a_client_that_is_gone_is_given_up() {
    const LARGE: usize = 80 << 10;
    for (len, messages) in [(LARGE, 0), (1_000, 1)] {
        let mut bench = Bench::new().with_work_per_turn(8_000);
        let client = bench.open();
        let piece = masked(TEXT, &[b'm'; 100]);
        let more = masked(CONTINUATION, &[b'm'; 100]).repeat(len / 100);
        bench.network.write(client, &[piece, more].concat());
        bench.turn_until(|bench| bench.network.bytes_not_received(client) == 0);
        bench.settle();
        let end = masked(0x80, b"end");
        // In one receive, behind which the reset is noticed.
        bench.network.write(client, &[masked(CONTINUATION, b"").repeat(150), end].concat());
        let before = bench.worker.stats().resumed;
        bench.turn_until(|bench| bench.worker.stats().resumed > before + 4);
        bench.network.reset(client);
        bench.turn_until(|bench| bench.worker.connections() == 0);
        assert_eq!(bench.rig.0.borrow().messages, messages, "{len} bytes");
        assert_eq!(bench.worker.stats().memory, 0);
        bench.finish();
    }
}

/// Megabytes for many at once are not handed to the kernel in one turn.
#[test]
fn large_sends_are_spread_over_turns() {
    const LEN: usize = 1 << 20;
    let mut bench = Bench::new();
    let clients: Vec<ClientId> = (0..12).map(|_| bench.open()).collect();
    let ids = bench.rig.0.borrow().opened.clone();
    for client in &clients {
        bench.network.set_receive_window(*client, 16 << 20);
    }
    let payload = vec![b'l'; LEN];
    let answers = ids.iter().map(|id| (*id, payload.clone())).collect();
    bench.rig.0.borrow_mut().answers = answers;
    let (network, mut most) = (bench.network.clone(), 0);
    let mut got = vec![0; clients.len()];
    bench.turn_until(|_| {
        let mut turn = 0;
        for (client, got) in clients.iter().zip(&mut got) {
            let read = network.read(*client).len();
            (*got, turn) = (*got + read, turn + read);
        }
        most = most.max(turn);
        got.iter().all(|got| *got == LEN)
    });
    assert!(most <= 3 << 20, "{most} bytes in one turn");
    bench.finish();
}

/// What the service does by itself, and connections that end, make a turn long without any input.
/// After such a turn each connection that has sent something is served in the next one.
#[test]
fn after_a_long_turn_all_that_is_ready_is_collected() {
    let mut bench = Bench::new().with_work_per_turn(8_000);
    let clients: Vec<ClientId> = (0..3).map(|_| bench.open()).collect();
    bench.settle();
    let before = bench.worker.driver().collected();
    bench.settle();
    assert_eq!(bench.worker.driver().collected(), before, "nothing is done");
    bench.rig.0.borrow_mut().work = 2_000;
    bench.settle();
    assert_eq!(bench.worker.driver().collected(), before + 1);
    bench.network.reset(clients[0]);
    bench.turn_until(|bench| bench.worker.connections() == 2);
    bench.settle();
    assert_eq!(bench.worker.driver().collected(), before + 2);
    bench.finish();
}
