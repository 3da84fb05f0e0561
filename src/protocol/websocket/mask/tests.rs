//! Goal: every kernel, and the selection between them, agrees with a loop over bytes.
//! Method: all small lengths, phases, alignments and shifts, then random large ones; the whole
//! buffer is compared, so that a stray write is seen.

use super::{Kernel, MaskKey, unmask, unmask_shift};

const KEY: [u8; 4] = [0x9d, 0x1f, 0x72, 0xe4];

/// The rule of RFC 6455 section 5.3, one byte at a time.
fn naive(source: &[u8], key: [u8; 4], phase: usize) -> (Vec<u8>, bool) {
    let plain: Vec<u8> =
        source.iter().enumerate().map(|(i, byte)| byte ^ key[(i + phase) % 4]).collect();
    let ascii = plain.iter().all(u8::is_ascii);
    (plain, ascii)
}

/// A masked payload whose plain form is ASCII except for the byte at `high`, if that is inside.
fn payload(len: usize, phase: usize, high: usize) -> Vec<u8> {
    let mut plain: Vec<u8> = (0..128).cycle().step_by(7).take(len).collect();
    if let Some(byte) = plain.get_mut(high) {
        *byte |= 0x80;
    }
    naive(&plain, KEY, phase).0
}

type Unmask<'a> = &'a dyn Fn(&mut [u8], usize, usize, usize, MaskKey) -> bool;

/// Calls `run` with each implementation that this machine can run.
fn each_kernel(mut run: impl FnMut(&str, Unmask<'_>)) {
    run("chosen", &unmask_shift);
    run("chosen, in place or shifted", &|buf, from, to, len, key| {
        if from == to {
            unmask(&mut buf[from..from + len], key)
        } else {
            unmask_shift(buf, from, to, len, key)
        }
    });
    for kernel in Kernel::available() {
        run(kernel.name(), &|buf, from, to, len, key| {
            if from == to {
                kernel.unmask(&mut buf[from..from + len], key)
            } else {
                kernel.unmask_shift(buf, from, to, len, key)
            }
        });
    }
}

/// Fails unless `unmask` changes `buf` exactly as the naive loop does.
fn check(
    name: &str,
    unmask: Unmask<'_>,
    (before, buf): (&[u8], &mut [u8]),
    (from, to, len): (usize, usize, usize),
    (phase, want, ascii): (usize, &[u8], bool),
) {
    buf.copy_from_slice(before);
    let got = unmask(buf, from, to, len, MaskKey::new(KEY).advanced(phase));
    let context = || format!("{name}: len {len}, phase {phase}, from {from}, to {to}");
    assert_eq!(got, ascii, "ascii verdict of {}", context());
    assert!(&buf[to..to + len] == want, "bytes of {}", context());
    assert!(buf[..to] == before[..to], "bytes before {}", context());
    let kept = (to + len).max(from);
    assert!(buf[kept..] == before[kept..], "bytes behind {}", context());
    assert!(
        buf[to + len..kept] == before[to + len..kept],
        "bytes between destination and source of {}",
        context()
    );
}

fn check_small(lengths: impl Iterator<Item = usize>) {
    for len in lengths {
        for phase in 0..4 {
            // One in eight is all ASCII; the others have one high byte, at a changing place.
            let high = if (len + phase) % 8 == 0 { len } else { len * 31 % (len + 1) };
            let source = payload(len, phase, (high + phase * 17) % (len + 1));
            let (want, ascii) = naive(&source, KEY, phase);
            for to in 0..=64 {
                for shift in 0..=16 {
                    let from = to + shift;
                    let mut before = vec![0xa5; from + len + 64];
                    before[from..from + len].copy_from_slice(&source);
                    let mut buf = vec![0; before.len()];
                    each_kernel(|name, unmask| {
                        let case = (phase, want.as_slice(), ascii);
                        check(name, unmask, (&before, &mut buf), (from, to, len), case);
                    });
                }
            }
        }
    }
}

#[test]
fn agrees_with_naive_loop_up_to_100_bytes() {
    check_small(0..=100);
}

#[test]
fn agrees_with_naive_loop_up_to_200_bytes() {
    check_small(101..=200);
}

#[test]
fn agrees_with_naive_loop_up_to_300_bytes() {
    check_small(201..=300);
}

#[test]
fn agrees_with_naive_loop_on_large_payloads() {
    let mut random = fastrand::Rng::with_seed(6455);
    for _ in 0..1000 {
        let len = random.usize(300..20_000);
        let phase = random.usize(0..4);
        let to = random.usize(0..130);
        let from = to + if random.bool() { 0 } else { random.usize(0..2 * len) };
        let high = if random.bool() { len } else { random.usize(0..len) };
        let source = payload(len, phase, high);
        let (want, ascii) = naive(&source, KEY, phase);
        let mut before: Vec<u8> = (0..from + len + 100).map(|_| random.u8(..)).collect();
        before[from..from + len].copy_from_slice(&source);
        let mut buf = vec![0; before.len()];
        each_kernel(|name, unmask| {
            let case = (phase, want.as_slice(), ascii);
            check(name, unmask, (&before, &mut buf), (from, to, len), case);
        });
    }
}

#[test]
fn every_single_high_byte_is_seen() {
    for len in [1, 3, 7, 15, 20, 32, 50, 64, 65, 125, 129, 300, 1500] {
        for high in 0..=len {
            let source = payload(len, 0, high);
            each_kernel(|name, unmask| {
                let mut buf = source.clone();
                let ascii = unmask(&mut buf, 0, 0, len, MaskKey::new(KEY));
                assert_eq!(ascii, high == len, "{name}: len {len}, high byte at {high}");
            });
        }
    }
}

#[test]
fn pieces_with_an_advanced_key_equal_the_whole() {
    let source = payload(500, 0, 250);
    let (want, _) = naive(&source, KEY, 0);
    for cut in 0..=500 {
        let mut buf = source.clone();
        let (left, right) = buf.split_at_mut(cut);
        let key = MaskKey::new(KEY);
        let ascii = [unmask(left, key), unmask(right, key.advanced(cut))];
        assert_eq!(ascii, [cut <= 250, cut > 250], "cut at {cut}");
        assert!(buf == want, "cut at {cut}");
    }
}

#[test]
fn key_phase_is_cyclic() {
    let key = MaskKey::new([1, 2, 3, 4]);
    assert_eq!(key.bytes(), [1, 2, 3, 4]);
    assert_eq!(key.advanced(1).bytes(), [2, 3, 4, 1]);
    assert_eq!(key.advanced(3).bytes(), [4, 1, 2, 3]);
    assert_eq!(key.advanced(4), key);
    assert_eq!(key.advanced(usize::MAX), key.advanced(3));
}

#[test]
fn ranges_outside_of_the_buffer_panic() {
    let panics = |from: usize, to: usize, len: usize| {
        std::panic::catch_unwind(|| unmask_shift(&mut [0; 8], from, to, len, MaskKey::default()))
            .is_err()
    };
    assert!(panics(0, 1, 4), "to the right");
    assert!(panics(4, 0, 5), "past the end");
    assert!(panics(9, 0, 0), "starts past the end");
    assert!(panics(4, 0, usize::MAX), "length overflows");
    assert!(!panics(8, 0, 0), "empty at the end");
    assert!(!panics(4, 4, 4), "up to the end");
}
