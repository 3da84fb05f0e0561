//! Goal: filters match as in MQTT, through both endpoints and on every core. Method: a naive
//! implementation of the rules decides for each topic and filter whether they match; a dozen
//! connections for each filter, on all cores, must agree.

use crate::pubsub::common::{Json, delivery, raw, text};
use crate::support::server::Server;
use crate::support::wire::{self, FIN, TEXT};

const TOPICS: [&str; 14] =
    ["a", "a/b", "a/b/c", "/a", "a/", "/", "$SYS/a", "$SYS", "a/$b", "b", "A", "a/b/", "//", "é/b"];
const FILTERS: [&str; 16] = [
    "a", "a/b", "#", "+", "a/#", "a/+", "+/b", "+/+", "/+", "+/", "$SYS/#", "$SYS/+", "+/a",
    "a/+/c", "a/b/#", "é/+",
];

/// Compares level by level. A wildcard in the first level does not match a topic that begins with
/// `$`.
fn matches(filter: &str, topic: &str) -> bool {
    fn rest(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => rest(filter, topic),
            ([ours, filter @ ..], [theirs, topic @ ..]) => ours == theirs && rest(filter, topic),
            _ => false,
        }
    }
    let is_hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    !is_hidden && rest(&filter, &topic)
}

#[test]
fn filters_match_as_in_mqtt() {
    let server = Server::start(&[]);
    let mut publishers: Vec<Json> = (0..6).map(|_| Json::open(server.addr())).collect();
    let mut subscribers: Vec<(&str, Json)> = FILTERS
        .iter()
        .flat_map(|filter| [filter; 6])
        .map(|filter| (*filter, Json::subscribed(server.addr(), &[filter])))
        .collect();
    let mut all = Json::subscribed(server.addr(), &FILTERS);
    for (number, topic) in TOPICS.iter().enumerate() {
        let expected = delivery(topic, &number.to_string());
        publishers[number % 6].publish(topic, &number.to_string(), "");
        for (filter, subscriber) in &mut subscribers {
            if matches(filter, topic) {
                subscriber.expect(&expected);
            }
        }
        if FILTERS.iter().any(|filter| matches(filter, topic)) {
            all.expect(&expected);
        }
    }
    // A delivery that should not have been made would come before the pong.
    subscribers.iter_mut().for_each(|(_, subscriber)| subscriber.expect_nothing());
    all.expect_nothing();
    let matching = TOPICS.iter().filter(|topic| matches("#", topic)).count();
    assert_eq!(matching, TOPICS.len() - 2, "all but the two that begin with $");
}

#[test]
fn unsubscribing_ends_that_filter_only() {
    let server = Server::start(&[]);
    let mut publisher = Json::open(server.addr());
    let mut json = Json::subscribed(server.addr(), &["a/+", "#", "a/b"]);
    let ask = r##"{"id":null,"unsubscribe":["#","a/b","never/subscribed"]}"##;
    let answer = json.ask(ask);
    assert_eq!(answer, r##"{"unsubscribed":["#","a/b","never/subscribed"],"id":null}"##);
    publisher.publish("a/b", "1", "");
    publisher.publish("b", "2", "");
    json.expect(&delivery("a/b", "1"));
    assert_eq!(json.ask(r#"{"unsubscribe":"a/+"}"#), r#"{"unsubscribed":["a/+"]}"#);
    publisher.publish("a/b", "3", "");
    // Its own publish is answered after the deliveries of earlier messages.
    json.subscribe(&["end"]);
    publisher.publish("end", "4", "");
    json.expect(&delivery("end", "4"));
    json.expect_nothing();
}

/// Requests are handled in order: a message that a client publishes after an `unsubscribe` is not
/// delivered to it, also if both are in one read.
#[test]
fn a_message_published_after_unsubscribe_is_not_delivered_to_its_publisher() {
    let server = Server::start(&[]);
    let mut json = Json::open(server.addr());
    for round in 0..20 {
        json.subscribe(&["u/a", "u/b"]);
        let requests = [
            r#"{"publish":"u/a","data":1}"#,
            r#"{"unsubscribe":"u/a"}"#,
            r#"{"publish":"u/a","data":2,"id":2}"#,
            r#"{"publish":"u/b","data":3,"id":3}"#,
        ];
        json.client.send(&requests.map(text).concat());
        let mut got: Vec<String> = (0..5).map(|_| json.read()).collect();
        let deliveries = got.extract_if(.., |message| message.starts_with(r#"{"topic""#));
        let deliveries: Vec<String> = deliveries.collect();
        assert_eq!(deliveries, [delivery("u/a", "1"), delivery("u/b", "3")], "{round}");
        let answers = [
            r#"{"unsubscribed":["u/a"]}"#,
            r#"{"published":"u/a","id":2}"#,
            r#"{"published":"u/b","id":3}"#,
        ];
        assert_eq!(got, answers, "{round}");
        json.expect_nothing();
    }
}

#[test]
fn a_path_is_decoded_to_a_topic() {
    let server = Server::start(&[]);
    let cases = [
        ("a%2Fb", "a/b"),
        ("a/b", "a/b"),
        ("%C3%A9%20x", "é x"),
        ("%2541", "%41"),
        ("/a/", "/a/"),
        ("$SYS/x", "$SYS/x"),
    ];
    let mut publisher = Json::open(server.addr());
    for (path, topic) in cases {
        let mut json = Json::subscribed(server.addr(), &[topic]);
        let mut client = raw(server.addr(), path);
        publisher.publish(topic, "1", "");
        client.expect(&wire::unmasked(FIN | TEXT, b"1"));
        json.expect(&delivery(topic, "1"));
        client.send(&text("no JSON: \"\u{1}"));
        json.expect(&delivery(topic, r#""no JSON: \"\u0001""#));
    }
}

#[test]
fn without_pubsub_the_paths_echo() {
    let server = Server::start(&["--no-pubsub"]);
    for path in ["/pubsub", "/topics/a", "/topics/", "/topics/+?role=x"] {
        let mut client = crate::support::client::Client::connect(server.addr());
        client.open_at(path, "");
        client.send(&text("{}"));
        client.expect(&wire::unmasked(FIN | TEXT, b"{}"));
    }
}
