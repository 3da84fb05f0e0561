//! The rule against a model of a peer: a program that reads at some rate, behind a kernel with a
//! receive buffer that advertises room only when there is some.

use super::*;

const PING_AFTER: u64 = 30_000;
const PONG: Duration = Duration::from_secs(15);
const STALL: Duration = Duration::from_secs(60);
const CHECK: u64 = 5_000;

/// A peer that has been sent `written` bytes and reads them at `rate` bytes for each second.
struct Peer {
    written: u64,
    read: u64,
    /// Its receive buffer, and how much of it has to be free before it advertises any.
    buffer: u64,
    quantum: u64,
    acked: u64,
    rate: u64,
}

impl Peer {
    fn new(written: u64, buffer: u64, rate: u64) -> Self {
        let mut peer = Self { written, read: 0, buffer, quantum: buffer / 16, acked: 0, rate };
        peer.advance(0);
        peer
    }

    /// Lets time pass, second by second.
    fn advance(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.read = (self.read + self.rate).min(self.acked);
            self.take();
        }
        self.take();
    }

    fn take(&mut self) {
        if self.read + self.buffer >= self.acked + self.quantum {
            self.acked = self.written.min(self.read + self.buffer);
        }
    }

    fn progress(&self) -> SendProgress {
        // An open window is not advertised anew before something is sent.
        let window = if self.acked < self.written { 0 } else { self.buffer / 3 };
        let (written, acked) = (self.written, self.acked);
        let (window_edge, since_ack_ms) = (acked + window, 40_000);
        SendProgress {
            written,
            acked,
            window_edge,
            in_flight: false,
            since_ack_ms,
            unread: 0,
            received: 0,
        }
    }
}

/// What a connection that pings at 30 s does, until it is closed (`Err`) or the peer has read the
/// ping (`Ok`): the second at which that is.
fn run(peer: &mut Peer) -> Result<u64, u64> {
    let mut tracker = ReadTracker::default();
    tracker.note(Millis(0), &SendProgress::default(), Millis(0));
    let pinged_at = Millis(PING_AFTER);
    peer.advance(PING_AFTER / 1000);
    let mut now = PING_AFTER;
    let before = peer.written;
    loop {
        let progress = peer.progress();
        tracker.note(Millis(now), &progress, Millis(0));
        if tracker.pong_due(&progress, pinged_at, PONG, STALL) <= Millis(now) {
            return Err(now / 1000);
        }
        if now == PING_AFTER {
            peer.written += 2;
        }
        peer.advance(CHECK / 1000);
        now += CHECK;
        if peer.read > before {
            return Ok(now / 1000);
        }
        assert!(now < 10_000_000, "neither read nor closed");
    }
}

/// Whatever its receive buffer holds, and however large that is, a peer that reads more than
/// [`SLOWEST_READER`] has the time to read up to the ping.
#[test]
fn a_slow_reader_has_the_time_that_it_needs() {
    for rate in [9_000, 12_000, 40_000, 150_000, 5_000_000] {
        for buffer in [4 << 10, 32 << 10, 128 << 10, 1 << 20, 4 << 20] {
            for written in [0, 1_000, 200_000, 2_000_000, 8_000_000, 40_000_000] {
                let mut peer = Peer::new(written, buffer, rate);
                let took = run(&mut peer);
                assert!(took.is_ok(), "{rate} B/s, {buffer}, {written}: closed at {took:?}");
            }
        }
    }
}

/// Slower ones as well as long as their kernel shows progress, which takes 4 KiB a minute.
#[test]
fn a_peer_that_makes_room_now_and_then_is_there() {
    for rate in [100, 1_000] {
        let mut peer = Peer::new(400_000, 32 << 10, rate);
        let took = run(&mut peer);
        assert!(took.is_ok() || peer.acked == peer.written, "{rate} B/s: closed at {took:?}");
    }
}

/// One that reads nothing is closed `stall` after the ping once its window is closed.
#[test]
fn a_peer_that_reads_nothing_is_closed() {
    for written in [200_000, 2_000_000] {
        let took = run(&mut Peer::new(written, 64 << 10, 0));
        assert_eq!(took, Err(30 + 60), "{written}");
    }
}

