//! While memory is short, those go first who take too slowly what waits for them.

use super::Bench;
use crate::config::Config;
use crate::io::sim::{ClientId, SimOptions};

const LIMIT: usize = 32 << 20;
/// What each of the attackers sends, to read nothing of its echo.
const LEN: usize = 300_000;

fn message(len: usize) -> Vec<u8> {
    [&[0x82, 0xFF][..], &(len as u64).to_be_bytes(), &[0; 4], &vec![b'm'; len]].concat()
}

/// A bench with clients that do not read their echoes, until memory is nearly short.
fn filled() -> (Bench, Vec<ClientId>) {
    let mut config = Config::default();
    config.limits.memory = LIMIT;
    let mut bench = Bench::with_options(config, SimOptions { slots: 700, ..SimOptions::default() });
    let mut holders = Vec::new();
    while bench.memory() + 1_000_000 <= (LIMIT / 8 * 7) as u64 {
        assert!(holders.len() < 600, "{}", bench.memory());
        let client = bench.open();
        bench.network.set_receive_window(client, 1_000);
        bench.network.write(client, &message(LEN));
        bench.settle();
        holders.push(client);
    }
    assert!(holders.len() > 50, "{}", holders.len());
    (bench, holders)
}

/// Clients that do not read hold all memory between them, each of them little. Whoever sends a
/// large message and reads it is not closed for that.
#[test]
fn holders_that_do_not_read_are_closed_before_those_that_send() {
    let (mut bench, holders) = filled();
    bench.wait(2);
    assert_eq!(bench.shed(), 0);
    for len in [2 << 20, 100_000, 4 << 20] {
        let client = bench.open();
        for part in message(len).chunks(60_000) {
            bench.network.write(client, part);
            bench.settle();
        }
        assert_eq!(bench.read(client, len + 10).len(), len + 10);
    }
    let shed = bench.shed();
    assert!(shed > 10 && shed < holders.len() as u64, "{shed} of {}", holders.len());
    holders.into_iter().for_each(|client| bench.network.reset(client));
    bench.turn_until(|bench| bench.memory() == 0);
    bench.finish();
}

/// Who reads at the rate of a network keeps what waits for it.
#[test]
fn holders_that_read_are_kept() {
    let (mut bench, holders) = filled();
    let reader = holders[7];
    bench.network.set_receive_window(reader, 1 << 20);
    let echo = bench.read(reader, LEN + 10);
    bench.network.set_receive_window(reader, 1_000);
    assert_eq!(echo.len(), LEN + 10);
    bench.wait(2);
    bench.network.write(reader, &message(LEN));
    bench.settle();
    let client = bench.open();
    bench.network.write(client, &message(4 << 20));
    assert_eq!(bench.read(client, (4 << 20) + 10).len(), (4 << 20) + 10);
    assert!(bench.shed() > 0);
    bench.network.set_receive_window(reader, 1 << 20);
    assert_eq!(bench.read(reader, LEN + 10).len(), LEN + 10);
    holders.into_iter().for_each(|client| bench.network.reset(client));
    bench.turn_until(|bench| bench.memory() == 0);
    bench.finish();
}
