//! The hand-over of listening sockets to a successor, so that a restart refuses nobody.
//!
//! A server listens on a Unix-domain socket. A successor connects to it, is sent the descriptors of
//! all listening sockets, starts with them, and says so; then this server drains. What waits in
//! the accept queues belongs to the sockets and not to a process, so it is served by the successor.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, accept_with, recvmsg, sendmsg, sockopt,
};
use rustix::process::geteuid;

use super::handle::ServerHandle;
use super::listen::{IN_USE_WAIT, Listening, Pauses};
use super::offered::{Handed, Ready};
use super::passed;
use super::unix;
use crate::error::Error;

/// The bytes of each message: a text, filled up with zeros. A path has 107 bytes at most.
const RECORD: usize = 512;
/// The descriptors of one message; the kernel takes 253.
const MOST: usize = 64;
/// What a successor says first.
const HELLO: &[u8; 4] = b"ccH1";
/// What follows on the last descriptors.
const END: &str = "end";
/// A successor serves; the answer is that its predecessor has given up the path.
const SERVES: u8 = b'S';
/// What connects and does not say so is no successor; others wait meanwhile.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Before successors are waited for again when that has failed.
const RETRY: Duration = Duration::from_millis(100);
/// A successor has not started yet.
const STARTS: u8 = b'.';
/// How often it says so.
const SAYS_EVERY: Duration = Duration::from_secs(5);
/// How often a predecessor is told to drain before it is taken to have ended.
const ATTEMPTS: usize = 3;
/// A successor that says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A predecessor that waits for this server to serve.
#[derive(Debug)]
pub(super) struct Predecessor {
    stream: UnixStream,
    /// Says that this server starts, until the sender is dropped.
    starts: Sender<()>,
    thread: JoinHandle<()>,
}

fn fault(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::HandOver { path: path.to_owned(), source }
}

/// Takes the sockets of the server that listens at this path, if there is one.
pub(super) fn take(path: &Path) -> Result<Option<(Predecessor, Vec<Handed>)>, Error> {
    let mut pauses = None;
    let mut pause = || {
        // From the first end on: before it, another successor may have been served for long.
        let first = || Pauses::until(Instant::now() + IN_USE_WAIT);
        pauses.get_or_insert_with(first).pause()
    };
    loop {
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
                _ => return Err(fault(path)(error)),
            },
        };
        match receive(stream) {
            // It hands over to another one, which listens soon, or it ends.
            Err(error) if is_end(&error) && pause() => {}
            result => return result.map(Some).map_err(fault(path)),
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Whoever has the sockets, or takes them, has to be of this user, or root.
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = sockopt::socket_peercred(stream)?.uid;
    let is_trusted = peer == geteuid() || peer.is_root();
    is_trusted.then_some(()).ok_or_else(|| io::Error::other("it is a process of another user"))
}

/// The number of the process at the other end, if it is known.
fn process_of(stream: &UnixStream) -> Option<i32> {
    let peer = sockopt::socket_peercred(stream).ok()?;
    Some(peer.pid.as_raw_nonzero().get())
}

/// The time until the deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left).ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// Reads as many bytes as there is room for.
fn read_until(deadline: Instant, mut stream: &UnixStream, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = bytes.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where all of these listen; `None` if one of them does not, or elsewhere.
fn common_place(sockets: &[OwnedFd]) -> Option<Listening> {
    let place = passed::place(sockets.first()?)?;
    let listens =
        |socket| passed::listens(socket) && passed::place(socket).as_ref() == Some(&place);
    sockets.iter().all(listens).then_some(place)
}

fn receive(mut stream: UnixStream) -> io::Result<(Predecessor, Vec<Handed>)> {
    check_peer(&stream)?;
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(HELLO)?;
    let mut all: Vec<Handed> = Vec::new();
    loop {
        let (text, mut sockets) = receive_record(&stream, deadline)?;
        if text == END {
            return Ok((Predecessor::new(stream)?, all));
        }
        let wrong = || io::Error::other("the predecessor has sent what is no listening socket");
        let place = common_place(&sockets).ok_or_else(wrong)?;
        match all.last_mut().filter(|last| last.listen == text && last.place == place) {
            Some(last) => last.sockets.append(&mut sockets),
            None => all.push(Handed { listen: text, place, sockets }),
        }
    }
}

/// The descriptors come with the first byte of their message.
fn receive_record(stream: &UnixStream, deadline: Instant) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut bytes = [0; RECORD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    stream.set_read_timeout(Some(left(deadline)?))?;
    let got = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        retry_on_intr(|| recvmsg(stream, &mut parts, &mut control, flags))?
    };
    if got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("not all descriptors have come; is their limit too low?"));
    }
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    read_until(deadline, stream, bytes.get_mut(got.bytes..).unwrap_or_default())?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok((String::from_utf8_lossy(text).into_owned(), sockets))
}

