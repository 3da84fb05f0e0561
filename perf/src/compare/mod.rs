//! The comparison: servers measured alternately, round by round, with all available meters.
//!
//! For each workload and round each server is started, on core 0, and measured once; in every other
//! round in reverse order, so that changes of the machine's speed affect all of them. The load is
//! in this process, on core 1, and never sleeps. Ratios are taken within a round.

mod certificate;
#[allow(unsafe_code)]
mod child;
mod measure;
mod options;
mod progress;
mod servers;
mod stats;
mod stepping;
mod summary;
mod table;
mod workloads;

use std::io::{self, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::Work;
use crate::machine;
use crate::results::{Results, Row, Server as Named, Workload};
use measure::How;
use options::{Options, Set};
use progress::Progress;
use servers::{LOAD_CORE, Server};
use workloads::{Entry, JOBS, Job, Kind, Learnt};

/// Descriptors needed in addition to one for each connection.
const SPARE_FILES: u64 = 200;

/// The overhead of a run in seconds: start, connecting, warm-up, the end.
const OVERHEAD: f64 = 0.5;

/// The overhead of stepping one server in seconds, mostly for messages in flight at the end.
const STEP_OVERHEAD: f64 = 10.0;

/// Runs the comparison that the command line asks for; the first argument is the program.
pub fn main(arguments: Vec<String>) -> Result<(), String> {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(e) => e.exit(),
    };
    compare(&options).map_err(|e| e.to_string())
}

fn compare(options: &Options) -> io::Result<()> {
    if options.list {
        return list();
    }
    let jobs = jobs(options)?;
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })?;
    let (mut servers, mut notes) = servers::servers(options)?;
    servers.retain(|server| server.tls || !options.tls);
    if options.cores.contains(&LOAD_CORE) {
        let text = "corecast shares a core with the load; compare its CPU time, not its rates";
        notes.push(text.to_owned());
    }
    let named =
        |server: &Server| Named { name: server.name.clone(), version: server.version.clone() };
    let mut comparison = Comparison {
        options,
        servers: &servers,
        progress: Progress::new(0.0),
        results: Results {
            date: machine::today(),
            machine: machine::describe(notes),
            servers: servers.iter().map(named).collect(),
            workloads: Vec::new(),
        },
    };
    // Only after the description of the machine, which counts the cores of this process.
    servers::pin(&[LOAD_CORE])?;
    let seconds = jobs.iter().map(|job| comparison.expected(job)).sum();
    comparison.progress = Progress::new(seconds);
    print(&table::head(&comparison.results))?;
    let before = comparison.results.machine.notes.len();
    for job in &jobs {
        comparison.workload(job)?;
    }
    print("\n")?;
    for note in &comparison.results.machine.notes[before..] {
        print(&format!("Note: {note}.\n"))?;
    }
    write(options, &comparison.results)?;
    if let Some(path) = &options.readme {
        let said = |e| io::Error::other(format!("cannot change {}: {e}", path.display()));
        summary::put(path, &comparison.results).map_err(said)?;
    }
    let (path, seconds) = (options.json.display(), comparison.progress.seconds());
    eprintln!("Written to {path}. Took {seconds:.0} s.");
    Ok(())
}

/// The selected workloads.
fn jobs(options: &Options) -> io::Result<Vec<Job>> {
    let known = |name: &&String| JOBS.iter().any(|job| job.name == **name);
    let wrong = options.only.iter().find(|name| !known(name)).or_else(|| {
        options.without.iter().find(|name| !known(name) && !servers::known(name, options))
    });
    if let Some(name) = wrong {
        return Err(io::Error::other(format!("there is no {name}; --list prints the workloads")));
    }
    let wanted = |job: &&Job| match &options.only[..] {
        [] if options.tls => job.set == Set::Tls,
        [] => job.set <= options.set(),
        only => only.iter().any(|name| name == job.name),
    };
    let left_out = |job: &&Job| options.without.iter().any(|name| name == job.name);
    Ok(JOBS.iter().filter(wanted).filter(|job| !left_out(job)).copied().collect())
}

