//! Time to unmask a payload, per implementation present on this machine and per size.
//!
//! Each iteration unmasks [`MESSAGES`] adjacent messages, as in a pipelined receive buffer: one
//! message repeated would measure store-to-load forwarding.

use std::hint::black_box;

use corecast::protocol::websocket::mask::{Kernel, MaskKey, unmask, unmask_shift};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Payload lengths, each with the number of adjacent messages.
const SIZES: [(usize, usize); 6] =
    [(5, 64), (20, 64), (125, 64), (1024, 16), (16 << 10, 1), (1 << 20, 1)];

/// The length of a client's frame header before a payload of `len` bytes.
const fn header_len(len: usize) -> usize {
    match len {
        0..=125 => 6,
        126..=0xffff => 8,
        _ => 14,
    }
}

type Unmask<'a> = &'a dyn Fn(&mut [u8], usize, MaskKey) -> bool;

/// Runs `one` over all messages; `one` is generic so that the chosen path is inlined as in the
/// server.
fn all(buf: &mut [u8], len: usize, key: MaskKey, one: impl Fn(&mut [u8], MaskKey) -> bool) -> bool {
    let stride = header_len(len) + len;
    buf.chunks_exact_mut(stride).fold(true, |ascii, frame| one(frame, key) & ascii)
}

fn group(
    criterion: &mut Criterion,
    name: &str,
    chosen: Unmask<'_>,
    kernel: fn(Kernel, &mut [u8], usize, MaskKey) -> bool,
) {
    let mut group = criterion.benchmark_group(name);
    let key = black_box(MaskKey::new([0x37, 0xfa, 0x21, 0x3d]));
    for (len, messages) in SIZES {
        let mut buf = vec![b'a'; (header_len(len) + len) * messages];
        group.throughput(Throughput::Bytes((len * messages) as u64));
        let id = |name| BenchmarkId::new(name, format!("{len}x{messages}"));
        group.bench_function(id("chosen"), |bencher| {
            bencher.iter(|| chosen(black_box(&mut buf), len, key));
        });
        for present in Kernel::available() {
            group.bench_function(id(present.name()), |bencher| {
                bencher.iter(|| kernel(present, black_box(&mut buf), len, key));
            });
        }
    }
}

fn in_place(criterion: &mut Criterion) {
    group(
        criterion,
        "mask/in_place",
        &|buf, len, key| {
            all(buf, len, key, |frame, key| unmask(&mut frame[header_len(len)..], key))
        },
        |kernel, buf, len, key| {
            all(buf, len, key, |frame, key| kernel.unmask(&mut frame[header_len(len)..], key))
        },
    );
}

/// The reply's header is four bytes shorter than the request's, which carries the key.
fn shift(criterion: &mut Criterion) {
    group(
        criterion,
        "mask/shift_by_4",
        &|buf, len, key| {
            let from = header_len(len);
            all(buf, len, key, |frame, key| unmask_shift(frame, from, from - 4, len, key))
        },
        |kernel, buf, len, key| {
            let from = header_len(len);
            all(buf, len, key, |frame, key| kernel.unmask_shift(frame, from, from - 4, len, key))
        },
    );
}

criterion_group!(benches, in_place, shift);
criterion_main!(benches);
