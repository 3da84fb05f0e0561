//! What a delivery costs the server when one publisher's messages go to many subscribers.
//!
//! ```text
//! cargo build --release && cargo run --release --example fanout
//! fanout --subscribers 5000 --size 512 --bursts 1,16      another load
//! fanout --mode json; fanout --deflate; fanout --cores 0,1
//! fanout --peer other='taskset -c 0 other --port {port}' --peer-path /ws
//! fanout --corecast none --count 2000 --verify --json
//! ```
//!
//! **Load.** The publisher sends a burst of frames with one write; when every subscriber has all
//! of it, the next burst follows. One thread on core 1 does all this with nonblocking reads and
//! never sleeps, so a server never pays for waking it. It counts bytes, and with `--verify`
//! compares each one. What a delivery looks like is learnt from a first message, whose payload is
//! checked in any case.
//!
//! **Servers**, each in a process of its own, on core 0 and started anew for every run:
//! - `floor`, this program as a raw ring (`floor.rs`): what came in one turn of its loop goes to
//!   each subscriber with one send, 128 of them for each call into the kernel. It looks for the
//!   ends of frames and no more: what the kernel leaves possible. It never compresses, and relays
//!   JSON commands as they are.
//! - `corecast`, the release binary next to the example or the one given by `--corecast`; all
//!   connect to `/topics/bench`, or to `/pubsub` in JSON mode.
//! - every `--peer`. Only the process that the command starts is measured, not its children.
//!
//! **Figures.** Servers alternate round by round, every other round backwards, so that a change in
//! the machine's mood hits all of them; ratios are taken within a round, and given as their median
//! and range. CPU time is that of all threads of the server's process (its CPU clock, exact to the
//! nanosecond); what is user and what is system is known by clock ticks only (/proc/PID/stat) and
//! taken from all rounds together. Over loopback it includes most of what the kernel does for the
//! receiving side. Instructions are counted where the machine lets `perf_event_open` do so.
//!
//! With `--cores 0,1` corecast shares core 1 with the load: rates then say little, and CPU time for
//! each delivery, summed over both threads, is the figure to look at.
#![allow(unsafe_code)]

mod client;
mod floor;
mod frames;
mod meter;
mod options;
mod process;
mod report;

#[allow(dead_code, reason = "shared with the experiments, which use the rest")]
#[path = "../experiments/pool.rs"]
mod pool;
#[allow(dead_code, reason = "shared with the experiments, which use the rest")]
#[path = "../experiments/sys.rs"]
mod sys;
#[allow(dead_code, reason = "shared with the experiments, which use the rest")]
#[path = "../experiments/wire.rs"]
mod wire;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use client::{Load, Paths};
use meter::Meter;
use options::{Length, Options};
use process::Server;
use report::{Row, Sample};

const LOAD_CORE: usize = 1;

/// How long a run warms up before it is measured.
const WARM_UP: Duration = Duration::from_millis(150);

