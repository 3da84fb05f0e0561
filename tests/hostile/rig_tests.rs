//! Tests of the rig itself: that it sees what it is for, and blames nobody for what is not so.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::run::{Outcome, Settings, run, run_with};
use crate::sched::Moment;
use crate::script::{Group, Workload};
use crate::series::{Begun, Phase, Series};
use crate::short::alone;
use crate::support::wire::{self, BINARY, FIN};
use crate::waits::Waits;
use crate::{sigterm, table, verdict, workloads};

const BRIEF: Settings =
    Settings { quiet: Duration::from_millis(500), attack: Duration::from_millis(600), cores: 1 };

/// Ten connections send one message of 20 bytes each, and read the echo.
const HARMLESS: Workload = Workload::many("harmless", "", "ten messages", || {
    vec![Group::to("/", 10).first(wire::frame(FIN | BINARY, &[7; 20]))]
});

fn faults(outcome: &Outcome) -> String {
    verdict::faults(&HARMLESS, outcome).join(", ")
}

#[test]
fn the_harmless_are_counted_and_harm_nobody() {
    let _alone = alone();
    let outcome = run(&HARMLESS, BRIEF);
    let (report, measured) = (&outcome.report, &outcome.measured);
    assert_eq!((report.opened, report.refused, report.ended), (10, 0, 0));
    let request = crate::support::client::request_to("/", "").len();
    assert_eq!(report.sent, 10 * (request as u64 + 26));
    assert!(report.said[0].starts_with(&wire::unmasked(FIN | BINARY, &[7; 20])));
    for series in [&measured.echo, &measured.topic] {
        // 20 a second from each of 100, over 1.6 s; a slow machine sends fewer.
        assert!(series.attack.counted.len() > 500, "{}", series.attack.counted.len());
        assert!(series.quiet.counted.len() > 100, "{}", series.quiet.counted.len());
        assert_eq!(series.lost, 0);
    }
    assert!(measured.handshake.attack.counted.len() > 3 && measured.push.attack.counted.len() > 3);
    assert_eq!(measured.push.lost, 0);
    assert_eq!((measured.handshake.lost, measured.closed), (0, 0));
    assert!(outcome.peak > 1 << 20 && outcome.peak < outcome.limit, "{}", outcome.peak);
    // Nearly nothing was to be done.
    assert!(outcome.cpu < Duration::from_millis(300), "{:?}", outcome.cpu);
}

/// A run in which the server does not get on for a while.
fn stopped(time: Duration) -> Outcome {
    run_with(&HARMLESS, BRIEF, |server| {
        server.signal(Signal::STOP);
        thread::sleep(time);
        server.signal(Signal::CONT);
    })
}

/// How often a test of waits is tried. What the machine takes from the measuring thread is left out
/// of the waits, also while the server is stopped; a busy machine can take all of it.
const TRIES: usize = 8;

/// Whether one of several tries with a server that stops for `time` is `seen`.
fn is_seen(time: Duration, seen: impl Fn(&Outcome) -> bool) -> bool {
    (0..TRIES).any(|_| {
        let outcome = stopped(time);
        let measured = &outcome.measured;
        assert_eq!((measured.echo.lost, measured.topic.lost), (0, 0));
        // By the wall clock the longest wait is never shorter than what is left of it.
        assert!(measured.echo.attack.wall.longest() >= measured.echo.longest());
        let is_seen = seen(&outcome);
        if !is_seen {
            println!("echo {:?}, {}", measured.echo.longest(), faults(&outcome));
        }
        is_seen
    })
}

#[test]
fn a_server_that_stops_for_a_moment_is_noticed() {
    let _alone = alone();
    // Some client sends in each half of a millisecond; the publisher only each 50 ms.
    assert!(is_seen(Duration::from_millis(50), |outcome| {
        let measured = &outcome.measured;
        let longest = measured.echo.longest();
        longest >= Duration::from_millis(40) && measured.control.longest() < longest
    }));
}

