//! The cost of an echo inside a session, without a socket: whole messages, pipelined, fragmented,
//! and larger than a receive.

use std::sync::Arc;

use corecast::app::echo::Echo;
use corecast::base::{ConnectionId, Millis};
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::session::{Handled, Output, Pools, Session};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[path = "../tests/support/echo.rs"]
mod service;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An open session with the state that its core would share.
struct Core {
    session: Session,
    pools: Pools,
    service: Gateway<Echo>,
}

impl Core {
    fn open() -> Self {
        let mut config = Config::default();
        let service = service::echo(&mut config);
        let id = ConnectionId { slot: 0, generation: 0 };
        let session = Session::new(id, Millis(0), &config, false);
        let mut core = Self { session, pools: Pools::new(Arc::new(config)), service };
        let output = core.receive(&mut REQUEST.to_vec());
        assert!(output.into_owned().0.starts_with(b"HTTP/1.1 101"));
        core
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Output {
        let mut output = Output::default();
        let Self { session, pools, service } = self;
        let handled = session.receive(Millis(1), bytes, 0, pools, service, &mut output);
        assert_eq!(handled, Handled::All);
        output
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xFF);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// Echoes `input`, received in pieces of at most `piece` bytes.
fn echo(c: &mut Criterion, name: &str, input: &[u8], messages: u64, piece: usize) {
    let mut group = c.benchmark_group("assemble");
    group.throughput(Throughput::Elements(messages));
    let mut core = Core::open();
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter_batched_ref(
            || input.to_vec(),
            |input| {
                let mut sent = 0;
                for bytes in input.chunks_mut(piece) {
                    let output = core.receive(bytes);
                    sent += match output.in_place() {
                        Some(range) => range.len(),
                        None => {
                            let (bytes, from) = output.into_owned();
                            let len = bytes.len() - from;
                            core.pools.buffers.give(bytes);
                            len
                        }
                    };
                }
                assert!(sent > 0);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn benches(c: &mut Criterion) {
    let small = frame(0x82, &[7; 20]);
    echo(c, "1 x 20 B", &small, 1, 1 << 14);
    echo(c, "16 x 20 B pipelined", &small.repeat(16), 16, 1 << 14);
    echo(c, "128 x 20 B pipelined", &small.repeat(128), 128, 1 << 14);
    echo(c, "16 KiB binary", &frame(0x82, &[7; 16_384]), 1, 1 << 15);
    echo(c, "16 KiB text", &frame(0x81, "\u{d55c}".repeat(5461).as_bytes()), 1, 1 << 15);
    let mut fragments = frame(0x02, &[7; 100]);
    fragments.extend(frame(0x00, &[7; 100]).repeat(8));
    fragments.extend(frame(0x80, &[7; 100]));
    echo(c, "10 fragments of 100 B", &fragments, 1, 1 << 14);
    echo(c, "1 MiB in receives of 16 KiB", &frame(0x82, &vec![7; 1 << 20]), 1, 1 << 14);
}

criterion_group!(all, benches);
criterion_main!(all);
