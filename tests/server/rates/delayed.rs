//! Goal: who sends too much is not read from until it may go on, and loses nothing.

use std::time::Instant;

use super::*;

/// The part of a burst that may come in addition after a pause.
const LEASED: f64 = 0.125;

#[test]
fn one_message_more_than_the_burst_comes_with_the_next_token() {
    for burst in [1, 10, 100] {
        let server = messages(burst, RatePolicy::Delay);
        for way in WAYS {
            if way == Way::OneByOne && burst > 10 {
                continue;
            }
            for messages in [burst - 1, burst, burst + 1] {
                let mut client = way.open(&server);
                let began = Instant::now();
                way.send(&mut client, messages as usize);
                let expected = messages.min(burst) as usize;
                assert_eq!(echoes(&mut client, expected, PATIENCE), (expected, None), "{way:?}");
                if messages > burst {
                    assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None), "{way:?}");
                    // A millisecond is the least that is counted.
                    let time = began.elapsed();
                    assert!(time > Duration::from_millis(990), "{way:?}: after {time:?}");
                }
            }
        }
        assert!(rate_counts(&server).delayed_by_messages >= 1);
        assert_eq!(rate_counts(&server).closed_by_messages, 0);
    }
}

/// The messages of a client that has sent all of them at once, at any moment.
fn follow(client: &mut Client, all: usize, rate: f64, burst: f64) {
    let began = Instant::now();
    for count in 1..=all {
        assert_eq!(echoes(client, 1, PATIENCE), (1, None));
        let most = burst * (1.0 + LEASED) + rate * (began.elapsed().as_secs_f64() + 0.02) + 1.0;
        assert!((count as f64) <= most, "{count} of {most} after {:?}", began.elapsed());
    }
}

#[test]
fn messages_come_no_faster_than_the_rate_allows() {
    for (rate, burst, all) in [(50, 10, 60), (1_000, 100, 1_500), (20_000, 300, 20_000)] {
        let server = start(|config| {
            config.rates.messages = Some(rate);
            config.rates.message_burst = Some(burst);
        });
        let mut client = Client::open(server.addr());
        let bytes = frame(FIN | TEXT, b"hello").repeat(all);
        let mut other = Client::open(server.addr());
        std::thread::scope(|scope| {
            let mut stream = client.stream().try_clone().unwrap();
            scope.spawn(move || std::io::Write::write_all(&mut stream, &bytes).unwrap());
            follow(&mut client, all, rate.into(), burst.into());
        });
        // Nobody else waits.
        Way::AtOnce.send(&mut other, burst as usize);
        assert_eq!(echoes(&mut other, burst as usize, PATIENCE), (burst as usize, None));
        assert!(rate_counts(&server).delayed_by_messages > 0);
        client.expect_alive_behind_pongs();
    }
}

#[test]
fn bytes_come_no_faster_than_the_rate_allows() {
    for (rate, burst, size) in [(100_000, 20_000, 1_000), (2_000_000, 500_000, 40_000)] {
        let server = start(|config| {
            config.rates.bytes = Some(rate);
            config.rates.byte_burst = Some(burst);
        });
        let mut client = Client::open(server.addr());
        let message = frame(FIN | BINARY, &vec![1; size - 8]);
        assert_eq!(message.len(), size);
        let all = (burst + rate) as usize / size;
        let bytes = message.repeat(all);
        std::thread::scope(|scope| {
            let mut stream = client.stream().try_clone().unwrap();
            scope.spawn(move || std::io::Write::write_all(&mut stream, &bytes).unwrap());
            let size = size as f64;
            follow(&mut client, all, f64::from(rate) / size, f64::from(burst) / size);
        });
        let counts = rate_counts(&server);
        assert!(counts.delayed_by_bytes > 0 && counts.delayed_by_messages == 0, "{counts:?}");
    }
}

/// A burst that is less than what one receive brings: nothing is lost, and it goes on.
#[test]
fn receives_above_the_burst_go_on() {
    let server = start(|config| {
        config.rates.bytes = Some(200_000);
        config.rates.byte_burst = Some(1_000);
    });
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | BINARY, &[1; 50_000]).repeat(3));
    for _ in 0..3 {
        assert_eq!(client.read_frame().payload.len(), 50_000);
    }
    client.close();
}

/// A client that goes on sending finds that its bytes are not taken, and takes no memory.
#[test]
fn a_flood_stays_with_its_client() {
    let server = messages(1, RatePolicy::Delay);
    let mut client = Client::open(server.addr());
    client.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let message = frame(FIN | BINARY, &[3; 60_000]);
    let taken = (0..1_000).take_while(|_| client.try_send(&message)).count();
    assert!(taken < 500, "{taken} messages were taken");
    let memory = stats(&server).worker.memory;
    assert!(memory < 2 << 20, "{memory} bytes");
    // Others are served meanwhile.
    Client::open(server.addr()).expect_alive();
}

/// What waits is followed by the end of the connection, or by its close frame.
#[test]
fn an_end_waits_for_what_was_sent_before() {
    let server = start(|config| {
        config.rates.messages = Some(20);
        config.rates.message_burst = Some(2);
    });
    let mut client = Client::open(server.addr());
    Way::AtOnce.send(&mut client, 6);
    client.finish();
    assert_eq!(echoes(&mut client, 6, PATIENCE), (6, None));
    client.expect_end(b"");
    let mut client = Client::open(server.addr());
    Way::AtOnce.send(&mut client, 6);
    client.send(&crate::support::wire::close(1000, ""));
    assert_eq!(echoes(&mut client, 6, PATIENCE), (6, None));
    client.expect_end(&server_close(1000, ""));
    // One that is reset while it waits is not waited for, at this rate for 50 s. A publisher is
    // sent nothing, which would tell of the reset.
    for target in ["/", "/topics/a?role=pub"] {
        let delayed = rate_counts(&server).delayed_by_messages;
        let mut client = Client::connect(server.addr());
        client.open_at(target, "");
        Way::AtOnce.send(&mut client, 1_000);
        assert!(wait_until(PATIENCE, || rate_counts(&server).delayed_by_messages > delayed));
        client.reset();
        let is_gone = || stats(&server).connections == 0;
        assert!(wait_until(PATIENCE, is_gone), "{target}");
    }
}

/// The server closes a client that waits: the close frame comes at once.
#[test]
fn a_client_that_waits_can_be_closed() {
    let server = start(|config| {
        config.rates.messages = Some(1);
        config.timeouts.drain = Duration::from_secs(600);
    });
    let mut client = Client::open(server.addr());
    Way::AtOnce.send(&mut client, 1_000);
    assert_eq!(echoes(&mut client, 1, PATIENCE), (1, None));
    server.handle().drain();
    let (_, end) = echoes(&mut client, 10, PATIENCE);
    assert_eq!(end, Some(server_close(1001, "server is stopping")));
    client.send(&crate::support::wire::close(1001, ""));
    // Else it would take as long as a drain may.
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
}

/// Many wait at once, and each goes on in its turn.
#[test]
fn a_thousand_clients_wait_and_go_on() {
    let server = start(|config| {
        config.rates.messages = Some(10);
        config.rates.message_burst = Some(2);
    });
    let mut clients: Vec<Client> = (0..1_000).map(|_| Client::open(server.addr())).collect();
    clients.iter_mut().for_each(|client| Way::AtOnce.send(client, 6));
    for client in &mut clients {
        assert_eq!(echoes(client, 6, PATIENCE), (6, None));
    }
    assert!(rate_counts(&server).delayed_by_messages >= 1_000);
}
