//! The targets are this test program again, which then executes a few known instructions.

use std::arch::asm;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Count, Stepper};

const SCENE: &str = "CORECAST_STEP_SCENE";
const ROUNDS: u64 = 12_000;

/// A target that waits for its first command.
struct Target {
    child: Child,
    orders: PipeWriter,
    answers: PipeReader,
}

impl Target {
    fn start(scene: &str) -> Self {
        let (their_orders, orders) = pipe().unwrap();
        let (mut answers, their_answers) = pipe().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["step::tests::act", "--exact", "--nocapture", "--test-threads=1"])
            .env(SCENE, scene)
            .stdin(their_orders)
            .stdout(Stdio::null())
            .stderr(their_answers)
            .spawn()
            .unwrap();
        // The target reports that it is ready.
        answers.read_exact(&mut [0]).unwrap();
        Self { child, orders, answers }
    }

    /// Attaches, runs the scene, detaches, and checks that the target ends normally.
    fn count(mut self) -> Count {
        let stepper = Stepper::attach(self.child.id(), 0).unwrap();
        self.settle(&stepper);
        let before = stepper.read();
        self.orders.write_all(b"g").unwrap();
        self.answers.read_exact(&mut [0]).unwrap();
        self.settle(&stepper);
        let after = stepper.detach().unwrap();
        self.orders.write_all(b"e").unwrap();
        self.await_end();
        Count {
            instructions: after.instructions - before.instructions,
            syscalls: after.syscalls - before.syscalls,
        }
    }

    fn settle(&self, stepper: &Stepper) {
        let mut quiet = 0;
        let mut last = stepper.read();
        while quiet < 5 {
            thread::sleep(Duration::from_millis(20));
            let now = stepper.read();
            quiet = if now == last && self.all_sleep() { quiet + 1 } else { 0 };
            last = now;
        }
    }

    fn all_sleep(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.filter_map(Result::ok).all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
        })
    }

    fn await_end(mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return assert!(status.success(), "{status}"),
                Ok(None) => {}
                // If it ended while it was stepped, its end is reported to the stepping thread,
                // which belongs to its parent.
                Err(e) => return assert_eq!(e.raw_os_error(), Some(libc::ECHILD)),
            }
            assert!(Instant::now() < end, "the target does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Exactly two instructions for each round, and no others.
fn spin(rounds: u64) {
    // SAFETY: the loop touches nothing but the one register it is given.
    unsafe {
        asm!("2: dec {n}", "jnz 2b", n = inout(reg) rounds => _, options(nomem, nostack));
    }
}

/// One repeated instruction that copies every byte of `from`.
fn copy(from: &[u8], to: &mut [u8]) {
    assert_eq!(from.len(), to.len());
    // SAFETY: source and destination have the same length, and `to` is borrowed mutably.
    unsafe {
        asm!("rep movsb", inout("rcx") from.len() => _, inout("rsi") from.as_ptr() => _,
            inout("rdi") to.as_mut_ptr() => _, options(nostack, preserves_flags));
    }
}

/// Waits for a command without the standard library, so that few other instructions are counted.
fn await_order() {
    let mut byte = 0_u8;
    // SAFETY: `byte` is a live byte that the kernel fills in.
    while unsafe { libc::read(0, (&raw mut byte).cast(), 1) } == -1 {}
}

fn answer() {
    // SAFETY: the one byte lives in the program itself.
    unsafe { libc::write(2, c".".as_ptr().cast(), 1) };
}

/// Not a test, but the code of the targets.
#[test]
fn act() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let (from, mut to) = ([7; 3000], [0; 3000]);
    answer();
    await_order();
    match scene.as_str() {
        "loop" => spin(ROUNDS),
        "copy" => copy(&from, &mut to),
        "threads" => {
            let threads: Vec<_> = (0..3).map(|_| thread::spawn(|| spin(ROUNDS))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        "calls" => (0..500).for_each(|_| {
            // SAFETY: asks for a number.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }),
        "signal" => raise(),
        other => panic!("unknown scene {other}"),
    }
    answer();
    await_order();
    if scene == "loop" {
        spin(300_000_000);
    }
    std::process::exit(0);
}

/// Sends itself a signal with a handler that counts.
fn raise() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SEEN: AtomicU32 = AtomicU32::new(0);
    extern "C" fn on_signal(_: libc::c_int) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
    let handler = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler only adds to a counter.
    unsafe { libc::signal(libc::SIGUSR1, handler) };
    for _ in 0..10 {
        // SAFETY: sends a signal that has a handler.
        unsafe { libc::raise(libc::SIGUSR1) };
    }
    assert_eq!(SEEN.load(Ordering::Relaxed), 10);
}

#[track_caller]
fn assert_about(count: u64, expected: u64) {
    let range = expected..expected + expected / 100;
    assert!(range.contains(&count), "{count} instructions instead of {expected}");
}

#[test]
fn a_loop_is_counted_to_the_instruction() {
    assert_about(Target::start("loop").count().instructions, 2 * ROUNDS);
}

#[test]
fn a_repeated_instruction_counts_once() {
    let count = Target::start("copy").count();
    assert!(count.instructions < 500, "{count:?}");
}

#[test]
fn threads_that_start_later_are_counted() {
    let count = Target::start("threads").count().instructions;
    // Starting and ending a thread takes some thousands of instructions.
    assert!((6 * ROUNDS..6 * ROUNDS + 45_000).contains(&count), "{count}");
}

#[test]
fn system_calls_are_counted() {
    let count = Target::start("calls").count();
    assert!((500..506).contains(&count.syscalls), "{count:?}");
}

#[test]
fn signals_reach_their_handler() {
    // The target itself checks that it got all signals.
    Target::start("signal").count();
}

#[test]
fn a_target_that_runs_or_sleeps_survives_any_moment_of_leaving() {
    let mut target = Target::start("loop");
    for round in 0..40 {
        let stepper = Stepper::attach(target.child.id(), 0).unwrap();
        if round == 20 {
            target.orders.write_all(b"g").unwrap();
        }
        thread::sleep(Duration::from_millis(2));
        drop(stepper);
    }
    target.answers.read_exact(&mut [0]).unwrap();
    // Now it is busy outside of the kernel.
    target.orders.write_all(b"e").unwrap();
    let mut rounds = 0;
    while let Ok(stepper) = Stepper::attach(target.child.id(), 0) {
        thread::sleep(Duration::from_millis(2));
        stepper.detach().unwrap();
        rounds += 1;
    }
    assert!(rounds > 3, "it ended after {rounds} rounds");
    target.await_end();
}

#[test]
fn a_process_that_is_not_there_is_an_error() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let error = Stepper::attach(child.id(), 0).err().unwrap();
    assert!(error.to_string().contains("no process"), "{error}");
}
