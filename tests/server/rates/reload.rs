//! Goal: other limits hold at once, also for those who wait and for those who were not limited.

use super::*;

/// The limits of a running server become these.
fn reload(server: &Embedded, change: impl FnOnce(&mut Config)) {
    let mut config = Config::default();
    config.backend = crate::support::backend::chosen();
    config.deflate.enabled = true;
    change(&mut config);
    assert_eq!(server.handle().reload(&config).unwrap(), Vec::<&str>::new());
}

/// By the old limit it would wait for hours.
#[test]
fn who_waits_goes_on_if_the_limit_is_gone_or_higher() {
    for rate in [None, Some(1_000_000)] {
        let server = start(|config| config.rates.bytes = Some(1));
        let mut client = Client::open(server.addr());
        client.try_send(&frame(FIN | BINARY, &[7; 3_000]));
        assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None));
        client.try_send(&frame(FIN | TEXT, b"hello"));
        assert!(wait_until(PATIENCE, || rate_counts(&server).delayed_by_bytes > 0));
        reload(&server, |config| config.rates.bytes = rate);
        assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None), "{rate:?}");
        client.expect_alive();
    }
}

/// Neither that nothing was counted before counts, nor what was sent then.
#[test]
fn a_new_limit_holds_for_open_connections() {
    let close = |config: &mut Config| {
        (config.rates.messages, config.rates.policy) = (Some(1), RatePolicy::Close);
    };
    for before in [None, Some(1_000_000)] {
        let server = start(|config| config.rates.bytes = Some(1_000_000));
        let mut client = Client::open(server.addr());
        reload(&server, |config| config.rates.bytes = before);
        Way::AtOnce.send(&mut client, 1_000);
        assert_eq!(echoes(&mut client, 1_000, PATIENCE), (1_000, None));
        reload(&server, close);
        Way::AtOnce.send(&mut client, 2);
        let (found, end) = echoes(&mut client, 2, PATIENCE);
        assert_eq!((found, end), (1, Some(closed_by(MESSAGES))), "{before:?}");
    }
}

/// Who has used up what it may send does not get more by a reload that changes no limit.
#[test]
fn the_same_limit_goes_on() {
    let server = start(|config| config.rates.bytes = Some(1));
    let mut client = Client::open(server.addr());
    client.try_send(&frame(FIN | BINARY, &[7; 3_000]));
    assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None));
    reload(&server, |config| {
        config.rates.bytes = Some(1);
        config.limits.max_message = 10_000;
    });
    client.try_send(&frame(FIN | TEXT, b"hello"));
    assert!(wait_until(PATIENCE, || rate_counts(&server).delayed_by_bytes > 0));
}
