//! Goal: who publishes faster than the server can pass on is slowed down; memory stays bounded, and
//! those who keep reading lose nothing.
//! Method: publishers write as fast as they can to a topic with many subscribers, so that each byte
//! costs the server forty. Readers have the kernel throw away what came, which is cheap, and count
//! it. How far the publishers get ahead is what the server and the sockets hold.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use crate::common::{Cores, raw};
use crate::crowd::expect_all;
use crate::support::client::Client;
use crate::support::host::rss;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, FIN};

const PUBLISHERS: usize = 2;
const SUBSCRIBERS: usize = 40;
const SIZE: usize = 8_000;
/// A message of the server has a header of four bytes.
const FRAME: usize = SIZE + 4;
const FLOOD: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);
/// The backlogs of the server (8 MiB between two cores, as much for the deliveries of each), and
/// what the sockets of the publishers and of a reader may hold.
const MOST_AHEAD: usize = 96 << 20;
/// The same, and what waits for readers that had no processor for a moment, once for each core.
const MOST_MEMORY: u64 = 200 << 20;

/// How many bytes have come since the last time; they are gone.
fn count(client: &Client, room: &mut [u8]) -> usize {
    let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    let (_, len) = recv(client.stream(), room, flags).expect("a connection that goes on");
    assert!(len > 0, "the server has ended the connection");
    len
}

/// Writes messages for a while; returns the client.
fn publish(mut client: Client, sent: &AtomicUsize) -> Client {
    let start = Instant::now();
    let frames = wire::frame(FIN | BINARY, &[b'f'; SIZE]).repeat(8);
    while start.elapsed() < FLOOD {
        client.send(&frames);
        sent.fetch_add(8, Ordering::Relaxed);
    }
    client
}

#[test]
fn a_flood_is_slowed_down_to_what_can_be_passed_on() {
    let server = Server::start(&["--subscriber-queue", "32MiB"]);
    let (addr, cores) = (server.addr(), Cores::of(&server));
    let mut readers: Vec<Client> = (0..SUBSCRIBERS).map(|_| raw(addr, "f?role=sub")).collect();
    let before = rss(server.pid());
    let (sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (start, mut got) = (Instant::now(), vec![0; SUBSCRIBERS]);
    let (mut ahead, mut memory) = (0, 0);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| raw(addr, "f?role=pub"))
            .map(|client| scope.spawn(|| publish(client, &sent)))
            .collect();
        scope.spawn(|| {
            // Who was slowed down is served, and has heard nothing.
            for publisher in publishers {
                publisher.join().unwrap().expect_alive();
            }
            is_over.store(true, Ordering::Release);
        });
        let mut room = vec![0; 4 << 20];
        loop {
            let is_over = is_over.load(Ordering::Acquire);
            let all = sent.load(Ordering::Relaxed) * FRAME;
            if is_over && got.iter().all(|got| *got >= all) {
                break;
            }
            assert!(start.elapsed() < LIMIT, "not all came: {all} {got:?}");
            let fd = |client| PollFd::new(Client::stream(client), PollFlags::IN);
            let mut fds: Vec<PollFd<'_>> = readers.iter().map(fd).collect();
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })).unwrap();
            for ((fd, client), got) in fds.iter().zip(&readers).zip(&mut got) {
                if !fd.revents().is_empty() {
                    *got += count(client, &mut room);
                }
            }
            ahead = ahead.max(all.saturating_sub(*got.iter().min().unwrap()));
            memory = memory.max(rss(server.pid()).saturating_sub(before));
        }
    });
    let sent = sent.into_inner() * FRAME;
    println!("{} MiB sent, {} ahead, grown by {}", sent >> 20, ahead >> 20, memory >> 20);
    assert!(sent > 16 << 20, "that was no flood");
    assert!(ahead < MOST_AHEAD, "{ahead} bytes ahead");
    assert!(memory < MOST_MEMORY, "grown by {memory} bytes");
    cores.assert_all_worked();
    assert!(got.iter().all(|got| *got == sent), "{sent} bytes, but {got:?}");
    readers.iter_mut().for_each(Client::expect_alive);
}

#[test]
fn a_burst_reaches_those_whose_sockets_have_room() {
    // Several times what may wait for a subscriber, in one go; but nothing has to wait, since
    // everyone has read all that came before.
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
