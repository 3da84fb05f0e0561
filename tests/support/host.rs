//! Data of the kernel about a process and its sockets.

use std::fs;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// A `kB` line of `/proc/PID/status`, in bytes.
fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kilobytes: u64 = line.trim_matches(&[':', '\t', ' ', 'k', 'B'][..]).parse().unwrap();
    kilobytes * 1024
}

/// Something to write to that takes nothing, as long as the other value lives.
pub(crate) fn unread() -> (UnixStream, OwnedFd) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'x'; 256]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader, writer.into())
}

/// The resident memory of the process in bytes.
pub(crate) fn rss(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS")
}

/// The peak of the resident memory in bytes.
pub(crate) fn peak(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM")
}

/// The address space of the process in bytes, touched or not.
pub(crate) fn address_space(pid: u32) -> u64 {
    status_bytes(pid, "VmSize")
}

/// The number of context switches, voluntary and involuntary, of each thread named `name` and a
/// number.
pub(crate) fn switches(pid: u32, name: &str) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut switches = Vec::new();
    for thread in threads.flatten() {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let values = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let number = values("Name:").and_then(|value| value.trim().strip_prefix(name));
        if number.is_some_and(|number| number.parse::<u32>().is_ok()) {
            let counts = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map(values);
            let count = |value: &str| value.trim().parse::<u64>().unwrap();
            switches.push(counts.into_iter().flatten().map(count).sum());
        }
    }
    switches
}

/// The number of open descriptors of the process.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The CPU time of the process, all threads, user and kernel.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    // utime and stime are fields 14 and 15, in hundredths of a second; field 3 is the first one
    // after the name.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The number of the server's sockets of connections on `port` of 127.0.0.1, without those in
/// TIME_WAIT. Direct descriptors of io_uring are not in `/proc/PID/fd`, but their sockets are
/// counted here.
pub(crate) fn sockets_on(port: u16) -> usize {
    const TIME_WAIT: &str = "06";
    const LISTEN: &str = "0A";
    let local = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|c| c.get(1) == Some(&local.as_str()))
        .filter(|c| c[3] != TIME_WAIT && c[3] != LISTEN)
        .count()
}

/// Waits until `met` returns true; returns false if that takes longer than `limit`.
pub(crate) fn wait_until(limit: Duration, mut met: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !met() {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Runs a tool that `scripts/setup.sh` installs.
pub(crate) fn tool(name: &str) -> std::process::Command {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    assert!(found, "{name} is not installed: run scripts/setup.sh");
    std::process::Command::new(name)
}

/// Sends these bytes over a Unix-domain socket, with a descriptor.
pub(crate) fn send_with_descriptor(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    let passed = fs::File::open("/dev/null").unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [passed.as_fd()];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
}

/// Connects to a Unix-domain socket and checks that descriptors cannot be passed to the server,
/// neither before it has accepted nor later, and that bytes are sent without them all the same.
/// Where the kernel cannot refuse them, that is said, and they are not looked at.
pub(crate) fn expect_descriptors_refused(path: &Path) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(16)) {
        println!("kernel {release} cannot refuse descriptors: not tested");
        return;
    }
    let client = UnixStream::connect(path).unwrap();
    let refused = || send_with_descriptor(&client, b"G");
    assert_eq!(refused(), Err(Errno::PERM));
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..2 {
        rustix::io::write(&client, request).unwrap();
        let mut answer = [0; 1024];
        let len = rustix::io::read(&client, &mut answer).unwrap();
        assert!(answer[..len].starts_with(b"HTTP/1.1 200 "), "{:?}", &answer[..len]);
        assert_eq!(refused(), Err(Errno::PERM));
    }
}
