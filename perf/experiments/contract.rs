//! A regression test of the kernel's behaviour that sends without completions rely on:
//! DONTWAIT + WAITALL + NOSIGNAL with SKIP_SUCCESS.

mod rig;

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;
use rig::{Event, Kind, Link, Payload, Rig};

const BIG: usize = 16 << 20;

/// Runs every check for every kind of send; an error if one failed.
pub(crate) fn main() -> io::Result<()> {
    // A signal from a dead peer must end the program, so that it is noticed. (The kernel adds
    // NOSIGNAL to every ring send itself; naming it keeps the intent visible.)
    sys::default_sigpipe();
    println!("Kernel {}, {}.\n", sys::kernel_release(), sys::cpu_model());
    let mut failed = 0;
    let mut check = |name: &str, outcome: io::Result<String>| match outcome {
        Ok(detail) => println!("- ok: {name}: {detail}"),
        Err(e) => {
            failed += 1;
            println!("- FAILED: {name}: {e}");
        }
    };
    for kind in [Kind::Send, Kind::Vectorized, Kind::Message] {
        for direct in [false, true] {
            let what = format!("{kind:?}{}", if direct { ", direct" } else { "" });
            check(&format!("{what}: full success"), full_success(kind, direct));
            check(&format!("{what}: short, full, tail"), short_send(kind, direct));
            check(&format!("{what}: dead peers"), dead_peers(kind, direct));
            check(&format!("{what}: one batch"), batch(kind, direct, Rig::enter_at_once));
            check(&format!("{what}: one batch, only submitted"), {
                batch(kind, direct, Rig::submit_only)
            });
        }
    }
    check("failures come before receives", order());
    check("no worker thread was started", workers());
    println!("\nControl, not a requirement: {}", without_waitall()?);
    if failed > 0 {
        return Err(io::Error::other(format!("{failed} checks failed: do not skip completions")));
    }
    Ok(())
}

fn ensure(truth: bool, otherwise: impl FnOnce() -> String) -> io::Result<()> {
    if truth { Ok(()) } else { Err(io::Error::other(otherwise())) }
}

/// Success posts nothing, and the buffer may be overwritten once enter has returned.
fn full_success(kind: Kind, direct: bool) -> io::Result<String> {
    let mut rig = Rig::new()?;
    let mut link = Link::new(&rig, direct)?;
    let mut expected = Vec::new();
    for round in 0..200_u64 {
        let size = 1 + usize::try_from(round).unwrap_or(0) * 80;
        let mut payload = Payload::new(kind, size, round);
        expected.extend_from_slice(payload.bytes());
        rig.push(&payload.entry(link.target, round + 1))?;
        let events = rig.enter(0)?;
        ensure(events.is_empty(), || format!("{size} B: unexpected {events:?}"))?;
        payload.overwrite();
        let mut got = vec![0; size];
        link.peer.read_exact(&mut got)?;
        ensure(expected.ends_with(&got), || format!("{size} B: the bytes arrived changed"))?;
    }
    // Without this check, a ring that never delivers anything would pass.
    rig.push_nop(7)?;
    let events = rig.enter(1)?;
    ensure(events == [Event { tag: 7, result: 0 }], || format!("no-op: {events:?}"))?;
    Ok("200 sends of 1 to 15,921 B, no completion, buffers reused at once".to_owned())
}

