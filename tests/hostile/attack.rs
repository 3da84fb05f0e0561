//! The attackers: one thread of the lowest priority, so that it does not delay the measuring on
//! the same core, with all their connections in one epoll.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::process::setpriority_process;

use crate::attacker::{Attacker, Report, Scratch};
use crate::run::Addresses;
use crate::sched;
use crate::script::Group;

/// The time between two looks at what is due.
const TICK: Duration = Duration::from_millis(3);
const LOWEST_PRIORITY: i32 = 19;

/// An attack under way.
pub(crate) struct Attack {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Report>,
}

impl Attack {
    /// Starts it on these cores.
    pub(crate) fn start(addresses: Addresses, groups: Vec<Group>, cores: Vec<usize>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            sched::pin(&cores);
            // Without this the measuring is disturbed more, and says so itself.
            let _ = setpriority_process(None, LOWEST_PRIORITY);
            run(addresses, &groups, &flag)
        });
        Self { stop, thread }
    }

    /// Ends it: all connections are reset.
    pub(crate) fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("attackers that do not panic")
    }
}

fn run(addresses: Addresses, groups: &[Group], stop: &AtomicBool) -> Report {
    let epoll: OwnedFd = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut scratch = Scratch::new(epoll, addresses, groups.len());
    let start = Instant::now();
    let mut attackers: Vec<Attacker<'_>> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        for index in 0..group.count {
            let token = attackers.len() as u64;
            attackers.push(Attacker::new(group, number, index, token, start + group.delay));
        }
    }
    let mut events = Vec::with_capacity(512);
    let timeout = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let mut next_tick = start;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next_tick {
            attackers.iter_mut().for_each(|attacker| attacker.tick(now, &mut scratch));
            next_tick = now + TICK;
        }
        events.clear();
        let room = rustix::buffer::spare_capacity(&mut events);
        let _ = epoll::wait(&scratch.epoll, room, Some(&timeout));
        for event in events.drain(..) {
            let token = usize::try_from(event.data.u64()).unwrap();
            attackers[token].ready(event.flags, &mut scratch);
        }
    }
    attackers.iter_mut().for_each(|attacker| attacker.listen_once(&mut scratch));
    scratch.report
}
