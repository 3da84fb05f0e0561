//! Goal: who sends one message or byte more than the burst is closed with 1008, and nobody else.

use super::*;

#[test]
fn one_message_more_than_the_burst() {
    for burst in [1, 10, 100] {
        let server = messages(burst, RatePolicy::Close);
        for way in WAYS {
            for messages in [burst - 1, burst, burst + 1] {
                if way == Way::OneByOne && burst > 10 {
                    continue;
                }
                let mut client = way.open(&server);
                let before = rate_counts(&server).closed_by_messages;
                way.send(&mut client, messages as usize);
                let expected = messages.min(burst) as usize;
                let (found, end) = echoes(&mut client, expected, PATIENCE);
                let case = format!("{messages} of {burst}, {way:?}, {end:?}");
                assert_eq!((found, end), (expected, None), "{case}");
                let after = || rate_counts(&server).closed_by_messages - before;
                if messages <= burst {
                    client.expect_alive_behind_pongs();
                    assert_eq!(after(), 0, "{case}");
                } else {
                    let (_, end) = echoes(&mut client, usize::MAX, PATIENCE);
                    assert_eq!(end, Some(closed_by(MESSAGES)), "{case}");
                    assert_eq!(after(), 1, "{case}");
                }
            }
        }
    }
}

#[test]
fn one_byte_more_than_the_burst() {
    for burst in [200, 3_000, 100_000] {
        let server = start(|config| {
            config.rates.bytes = Some(1);
            config.rates.byte_burst = Some(burst);
            config.rates.policy = RatePolicy::Close;
        });
        for len in [burst - 1, burst, burst + 1] {
            let mut client = Client::open(server.addr());
            // Messages of 100 bytes with their headers, and the rest as one more.
            let mut bytes = frame(FIN | TEXT, &[b'x'; 94]).repeat(len as usize / 100 - 1);
            let rest = len as usize - bytes.len();
            let header = if rest < 132 { 6 } else { 8 };
            bytes.extend(frame(FIN | BINARY, &vec![1; rest - header]));
            assert_eq!(bytes.len(), len as usize);
            let sent = len as usize / 100;
            client.try_send(&bytes);
            if len <= burst {
                assert_eq!(echoes(&mut client, sent, PATIENCE), (sent, None), "{len} of {burst}");
            } else {
                let (found, end) = echoes(&mut client, usize::MAX, PATIENCE);
                assert_eq!(end, Some(closed_by(BYTES)), "{len} of {burst}");
                assert!(found < sent, "{found} of {sent}");
            }
        }
        assert_eq!(rate_counts(&server).closed_by_bytes, 1);
    }
}

/// Tokens come back: one that sends as fast as it may is never closed.
#[test]
fn who_stays_below_the_rate_is_not_closed() {
    let server = start(|config| {
        config.rates.messages = Some(100);
        config.rates.message_burst = Some(5);
        config.rates.policy = RatePolicy::Close;
    });
    let mut client = Client::open(server.addr());
    for _ in 0..60 {
        Way::AtOnce.send(&mut client, 1);
        assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None));
        std::thread::sleep(Duration::from_millis(11));
    }
}

/// What the topics of a server are sent counts like an echo.
#[test]
fn publishers_are_closed_too() {
    let server = messages(10, RatePolicy::Close);
    for target in ["/topics/a", "/pubsub"] {
        let mut client = Client::connect(server.addr());
        client.open_at(target, "");
        let text: &[u8] = match target {
            "/pubsub" => br#"{"publish":"b","data":1,"id":1}"#,
            _ => b"news",
        };
        client.send(&frame(FIN | TEXT, text).repeat(11));
        let (_, end) = echoes(&mut client, usize::MAX, PATIENCE);
        assert_eq!(end, Some(closed_by(MESSAGES)), "{target}");
        let published = stats(&server).topics.published;
        let expected = if target == "/pubsub" { 20 } else { 10 };
        assert_eq!(published, expected, "{target}");
    }
}
