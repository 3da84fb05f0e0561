//! What is charged, and what happens at the limit.

use super::{Bench, FOR_EVER, frame, masked};
use crate::base::ConnectionId;
use crate::config::Config;
use crate::io::sim::{ClientId, Faults, SimOptions};
use crate::protocol::websocket::CloseCode;
use crate::session::CloseReason;

const FIN_BINARY: u8 = 0x82;
const TEXT: u8 = 0x81;

/// The header of a message of 64 KiB, and the first `len` bytes of it.
pub(super) fn beginning(len: usize) -> Vec<u8> {
    let header = [&[FIN_BINARY, 0xFF][..], &(64_u64 << 10).to_be_bytes(), &[0; 4]].concat();
    [header, vec![b'm'; len]].concat()
}

impl Bench {
    fn with_memory(limit: usize) -> Self {
        let mut config = Config::default();
        config.limits.memory = limit;
        Self::with_config(config)
    }

    pub(super) fn memory(&self) -> u64 {
        self.worker.stats().memory
    }
}

#[test]
fn incomplete_messages_are_charged_until_they_end() {
    let mut bench = Bench::with_memory(1 << 30);
    let (completes, resets) = (bench.open(), bench.open());
    for client in [completes, resets] {
        bench.network.write(client, &beginning(60_000));
    }
    bench.turn_until(|bench| bench.memory() > 120_000);
    assert!(bench.memory() < 2 * 140_000, "{}", bench.memory());
    bench.network.reset(resets);
    bench.turn_until(|bench| bench.memory() < 140_000);
    assert!(bench.memory() > 60_000);
    bench.network.write(completes, &vec![b'm'; (64 << 10) - 60_000]);
    assert_eq!(bench.read(completes, (64 << 10) + 10).len(), (64 << 10) + 10);
    bench.turn_until(|bench| bench.memory() == 0);
    bench.finish();
}

