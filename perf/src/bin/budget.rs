//! The budget check: steps a server through a few workloads, counts its user instructions for each
//! message, and compares them with the committed budgets.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use clap::Parser;
use corecast::protocol::websocket::mask::Kernel;
use corecast_perf::budget::{Budgets, Line, TOLERANCE, Verdict, measure, table};
use corecast_perf::load::{Content, Echo, Fanout, Length, Pace, Plan, Work};
use corecast_perf::results::Stepped;
use corecast_perf::step::Stepper;
use corecast_perf::sys;
use rustix::thread::sched_getaffinity;

/// Compare the server's instructions for each message with their budgets.
#[derive(Parser)]
struct Options {
    /// The server to measure: a release build of corecast.
    #[arg(long, default_value = "target/release/corecast")]
    server: PathBuf,
    /// The file with the budgets.
    #[arg(long, default_value = "perf/budget.json")]
    file: PathBuf,
    /// The backend of the server, which has budgets of its own: `epoll`.
    #[arg(long)]
    backend: Option<String>,
    /// Limit what clients may do, far above what the load does: 3 % more is allowed then.
    #[arg(long, conflicts_with = "update")]
    limits: bool,
    /// Write the measured values to the file instead of comparing.
    #[arg(long)]
    update: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("budget: error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let cores = Cores::choose()?;
    let level = Kernel::available().last().map_or("plain", |kernel| kernel.name());
    let level = match &options.backend {
        Some(backend) => &format!("{level}-{backend}"),
        None => level,
    };
    let mut budgets = match Budgets::read(&options.file) {
        Err(e) if options.update && e.kind() == io::ErrorKind::NotFound => Budgets::default(),
        other => other?,
    };
    let refused = |e: &io::Error| {
        matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
    };
    let server = Server::start(options, &cores)?;
    match Stepper::attach(server.child.id(), cores.server) {
        Ok(stepper) => drop(stepper),
        Err(e) if refused(&e) && !options.update => {
            println!("NOT CHECKED: the instructions of the server cannot be counted here: {e}");
            return Ok(ExitCode::SUCCESS);
        }
        Err(e) => return Err(e),
    }
    drop(server);
    let mut lines = Vec::new();
    for workload in workloads() {
        let allowed = if options.limits { WITH_LIMITS } else { 1.0 };
        let budget = budgets.get(level, workload.0).map(|budget| budget * allowed);
        lines.push(line(options, &cores, &workload, budget)?);
    }
    let limits = match options.limits {
        true => format!(" and limits (each budget times {WITH_LIMITS})"),
        false => String::new(),
    };
    println!("user instructions for each message, with {level} instructions{limits}");
    let table = table(&lines);
    // With limits it is a bound, and nothing to be lowered.
    print!("{}", if options.limits { table.replace(BELOW, "") } else { table });
    if options.update {
        budgets.update(level, &lines);
        budgets.write(&options.file)?;
        println!("written to {}", options.file.display());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(conclude(options, level, &lines))
}

/// Measures one workload. To become the budget, three times: the median is used. Otherwise until a
/// count is not over the budget, at most five times: the least is used, since a busy machine only
/// adds instructions. It delays the load, so that receives bring less at a time.
fn line(
    options: &Options,
    cores: &Cores,
    workload: &Workload,
    budget: Option<f64>,
) -> io::Result<Line> {
    let mut counts = Vec::new();
    loop {
        let stepped = step(options, cores, workload)?;
        let line = Line {
            workload: workload.0.to_owned(),
            budget,
            measured: stepped.user_instructions,
            syscalls: stepped.syscalls,
        };
        let is_over = line.verdict() == Verdict::Over;
        counts.push(line);
        let is_enough = match options.update {
            true => counts.len() == REPEATS,
            false => !is_over || counts.len() == TRIES,
        };
        if is_enough {
            counts.sort_by(|a, b| a.measured.total_cmp(&b.measured));
            return Ok(counts.swap_remove(if options.update { REPEATS / 2 } else { 0 }));
        }
    }
}

/// Starts a server and counts its instructions for one workload.
fn step(options: &Options, cores: &Cores, workload: &Workload) -> io::Result<Stepped> {
    let (_, work, count) = workload;
    // A separate server for each workload, so that none depends on the state that another left.
    let server = Server::start(options, cores)?;
    let (pid, plan) = (server.child.id(), server.plan(cores, work.clone(), *count));
    // A separate thread, too: after a ring is closed, the kernel's cleanup interrupts the next
    // calls of its thread.
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::pin(cores.load)?;
            measure(pid, cores.server, &plan)
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the load panicked")))
    })
}

