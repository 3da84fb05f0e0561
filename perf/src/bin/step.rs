//! Counts the user instructions and system calls of a running process, by function: a profiler for
//! machines without hardware counters.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use clap::Parser;
use corecast_perf::step::{Profile, Stepper};

/// Step a process for some seconds, which takes some 20 us for each instruction, and print the
/// instructions that it executed.
#[derive(Parser)]
struct Options {
    /// The process id.
    pid: u32,
    /// The duration in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The core on which the process runs; stepping is fastest from there.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Print this number of functions with the most instructions.
    #[arg(long, default_value_t = 0)]
    top: usize,
    /// Count an instruction for each function that it was inlined into as well.
    #[arg(long)]
    inclusive: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("step: error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let length = Duration::try_from_secs_f64(options.seconds)
        .map_err(|_| io::Error::other("--seconds takes a time, such as 2.5"))?;
    let stepper = Stepper::attach(options.pid, options.core)?;
    thread::sleep(length);
    // The process may have ended.
    let mappings = mappings(options.pid)?;
    let (count, profile) = stepper.detach_with_profile()?;
    println!("{} instructions, {} system calls", count.instructions, count.syscalls);
    if options.top > 0 {
        let mut functions: Vec<_> =
            by_function(&profile, &mappings, options.inclusive).into_iter().collect();
        functions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let whole = percent(1, count.instructions);
        for (name, times) in functions.into_iter().take(options.top) {
            println!("{:6.2} % {times:>12}  {name}", percent(times, 1) * whole / 100.0);
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// A mapping of a file, or of anonymous memory, in a process.
struct Mapping {
    from: u64,
    to: u64,
    offset: u64,
    file: String,
}

fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(text.lines().filter_map(mapping).collect())
}

/// A line such as `55e0-55f0 r-xp 00001000 08:01 1234   /usr/bin/x`.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let offset = fields.nth(1)?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let file = fields.skip(2).collect::<Vec<_>>().join(" ");
    Some(Mapping { from: hex(from)?, to: hex(to)?, offset: hex(offset)?, file })
}

/// Instructions by function, or by file if that has no symbols.
fn by_function(profile: &Profile, mappings: &[Mapping], inclusive: bool) -> HashMap<String, u64> {
    let mut files: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
    for (address, times) in profile {
        let place = mappings.iter().find(|m| (m.from..m.to).contains(address));
        let (file, offset) =
            place.map_or(("unknown", 0), |m| (m.file.as_str(), address - m.from + m.offset));
        files.entry(file).or_default().push((offset, *times));
    }
    let mut sums = HashMap::new();
    for (file, places) in files {
        let offsets: Vec<u64> = places.iter().map(|(offset, _)| *offset).collect();
        let mut names = names(file, &offsets).into_iter();
        for (_, times) in places {
            let mut chain = names.next().unwrap_or_default();
            chain.truncate(if inclusive { usize::MAX } else { 1 });
            chain.sort();
            chain.dedup();
            if chain.is_empty() {
                chain.push(file.to_owned());
            }
            for name in chain {
                *sums.entry(name).or_default() += times;
            }
        }
    }
    sums
}

/// The functions at some offsets in a file, from binutils: for each offset the innermost inlined
/// function, and those around it. Empty if binutils cannot tell.
fn names(file: &str, offsets: &[u64]) -> Vec<Vec<String>> {
    if !Path::new(file).is_file() {
        return Vec::new();
    }
    let output = |program: &str, options: &[String]| {
        let output = Command::new(program).args(options).arg(file).output();
        output.map_or_else(
            |_| {
                eprintln!("step: no {program} here; install binutils to see functions");
                String::new()
            },
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let headers = output("readelf", &["-lW".to_owned()]);
    let segments: Vec<_> = headers.lines().filter_map(segment).collect();
    let mut options = vec!["-afiC".to_owned()];
    options.extend(offsets.iter().map(|offset| format!("{:#x}", address(&segments, *offset))));
    options.push("-e".to_owned());
    // For each address a line with the address, then for each function a line with its name and one
    // with its source position.
    let text = output("addr2line", &options);
    let mut chains: Vec<Vec<String>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            chains.push(Vec::new());
            continue;
        }
        lines.next();
        if let Some(chain) = chains.last_mut().filter(|_| line != "??") {
            chain.push(line.to_owned());
        }
    }
    chains
}

/// The address of an offset of a file in terms of its symbols; 0 if it is not mapped.
fn address(segments: &[Segment], offset: u64) -> u64 {
    let inside = |s: &&Segment| (s.offset..s.offset + s.size).contains(&offset);
    segments.iter().find(inside).map_or(0, |s| offset - s.offset + s.address)
}

/// A segment of a file that is loaded into memory.
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

/// A line of `readelf` such as `LOAD 0x001000 0x0000000000001000 0x... 0x2000 0x2000 R E 0x1000`.
fn segment(line: &str) -> Option<Segment> {
    let mut fields = line.trim_start().strip_prefix("LOAD")?.split_ascii_whitespace();
    let mut hex = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let (offset, address, _, size) = (hex()?, hex()?, hex()?, hex()?);
    Some(Segment { offset, size, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_lead_to_addresses() {
        let maps = "7f001000-7f003000 r-xp 00001000 08:01 77   /lib/a b.so\n";
        let place = mapping(maps).unwrap();
        assert_eq!((place.offset, place.file.as_str()), (0x1000, "/lib/a b.so"));
        let headers = "  LOAD           0x001000 0x0000000000002000 0x2000 0x900 0x900 R E 0x1000";
        let segments: Vec<_> = headers.lines().filter_map(segment).collect();
        assert_eq!(address(&segments, 0x1010), 0x2010);
        assert_eq!(address(&segments, 0x18ff), 0x28ff);
        assert_eq!(address(&segments, 0x1900), 0);
    }

    #[test]
    fn instructions_outside_of_files_keep_the_name_of_their_mapping() {
        let maps = ["1000-2000 r-xp 00000000 00:00 0   [vdso]", "5000-6000 r-xp 0 00:00 0"];
        let mappings: Vec<_> = maps.iter().filter_map(|line| mapping(line)).collect();
        let sums =
            by_function(&HashMap::from([(0x1004, 3), (0x1008, 4), (0x9000, 1)]), &mappings, false);
        assert_eq!(sums, HashMap::from([("[vdso]".to_owned(), 7), ("unknown".to_owned(), 1)]));
    }
}
