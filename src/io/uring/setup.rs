//! Setting a ring up: which flags this kernel takes, and what to tell people where it takes none.

use std::fmt;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Entries of the submission queue: enough for a turn, small enough for the cache.
const SQ_ENTRIES: u32 = 256;
/// Entries of the completion queue: 40 sockets with 33 receives each in one call, and then some.
const CQ_ENTRIES: u32 = 4096;

/// What the kernel's io_uring offers and what is used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// The kernel's release, such as `6.18.0`.
    pub kernel: String,
    /// `IORING_SETUP_NO_SQARRAY` (6.6): one load less for each submission.
    pub no_sqarray: bool,
    /// `IORING_ENTER_NO_IOWAIT` (6.15): an idle worker does not show up as waiting for a disk.
    pub no_iowait: bool,
    /// The ring is registered with its own thread (6.3): no look-up of the descriptor in a call.
    pub registered_ring: bool,
    /// `IORING_OP_FIXED_FD_INSTALL` (6.8): the kernel can be asked how far a peer has read.
    pub progress: bool,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("single_issuer,defer_taskrun,taskrun_flag,submit_all")?;
        for (name, used) in [
            ("no_sqarray", self.no_sqarray),
            ("no_iowait", self.no_iowait),
            ("registered_ring", self.registered_ring),
            ("progress", self.progress),
        ] {
            if used {
                write!(f, ",{name}")?;
            }
        }
        Ok(())
    }
}

/// Why io_uring cannot be used here. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The kernel is older than 6.1, or built without io_uring.
    Kernel {
        /// Its release.
        release: String,
    },
    /// The sysctl `kernel.io_uring_disabled` forbids it.
    Sysctl {
        /// Its value, 1 or 2.
        value: u8,
    },
    /// Something else forbids one of its calls: a container's seccomp profile, as a rule.
    Forbidden {
        /// Which call: `io_uring_setup`, `io_uring_enter` or `io_uring_register`.
        call: &'static str,
    },
    /// The kernel gave no memory for it.
    Memory {
        /// `RLIMIT_MEMLOCK` in bytes, unless it is unlimited.
        locked: Option<u64>,
    },
    /// The process has no descriptor left.
    Descriptors,
    /// Anything else.
    Other(Errno),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { release } => write!(
                f,
                "io_uring: kernel {release} is too old or built without it; \
                 Linux 6.1 or later is needed"
            ),
            Self::Sysctl { value: 1 } => f.write_str(
                "io_uring: forbidden by sysctl kernel.io_uring_disabled=1; allow it with \
                 `sysctl -w kernel.io_uring_disabled=0`, or to this user alone by a group that \
                 kernel.io_uring_group names",
            ),
            Self::Sysctl { value } => write!(
                f,
                "io_uring: forbidden by sysctl kernel.io_uring_disabled={value}; \
                 allow it with `sysctl -w kernel.io_uring_disabled=0`"
            ),
            Self::Forbidden { call } => write!(
                f,
                "io_uring: {call} is refused, most likely by the seccomp profile of a container; \
                 allow io_uring_setup, io_uring_enter and io_uring_register in the profile"
            ),
            Self::Memory { locked: Some(bytes) } => write!(
                f,
                "io_uring: not enough memory for the rings; each loop locks some 100 KiB, and \
                 RLIMIT_MEMLOCK is {} KiB for all processes of the user: raise it with `ulimit -l` \
                 or LimitMEMLOCK, grant CAP_IPC_LOCK, run fewer loops, or raise the memory limit \
                 of the cgroup",
                bytes / 1024
            ),
            Self::Memory { locked: None } => f.write_str(
                "io_uring: not enough memory for the rings; raise the memory limit of the cgroup, \
                 or run fewer loops",
            ),
            Self::Descriptors => {
                f.write_str("io_uring: no descriptor left; raise the limit with `ulimit -n`")
            }
            Self::Other(errno) => write!(f, "io_uring: setting up failed: {errno}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl SetupError {
    /// Whether another backend may do without what is missing. It needs descriptors as well.
    #[must_use]
    pub fn concerns_io_uring_alone(&self) -> bool {
        !matches!(self, Self::Descriptors)
    }
}

/// The calls of io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Setup,
    Enter,
    Register,
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::Setup => "io_uring_setup",
            Self::Enter => "io_uring_enter",
            Self::Register => "io_uring_register",
        }
    }
}

