//! The idle timeout, and messages that arrive slowly.

use std::time::Duration;

use super::{Bench, close_frame, frame};
use crate::base::Millis;
use crate::config::Config;
use crate::session::{Output, Phase};

/// A message that arrives slowly is no idle time, in one frame or in fragments; once it stops, it
/// is.
#[test]
fn a_message_under_way_is_not_idle() {
    let whole = frame(0x82, &[7; 200], [1, 2, 3, 4]);
    let fragments = [frame(0x02, &[7; 100], [5; 4]), frame(0x80, &[7; 100], [6; 4])].concat();
    for bytes in [whole, fragments] {
        for step in [1, 7, 60] {
            let mut config = Config::default();
            config.timeouts.idle = Some(Duration::from_secs(5));
            let mut bench = Bench::open_with(config);
            for piece in bytes[..bytes.len() - 1].chunks(step) {
                bench.now = Millis(bench.now.0 + 4_000);
                assert!(bench.receive(piece).is_empty(), "of {step}");
                let Bench { session, pools, now, .. } = &mut bench;
                let mut out = Output::default();
                session.handle_timeout(*now, 0, pools, &mut out);
                assert_eq!(session.phase(), Phase::Open, "of {step}");
            }
            let mut said = bench.timeout();
            while said.is_empty() || bench.session.phase() == Phase::Open {
                said = bench.timeout();
            }
            assert_eq!(said, close_frame(1001, "idle for too long"));
        }
    }
}
