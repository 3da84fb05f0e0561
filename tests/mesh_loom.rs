//! Goal: the mesh loses no message and no wake, keeps the order, and frees every item once, for
//! every interleaving and every allowed delay of a store. Method: the source files of the mesh,
//! with loom's atomics instead of std's. Each model is run through all its executions; with three
//! threads, through all with at most three preemptions. A core that is not woken is a deadlock,
//! which loom reports.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};
use std::sync::{Arc as Plain, Mutex as PlainMutex};

use loom::model::Builder;
use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, Notify};
use loom::thread;
use port::{Limits, Port};
use sleep::SleepFlag;

#[path = "../src/mesh/port.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of the library")]
mod port;
#[path = "../src/mesh/sleep.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of the library")]
mod sleep;
#[path = "../src/mesh/spsc.rs"]
mod spsc;

/// Replaces the library's `sync` for the included files.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::Arc;

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    }
}

/// The outcomes of the executions of a model. A model that never reaches the case that it is
/// written for proves nothing.
type Outcomes<T> = Plain<PlainMutex<BTreeSet<T>>>;

fn ports<T: Send, const CORES: usize>(entries: usize, bytes: usize) -> [Port<T>; CORES] {
    port::mesh(CORES, Limits { entries, bytes }).try_into().unwrap()
}

/// A model of an eventfd: a wake sent before the wait ends the wait too. Sometimes a wait ends
/// without a wake, as a core also wakes for its connections.
struct WakeUp {
    notify: Notify,
    /// The number of wakes sent.
    total: Count,
}

impl WakeUp {
    fn new() -> Arc<Self> {
        Arc::new(Self { notify: Notify::new(), total: Count::new(0) })
    }

    fn send(&self) {
        self.total.fetch_add(1, Relaxed);
        self.notify.notify();
    }

    fn wait(&self) {
        self.notify.wait();
    }
}

/// Takes `expected` items, and `posted` from an inbox beside the mesh; sleeps whenever there is
/// nothing to take. Returns the items by sender and the number of sleeps.
fn take_asleep(
    port: &mut Port<u32>,
    wake_up: &WakeUp,
    expected: usize,
    inbox: &AtomicUsize,
    posted: usize,
) -> (Vec<(usize, u32)>, usize) {
    let look = || if posted == 0 { 0 } else { inbox.load(Relaxed) };
    let (mut taken, mut got, mut announced, mut slept) = (Vec::new(), 0, 0, 0);
    while taken.len() < expected || got < posted {
        let seen = look();
        if port.drain(usize::MAX, |from, item| taken.push((from, item))) > 0 || seen > got {
            got = seen;
            continue;
        }
        announced += 1;
        if !port.try_sleep() {
            continue;
        }
        if look() == got {
            wake_up.wait();
            slept += 1;
        }
        port.wake_up();
    }
    assert!(wake_up.total.load(Relaxed) <= announced, "one wake-up for each sleep at most");
    (taken, slept)
}

/// A thread with a port, which sends each of `items` to core 0 in a separate batch.
fn sender(
    mut port: Port<u32>,
    wake_up: &Arc<WakeUp>,
    items: &'static [u32],
) -> thread::JoinHandle<()> {
    let wake_up = Arc::clone(wake_up);
    thread::spawn(move || {
        for item in items {
            assert!(port.push(0, 1, *item).is_ok());
            port.publish(|core| {
                assert_eq!(core, 0);
                wake_up.send();
            });
        }
    })
}

/// A thread without a port, which stores to an inbox with relaxed ordering.
fn poster(
    flag: SleepFlag,
    wake_up: &Arc<WakeUp>,
    inbox: &Arc<AtomicUsize>,
) -> thread::JoinHandle<()> {
    let (wake_up, inbox) = (Arc::clone(wake_up), Arc::clone(inbox));
    thread::spawn(move || {
        inbox.fetch_add(1, Relaxed);
        if flag.needs_wake() {
            wake_up.send();
        }
    })
}

/// With three threads there are too many executions; this limits the number of preemptions.
const PREEMPTIONS: Option<usize> = Some(3);

/// Checks that a core slept in some executions and did not need to in others.
fn check_sleeps(preemptions: Option<usize>, model: impl Fn() -> usize + Send + Sync + 'static) {
    let sleeps = Outcomes::<bool>::default();
    let seen = Plain::clone(&sleeps);
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        let slept = model();
        seen.lock().unwrap().insert(slept > 0);
    });
    assert_eq!(sleeps.lock().unwrap().len(), 2, "{sleeps:?}");
}

#[test]
fn messages_arrive_once_and_in_order_with_a_full_queue() {
    // A queue of two entries; five items wrap around it more than twice, if all are accepted.
    let counts = Outcomes::<usize>::default();
    let seen = Plain::clone(&counts);
    loom::model(move || {
        let [mut sender, mut taker] = ports(2, usize::MAX);
        let thread = thread::spawn(move || {
            let mut accepted = Vec::new();
            for item in 0..5 {
                match sender.push(1, 0, item) {
                    Ok(()) => accepted.push(item),
                    Err(back) => assert_eq!(back, item),
                }
                if item != 0 {
                    sender.publish(|_| panic!("no core sleeps"));
                }
            }
            accepted
        });
        let mut taken = Vec::new();
        for _ in 0..3 {
            let max = usize::MAX;
            let count = taker.drain(max, |from, item| {
                assert_eq!(from, 0);
                taken.push(item);
            });
            assert!(count <= 2);
        }
        let accepted = thread.join().unwrap();
        taker.drain(usize::MAX, |_, item| taken.push(item));
        assert!(!taker.has_incoming());
        assert_eq!(taken, accepted);
        seen.lock().unwrap().insert(accepted.len());
    });
    let counts: Vec<usize> = counts.lock().unwrap().iter().copied().collect();
    assert_eq!(counts, [2, 3, 4, 5]);
}

