//! Every counter moves by what happened, and no other does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::admin::page::{Administrated, Metrics, ask};
use crate::support::client::{Client, request, request_to};
use crate::support::host::wait_until;
use crate::support::slow::SlowSubscriber;
use crate::support::wire::{BINARY, CLOSE, CONTINUATION, FIN, TEXT, close_payload, frame};

const LIMIT: Duration = Duration::from_secs(20);

/// What has changed since `before`, once that is what is expected.
fn changes(server: &Administrated, before: &Metrics, expected: &[(&str, i64)]) {
    let expected: BTreeMap<String, i64> =
        expected.iter().map(|(name, change)| ((*name).to_owned(), *change)).collect();
    let mut found = BTreeMap::new();
    let is_met = wait_until(LIMIT, || {
        found = server.metrics().since(before);
        found == expected
    });
    assert!(is_met, "found {found:#?}\nexpected {expected:#?}");
}

const APP: &str = "corecast_connections{protocol=\"websocket\",endpoint=\"app\",route=\"\"}";
const ACCEPTED: &str = "corecast_accepted_connections_total";

#[test]
fn messages_and_their_echoes() {
    let server = Administrated::start(&[]);
    let before = server.metrics();
    let mut client = Client::open(server.addr());
    let long = vec![7; 70_000];
    for _ in 0..3 {
        client.send(&frame(FIN | TEXT, b"hello"));
    }
    client.send(&[frame(FIN | BINARY, &[1; 200]), frame(FIN | TEXT, b"x")].concat());
    client.send(&[frame(TEXT, b"in "), frame(FIN | CONTINUATION, b"parts")].concat());
    client.send(&frame(FIN | BINARY, &long));
    let mut echoes = 0;
    while echoes < 7 {
        let echo = client.read_frame();
        echoes += 1;
        assert!(echo.payload.len() <= long.len());
    }
    changes(
        &server,
        &before,
        &[
            (ACCEPTED, 1),
            (APP, 1),
            ("corecast_handshakes_total{endpoint=\"app\",route=\"\"}", 1),
            ("corecast_received_messages_total", 7),
            ("corecast_sent_messages_total{kind=\"reply\"}", 7),
        ],
    );
    let with_bytes = server.metrics();
    let received = "corecast_received_bytes_total";
    let sent = "corecast_sent_bytes_total";
    client.send(&frame(FIN | TEXT, b"hello"));
    client.read_frame();
    let after = server.metrics();
    // The request for the metrics, and the text of the one before, are among them.
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".len();
    let more = after.get(received) - with_bytes.get(received);
    assert_eq!(more, (11 + request) as f64);
    assert!(after.get(sent) - with_bytes.get(sent) > 7.0);
    client.send(&frame(FIN | CLOSE, &close_payload(1000, b"")));
    client.read_frame();
    changes(
        &server,
        &with_bytes,
        &[
            (APP, -1),
            ("corecast_closed_connections_total{cause=\"peer\",code=\"1000\"}", 1),
            ("corecast_received_messages_total", 1),
            ("corecast_sent_messages_total{kind=\"reply\"}", 1),
        ],
    );
}

