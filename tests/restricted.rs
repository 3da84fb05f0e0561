//! Goal: a server that may not make a call, or lacks a resource, names it and a remedy, or serves
//! without it. It never prints the start line and then ends. Method: a real seccomp filter or a
//! real limit. This program starts itself as a child, which restricts itself and then executes the
//! server.

mod support;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use support::client::Client;
use support::host::wait_until;
use support::server::{Server, command, run};

const LIMIT: Duration = Duration::from_secs(10);
const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];
/// Serves without falling back to epoll.
const ON_URING: &[&str] = &["serve", "--listen", "127.0.0.1:0", "--backend", "uring"];
/// Serves on io_uring or epoll, whatever the tests run on.
const ON_EITHER: &[&str] = &["serve", "--listen", "127.0.0.1:0", "--backend", "auto"];

/// The environment variables that tell the child how to restrict itself.
const ARGS: &str = "CORECAST_TEST_ARGS";
const CALLS: &str = "CORECAST_TEST_CALLS";
const ERROR: &str = "CORECAST_TEST_ERROR";
const LOCKED: &str = "CORECAST_TEST_LOCKED";

/// This program as a child that will execute `corecast` with these arguments.
fn child(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "execute_the_server"]).env(ARGS, args.join("\n"));
    command
}

/// `corecast`, with `calls` that all fail with `error`.
fn without(calls: &[i64], error: i32, args: &[&str]) -> Command {
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    let mut command = child(args);
    command.env(CALLS, calls.join(" ")).env(ERROR, error.to_string());
    command
}

/// `corecast`, with a limit of locked memory in bytes and without the privilege to exceed it.
fn with_locked(bytes: u64, args: &[&str]) -> Command {
    let mut command = child(args);
    command.env(LOCKED, bytes.to_string());
    command
}

#[test]
#[ignore = "it is the child of the others"]
fn execute_the_server() {
    let Ok(args) = std::env::var(ARGS) else { return };
    if let Ok(bytes) = std::env::var(LOCKED) {
        // Without root there is no capability to drop.
        let _ = remove_capability_from_bounding_set(CapabilitySet::IPC_LOCK);
        let bytes = bytes.parse().ok();
        setrlimit(Resource::Memlock, Rlimit { current: bytes, maximum: bytes }).unwrap();
    }
    if let Ok(calls) = std::env::var(CALLS) {
        let error = std::env::var(ERROR).unwrap().parse().unwrap();
        let calls = calls.split_whitespace().map(|call| (call.parse().unwrap(), Vec::new()));
        let calls: BTreeMap<i64, _> = calls.collect();
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let (allow, fail) = (SeccompAction::Allow, SeccompAction::Errno(error));
        let filter = SeccompFilter::new(calls, allow, fail, arch).unwrap();
        seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    }
    let args: Vec<&str> = args.lines().collect();
    panic!("no server: {}", command(&args).exec());
}

/// Runs a restricted command that must not serve; returns its line of output.
fn line_of(command: Command) -> String {
    let line = run(command, LIMIT).error_line(1).to_owned();
    assert!(!line.contains("listening"), "{line}");
    line
}

/// The calls of io_uring, and what is said if one is refused.
const REFUSED: [(i64, &str); 3] = [
    (libc::SYS_io_uring_setup, "io_uring_setup is refused"),
    (libc::SYS_io_uring_enter, "io_uring_enter is refused"),
    (libc::SYS_io_uring_register, "io_uring_register is refused"),
];
const ERRORS: [i32; 3] = [libc::EPERM, libc::EACCES, libc::ENOSYS];

#[test]
fn each_refused_call_of_io_uring_is_named() {
    for (call, name) in REFUSED {
        for error in ERRORS {
            let line = line_of(without(&[call], error, ON_URING));
            assert!(line.contains(name) && line.contains("seccomp"), "{error}: {line}");
        }
    }
}

/// Waits for a server on epoll to say what it must, and stops it.
fn expect_epoll(mut server: Server, causes: &[&str]) {
    Client::open(server.addr()).close();
    let log = server.log();
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log:?}");
    for part in [causes, &["serving with epoll"]].concat() {
        assert!(warnings[0].contains(part), "{part} is not in {}", warnings[0]);
    }
    let start = log.iter().find(|line| line.contains("listening on")).expect("a start line");
    assert!(start.contains("backend=\"epoll\"") && !start.contains("io_uring"), "{start}");
    server.signal(Signal::TERM);
    assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(0));
}

#[test]
fn each_refused_call_of_io_uring_alone_is_enough_to_serve_with_epoll() {
    for (call, name) in REFUSED {
        for error in ERRORS {
            let server = Server::spawn(without(&[call], error, ON_EITHER));
            expect_epoll(server, &[name, "seccomp profile of a container", "allow io_uring_setup"]);
        }
    }
}

