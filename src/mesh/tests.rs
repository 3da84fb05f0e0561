//! The mesh on one thread, step by step, and on real threads, by the million. The interleavings are
//! tried in `tests/mesh_loom.rs`.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::*;

fn ports<T: Send, const CORES: usize>(entries: usize, bytes: usize) -> [Port<T>; CORES] {
    mesh(CORES, Limits { entries, bytes }).try_into().unwrap()
}

fn silent(core: usize) {
    panic!("core {core} does not sleep");
}

fn take<T>(port: &mut Port<T>, max: usize) -> Vec<(usize, T)> {
    let mut taken = Vec::new();
    assert_eq!(port.drain(max, |from, item| taken.push((from, item))), taken.len());
    taken
}

#[test]
fn ports_know_their_numbers() {
    for cores in 0..5 {
        let ports = mesh::<u8>(cores, Limits::default());
        assert!(ports.iter().map(Port::number).eq(0..cores));
        assert!(ports.iter().all(|port| port.cores() == cores && !port.has_incoming()));
    }
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let [mut first, mut second, mut third] = ports(8, 8);
    assert_eq!(first.push(2, 1, "a"), Ok(()));
    assert_eq!(first.push(2, 1, "b"), Ok(()));
    assert_eq!(second.push(2, 1, "c"), Ok(()));
    assert!(!third.has_incoming());
    assert_eq!(take(&mut third, 8), []);
    first.publish(silent);
    assert!(third.has_incoming());
    assert_eq!(take(&mut third, 8), [(0, "a"), (0, "b")]);
    second.publish(silent);
    assert_eq!(take(&mut third, 8), [(1, "c")]);
    assert!(!third.has_incoming() && !first.has_incoming() && !second.has_incoming());
}

#[test]
fn a_batch_has_a_bound_and_frees_its_space_at_the_end() {
    let [mut sender, mut taker] = ports(4, 100);
    for item in 0..4 {
        assert_eq!(sender.push(1, 1, item), Ok(()));
    }
    assert_eq!(sender.push(1, 1, 4), Err(4));
    sender.publish(silent);
    let mut next = 0;
    let count = taker.drain(3, |_, item| {
        assert_eq!(item, next);
        next += 1;
        assert_eq!(sender.push(1, 1, 9), Err(9), "in the middle of a batch");
    });
    assert_eq!(count, 3);
    assert!(taker.has_incoming());
    assert_eq!(taker.drain(0, |_, _| panic!("none was asked for")), 0);
    for item in 4..7 {
        assert_eq!(sender.push(1, 1, item), Ok(()));
    }
    assert_eq!(sender.push(1, 1, 7), Err(7));
    assert_eq!(take(&mut taker, 9), [(0, 3)]);
    sender.publish(silent);
    assert_eq!(take(&mut taker, 9), [(0, 4), (0, 5), (0, 6)]);
}

#[test]
fn entries_are_rounded_up_to_a_power_of_two() {
    for (entries, rounded) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (1000, 1024)] {
        let [mut sender, _taker] = ports(entries, usize::MAX);
        let pushed = (0..5000).take_while(|item| sender.push(1, 1, *item).is_ok()).count();
        assert_eq!(pushed, rounded, "{entries}");
    }
}

/// Against a model that adds up the bytes of a queue; sizes go up to the largest there is.
#[test]
fn bytes_are_bounded_except_in_an_empty_queue() {
    const SIZES: [usize; 8] = [0, 1, 2, 30, 70, 100, 101, usize::MAX];
    let mut random = fastrand::Rng::with_seed(7);
    for limit in [0, 1, 100, usize::MAX] {
        let [mut sender, mut taker] = ports(8, limit);
        let mut model = VecDeque::new();
        let (mut refused, mut accepted) = (0, 0);
        for _ in 0..20_000 {
            let bytes = SIZES[random.usize(..SIZES.len())];
            let sum = model.iter().chain([&bytes]).try_fold(0_usize, |sum, x| sum.checked_add(*x));
            let fits = model.len() < 8 && sum.is_some_and(|sum| sum <= limit);
            if fits || model.is_empty() {
                assert_eq!(sender.push(1, bytes, bytes), Ok(()), "{model:?}");
                model.push_back(bytes);
                accepted += 1;
            } else {
                assert_eq!(sender.push(1, bytes, bytes), Err(bytes), "{model:?}");
                refused += 1;
            }
            sender.publish(silent);
            let max = random.usize(..3);
            let expected: Vec<_> = model.drain(..max.min(model.len())).map(|x| (0, x)).collect();
            assert_eq!(take(&mut taker, max), expected);
        }
        assert!(refused > 1000 && accepted > 1000, "{refused} {accepted}");
    }
}

