//! Random actions of clients and programs.

use std::time::Duration;

use corecast::io::sim::{ClientId, SimNetwork};
use corecast::pubsub::Payload;

use crate::frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT, append};
use crate::pubsub_model::client::{Client, Effect, Kind, Pending, Stage, Sub};
use crate::pubsub_model::cores::Core;
use crate::pubsub_model::log::{FILTERS, Log, Message, Retain, Style, TOPICS};
use crate::pubsub_model::world::PROGRAMS;

/// Clients act in bursts of `ACTIVE` at the start of each `PERIOD`, so that the system becomes
/// quiescent in between.
const PERIOD: Duration = Duration::from_secs(4);
const ACTIVE: Duration = Duration::from_millis(300);

/// The time of the next action: often immediately, and always within a burst.
pub(crate) fn next_time(rng: &mut fastrand::Rng, now: Duration) -> Duration {
    let micros = match rng.u8(0..20) {
        0..8 => 0,
        8..14 => rng.u64(0..300),
        14..19 => rng.u64(0..20_000),
        _ => rng.u64(0..4_000_000),
    };
    let next = now + Duration::from_micros(micros);
    let burst = next.as_millis() / PERIOD.as_millis();
    let begin = PERIOD * u32::try_from(burst).unwrap();
    if next < begin + ACTIVE {
        next
    } else {
        begin + PERIOD + Duration::from_micros(rng.u64(0..9000))
    }
}

fn padding(rng: &mut fastrand::Rng) -> usize {
    match rng.u8(0..20) {
        0..14 => rng.usize(0..20),
        14..18 => rng.usize(0..500),
        _ => rng.usize(0..3000),
    }
}

fn style(rng: &mut fastrand::Rng) -> Style {
    *rng.choice(&[Style::Json, Style::Text, Style::Binary]).unwrap()
}

/// The program of a core publishes; accepted messages are added to `log`.
pub(crate) fn publish(
    (core, at): (usize, &Core),
    retains: bool,
    rng: &mut fastrand::Rng,
    log: &mut Log,
    now: u64,
) {
    let by = PROGRAMS + core;
    for _ in 0..rng.usize(1..6) {
        let topic = rng.usize(0..TOPICS.len());
        let kinds = [Retain::No, Retain::No, Retain::Set, Retain::Clear];
        let retain = kinds[rng.usize(0..if retains { 4 } else { 2 })];
        let (opcode, payload) = match retain {
            Retain::Clear => (TEXT, Vec::new()),
            _ => log.payload(style(rng), padding(rng)),
        };
        let given = match opcode {
            TEXT => Payload::text(String::from_utf8(payload.clone()).unwrap()),
            _ => Payload::binary(payload.clone()),
        };
        let result = match retain {
            Retain::No => at.publisher.publish(TOPICS[topic], given),
            _ => at.publisher.retain(TOPICS[topic], given),
        };
        if result.is_ok() {
            let (written_at, answered_at, settled_at) = (now, None, None);
            log.add(Message {
                by,
                core,
                topic,
                opcode,
                payload,
                retain,
                written_at,
                answered_at,
                settled_at,
            });
        }
    }
}

