//! An endpoint of which nothing but its own file and its line in the list knows is served as those
//! of the server are.

use super::*;
use crate::app::{Action, Denied};

/// What both cores deliver until neither has anything left to say.
fn deliveries<H: Handler>(cores: &mut [Core<H>; 2]) -> Vec<(ConnectionId, Vec<u8>)> {
    let mut found = Vec::new();
    for _ in 0..10 {
        for core in &mut *cores {
            let mut out = Recorder::default();
            core.gateway.start_turn(Millis(1), false);
            core.gateway.end_turn(Millis(1), 128, &mut out);
            let frames = out.deliveries.iter();
            found.extend(frames.map(|(id, frames)| (*id, frames.bytes().to_vec())));
        }
    }
    found
}

/// A client whose handshake waits for its subscription, which comes into force.
fn open<H: Handler>(cores: &mut [Core<H>; 2], id: ConnectionId, target: &str) -> Client {
    let [core, other] = cores;
    let (mut client, answer) = Client::connect(core, id, target, "");
    assert_eq!((client.session.phase(), &*answer), (Phase::Deciding, ""), "{target}");
    assert_eq!(core.settle(other), [Call::Respond(id, true)]);
    let mut out = Output::default();
    client.session.respond(Millis::default(), Ok(None), &mut client.pools, &mut out, |_| {});
    client
}

#[test]
fn a_further_endpoint_is_served() {
    let mut cores = cores();
    let mut client = open(&mut cores, id(7), "/count?topic=t");
    let _subscriber = open(&mut cores, id(8), "/topics/t?role=sub");
    for message in ["a", "b"] {
        assert_eq!(client.send(&mut cores[0], &[message]), (1, vec![]));
    }
    let mut found = deliveries(&mut cores);
    found.sort_by_key(|(id, _)| id.slot);
    let frames = b"\x81\x011\x81\x012".to_vec();
    assert_eq!(found, [(id(7), frames.clone()), (id(8), frames)]);
    close(&mut cores[0], client);
    assert_eq!(deliveries(&mut cores), []);
    assert_eq!(cores[0].gateway.broker().stats().subscriptions, 1);
}

/// Lets clients subscribe only.
#[derive(Debug)]
struct ReadOnly;

impl Handler for ReadOnly {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        accept.first_protocol(request);
        Upgrade::Accept(())
    }

    fn authorise(&mut self, (): &(), action: Action<'_>) -> Result<(), Denied> {
        match action {
            Action::Subscribe(_) => Ok(()),
            Action::Publish(_) => Err(Denied::because("read only")),
        }
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

#[test]
fn the_application_is_asked_for_a_further_endpoint() {
    let mut cores = cores_with(|| ReadOnly);
    let mut client = open(&mut cores, id(7), "/count?topic=t");
    assert_eq!(client.send(&mut cores[0], &["a"]), (1, vec!["read only".to_owned()]));
    assert_eq!((cores[0].published(), deliveries(&mut cores)), (0, vec![]));
}

#[test]
fn requests_for_a_further_endpoint_are_checked_by_it() {
    let [mut core, mut other] = cores_with(Guard::default);
    let long = format!("/count?token=7&topic={}", "x".repeat(2000));
    let cases = [
        ("/count?topic=t", "403"),
        ("/count?token=7", "400"),
        ("/count?token=7&topic=%2B", "101"),
        ("/count?token=7&topic=+", "400"),
        (&long, "400"),
    ];
    for (target, status) in cases {
        let (client, answer) = Client::connect(&mut core, id(7), target, "");
        if status == "101" {
            assert_eq!(client.session.phase(), Phase::Deciding, "{target}");
        } else {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        }
        close(&mut core, client);
        core.settle(&mut other);
    }
}

/// A client that is answered with the subprotocol of another endpoint would not learn that its path
/// is wrong.
#[test]
fn the_subprotocol_of_an_endpoint_is_answered_there_only() {
    let [mut core, mut other] = cores_with(|| ReadOnly);
    let ours = format!("Sec-WebSocket-Protocol: {}, mqtt\r\n", count::PROTOCOL);
    let (_, answer) = Client::connect(&mut core, id(7), "/", &ours);
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Sec-WebSocket-Protocol"),
        "{answer}"
    );
    let (_, answer) = Client::connect(&mut core, id(8), "/topics/t?role=pub", &ours);
    assert!(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"), "{answer}");
    let (client, _) = Client::connect(&mut core, id(9), "/count?topic=t", &ours);
    core.settle(&mut other);
    let (mut session, mut pools, mut out) = (client.session, client.pools, Output::default());
    session.respond(Millis::default(), Ok(None), &mut pools, &mut out, |_| {});
    let answer = String::from_utf8(out.take_chunk().rest().to_vec()).unwrap();
    let expected = format!("Sec-WebSocket-Protocol: {}\r\n", count::PROTOCOL);
    assert!(answer.contains(&expected), "{answer}");
}