#[test]
#[should_panic(expected = "core 1 is not another core")]
fn a_core_has_no_way_to_itself() {
    let [_, mut port, _] = ports(8, 8);
    let _ = port.push(1, 0, 0);
}

#[test]
#[should_panic(expected = "core 3 is not another core")]
fn a_core_beyond_the_last_is_none() {
    let [_, mut port, _] = ports(8, 8);
    let _ = port.push(3, 0, 0);
}

#[test]
fn a_sleeping_core_is_woken_once() {
    let [mut sleeper, mut first, mut second] = ports(8, 8);
    let handle = sleeper.sleep_flag();
    assert!(!handle.needs_wake());
    assert!(sleeper.try_sleep());

    let mut wakes = Vec::new();
    first.publish(|core| wakes.push(core));
    assert!(wakes.is_empty(), "nothing was pushed");
    for port in [&mut first, &mut second] {
        assert_eq!(port.push(0, 1, ()), Ok(()));
        assert_eq!(port.push(0, 1, ()), Ok(()));
        port.publish(|core| wakes.push(core));
    }
    assert_eq!(wakes, [0]);
    assert!(!handle.needs_wake(), "it was woken already");
    sleeper.wake_up();

    assert!(!sleeper.try_sleep(), "there is an item to take");
    assert!(!handle.needs_wake(), "it did not go to sleep");
    assert_eq!(take(&mut sleeper, 8).len(), 4);
    assert!(sleeper.try_sleep());
    assert!(handle.clone().needs_wake());
    assert!(!handle.needs_wake());
    sleeper.wake_up();
    assert!(sleeper.try_sleep());
    sleeper.wake_up();
    assert!(!handle.needs_wake(), "it runs");
}

#[test]
fn each_item_is_dropped_once() {
    let item = Arc::new(());
    let held = |expected: usize| assert_eq!(Arc::strong_count(&item), 1 + expected);
    for (published, pushed, taken) in [(0, 3, 0), (3, 3, 0), (3, 3, 2), (4, 7, 1), (8, 8, 8)] {
        for sender_first in [false, true] {
            let [mut sender, mut taker] = ports(8, 8);
            for number in 1..=pushed {
                assert!(sender.push(1, 1, Arc::clone(&item)).is_ok());
                if number == published {
                    sender.publish(silent);
                }
            }
            drop(take(&mut taker, taken));
            held(pushed - taken);
            if sender_first {
                drop(sender);
                held(published - taken);
                assert_eq!(take(&mut taker, 8).len(), published - taken);
            } else {
                drop(taker);
                held(pushed - taken);
                drop(sender);
            }
            held(0);
        }
    }
}

#[test]
fn a_panic_in_the_middle_of_a_batch_loses_only_its_item() {
    let [mut sender, mut taker] = ports(4, 8);
    for item in 0..4 {
        assert!(sender.push(1, 1, Box::new(item)).is_ok());
    }
    sender.publish(silent);
    let panics = AssertUnwindSafe(|| taker.drain(4, |_, item| assert_ne!(*item, 1, "on purpose")));
    assert!(catch_unwind(panics).is_err());
    assert!(sender.push(1, 1, Box::new(4)).is_ok(), "two are free");
    sender.publish(silent);
    assert_eq!(take(&mut taker, 9), [(0, Box::new(2)), (0, Box::new(3)), (0, Box::new(4))]);
}

