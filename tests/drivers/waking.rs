//! Sleep and wakes.

use std::io::Write;
use std::time::{Duration, Instant};

use corecast::io::{Event, Wake};

use super::rig::{QUIET, Rig, Tested};

const LONG: Duration = Duration::from_secs(20);

fn expect_woken<D: Tested>(rig: &mut Rig<D>) {
    let start = Instant::now();
    rig.turn(Some(LONG));
    assert!(start.elapsed() < LONG / 2, "it slept for {:?}", start.elapsed());
    let event = rig.next_waiting();
    assert!(matches!(event, Some(Event::Woken)), "{event:?}");
}

pub(crate) fn a_wake_ends_a_sleep<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    for _ in 0..5 {
        let waker = rig.driver.waker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        expect_woken(&mut rig);
        thread.join().unwrap();
        rig.expect_quiet();
    }
}

pub(crate) fn a_wake_before_the_sleep_is_not_lost<D: Tested>() {
    let mut rig = Rig::<D>::new(4);
    for _ in 0..5 {
        (0..3).for_each(|_| rig.driver.waker().wake());
        expect_woken(&mut rig);
        rig.expect_quiet();
    }
}

pub(crate) fn one_loop_wakes_another<D: Tested>() {
    let (mut one, mut other) = (Rig::<D>::new(4), Rig::<D>::new(4));
    for _ in 0..5 {
        let waker = other.driver.waker();
        one.driver.wake_peer(&waker);
        one.expect_quiet();
        expect_woken(&mut other);
    }
}

pub(crate) fn an_idle_driver_sleeps_for_as_long_as_it_may<D: Tested>() {
    const SLEEP: Duration = Duration::from_millis(120);
    let mut rig = Rig::<D>::new(4);
    // One whose receive is armed, one with bytes that are not received, and one that has left.
    let (_, _silent) = rig.accept_receiving();
    let (_, mut sending) = rig.accept();
    let (_, leaving) = rig.accept();
    sending.write_all(b"not received").unwrap();
    drop(leaving);
    rig.turn(Some(QUIET));
    rig.turn(Some(QUIET));
    let before = rig.driver.stats().enters;
    let start = Instant::now();
    for _ in 0..3 {
        rig.turn(Some(SLEEP));
        assert!(rig.next_waiting().is_none());
    }
    assert!(start.elapsed() >= 3 * SLEEP, "{:?}", start.elapsed());
    assert_eq!(rig.driver.stats().enters - before, 3);
}