/// Prints the conclusion from the table.
fn conclude(options: &Options, level: &str, lines: &[Line]) -> ExitCode {
    let any = |verdict| lines.iter().any(|line| line.verdict() == verdict);
    let file = options.file.display();
    if any(Verdict::NoBudget) {
        println!("NOT CHECKED: {file} has no budgets for {level} instructions");
    }
    if any(Verdict::Below) && !options.limits {
        println!("below: the budget can be lowered, so that a later rise is noticed");
    }
    if any(Verdict::Over) {
        let percent = TOLERANCE * 100.0;
        println!("OVER: the server needs over {percent} % more instructions than its budget");
    }
    if (any(Verdict::Below) || any(Verdict::Over)) && !options.limits {
        println!(
            "if that is meant to be: budget --update --server {} --file {file}",
            options.server.display()
        );
    }
    if any(Verdict::Over) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The time before counting, in which what grows with use reaches its size.
const WARM_UP: Duration = Duration::from_millis(300);

/// The seconds until the server sends a ping, and until it checks whether the handshake of a
/// connection has ended. In a second of stepping that would be much work for few messages.
const NEVER: &str = "86400";

/// Every limit of what clients may do, beyond what the load does.
const LIMITS: [&str; 12] = [
    "--message-rate",
    "10000000",
    "--byte-rate",
    "2GiB",
    "--control-rate",
    "100000",
    "--max-connections-per-address",
    "60000",
    "--handshake-rate",
    "1000000",
    "--max-handshakes",
    "60000",
];

/// What the table says of a workload that is below its budget.
const BELOW: &str = "  below: lower the budget";

/// What a budget is multiplied with for a server with limits.
const WITH_LIMITS: f64 = 1.03;

/// The most measurements of a workload that is compared with its budget.
const TRIES: usize = 5;

/// The number of measurements of a workload for its budget; an odd number.
const REPEATS: usize = 3;

/// The name of a workload, the load, and the number of messages or bursts.
type Workload = (&'static str, Work, u64);

/// The workloads.
fn workloads() -> Vec<Workload> {
    let echo = |connections, size, content, depth| {
        let path = Some("/echo".to_owned());
        Work::Echo(Echo { path, connections, size, content, pace: Pace::Depth(depth) })
    };
    let fanout = |subscribers, burst| {
        let (subscriber, publisher) = ("/topics/budget".to_owned(), "/topics/budget".to_owned());
        let subscribe = None;
        Work::Fanout(Fanout { subscriber, publisher, subscribe, subscribers, size: 64, burst })
    };
    vec![
        ("echo-20B-d16", echo(100, 20, Content::Binary, 16), 1600),
        ("echo-20B-d1", echo(100, 20, Content::Binary, 1), 400),
        ("echo-16KiB-korean", echo(8, 16 << 10, Content::Korean, 1), 16),
        ("fanout-64B-200-burst8", fanout(200, 8), 2),
        // In bursts of 1 every delivery is a separate send. With 200 subscribers a sixth of the
        // count is work for the message itself, which with 1,000 is spread over more deliveries.
        ("fanout-64B-200-burst1", fanout(200, 1), 8),
        ("fanout-64B-1000-burst1", fanout(1000, 1), 2),
    ]
}

/// The cores of server and load.
struct Cores {
    server: usize,
    load: usize,
}

impl Cores {
    /// The first two cores that this process may use, or the same one twice.
    fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = cores.next().unwrap_or(0);
        Ok(Self { server, load: cores.next().unwrap_or(server) })
    }
}

/// A running server; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Kept open for further output.
    output: Option<BufReader<ChildStderr>>,
}

impl Server {
    fn start(options: &Options, cores: &Cores) -> io::Result<Self> {
        // A process inherits its cores from the thread that starts it.
        sys::pin(cores.server)?;
        let child = Command::new(&options.server)
            .args(["serve", "--listen", "127.0.0.1:0", "--ping-after", NEVER])
            .args(["--handshake-timeout", NEVER, "--cores"])
            .arg(cores.server.to_string())
            .args(options.backend.iter().flat_map(|name| ["--backend", name]))
            .args(if options.limits { &LIMITS[..] } else { &[] })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                let text = format!("cannot start {}: {e}; build it", options.server.display());
                io::Error::new(e.kind(), text)
            });
        sys::pin(cores.load)?;
        let mut child = child?;
        let output = child.stderr.take().map(BufReader::new);
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), output };
        let mut said = String::new();
        while let Some(output) = &mut server.output {
            let from = said.len();
            if output.read_line(&mut said)? == 0 {
                break;
            }
            if let Some(address) = listening_address(&said[from..]) {
                server.address = address;
                return Ok(server);
            }
        }
        Err(io::Error::other(format!("the server ended before it listened:\n{said}")))
    }

    fn plan(&self, cores: &Cores, work: Work, count: u64) -> Plan {
        Plan {
            address: self.address,
            work,
            warm_up: WARM_UP,
            length: Length::Count(count),
            busy: cores.load != cores.server,
            verify: false,
            deflate: false,
            tls: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // These calls fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address after `listening on `.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on ")?.1;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_log_line() {
        let line =
            "2026-01-01T00:00:00Z  INFO corecast echoes, listening on 127.0.0.1:4567 cores=0";
        assert_eq!(listening_address(line), Some(SocketAddr::from(([127, 0, 0, 1], 4567))));
        assert_eq!(listening_address("listening soon"), None);
    }

    #[test]
    fn the_committed_file_has_a_budget_for_every_workload() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json");
        let budgets = Budgets::read(&file).unwrap();
        for (name, ..) in workloads() {
            for level in ["avx512", "avx512-epoll"] {
                let budget = budgets.get(level, name);
                assert!(budget.is_some_and(|budget| budget > 0.0), "{level}: {name}");
            }
        }
    }
}