fn send_record(mut stream: &UnixStream, text: &str, sockets: &[OwnedFd]) -> io::Result<()> {
    let mut bytes = [0; RECORD];
    let too_long = || io::Error::other("a name is too long");
    bytes.get_mut(..text.len()).ok_or_else(too_long)?.copy_from_slice(text.as_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let parts = [IoSlice::new(&bytes)];
    let sent = retry_on_intr(|| sendmsg(stream, &parts, &mut control, SendFlags::NOSIGNAL))?;
    stream.write_all(bytes.get(sent..).unwrap_or_default())
}

impl Predecessor {
    fn new(stream: UnixStream) -> io::Result<Self> {
        let mut copy = stream.try_clone()?;
        let (starts, ends) = mpsc::channel();
        let has_to_say = move || ends.recv_timeout(SAYS_EVERY) == Err(RecvTimeoutError::Timeout);
        let say = move || while has_to_say() && copy.write_all(&[STARTS]).is_ok() {};
        let thread = thread::Builder::new().name("corecast-starts".to_owned()).spawn(say)?;
        Ok(Self { stream, starts, thread })
    }

    /// The number of its process, if it is known.
    pub(super) fn process(&self) -> Option<i32> {
        process_of(&self.stream)
    }

    /// This server serves, so the predecessor is to drain. Returns once it has given up the path.
    fn release(self) -> io::Result<()> {
        let Self { mut stream, starts, thread } = self;
        drop(starts);
        let _ = thread.join();
        stream.write_all(&[SERVES])?;
        read_until(Instant::now() + PATIENCE, &stream, &mut [0])
    }

    /// The same. A predecessor that does not wait any more, and has not ended, is asked again: two
    /// servers must not go on.
    pub(super) fn release_at(mut self, path: &Path) -> Result<(), Error> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let Err(error) = self.release() else { return Ok(()) };
            if !is_end(&error) || attempts.next().is_none() {
                return Err(fault(path)(error));
            }
            // The sockets are those that this server has.
            match take(path)? {
                Some((predecessor, _)) => self = predecessor,
                None => return Err(fault(path)(error)),
            }
        }
    }
}

/// Listens at `path` for successors, on a thread of its own.
pub(super) fn offer(server: &ServerHandle, path: &Path, sockets: Vec<Handed>) -> Result<(), Error> {
    let deadline = Instant::now() + IN_USE_WAIT;
    let (listener, file) = unix::bind(path, Some(0o600), deadline).map_err(fault(path))?;
    let copy = listener.try_clone().map_err(Error::Descriptor)?;
    server.set_ready(Ready { listener: copy, file, sockets });
    let server = server.clone();
    let thread = thread::Builder::new().name("corecast-handover".to_owned());
    thread.spawn(move || wait(&server, &listener)).map_err(Error::Thread)?;
    Ok(())
}

/// Waits for successors until one serves, or this server drains.
fn wait(server: &ServerHandle, listener: &OwnedFd) {
    let mut has_failed = false;
    loop {
        let stream = match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(stream) => UnixStream::from(stream),
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            // It was shut down.
            Err(Errno::INVAL) => return,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(%error, "no successor can connect now; tried again");
                }
                thread::sleep(RETRY);
                continue;
            }
        };
        has_failed = false;
        match hand_over(server, &stream) {
            Ok(true) => {
                let process = process_of(&stream);
                tracing::info!(process, "handed over to a successor, which serves; draining");
                // This frees the path, which is the successor's from here on.
                server.hand_over();
                let _ = (&stream).write_all(&[SERVES]);
                return;
            }
            Ok(false) => server.end_lending(),
            Err(error) => {
                server.end_lending();
                tracing::warn!(%error, "a successor has not taken over; this server goes on");
            }
        }
    }
}

/// Sends the sockets. Returns whether the successor serves.
fn hand_over(server: &ServerHandle, stream: &UnixStream) -> io::Result<bool> {
    check_peer(stream)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut hello = [0; HELLO.len()];
    read_until(Instant::now() + HELLO_WITHIN, stream, &mut hello)?;
    if hello != *HELLO {
        return Err(io::Error::other("it is no server of this kind"));
    }
    let drains = || io::Error::from(io::ErrorKind::ConnectionAborted);
    for handed in server.lend()?.ok_or_else(drains)? {
        for sockets in handed.sockets.chunks(MOST) {
            send_record(stream, &handed.listen, sockets)?;
        }
    }
    send_record(stream, END, &[])?;
    let mut answer = [STARTS];
    while answer == [STARTS] {
        read_until(Instant::now() + PATIENCE, stream, &mut answer)?;
    }
    Ok(answer == [SERVES])
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    /// What a successor makes of the sockets of one place.
    fn taken(sockets: &[OwnedFd]) -> io::Result<Vec<Handed>> {
        let (own, other) = UnixStream::pair().unwrap();
        // A message fits into the buffer of the socket, so nobody has to read yet.
        send_record(&other, "127.0.0.1:0", sockets).unwrap();
        send_record(&other, END, &[]).unwrap();
        receive(own).map(|(_, handed)| handed)
    }

    #[test]
    fn only_listening_sockets_of_one_address_are_taken() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other) = (listener(), listener());
        let place = Listening::Tcp(one.local_addr().unwrap());
        let same = || OwnedFd::from(one.try_clone().unwrap());
        let handed = taken(&[same(), same()]).unwrap();
        assert_eq!(handed.len(), 1);
        assert_eq!((&handed[0].place, handed[0].sockets.len()), (&place, 2));
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        for sockets in [vec![], vec![same(), other.into()], vec![datagrams.into()]] {
            assert!(taken(&sockets).is_err(), "{sockets:?}");
        }
    }

    #[test]
    fn bytes_that_trickle_have_one_deadline() {
        let (own, mut other) = UnixStream::pair().unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        thread::scope(|scope| {
            scope.spawn(move || {
                while other.write_all(&[0]).is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let result = read_until(deadline, &own, &mut [0; RECORD]);
            assert!(result.is_err() && Instant::now() >= deadline, "{result:?}");
            drop(own);
        });
    }
}