#[test]
fn a_server_that_stops_for_long_is_judged() {
    let _alone = alone();
    assert!(is_seen(Duration::from_millis(400), |outcome| {
        let faults = faults(outcome);
        ["echo ", "topic ", "101 "].iter().all(|kind| faults.contains(kind))
    }));
}

#[test]
fn a_server_that_dies_is_noticed() {
    let _alone = alone();
    let outcome = run_with(&HARMLESS, BRIEF, |server| server.signal(Signal::KILL));
    let faults = faults(&outcome);
    assert!(faults.contains("the server ended"), "{faults}");
    assert!(faults.contains("honest closed"), "{faults}");
    assert!(faults.contains("101 lost"), "{faults}");
}

#[test]
fn an_attack_that_does_not_come_about_is_noticed() {
    let _alone = alone();
    let nobody = Workload::many("nobody", "", "nothing", Vec::new);
    let outcome = run(&nobody, BRIEF);
    let faults = verdict::faults(&nobody, &outcome);
    assert!(faults.contains(&"no attack came about".to_owned()), "{faults:?}");
}

#[test]
fn memory_that_the_server_is_made_to_hold_is_seen() {
    const HELD: u64 = 8 * (4 << 20);
    let _alone = alone();
    let holders = Workload::many("holders", "", "8 unfinished messages of 4 MiB", || {
        vec![Group::to("/", 8).first(wire::frame(BINARY, &vec![7; 4 << 20]))]
    });
    let outcome = run(&holders, Settings { attack: Duration::from_secs(2), ..BRIEF });
    assert!(outcome.report.sent > HELD, "{} were sent", outcome.report.sent);
    let grown = outcome.peak - outcome.before;
    assert!(grown > HELD / 2 && grown < 8 * HELD, "grew by {grown}");
    assert!(outcome.after <= outcome.peak);
}

#[test]
fn the_time_from_sigterm_to_the_end_is_measured() {
    let _alone = alone();
    let ended = sigterm::stop_under(&HARMLESS, Duration::from_millis(200), 1);
    let (close, end) = (ended.close.unwrap(), ended.end.unwrap());
    assert!(close <= end && end < Duration::from_secs(8), "{ended:?}");
    let row = sigterm::row(&HARMLESS, &ended);
    assert_eq!(row.matches('|').count(), 4, "{row}");
}

fn moment(at: Instant, own: u64, loops: [u64; 2]) -> Moment {
    Moment { at, own, loops }
}

#[test]
fn waiting_for_a_processor_does_not_count() {
    let start = Instant::now();
    let later = start + Duration::from_millis(100);
    let ms = 1_000_000;
    let from = moment(start, 5 * ms, [7 * ms, 9 * ms]);
    let cases = [
        // Nobody waited; the measuring thread did; one loop did; both loops did at the same time.
        (moment(later, 5 * ms, [7 * ms, 9 * ms]), 100),
        (moment(later, 25 * ms, [7 * ms, 9 * ms]), 80),
        (moment(later, 5 * ms, [37 * ms, 9 * ms]), 70),
        (moment(later, 15 * ms, [37 * ms, 19 * ms]), 60),
        // More than there was.
        (moment(later, 500 * ms, [7 * ms, 9 * ms]), 0),
    ];
    for (to, expected) in cases {
        assert_eq!(to.since(&from), Duration::from_millis(expected), "{to:?}");
    }
}

#[test]
fn a_busy_machine_is_not_blamed_on_the_server() {
    let _alone = alone();
    let outcome = run_with(&HARMLESS, BRIEF, |_| {
        // Others want both cores for a while.
        let end = Instant::now() + Duration::from_millis(300);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| while Instant::now() < end {});
            }
        });
    });
    let echo = &outcome.measured.echo.attack;
    assert_eq!(echo.wall.len(), echo.counted.len());
    assert!(echo.counted.longest() <= echo.wall.longest());
    // Some of the waiting, at least, was seen as that of the machine.
    assert!(echo.counted.quantile(0.9) < echo.wall.longest(), "{:?}", echo.wall.longest());
    assert_eq!(outcome.measured.closed, 0);
}

