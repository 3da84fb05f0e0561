//! The honest: clients of the echo, subscribers and their publishers, and newcomers, all in one
//! thread that does nothing but measure how long they wait.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::newcomers::Newcomers;
use crate::peers::Echo;
use crate::sched::{Clock, Moment, pin};
use crate::series::{Begun, Measured, Phase, Series};
use crate::support::client::Client;
use crate::topics::Topic;

/// How many there are of each.
const CLIENTS: usize = 100;
const SUBSCRIBERS: usize = 100;
/// Each client sends, and the publisher publishes, 20 messages a second.
const PERIOD: Duration = Duration::from_millis(50);
const SIZE: usize = 64;
/// The topic of all subscribers, and one of a single subscriber: a push to one user.
const TOPIC: &str = "/topics/honest";
const PUSH: &str = "/topics/user";
/// How long what is under way at the end may take before it is given up.
const GRACE: Duration = Duration::from_secs(4);

/// The numbers of connections: clients, subscribers, the user, the control, newcomers.
const USER: u64 = (CLIENTS + SUBSCRIBERS) as u64;
const CONTROL: u64 = USER + 1;

/// The phase, as all threads see it.
#[derive(Clone, Default)]
pub(crate) struct SharedPhase(Arc<AtomicU8>);

impl SharedPhase {
    pub(crate) fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    fn get(&self) -> Phase {
        Phase::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }
}

/// Connects all, measures until the phase is `Over`, and returns what was measured.
pub(crate) fn measure(
    addr: SocketAddr,
    pid: u32,
    cores: &[usize],
    phase: &SharedPhase,
) -> Measured {
    pin(cores);
    let mut honest = Honest::connect(addr, pid);
    while phase.get() != Phase::Over {
        honest.send_due(phase.get());
        honest.receive();
    }
    let end = Instant::now() + GRACE;
    while honest.is_waiting() && Instant::now() < end {
        honest.receive();
    }
    honest.finish()
}

/// A connection from this thread to itself.
struct Control {
    from: TcpStream,
    to: TcpStream,
    begun: VecDeque<Begun>,
}

impl Control {
    fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let from = TcpStream::connect(listener.local_addr()?)?;
        let (to, _) = listener.accept()?;
        from.set_nodelay(true)?;
        to.set_nonblocking(true)?;
        Ok(Self { from, to, begun: VecDeque::new() })
    }

    /// Sends a byte, just before something else is sent whose wait begins.
    fn begin(&mut self, at: Moment, phase: Phase) -> Begun {
        let begun = Begun::new(at, phase);
        if matches!(self.from.write(&[0]), Ok(1)) {
            self.begun.push_back(begun.clone());
        } else {
            begun.control.set(Some(at));
        }
        begun
    }

    /// Takes the bytes that have come back.
    fn receive(&mut self, now: &Moment, series: &mut Series) {
        let mut room = [0; 1024];
        let len = self.to.read(&mut room).unwrap_or(0);
        self.begun.drain(..len).for_each(|begun| series.add_control(&begun, now));
    }
}

struct Honest {
    epoll: OwnedFd,
    clock: Clock,
    clients: Vec<Echo>,
    /// That of all subscribers, and that of one.
    topics: [Topic; 2],
    control: Control,
    newcomers: Newcomers,
    measured: Measured,
}

impl Honest {
    fn connect(addr: SocketAddr, pid: u32) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let open = |target: &str| {
            let mut client = Client::connect(addr);
            client.open_at(target, "");
            client
        };
        let quick = |target: &str| {
            let stream = open(target).into_stream();
            stream.set_nonblocking(true).unwrap();
            stream
        };
        let count = u32::try_from(CLIENTS).unwrap();
        let start = Instant::now();
        let topic = |name: &str, subscribers: usize, due| {
            let streams = (0..subscribers).map(|_| quick(&format!("{name}?role=sub")));
            Topic::new(open(&format!("{name}?role=pub")), streams, due)
        };
        let control = Control::new().unwrap();
        let topics = [topic(TOPIC, SUBSCRIBERS, start), topic(PUSH, 1, start + PERIOD / 2)];
        let clients: Vec<Echo> =
            (0..count).map(|i| Echo::new(quick("/"), start + PERIOD * i / count)).collect();
        let streams = clients.iter().filter_map(Echo::stream);
        let streams = streams.chain(topics.iter().flat_map(Topic::streams));
        for (token, stream) in (0..).zip(streams.chain([&control.to])) {
            let data = epoll::EventData::new_u64(token);
            epoll::add(&epoll, stream, data, epoll::EventFlags::IN).unwrap();
        }
        Self {
            newcomers: Newcomers::new(addr, CONTROL + 1, start),
            clock: Clock::new(pid),
            epoll,
            clients,
            topics,
            control,
            measured: Measured::default(),
        }
    }

    fn begin(&mut self, phase: Phase) -> Begun {
        self.control.begin(self.clock.now(), phase)
    }

    /// Sends what is due.
    fn send_due(&mut self, phase: Phase) {
        let now = Instant::now();
        for at in 0..self.clients.len() {
            if self.clients[at].due <= now {
                let begun = self.begin(phase);
                let client = &mut self.clients[at];
                // Not more at once than one, also after this thread had no processor for long.
                client.due = (client.due + PERIOD).max(now);
                client.send(begun, &[0x55; SIZE]);
            }
        }
        for at in 0..self.topics.len() {
            if self.topics[at].is_due(now) {
                let begun = self.begin(phase);
                self.topics[at].publish(begun, now, PERIOD);
            }
        }
        if self.newcomers.is_due(now) {
            let begun = self.begin(phase);
            self.newcomers.connect(&self.epoll, begun);
        }
    }

    /// Waits a moment for what comes, and takes it.
    fn receive(&mut self) {
        let mut events = Vec::with_capacity(512);
        let timeout = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let room = rustix::buffer::spare_capacity(&mut events);
        let _ = epoll::wait(&self.epoll, room, Some(&timeout));
        if events.is_empty() {
            return;
        }
        // All that is read now has come before this.
        let now = self.clock.now();
        self.control.receive(&now, &mut self.measured.control);
        for event in &events {
            self.take(event.data.u64(), event.flags, &now);
        }
    }

    fn take(&mut self, token: u64, flags: epoll::EventFlags, now: &Moment) {
        let measured = &mut self.measured;
        let at = usize::try_from(token).unwrap();
        if token < CLIENTS as u64 {
            self.clients[at].receive(now, &mut measured.echo);
        } else if token < USER {
            self.topics[0].receive(at - CLIENTS, now, &mut measured.topic);
        } else if token == USER {
            self.topics[1].receive(0, now, &mut measured.push);
        } else if token > CONTROL {
            self.newcomers.ready(token, flags, now, measured);
        }
    }

    fn is_waiting(&self) -> bool {
        self.clients.iter().any(Echo::is_waiting)
            || self.topics.iter().any(Topic::is_waiting)
            || self.newcomers.are_waiting()
    }

    /// What never came counts with the time until now.
    fn finish(mut self) -> Measured {
        let now = self.clock.now();
        for client in &mut self.clients {
            client.give_up(&now, &mut self.measured.echo);
        }
        self.topics[0].give_up(&now, &mut self.measured.topic);
        self.topics[1].give_up(&now, &mut self.measured.push);
        self.newcomers.give_up(&now, &mut self.measured);
        let ended = self.clients.iter().filter(|peer| peer.is_ended()).count()
            + self.topics.iter().map(Topic::ended).sum::<usize>();
        self.measured.closed = ended as u64;
        self.measured
    }
}
