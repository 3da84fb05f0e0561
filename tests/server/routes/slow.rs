//! Goal: a subscriber that does not read is handled as its route says.
//! Method: subscribers of one topic by different routes, with small receive buffers, which do not
//! read while numbered messages are published; the last is sent again and again until those that
//! read anything have it.

use super::*;
use crate::support::client::PATIENCE;
use crate::support::wire::CLOSE;

const NARROW: usize = 4 << 10;
const MESSAGES: usize = 500;
/// Far more than what the kernel takes besides, and less than the large queue.
const SIZE: usize = 16 << 10;

/// What a subscriber got once it read: the numbers of the messages, and the code of its close.
fn heard(mut client: Client) -> (Vec<usize>, Option<u16>) {
    let mut numbers = Vec::new();
    loop {
        let frame = match client.try_read_frame(PATIENCE) {
            Ok(frame) => frame,
            Err(end) => panic!("{end:?} after {} messages", numbers.len()),
        };
        if frame.first == FIN | CLOSE {
            let code = u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
            return (numbers, Some(code));
        }
        let text = String::from_utf8(frame.payload).unwrap();
        numbers.push(text.trim_end_matches('.').parse().unwrap());
        if numbers.last() == Some(&(MESSAGES - 1)) {
            return (numbers, None);
        }
    }
}

#[test]
fn each_route_has_its_policy_and_queue() {
    let more = |policy: &str, queue: &str| {
        format!("slow-consumer = \"{policy}\"\nsubscriber-queue = \"{queue}\"")
    };
    let routes = [
        route("/server/{topic}", "topics", ""),
        route("/conflate/{topic}", "topics", &more("conflate", "64KiB")),
        route("/oldest/{topic}", "topics", &more("drop-oldest", "64KiB")),
        route("/all/{topic}", "topics", &more("close", "16MiB")),
        route("/talk/{topic}", "topics", ""),
    ];
    let server = serve(&format!("subscriber-queue = \"64KiB\"\n{}", routes.concat()));
    // Rarely all of the queue but one message is being sent.
    let keeps_several = (0..5).any(|round| oldest_keeps_several(server.addr(), round));
    assert!(keeps_several, "the oldest were dropped, and all others but one");
}

/// Publishes to a topic with a subscriber by each route. Returns whether the one whose oldest
/// messages are dropped got more than the last of those that waited.
fn oldest_keeps_several(addr: SocketAddr, round: usize) -> bool {
    let [closed, conflated, oldest, all] = ["server", "conflate", "oldest", "all"].map(|name| {
        let mut client = Client::connect_narrow(addr, NARROW);
        client.open_at(&format!("/{name}/{round}?role=sub"), "");
        client
    });
    let mut talk = open(addr, &format!("/talk/{round}"));
    for number in 0..MESSAGES {
        let text = format!("{number}{}", ".".repeat(SIZE));
        send(&mut talk, &text);
        assert_eq!(read(&mut talk), text);
    }
    let (numbers, code) = heard(closed);
    assert_eq!(code, Some(1013), "{} messages", numbers.len());
    assert!(numbers.len() < MESSAGES);
    let (numbers, code) = heard(all);
    assert_eq!((numbers.len(), code), (MESSAGES, None));
    // Of what waited at the end, one has the latest only, the other some.
    let lost = |numbers: &[usize]| MESSAGES - numbers.len();
    let tail =
        |numbers: &[usize]| numbers.windows(2).rev().take_while(|two| two[0] + 1 == two[1]).count();
    let (numbers, code) = heard(conflated);
    assert_eq!(code, None);
    assert!(lost(&numbers) > 0 && tail(&numbers) == 0, "{numbers:?}");
    let (numbers, code) = heard(oldest);
    assert_eq!(code, None);
    assert!(lost(&numbers) > 0, "{numbers:?}");
    tail(&numbers) > 0
}