fn list() -> io::Result<()> {
    for job in JOBS {
        let set = match job.set {
            Set::Quick => "--quick",
            Set::Default => "",
            Set::Tls => "--tls",
            Set::All => "--all",
        };
        print(&format!("{:21} {:8} {}\n", job.name, set, job.title))?;
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn write(options: &Options, results: &Results) -> io::Result<()> {
    let path = &options.json;
    let said = |e| io::Error::other(format!("cannot write {}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    let mut text = serde_json::to_string_pretty(results).map_err(io::Error::other)?;
    text.push('\n');
    std::fs::write(path, text).map_err(said)
}

/// The state of a comparison.
struct Comparison<'a> {
    options: &'a Options,
    servers: &'a [Server],
    progress: Progress,
    results: Results,
}

impl Comparison<'_> {
    fn learnt(&self) -> Learnt {
        let most = self.results.machine.max_files.saturating_sub(5 * SPARE_FILES);
        let connections = usize::try_from(most).unwrap_or(usize::MAX);
        // A rate that is not used, except for counting rows.
        Learnt { rate: 1.0, compressed: 0, connections }
    }

    fn rounds(&self, job: &Job) -> usize {
        match job.kind {
            Kind::Crowd(_) => 1,
            // The kernel's counters are those of the whole machine, which other processes use as
            // well.
            Kind::Idle(_) => self.options.rounds().min(3),
            _ => self.options.rounds(),
        }
    }

    /// Whether the instructions of a server are stepped: of all servers if requested, and of
    /// corecast if the hardware does not count them.
    fn steps(&self, job: &Job, server: &Server) -> bool {
        let uncounted = self.results.machine.counters.is_some() && server.is_corecast();
        job.steppable() && (self.options.step || uncounted) && !self.options.no_step
    }

    /// The estimated seconds of one run.
    fn each(&self, job: &Job) -> f64 {
        if job.holds() { 4.0 } else { self.options.length().as_secs_f64() + OVERHEAD }
    }

    /// The estimated seconds of stepping one server.
    fn each_step(&self) -> f64 {
        self.options.step_length().as_secs_f64() + STEP_OVERHEAD
    }

    /// The estimated seconds of a workload.
    fn expected(&self, job: &Job) -> f64 {
        let entries = job.entries(self.servers, &self.learnt());
        let stepped = entries.iter().filter(|entry| self.steps(job, entry.server)).count();
        let runs = entries.len() * self.rounds(job);
        runs as f64 * self.each(job) + stepped as f64 * self.each_step()
    }

    /// Measures and prints a workload.
    fn workload(&mut self, job: &Job) -> io::Result<()> {
        let learnt = self.learn(job);
        let servers = self.servers;
        let entries = job.entries(servers, &learnt);
        let row = |entry: &Entry<'_>| Row {
            server: entry.name.clone(),
            failed: self.unable(entry),
            rounds: Vec::new(),
            stepped: None,
        };
        let mut rows: Vec<Row> = entries.iter().map(row).collect();
        for round in 0..self.rounds(job) {
            for step in 0..entries.len() {
                // Every other round is in reverse order, so that no server always follows the same
                // one.
                let index = if round % 2 == 0 { step } else { entries.len() - 1 - step };
                self.round(job, round, &entries[index], &mut rows[index]);
            }
        }
        for (entry, row) in entries.iter().zip(&mut rows) {
            if self.steps(job, entry.server) {
                self.step(job, entry, row);
            }
        }
        self.finish(job, &learnt, rows)
    }

    /// Measures the values that must be known before the rounds.
    fn learn(&mut self, job: &Job) -> Learnt {
        let mut learnt = self.learnt();
        let mut lowest = f64::INFINITY;
        for entry in job.questions(self.servers) {
            self.progress.say(&format!("{}: maximum rate of {}", job.name, entry.name));
            // A server that fails here fails in its rounds as well, and is reported there.
            if let Ok(found) = measure::probe(&entry, &self.options.cores) {
                lowest = lowest.min(found.round.per_second);
                // Without the frame header, which is longer for longer payloads.
                let head = if found.wire > 127.0 { 4.0 } else { 2.0 };
                learnt.compressed = (found.wire - head).max(1.0) as usize;
            }
        }
        if lowest.is_finite() {
            learnt.rate = lowest / 2.0;
        }
        learnt
    }

    /// The reason to skip an entry, if there is one.
    fn unable(&self, entry: &Entry<'_>) -> Option<String> {
        // corecast and the load can use several rings and processes.
        if entry.server.is_corecast() && matches!(entry.work, Work::Idle(_)) {
            return None;
        }
        let needed = workloads::connections(&entry.work) as u64 + SPARE_FILES;
        (self.results.machine.max_files < needed)
            .then(|| format!("it needs a limit of open files (ulimit -Hn) of {needed} or more"))
    }

    /// One round of one server.
    fn round(&mut self, job: &Job, round: usize, entry: &Entry<'_>, row: &mut Row) {
        let (name, all) = (job.name, self.rounds(job));
        let expected = self.each(job);
        if row.failed.is_none() {
            self.progress.say(&format!("{name}: round {} of {all}, {}", round + 1, entry.name));
            let how = How {
                cores: &self.options.cores,
                length: self.options.length(),
                trace: round == 0,
                verify: self.options.verify,
            };
            match measure::run(entry, &how) {
                Ok(found) => {
                    if found.behind > 0.01 {
                        let share = 100.0 * found.behind;
                        let text = "of its messages could not be sent in time in one round";
                        self.note(format!(
                            "{name}: {} is too slow; {share:.0} % {text}",
                            entry.name
                        ));
                    }
                    row.rounds.push(found.round);
                }
                Err(e) => {
                    eprintln!("{name}: {} failed: {e}", entry.name);
                    row.failed = Some(e.to_string().replace('\n', " "));
                    row.rounds.clear();
                }
            }
        }
        self.progress.passed(expected);
    }

    fn step(&mut self, job: &Job, entry: &Entry<'_>, row: &mut Row) {
        let expected = self.each_step();
        if row.failed.is_none() {
            self.progress.say(&format!("{}: stepping {}", job.name, entry.name));
            let length = self.options.step_length();
            match stepping::run(entry, &row.rounds, &self.options.cores, length) {
                Ok(stepped) => row.stepped = stepped,
                Err(e) => self.note(format!("{}: {} was not stepped: {e}", job.name, entry.name)),
            }
        }
        self.progress.passed(expected);
    }

    fn note(&mut self, text: String) {
        self.results.machine.notes.push(text);
    }

    /// Prints a workload and stores it; if its rows are numbers of connections, each becomes a
    /// separate workload.
    fn finish(&mut self, job: &Job, learnt: &Learnt, rows: Vec<Row>) -> io::Result<()> {
        let mut title = job.title.to_owned();
        if matches!(job.kind, Kind::Latency(_)) {
            title += &format!(" ({:.0} a second)", learnt.rate);
        }
        let (name, unit) = (job.name.to_owned(), job.unit.to_owned());
        let workload = Workload { name, title, unit, rows };
        print(&table::workload(&workload))?;
        if !job.grows() {
            self.results.workloads.push(workload);
            return Ok(());
        }
        for row in workload.rows {
            let name = format!("{}-{}", workload.name, row.server);
            let title = format!("{}: {}", workload.title, row.server);
            let rows = vec![Row { server: "corecast".to_owned(), ..row }];
            let unit = workload.unit.clone();
            self.results.workloads.push(Workload { name, title, unit, rows });
        }
        Ok(())
    }
}
