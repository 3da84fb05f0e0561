//! Reads the frames of a client and checks each of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use corecast::io::sim::SimNetwork;
use serde_json::Value;

use super::{Client, Effect, Kind, Pending, Stage};
use crate::frames::{self, BINARY, CLOSE, Frame, PONG, TEXT};
use crate::pubsub_model::log::{Log, Retain, TOPICS};

/// The answer to the key that all clients send, from RFC 6455 section 1.3.
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn topic_of(name: Option<&Value>) -> Result<usize, String> {
    let name = name.and_then(Value::as_str).ok_or("a topic that is no string")?;
    TOPICS.iter().position(|topic| *topic == name).ok_or_else(|| format!("the topic {name:?}"))
}

impl Client {
    /// Handles all bytes that have arrived.
    pub(crate) fn read(
        &mut self,
        network: &SimNetwork,
        log: &mut Log,
        moment: u64,
    ) -> Result<(), String> {
        let Some(id) = self.id.filter(|_| self.stalled_until.is_none()) else { return Ok(()) };
        if self.stage == Stage::Gone {
            let bytes = network.read(id);
            self.trace.received(network.now(), &bytes, None);
            return self.nothing_more(&bytes);
        }
        let end = network.closed_by_server(id);
        let bytes = network.read(id);
        self.trace.received(network.now(), &bytes, end);
        self.arrived.extend(bytes);
        if self.stage == Stage::Opening {
            self.read_response(moment)?;
        }
        while matches!(self.stage, Stage::Open | Stage::Closing)
            && let Some(frame) = frames::take(&mut self.arrived)?
        {
            self.frame(&frame, log, moment)?;
        }
        let rest = std::mem::take(&mut self.arrived);
        if self.stage == Stage::Gone {
            self.nothing_more(&rest)?;
        }
        self.arrived = rest;
        if end.is_some() && self.stage != Stage::Gone {
            if !network.is_faulted(id) && !self.is_broken {
                return Err(format!("{end:?} in {:?}", self.stage));
            }
            if !network.is_faulted(id) && self.is_finished && self.answers_pending() > 0 {
                return Err(format!("ended without {:?}", self.pending));
            }
            self.is_broken = true;
            self.stage = Stage::Gone;
        }
        if self.stage == Stage::Gone {
            network.half_close(id);
        }
        Ok(())
    }

    /// Nothing may follow the close frame.
    fn nothing_more(&self, bytes: &[u8]) -> Result<(), String> {
        match self.close_code {
            Some(code) if !bytes.is_empty() => Err(format!("{bytes:?} after close {code}")),
            _ => Ok(()),
        }
    }