#[test]
fn topics_and_their_deliveries() {
    let server = Administrated::start(&[]);
    let mut readers: Vec<Client> = (0..3).map(|_| Client::connect(server.addr())).collect();
    for reader in &mut readers {
        reader.open_at("/topics/a?role=sub", "");
    }
    let mut json = Client::connect(server.addr());
    json.open_at("/pubsub", "");
    let mut writer = Client::connect(server.addr());
    writer.open_at("/topics/a?role=pub", "");
    let before = server.metrics();
    assert_eq!(before.get("corecast_subscriptions"), 3.0);
    let endpoint =
        |name| before.get(&APP.replace("endpoint=\"app\"", &format!("endpoint=\"{name}\"")));
    assert_eq!((endpoint("topics"), endpoint("pubsub"), endpoint("app")), (4.0, 1.0, 0.0));
    writer.send(&frame(FIN | TEXT, b"news"));
    for reader in &mut readers {
        assert_eq!(reader.read_frame().payload, b"news");
    }
    json.send(&frame(FIN | TEXT, br#"{"publish":"b","data":1,"retain":true,"id":1}"#));
    assert_eq!(json.read_frame().payload, br#"{"published":"b","id":1}"#);
    changes(
        &server,
        &before,
        &[
            ("corecast_received_messages_total", 2),
            ("corecast_published_messages_total", 2),
            ("corecast_deliveries_total", 3),
            ("corecast_sent_messages_total{kind=\"delivery\"}", 3),
            ("corecast_sent_messages_total{kind=\"reply\"}", 1),
            ("corecast_publish_to_write_seconds_count", 1),
            ("corecast_retained_values", 1),
        ],
    );
    // The answer to a subscription, and a retained value.
    let before = server.metrics();
    json.send(&frame(FIN | TEXT, br#"{"subscribe":"b"}"#));
    assert_eq!(json.read_frame().payload, br#"{"subscribed":["b"]}"#);
    assert!(json.read_frame().payload.ends_with(br#""retained":true}"#));
    changes(
        &server,
        &before,
        &[
            ("corecast_received_messages_total", 1),
            ("corecast_subscriptions", 1),
            ("corecast_sent_messages_total{kind=\"reply\"}", 1),
            ("corecast_sent_messages_total{kind=\"retained\"}", 1),
        ],
    );
    // The time from publishing to writing is a time: more than nothing, less than the test took.
    let sum = server.metrics().get("corecast_publish_to_write_seconds_sum");
    assert!(sum > 0.0 && sum < LIMIT.as_secs_f64(), "{sum}");
}

/// Refusals by status, and plain requests, which are none.
#[test]
fn requests_and_refusals() {
    let origin = "https://example.org";
    let server = Administrated::start(&["--allow-origin", origin]);
    let before = server.metrics();
    let wrong = request("Sec-WebSocket-Key: again\r\n");
    let long = request(&format!("Cookie: {}\r\n", "c".repeat(20_000)));
    let foreign = request("Origin: https://example.com\r\n");
    let line = request_to(&format!("/{}", "p".repeat(9_000)), "");
    let topic = request_to("/topics/a?rolle=sub", "");
    for (head, status) in
        [(wrong, "400"), (long, "431"), (foreign, "403"), (line, "414"), (topic, "400")]
    {
        let mut client = Client::connect(server.addr());
        client.send(&head);
        assert!(client.read_head().status.contains(status));
        client.finish();
    }
    for (target, expected) in [("/healthz", "200"), ("/", "200"), ("/metrics", "404")] {
        assert_eq!(ask(server.addr(), "GET", target, "", b"").0, expected);
    }
    changes(
        &server,
        &before,
        &[
            (ACCEPTED, 8),
            ("corecast_refused_requests_total{code=\"400\"}", 2),
            ("corecast_refused_requests_total{code=\"403\"}", 1),
            ("corecast_refused_requests_total{code=\"414\"}", 1),
            ("corecast_refused_requests_total{code=\"431\"}", 1),
            ("corecast_http_responses_total{code=\"200\"}", 2),
            ("corecast_http_responses_total{code=\"404\"}", 1),
            ("corecast_closed_connections_total{cause=\"refused\",code=\"\"}", 5),
            ("corecast_closed_connections_total{cause=\"answered\",code=\"\"}", 3),
        ],
    );
}

#[test]
fn ends_by_cause_and_code() {
    let server = Administrated::start(&["--max-message", "1KiB"]);
    let before = server.metrics();
    let mut open: Vec<Client> = (0..7).map(|_| Client::open(server.addr())).collect();
    let mut end = |bytes: &[u8]| {
        let mut client = open.pop().unwrap();
        client.send(bytes);
        client.finish();
        client.read_to_end(LIMIT);
    };
    end(&frame(FIN | TEXT, b"\xff"));
    end(&frame(FIN | BINARY, &[0; 2_000]));
    end(&frame(FIN | CONTINUATION, b""));
    end(&frame(FIN | CLOSE, &close_payload(4_321, b"")));
    end(&frame(FIN | CLOSE, b""));
    end(b"");
    let mut subscriber = Client::connect(server.addr());
    subscriber.open_at("/topics/a?role=sub", "");
    subscriber.send(&frame(FIN | TEXT, b"not allowed"));
    subscriber.finish();
    subscriber.read_to_end(LIMIT);
    open.pop().unwrap().reset();
    changes(
        &server,
        &before,
        &[
            (ACCEPTED, 8),
            ("corecast_handshakes_total{endpoint=\"app\",route=\"\"}", 7),
            ("corecast_handshakes_total{endpoint=\"topics\",route=\"\"}", 1),
            ("corecast_received_messages_total", 1),
            ("corecast_closed_connections_total{cause=\"violation\",code=\"1007\"}", 1),
            ("corecast_closed_connections_total{cause=\"violation\",code=\"1009\"}", 1),
            ("corecast_closed_connections_total{cause=\"violation\",code=\"1002\"}", 1),
            ("corecast_closed_connections_total{cause=\"policy\",code=\"1008\"}", 1),
            ("corecast_closed_connections_total{cause=\"peer\",code=\"4xxx\"}", 1),
            ("corecast_closed_connections_total{cause=\"peer\",code=\"1005\"}", 1),
            ("corecast_closed_connections_total{cause=\"eof\",code=\"\"}", 1),
            ("corecast_closed_connections_total{cause=\"broken\",code=\"\"}", 1),
        ],
    );
}

/// A subscriber that does not read: what waits for it is seen, then what is dropped.
#[test]
fn slow_subscribers() {
    let server = Administrated::start(&["--slow-consumer", "drop-newest"]);
    let mut slow = SlowSubscriber::start(server.addr());
    let dropped = "corecast_dropped_messages_total{reason=\"slow_subscriber\"}";
    let core = corecast::server::allowed_cores()[0];
    let queued = format!("corecast_queued_bytes{{core=\"{core}\",loop=\"0\"}}");
    slow.publish_until(|| server.metrics().get(dropped) > 0.0);
    let metrics = server.metrics();
    let waiting = metrics.get(&queued);
    assert!((100_000.0..2e6).contains(&waiting), "{waiting}");
    assert_eq!(server.connections()[0]["queued_bytes"].as_f64().unwrap(), waiting);
    assert!(metrics.get(&format!("corecast_memory_bytes{{core=\"{core}\",loop=\"0\"}}")) > 1e5);
    let _writer = slow.leave();
    assert!(wait_until(LIMIT, || server.metrics().get(&queued) == 0.0));
}

/// With the other policy the subscriber is closed with 1013.
#[test]
fn subscribers_that_are_closed() {
    let server = Administrated::start(&["--subscriber-queue", "64KiB"]);
    let mut slow = SlowSubscriber::start(server.addr());
    slow.publish_until(|| server.connections().iter().any(|one| one["state"] == "closing"));
    let _writer = slow.leave();
    let slow = "corecast_closed_connections_total{cause=\"slow\",code=\"1013\"}";
    assert!(wait_until(LIMIT, || server.metrics().get(slow) == 1.0), "{:#?}", server.metrics());
}

/// Whoever chooses topics adds no series, and nobody reads their names in the metrics.
#[test]
fn topics_are_no_labels() {
    let server = Administrated::start(&["--max-subscriptions", "1000"]);
    let mut json = Client::connect(server.addr());
    json.open_at("/pubsub", "");
    let mut raw = Client::connect(server.addr());
    raw.open_at("/topics/zq7/raw?role=pub", "");
    let mut add = |topics: std::ops::Range<usize>| {
        for number in topics {
            let topic = format!("zq7/secret/{number}");
            let publish = format!(r#"{{"publish":"{topic}","data":1,"retain":true,"id":1}}"#);
            let subscribe = format!(r#"{{"subscribe":"{topic}/+"}}"#);
            for (request, done) in [(publish, "published"), (subscribe, "subscribed")] {
                json.send(&frame(FIN | TEXT, request.as_bytes()));
                let said = String::from_utf8(json.read_frame().payload).unwrap();
                assert!(said.contains(done), "{said}");
            }
        }
        let metrics = server.metrics();
        let counts = ["corecast_retained_values", "corecast_subscriptions"];
        let counts = counts.map(|name| metrics.get(name));
        (counts, metrics.0.into_keys().collect::<BTreeSet<String>>())
    };
    let (counts, with_one) = add(0..1);
    assert_eq!(counts, [1.0, 1.0]);
    let (counts, with_many) = add(1..200);
    assert_eq!(counts, [200.0, 200.0]);
    let more: Vec<&String> = with_many.symmetric_difference(&with_one).collect();
    assert!(more.is_empty() && with_one.len() > 50, "{more:?}");
    for accept in ["", "Accept: application/openmetrics-text\r\n"] {
        let (status, text) = ask(server.admin, "GET", "/metrics", accept, b"");
        assert!(status == "200" && !text.contains("zq7"), "{text}");
    }
    // The list of topics has them.
    assert!(server.get("/topics").1.contains("zq7/secret/0"));
}