/// Clients with large messages leave at the same time. To free all that in one turn would keep the
/// core from everybody else.
#[test]
fn large_messages_that_are_dropped_together_are_freed_in_several_turns() {
    const LEN: usize = 4 << 20;
    for is_complete in [false, true] {
        let mut bench = Bench::with_memory(1 << 30);
        let header = [&[FIN_BINARY, 0xFF][..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat();
        let sent = if is_complete { LEN } else { LEN - 1 };
        let message = [header, vec![0; sent]].concat();
        let clients: Vec<ClientId> = (0..20).map(|_| bench.open()).collect();
        clients.iter().for_each(|client| bench.network.write(*client, &message));
        // A complete message is the reply, which nobody reads.
        bench.turn_until(|bench| bench.memory() > 18 * LEN as u64);
        bench.settle();
        clients.iter().for_each(|client| bench.network.reset(*client));
        let (mut before, mut most) = (bench.memory(), 0);
        bench.turn_until(|bench| {
            most = most.max(before - bench.memory());
            before = bench.memory();
            before == 0
        });
        assert!(most <= 5 * LEN as u64, "{most} bytes were freed in one turn");
        bench.finish();
    }
}

/// Those that hold the most are closed, and nobody else; from seven eighths on newcomers are
/// refused.
#[test]
fn the_largest_holders_are_closed_at_the_limit() {
    close_the_largest(0);
    // They are looked for over several turns.
    close_the_largest(9);
}

/// With so many other connections for each that holds much.
fn close_the_largest(others: usize) {
    let mut config = Config::default();
    config.limits.memory = 1 << 20;
    let options = SimOptions { slots: 350, ..SimOptions::default() };
    let mut bench = Bench::with_options(config, options).with_work_per_turn(20_000);
    let small: Vec<ClientId> = (0..10).map(|_| bench.open()).collect();
    for client in &small {
        bench.network.write(*client, &beginning(1_000));
    }
    let mut large = Vec::new();
    for _ in 0..30 {
        for _ in 0..others {
            bench.open();
        }
        large.push(bench.open());
    }
    for client in &large {
        bench.network.write(*client, &beginning(60_000));
        bench.settle();
        assert!(bench.memory() <= (1 << 20) + (128 << 10), "{}", bench.memory());
    }
    bench.turn_until(|bench| bench.memory() <= 1 << 20);
    assert!(bench.worker.stats().shed > 10, "{:?}", bench.worker.stats());
    if bench.memory() >= 7 << 17 {
        let late = bench.network.connect(0);
        bench.network.write(late, &super::request("/echo"));
        assert!(bench.read_to_end(late).starts_with(b"HTTP/1.1 503 "));
    }
    let mut closed = 0;
    for client in large {
        bench.network.write(client, &vec![b'm'; (64 << 10) - 60_000]);
        let got = bench.read(client, (64 << 10) + 10);
        if got.starts_with(&[0x88]) {
            assert_eq!(got[2..4], 1009_u16.to_be_bytes());
            closed += 1;
        } else {
            assert_eq!(got.len(), (64 << 10) + 10);
        }
    }
    assert_eq!(closed, bench.worker.stats().shed);
    for client in small {
        bench.network.write(client, &vec![b'm'; (64 << 10) - 1_000]);
        assert_eq!(bench.read(client, (64 << 10) + 10).len(), (64 << 10) + 10);
    }
    bench.finish();
}

/// Connections that do not read are closed, and their replies stay for a while. Nobody else is
/// closed for that.
#[test]
fn what_is_held_while_closing_costs_nobody_else_the_connection() {
    const LEN: usize = 512 << 10;
    let mut bench = Bench::with_memory(4 << 20);
    let innocent: Vec<ClientId> = (0..10).map(|_| bench.open()).collect();
    let mut stalled = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..12 {
        let client = bench.open();
        bench.network.set_receive_window(client, 1_000);
        stalled.push(client);
        let id = *bench.rig.0.borrow().opened.last().unwrap();
        answers.push((id, vec![0; LEN]));
    }
    for client in &innocent {
        bench.network.write(*client, &beginning(1_000));
    }
    bench.rig.0.borrow_mut().answers = answers;
    bench.turn_until(|bench| bench.worker.stats().shed > 0);
    for _ in 0..20 {
        bench.settle();
    }
    let shed = bench.worker.stats().shed;
    assert!((1..=8).contains(&shed), "{shed} of 12 are closed");
    for client in innocent {
        bench.network.write(client, &vec![b'm'; (64 << 10) - 1_000]);
        assert_eq!(bench.read(client, (64 << 10) + 10).len(), (64 << 10) + 10);
    }
    stalled.into_iter().for_each(|client| bench.network.reset(client));
    bench.finish();
}

/// A cancel of a receive can miss it. It is repeated, so that a peer which reads nothing and goes
/// on sending does not fill its queue.
#[test]
fn a_receive_that_was_not_cancelled_is_cancelled_again() {
    let mut bench = Bench::new();
    let client = bench.open();
    bench.network.set_receive_window(client, 1_000);
    bench.network.set_faults(Faults { missed_cancel: 900, ..Faults::default() });
    let message = [beginning(64 << 10), beginning(64 << 10)].concat();
    let mut written = 0;
    for _ in 0..400 {
        bench.network.write(client, &message);
        written += message.len() as u64;
        bench.settle();
    }
    let held = bench.memory();
    assert!(held > 256 << 10 && held < 4 << 20, "{held} bytes of {written}");
    bench.network.set_faults(Faults::default());
    bench.network.reset(client);
    bench.finish();
}

/// Publishers whose input waits for room do not keep the receive buffers that others need.
#[test]
fn input_that_waits_leaves_receive_buffers_to_others() {
    let mut bench = Bench::new();
    let (echo, _) = bench.request("/echo");
    bench.read_head(echo);
    let mut publishers = Vec::new();
    for _ in 0..40 {
        let (client, _) = bench.request("/hold");
        bench.read_head(client);
        publishers.push(client);
    }
    bench.rig.0.borrow_mut().full = FOR_EVER;
    let message = masked(TEXT, &[b'm'; 100]);
    for client in &publishers {
        bench.network.write(*client, &message.repeat(400));
    }
    bench.settle();
    assert!(bench.worker.stats().driver.buffers_lent <= 48);
    assert_eq!(bench.rig.0.borrow().messages, 0);
    bench.network.write(echo, &masked(TEXT, b"hello"));
    assert_eq!(bench.read(echo, 7), frame(b"hello"));
    // What waited is handled in order, once there is room.
    bench.rig.0.borrow_mut().full = 0;
    for client in publishers {
        let expected = frame(&[b'm'; 100]).repeat(400);
        assert!(bench.read(client, expected.len()) == expected);
    }
    bench.finish();
}
impl Bench {
    /// A connection that reads nothing.
    fn stalled(&mut self) -> (ClientId, ConnectionId) {
        let client = self.open();
        self.network.set_receive_window(client, 1_000);
        (client, *self.rig.0.borrow().opened.last().unwrap())
    }

    pub(super) fn shed(&self) -> u64 {
        self.worker.stats().shed
    }

    /// The rest of a message of which 1,000 bytes were sent is taken and sent back.
    fn completes(&mut self, client: ClientId) {
        self.network.write(client, &vec![b'm'; (64 << 10) - 1_000]);
        assert_eq!(self.read(client, (64 << 10) + 10).len(), (64 << 10) + 10);
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        let end = self.network.now() + std::time::Duration::from_secs(seconds);
        self.turn_until(|bench| bench.network.now() >= end);
    }
}

/// The largest holders are closed as soon as memory is short, so that nobody else waits for long.
#[test]
fn memory_that_is_short_is_freed_at_once() {
    let mut bench = Bench::with_memory(1 << 20);
    let small = bench.open();
    bench.network.write(small, &beginning(1_000));
    for _ in 0..60 {
        // It is slow, and not too slow.
        bench.network.write(small, &[b'm'; 500]);
        let client = bench.open();
        bench.network.write(client, &beginning(40_000));
        let start = bench.network.now();
        bench.settle();
        bench.turn_until(|bench| bench.memory() <= 7 << 17);
        let time = bench.network.now() - start;
        assert!(time < std::time::Duration::from_millis(100), "{time:?}");
    }
    assert!(bench.shed() > 30, "{}", bench.shed());
    bench.open();
    bench.network.write(small, &vec![b'm'; (64 << 10) - 31_000]);
    assert_eq!(bench.read(small, (64 << 10) + 10).len(), (64 << 10) + 10);
    bench.finish();
}

/// A peer that takes nothing of its replies is cut when memory is short: its close frame would wait
/// behind them. One that may still read is closed.
#[test]
fn those_that_do_not_read_are_cut_when_memory_is_short() {
    const LEN: usize = 512 << 10;
    for waits in [true, false] {
        let mut bench = Bench::with_memory(2 << 20);
        let stalled: Vec<_> = (0..8).map(|_| bench.stalled()).collect();
        let answers = |of: &[(ClientId, ConnectionId)], len| {
            of.iter().map(|(_, id)| (*id, vec![1; len])).collect()
        };
        bench.rig.0.borrow_mut().answers = answers(&stalled[..3], LEN);
        bench.settle();
        if waits {
            bench.wait(1);
        }
        assert_eq!(bench.shed(), 0, "{}", bench.memory());
        bench.rig.0.borrow_mut().answers = answers(&stalled[3..], LEN * 5 / 8);
        bench.turn_until(|bench| bench.shed() > 0);
        bench.settle();
        let cut = usize::from(waits);
        assert_eq!(bench.rig.0.borrow().ended, vec![CloseReason::Stalled; cut]);
        assert_eq!(bench.shed(), 1);
        // One that was closed and still does not read is cut as well, while memory is short. It
        // has ended for what it held, as it was told.
        bench.rig.0.borrow_mut().answers = answers(&stalled[3..], LEN / 8);
        bench.wait(1);
        let told = CloseReason::Memory(CloseCode::TRY_AGAIN_LATER);
        let first = if waits { CloseReason::Stalled } else { told };
        assert_eq!(bench.rig.0.borrow().ended, vec![first; 2]);
        let limit = 7 * (2 << 20) / 8;
        assert!(bench.memory() <= limit, "{} of {limit}", bench.memory());
        stalled.into_iter().for_each(|(client, _)| bench.network.reset(client));
        bench.finish();
    }
}

/// Input that would cause more replies waits once too many replies wait, also if it was received
/// before.
#[test]
fn input_waits_while_too_many_replies_wait() {
    let mut bench = Bench::new().with_work_per_turn(5_000);
    let client = bench.open();
    bench.network.set_receive_window(client, 1_000);
    let message = [beginning(64 << 10), masked(TEXT, &[b't'; 100])].concat();
    bench.network.write(client, &message.repeat(20));
    bench.settle();
    bench.wait(1);
    let held = bench.memory();
    assert!(held > 256 << 10 && held < 512 << 10, "{held} bytes");
    bench.network.set_receive_window(client, usize::MAX);
    let expected = 20 * ((64 << 10) + 10 + 102);
    assert_eq!(bench.read(client, expected).len(), expected);
    bench.finish();
}

/// What the service holds for all of them, up to half of the memory, leaves them the other half.
#[test]
fn nobody_is_closed_for_what_the_service_holds() {
    let mut bench = Bench::with_memory(1 << 20);
    let mut charge = bench.rig.0.borrow().ledger.open();
    let clients: Vec<ClientId> = (0..10).map(|_| bench.open()).collect();
    for client in &clients {
        bench.network.write(*client, &beginning(1_000));
    }
    charge.set(4 << 20);
    bench.wait(3);
    assert_eq!(bench.shed(), 0);
    clients.iter().for_each(|client| bench.completes(*client));
    charge.set(0);
    bench.finish();
}

/// What many are sent is held once, and is a small part of each one's memory.
#[test]
fn what_many_share_is_charged_once_and_closes_none_of_them() {
    const LEN: usize = 1 << 20;
    let mut bench = Bench::with_memory(4 << 20);
    let many: Vec<_> = (0..20).map(|_| bench.stalled()).collect();
    let few: Vec<_> = (0..4).map(|_| bench.stalled()).collect();
    bench.rig.0.borrow_mut().due = many.iter().map(|(_, id)| (*id, vec![1; LEN])).collect();
    bench.settle();
    assert!((1 << 20..3 << 19).contains(&bench.memory()), "{}", bench.memory());
    let own = few.iter().zip(2..).map(|((_, id), byte)| (*id, vec![byte; LEN]));
    bench.rig.0.borrow_mut().due = own.collect();
    bench.turn_until(|bench| bench.shed() > 0);
    bench.wait(4);
    assert!((1..=2).contains(&bench.shed()), "{}", bench.shed());
    for (client, _) in many {
        bench.network.set_receive_window(client, usize::MAX);
        assert_eq!(bench.read(client, LEN).len(), LEN);
    }
    bench.finish();
}

/// A connection that was closed for its memory keeps it for a short time only, however it reads.
#[test]
fn closed_connections_that_trickle_do_not_keep_memory_short() {
    const LEN: usize = 512 << 10;
    let mut bench = Bench::with_memory(1 << 20);
    let stalled: Vec<_> = (0..3).map(|_| bench.stalled()).collect();
    let answers = stalled.iter().map(|(_, id)| (*id, vec![1; LEN])).collect();
    bench.rig.0.borrow_mut().answers = answers;
    bench.turn_until(|bench| bench.shed() > 0);
    for _ in 0..8 {
        bench.wait(1);
        for (client, _) in &stalled {
            let _ = bench.network.read(*client);
        }
    }
    assert!(bench.memory() <= 7 << 17, "{}", bench.memory());
    bench.finish();
}