/// Sleeps until it is woken. A lost wake-up fails the test instead of hanging it.
fn sleep() {
    let start = Instant::now();
    thread::park_timeout(Duration::from_secs(20));
    assert!(start.elapsed() < Duration::from_secs(20), "a wake-up was lost");
}

/// What one core does until it has sent `each` items to each other core and got as many.
fn exchange(mut port: Port<u64>, each: u64, threads: &[OnceLock<Thread>], start: &Barrier) {
    let own = port.number();
    assert!(threads[own].set(thread::current()).is_ok());
    start.wait();
    let cores = port.cores();
    let mut random = fastrand::Rng::with_seed(own as u64);
    let (mut sent, mut got) = (vec![0; cores], vec![0; cores]);
    sent[own] = each;
    got[own] = each;
    while sent.iter().chain(&got).any(|count| *count < each) {
        let mut full = false;
        for (to, sent) in sent.iter_mut().enumerate().filter(|(to, _)| *to != own) {
            let end = each.min(*sent + random.u64(0..100));
            while *sent < end && !full {
                full = port.push(to, random.usize(..64), *sent).is_err();
                *sent += u64::from(!full);
            }
        }
        port.publish(|core| threads[core].get().unwrap().unpark());
        let count = port.drain(random.usize(..100), |from, item| {
            assert_eq!(item, got[from], "in order, none lost, none twice");
            got[from] += 1;
        });
        if full && count == 0 {
            // Freed space wakes no core.
            thread::yield_now();
        }
        let is_done = sent.iter().all(|count| *count == each);
        if is_done && got.iter().any(|count| *count < each) && port.try_sleep() {
            sleep();
            port.wake_up();
        }
    }
    assert!(!port.has_incoming());
}

#[test]
fn three_cores_exchange_millions() {
    let each = 500_000;
    let threads = [const { OnceLock::new() }; 3];
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for port in mesh(3, Limits { entries: 256, bytes: 4096 }) {
            scope.spawn(|| exchange(port, each, &threads, &start));
        }
    });
}

/// A core that sleeps whenever it can, woken by another core and by a thread without a port.
#[test]
fn a_core_that_sleeps_all_the_time_misses_nothing() {
    const ITEMS: u64 = 2_000_000;
    const POSTS: u64 = 200_000;
    let [mut taker, mut sender] = ports(256, usize::MAX);
    let (handle, inbox, wakes) = (taker.sleep_flag(), AtomicU64::new(0), AtomicU64::new(0));
    let core = thread::current();
    let wake = || {
        wakes.fetch_add(1, Ordering::Relaxed);
        core.unpark();
    };
    let mut sleeps = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(1);
            let mut sent = 0;
            while sent < ITEMS {
                for _ in 0..random.u64(1..64) {
                    sent += u64::from(sent < ITEMS && sender.push(0, 1, sent).is_ok());
                }
                sender.publish(|core| {
                    assert_eq!(core, 0);
                    wake();
                });
                if random.u8(..4) == 0 {
                    thread::yield_now();
                }
            }
        });
        scope.spawn(|| {
            for post in 1..=POSTS {
                inbox.store(post, Ordering::Relaxed);
                if handle.needs_wake() {
                    wake();
                }
            }
        });
        let (mut next, mut read) = (0, 0);
        while next < ITEMS || read < POSTS {
            taker.drain(usize::MAX, |from, item| {
                assert_eq!((from, item), (1, next));
                next += 1;
            });
            read = inbox.load(Ordering::Relaxed);
            if (next < ITEMS || read < POSTS) && taker.try_sleep() {
                if inbox.load(Ordering::Relaxed) == read {
                    sleep();
                }
                sleeps += 1;
                taker.wake_up();
            }
        }
    });
    let wakes = wakes.into_inner();
    assert!(sleeps > 100 && wakes > 100, "{sleeps} sleeps, {wakes} wakes");
    assert!(!taker.has_incoming());
}
