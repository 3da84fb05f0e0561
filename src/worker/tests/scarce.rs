//! What waits while memory is short or scarce.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::memory::beginning;
use super::{Bench, ONE_PIECE, Rig, SLEEP, Worker};
use crate::config::Config;
use crate::io::sim::{ClientId, SimOptions, SimRing};
use crate::proxied::Proxied;

/// A kilobyte of a compressed message becomes a megabyte. When such messages have made memory
/// scarce they wait until the largest are closed.
#[test]
fn what_is_decompressed_waits_while_memory_is_scarce() {
    const LIMIT: usize = 32 << 20;
    const BOMB: usize = 8 << 20;
    let mut deflater = flate2::Compress::new(flate2::Compression::best(), false);
    let mut deflated = Vec::with_capacity(BOMB);
    deflater.compress_vec(&vec![0; BOMB], &mut deflated, flate2::FlushCompress::Sync).unwrap();
    deflated.truncate(deflated.len() - 4);
    let len = u16::try_from(deflated.len()).unwrap().to_be_bytes();
    let message = [&[0xC2, 0xFE][..], &len, &[0; 4], &deflated].concat();
    let offer = String::from_utf8(super::request("/echo")).unwrap().replace(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n",
    );
    let mut config = Config::default();
    (config.limits.memory, config.deflate.enabled) = (LIMIT, true);
    let mut bench = Bench::with_config(config);
    let clients: Vec<ClientId> = (0..40)
        .map(|_| {
            let client = bench.network.connect(0);
            bench.network.write(client, offer.as_bytes());
            assert!(bench.read_head(client).contains("permessage-deflate"));
            client
        })
        .collect();
    let mut most = 0;
    clients.iter().for_each(|client| bench.network.write(*client, &message));
    bench.turn_until(|bench| {
        clients.iter().for_each(|client| drop(bench.network.read(*client)));
        most = most.max(bench.memory());
        most > 0 && bench.memory() == 0
    });
    // Beyond the place from which they wait: the last piece of each, and the one that has doubled
    // its room for it.
    assert!(most > 24 << 20 && most < (36 << 20), "{most}");
    bench.finish();
}

/// Publishers of large messages wait while memory is short, in the last case more than are tried in
/// one turn. They are no work: the loop sleeps until the holders are looked at again, and goes on
/// with the publishers once memory is free.
#[test]
fn the_loop_sleeps_while_large_messages_lack_memory() {
    const LIMIT: usize = 1 << 30;
    for count in [1, 10, 600] {
        let mut config = Config::default();
        config.limits.memory = LIMIT;
        let options = SimOptions { slots: 700, ..SimOptions::default() };
        let mut bench = Bench::with_options(config, options);
        bench.rig.0.borrow_mut().short_of_memory = LIMIT / 8 * 7;
        let mut charge = bench.rig.0.borrow().ledger.open();
        let mut publishers = Vec::new();
        for _ in 0..count {
            let (client, _) = bench.request("/hold");
            bench.read_head(client);
            bench.network.write(client, &beginning(ONE_PIECE + 1));
            publishers.push(client);
        }
        bench.settle();
        // Of the service, so that nobody is closed for it.
        charge.set(LIMIT / 32 * 29 - usize::try_from(bench.memory()).unwrap());
        publishers.iter().for_each(|client| {
            bench.network.write(*client, &vec![b'm'; (64 << 10) - ONE_PIECE - 1]);
        });
        bench.settle();
        let enters = bench.worker.stats().driver.enters;
        bench.wait(1);
        let enters = bench.worker.stats().driver.enters - enters;
        assert_eq!((bench.rig.0.borrow().messages, bench.shed()), (0, 0));
        // The bench wakes it each millisecond.
        assert!(enters < 2_000, "{count}: {enters} calls in a second");
        charge.set(0);
        bench.turn_until(|bench| bench.rig.0.borrow().messages == count);
        bench.finish();
    }
}

/// What a driver around that of the kernel holds of a connection is a part of what that connection
/// holds. So those that have sent the most are closed, and nobody else for them.
#[test]
fn what_the_driver_holds_counts_as_that_of_its_connection() {
    const LIMIT: usize = 1 << 20;
    // A header of version 2 that declares more than has come.
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &4_000_u16.to_be_bytes(), &[0; 3_900]];
    let header = header.concat();
    let mut config = Config::default();
    config.limits.memory = LIMIT;
    let options = SimOptions { slots: 500, listeners: 2, ..SimOptions::default() };
    let ring = SimRing::new(1, options);
    let network = ring.network();
    let driver = Proxied::new(ring, vec![false, true]);
    let (rig, stop) = (Rig::default(), Arc::new(AtomicBool::new(false)));
    let mut worker = Worker::new(driver, Arc::new(config), rig, 2, stop);
    let mut turns = |count: usize| {
        for _ in 0..count {
            network.limit(network.now() + SLEEP);
            worker.turn().unwrap();
        }
        worker.stats()
    };
    let innocent: Vec<ClientId> = (0..150)
        .map(|_| {
            let client = network.connect(0);
            network.write(client, &super::request("/echo"));
            turns(10);
            assert!(network.read(client).starts_with(b"HTTP/1.1 101 "));
            client
        })
        .collect();
    // They are silent for less than a second.
    innocent.iter().for_each(|client| network.write(*client, &beginning(1_000)));
    let by_innocent = turns(60).memory;
    assert!((150 * 1_000..LIMIT as u64 / 2).contains(&by_innocent), "{by_innocent}");
    let greedy: Vec<ClientId> = (0..200)
        .map(|_| {
            let client = network.connect(1);
            network.write(client, &header);
            turns(2);
            client
        })
        .collect();
    let stats = turns(300);
    assert!(stats.memory <= 7 * LIMIT as u64 / 8, "{}", stats.memory);
    let has_left = |client: &&ClientId| network.closed_by_server(**client).is_some();
    let closed = greedy.iter().filter(has_left).count();
    assert_eq!((innocent.iter().filter(has_left).count(), closed as u64), (0, stats.shed));
    assert!(closed > 0 && closed < greedy.len(), "{closed}");
}

/// Nobody has to be closed, since the service holds the most; then a client holds more. It is not
/// waited for the next search.
#[test]
fn holders_are_looked_for_again_once_more_is_held() {
    const LIMIT: usize = 64 << 20;
    const LEN: usize = 16 << 20;
    let beginning = |sent: usize| {
        let header = [&[0x82, 0xFF][..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat();
        [header, vec![b'm'; sent]].concat()
    };
    for wait in [0, 20, 40, 60, 80] {
        let mut config = Config::default();
        config.limits.memory = LIMIT;
        let mut bench = Bench::with_config(config);
        let mut charge = bench.rig.0.borrow().ledger.open();
        let clients: Vec<ClientId> = (0..4).map(|_| bench.open()).collect();
        clients.iter().for_each(|client| bench.network.write(*client, &beginning(2 << 20)));
        bench.settle();
        charge.set(LIMIT - usize::try_from(bench.memory()).unwrap() - (6 << 20));
        bench.settle();
        let start = bench.network.now() + Duration::from_millis(wait);
        bench.turn_until(|bench| bench.network.now() >= start);
        assert_eq!(bench.shed(), 0);
        bench.network.write(clients[0], &vec![b'm'; 13 << 20]);
        bench.turn_until(|bench| bench.shed() > 0);
        let took = bench.network.now() - start;
        assert!(took < Duration::from_millis(40), "{wait}: {took:?}");
        charge.set(0);
        bench.finish();
    }
}