/// A wait that began `ms` after `start`, whose control byte came back `control` later.
fn begun(start: Instant, ms: u64, control: Option<u64>, phase: Phase) -> Begun {
    let at = |ms| moment(start + Duration::from_millis(ms), 0, [0, 0]);
    let begun = Begun::new(at(ms), phase);
    begun.control.set(control.map(|control| at(ms + control)));
    begun
}

/// A control byte that takes long was kept by the core of the senders, and what was sent behind it
/// as well. What the server adds to that still counts.
#[test]
fn what_the_control_byte_waited_is_left_out() {
    let start = Instant::now();
    let at = |ms| moment(start + Duration::from_millis(ms), 0, [0, 0]);
    for (control, wait, counted) in
        [(Some(0), 30, 30), (Some(28), 30, 2), (Some(30), 30, 0), (Some(28), 60, 32), (None, 30, 0)]
    {
        let mut series = Series::default();
        series.add(&begun(start, 5, control, Phase::Attack), &at(5 + wait));
        assert_eq!(series.longest(), Duration::from_millis(counted), "{control:?} {wait}");
        assert_eq!(series.attack.wall.longest(), Duration::from_millis(wait));
    }
    let (mut series, byte) = (Series::default(), begun(start, 5, None, Phase::Attack));
    series.add_control(&byte, &at(12));
    assert_eq!(series.longest(), Duration::from_millis(7), "nothing is left out of its own wait");
    series.add(&byte, &at(15));
    assert_eq!(series.longest(), Duration::from_millis(7), "three for what was sent behind it");
    assert_eq!(series.attack.counted.quantile(0.0), Duration::from_millis(3));
}

#[test]
fn waits_belong_to_the_phase_in_which_they_began() {
    let start = Instant::now();
    let at = |ms| moment(start + Duration::from_millis(ms), 0, [0, 0]);
    let mut series = Series::default();
    for (phase, ms) in [(Phase::Warm, 1), (Phase::Quiet, 2), (Phase::Attack, 30)] {
        series.add(&begun(start, 0, Some(0), phase), &at(ms));
    }
    series.lose(&begun(start, 10, Some(0), Phase::Attack), &at(50));
    assert_eq!(series.quiet.counted.longest(), Duration::from_millis(2));
    assert_eq!((series.quiet.counted.len(), series.attack.counted.len()), (1, 2));
    assert_eq!((series.longest(), series.lost), (Duration::from_millis(40), 1));
}

#[test]
fn quantiles() {
    let mut waits = Waits::default();
    assert_eq!((waits.p99(), waits.longest()), (Duration::ZERO, Duration::ZERO));
    (1..=200).rev().for_each(|ms| waits.add(Duration::from_millis(ms)));
    assert_eq!(waits.quantile(0.5), Duration::from_millis(101));
    assert_eq!(waits.p99(), Duration::from_millis(199));
    assert_eq!(waits.longest(), Duration::from_millis(200));
}

#[test]
fn workloads_are_many_and_have_names_of_their_own() {
    let all = workloads::all();
    let names: BTreeSet<&str> = all.iter().map(|workload| workload.name).collect();
    assert_eq!(names.len(), all.len(), "a name is there twice");
    assert!(all.len() >= 25, "{}", all.len());
    for workload in &all {
        assert!(workload.about.len() > 20, "{}: say what it does", workload.name);
        assert!(!workload.about.contains('|') && !workload.name.contains(','));
    }
    let of_their_own = all.iter().filter(|workload| workload.fault.is_empty()).count();
    assert!(of_their_own >= 10, "{of_their_own}");
}

#[test]
fn rows_have_as_many_columns_as_the_head() {
    let _alone = alone();
    let row = table::row(&HARMLESS, &run(&HARMLESS, BRIEF));
    let columns = |line: &str| line.matches('|').count();
    for line in table::HEAD.lines() {
        assert_eq!(columns(line), columns(&row), "{row}");
    }
}
