//! Clients that go on sending and do not read their answers.

use std::time::Duration;

use super::{Bench, masked};
use crate::session::CloseReason;

const TEXT: u8 = 0x81;

/// What it sends is not handled any more once too many answers wait for it. It is told of that by
/// the end of its connection, some seconds later, however slowly the answers have become too many.
#[test]
fn a_client_whose_input_waits_for_its_answers_is_given_up_soon() {
    for answer in [16_000, 40_000, 400_000] {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/hold");
        bench.read_head(client);
        bench.network.set_receive_window(client, 1_000);
        let id = *bench.rig.0.borrow().opened.last().unwrap();
        let (mut blocked_at, mut seconds) = (None, 0);
        while bench.rig.0.borrow().ended.is_empty() {
            bench.network.write(client, &masked(TEXT, b"more").repeat(100));
            if blocked_at.is_none() {
                bench.rig.0.borrow_mut().answers = vec![(id, vec![0; answer])];
            }
            bench.wait(1);
            seconds += 1;
            if blocked_at.is_none() && bench.worker.stats().paused > 0 {
                blocked_at = Some(bench.network.now());
            }
            assert!(seconds < 60, "answers of {answer} bytes: {:?}", bench.worker.stats());
        }
        let waited = bench.network.now() - blocked_at.expect("its input waits");
        assert!(waited < Duration::from_secs(12), "answers of {answer} bytes: {waited:?}");
        assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Stalled]);
        bench.finish();
    }
}