#[test]
fn bytes_are_given_back_with_the_batch() {
    // Four entries, but only five bytes: whether an item is accepted depends on how many were
    // taken.
    const BYTES: [usize; 4] = [3, 2, 3, 9];
    let kept = Outcomes::<Vec<usize>>::default();
    let seen = Plain::clone(&kept);
    loom::model(move || {
        let [mut sender, mut taker] = ports(4, 5);
        let thread = thread::spawn(move || {
            let mut accepted = Vec::new();
            for bytes in BYTES {
                if sender.push(1, bytes, bytes).is_ok() {
                    accepted.push(bytes);
                }
                sender.publish(|_| panic!("no core sleeps"));
            }
            accepted
        });
        let mut taken = Vec::new();
        for _ in 0..3 {
            taker.drain(1, |_, bytes| taken.push(bytes));
        }
        let accepted = thread.join().unwrap();
        taker.drain(usize::MAX, |_, bytes| taken.push(bytes));
        assert_eq!(taken, accepted);
        seen.lock().unwrap().insert(accepted);
    });
    // 3 and 2 fill the queue. The second 3 needs the first 3 back, the 9 an empty queue.
    let expected: [&[usize]; 4] = [&[3, 2], &[3, 2, 3], &[3, 2, 3, 9], &[3, 2, 9]];
    let kept: Vec<Vec<usize>> = kept.lock().unwrap().iter().cloned().collect();
    assert_eq!(kept, expected);
}

#[test]
fn one_producer_wakes_the_consumer() {
    check_sleeps(None, || {
        let [mut taker, port] = ports(2, 8);
        let wake_up = WakeUp::new();
        let thread = sender(port, &wake_up, &[1, 2]);
        let (taken, slept) = take_asleep(&mut taker, &wake_up, 2, &AtomicUsize::new(0), 0);
        thread.join().unwrap();
        assert_eq!(taken, [(1, 1), (1, 2)]);
        slept
    });
}

#[test]
fn one_of_two_producers_wakes_the_consumer() {
    check_sleeps(PREEMPTIONS, || {
        let [mut taker, first, second] = ports(2, 8);
        let wake_up = WakeUp::new();
        let threads = [sender(first, &wake_up, &[1]), sender(second, &wake_up, &[2])];
        let (mut taken, slept) = take_asleep(&mut taker, &wake_up, 2, &AtomicUsize::new(0), 0);
        for thread in threads {
            thread.join().unwrap();
        }
        taken.sort_unstable();
        assert_eq!(taken, [(1, 1), (2, 2)]);
        slept
    });
}

#[test]
fn a_thread_without_a_port_wakes_the_core() {
    check_sleeps(PREEMPTIONS, || {
        let [mut taker, _other] = ports(2, 8);
        let (wake_up, inbox) = (WakeUp::new(), Arc::new(AtomicUsize::new(0)));
        let threads = [(); 2].map(|()| poster(taker.sleep_flag(), &wake_up, &inbox));
        let (taken, slept) = take_asleep(&mut taker, &wake_up, 0, &inbox, 2);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken, []);
        slept
    });
}

#[test]
fn a_core_and_a_thread_without_a_port_wake_the_core() {
    check_sleeps(PREEMPTIONS, || {
        let [mut taker, port] = ports(2, 8);
        let (wake_up, inbox) = (WakeUp::new(), Arc::new(AtomicUsize::new(0)));
        let threads = [sender(port, &wake_up, &[7]), poster(taker.sleep_flag(), &wake_up, &inbox)];
        let (taken, slept) = take_asleep(&mut taker, &wake_up, 1, &inbox, 1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken, [(1, 7)]);
        slept
    });
}

/// Counts its drops; two would be a double free.
struct Counted {
    number: usize,
    drops: Plain<[Count; 4]>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert_eq!(self.drops[self.number].fetch_add(1, Relaxed), 0, "dropped twice");
    }
}

#[test]
fn every_item_is_freed_once_whichever_end_is_dropped_first() {
    // Three items are published and wrap around a queue of two, one is not published; the consumer
    // takes up to two.
    let left = Outcomes::<usize>::default();
    let seen = Plain::clone(&left);
    loom::model(move || {
        let [mut sender, mut taker] = ports(2, usize::MAX);
        let drops = Plain::<[Count; 4]>::default();
        let items = [0, 1, 2, 3].map(|number| Counted { number, drops: Plain::clone(&drops) });
        let thread = thread::spawn(move || {
            for item in items {
                let number = item.number;
                // An item that finds no room is returned and dropped here.
                drop(sender.push(1, 0, item));
                if number != 3 {
                    sender.publish(|_| panic!("no core sleeps"));
                }
            }
        });
        let mut taken = 0;
        for _ in 0..2 {
            taken += taker.drain(1, |_, item| drop(item));
        }
        drop(taker);
        thread.join().unwrap();
        let counts = drops.each_ref().map(|count| count.load(Relaxed));
        assert_eq!(counts, [1; 4]);
        seen.lock().unwrap().insert(taken);
    });
    assert_eq!(*left.lock().unwrap(), BTreeSet::from([0, 1, 2]));
}