/// With nothing to read but the ping, and its kernel there: a program that hangs.
#[test]
fn a_peer_with_nothing_to_read_is_closed_in_time() {
    for written in [0, 1_000, 100_000] {
        let took = run(&mut Peer::new(written, 1 << 20, 0));
        assert_eq!(took, Err(30 + 15), "{written}");
    }
}

/// How long is waited for what may lie in its receive buffer has a limit.
#[test]
fn what_was_read_before_does_not_count_and_there_is_a_limit() {
    let at = |seconds: u64| Millis(seconds * 1000);
    let all_acked = |bytes| {
        let (written, acked, window_edge) = (bytes, bytes, bytes);
        SendProgress { written, acked, window_edge, ..SendProgress::default() }
    };
    let due = |tracker: &mut ReadTracker, bytes| {
        tracker.pong_due(&all_acked(bytes), at(300), PONG, STALL);
        let progress = all_acked(bytes + 2);
        tracker.pong_due(&progress, at(300), PONG, STALL)
    };
    // It spoke after a gigabyte had been written, and was sent 1 MB since.
    let mut tracker = ReadTracker::default();
    tracker.note(at(100), &all_acked(1 << 30), at(99));
    tracker.note(at(200), &all_acked(1 << 30), at(199));
    assert!(tracker.is_needed(PONG));
    assert_eq!(due(&mut tracker, (1 << 30) + (1 << 20)), at(300 + 128));
    // It spoke, but before it was sent the gigabyte.
    let mut tracker = ReadTracker::default();
    tracker.note(at(200), &all_acked(1 << 30), at(100));
    assert_eq!(due(&mut tracker, 1 << 30), at(300 + 512));
    // Little was ever sent.
    let mut tracker = ReadTracker::default();
    tracker.note(at(200), &all_acked(100_000), at(100));
    assert!(!tracker.is_needed(PONG));
    assert_eq!(due(&mut tracker, 100_000), at(300 + 15));
}

fn lost(window_edge: u64) -> SendProgress {
    let (written, acked, since_ack_ms) = (9_000_000, 8_000_000, 0);
    SendProgress {
        written,
        acked,
        window_edge,
        in_flight: true,
        since_ack_ms,
        unread: 0,
        received: 0,
    }
}

/// On a slow path that loses segments the same is acknowledged again and again: the host is there.
#[test]
fn a_host_that_acknowledges_the_same_again_is_there() {
    let mut tracker = ReadTracker::default();
    for seconds in (30..90).step_by(5) {
        let now = Millis(u64::from(seconds) * 1000);
        let progress = SendProgress { since_ack_ms: seconds % 7 * 1000, ..lost(8_100_000) };
        tracker.note(now, &progress, Millis(0));
        let due = tracker.pong_due(&progress, Millis(30_000), PONG, STALL);
        assert_eq!(due, Millis(90_000), "at {seconds} s");
    }
}

/// What was sent is not acknowledged: the peer's host or the way to it is gone. That is noticed in
/// time, however much it had to read.
#[test]
fn a_host_that_acknowledges_nothing_is_gone_in_time() {
    for window in [0, 64 << 10] {
        let mut tracker = ReadTracker::default();
        for seconds in (30..45).step_by(5) {
            let now = Millis(u64::from(seconds) * 1000);
            let since_ack_ms = (seconds - 29) * 1000;
            let progress = SendProgress { since_ack_ms, ..lost(8_000_000 + window) };
            tracker.note(now, &progress, Millis(0));
            let due = tracker.pong_due(&progress, Millis(30_000), PONG, STALL);
            // It was there a moment before the ping.
            let expected = if seconds < 37 { 90_000 } else { 45_000 };
            assert_eq!(due, Millis(expected), "at {seconds} s");
        }
    }
}

/// A window that is advertised in units, and a kernel that accounts differently, are no progress.
#[test]
fn small_movements_of_the_edge_are_no_progress() {
    let mut edge = WindowEdge::default();
    assert!(!edge.advances(100_000), "nothing to compare it with");
    for at in [100_000, 101_024, 99_000, 104_095, 100_000, 102_048] {
        assert!(!edge.advances(at), "{at}");
    }
    assert!(edge.advances(104_096));
    assert!(!edge.advances(104_096));
    // Small steps add up.
    let moved = (0..100).filter(|step| edge.advances(104_096 + step * 1_000)).count();
    assert_eq!(moved, 19);
}
