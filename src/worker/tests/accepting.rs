//! Connections at the limits of the table, their ids, and those that are not open yet.

use std::time::Duration;

use super::{Bench, masked, request};
use crate::base::ConnectionId;
use crate::config::Config;
use crate::io::sim::{ClientId, Faults, ServerEnd, SimOptions};
use crate::session::Phase;

/// A core with this many slots, of which a part is for connections.
fn bench(slots: u32, max_connections: u32) -> Bench {
    let mut config = Config::default();
    config.limits.max_connections = max_connections;
    Bench::with_options(config, SimOptions { slots, ..SimOptions::default() })
}

fn connect(bench: &Bench, count: usize) -> Vec<ClientId> {
    (0..count).map(|_| bench.network.connect(0)).collect()
}

/// Clients that have sent their request.
fn connect_echo(bench: &Bench, count: usize) -> Vec<ClientId> {
    let clients = connect(bench, count);
    clients.iter().for_each(|client| bench.network.write(*client, &request("/echo")));
    clients
}

/// The status that each client is answered with.
fn statuses(bench: &mut Bench, clients: &[ClientId]) -> Vec<String> {
    let mut status = |client: &ClientId| {
        let answer = String::from_utf8(bench.read(*client, 12)).unwrap();
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    clients.iter().map(&mut status).collect()
}

#[test]
fn no_connection_is_lost_when_the_table_is_full() {
    let mut bench = bench(100, 90);
    let early = connect_echo(&bench, 40);
    assert!(statuses(&mut bench, &early).iter().all(|status| status == "101"));
    let late = connect_echo(&bench, 100);
    let statuses = statuses(&mut bench, &late);
    let count = |wanted: &str| statuses.iter().filter(|status| *status == wanted).count();
    assert_eq!((count("101"), count("503")), (50, 50), "{statuses:?}");
    assert_eq!(bench.worker.stats().accept_errors, 0);
    bench.finish();
}

#[test]
fn connections_without_a_request_keep_nobody_from_a_503() {
    let mut bench = bench(20, 12);
    let open = connect_echo(&bench, 12);
    assert!(statuses(&mut bench, &open).iter().all(|status| status == "101"));
    let silent = connect(&bench, 200);
    bench.settle();
    let began = bench.network.now();
    let newcomer = connect_echo(&bench, 1);
    assert_eq!(statuses(&mut bench, &newcomer), ["503"]);
    let waited = bench.network.now() - began;
    assert!(waited < Duration::from_millis(2_000), "{waited:?}");
    // They were answered as well, and those that are open were left alone.
    let answered = statuses(&mut bench, &silent[..100]);
    assert!(answered.iter().all(|status| status == "503"), "{answered:?}");
    for client in &open {
        assert_eq!(bench.network.closed_by_server(*client), None);
    }
    bench.finish();
}

#[test]
fn connections_above_the_limit_keep_their_time_while_there_are_slots() {
    let mut bench = bench(20, 10);
    let open = connect_echo(&bench, 10);
    statuses(&mut bench, &open);
    let silent = connect(&bench, 5);
    bench.turn_until(|bench| bench.network.now() > Duration::from_secs(1));
    assert!(silent.iter().all(|client| bench.network.closed_by_server(*client).is_none()));
    silent.iter().for_each(|client| bench.network.write(*client, &request("/echo")));
    assert_eq!(statuses(&mut bench, &silent), ["503"; 5]);
    bench.finish();
}

#[test]
fn connections_that_expire_together_end_over_several_turns() {
    const COUNT: usize = 2_000;
    let mut bench = bench(2_100, 2_050);
    connect(&bench, COUNT);
    bench.turn_until(|bench| bench.worker.connections() == COUNT);
    let expired = |bench: &Bench| {
        let in_table = bench.worker.core.slots.iter();
        let open = in_table.filter(|slot| slot.session.phase() == Phase::Request).count();
        COUNT - open
    };
    let (mut before, mut most) = (0, 0);
    bench.turn_until(|bench| {
        let now = expired(bench);
        most = most.max(now - before);
        before = now;
        now == COUNT
    });
    assert!((1..=256).contains(&most), "{most} in one turn");
    bench.finish();
}

#[test]
fn a_handshake_under_way_is_answered_when_the_server_stops() {
    let mut bench = bench(20, 10);
    let clients = connect(&bench, 3);
    let (head, rest) = (request("/echo")[..20].to_vec(), request("/echo")[20..].to_vec());
    bench.network.write(clients[0], &head);
    bench.turn_until(|bench| bench.worker.connections() == 3);
    bench.settle();
    let stopped = bench.network.now();
    bench.worker.drain();
    // One has sent a part, one sends all of it now, one sends nothing.
    bench.network.write(clients[1], &[head, rest].concat());
    assert_eq!(statuses(&mut bench, &clients[..2]), ["503"; 2]);
    bench.turn_until(|bench| bench.network.closed_by_server(clients[2]).is_some());
    assert!(bench.network.now() - stopped < Duration::from_millis(500));
    clients[..2].iter().for_each(|client| bench.network.half_close(*client));
    bench.finish();
}

#[test]
fn input_behind_a_close_frame_does_not_reset_the_connection() {
    // The receive goes on for a while when it is cancelled.
    let faults = Faults { late_cancel: 1000, ..Faults::default() };
    let options = SimOptions { faults, ..SimOptions::default() };
    let mut bench = Bench::with_options(Config::default(), options);
    let (client, id) = bench.request("/echo");
    bench.read_head(client);
    let phase = |bench: &mut Bench| bench.worker.core.slots.get(id).map(|s| s.session.phase());
    bench.network.write(client, &masked(0x88, &[3, 232]));
    bench.network.write(client, &masked(0x81, b"late").repeat(3000));
    while matches!(phase(&mut bench), Some(Phase::Open | Phase::Finished)) {
        bench.network.limit(bench.network.now() + Duration::from_micros(100));
        bench.worker.turn().unwrap();
    }
    assert_eq!(phase(&mut bench), Some(Phase::Lingering));
    bench.network.half_close(client);
    assert_eq!(bench.read_to_end(client), [0x88, 2, 3, 232]);
    assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
    bench.finish();
}

/// A receive may miss that its connection has ended.
#[test]
fn a_server_that_stops_does_not_wait_for_connections_that_have_ended() {
    let faults = Faults { missed_end: 1000, ..Faults::default() };
    let options = SimOptions { faults, ..SimOptions::default() };
    for resets in [false, true] {
        let mut bench = Bench::with_options(Config::default(), options);
        let (client, _) = bench.request("/echo");
        bench.read_head(client);
        bench.network.write(client, &masked(0x81, b"x"));
        bench.read(client, 3);
        bench.worker.drain();
        assert_eq!(bench.read(client, 2)[0], 0x88);
        if resets {
            bench.network.reset(client);
        } else {
            bench.network.half_close(client);
        }
        let began = bench.network.now();
        bench.finish_by(began + Duration::from_secs(2));
    }
}

/// Ids of a slot are given again only after all others, and after the slot has rested.
#[test]
fn a_slot_whose_ids_are_used_up_rests() {
    const LAST: u32 = ConnectionId::GENERATION_MASK;
    let mut bench = bench(4, 3);
    let once = |bench: &mut Bench| {
        let (client, id) = bench.request("/echo");
        bench.read_head(client);
        bench.network.half_close(client);
        bench.turn_until(|bench| bench.worker.connections() == 0);
        id
    };
    // Uses up the generations of a slot. The simulation notices a jump by more than a half of them.
    let use_up = |bench: &mut Bench, slot| {
        for generation in [LAST / 3, LAST / 3 * 2, LAST] {
            bench.worker.core.slots.set_generation(slot, generation - 1);
            assert_eq!(once(bench), ConnectionId { slot, generation });
        }
    };
    assert_eq!(once(&mut bench), ConnectionId { slot: 0, generation: 1 });
    use_up(&mut bench, 0);
    // The slot was freed last, and is not the next one.
    assert_eq!(once(&mut bench), ConnectionId { slot: 1, generation: 1 });
    // One of four may rest.
    use_up(&mut bench, 1);
    assert_eq!(once(&mut bench), ConnectionId { slot: 0, generation: 0 });
    // Where slots are scarce, none rests.
    let all = connect_echo(&bench, 4);
    assert_eq!(statuses(&mut bench, &all).iter().filter(|status| *status == "101").count(), 3);
    bench.finish();
}