/// Descriptors needed beside one for each subscriber.
const SPARE_FILES: u64 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == floor::ARGUMENT => floor::main(rest),
        _ => next_to_us()
            .and_then(|path| Options::parse(&arguments, path).map_err(io::Error::other))
            .and_then(|options| compare(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("fanout: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The binary that the same build made: examples have a folder of their own inside its folder.
fn next_to_us() -> io::Result<PathBuf> {
    let example = std::env::current_exe()?;
    Ok(example.parent().unwrap_or(&example).with_file_name("corecast"))
}

/// Measures all servers with all bursts.
fn compare(options: &Options) -> io::Result<()> {
    let started = Instant::now();
    allow_files(options.subscribers)?;
    let mut servers = vec![Server::Floor];
    if let Some(path) = &options.corecast {
        if !path.exists() {
            let text = format!("{} is missing: build it, or use --corecast none", path.display());
            return Err(io::Error::other(text));
        }
        servers.push(Server::Corecast(path.clone()));
    }
    servers.extend(options.peers.iter().map(Server::Peer));
    let (kernel, cpu) = (sys::kernel_release(), sys::cpu_model());
    if !options.json {
        println!("Kernel {kernel}, {cpu}.");
        println!(
            "{} subscribers, {} B messages, {} interleaved rounds; medians; server on core {}, \
             load on core {LOAD_CORE}.",
            options.subscribers, options.size, options.rounds, options.cores[0]
        );
        if let Some(e) = Meter::open(std::process::id())?.counter_error() {
            println!("Instruction counters: not available here ({e}); see CPU time instead.");
        }
    }
    if options.cores.contains(&LOAD_CORE) {
        eprintln!(
            "Warning: a server shares core {LOAD_CORE} with the load. Rates say little; look at \
             the CPU time for each delivery, summed over all threads."
        );
    }
    let mut tables = Vec::new();
    for &burst in &options.bursts {
        let rows = interleave(&servers, burst, options)?;
        if !options.json {
            report::table(burst, &rows);
        }
        tables.push((burst, rows));
    }
    if options.json {
        report::json(options, [&kernel, &cpu], &tables);
    } else {
        println!("\nTook {:.0} s.", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Raises the limit of descriptors, which the servers inherit.
fn allow_files(subscribers: usize) -> io::Result<()> {
    let needed = subscribers as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < needed) {
        let text = format!("{subscribers} subscribers need a RLIMIT_NOFILE of {needed}");
        return Err(io::Error::other(text));
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// All rounds of all servers with one size of burst.
fn interleave<'a>(
    servers: &'a [Server<'_>],
    burst: usize,
    options: &Options,
) -> io::Result<Vec<Row<'a>>> {
    let row = |server: &'a Server<'_>| Row {
        name: server.name(),
        delivery: (0, false),
        rounds: Vec::with_capacity(options.rounds),
    };
    let mut rows: Vec<_> = servers.iter().map(row).collect();
    let last = servers.len() - 1;
    for round in 0..options.rounds {
        for step in 0..=last {
            // Every other round runs backwards, so that no server always follows the same one.
            let index = if round % 2 == 0 { step } else { last - step };
            let (delivery, sample) = run(&servers[index], burst, options)
                .map_err(|e| io::Error::other(format!("{}: {e}", servers[index].name())))?;
            rows[index].delivery = delivery;
            rows[index].rounds.push(sample);
        }
    }
    Ok(rows)
}

/// One run of one server, from its start to its end.
fn run(
    server: &Server<'_>,
    burst: usize,
    options: &Options,
) -> io::Result<((usize, bool), Sample)> {
    let running = server.start(options)?;
    let paths = match server {
        Server::Peer(peer) => peer.path.as_deref().map(Paths::both),
        _ => None,
    };
    let paths = paths.unwrap_or_else(|| Paths::of(options.mode));
    let measured = Load::open(running.address, &paths, burst, options).and_then(|mut load| {
        let sample = measure(&mut load, burst, running.pid(), options)?;
        Ok(((load.delivery, load.compressed), sample))
    });
    measured.map_err(|e| running.explain(&e))
}

fn measure(load: &mut Load, burst: usize, pid: u32, options: &Options) -> io::Result<Sample> {
    let meter = Meter::open(pid)?;
    let begin = Instant::now();
    while begin.elapsed() < WARM_UP {
        load.burst()?;
    }
    let first = meter.read()?;
    let mut bursts = 0;
    loop {
        let more = match options.length {
            Length::Time(time) => first.at.elapsed() < time,
            Length::Bursts(count) => bursts < count,
        };
        if !more {
            break;
        }
        load.burst()?;
        bursts += 1;
    }
    let last = meter.read()?;
    let deliveries = bursts * (burst * options.subscribers) as u64;
    Ok(Sample::between(&first, &last, deliveries))
}
