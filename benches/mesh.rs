//! The cost of an item between cores, in batches of 1, 8 and 64: through ports, with the fence and
//! the check of the sleep flag, through the queue below them, and through the library `rtrb`, item
//! by item and in its chunks.
//!
//! `one_thread` measures the instructions, `ping_pong` also the transfer of cache lines between
//! cores: a batch makes a round trip, and an item counts once for both ways. Its threads are pinned
//! to the first two cores and spin.

use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::{Duration, Instant};

use corecast::mesh::{Limits, Port, mesh};
use corecast::server::allowed_cores;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rtrb::RingBuffer;
use rustix::thread::{CpuSet, sched_setaffinity};

#[path = "../src/mesh/spsc.rs"]
#[allow(dead_code, reason = "a part of the library")]
mod spsc;

/// The part of the crate on which `spsc` depends.
mod sync {
    pub(crate) use std::sync::Arc;

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
    }

    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get().cast_const())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

const BATCHES: [u64; 3] = [1, 8, 64];
const ENTRIES: usize = 1024;

/// An item of the size of a shared message: a pointer, a topic, a range.
type Item = [u64; 4];

const fn item(number: u64) -> Item {
    [number; 4]
}

/// One end of a pair that is connected both ways.
trait End: Send + Sized + 'static {
    const NAME: &str;

    fn pair() -> (Self, Self);

    /// Sends a batch; there is room for it.
    fn send(&mut self, batch: u64);

    /// Takes all items that are there, and returns their number.
    fn take(&mut self) -> u64;
}

impl End for Port<Item> {
    const NAME: &str = "port";

    fn pair() -> (Self, Self) {
        let limits = Limits { entries: ENTRIES, ..Limits::default() };
        let mut ports = mesh(2, limits).into_iter();
        (ports.next().unwrap(), ports.next().unwrap())
    }

    fn send(&mut self, batch: u64) {
        let to = 1 - self.number();
        for number in 0..batch {
            assert!(self.push(to, 100, black_box(item(number))).is_ok());
        }
        self.publish(|_| unreachable!("no core sleeps"));
    }

    fn take(&mut self) -> u64 {
        self.drain(ENTRIES, |_, item| {
            black_box(item);
        }) as u64
    }
}

struct Ring(spsc::Producer<Item>, spsc::Consumer<Item>);

impl End for Ring {
    const NAME: &str = "ring";

    fn pair() -> (Self, Self) {
        let (there, back) = (spsc::queue(ENTRIES, 8 << 20), spsc::queue(ENTRIES, 8 << 20));
        (Self(there.0, back.1), Self(back.0, there.1))
    }

    fn send(&mut self, batch: u64) {
        for number in 0..batch {
            assert!(self.0.push(100, black_box(item(number))).is_ok());
        }
        self.0.publish();
    }

    fn take(&mut self) -> u64 {
        self.1.drain(ENTRIES, |item| {
            black_box(item);
        }) as u64
    }
}

struct Library(rtrb::Producer<Item>, rtrb::Consumer<Item>);

impl End for Library {
    const NAME: &str = "rtrb";

    fn pair() -> (Self, Self) {
        let (there, back) = (RingBuffer::new(ENTRIES), RingBuffer::new(ENTRIES));
        (Self(there.0, back.1), Self(back.0, there.1))
    }

    fn send(&mut self, batch: u64) {
        for number in 0..batch {
            assert!(self.0.push(black_box(item(number))).is_ok());
        }
    }

    fn take(&mut self) -> u64 {
        let mut count = 0;
        while let Ok(item) = self.1.pop() {
            black_box(item);
            count += 1;
        }
        count
    }
}

struct Chunks(rtrb::Producer<Item>, rtrb::Consumer<Item>);

impl End for Chunks {
    const NAME: &str = "rtrb_chunks";

    fn pair() -> (Self, Self) {
        let (one, other) = Library::pair();
        (Self(one.0, one.1), Self(other.0, other.1))
    }

    fn send(&mut self, batch: u64) {
        let chunk = self.0.write_chunk_uninit(batch as usize).unwrap();
        let items = (0..batch).map(|number| black_box(item(number)));
        assert_eq!(chunk.fill_from_iter(items) as u64, batch);
    }

    fn take(&mut self) -> u64 {
        let count = self.1.slots();
        if count > 0 {
            for item in self.1.read_chunk(count).unwrap() {
                black_box(item);
            }
        }
        count as u64
    }
}

fn one_thread<E: End>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh/one_thread");
    for batch in BATCHES {
        let (mut sender, mut taker) = E::pair();
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new(E::NAME, batch), |bencher| {
            bencher.iter(|| {
                sender.send(batch);
                assert_eq!(taker.take(), batch);
            });
        });
    }
    group.finish();
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).unwrap();
}

fn take_all<E: End>(end: &mut E, batch: u64) {
    let mut count = 0;
    while count < batch {
        match end.take() {
            0 => spin_loop(),
            some => count += some,
        }
    }
}

/// The time of `rounds` round trips of a batch, without the start of the threads.
fn rounds<E: End>(batch: u64, rounds: u64, cores: [usize; 2]) -> Duration {
    let (mut near, mut far) = E::pair();
    let echo = thread::spawn(move || {
        pin(cores[1]);
        for _ in 0..=rounds {
            take_all(&mut far, batch);
            far.send(batch);
        }
    });
    let timed = thread::spawn(move || {
        pin(cores[0]);
        // The first round waits for the other thread to run.
        near.send(batch);
        take_all(&mut near, batch);
        let start = Instant::now();
        for _ in 0..rounds {
            near.send(batch);
            take_all(&mut near, batch);
        }
        start.elapsed()
    });
    echo.join().unwrap();
    timed.join().unwrap()
}

fn ping_pong<E: End>(criterion: &mut Criterion) {
    let cores = allowed_cores();
    let [first, second, ..] = cores[..] else {
        eprintln!("mesh/ping_pong: needs two cores");
        return;
    };
    let mut group = criterion.benchmark_group("mesh/ping_pong");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new(E::NAME, batch), |bencher| {
            bencher.iter_custom(|count| rounds::<E>(batch, count, [first, second]));
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    one_thread::<Port<Item>>,
    one_thread::<Ring>,
    one_thread::<Library>,
    one_thread::<Chunks>,
    ping_pong::<Port<Item>>,
    ping_pong::<Ring>,
    ping_pong::<Library>,
    ping_pong::<Chunks>,
);
criterion_main!(benches);
