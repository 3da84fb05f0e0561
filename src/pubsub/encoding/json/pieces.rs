//! The JSON encoding of a large payload, made in pieces.

use std::io;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::text::{RETAINED, longest, print, string};
use crate::base::Work;
use crate::protocol::json::{Event, Scanner};
use crate::protocol::websocket::utf8::Validator;
use crate::pubsub::encoding::encode::{Data, ONE_PIECE, Pieces};

/// The bytes of a payload that are handled together. A multiple of 3, for base64.
const PIECE: usize = 48 << 10;

/// The encoding of a value that was just published or is retained, while it is made.
#[derive(Debug)]
pub(crate) struct JsonPieces {
    out: Vec<u8>,
    /// The end of what is alike for all kinds of data.
    head: usize,
    /// Where the data begins.
    data: usize,
    /// How far the payload is handled in this stage.
    at: usize,
    stage: Stage,
    /// What follows the data.
    end: &'static str,
    is_json: bool,
}

#[derive(Debug)]
enum Stage {
    /// It is found out whether it is text, and, with a scanner, whether it is JSON.
    Check(Option<Box<Scanner>>, Validator),
    /// It is JSON.
    Copy,
    /// It is text, which becomes a string.
    Escape,
    /// It becomes base64.
    Base64,
    Done,
}

impl JsonPieces {
    /// Begins, with `room` bytes free in front.
    pub(super) fn new(topic: &str, data: Data<'_>, room: usize, retained: bool) -> Self {
        let mut out = vec![0; room];
        out.extend_from_slice(br#"{"topic":"#);
        string(&mut out, topic);
        let stage = match data {
            Data::Json(_) => Stage::Copy,
            Data::Bytes(_) => {
                let mut scanner = Scanner::default();
                scanner.watch(0);
                Stage::Check(Some(Box::new(scanner)), Validator::new())
            }
        };
        let head = out.len();
        let end = if retained { RETAINED } else { "}" };
        let is_json = matches!(data, Data::Json(_));
        let mut pieces = Self { head, data: head, out, at: 0, stage: Stage::Done, end, is_json };
        pieces.begin(stage, data.bytes().len());
        pieces
    }

    /// The payload is written up to `end`. `quote` follows its last byte.
    fn advance(&mut self, payload: &[u8], end: usize, quote: &str) {
        self.at = end;
        if end == payload.len() {
            self.out.extend_from_slice(quote.as_bytes());
            self.out.extend_from_slice(self.end.as_bytes());
            self.stage = Stage::Done;
        }
    }

    /// Begins to write the data of a payload of `len` bytes.
    fn begin(&mut self, stage: Stage, len: usize) {
        self.out.truncate(self.head);
        let (key, most) = match stage {
            Stage::Copy => (r#","data":"#, len),
            Stage::Escape => (r#","data":""#, strings_room(len)),
            Stage::Base64 => (r#","data64":""#, len / 3 * 4 + 4),
            Stage::Check(..) | Stage::Done => ("", 0),
        };
        self.out.reserve_exact(key.len() + most + 1 + self.end.len());
        self.out.extend_from_slice(key.as_bytes());
        (self.data, self.at, self.stage) = (self.out.len(), 0, stage);
    }

    fn check(&mut self, payload: &[u8], end: usize) -> u64 {
        let Stage::Check(scanner, validator) = &mut self.stage else { return 0 };
        let piece = payload.get(self.at..end).unwrap_or_default();
        let mut is_text = validator.push(piece).is_ok();
        let each = if scanner.is_some() { Work::JSON_BYTE } else { 1 };
        if let Some(running) = scanner {
            let so_far = payload.get(..end).unwrap_or_default();
            let has_failed = loop {
                match running.next(so_far) {
                    Event::More => break false,
                    Event::Fault(_) => break true,
                    _ => {}
                }
            };
            if has_failed {
                *scanner = None;
            }
        }
        self.at = end;
        if end == payload.len() {
            is_text &= validator.is_complete();
            let is_json = scanner.as_ref().is_some_and(|scanner| scanner.finish().is_none());
            if is_text {
                self.is_json = is_json;
                self.begin(if is_json { Stage::Copy } else { Stage::Escape }, payload.len());
            }
        }
        if !is_text {
            self.begin(Stage::Base64, payload.len());
        }
        piece.len() as u64 * each
    }

    fn escape(&mut self, payload: &[u8], mut end: usize) {
        let is_inside = |at: usize| payload.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        while is_inside(end) {
            end -= 1;
        }
        let piece = payload.get(self.at..end).unwrap_or_default();
        let text = str::from_utf8(piece).unwrap_or_default();
        let written = text.serialize(&mut Serializer::with_formatter(&mut self.out, Unquoted));
        debug_assert!(written.is_ok(), "writing to a vector cannot fail");
        let len = payload.len();
        if len > ONE_PIECE && self.out.len() - self.data > longest(len) {
            self.begin(Stage::Base64, len);
        } else {
            self.advance(payload, end, "\"");
        }
    }
}

impl Pieces for JsonPieces {
    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    fn is_json(&self) -> bool {
        self.is_json
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn step(&mut self, payload: &[u8]) -> u64 {
        let before = self.out.len();
        let end = (self.at + PIECE).min(payload.len());
        let work = match &mut self.stage {
            Stage::Done => 0,
            Stage::Check(..) => self.check(payload, end),
            Stage::Copy => {
                self.out.extend_from_slice(payload.get(self.at..end).unwrap_or_default());
                self.advance(payload, end, "");
                Work::of_bytes(self.out.len() - before)
            }
            Stage::Escape => {
                self.escape(payload, end);
                Work::of_bytes(self.out.len().saturating_sub(before).max(PIECE))
            }
            Stage::Base64 => {
                let piece = payload.get(self.at..end).unwrap_or_default();
                print(&mut self.out, format_args!("{}", Base64Display::new(piece, &STANDARD)));
                self.advance(payload, end, "\"");
                Work::of_bytes(self.out.len() - before)
            }
        };
        Work::FRAME + work
    }
}

/// The room for the string that a text of `len` bytes becomes. Of a long one, for the longest: a
/// vector that grows would be copied at once. Memory that is not written to costs nothing.
const fn strings_room(len: usize) -> usize {
    const LONG: usize = 1 << 20;
    if len > LONG { longest(len) + 6 * PIECE } else { len }
}

/// Writes the contents of a string without quotes.
struct Unquoted;

impl Formatter for Unquoted {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }
}
