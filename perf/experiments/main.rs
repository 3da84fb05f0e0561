//! A/B experiments on raw rings: each design choice of the hot path against its alternatives.
//!
//! `experiments` measures all, `experiments --only E2 --rounds 20` one of them; `experiments
//! contract` verifies the kernel behaviour that sends without completions rely on, `experiments
//! wakes` compares two ways to wake another core. The server runs on core 0 of this process, the
//! load in a second process on core 1. Variants alternate round by round, so that a change of the
//! machine's speed affects all of them. Figures are those of the server's thread.
#![allow(unsafe_code)]

mod config;
mod contract;
mod echo;
mod load;
mod pieces;
mod report;
mod server;
mod wakes;

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use corecast_perf::meter::ThreadCounters as Counters;
use corecast_perf::{pool, sys, wire};

use config::{Experiment, Variant, Workload};
use load::LoadProcess;
use report::Sample;
use server::Window;

const USAGE: &str = "usage: experiments [--rounds N] [--millis N] [--only E1|E2|E3|E4|E9]
       experiments contract
       experiments wakes";

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// The command line.
struct Options {
    rounds: usize,
    millis: u64,
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(load::ARGUMENT) => load::main(LOAD_CORE),
        Some("wakes") if arguments.len() == 1 => wakes::main(),
        Some("contract") if arguments.len() == 1 => contract::main(),
        _ => match parse(&arguments) {
            Some(options) => measure(&options),
            None => Err(io::Error::other(USAGE)),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<Options> {
    let mut options = Options { rounds: 10, millis: 700, only: None };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next()?;
        match name.as_str() {
            "--rounds" => options.rounds = value.parse().ok().filter(|n| *n > 0)?,
            "--millis" => options.millis = value.parse().ok().filter(|n| *n >= 100)?,
            "--only" => {
                config::experiments().iter().find(|e| e.id == value)?;
                options.only = Some(value.clone());
            }
            _ => return None,
        }
    }
    Some(options)
}

fn measure(options: &Options) -> io::Result<()> {
    let started = Instant::now();
    sys::pin(SERVER_CORE)?;
    let counters = Counters::open();
    println!("Kernel {}, {}.", sys::kernel_release(), sys::cpu_model());
    println!(
        "{} interleaved rounds of {} ms per variant; medians; server on core {SERVER_CORE}, \
         load on core {LOAD_CORE}.",
        options.rounds, options.millis
    );
    if let Err(e) = &counters {
        println!("Instruction counters: not available here ({e}); see CPU time instead.");
    }
    let mut load = LoadProcess::start()?;
    for experiment in config::experiments() {
        if options.only.as_ref().is_none_or(|id| id == experiment.id) {
            println!("\n## {}: {}", experiment.id, experiment.title);
            for workload in &experiment.workloads {
                compare(options, &experiment, workload, &mut load, counters.as_ref().ok())?;
            }
        }
    }
    println!("\nTook {:.0} s.", started.elapsed().as_secs_f64());
    Ok(())
}

/// Measures all variants of an experiment under one load and prints their table.
fn compare(
    options: &Options,
    experiment: &Experiment,
    workload: &Workload,
    load: &mut LoadProcess,
    counters: Option<&Counters>,
) -> io::Result<()> {
    let mut samples: Vec<Vec<Sample>> = experiment.variants.iter().map(|_| Vec::new()).collect();
    let warm = options.millis / 7;
    let window = Window {
        warm: Duration::from_millis(warm),
        measure: Duration::from_millis(options.millis - warm),
    };
    let last = experiment.variants.len() - 1;
    for round in 0..options.rounds {
        for step in 0..=last {
            // Every other round runs backwards, so that no variant always follows the same one.
            let index = if round % 2 == 0 { step } else { last - step };
            let variant = &experiment.variants[index];
            let listener = TcpListener::bind("127.0.0.1:0")?;
            load.order(listener.local_addr()?.port(), *workload)?;
            let served = server::run(variant, workload, &listener, window, counters);
            let (first, last) = match (served, load.finish()) {
                (Ok(snapshots), Ok(())) => snapshots,
                (served, loaded) => return Err(explain(variant, served.err(), loaded.err())),
            };
            samples[index].push(Sample::between(&first, &last));
        }
    }
    let Workload { connections, request, reply, depth } = workload;
    let title = format!(
        "{}, {connections} connections, {request} B requests, {reply} B replies, depth {depth}",
        experiment.id
    );
    let names: Vec<&str> = experiment.variants.iter().map(|v| v.name).collect();
    report::table(&title, &names, &samples);
    Ok(())
}

/// An error that names the variant and the failures of both sides, because a failure of one side
/// also breaks the other.
fn explain(variant: &Variant, server: Option<io::Error>, load: Option<io::Error>) -> io::Error {
    let reasons: Vec<String> = server.into_iter().chain(load).map(|e| e.to_string()).collect();
    io::Error::other(format!("{}: {}", variant.name, reasons.join("; ")))
}
