//! Where io_uring is refused: an error at start-up, within two seconds, that names the cause and
//! says what to do. A binary of its own, because one test changes a sysctl of the whole machine.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::host::tool;
use support::server::{Finished, Server, binary, run};

const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";
/// For a second, memory that is missing may come back.
const LIMIT: Duration = Duration::from_secs(2);
/// What strace itself may take to start on a busy machine.
const STRACE: Duration = Duration::from_secs(1);

const ARGS: [&[&str]; 2] = [&["serve", "--listen", "127.0.0.1:0"], &["probe"]];

/// The command under strace, which makes each call of `io_uring_setup` fail with `error`.
fn with_setup_failing(error: &str, args: &[&str]) -> Finished {
    let mut strace = tool("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=io_uring_setup"]);
    strace.args(["-e", &format!("inject=io_uring_setup:error={error}"), binary()]);
    strace.args(args);
    run(strace, Duration::from_secs(10))
}

/// The one line on standard error, which is about io_uring.
fn error_line(end: &Finished) -> &str {
    let line = end.error_line(1);
    assert!(line.starts_with("corecast: io_uring: "), "{line}");
    line
}

fn refused_by(error: &str, parts: &[&str]) {
    for args in ARGS {
        let end = with_setup_failing(error, args);
        let line = error_line(&end);
        for part in parts {
            assert!(line.contains(part), "{error}, {args:?}: {part:?} is not in {line}");
        }
        assert!(end.took < LIMIT + STRACE, "{error}, {args:?}: took {:?}", end.took);
    }
}

/// Puts the sysctl back when dropped, also where the test fails.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        fs::write(SYSCTL, &self.0).expect("the sysctl to be put back");
    }
}

/// One test, so that no other server of this binary starts while the sysctl forbids it.
#[test]
fn every_refusal_names_its_cause_and_the_way_out() {
    refused_by("EPERM", &["seccomp", "container", "io_uring_setup is refused"]);
    refused_by("EACCES", &["seccomp", "container", "io_uring_setup is refused"]);
    // A new kernel that does not know the call is one where a filter hides it.
    refused_by("ENOSYS", &["seccomp", "container"]);
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    refused_by("EINVAL", &["kernel", &release, "too old", "6.1"]);
    refused_by("ENOMEM", &["memory", "cgroup"]);
    refused_by("EMFILE", &["descriptor", "ulimit -n"]);
    forbidden_by_sysctl();
    // And nothing of this stays.
    drop(Server::start(&[]));
}

fn forbidden_by_sysctl() {
    if !rustix::process::geteuid().is_root() || !Path::new(SYSCTL).exists() {
        println!("skipped: only root can set kernel.io_uring_disabled, since Linux 6.6");
        return;
    }
    let before = fs::read_to_string(SYSCTL).unwrap();
    let restore = Restore(before.trim().to_owned());
    let mut ends = Vec::new();
    if fs::write(SYSCTL, "2").is_err() {
        println!("skipped: {SYSCTL} is read-only here");
        return;
    }
    for args in ARGS {
        let mut command = Command::new(binary());
        command.args(args);
        ends.push(run(command, Duration::from_secs(5)));
    }
    drop(restore);
    for end in ends {
        let line = error_line(&end);
        assert!(line.contains("kernel.io_uring_disabled=2"), "{line}");
        assert!(line.contains("sysctl -w kernel.io_uring_disabled=0"), "{line}");
        assert!(end.took < LIMIT, "took {:?}", end.took);
    }
}
