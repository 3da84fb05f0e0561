//! A ring, connected socket pairs and send entries for the contract checks.

use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::ptr;

use io_uring::squeue::{Entry, Flags};
use io_uring::{EnterFlags, IoUring, opcode, types};

use crate::sys::len32;

const VECTORIZED: u16 = 1 << 5;

/// The operation under test.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Send,
    Vectorized,
    Message,
}

/// A plain or a direct descriptor.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Plain(i32),
    Direct(u32),
}

/// A completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) tag: u64,
    pub(super) result: i32,
}

/// A ring set up like a worker's.
pub(super) struct Rig {
    ring: IoUring,
}

impl Rig {
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        let ring = builder.build(256)?;
        ring.submitter().register_files_sparse(128)?;
        Ok(Self { ring })
    }

    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let mut queue = self.ring.submission();
        // SAFETY: the checks keep payloads and sockets alive until their entries completed.
        unsafe { queue.push(entry) }.map_err(io::Error::other)
    }

    pub(super) fn push_nop(&mut self, tag: u64) -> io::Result<()> {
        self.push(&opcode::Nop::new().build().user_data(tag))
    }

    pub(super) fn push_receive(
        &mut self,
        target: Target,
        buffer: &mut [u8],
        tag: u64,
    ) -> io::Result<()> {
        let (at, len) = (buffer.as_mut_ptr(), len32(buffer.len()));
        let entry = match target {
            Target::Plain(fd) => opcode::Recv::new(types::Fd(fd), at, len).build(),
            Target::Direct(slot) => opcode::Recv::new(types::Fixed(slot), at, len).build(),
        };
        self.push(&entry.user_data(tag))
    }

    /// Submits all, waits for `want` completions (at most 10 s) and returns the available ones.
    pub(super) fn enter(&mut self, want: usize) -> io::Result<Vec<Event>> {
        let queued = len32(self.ring.submission().len());
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        let limit = types::Timespec::new().sec(10);
        let args = types::SubmitArgs::new().timespec(&limit);
        let submitter = self.ring.submitter();
        // SAFETY: `args` is the structure that EXT_ARG announces and lives through the call.
        let done = unsafe { submitter.enter(queued, len32(want), flags.bits(), Some(&args)) }?;
        if done != queued as usize {
            return Err(io::Error::other(format!("enter took {done} of {queued} entries")));
        }
        Ok(self.events())
    }

    /// As [`enter`](Self::enter), without waiting.
    pub(super) fn enter_at_once(&mut self) -> io::Result<Vec<Event>> {
        self.enter(0)
    }

    /// Submits the queued entries without asking for events; returns completions that are
    /// available.
    pub(super) fn submit_only(&mut self) -> io::Result<Vec<Event>> {
        let queued = len32(self.ring.submission().len());
        // SAFETY: there is no argument.
        let done = unsafe { self.ring.submitter().enter::<()>(queued, 0, 0, None) }?;
        if done != queued as usize {
            return Err(io::Error::other(format!("enter took {done} of {queued} entries")));
        }
        Ok(self.events())
    }

    fn events(&mut self) -> Vec<Event> {
        let queue = self.ring.completion();
        queue.map(|c| Event { tag: c.user_data(), result: c.result() }).collect()
    }
}

/// A TCP connection over loopback.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) peer: TcpStream,
    pub(super) target: Target,
}

impl Link {
    pub(super) fn new(rig: &Rig, direct: bool) -> io::Result<Self> {
        Self::at(rig, direct, 0)
    }

    /// A link that takes fixed file slot `slot` when it is direct.
    pub(super) fn at(rig: &Rig, direct: bool, slot: u32) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let peer = TcpStream::connect(listener.local_addr()?)?;
        let (stream, _) = listener.accept()?;
        let fd = stream.as_raw_fd();
        let mut target = Target::Plain(fd);
        if direct {
            rig.ring.submitter().register_files_update(slot, &[fd])?;
            target = Target::Direct(slot);
        }
        Ok(Self { stream, peer, target })
    }
}

/// Writes until the socket takes no more, also after a pause: on a slow machine the kernel moves
/// data late.
pub(super) fn fill(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let bytes = vec![0; 1 << 20];
    let mut refusals = 0;
    while refusals < 5 {
        match stream.write(&bytes) {
            Ok(_) => refusals = 0,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                refusals += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(e) => return Err(e),
        }
    }
    stream.set_nonblocking(false)
}

/// Builds a payload's send on either type of descriptor, for which the crate has no public trait.
macro_rules! send_on {
    ($payload:expr, $fd:expr, $flags:expr) => {{
        let rest = &$payload.bytes[$payload.from..];
        match $payload.kind {
            Kind::Send => {
                opcode::Send::new($fd, rest.as_ptr(), len32(rest.len())).flags($flags).build()
            }
            Kind::Vectorized => {
                let (at, len) = ($payload.iov.as_ptr().cast(), len32($payload.iov.len()));
                opcode::Send::new($fd, at, len).ioprio(VECTORIZED).flags($flags).build()
            }
            Kind::Message => {
                let message = &raw const *$payload.message;
                opcode::SendMsg::new($fd, message).flags($flags.unsigned_abs()).build()
            }
        }
    }};
}

/// Bytes to send, with the descriptions that the vectored kinds need.
pub(super) struct Payload {
    kind: Kind,
    bytes: Vec<u8>,
    from: usize,
    iov: Vec<libc::iovec>,
    message: Box<libc::msghdr>,
}

impl Payload {
    /// `size` bytes that differ from those of every other seed.
    pub(super) fn new(kind: Kind, size: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1;
        let bytes = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        let message = Box::new(libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        });
        let bytes = bytes.take(size).collect();
        Self { kind, bytes, from: 0, iov: Vec::new(), message }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites the bytes and their descriptions in place.
    pub(super) fn overwrite(&mut self) {
        self.bytes.fill(0xee);
        self.iov.fill(libc::iovec { iov_base: ptr::null_mut(), iov_len: usize::MAX });
        self.message.msg_iov = ptr::null_mut();
    }

    /// Makes later entries start at this byte.
    pub(super) fn advance_to(&mut self, from: usize) {
        self.from = from;
    }

    /// The send under test: no waiting, no completion on success.
    pub(super) fn entry(&mut self, target: Target, tag: u64) -> Entry {
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        self.build(target, flags).flags(Flags::SKIP_SUCCESS).user_data(tag)
    }

    /// The same without WAITALL.
    pub(super) fn careless_entry(&mut self, target: Target, tag: u64) -> Entry {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        self.build(target, flags).flags(Flags::SKIP_SUCCESS).user_data(tag)
    }

    /// A send that waits for room and always completes.
    pub(super) fn waiting_entry(&mut self, target: Target, tag: u64) -> Entry {
        self.build(target, libc::MSG_WAITALL | libc::MSG_NOSIGNAL).user_data(tag)
    }

    fn build(&mut self, target: Target, flags: i32) -> Entry {
        let rest = &self.bytes[self.from..];
        self.iov.clear();
        self.iov.extend(rest.chunks(rest.len().div_ceil(3).max(1)).map(|part| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        }));
        self.message.msg_iov = self.iov.as_mut_ptr();
        // The field is a size_t or an int, depending on the C library.
        self.message.msg_iovlen = self.iov.len() as _;
        match target {
            Target::Plain(fd) => send_on!(self, types::Fd(fd), flags),
            Target::Direct(slot) => send_on!(self, types::Fixed(slot), flags),
        }
    }
}
