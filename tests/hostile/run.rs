//! One run: a server of its own, the honest, then the attack beside them, then its end.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use corecast::server::allowed_cores;

use crate::attack::Attack;
use crate::attacker::Report;
use crate::guarded;
use crate::honest::{SharedPhase, measure};
use crate::limits;
use crate::sched;
use crate::script::{Group, Over, Workload};
use crate::series::{Measured, Phase};
use crate::support::server::{Server, binary};
use crate::support::{backend, host};
use crate::tls;

/// How long all run before anything counts.
const WARM: Duration = Duration::from_millis(400);
/// How long the honest are watched after the attackers have left.
const AFTER: Duration = Duration::from_millis(1_000);

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long the honest are measured without the attack.
    pub(crate) quiet: Duration,
    /// How long the attack takes.
    pub(crate) attack: Duration,
    /// The server's cores: one or two.
    pub(crate) cores: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) measured: Measured,
    pub(crate) report: Report,
    /// Resident bytes of the server before the attack, the most ever, and after the attackers left.
    pub(crate) before: u64,
    pub(crate) peak: u64,
    pub(crate) after: u64,
    /// The most that its limits allow.
    pub(crate) limit: u64,
    /// Processor time of the server for the attack: what the honest cost alone is left out.
    pub(crate) cpu: Duration,
    /// Processor time that the machine below took during the attack, of all cores.
    pub(crate) stolen: Duration,
    /// How long the attack and its end took.
    pub(crate) time: Duration,
    /// Whether the server ended by itself.
    pub(crate) is_dead: bool,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) plain: SocketAddr,
    tls: Option<SocketAddr>,
}

impl Addresses {
    pub(crate) fn of(server: &Server) -> Self {
        let log = server.log();
        let lines = log.iter().filter_map(|line| line.split_once(" (TLS)"));
        let tls = lines.filter_map(|(before, _)| before.rsplit(' ').next()?.parse().ok()).next();
        Self { plain: server.addr(), tls }
    }

    /// The listener with TLS.
    pub(crate) fn tls(self) -> SocketAddr {
        self.tls.expect("a server with TLS")
    }
}

/// The binary under test: that of this build, or the one that `CORECAST` names. It listens with TLS
/// as well, or verifies tokens on one path, if an attack needs that.
pub(crate) fn server(cores: &[usize], groups: &[Group], flags: &[&str]) -> Server {
    let path = std::env::var("CORECAST").unwrap_or_else(|_| binary().to_owned());
    let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
    let mut command = Command::new(path);
    command.args(["serve", "--listen", "127.0.0.1:0", "--cores", &list.join(",")]).args(flags);
    let needs_tls = groups.iter().any(|group| !matches!(group.over, Over::Tcp));
    let files = needs_tls.then(tls::Files::new);
    command.args(files.iter().flat_map(tls::Files::flags));
    let settings = groups.iter().any(guarded::is_for).then(guarded::Settings::new);
    command.args(settings.iter().map(guarded::Settings::flag));
    command.args(backend::flag().map(|name| format!("--backend={name}")));
    Server::spawn(command)
}

/// The cores of the server and those of the load. One core of the server is never the load's, if
/// there are two.
pub(crate) fn split(wanted: usize) -> (Vec<usize>, Vec<usize>) {
    let all = allowed_cores();
    match all[..] {
        [first, .., last] if wanted == 1 => (vec![first], vec![last]),
        [first, second, ..] => (vec![first, second], all),
        _ => (all.clone(), all),
    }
}

/// Runs `workload`; `during` is called once when the attack is half over.
pub(crate) fn run_with(
    workload: &Workload,
    settings: Settings,
    during: impl FnOnce(&Server),
) -> Outcome {
    let groups = (workload.make)();
    let (serving, loading) = split(settings.cores);
    let mut server = server(&serving, &groups, workload.flags);
    let (addr, pid) = (server.addr(), server.pid());
    let addresses = Addresses::of(&server);
    let phase = SharedPhase::default();
    let honest = {
        let (phase, cores) = (phase.clone(), loading.clone());
        thread::spawn(move || measure(addr, pid, &cores, &phase))
    };
    thread::sleep(WARM);
    let before = host::rss(pid);
    let cpu_first = sched::cpu_time(pid);
    let limit = limits::of(&groups, before, settings.cores as u64);
    phase.set(Phase::Quiet);
    thread::sleep(settings.quiet);
    phase.set(Phase::Attack);
    let cpu_before = sched::cpu_time(pid);
    let stolen_before = sched::stolen();
    let attack = Attack::start(addresses, groups, loading);
    thread::sleep(settings.attack / 2);
    during(&server);
    thread::sleep(settings.attack / 2);
    let report = attack.stop();
    thread::sleep(AFTER);
    let cpu = sched::cpu_time(pid).saturating_sub(cpu_before);
    let usual = cpu_before.saturating_sub(cpu_first).as_secs_f64() / settings.quiet.as_secs_f64();
    let usual = Duration::from_secs_f64(usual * (settings.attack + AFTER).as_secs_f64());
    let stolen = sched::stolen().saturating_sub(stolen_before);
    phase.set(Phase::Over);
    let measured = honest.join().expect("honest clients that do not panic");
    let is_dead = !server.is_running();
    let (peak, after) = if is_dead { (0, 0) } else { (host::peak(pid), host::rss(pid)) };
    let cpu = cpu.saturating_sub(usual);
    let time = settings.attack + AFTER;
    Outcome { measured, report, before, peak, after, limit, cpu, stolen, time, is_dead }
}

/// Runs `workload`.
pub(crate) fn run(workload: &Workload, settings: Settings) -> Outcome {
    run_with(workload, settings, |_| {})
}