/// A reader that does not read: short count, then EAGAIN; nothing is lost or doubled.
fn short_send(kind: Kind, direct: bool) -> io::Result<String> {
    let mut rig = Rig::new()?;
    let mut link = Link::new(&rig, direct)?;
    let mut payload = Payload::new(kind, BIG, 1);
    rig.push(&payload.entry(link.target, 1))?;
    let started = Instant::now();
    let events = rig.enter(0)?;
    let took = started.elapsed();
    ensure(took < Duration::from_secs(1), || format!("enter blocked for {took:?}"))?;
    let [Event { tag: 1, result }] = events[..] else {
        return Err(io::Error::other(format!("16 MiB: {events:?} instead of one short count")));
    };
    let mut sent = usize::try_from(result).unwrap_or(0);
    ensure(0 < sent && sent < BIG, || format!("16 MiB: result {result}"))?;
    let first = sent;
    // The receive queue may still take a little; keep offering the rest until it is refused.
    let refused = (0..1000).any(|_| {
        payload.advance_to(sent);
        let events = rig.push(&payload.entry(link.target, 2)).and_then(|()| rig.enter(0));
        thread::sleep(Duration::from_millis(1));
        let result = events.ok().and_then(|e| e.first().map(|e| e.result)).unwrap_or(0);
        sent += usize::try_from(result).unwrap_or(0);
        result == -libc::EAGAIN
    });
    ensure(refused, || "a full socket never answered EAGAIN".to_owned())?;
    let mut got = vec![0; sent];
    link.peer.read_exact(&mut got)?;
    link.peer.set_nonblocking(true)?;
    thread::sleep(Duration::from_millis(5));
    let more = link.peer.read(&mut [0; 16]).err().map(|e| e.kind());
    ensure(more == Some(ErrorKind::WouldBlock), || format!("more than {sent} B arrived"))?;
    link.peer.set_nonblocking(false)?;
    let tail = send_tail(&mut rig, link, &mut payload, sent)?;
    got.extend(tail);
    ensure(got == payload.bytes(), || "the stream is out of order or incomplete".to_owned())?;
    Ok(format!("{first} of {BIG} B in {took:.1?}, then EAGAIN, tail in order"))
}

/// Sends the rest with a completion, as a server does after a short send.
fn send_tail(rig: &mut Rig, link: Link, payload: &mut Payload, sent: usize) -> io::Result<Vec<u8>> {
    let Link { mut peer, stream, target } = link;
    let (result, reader) = mpsc::channel();
    thread::spawn(move || {
        let mut rest = Vec::new();
        let read = peer.read_to_end(&mut rest).map(|_| rest);
        // The receiver has ended only if the check has failed already.
        let _ = result.send(read);
    });
    payload.advance_to(sent);
    rig.push(&payload.waiting_entry(target, 3))?;
    let events = rig.enter(1)?;
    let left = i32::try_from(BIG - sent).unwrap_or(0);
    ensure(events == [Event { tag: 3, result: left }], || format!("tail of {left}: {events:?}"))?;
    stream.shutdown(Shutdown::Write)?;
    let limit = Duration::from_secs(10);
    reader.recv_timeout(limit).map_err(io::Error::other)?
}

/// A peer that closed: EPIPE. A peer that reset: ECONNRESET once, then EPIPE.
fn dead_peers(kind: Kind, direct: bool) -> io::Result<String> {
    let mut rig = Rig::new()?;
    let mut payload = Payload::new(kind, 100, 1);
    let Link { mut stream, peer, target } = Link::new(&rig, direct)?;
    drop(peer);
    let end = stream.read(&mut [0; 1])?;
    ensure(end == 0, || "no end of stream".to_owned())?;
    rig.push(&payload.entry(target, 1))?;
    let events = rig.enter(0)?;
    ensure(events.is_empty(), || format!("half-closed: {events:?}"))?;
    thread::sleep(Duration::from_millis(5));
    expect(&mut rig, &mut payload, target, -libc::EPIPE, "after the peer's RST")?;
    drop(stream);

    let Link { stream, peer, target } = Link::new(&rig, direct)?;
    sys::linger_zero(std::os::fd::AsRawFd::as_raw_fd(&peer))?;
    drop(peer);
    thread::sleep(Duration::from_millis(5));
    expect(&mut rig, &mut payload, target, -libc::ECONNRESET, "after a reset")?;
    expect(&mut rig, &mut payload, target, -libc::EPIPE, "after a reported reset")?;
    drop(stream);

    let Link { stream, peer, target } = Link::new(&rig, direct)?;
    stream.shutdown(Shutdown::Write)?;
    expect(&mut rig, &mut payload, target, -libc::EPIPE, "after our own shutdown")?;
    drop(peer);
    Ok("EPIPE after close and shutdown; ECONNRESET, then EPIPE after a reset".to_owned())
}

fn expect(
    rig: &mut Rig,
    payload: &mut Payload,
    target: rig::Target,
    result: i32,
    when: &str,
) -> io::Result<()> {
    rig.push(&payload.entry(target, 9))?;
    let events = rig.enter(0)?;
    ensure(events == [Event { tag: 9, result }], || format!("{when}: {events:?}"))
}