impl Client {
    pub(crate) fn connect(&mut self, network: &SimNetwork, moment: u64) {
        let id = network.connect(0);
        (self.id, self.stage) = (Some(id), Stage::Opening);
        let path = match self.kind {
            Kind::Json => "/pubsub".to_owned(),
            Kind::Raw { topic, publishes, subscribes, echo } => {
                let role = match (publishes, subscribes) {
                    (true, true) => "both",
                    (true, false) => "pub",
                    _ => "sub",
                };
                if subscribes {
                    self.begin_sub(TOPICS[topic], moment);
                }
                format!("/topics/{}?role={role}&echo={}", TOPICS[topic], u8::from(echo))
            }
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: corecast\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        network.write(id, request.as_bytes());
    }

    fn begin_sub(&mut self, filter: &str, requested_at: u64) {
        self.subs.push(Sub::new(filter, requested_at));
    }

    /// One action, or several in one write.
    pub(crate) fn act(&mut self, network: &SimNetwork, log: &mut Log, moment: u64, now: Duration) {
        let Some(id) = self.id else { return };
        let count = if self.rng.u8(0..6) == 0 { self.rng.u32(2..8) } else { 1 };
        for _ in 0..count.min(self.actions) {
            // The previous action may have ended the connection.
            if self.actions > 0 {
                self.actions -= 1;
                self.act_once(id, network, log, moment, now);
            }
        }
    }

    fn act_once(
        &mut self,
        id: ClientId,
        network: &SimNetwork,
        log: &mut Log,
        moment: u64,
        now: Duration,
    ) {
        match (self.rng.u8(0..40), self.kind) {
            (0 | 37.., _) if self.stalls => self.stall(id, network, now),
            (0, _) => self.stall(id, network, now),
            (1, _) => self.ping(id, network),
            (2, _) => self.leave(id, network),
            (_, Kind::Raw { publishes, .. }) => {
                for _ in 0..self.rng.usize(1..5) {
                    if publishes {
                        self.publish_raw(id, network, log, moment);
                    }
                }
            }
            (3..14, _) => self.subscribe(id, network, moment),
            (14..20, _) => self.unsubscribe(id, network, moment),
            (20, _) => self.ask_nonsense(id, network),
            _ => {
                for _ in 0..self.rng.usize(1..4) {
                    self.publish_json(id, network, log, moment);
                }
            }
        }
    }

    fn stall(&mut self, id: ClientId, network: &SimNetwork, now: Duration) {
        if self.stalled_until.is_none() {
            network.set_receive_window(id, 0);
            self.stalled_until = Some(now + Duration::from_millis(self.rng.u64(1..2000)));
            self.was_stalled = true;
        }
    }

    fn ping(&mut self, id: ClientId, network: &SimNetwork) {
        self.requests += 1;
        let text = format!("ping {}", self.requests);
        self.send(id, network, PING, text.as_bytes());
        self.pending.push_back(Pending { text, effect: Effect::Pong });
    }

    /// Ends the connection with a close frame, with FIN or with a reset, or keeps it open.
    fn leave(&mut self, id: ClientId, network: &SimNetwork) {
        match self.rng.u8(0..8) {
            0..3 => self.close(network),
            3 => {
                network.half_close(id);
                (self.is_broken, self.is_finished, self.actions) = (true, true, 0);
                self.pending_at_fin = self.answers_pending();
            }
            4 => {
                network.reset(id);
                (self.is_broken, self.stage, self.actions) = (true, Stage::Gone, 0);
            }
            _ => {}
        }
    }

    pub(crate) fn close(&mut self, network: &SimNetwork) {
        let Some(id) = self.id.filter(|_| self.is_open() && !self.is_broken) else { return };
        self.send(id, network, CLOSE, &1000_u16.to_be_bytes());
        (self.stage, self.actions) = (Stage::Closing, 0);
    }

    fn send(&mut self, id: ClientId, network: &SimNetwork, opcode: u8, payload: &[u8]) {
        let mut out = Vec::new();
        let mask = self.rng.u32(..).to_le_bytes();
        if matches!(opcode, TEXT | BINARY) && self.rng.u8(0..10) == 0 {
            let (first, second) = payload.split_at(self.rng.usize(0..=payload.len()));
            append(&mut out, opcode, first, mask);
            append(&mut out, FIN | CONTINUATION, second, mask);
        } else {
            append(&mut out, FIN | opcode, payload, mask);
        }
        network.write(id, &out);
    }

    fn request(
        &mut self,
        id: ClientId,
        network: &SimNetwork,
        body: &str,
        answer: &str,
        effect: Effect,
    ) {
        self.requests += 1;
        let number = self.requests;
        self.send(id, network, TEXT, format!("{{{body},\"id\":{number}}}").as_bytes());
        self.pending.push_back(Pending { text: format!("{answer},\"id\":{number}}}"), effect });
    }

    fn names(&mut self) -> Vec<&'static str> {
        let count = if self.rng.u8(0..3) == 0 { self.rng.usize(2..5) } else { 1 };
        (0..count).map(|_| *self.rng.choice(&FILTERS).unwrap()).collect()
    }

