//! Instructions for each byte of unmasking and of UTF-8 validation, on every path that this machine
//! supports: `kernels [BYTES]`, by default 4 KiB.
//!
//! The work is done by a second process of this program, which is stepped, so that only the kernels
//! are counted and no hardware counter is needed. Each is run a number of times and then twice as
//! often; the difference is printed, so that the start of the process does not count.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use corecast::protocol::websocket::mask::{self, MaskKey};
use corecast::protocol::websocket::utf8::{self, Validator};
use corecast_perf::step::Stepper;
use corecast_perf::sys;

/// The hidden argument that starts the stepped process.
const WORKER: &str = "--worker";
const KEY: MaskKey = MaskKey::new([0x37, 0xfa, 0x21, 0x3d]);
const CORE: usize = 0;
/// Runs for the first count; the second has twice as many.
const RUNS: u64 = 1;

/// The operation on a text.
#[derive(Clone, Copy)]
enum Task {
    /// Unmasked only.
    Mask(mask::Kernel),
    /// Validated only.
    Validate(utf8::Kernel),
    /// Unmasked, then validated: two passes.
    Both(mask::Kernel, utf8::Kernel),
    /// As in the server: in one pass where the kernel can.
    Together(utf8::Kernel),
}

/// All operations, with their names in the table.
fn tasks() -> Vec<(String, Task)> {
    let masks = mask::Kernel::available();
    let texts = utf8::Kernel::available();
    let mut tasks = Vec::new();
    for kernel in &masks {
        tasks.push((format!("unmask, {}", kernel.name()), Task::Mask(*kernel)));
    }
    for kernel in &texts {
        tasks.push((format!("validate, {}", kernel.name()), Task::Validate(*kernel)));
    }
    for text in &texts {
        for mask in &masks {
            let name = format!("unmask with {}, then validate with {}", mask.name(), text.name());
            tasks.push((name, Task::Both(*mask, *text)));
        }
    }
    for kernel in &texts {
        tasks.push((format!("both together, {}", kernel.name()), Task::Together(*kernel)));
    }
    tasks
}

/// The texts: their names and repeated parts.
const TEXTS: [(&str, &str); 3] =
    [("ASCII", "a plain word "), ("Korean", "코어캐스트"), ("emoji", "🦀")];

/// As many whole repetitions as fit into `size` bytes.
fn text(sample: &str, size: usize) -> Vec<u8> {
    sample.repeat((size / sample.len()).max(1)).into_bytes()
}

fn run(task: Task, plain: &[u8], bytes: &mut [u8]) -> bool {
    let mut validator = Validator::new();
    match task {
        Task::Mask(kernel) => {
            kernel.unmask(bytes, KEY);
            true
        }
        Task::Validate(kernel) => kernel.push(&mut validator, plain).is_ok(),
        Task::Both(mask, utf8) => {
            mask.unmask(bytes, KEY);
            utf8.push(&mut validator, bytes).is_ok()
        }
        Task::Together(kernel) => kernel.unmask_text(bytes, KEY, &mut validator).is_ok(),
    }
}

/// Prepares the work of each line `TASK TEXT SIZE RUNS`, and runs it on request.
fn worker() -> io::Result<()> {
    let tasks = tasks();
    let mut output = io::stdout().lock();
    let mut lines = io::stdin().lock().lines();
    while let Some(line) = lines.next() {
        let numbers: Vec<usize> = line?.split(' ').filter_map(|word| word.parse().ok()).collect();
        let &[task, sample, size, runs] = &numbers[..] else {
            return Err(io::Error::other("a malformed order"));
        };
        let plain = text(TEXTS[sample].1, size);
        let mut masked = plain.clone();
        mask::unmask(&mut masked, KEY);
        let mut copies = vec![masked; runs];
        writeln!(output, "ready")?;
        lines.next().transpose()?;
        let mut valid = true;
        for copy in &mut copies {
            valid &= run(tasks[task].1, &plain, copy);
        }
        writeln!(output, "{}", if valid { "valid" } else { "invalid" })?;
    }
    Ok(())
}

/// The process that does the work.
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORKER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, output) = pipes.ok_or_else(|| io::Error::other("no pipes to the worker"))?;
        Ok(Self { child, orders, answers: BufReader::new(output) })
    }

    fn expect(&mut self, wanted: &str) -> io::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.trim() == wanted {
            return Ok(());
        }
        Err(io::Error::other(format!("the worker printed `{}`, not `{wanted}`", line.trim())))
    }

    /// Instructions of one order.
    fn count(&mut self, stepper: &Stepper, order: [u64; 4]) -> io::Result<u64> {
        let [task, sample, size, runs] = order;
        writeln!(self.orders, "{task} {sample} {size} {runs}")?;
        self.expect("ready")?;
        let before = stepper.read().instructions;
        writeln!(self.orders, "go")?;
        self.expect("valid")?;
        Ok(stepper.read().instructions - before)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // These calls fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the table.
fn measure(size: u64) -> io::Result<()> {
    println!("Kernel {}, {}; {size} B.\n", sys::kernel_release(), sys::cpu_model());
    println!("| instructions for each byte | {} |", TEXTS.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "---:|".repeat(TEXTS.len()));
    sys::pin(CORE)?;
    let mut worker = Worker::start()?;
    let stepper = Stepper::attach(worker.child.id(), CORE)?;
    for (task, (name, _)) in (0..).zip(tasks()) {
        let mut line = format!("| {name} |");
        for sample in 0..TEXTS.len() as u64 {
            let once = worker.count(&stepper, [task, sample, size, RUNS])?;
            let twice = worker.count(&stepper, [task, sample, size, 2 * RUNS])?;
            // Counts are far below 2^53, so the conversions are exact.
            line += &format!(" {:.3} |", (twice - once) as f64 / (RUNS * size) as f64);
        }
        println!("{line}");
    }
    drop(stepper);
    Ok(())
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let done = match argument.as_deref() {
        Some(WORKER) => worker(),
        Some(size) => match size.parse::<u64>() {
            Ok(size) if (1..=1 << 20).contains(&size) => measure(size),
            _ => Err(io::Error::other("usage: kernels [BYTES], at most 1048576")),
        },
        None => measure(4 << 10),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kernels: {e}");
            ExitCode::FAILURE
        }
    }
}
