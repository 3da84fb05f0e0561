//! Sequences of requests of one client to `/pubsub`, and the answers and deliveries that it must
//! receive.

use crate::pubsub::common::{delivery, text};
use crate::support::wire::{self, FIN, PING, PONG, TEXT};

/// A request of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Subscribe(&'static str),
    Unsubscribe(&'static str),
    Publish(&'static str),
    /// A request that is answered with an error.
    Wrong(&'static str),
    Ping,
}

pub(crate) use Ask::{Ping, Publish, Subscribe, Unsubscribe, Wrong};

/// Requests on topics with a common prefix, and the answers and deliveries that the client must
/// receive.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) sent: Vec<u8>,
    /// Answers in order; a delivery must come before the answer to the request that ends its
    /// subscription.
    pub(crate) expected: Vec<Expected>,
    published: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Exactly this text.
    Answer(String),
    /// An error with this end.
    Error(String),
    Pong,
    Delivery {
        topic: String,
        text: String,
    },
}

impl Script {
    pub(crate) fn new(prefix: &str, asks: &[Ask]) -> Self {
        let mut script = Self::default();
        let mut subscribed: Vec<&str> = Vec::new();
        let mut deliveries = Vec::new();
        for (number, ask) in asks.iter().enumerate() {
            let end = format!(r#""id":{number}}}"#);
            let (answer, request) = match ask {
                Subscribe(topic) => {
                    subscribed.push(topic);
                    let answer = format!(r#"{{"subscribed":["{prefix}{topic}"],{end}"#);
                    (Expected::Answer(answer), format!(r#"{{"subscribe":"{prefix}{topic}",{end}"#))
                }
                Unsubscribe(topic) => {
                    if subscribed.contains(topic) {
                        script.expected.append(&mut deliveries);
                    }
                    subscribed.retain(|other| other != topic);
                    let answer = format!(r#"{{"unsubscribed":["{prefix}{topic}"],{end}"#);
                    (
                        Expected::Answer(answer),
                        format!(r#"{{"unsubscribe":"{prefix}{topic}",{end}"#),
                    )
                }
                Publish(name) => {
                    let topic = format!("{prefix}{name}");
                    let answer = format!(r#"{{"published":"{topic}",{end}"#);
                    let request = format!(r#"{{"publish":"{topic}","data":{number},{end}"#);
                    let text = delivery(&topic, &number.to_string());
                    script.published.push(text.clone());
                    if subscribed.contains(name) {
                        deliveries.push(Expected::Delivery { topic, text });
                    }
                    (Expected::Answer(answer), request)
                }
                Wrong(body) => (Expected::Error(end.clone()), format!("{{{body},{end}")),
                Ping => {
                    script.expected.push(Expected::Pong);
                    script.sent.extend(wire::frame(FIN | PING, b"p"));
                    continue;
                }
            };
            script.expected.push(answer);
            script.sent.extend(text(request));
        }
        script.expected.append(&mut deliveries);
        script
    }

    /// The messages that other subscribers of the topics must receive.
    pub(crate) fn published(&self) -> Vec<String> {
        self.published.clone()
    }

    /// Checks that the frames are the expected ones, at permitted positions. If the connection
    /// `ends` after the requests, the last deliveries may be missing.
    pub(crate) fn check(&self, frames: &[wire::Frame], ends: bool, what: &str) {
        let got: Vec<Expected> = frames.iter().map(Self::read).collect();
        let what = format!("{what}\ngot      {got:?}\nexpected {:?}", self.expected);
        let answers = |all: &[Expected]| -> Vec<Expected> {
            all.iter().filter(|it| !it.is_delivery()).cloned().collect()
        };
        let (all, expected) = (answers(&got), answers(&self.expected));
        assert_eq!(all.len(), expected.len(), "{what}");
        assert!(
            all.iter().zip(&expected).all(|(got, expected)| Self::fits(got, expected)),
            "{what}"
        );
        let last = self.expected.iter().rposition(|it| !it.is_delivery()).unwrap_or(0);
        let mut came = 0;
        for (at, it) in self.expected.iter().enumerate() {
            let Expected::Delivery { topic, .. } = it else { continue };
            let Some(place) = got.iter().position(|got| got == it) else {
                assert!(ends && at > last, "{it:?} is missing: {what}");
                continue;
            };
            came += 1;
            // Messages of the same topic keep their order.
            let is_topic =
                |it: &&Expected| matches!(it, Expected::Delivery { topic: t, .. } if t == topic);
            let rank = |all: &[Expected], it: &Expected| {
                all.iter().filter(is_topic).position(|other| other == it)
            };
            assert_eq!(rank(&got, it), rank(&self.expected, it), "{what}");
            let is_answer = |verb: &str, it: &Expected| {
                let begin = format!(r#"{{"{verb}":["{topic}"]"#);
                matches!(it, Expected::Answer(answer) if answer.starts_with(&begin))
            };
            let place_of = |it: &Expected| got.iter().position(|got| got == it).unwrap();
            let (before, after) = self.expected.split_at(at);
            let ended = before.iter().rposition(|it| is_answer("unsubscribed", it)).unwrap_or(0);
            let begin = before[ended..].iter().find(|it| is_answer("subscribed", it)).map(place_of);
            let end = after.iter().find(|it| is_answer("unsubscribed", it)).map(place_of);
            assert!(begin.is_some_and(|begin| begin < place), "{it:?} is too early: {what}");
            assert!(end.is_none_or(|end| place < end), "{it:?} is too late: {what}");
        }
        assert_eq!(got.len(), expected.len() + came, "{what}");
    }

    fn read(frame: &wire::Frame) -> Expected {
        if frame.first == FIN | PONG {
            return Expected::Pong;
        }
        assert_eq!(frame.first, FIN | TEXT, "{frame:?}");
        let text = String::from_utf8(frame.payload.clone()).unwrap();
        match text.strip_prefix(r#"{"topic":""#).and_then(|rest| rest.split_once('"')) {
            Some((topic, _)) => Expected::Delivery { topic: topic.to_owned(), text },
            None => Expected::Answer(text),
        }
    }

    fn fits(got: &Expected, expected: &Expected) -> bool {
        match (got, expected) {
            (Expected::Answer(got), Expected::Error(end)) => {
                got.starts_with(r#"{"error":"#) && got.ends_with(end.as_str())
            }
            (got, expected) => got == expected,
        }
    }
}

impl Expected {
    const fn is_delivery(&self) -> bool {
        matches!(self, Self::Delivery { .. })
    }
}

/// Sequences with requests that wait.
pub(crate) const SEQUENCES: [&[Ask]; 12] = [
    &[Subscribe("x"), Publish("x"), Unsubscribe("x")],
    &[Subscribe("x"), Publish("x")],
    &[Publish("x"), Subscribe("x"), Publish("x"), Publish("x"), Unsubscribe("x"), Publish("x")],
    &[Subscribe("x"), Subscribe("y"), Publish("y"), Publish("x"), Unsubscribe("y"), Publish("y")],
    &[Subscribe("x"), Unsubscribe("x"), Subscribe("x"), Publish("x"), Unsubscribe("x")],
    &[
        Unsubscribe("x"),
        Subscribe("x"),
        Subscribe("x"),
        Publish("x"),
        Unsubscribe("x"),
        Unsubscribe("x"),
    ],
    &[
        Subscribe("x"),
        Wrong(r#""subscribe":"+y""#),
        Publish("x"),
        Wrong(r#""nonsense":1"#),
        Unsubscribe("x"),
    ],
    &[Wrong(r#""publish":"+""#), Subscribe("x"), Wrong(r#""publish":"+","data":1"#), Publish("x")],
    &[Subscribe("x"), Ping, Publish("x"), Ping, Unsubscribe("x"), Ping],
    &[
        Ping,
        Subscribe("x"),
        Publish("y"),
        Subscribe("y"),
        Publish("y"),
        Unsubscribe("x"),
        Publish("x"),
    ],
    &[
        Subscribe("x"),
        Unsubscribe("x"),
        Publish("x"),
        Subscribe("y"),
        Unsubscribe("y"),
        Publish("y"),
    ],
    &[Publish("x"), Publish("y"), Subscribe("x")],
];

/// Random sequences as well.
pub(crate) fn random_sequence(random: &mut fastrand::Rng) -> Vec<Ask> {
    let one = |random: &mut fastrand::Rng| {
        let topic = *random.choice(&["x", "y"]).unwrap();
        match random.u8(..9) {
            0..3 => Subscribe(topic),
            3..6 => Publish(topic),
            6..8 => Unsubscribe(topic),
            _ => Wrong(r#""subscribe":"""#),
        }
    };
    (0..random.usize(2..12)).map(|_| one(random)).collect()
}