    pub(crate) fn subscribe_to(&mut self, network: &SimNetwork, names: &[&str], moment: u64) {
        let Some(id) = self.id else { return };
        let before = self.subs.len();
        for name in names {
            let is_it = |sub: &Sub| sub.filter == *name && sub.ending_at.is_none();
            if !self.subs.iter().any(is_it) {
                self.begin_sub(name, moment);
            }
        }
        let list = serde_json::to_string(names).unwrap();
        let (body, answer) = (format!("\"subscribe\":{list}"), format!("{{\"subscribed\":{list}"));
        let effect = Effect::Subscribed((before..self.subs.len()).collect());
        self.request(id, network, &body, &answer, effect);
    }

    fn subscribe(&mut self, _: ClientId, network: &SimNetwork, moment: u64) {
        let names = self.names();
        self.subscribe_to(network, &names, moment);
    }

    fn unsubscribe(&mut self, id: ClientId, network: &SimNetwork, moment: u64) {
        let mut names = self.names();
        // In most cases a filter that it is subscribed to.
        let ours = self.subs.iter().filter(|sub| sub.ending_at.is_none());
        let ours: Vec<&str> = ours.map(|sub| sub.filter.as_str()).collect();
        if let Some(one) = self.rng.choice(&ours).filter(|_| names.len() < 3) {
            names = FILTERS.into_iter().filter(|filter| filter == one).collect();
        }
        let mut ended = Vec::new();
        for (number, sub) in self.subs.iter_mut().enumerate() {
            if names.contains(&sub.filter.as_str()) && sub.ending_at.is_none() {
                sub.ending_at = Some(moment);
                ended.push(number);
            }
        }
        let list = serde_json::to_string(&names).unwrap();
        let (body, answer) =
            (format!("\"unsubscribe\":{list}"), format!("{{\"unsubscribed\":{list}"));
        self.request(id, network, &body, &answer, Effect::Unsubscribed(ended));
    }

    fn ask_nonsense(&mut self, id: ClientId, network: &SimNetwork) {
        let bad = [
            "\"subscribe\":\"a/#/b\"",
            "\"publish\":\"+\",\"data\":1",
            "\"subscribe\":[\"a\",\"\"]",
        ];
        let body = *self.rng.choice(&bad).unwrap();
        self.request(id, network, body, "", Effect::Error);
    }

    fn publish_raw(&mut self, id: ClientId, network: &SimNetwork, log: &mut Log, moment: u64) {
        let Kind::Raw { topic, .. } = self.kind else { return };
        let (style, padding) = (style(&mut self.rng), padding(&mut self.rng));
        let (opcode, payload) = log.payload(style, padding);
        self.send(id, network, opcode, &payload);
        self.add(log, topic, opcode, payload, Retain::No, moment);
    }

    fn add(
        &self,
        log: &mut Log,
        topic: usize,
        opcode: u8,
        payload: Vec<u8>,
        retain: Retain,
        moment: u64,
    ) -> usize {
        let (by, core, written_at) = (self.number, self.core, moment);
        let (answered_at, settled_at) = (None, None);
        log.add(Message {
            by,
            core,
            topic,
            opcode,
            payload,
            retain,
            written_at,
            answered_at,
            settled_at,
        })
    }

    fn publish_json(&mut self, id: ClientId, network: &SimNetwork, log: &mut Log, moment: u64) {
        let topic = self.rng.usize(0..TOPICS.len());
        let retain = match self.rng.u8(0..if self.retains { 10 } else { 6 }) {
            0..6 => Retain::No,
            6..9 => Retain::Set,
            _ => Retain::Clear,
        };
        let name = TOPICS[topic];
        let (opcode, payload) = match retain {
            Retain::Clear => (TEXT, Vec::new()),
            _ => log.payload(Style::Json, padding(&mut self.rng)),
        };
        let data = String::from_utf8(payload.clone()).unwrap();
        let number = self.add(log, topic, opcode, payload, retain, moment);
        let body = match retain {
            Retain::No => format!("\"publish\":\"{name}\",\"data\":{data}"),
            Retain::Set => format!("\"publish\":\"{name}\",\"data\":{data},\"retain\":true"),
            Retain::Clear => format!("\"publish\":\"{name}\",\"retain\":true"),
        };
        if self.rng.bool() {
            let answer = format!("{{\"published\":\"{name}\"");
            self.request(id, network, &body, &answer, Effect::Published(number));
        } else {
            self.send(id, network, TEXT, format!("{{{body}}}").as_bytes());
        }
    }
}
