//! Goal: a route has the rates that it says, and the server's where it says nothing.

use super::*;
use corecast::config::{Rates, Route, RouteRates, RouteTo, Routes};

fn route(path: &str, to: RouteTo, change: impl FnOnce(&mut RouteRates)) -> Route {
    let mut rates = RouteRates::default();
    change(&mut rates);
    Route::new(path, to).unwrap().rates(rates)
}

fn server() -> Embedded {
    let burst = |count| {
        move |rates: &mut RouteRates| {
            (rates.messages, rates.message_burst) = (Some(1), Some(count));
        }
    };
    let routes = [
        route("/few", RouteTo::Application, burst(3)),
        route("/topic/{topic}", RouteTo::Topics, burst(4)),
        route("/api", RouteTo::PubSub, burst(5)),
        route("/server", RouteTo::Application, |_| {}),
        route("/slow", RouteTo::Application, |rates| rates.policy = Some(RatePolicy::Delay)),
        route("/pings", RouteTo::Application, |rates| rates.control_frames = Some(2)),
        route("/many", RouteTo::Application, |rates| rates.messages = Some(1_000_000)),
    ];
    start(|config| {
        let mut rates = Rates::default();
        (rates.messages, rates.message_burst) = (Some(1), Some(8));
        rates.policy = RatePolicy::Close;
        config.rates = rates;
        config.routes = Routes::new(routes).unwrap();
    })
}

fn open(server: &Embedded, target: &str) -> Client {
    let mut client = Client::connect(server.addr());
    client.open_at(target, "");
    client
}

#[test]
fn each_route_has_its_own_burst() {
    let server = server();
    for (target, burst) in [("/few", 3), ("/server", 8), ("/pings", 8), ("/api", 5)] {
        for messages in [burst - 1, burst, burst + 1] {
            let mut client = open(&server, target);
            let text: &[u8] = if target == "/api" { br#"{"publish":"b","id":1}"# } else { b"x" };
            client.try_send(&frame(FIN | TEXT, text).repeat(messages));
            let expected = messages.min(burst);
            let (found, end) = echoes(&mut client, expected, PATIENCE);
            assert_eq!((found, end), (expected, None), "{target}: {messages}");
            if messages > burst {
                let (_, end) = echoes(&mut client, usize::MAX, PATIENCE);
                assert_eq!(end, Some(closed_by(MESSAGES)), "{target}");
            }
        }
    }
}

#[test]
fn topics_policies_and_large_rates() {
    let server = server();
    let (mut publisher, mut reader) =
        (open(&server, "/topic/a?role=pub"), open(&server, "/topic/a"));
    publisher.try_send(&frame(FIN | TEXT, b"x").repeat(5));
    assert_eq!(echoes(&mut reader, 4, PATIENCE), (4, None));
    assert_eq!(echoes(&mut publisher, 1, PATIENCE), (0, Some(closed_by(MESSAGES))));
    // What a subscriber is sent does not count.
    assert_eq!(rate_counts(&server).closed_by_messages, 1);
    let mut many = open(&server, "/many");
    Way::AtOnce.send(&mut many, 5_000);
    assert_eq!(echoes(&mut many, 5_000, PATIENCE), (5_000, None));
    let mut slow = open(&server, "/slow");
    Way::AtOnce.send(&mut slow, 9);
    assert_eq!(echoes(&mut slow, 9, PATIENCE), (9, None));
    let counts = rate_counts(&server);
    assert_eq!((counts.closed_by_messages, counts.closed_by_control), (1, 0));
    assert!(counts.delayed_by_messages >= 1);
    let mut pings = open(&server, "/pings");
    pings.try_send(&frame(FIN | crate::support::wire::PING, b"").repeat(3));
    assert!(echoes(&mut pings, 1, PATIENCE).1.is_some());
    let mut server_s = open(&server, "/server");
    server_s.send(&frame(FIN | crate::support::wire::PING, b"").repeat(30));
    server_s.expect_alive_behind_pongs();
}