/// 100 sends in one call, of which one meets a full socket and one a dead one.
fn batch(
    kind: Kind,
    direct: bool,
    call: fn(&mut Rig) -> io::Result<Vec<Event>>,
) -> io::Result<String> {
    const FULL: usize = 31;
    const DEAD: usize = 62;
    let mut rig = Rig::new()?;
    let links: io::Result<Vec<Link>> = (0..100).map(|i| Link::at(&rig, direct, i)).collect();
    let mut links = links?;
    rig::fill(&links[FULL].stream)?;
    links[DEAD].stream.shutdown(Shutdown::Write)?;
    let mut payloads: Vec<Payload> = (0..100).map(|i| Payload::new(kind, 3000, i)).collect();
    for (tag, (link, payload)) in (1_u64..).zip(links.iter().zip(&mut payloads)) {
        rig.push(&payload.entry(link.target, tag))?;
    }
    let events = call(&mut rig)?;
    let full = Event { tag: FULL as u64 + 1, result: -libc::EAGAIN };
    let dead = Event { tag: DEAD as u64 + 1, result: -libc::EPIPE };
    ensure(events == [full, dead], || {
        format!("{} completions, first {:?}", events.len(), events.first())
    })?;
    for (i, (link, payload)) in links.iter_mut().zip(&payloads).enumerate() {
        if i != FULL && i != DEAD {
            let mut got = vec![0; 3000];
            link.peer.read_exact(&mut got)?;
            ensure(got == payload.bytes(), || format!("connection {i}: wrong bytes"))?;
        }
    }
    Ok("100 sends in one call: exactly the EAGAIN and the EPIPE completed".to_owned())
}

/// In one enter, the failures of its own sends are in the queue before any receive.
fn order() -> io::Result<String> {
    let mut rig = Rig::new()?;
    let stuck = Link::at(&rig, true, 0)?;
    rig::fill(&stuck.stream)?;
    let links: io::Result<Vec<Link>> = (1..33).map(|i| Link::at(&rig, true, i)).collect();
    let mut links = links?;
    let mut buffers = vec![[0_u8; 64]; links.len()];
    let mut payload = Payload::new(Kind::Send, 100, 1);
    for round in 0..50 {
        for (link, buffer) in links.iter().zip(&mut buffers) {
            rig.push_receive(link.target, buffer, 1000)?;
        }
        let events = rig.enter(0)?;
        ensure(events.is_empty(), || format!("receives completed early: {events:?}"))?;
        for link in &mut links {
            io::Write::write_all(&mut link.peer, b"ping")?;
        }
        rig.push(&payload.entry(stuck.target, 1))?;
        let mut events = rig.enter(links.len() + 1)?;
        let first = Event { tag: 1, result: -libc::EAGAIN };
        ensure(events.first() == Some(&first), || {
            format!("round {round}: {:?} came first", events.first())
        })?;
        while events.len() < links.len() + 1 {
            events.extend(rig.enter(1)?);
        }
        let ping = Event { tag: 1000, result: 4 };
        ensure(events[1..].iter().all(|e| *e == ping), || format!("{events:?}"))?;
    }
    Ok("50 enters with 1 failing send and 32 ready receives".to_owned())
}

/// Everything above ran inline: the kernel made no worker thread for this process.
fn workers() -> io::Result<String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        names.push(std::fs::read_to_string(task?.path().join("comm"))?);
    }
    ensure(!names.iter().any(|n| n.starts_with("iou-")), || format!("{names:?}"))?;
    Ok("every send ran inside enter".to_owned())
}

/// The behaviour without WAITALL.
fn without_waitall() -> io::Result<String> {
    let mut rig = Rig::new()?;
    let link = Link::new(&rig, false)?;
    let mut payload = Payload::new(Kind::Send, BIG, 1);
    rig.push(&payload.careless_entry(link.target, 1))?;
    let events = rig.enter(0)?;
    drop(link.stream);
    let mut rest = Vec::new();
    { link.peer }.read_to_end(&mut rest)?;
    let (n, list) = (rest.len(), format!("{events:?}"));
    Ok(format!("without WAITALL {n} of {BIG} B were sent and the completions were {list}."))
}