#[test]
fn the_probe_says_of_each_backend_whether_it_would_be_used() {
    let probe = |command| {
        let end = run(command, LIMIT);
        assert_eq!(end.status.code(), Some(0), "{end:?}");
        end.stdout
    };
    for (call, name) in REFUSED {
        let said = probe(without(&[call], libc::EPERM, &["probe"]));
        for part in ["io_uring: cannot be used", name, "epoll: will be used, because"] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
    let said = probe(without(&[libc::SYS_epoll_create1], libc::EPERM, &["probe"]));
    for part in ["io_uring: will be used", "epoll: cannot be used", "epoll_create1"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn without_either_it_does_not_serve() {
    let both = [libc::SYS_io_uring_setup, libc::SYS_epoll_create1];
    let on_epoll = ["serve", "--listen", "127.0.0.1:0", "--backend", "epoll"];
    let line = line_of(without(&both, libc::EPERM, &on_epoll));
    assert!(line.contains("epoll cannot be used"), "{line}");
    let end = run(without(&both, libc::EPERM, ON_EITHER), LIMIT);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    for part in ["io_uring_setup is refused", "corecast: epoll cannot be used"] {
        assert!(end.stderr.contains(part), "{part} is not in {}", end.stderr);
    }
    let line = line_of(without(&both, libc::EPERM, &["probe"]));
    assert!(line.contains("io_uring_setup is refused"), "{line}");
}

#[test]
fn without_pinning_it_serves_and_warns() {
    for error in [libc::EPERM, libc::ENOSYS] {
        let mut server = Server::spawn(without(&[libc::SYS_sched_setaffinity], error, SERVE));
        Client::open(server.addr()).close();
        let log = server.log().join("\n");
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        assert!(log.contains("not pinned") && log.contains("sched_setaffinity"), "{log}");
        server.signal(Signal::TERM);
        assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(0));
    }
}

#[cfg(feature = "auth-url")]
#[test]
fn without_a_niceness_it_serves_and_warns_once() {
    let auth = ["--auth-url", "http://127.0.0.1:1/", "--allow-origin", "http://a.example"];
    let args = [SERVE, &auth, &["--auth-connections", "8"]].concat();
    for call in [libc::SYS_getpriority, libc::SYS_setpriority] {
        let mut server = Server::spawn(without(&[call], libc::ENOSYS, &args));
        Client::open(server.addr()).close();
        let count = || server.log().iter().filter(|line| line.contains("niceness")).count();
        assert!(wait_until(LIMIT, || count() > 0), "{:?}", server.log());
        server.signal(Signal::TERM);
        assert_eq!(server.wait(LIMIT).and_then(|status| status.code()), Some(0));
        let log = server.log().join("\n");
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        assert!(log.contains("niceness") && log.contains("getpriority and setpriority"), "{log}");
    }
}

#[test]
fn without_pinning_the_flag_cores_is_an_error() {
    for error in [libc::EPERM, libc::ENOSYS] {
        let args = [SERVE, &["--cores", "0"]].concat();
        let line = line_of(without(&[libc::SYS_sched_setaffinity], error, &args));
        for part in ["sched_setaffinity", "seccomp", "--cores"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

#[test]
fn without_sched_getaffinity_it_serves_on_all_cores() {
    let calls = [libc::SYS_sched_getaffinity];
    let server = Server::spawn(without(&calls, libc::EPERM, SERVE));
    Client::open(server.addr()).close();
}

#[test]
fn other_refused_calls_are_named() {
    let threads = [libc::SYS_clone3, libc::SYS_clone];
    for (calls, error, parts) in [
        (&[libc::SYS_eventfd2][..], libc::EPERM, ["eventfd", "seccomp"]),
        (&[libc::SYS_eventfd2], libc::EMFILE, ["eventfd", "ulimit -n"]),
        (&threads, libc::EAGAIN, ["thread", "ulimit -u"]),
        (&threads, libc::EPERM, ["thread", "not permitted"]),
        (&[libc::SYS_bind], libc::EACCES, ["127.0.0.1:0", "seccomp"]),
        (&[libc::SYS_listen], libc::EPERM, ["127.0.0.1:0", "seccomp"]),
        (&[libc::SYS_socket], libc::EPERM, ["127.0.0.1:0", "seccomp"]),
    ] {
        let line = line_of(without(calls, error, SERVE));
        for part in parts {
            assert!(line.contains(part), "{calls:?}, {error}: {part} is not in {line}");
        }
        assert!(!line.contains("CAP_NET_BIND_SERVICE"), "{line}");
    }
}

/// `serve` on one core with `count` loops.
fn loops(serve: &[&'static str], count: &'static str) -> Vec<&'static str> {
    [serve, &["--cores", "0", "--loops-per-core", count]].concat()
}

/// A single test, because locked memory counts for all processes of a user.
#[test]
fn too_little_locked_memory_is_named_with_the_amount_needed() {
    if Server::try_spawn(with_locked(0, ON_URING)).is_ok() {
        println!("skipped: this kernel does not count the memory of rings as locked");
        return;
    }
    for (kibibytes, count) in [(0, "1"), (64, "1"), (256, "4"), (1024, "16")] {
        let line = line_of(with_locked(kibibytes << 10, &loops(ON_URING, count)));
        let limit = format!("RLIMIT_MEMLOCK is {kibibytes} KiB");
        for part in [limit.as_str(), "100 KiB", "ulimit -l", "CAP_IPC_LOCK", "loops"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        let server = Server::spawn(with_locked(kibibytes << 10, &loops(ON_EITHER, count)));
        expect_epoll(server, &[limit.as_str(), "ulimit -l"]);
    }
    for (kibibytes, count) in [(128, "1"), (256, "2"), (2048, "16")] {
        let mut server = Server::spawn(with_locked(kibibytes << 10, &loops(ON_URING, count)));
        Client::open(server.addr()).close();
        // The locked memory of a killed server is released some time after its end.
        for _ in 0..5 {
            server.signal(Signal::KILL);
            server.wait(LIMIT).expect("an end of the process");
            server = Server::spawn(with_locked(kibibytes << 10, &loops(ON_URING, count)));
        }
    }
}
