//! Goal: each new subscriber gets the last retained value of a topic once, on every core, until it
//! is cleared; and the limits are kept. Method: values are set and cleared through each way of
//! publishing; each time a dozen new connections, on all cores, check the value.

use std::time::Duration;

use corecast::app::Publisher;
use corecast::config::Config;
use corecast::pubsub::Payload;

use crate::pubsub::common::{Cores, Json, QUIET, delivery, raw, text};
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, FIN, TEXT};

const RETAIN: &str = r#","retain":true"#;
/// New connections that check a value: with this number each core has one.
const LOOKS: usize = 12;

fn retained(topic: &str, data: &str) -> String {
    format!(r#"{{"topic":"{topic}","data":{data},"retained":true}}"#)
}

/// Waits until the message has reached every core: earlier subscribers on each core have received
/// it.
fn settled(watchers: &mut [Json], message: &str) {
    watchers.iter_mut().for_each(|watcher| watcher.expect(message));
}

fn watchers(server: &Server, filter: &str) -> Vec<Json> {
    (0..LOOKS).map(|_| Json::subscribed(server.addr(), &[filter])).collect()
}

#[test]
fn a_value_is_sent_marked_until_it_is_cleared() {
    let server = Server::start(&[]);
    let cores = Cores::of(&server);
    let mut watchers = watchers(&server, "r/#");
    let mut publisher = Json::open(server.addr());
    for value in ["1", r#"{"a": [1,2 ]}"#, r#""é\n""#] {
        publisher.publish("r/a", value, RETAIN);
        // Existing subscribers get it as any other message.
        settled(&mut watchers, &delivery("r/a", value));
        for _ in 0..LOOKS {
            let mut json = Json::subscribed(server.addr(), &["r/a"]);
            json.expect(&retained("r/a", value));
            // It is sent once only.
            json.subscribe(&["r/a"]);
            json.expect_nothing();
            let mut client = raw(server.addr(), "r/a");
            client.expect(&wire::unmasked(FIN | TEXT, value.as_bytes()));
            client.expect_alive();
        }
    }
    // A message without `retain` does not change it.
    publisher.publish("r/a", "2", "");
    settled(&mut watchers, &delivery("r/a", "2"));
    Json::subscribed(server.addr(), &["r/a"]).expect(&retained("r/a", r#""é\n""#));
    // An empty value clears it, and subscribers get it as an empty message.
    let answer = publisher.ask(r#"{"publish":"r/a","retain":true,"id":7}"#);
    assert_eq!(answer, r#"{"published":"r/a","id":7}"#);
    settled(&mut watchers, &delivery("r/a", r#""""#));
    for _ in 0..LOOKS {
        Json::subscribed(server.addr(), &["r/a"]).expect_nothing();
        raw(server.addr(), "r/a").expect_alive();
    }
    cores.assert_all_worked();
}

/// `null` and `""` clear a value too, and existing subscribers get them unchanged.
#[test]
fn null_and_the_empty_string_clear_a_value() {
    let server = Server::start(&[]);
    let mut watchers = watchers(&server, "n/a");
    let mut raw_watcher = raw(server.addr(), "n/a?role=sub");
    let mut publisher = Json::open(server.addr());
    for nothing in ["null", r#""""#] {
        publisher.publish("n/a", "1", RETAIN);
        settled(&mut watchers, &delivery("n/a", "1"));
        raw_watcher.expect(&wire::unmasked(FIN | TEXT, b"1"));
        publisher.publish("n/a", nothing, RETAIN);
        settled(&mut watchers, &delivery("n/a", nothing));
        raw_watcher.expect(&wire::unmasked(FIN | TEXT, nothing.as_bytes()));
        for _ in 0..LOOKS {
            Json::subscribed(server.addr(), &["n/a"]).expect_nothing();
        }
    }
}

/// Several connections on all cores retain more than is allowed at the same time: the rest is not
/// retained.
#[test]
fn the_limit_holds_for_all_cores_together() {
    let mut config = Config::default();
    config.pubsub.max_retained = 500;
    let server = Embedded::start_on(config, 2);
    let mut publishers: Vec<Json> = (0..LOOKS).map(|_| Json::open(server.addr())).collect();
    let requests = |number: usize| -> Vec<u8> {
        let request = |n| {
            text(format!(r#"{{"publish":"l/{number}/{n}","data":{n},"retain":true,"id":{n}}}"#))
        };
        (0..200).flat_map(request).collect()
    };
    for (number, publisher) in publishers.iter_mut().enumerate() {
        publisher.client.send(&requests(number));
    }
    let mut taken = 0;
    for publisher in &mut publishers {
        taken += (0..200).filter(|_| publisher.read().starts_with(r#"{"published":"#)).count();
    }
    assert_eq!(taken, 500);
    for _ in 0..LOOKS {
        let mut json = Json::subscribed(server.addr(), &["l/#"]);
        (0..500).for_each(|_| assert!(json.read().contains(r#""retained":true"#)));
        json.expect_nothing();
    }
}

#[test]
fn a_wildcard_gets_all_matching_values_once() {
    let server = Server::start(&[]);
    let mut watchers = watchers(&server, "w/#");
    let mut publishers: Vec<Json> = (0..4).map(|_| Json::open(server.addr())).collect();
    for number in 0..200 {
        let topic = format!("w/{}/{number}", number % 2);
        publishers[number % 4].publish(&topic, &number.to_string(), RETAIN);
        settled(&mut watchers, &delivery(&topic, &number.to_string()));
    }
    publishers[0].publish("$w/0/1", "1", RETAIN);
    publishers[0].publish("v", "1", RETAIN);
    let all = |residue: Option<usize>| {
        let fits = |n: &usize| residue.is_none_or(|r| n % 2 == r);
        let values = (0..200).filter(fits);
        values.map(|n| retained(&format!("w/{}/{n}", n % 2), &n.to_string())).collect::<Vec<_>>()
    };
    let cases: [(&[&str], _); 4] = [
        (&["w/#"], all(None)),
        (&["w/0/+"], all(Some(0))),
        (&["+/1/+"], all(Some(1))),
        (&["+"], vec![retained("v", "1")]),
    ];
    for (filters, mut expected) in cases {
        expected.sort();
        for _ in 0..4 {
            let mut json = Json::subscribed(server.addr(), filters);
            let mut got: Vec<String> = expected.iter().map(|_| json.read()).collect();
            got.sort();
            assert_eq!(got, expected, "{filters:?}");
            std::thread::sleep(Duration::from_millis(5));
            json.expect_nothing();
        }
    }
}

/// Publishes from a program, again until the server accepts it.
fn retain(publisher: &Publisher, topic: &str, payload: &Payload) {
    let limit = Duration::from_secs(5);
    assert!(wait_until(limit, || publisher.retain(topic, payload.clone()).is_ok()));
}

#[test]
fn a_program_sets_and_clears_values() {
    let server = Embedded::start_on(Config::default(), 2);
    let publishers = [server.publisher(), server.publisher()];
    let mut watchers: Vec<Client> =
        (0..LOOKS).map(|_| raw(server.addr(), "p/v?role=sub")).collect();
    for (round, publisher) in publishers.iter().cycle().take(10).enumerate() {
        let bytes = vec![0xFF, u8::try_from(round).unwrap()];
        let frame = wire::unmasked(FIN | BINARY, &bytes);
        retain(publisher, "p/v", &Payload::binary(bytes));
        watchers.iter_mut().for_each(|watcher| watcher.expect(&frame));
        for _ in 0..LOOKS {
            raw(server.addr(), "p/v?role=sub").expect(&frame);
        }
        let data = format!(
            r#"{{"topic":"p/v","data64":"/w{}=","retained":true}}"#,
            ["A", "E", "I", "M", "Q", "U", "Y", "c", "g", "k"][round]
        );
        Json::subscribed(server.addr(), &["p/+"]).expect(&data);
        if round % 2 == 0 {
            continue;
        }
        retain(publisher, "p/v", &Payload::text(""));
        watchers.iter_mut().for_each(|watcher| watcher.expect(&wire::unmasked(FIN | TEXT, b"")));
        for _ in 0..LOOKS {
            raw(server.addr(), "p/v").expect_alive();
        }
    }
    drop(watchers);
    assert!(server.stop().iter().all(|stats| stats.accepted > 0), "a core served no connection");
}

#[test]
fn beyond_the_limits_a_value_is_published_but_not_retained() {
    let mut config = Config::default();
    (config.pubsub.max_retained, config.pubsub.max_retained_bytes) = (3, 2_000);
    let server = Embedded::start(config);
    let mut publisher = Json::open(server.addr());
    let mut watcher = Json::subscribed(server.addr(), &["#"]);
    for topic in ["m/0", "m/1", "m/2"] {
        publisher.publish(topic, "1", RETAIN);
        watcher.expect(&delivery(topic, "1"));
    }
    let full = |publisher: &mut Json, watcher: &mut Json, topic: &str, data: &str| {
        let request = format!(r#"{{"publish":"{topic}","data":{data},"retain":true,"id":[5]}}"#);
        let answer = publisher.ask(&request);
        let start = format!(r#"{{"error":"\"{topic}\": published, but not retained"#);
        assert!(answer.starts_with(&start), "{answer}");
        assert!(answer.ends_with(r#","id":[5]}"#), "{answer}");
        watcher.expect(&delivery(topic, data));
        std::thread::sleep(QUIET / 10);
    };
    full(&mut publisher, &mut watcher, "m/3", "1");
    Json::subscribed(server.addr(), &["m/3"]).expect_nothing();
    // Clearing a value that does not exist is no error.
    publisher.publish("m/9", r#""""#, RETAIN);
    watcher.expect(&delivery("m/9", r#""""#));
    // An existing value may be replaced, but not by one that is too large.
    publisher.publish("m/2", "2", RETAIN);
    watcher.expect(&delivery("m/2", "2"));
    let large = format!("\"{}\"", "x".repeat(2_000));
    full(&mut publisher, &mut watcher, "m/2", &large);
    // Clearing one makes room.
    publisher.client.send(&text(r#"{"publish":"m/0","retain":true}"#));
    watcher.expect(&delivery("m/0", r#""""#));
    publisher.publish("m/3", "3", RETAIN);
    let mut json = Json::subscribed(server.addr(), &["m/3"]);
    json.expect(&retained("m/3", "3"));
    json.expect_nothing();
}

/// Retains values of `size` bytes with different beginnings.
fn retain_all(publisher: &mut Json, topics: &[String], size: usize) -> Vec<String> {
    let filler = "v".repeat(size);
    let value = |topic: &String| format!(r#""{topic}{filler}""#);
    let values: Vec<String> = topics.iter().map(value).collect();
    for (topic, value) in topics.iter().zip(&values) {
        publisher.publish(topic, value, RETAIN);
    }
    topics.iter().zip(&values).map(|(topic, value)| retained(topic, value)).collect()
}

#[test]
fn values_are_sent_as_fast_as_they_are_read() {
    // More than the sockets and the queue hold together, so that values would be dropped without
    // pacing.
    let mut config = Config::default();
    config.pubsub.queue = 64 << 10;
    let server = Embedded::start_on(config, 1);
    let mut publisher = Json::open(server.addr());
    let topics: Vec<String> = (0..80).map(|n| format!("l/{n:02}")).collect();
    let values = retain_all(&mut publisher, &topics, 150_000);
    let mut slow = Json::on(Client::connect_narrow(server.addr(), 4 << 10));
    slow.subscribe(&["l/#"]);
    std::thread::sleep(QUIET);
    values.iter().for_each(|value| slow.expect(value));
    slow.expect_nothing();
    // More values than fit into one turn.
    let topics: Vec<String> = (0..20).map(|n| format!("s/{n:02}")).collect();
    let values = retain_all(&mut publisher, &topics, 25_000);
    let mut json = Json::subscribed(server.addr(), &["s/#"]);
    values.iter().for_each(|value| json.expect(value));
    json.expect_nothing();
    drop((slow, json, publisher));
    assert_eq!(server.stop()[0].dropped, 0);
}

#[test]
fn a_value_is_found_after_many_that_do_not_match() {
    let server = Server::start(&[]);
    let mut publisher = Json::open(server.addr());
    let topics: Vec<String> = (0..900).map(|n| format!("m/{n:03}/x")).collect();
    retain_all(&mut publisher, &topics, 1);
    let ends = ["m/450/y", "m/999/y"].map(str::to_owned);
    let values = retain_all(&mut publisher, &ends, 1);
    for filters in [&["m/+/y"][..], &["m/450/x", "+/+/y"]] {
        let mut json = Json::subscribed(server.addr(), filters);
        if filters.len() > 1 {
            json.expect(&retained("m/450/x", r#""m/450/xv""#));
        }
        values.iter().for_each(|value| json.expect(value));
        json.expect_nothing();
    }
}

#[test]
fn no_values_are_sent_after_unsubscribe() {
    let server = Embedded::start_on(Config::default(), 1);
    let mut publisher = Json::open(server.addr());
    let topics: Vec<String> = (0..80).map(|n| format!("u/{n:02}")).collect();
    let values = retain_all(&mut publisher, &topics, 150_000);
    let mut slow = Json::on(Client::connect_narrow(server.addr(), 4 << 10));
    slow.subscribe(&["u/#"]);
    std::thread::sleep(QUIET);
    slow.send(r#"{"unsubscribe":"u/#","id":9}"#);
    std::thread::sleep(QUIET);
    let mut given = 0;
    let mut said = slow.read();
    while said != r#"{"unsubscribed":["u/#"],"id":9}"# {
        assert_eq!(said, values[given]);
        (given, said) = (given + 1, slow.read());
    }
    assert!((1..80).contains(&given), "{given} were given");
    slow.expect_nothing();
}
