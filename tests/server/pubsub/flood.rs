//! Goal: publishers that are faster than the deliveries are slowed down; memory stays bounded, and
//! subscribers that keep reading lose nothing. Method: publishers write as fast as they can to a
//! topic with 40 subscribers, so the server sends 40 bytes for each byte that it receives. Readers
//! let the kernel discard their input, which is cheap, and count it. The lead of the publishers is
//! the data held in the server and the sockets. A reader that got no CPU time until its queue was
//! full has not kept reading and may be closed; then the attempt proves nothing and is repeated.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use crate::pubsub::common::{Cores, raw};
use crate::pubsub::many_clients::expect_all;
use crate::support::client::Client;
use crate::support::deflate::deflated;
use crate::support::host::{peak, rss};
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, FIN, RSV1, TEXT};

const PUBLISHERS: usize = 2;
const SUBSCRIBERS: usize = 40;
const SIZE: usize = 8_000;
/// A message of the server has a header of four bytes.
const FRAME: usize = SIZE + 4;
const FLOOD: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);
/// The backlogs of the server (8 MiB between two cores, and 8 MiB for the deliveries of each), and
/// the socket buffers of the publishers and of a reader.
const MAX_AHEAD: usize = 96 << 20;
/// The same, and the queues of readers that got no CPU time for a moment, once for each core.
const MAX_MEMORY: u64 = 200 << 20;

/// The queue of a reader, and the same as the value of the flag.
const QUEUE: usize = 32 << 20;
const QUEUE_FLAG: &str = "32MiB";
const ATTEMPTS: usize = 6;

/// The bytes that have arrived since the last call; they are discarded. `None` at the end.
fn count(client: &Client, room: &mut [u8]) -> Option<usize> {
    let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    let (_, len) = recv(client.stream(), room, flags).ok()?;
    (len > 0).then_some(len)
}

/// Writes messages for a while; returns the client.
fn publish(mut client: Client, sent: &AtomicUsize, stop: &AtomicBool) -> Client {
    let start = Instant::now();
    let frames = wire::frame(FIN | BINARY, &[b'f'; SIZE]).repeat(8);
    while start.elapsed() < FLOOD && !stop.load(Ordering::Relaxed) {
        client.send(&frames);
        sent.fetch_add(8, Ordering::Relaxed);
    }
    client
}

/// The maxima that were observed, in bytes.
#[derive(Default)]
struct Most {
    ahead: usize,
    memory: u64,
}

/// Reads until the publishers are done and all readers have everything. `false` if a reader was
/// closed that had not kept reading; panics if one was closed that had.
fn read_all(
    readers: &[Client],
    got: &mut [usize],
    (sent, is_over): (&AtomicUsize, &AtomicBool),
    mut watch: impl FnMut(usize),
) -> bool {
    let start = Instant::now();
    let mut room = vec![0; 4 << 20];
    loop {
        let is_over = is_over.load(Ordering::Acquire);
        let all = sent.load(Ordering::Relaxed) * FRAME;
        if is_over && got.iter().all(|got| *got >= all) {
            return true;
        }
        assert!(start.elapsed() < LIMIT, "not all came: {all} {got:?}");
        let fd = |client| PollFd::new(Client::stream(client), PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = readers.iter().map(fd).collect();
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })).unwrap();
        for ((fd, client), got) in fds.iter().zip(readers).zip(got.iter_mut()) {
            if fd.revents().is_empty() {
                continue;
            }
            let Some(len) = count(client, &mut room) else {
                let behind = (sent.load(Ordering::Relaxed) * FRAME).saturating_sub(*got);
                assert!(behind > QUEUE - (1 << 20), "closed, but only {behind} bytes behind");
                return false;
            };
            *got += len;
        }
        watch(all.saturating_sub(*got.iter().min().unwrap()));
    }
}

