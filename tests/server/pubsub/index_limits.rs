//! Goal: the index of filters is limited, for each connection and for each core, and what goes
//! beyond a limit is told its name and costs nothing else.

use std::time::Duration;

use crate::admin::page::Administrated;
use crate::pubsub::common::{Json, delivery, raw};
use crate::support::client::{Client, End, request_to};

/// How many requests to subscribe were refused because of a limit.
fn refused(server: &Administrated) -> f64 {
    server.metrics().get("corecast_refused_subscriptions_total")
}

fn deep(number: usize) -> String {
    format!("{number}/{}/+", ["level"; 30].join("/"))
}

#[test]
fn a_connection_with_too_many_filters_is_told_so_and_stays() {
    let server = Administrated::start(&["--max-connection-index", "4KiB"]);
    let mut json = Json::open(server.addr());
    let all: Vec<String> = (0..100).map(deep).collect();
    let list = serde_json::to_string(&all).unwrap();
    json.expect_error(&format!(r#"{{"subscribe":{list}}}"#), &["max-connection-index", "4096"]);
    // One request, however many filters it has.
    assert_eq!(refused(&server), 1.0);
    let room = (0..100).take_while(|n| {
        let answer = json.ask(&format!(r#"{{"subscribe":"{}"}}"#, deep(*n)));
        answer.starts_with(r#"{"subscribed":"#)
    });
    let room = room.count();
    assert!((2..20).contains(&room), "{room}");
    assert_eq!(refused(&server), 2.0);
    // With one fewer there is room again.
    json.ask(&format!(r#"{{"unsubscribe":"{}"}}"#, deep(0)));
    json.subscribe(&["a/+"]);
    json.publish("a/b", "1", "");
    json.expect(&delivery("a/b", "1"));
    // Another connection has its own limit.
    Json::subscribed(server.addr(), &[&deep(0)]);
    assert_eq!(refused(&server), 2.0);
}

#[test]
fn a_full_index_refuses_new_filters_on_both_endpoints() {
    let server = Administrated::start(&["--max-index", "64KiB"]);
    let mut first = Json::open(server.addr());
    let room = (0..120).take_while(|n| {
        let answer = first.ask(&format!(r#"{{"subscribe":"{}"}}"#, deep(*n)));
        answer.starts_with(r#"{"subscribed":"#)
    });
    assert!((20..120).contains(&room.count()));
    assert_eq!(refused(&server), 1.0);
    first.expect_error(&format!(r#"{{"subscribe":"{}"}}"#, deep(200)), &["max-index", "65536"]);
    let mut client = Client::connect(server.addr());
    client.send(&request_to(&format!("/topics/{}", "t".repeat(200)), ""));
    let (answer, end) = client.read_to_end(Duration::from_secs(5));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("max-index") && end == End::Fin, "{answer}");
    assert_eq!(refused(&server), 3.0);
    // Who publishes only needs no filter.
    raw(server.addr(), "t?role=pub").expect_alive();
    drop(first);
    let subscribed = || {
        let mut client = Client::connect(server.addr());
        client.send(&request_to(&format!("/topics/{}?role=sub", "t".repeat(200)), ""));
        client.read_head().status.contains(" 101 ")
    };
    let is_freed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        subscribed()
    });
    assert!(is_freed, "the filters of a connection that has ended are gone");
}