/// How long memory may be missing before that is an error. The kernel gives back what the rings of
/// a process have locked some milliseconds after the process has ended.
const MEMORY_WAIT: Duration = Duration::from_secs(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Makes a part of a ring, and tries again for a while where there is no memory for it.
pub(super) fn retry_memory<T>(
    mut make: impl FnMut() -> Result<T, SetupError>,
) -> Result<T, SetupError> {
    let deadline = Instant::now() + MEMORY_WAIT;
    loop {
        match make() {
            Err(SetupError::Memory { .. }) if Instant::now() < deadline => {
                thread::sleep(RETRY_INTERVAL);
            }
            result => return result,
        }
    }
}

/// A ring with the best flags that this kernel takes. The calling thread becomes its only user.
pub(super) fn build() -> Result<(IoUring, Features), SetupError> {
    let kernel = kernel_release();
    let mut last = Errno::INVAL;
    for no_sqarray in [true, false] {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(CQ_ENTRIES)
            .setup_clamp()
            .dontfork();
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        match builder.build(SQ_ENTRIES) {
            Ok(ring) => {
                let progress = check_operations(&ring, &kernel)?;
                let no_iowait = ring.params().is_feature_no_iowait();
                let registered_ring = false;
                let features =
                    Features { kernel, no_sqarray, no_iowait, registered_ring, progress };
                return Ok((ring, features));
            }
            Err(error) => last = errno_of(&error),
        }
        if last != Errno::INVAL {
            break;
        }
    }
    Err(explain(last, Call::Setup, kernel))
}

/// Refuses a kernel that lacks an operation, as some vendors' do. Returns whether it also has the
/// operation by which a peer's progress is asked for; the server can do without that one.
fn check_operations(ring: &IoUring, kernel: &str) -> Result<bool, SetupError> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| refused_register(&error))?;
    let needed = [
        opcode::Accept::CODE,
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::AsyncCancel::CODE,
        opcode::Close::CODE,
        opcode::Shutdown::CODE,
        opcode::PollAdd::CODE,
    ];
    let skips = ring.params().is_feature_skip_cqe_on_success();
    if skips && needed.iter().all(|code| probe.is_supported(*code)) {
        Ok(probe.is_supported(opcode::FixedFdInstall::CODE))
    } else {
        Err(SetupError::Kernel { release: kernel.to_owned() })
    }
}

/// What `error` of `io_uring_register` means.
pub(super) fn refused_register(error: &io::Error) -> SetupError {
    explain(errno_of(error), Call::Register, kernel_release())
}

/// What the error of a first `io_uring_enter` means.
pub(super) fn refused_enter(errno: Errno) -> SetupError {
    explain(errno, Call::Enter, kernel_release())
}

pub(super) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn explain(errno: Errno, call: Call, release: String) -> SetupError {
    match errno {
        Errno::INVAL => SetupError::Kernel { release },
        // A kernel of 6.1 or later without the call is one where a filter hides it.
        Errno::NOSYS if is_old(&release) => SetupError::Kernel { release },
        Errno::PERM | Errno::ACCESS | Errno::NOSYS => match sysctl_value() {
            // The sysctl forbids new rings, and nothing to those that there are.
            Some(value @ 1..) if call == Call::Setup => SetupError::Sysctl { value },
            _ => SetupError::Forbidden { call: call.name() },
        },
        Errno::NOMEM => SetupError::Memory { locked: getrlimit(Resource::Memlock).current },
        Errno::MFILE | Errno::NFILE => SetupError::Descriptors,
        errno => SetupError::Other(errno),
    }
}

/// `kernel.io_uring_disabled`, if this kernel has it (since 6.6).
fn sysctl_value() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// The running kernel's release.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether `release` is before 6.1. What cannot be read is taken for new.
fn is_old(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, old) in [
            ("5.15.0-91-generic", true),
            ("6.0.19", true),
            ("6.1.0", false),
            ("6.18.44-fc-v445", false),
            ("10.0", false),
            ("strange", false),
        ] {
            assert_eq!(is_old(release), old, "{release}");
        }
    }

    #[test]
    fn every_refusal_names_its_cause_and_a_remedy() {
        let release = || "5.10.0".to_owned();
        let setup = |errno| explain(errno, Call::Setup, release());
        let old = setup(Errno::NOSYS).to_string();
        assert!(old.contains("5.10.0") && old.contains("6.1"), "{old}");
        assert_eq!(setup(Errno::INVAL), SetupError::Kernel { release: release() });
        let sysctl = SetupError::Sysctl { value: 2 }.to_string();
        assert!(sysctl.contains("kernel.io_uring_disabled=2"), "{sysctl}");
        assert!(!sysctl.contains("io_uring_group"), "{sysctl}");
        let sysctl = SetupError::Sysctl { value: 1 }.to_string();
        assert!(sysctl.contains("=1") && sysctl.contains("kernel.io_uring_group"), "{sysctl}");
        let hidden = explain(Errno::NOSYS, Call::Setup, "6.18.0".to_owned());
        assert_eq!(hidden, setup(Errno::PERM));
        for call in [Call::Enter, Call::Register] {
            let refused = explain(Errno::ACCESS, call, release()).to_string();
            let named = format!("{} is refused", call.name());
            assert!(refused.contains(&named) && refused.contains("seccomp"), "{refused}");
        }
        assert!(matches!(setup(Errno::NOMEM), SetupError::Memory { .. }));
        let locked = SetupError::Memory { locked: Some(256 << 10) }.to_string();
        assert!(locked.contains("is 256 KiB") && locked.contains("ulimit -l"), "{locked}");
        let unlimited = SetupError::Memory { locked: None }.to_string();
        assert!(unlimited.contains("cgroup") && !unlimited.contains("ulimit"), "{unlimited}");
        assert_eq!(setup(Errno::MFILE), SetupError::Descriptors);
    }

    #[test]
    fn memory_that_comes_back_in_time_is_no_error() {
        let mut misses = 3;
        let made = retry_memory(|| {
            misses -= 1;
            if misses > 0 { Err(SetupError::Memory { locked: None }) } else { Ok(misses) }
        });
        assert_eq!(made, Ok(0));
        let mut calls = 0;
        let never = retry_memory(|| {
            calls += 1;
            Err::<(), _>(SetupError::Memory { locked: None })
        });
        assert_eq!(never, Err(SetupError::Memory { locked: None }));
        assert!(calls > 1, "tried once");
        let refused = retry_memory(|| Err::<(), _>(SetupError::Descriptors));
        assert_eq!(refused, Err(SetupError::Descriptors));
    }
}
