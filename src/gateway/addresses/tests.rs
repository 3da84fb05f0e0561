use std::collections::HashMap;

use super::*;

fn table(connections: Option<u32>, handshakes: Option<(u32, u32)>) -> Addresses {
    let limits = Limits {
        max_connections_per_address: connections,
        handshake_rate: handshakes.map(|(rate, _)| rate),
        handshake_burst: handshakes.map(|(_, burst)| burst),
        ..Limits::default()
    };
    Addresses::new(&limits).unwrap()
}

fn prefix(text: &str) -> Prefix {
    Prefix::of(text.parse().unwrap())
}

#[test]
fn what_counts_as_one_address() {
    for (one, other, is_same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("2001:db8:1:2::1", "2001:db9:1:2::1", false),
        ("::1", "0.0.0.0", false),
        ("::c000:201", "192.0.2.1", false),
    ] {
        assert_eq!(prefix(one) == prefix(other), is_same, "{one} {other}");
    }
    assert_eq!(prefix("2001:db8:1:2::1"), Prefix::V6(0x2001_0db8_0001_0002));
}

#[test]
fn nothing_is_kept_if_nothing_is_limited() {
    assert!(Addresses::new(&Limits::default()).is_none());
    let limits = Limits { handshake_burst: Some(5), ..Limits::default() };
    assert!(Addresses::new(&limits).is_none());
}

/// Connections that begin and end in any order, against lists of them.
#[test]
fn open_connections_are_those_of_a_list() {
    let mut random = fastrand::Rng::with_seed(5);
    for limit in [1, 3, 100] {
        let table = table(Some(limit), None);
        let mut open: Vec<(Prefix, Begun)> = Vec::new();
        for _ in 0..20_000 {
            if open.is_empty() || random.u8(0..100) < 55 {
                let of = Prefix::V4(random.u32(0..8));
                let count = |what: fn(&Begun) -> bool| {
                    open.iter().filter(|(it, begun)| *it == of && what(begun)).count()
                };
                let admitted = count(|begun| *begun == Begun::Admitted);
                let refused = count(|begun| *begun == Begun::TooMany);
                let expected = match () {
                    () if admitted < limit as usize => Begun::Admitted,
                    () if refused < limit.max(ANSWERED) as usize => Begun::TooMany,
                    () => Begun::Dropped,
                };
                assert_eq!(table.begin(of, Millis(0)), expected);
                if expected != Begun::Dropped {
                    open.push((of, expected));
                }
            } else {
                let (of, begun) = open.swap_remove(random.usize(0..open.len()));
                table.end(of, begun);
            }
        }
        open.drain(..).for_each(|(of, begun)| table.end(of, begun));
        let left: usize = table.parts.iter().map(|part| part.lock().unwrap().open.len()).sum();
        assert_eq!(left, 0, "entries are left without a connection");
    }
}

/// What a bucket for each address would say that is looked at each millisecond.
#[test]
fn handshakes_are_those_of_a_bucket_for_each_address() {
    let mut random = fastrand::Rng::with_seed(6);
    let (rate, burst) = (5, 5);
    let table = table(None, Some((rate, burst)));
    let mut naive: HashMap<Prefix, (u64, u64)> = HashMap::new();
    let (mut now, mut refused) = (0, 0);
    for _ in 0..30_000 {
        now += random.u64(0..8);
        // Far fewer than there are places, so nobody loses the own one.
        let of = Prefix::V6(random.u64(0..20));
        let full = u64::from(burst) * 1000;
        let (parts, at) = naive.entry(of).or_insert((full, now));
        *parts = (*parts + (now - *at) * u64::from(rate)).min(full);
        *at = now;
        let expected = *parts >= 1000;
        *parts -= if expected { 1000 } else { 0 };
        refused += usize::from(!expected);
        let found = table.begin(of, Millis(now));
        assert_eq!(found, if expected { Begun::Admitted } else { Begun::TooFast });
        table.end(of, found);
    }
    assert!((1000..29_000).contains(&refused), "{refused}");
}

/// Those that are refused take places as well while they are answered, so there are only so many.
#[test]
fn so_many_that_are_too_fast_are_answered() {
    let table = table(None, Some((1, 1)));
    let of = prefix("192.0.2.1");
    assert_eq!(table.begin(of, Millis(0)), Begun::Admitted);
    for _ in 0..ANSWERED {
        assert_eq!(table.begin(of, Millis(0)), Begun::TooFast);
    }
    assert_eq!(table.begin(of, Millis(0)), Begun::DroppedTooFast);
    table.end(of, Begun::DroppedTooFast);
    assert_eq!(table.begin(of, Millis(0)), Begun::DroppedTooFast);
    table.end(of, Begun::TooFast);
    assert_eq!(table.begin(of, Millis(0)), Begun::TooFast);
}

/// A million addresses take no more memory than some thousand, and one that goes on is not
/// forgotten because of them.
#[test]
fn the_table_of_recent_addresses_is_bounded() {
    let table = table(None, Some((1, 3)));
    let stubborn = prefix("192.0.2.1");
    let begin = |of| table.begin(of, Millis(0));
    assert_eq!([0, 1, 2, 3].map(|_| begin(stubborn))[2..], [Begun::Admitted, Begun::TooFast]);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200_000 {
        assert_eq!(begin(Prefix::V6(random.u64(..))), Begun::Admitted);
    }
    assert_eq!(begin(stubborn), Begun::TooFast);
    let places = |part: &Mutex<Part>| part.lock().unwrap().recent.places();
    assert!(table.parts.iter().map(places).sum::<usize>() <= 1 << 16);
    // Its tokens come back.
    assert_eq!(table.begin(stubborn, Millis(999)), Begun::TooFast);
    assert_eq!(table.begin(stubborn, Millis(1000)), Begun::Admitted);
}

/// One that is refused for its connections uses no token, and the other way round.
#[test]
fn both_limits_hold_together() {
    let table = table(Some(2), Some((1, 3)));
    let of = prefix("2001:db8::1");
    let begin = |now| table.begin(of, Millis(now));
    assert_eq!(
        [0; 4].map(begin),
        [Begun::Admitted, Begun::Admitted, Begun::TooMany, Begun::TooMany]
    );
    table.end(of, Begun::Admitted);
    table.end(of, Begun::TooMany);
    assert_eq!(begin(0), Begun::Admitted);
    table.end(of, Begun::Admitted);
    assert_eq!(begin(0), Begun::TooFast);
    assert_eq!(begin(1000), Begun::Admitted);
}

/// Two threads, as two loops: what they count together is what there is.
#[test]
fn loops_count_together() {
    let table = table(Some(1_000), None);
    let of = prefix("192.0.2.9");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    assert_eq!(table.begin(of, Millis(0)), Begun::Admitted);
                }
            });
        }
    });
    assert_eq!(table.begin(of, Millis(0)), Begun::TooMany);
}
