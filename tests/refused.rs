//! Refused io_uring and refused threads: the start fails within two seconds, and the message names
//! the cause and a remedy. A separate binary, because one test changes a sysctl of the whole
//! machine.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::client::Client;
use support::host::tool;
use support::server::{Finished, Server, binary, command, run};

const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";
/// The server waits up to one second for missing memory.
const LIMIT: Duration = Duration::from_secs(2);
/// Time that strace may take to start on a busy machine.
const STRACE: Duration = Duration::from_secs(1);

const ON_URING: &[&str] = &["serve", "--listen", "127.0.0.1:0", "--backend", "uring"];

/// The command under strace, which makes each of these system calls fail with `error`.
fn with_failing(calls: &str, error: &str, args: &[&str]) -> Finished {
    let mut strace = tool("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:error={error}"), binary()]);
    strace.args(args);
    run(strace, Duration::from_secs(10))
}

/// The one line on standard error, which must be about io_uring.
fn error_line(end: &Finished) -> &str {
    let line = end.error_line(1);
    assert!(line.starts_with("corecast: io_uring: "), "{line}");
    line
}

fn refused_by(error: &str, parts: &[&str]) {
    let end = with_failing("io_uring_setup", error, ON_URING);
    let line = error_line(&end);
    for part in parts {
        assert!(line.contains(part), "{error}: {part:?} is not in {line}");
    }
    assert!(end.took < LIMIT + STRACE, "{error}: took {:?}", end.took);
    // The probe says the same, and what is used instead. Without descriptors that is nothing.
    let end = with_failing("io_uring_setup", error, &["probe"]);
    let said = format!("{}{}", end.stdout, end.stderr);
    for part in parts {
        assert!(said.contains(part), "{error}: {part:?} is not in {said}");
    }
    let is_used = end.stdout.contains("epoll: will be used, because io_uring cannot be");
    let code = end.status.code();
    assert_eq!((is_used, code), if error == "EMFILE" { (false, Some(1)) } else { (true, Some(0)) });
    assert!(end.took < LIMIT + STRACE, "{error}: took {:?}", end.took);
}

/// A kernel that does not know one of the flags is asked for a ring without it.
fn older_flags_are_taken() {
    let mut strace = tool("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=io_uring_setup"]);
    strace.args(["-e", "inject=io_uring_setup:error=EINVAL:when=1", binary(), "probe"]);
    let end = run(strace, Duration::from_secs(10));
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert!(end.stdout.contains("io_uring: will be used"), "{end:?}");
    let features = end.stdout.lines().find(|line| line.contains("features: single_issuer"));
    assert!(!features.expect("the features").contains("no_sqarray"), "{end:?}");
}

/// A thread that cannot be started ends the start, and nobody waits for its loop.
fn thread_refused_by(error: &str, remedy: &str) {
    let end = with_failing("clone,clone3", error, ON_URING);
    let line = end.error_line(1);
    assert!(line.contains("a thread could not be started") && line.contains(remedy), "{line}");
    assert!(end.took < LIMIT + STRACE, "{error}: took {:?}", end.took);
}

/// Restores the sysctl when dropped, also if the test fails.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        fs::write(SYSCTL, &self.0).expect("the sysctl to be put back");
    }
}

/// A single test, so that no other server of this binary starts while the sysctl forbids it.
#[test]
fn every_refusal_names_its_cause_and_a_remedy() {
    refused_by("EPERM", &["seccomp", "container", "io_uring_setup is refused"]);
    refused_by("EACCES", &["seccomp", "container", "io_uring_setup is refused"]);
    // If a new kernel answers ENOSYS, a seccomp filter hides the call.
    refused_by("ENOSYS", &["seccomp", "container"]);
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    older_flags_are_taken();
    refused_by("EINVAL", &["kernel", &release, "too old", "6.1"]);
    refused_by("ENOMEM", &["memory", "cgroup"]);
    refused_by("EMFILE", &["descriptor", "ulimit -n"]);
    thread_refused_by("EAGAIN", "ulimit -u");
    thread_refused_by("EPERM", "clone3");
    forbidden_by_sysctl();
    // The refusals have no lasting effect.
    drop(Server::start(&[]));
}

fn forbidden_by_sysctl() {
    if !rustix::process::geteuid().is_root() || !Path::new(SYSCTL).exists() {
        println!("skipped: only root can set kernel.io_uring_disabled, since Linux 6.6");
        return;
    }
    let before = fs::read_to_string(SYSCTL).unwrap();
    let restore = Restore(before.trim().to_owned());
    if fs::write(SYSCTL, "2").is_err() {
        println!("skipped: {SYSCTL} is read-only here");
        return;
    }
    let end = run(command(ON_URING), Duration::from_secs(5));
    let probe = run(command(&["probe"]), Duration::from_secs(5));
    let serving = Server::start(&["--backend", "auto"]);
    drop(restore);
    Client::open(serving.addr()).close();
    let line = error_line(&end);
    let warning = serving.log().join("\n");
    for said in [line, &warning, &probe.stdout] {
        assert!(said.contains("kernel.io_uring_disabled=2"), "{said}");
        assert!(said.contains("sysctl -w kernel.io_uring_disabled=0"), "{said}");
    }
    assert!(warning.contains("backend=\"epoll\""), "{warning}");
    assert!(end.took < LIMIT, "took {:?}", end.took);
}