    fn read_response(&mut self, moment: u64) -> Result<(), String> {
        let Some(end) = self.arrived.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(());
        };
        let rest = self.arrived.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.arrived, rest)).unwrap();
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
            return Err(format!("the response {head:?}"));
        }
        self.stage = Stage::Open;
        self.subs.iter_mut().for_each(|sub| sub.answered_at = Some(moment));
        Ok(())
    }

    fn frame(&mut self, frame: &Frame, log: &mut Log, moment: u64) -> Result<(), String> {
        match (frame.opcode, self.kind) {
            (CLOSE, _) => self.close_frame(&frame.payload),
            (PONG, _) => {
                match self.pending.iter().position(|pending| matches!(pending.effect, Effect::Pong))
                {
                    // If there are several pings, the server may answer only the last.
                    Some(_) => {
                        let is_it = |pending: &Pending| pending.text.as_bytes() == frame.payload;
                        let last = self.pending.iter().rposition(is_it).ok_or("another pong")?;
                        let mut at = 0;
                        self.pending.retain(|pending| {
                            at += 1;
                            at > last + 1 || !matches!(pending.effect, Effect::Pong)
                        });
                        Ok(())
                    }
                    None => Err("a pong without a ping".into()),
                }
            }
            (TEXT | BINARY, Kind::Raw { topic, .. }) => self.raw(topic, frame, log),
            (TEXT, Kind::Json) => {
                let text = std::str::from_utf8(&frame.payload).map_err(|e| e.to_string())?;
                self.json(text, log, moment).map_err(|error| format!("{error} in {text}"))
            }
            (opcode, _) => Err(format!("opcode {opcode}")),
        }
    }

    fn close_frame(&mut self, payload: &[u8]) -> Result<(), String> {
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        self.close_code = code;
        // 1000 answers the client's own close; 1013 means too slow; 1001 means that the server
        // stops.
        if self.stage == Stage::Closing && code == Some(1000) {
            // The close frame is sent after the answers to all requests, subscriptions included.
            if self.answers_pending() > 0 {
                return Err(format!("closed without {:?}", self.pending));
            }
        } else if code == Some(1013) {
            self.is_broken = true;
        } else {
            return Err(format!("closed with {code:?}"));
        }
        self.stage = Stage::Gone;
        Ok(())
    }

    fn raw(&mut self, topic: usize, frame: &Frame, log: &Log) -> Result<(), String> {
        if frame.payload.is_empty() {
            return self.empty(topic, log);
        }
        let number = log.find(&frame.payload)?;
        let message = &log.messages[number];
        if message.topic != topic || message.opcode != frame.opcode {
            return Err(format!("message {number} on topic {topic}, opcode {}", frame.opcode));
        }
        self.delivery(number, topic, log)
    }

    /// A message that is not marked as retained.
    fn delivery(&mut self, number: usize, topic: usize, log: &Log) -> Result<(), String> {
        self.is_subscribed(topic)?;
        let message = &log.messages[number];
        // A raw client gets retained values in this form, also its own messages.
        let is_raw_value = !self.is_json() && message.retain == Retain::Set;
        if message.topic != topic || !(self.may_get(message) || is_raw_value) {
            return Err(format!("message {number}, which is not for it"));
        }
        if !self.live.insert(number) {
            return Err(format!("message {number} twice"));
        }
        match self.last.insert((message.by, topic), number) {
            Some(last) if last > number => Err(format!("message {number} after {last}")),
            _ => Ok(()),
        }
    }

    /// A message must come after the answer to a subscription, and before the answer to its end.
    /// Under the policy `conflate` a queued message may come later.
    fn is_subscribed(&self, topic: usize) -> Result<(), String> {
        let mut subs = self.subs_to(topic).filter(|sub| sub.answered_at.is_some());
        if subs.any(|sub| self.conflates || sub.ended_at.is_none()) {
            Ok(())
        } else {
            Err("that comes before `subscribed` or after `unsubscribed`".into())
        }
    }

    /// A message without payload, which cannot be told from others.
    fn empty(&mut self, topic: usize, log: &Log) -> Result<(), String> {
        self.is_subscribed(topic)?;
        self.empty[topic] += 1;
        let may = log.messages.iter().filter(|message| {
            message.topic == topic && message.retain == Retain::Clear && self.may_get(message)
        });
        if self.empty[topic] > may.count() as u64 {
            return Err("more messages without payload than were published".into());
        }
        Ok(())
    }

    fn json(&mut self, text: &str, log: &mut Log, moment: u64) -> Result<(), String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let object = value.as_object().ok_or("no object")?;
        if object.contains_key("topic") {
            let topic = topic_of(object.get("topic"))?;
            let is_marked = object.get("retained") == Some(&Value::Bool(true));
            if object.len() != 2 + usize::from(is_marked) {
                return Err("members".into());
            }
            let payload = match (object.get("data"), object.get("data64")) {
                (Some(Value::String(text)), None) => text.clone().into_bytes(),
                (Some(data), None) => data.to_string().into_bytes(),
                (None, Some(Value::String(text))) => {
                    STANDARD.decode(text).map_err(|e| e.to_string())?
                }
                _ => return Err("data".into()),
            };
            if payload.is_empty() && !is_marked {
                return self.empty(topic, log);
            }
            let number = log.find(&payload)?;
            if is_marked {
                return self.replay(number, topic, log);
            }
            return self.delivery(number, topic, log);
        }
        if object.contains_key("gap") {
            let topic = topic_of(object.get("gap"))?;
            let lost = object.get("lost").and_then(Value::as_u64).filter(|lost| *lost > 0);
            self.lost[topic] += lost.ok_or("a gap without losses")?;
            return Ok(());
        }
        self.answer(text, log, moment)
    }

    /// A retained value: one that was the latest at some moment between the request and now.
    fn replay(&mut self, number: usize, topic: usize, log: &Log) -> Result<(), String> {
        self.is_subscribed(topic)?;
        let message = &log.messages[number];
        if message.topic != topic || message.retain != Retain::Set {
            return Err(format!("message {number}, which is not retained there"));
        }
        let core = self.core;
        let fits = |asked: u64| !log.is_replaced(number, core, asked);
        let waiting = || self.subs_to(topic).filter(|sub| !sub.is_replayed);
        let (values, subs) = (self.recent.get(&topic).copied().unwrap_or(0), waiting().count());
        if values >= subs || !waiting().any(|sub| sub.ended_at.is_none() && fits(sub.requested_at))
        {
            return Err(format!("value {number}, the one after {values}, for {subs}"));
        }
        *self.recent.entry(topic).or_default() += 1;
        self.retained.entry(topic).or_default().push(number);
        Ok(())
    }

    fn answer(&mut self, text: &str, log: &mut Log, moment: u64) -> Result<(), String> {
        let next = self.pending.iter().position(|pending| !matches!(pending.effect, Effect::Pong));
        let pending = next.and_then(|at| self.pending.remove(at)).ok_or("nothing was asked")?;
        let is_it = match pending.effect {
            Effect::Error => {
                let id = pending.text.as_str();
                text.starts_with(r#"{"error":""#) && text.ends_with(id)
            }
            _ => text == pending.text,
        };
        if !is_it {
            return Err(format!("waits for {pending:?}"));
        }
        match pending.effect {
            Effect::Subscribed(subs) => {
                subs.iter().for_each(|sub| self.subs[*sub].answered_at = Some(moment));
            }
            Effect::Unsubscribed(subs) => {
                subs.iter().for_each(|sub| self.subs[*sub].ended_at = Some(moment));
            }
            Effect::Published(number) => log.messages[number].answered_at = Some(moment),
            Effect::Error | Effect::Pong => {}
        }
        Ok(())
    }
}
