//! Numbered messages of several publishers; receivers can compute every byte.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::wire::{BINARY, FIN, Frame, TEXT};

/// The publisher of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Text(usize),
    Binary(usize),
    Json(usize),
}

/// The text that identifies a message.
fn mark(source: Source, number: usize) -> String {
    match source {
        Source::Text(who) => format!("t{who:03}-{number:06}-"),
        Source::Binary(who) => format!("b{who:03}-{number:06}-"),
        Source::Json(who) => format!("j{who:03}-{number:06}-"),
    }
}

/// Parses the mark at the start of a text.
fn read_mark(text: &str) -> (Source, usize) {
    let number = |range: std::ops::Range<usize>| text[range].parse::<usize>().unwrap();
    let (who, at) = (number(1..4), number(5..11));
    let source = match text.as_bytes()[0] {
        b't' => Source::Text(who),
        b'b' => Source::Binary(who),
        b'j' => Source::Json(who),
        _ => panic!("no mark: {text:.40}"),
    };
    (source, at)
}

/// From 0 bytes to 100 KiB. Only the first text publisher of a topic sends empty messages, since
/// these have no mark.
fn size(source: Source, number: usize) -> usize {
    match number % 20 {
        3 if source == Source::Text(0) => 0,
        7 => 65_535,
        13 => 102_400,
        17 => 65_536,
        n => 12 + n * n * 11,
    }
}

/// The opcode and the payload.
pub(crate) fn message(source: Source, number: usize) -> (u8, Vec<u8>) {
    let (mark, size) = (mark(source, number), size(source, number));
    let filler = (0..size.saturating_sub(mark.len())).map(|at| at * 7 + number);
    match source {
        Source::Text(_) if size == 0 => (FIN | TEXT, Vec::new()),
        Source::Text(_) => {
            let filler = filler.map(|at| char::from(b' ' + u8::try_from(at % 95).unwrap()));
            (FIN | TEXT, (mark + &filler.collect::<String>()).into_bytes())
        }
        Source::Binary(_) => {
            let filler = filler.map(|at| u8::try_from(at % 256).unwrap());
            (FIN | BINARY, mark.into_bytes().into_iter().chain(filler).collect())
        }
        Source::Json(_) => {
            let filler: String = filler.map(|at| if at % 5 == 0 { 'é' } else { 'x' }).collect();
            // With spaces and escapes that no serializer would write.
            let json = format!(r#"{{ "from" : "{mark}","n":1.50e+3, "s":"\u00e9\/{filler}"}}"#);
            (FIN | TEXT, json.into_bytes())
        }
    }
}

/// The delivery of the message in JSON.
pub(crate) fn in_json(topic: &str, source: Source, number: usize) -> String {
    let (_, payload) = message(source, number);
    let (key, value) = match (source, String::from_utf8(payload)) {
        (Source::Json(_), Ok(json)) => ("data", json),
        (_, Ok(text)) => ("data", serde_json::to_string(&text).unwrap()),
        (_, Err(bytes)) => ("data64", format!("\"{}\"", STANDARD.encode(bytes.as_bytes()))),
    };
    format!(r#"{{"topic":"{topic}","{key}":{value}}}"#)
}

/// The numbers of messages that one receiver has received, by topic and source.
#[derive(Debug, Default)]
pub(crate) struct Received {
    next: HashMap<(String, Source), usize>,
    pub(crate) total: usize,
}

impl Received {
    /// Counts a message of this topic and source; its number must be the next.
    fn count(&mut self, topic: &str, source: Source, number: Option<usize>) -> usize {
        let next = self.next.entry((topic.to_owned(), source)).or_default();
        assert_eq!(number.unwrap_or(*next), *next, "{topic}, {source:?}");
        self.total += 1;
        *next += 1;
        *next - 1
    }

    /// Checks a frame of `/topics/<topic>`.
    pub(crate) fn raw(&mut self, topic: &str, frame: &Frame) {
        let (source, number) = match frame.payload.as_slice() {
            b"" => (Source::Text(0), None),
            json if json.starts_with(b"{") => {
                let value: Value = serde_json::from_slice(json).unwrap();
                let (source, number) = read_mark(value["from"].as_str().unwrap());
                (source, Some(number))
            }
            other => {
                let (source, number) = read_mark(&String::from_utf8_lossy(other));
                (source, Some(number))
            }
        };
        let number = self.count(topic, source, number);
        let (first, payload) = message(source, number);
        assert_eq!(frame.first, first, "{topic}, {source:?}, {number}");
        assert!(frame.payload == payload, "{topic}, {source:?}, {number}: other bytes");
    }

    /// Checks a delivery of `/pubsub`.
    pub(crate) fn json(&mut self, frame: &Frame) {
        assert_eq!(frame.first, FIN | TEXT);
        let text = std::str::from_utf8(&frame.payload).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        let Some(topic) = value["topic"].as_str() else { panic!("{text:.200}") };
        let (source, number) = match (&value["data"], &value["data64"]) {
            (Value::String(text), _) if text.is_empty() => (Source::Text(0), None),
            (Value::String(text), _) => {
                let (source, number) = read_mark(text);
                (source, Some(number))
            }
            (Value::Object(object), _) => {
                let (source, number) = read_mark(object["from"].as_str().unwrap());
                (source, Some(number))
            }
            (_, Value::String(coded)) => {
                let bytes = STANDARD.decode(coded).unwrap();
                let (source, number) = read_mark(&String::from_utf8_lossy(&bytes));
                (source, Some(number))
            }
            _ => panic!("no data: {text:.200}"),
        };
        let number = self.count(topic, source, number);
        assert!(
            text == in_json(topic, source, number),
            "{topic}, {source:?}, {number}: {text:.200}"
        );
    }
}
