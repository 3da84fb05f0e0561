//! Goal: `subscribed`, or the 101 of `/topics/`, means subscribed on every core. Method: hundreds
//! of times, a new connection subscribes; when its answer is read, a publisher on one of the cores
//! publishes once. The message must arrive. Topics are new, or their last subscriber has just left,
//! so that the messages between cores about the end and the beginning of the interest cross.

use std::net::SocketAddr;

use crate::pubsub::common::{Cores, Json, QUIET, delivery, raw, text};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wire::{self, FIN, TEXT};

const ROUNDS: usize = 300;
/// With this number each core almost certainly has one.
const PUBLISHERS: usize = 12;

fn publishers(addr: SocketAddr) -> Vec<Json> {
    (0..PUBLISHERS).map(|_| Json::open(addr)).collect()
}

/// A new topic, or one of a few that are used repeatedly.
fn topic(round: usize) -> String {
    match round % 3 {
        0 => format!("new/{round}"),
        _ => format!("old/{}", round % 4),
    }
}

#[test]
fn after_subscribed_nothing_is_missed() {
    let server = Server::start(&[]);
    let cores = Cores::of(&server);
    let mut publishers = publishers(server.addr());
    for round in 0..ROUNDS {
        let topic = topic(round);
        let filter = match round % 5 {
            0 => format!("+/{}", topic.split('/').nth(1).unwrap()),
            1 => "+/+".to_owned(),
            2 => format!("{}/#", topic.split('/').next().unwrap()),
            _ => topic.clone(),
        };
        let mut subscriber = Json::subscribed(server.addr(), &[&filter]);
        let publisher = &mut publishers[round % PUBLISHERS];
        publisher.send(&format!(r#"{{"publish":"{topic}","data":{round}}}"#));
        subscriber.expect(&delivery(&topic, &round.to_string()));
        drop(subscriber);
    }
    cores.assert_all_worked();
}

#[test]
fn after_101_nothing_is_missed() {
    let server = Server::start(&[]);
    let cores = Cores::of(&server);
    let mut publishers: Vec<Client> =
        (0..PUBLISHERS).map(|n| raw(server.addr(), &format!("old/{}?role=pub", n % 4))).collect();
    let mut any = self::publishers(server.addr());
    for round in 0..ROUNDS {
        let payload = format!("\"{round}\"");
        if round % 2 == 0 {
            let who = round / 2 % PUBLISHERS;
            let mut subscriber = raw(server.addr(), &format!("old/{}", who % 4));
            publishers[who].send(&text(&payload));
            subscriber.expect(&wire::unmasked(FIN | TEXT, payload.as_bytes()));
            continue;
        }
        let topic = topic(round);
        let mut subscriber = raw(server.addr(), &topic);
        let publisher = &mut any[round % PUBLISHERS];
        publisher.send(&format!(r#"{{"publish":"{topic}","data":{payload}}}"#));
        subscriber.expect(&wire::unmasked(FIN | TEXT, payload.as_bytes()));
        subscriber.close();
    }
    cores.assert_all_worked();
}

#[test]
fn subscribing_again_and_again_on_one_connection_misses_nothing() {
    let server = Server::start(&[]);
    let mut publishers = publishers(server.addr());
    // Several connections, so that the last subscriber of a core is often, but not always, the one
    // that unsubscribes.
    let mut subscribers: Vec<Json> = (0..6).map(|_| Json::open(server.addr())).collect();
    let late = delivery("s/t", "\"late\"");
    for round in 0..ROUNDS * 2 {
        let subscriber = &mut subscribers[round * 7 % 6];
        subscriber.subscribe(&["s/t"]);
        let publisher = &mut publishers[round % PUBLISHERS];
        publisher.publish("s/t", &round.to_string(), "");
        // Messages of the previous round may still arrive from another core.
        let expected = delivery("s/t", &round.to_string());
        while let said = subscriber.read()
            && said != expected
        {
            assert_eq!(said, late);
        }
        let answer = subscriber.ask(r#"{"unsubscribe":"s/t","id":1}"#);
        assert_eq!(answer, r#"{"unsubscribed":["s/t"],"id":1}"#);
        publisher.publish("s/t", "\"late\"", "");
    }
    std::thread::sleep(QUIET);
    subscribers.iter_mut().for_each(|subscriber| subscriber.skip(&late));
    publishers.iter_mut().for_each(|publisher| publisher.publish("s/t", "\"nobody\"", ""));
    std::thread::sleep(QUIET);
    subscribers.iter_mut().for_each(Json::expect_nothing);
}

#[test]
fn the_requests_of_one_connection_are_done_in_order() {
    let server = Server::start(&[]);
    let cores = Cores::of(&server);
    let mut clients: Vec<Json> = (0..PUBLISHERS).map(|_| Json::open(server.addr())).collect();
    for round in 0..ROUNDS {
        let json = &mut clients[round % PUBLISHERS];
        let requests = [
            format!(r#"{{"subscribe":"o/{round}","id":1}}"#),
            format!(r#"{{"publish":"o/{round}","data":{round},"id":2}}"#),
            r#"{"publish":"+","data":0,"id":3}"#.to_owned(),
        ];
        // In one write, so that the later requests are received while the first waits for the other
        // cores.
        json.client.send(&requests.iter().flat_map(text).collect::<Vec<_>>());
        json.expect(&format!(r#"{{"subscribed":["o/{round}"],"id":1}}"#));
        json.expect(&format!(r#"{{"published":"o/{round}","id":2}}"#));
        let said = [json.read(), json.read()];
        assert!(
            said[0].starts_with(r#"{"error":"#) && said[0].ends_with(r#","id":3}"#),
            "{said:?}"
        );
        assert_eq!(said[1], delivery(&format!("o/{round}"), &round.to_string()));
        assert_eq!(
            json.ask(&format!(r#"{{"unsubscribe":"o/{round}"}}"#)),
            format!(r#"{{"unsubscribed":["o/{round}"]}}"#)
        );
    }
    clients.iter_mut().for_each(Json::expect_nothing);
    cores.assert_all_worked();
}