/// One attempt; `false` if it has to be repeated.
fn flood() -> bool {
    let server = Server::start(&["--subscriber-queue", QUEUE_FLAG]);
    let (addr, cores) = (server.addr(), Cores::of(&server));
    let mut readers: Vec<Client> = (0..SUBSCRIBERS).map(|_| raw(addr, "f?role=sub")).collect();
    let before = rss(server.pid());
    let (sent, is_over, stop) = (AtomicUsize::new(0), AtomicBool::new(false), false.into());
    let (mut got, mut most) = (vec![0; SUBSCRIBERS], Most::default());
    let all_came = std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| raw(addr, "f?role=pub"))
            .map(|client| scope.spawn(|| publish(client, &sent, &stop)))
            .collect();
        scope.spawn(|| {
            // The publishers are still served, and have received nothing.
            for publisher in publishers {
                publisher.join().unwrap().expect_alive();
            }
            is_over.store(true, Ordering::Release);
        });
        let all_came = read_all(&readers, &mut got, (&sent, &is_over), |ahead| {
            most.ahead = most.ahead.max(ahead);
            most.memory = most.memory.max(rss(server.pid()).saturating_sub(before));
        });
        stop.store(true, Ordering::Relaxed);
        all_came
    });
    let sent = sent.into_inner() * FRAME;
    let Most { ahead, memory } = most;
    println!("{} MiB sent, {} ahead, grown by {}", sent >> 20, ahead >> 20, memory >> 20);
    assert!(memory < MAX_MEMORY, "grown by {memory} bytes");
    // A reader that has been closed slows nobody down.
    if all_came {
        assert!(ahead < MAX_AHEAD, "{ahead} bytes ahead");
        assert!(sent > 16 << 20, "that was no flood");
        cores.assert_all_worked();
        assert!(got.iter().all(|got| *got == sent), "{sent} bytes, but {got:?}");
        readers.iter_mut().for_each(Client::expect_alive);
    }
    all_came
}

#[test]
fn publishers_are_slowed_down_to_the_rate_of_deliveries() {
    assert!((0..ATTEMPTS).any(|_| flood()), "the readers got too little processor every time");
}

#[test]
fn a_burst_reaches_subscribers_whose_sockets_have_room() {
    // Several times the queue of a subscriber, in one write. Nothing is dropped, because all
    // earlier messages were read and the sockets have room.
    let server = Server::start(&[]);
    let mut readers: Vec<Client> = (0..6).map(|_| raw(server.addr(), "f?role=sub")).collect();
    let mut publisher = raw(server.addr(), "f?role=pub");
    for round in 0..10_u8 {
        let payload = vec![round; 100_000];
        publisher.send(&wire::frame(FIN | BINARY, &payload).repeat(12));
        let mut got = vec![0; readers.len()];
        expect_all(&mut readers, LIMIT, |number, frame| {
            assert_eq!(frame.first, FIN | BINARY, "{}", String::from_utf8_lossy(&frame.payload));
            assert!(frame.payload == payload);
            got[number] += 1;
            got[number] == 12
        });
    }
    readers.iter_mut().for_each(Client::expect_alive);
}

/// Messages of a few kilobytes that inflate to 8 MiB each are not all inflated at once: input
/// without room for it stays compressed.
#[test]
fn compressed_input_is_inflated_as_there_is_room() {
    const PUBLISHERS: usize = 60;
    let server = Server::start(&["--slow-consumer", "drop-oldest", "--cores", "0"]);
    let mut readers: Vec<Client> = (0..4).map(|_| raw(server.addr(), "g?role=sub")).collect();
    let mut publishers: Vec<Client> = (0..PUBLISHERS)
        .map(|_| {
            let mut client = Client::connect(server.addr());
            client
                .open_at("/topics/g?role=pub", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
            client
        })
        .collect();
    let frame = wire::frame(FIN | RSV1 | TEXT, &deflated(&vec![b'x'; 8 << 20]));
    assert!(frame.len() < 16 << 10, "{}", frame.len());
    let before = peak(server.pid());
    publishers.iter_mut().for_each(|publisher| publisher.send(&frame));
    std::thread::scope(|scope| {
        for reader in &mut readers {
            scope.spawn(|| {
                let mut room = vec![0; 4 << 20];
                let quiet = Some(Duration::from_secs(1));
                reader.stream().set_read_timeout(quiet).unwrap();
                let mut more = || recv(reader.stream(), &mut room[..], RecvFlags::TRUNC);
                while more().is_ok_and(|(_, len)| len > 0) {}
            });
        }
        // Each connection is served, and its input was handled.
        publishers.iter_mut().for_each(Client::expect_alive);
    });
    let grown = peak(server.pid()) - before;
    println!("grown by {} MiB", grown >> 20);
    assert!(grown < 128 << 20, "grown by {grown} bytes");
}
