//! Time to validate a text, and to unmask and validate it in one pass or in two, per
//! implementation present on this machine.

use std::hint::black_box;

use corecast::protocol::websocket::mask::{MaskKey, unmask};
use corecast::protocol::websocket::utf8::{Kernel, Validator, unmask_text};
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

const SCRIPTS: [(&str, &str); 3] = [
    ("ascii", "The quick brown fox jumps over the lazy dog. "),
    ("korean", "다람쥐헌쳇바퀴에타고파"),
    ("emoji", "😀🎉🚀🌍🔥"),
];

/// The offset after the header of a client's frame, so the text is never aligned.
const MISALIGNMENT: usize = 14;

/// About `len` bytes of whole repetitions of `sample`, after as many zeros as a frame header has
/// bytes.
fn frame(sample: &str, len: usize) -> Vec<u8> {
    let mut frame = vec![0; MISALIGNMENT];
    frame.extend(sample.repeat(len / sample.len()).bytes());
    frame
}

fn each_text(
    criterion: &mut Criterion,
    name: &str,
    sizes: &[usize],
    run: impl Fn(&mut BenchmarkGroup<'_, WallTime>, String, &mut [u8]),
) {
    let mut group = criterion.benchmark_group(name);
    for (script, sample) in SCRIPTS {
        for len in sizes {
            let mut frame = frame(sample, *len);
            let text = &mut frame[MISALIGNMENT..];
            group.throughput(Throughput::Bytes(text.len() as u64));
            run(&mut group, format!("{script}/{len}"), text);
        }
    }
}

fn validate(criterion: &mut Criterion) {
    each_text(criterion, "utf8/validate", &[60, 512, 16 << 10, 1 << 20], |group, id, text| {
        for kernel in Kernel::available() {
            group.bench_function(BenchmarkId::new(kernel.name(), &id), |bencher| {
                bencher.iter(|| kernel.push(&mut Validator::new(), black_box(text)));
            });
        }
    });
}

/// The key is zero, which the compiler does not know, so that every iteration has the same text.
fn unmask_and_validate(criterion: &mut Criterion) {
    each_text(
        criterion,
        "utf8/unmask_and_validate",
        &[60, 16 << 10, 1 << 20],
        |group, id, text| {
            let key = black_box(MaskKey::new([0; 4]));
            group.bench_function(BenchmarkId::new("chosen", &id), |bencher| {
                bencher.iter(|| unmask_text(black_box(text), key, &mut Validator::new()));
            });
            for kernel in Kernel::available() {
                let name = format!("{}, one pass", kernel.name());
                group.bench_function(BenchmarkId::new(name, &id), |bencher| {
                    bencher
                        .iter(|| kernel.unmask_text(black_box(text), key, &mut Validator::new()));
                });
                let name = format!("{}, two passes", kernel.name());
                group.bench_function(BenchmarkId::new(name, &id), |bencher| {
                    bencher.iter(|| {
                        if unmask(black_box(text), key) {
                            Validator::new().push_ascii(text.len())
                        } else {
                            kernel.push(&mut Validator::new(), text)
                        }
                    });
                });
            }
        },
    );
}

criterion_group!(benches, validate, unmask_and_validate);
criterion_main!(benches);
