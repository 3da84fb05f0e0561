//! The cost of a frame header: parsing a client's, writing a server's.

use std::hint::black_box;

use corecast::protocol::websocket::Opcode;
use corecast::protocol::websocket::frame::{FrameHeader, MAX_SERVER_HEADER, write_server_header};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A client's header for a payload of `len` bytes.
fn client_header(len: u64) -> Vec<u8> {
    let mut bytes = vec![0x82];
    match len {
        0..=125 => bytes.push(0x80 | len as u8),
        126..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0xFF);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend([0x11, 0x22, 0x33, 0x44]);
    bytes
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame_header/parse");
    group.throughput(Throughput::Elements(1));
    for len in [20, 1000, 100_000] {
        let bytes = client_header(len);
        group.bench_with_input(BenchmarkId::from_parameter(len), &bytes, |b, bytes| {
            b.iter(|| FrameHeader::parse(black_box(bytes), false));
        });
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame_header/write");
    group.throughput(Throughput::Elements(1));
    for len in [20, 1000, 100_000] {
        group.bench_with_input(BenchmarkId::from_parameter(len), &len, |b, len| {
            let mut room = [0; MAX_SERVER_HEADER];
            b.iter(|| write_server_header(&mut room, Opcode::Binary, false, black_box(*len)));
        });
    }
    group.finish();
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
