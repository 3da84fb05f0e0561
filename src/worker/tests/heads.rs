//! Request heads of many at once.

use std::time::Duration;

use super::{Bench, masked};
use crate::config::Config;
use crate::io::sim::{ClientId, SimOptions};

const NEWCOMERS: usize = 100;
const LINE: usize = 4_000;

/// A head with a line of [`LINE`] bytes.
fn long_head() -> Vec<u8> {
    let request = super::request("/echo");
    let (start, _) = request.split_at(request.len() - 2);
    [start, b"X: ", &[b'x'; LINE], b"\r\n\r\n"].concat()
}

/// How many newcomers, whose heads lack `missing` bytes that all arrive in one turn, go before a
/// message of somebody who is there.
fn before_a_message(missing: usize) -> usize {
    let options = SimOptions { slots: 128, ..SimOptions::default() };
    // A turn is used up by a few of these heads.
    let mut bench = Bench::with_options(Config::default(), options).with_work_per_turn(100_000);
    let network = bench.network.clone();
    let newcomers: Vec<ClientId> = (0..NEWCOMERS).map(|_| network.connect(0)).collect();
    let head = long_head();
    let (start, end) = head.split_at(head.len() - missing);
    newcomers.iter().for_each(|client| network.write(*client, start));
    bench.turn_until(|bench| bench.worker.connections() == NEWCOMERS);
    newcomers.iter().for_each(|client| {
        bench.turn_until(|_| network.bytes_not_received(*client) == 0);
    });
    // The ring brings what has come in the order of the connections.
    let (there, _) = bench.request("/hold");
    bench.settle();
    newcomers.iter().for_each(|client| network.write(*client, end));
    network.write(there, &masked(0x81, b"ok"));
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

/// The last byte of a head is short input, but it has the work of the whole head: nobody who is
/// there waits for more of them than are handled in two turns.
#[test]
fn heads_that_are_completed_together_hold_up_nobody_who_is_there() {
    for missing in [1, 2, 400] {
        let before = before_a_message(missing);
        assert!(before <= 12, "{missing} bytes are missing: behind {before} heads");
    }
}
