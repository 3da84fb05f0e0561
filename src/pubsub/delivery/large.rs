//! A large message while it is encoded: piece by piece, so that it holds nobody up. It becomes a
//! batch of its own.

#[cfg(test)]
mod tests;

use super::batch::{BatchBuilder, Encoder, Retain};
use crate::base::Work;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::{COMPRESSIBLE, Pool};
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame, write_server_header};
use crate::pubsub::encoding::{Codec, Form, Pieces};
use crate::pubsub::index::Recipients;
use crate::pubsub::publication::Publication;

/// The bytes that are copied at once.
const PIECE: usize = 64 << 10;

/// The encoding of one message.
#[derive(Debug)]
pub(in crate::pubsub) struct Large {
    recipients: Recipients,
    version: u64,
    encoders: Vec<Encoder>,
    /// The codecs that are left.
    codecs: Vec<Codec>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The next codec is begun.
    Next,
    Json(Pieces),
    Frames(Frames),
    Done,
}

/// The frames of one codec while they are made.
#[derive(Debug)]
struct Frames {
    codec: Codec,
    /// The payload in JSON, behind room for a header.
    json: Vec<u8>,
    /// The forms for which it is still compressed.
    compressed: Vec<Form>,
    wants_plain: bool,
    /// The uncompressed frame so far, and how much of the payload is copied.
    plain: Vec<u8>,
    copied: usize,
}

impl Large {
    pub(in crate::pubsub) fn new(recipients: Recipients, version: u64) -> Self {
        let forms = recipients.forms();
        let is_wanted = |codec: &Codec| forms.iter().any(|form| form.codec() == *codec);
        let codecs = Codec::ALL.into_iter().filter(is_wanted).collect();
        Self { recipients, version, encoders: Vec::new(), codecs, stage: Stage::Next }
    }

    pub(in crate::pubsub) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The bytes that are held for it, the message not counted.
    pub(in crate::pubsub) fn len(&self) -> usize {
        let growing = match &self.stage {
            Stage::Json(pieces) => pieces.len(),
            Stage::Frames(frames) => frames.json.len() + frames.plain.len(),
            Stage::Next | Stage::Done => 0,
        };
        let encoded: usize = self.encoders.iter().map(Encoder::len).sum();
        encoded + growing + self.recipients.lists.bytes()
    }

    /// The batch, once the last piece is done.
    pub(in crate::pubsub) fn finish(
        self,
        message: &Publication<'_>,
        retain: Option<Retain>,
    ) -> BatchBuilder {
        BatchBuilder::of_one(message, retain, self.recipients, self.version, self.encoders)
    }

    /// Does the next piece of work for `message`, the same each time. Returns how much that was.
    pub(in crate::pubsub) fn step(&mut self, message: &Publication<'_>, pool: &mut Pool) -> u64 {
        match std::mem::replace(&mut self.stage, Stage::Next) {
            Stage::Done => {
                self.stage = Stage::Done;
                0
            }
            Stage::Next => {
                self.stage = match self.codecs.pop() {
                    None => Stage::Done,
                    Some(Codec::Raw) => self.frames(Codec::Raw, Vec::new(), message.payload.len()),
                    Some(Codec::Json) => {
                        let topic = message.topic.as_str();
                        Stage::Json(Pieces::new(topic, message.data(), MAX_SERVER_HEADER))
                    }
                };
                Work::FRAME
            }
            Stage::Json(mut pieces) => {
                let work = pieces.step(message.payload);
                self.stage = if pieces.is_done() {
                    let json = pieces.into_bytes();
                    let len = json.len() - MAX_SERVER_HEADER;
                    self.frames(Codec::Json, json, len)
                } else {
                    Stage::Json(pieces)
                };
                work
            }
            Stage::Frames(frames) => self.step_frames(frames, message, pool),
        }
    }

    /// The payload of a codec, of `len` bytes, is there.
    fn frames(&self, codec: Codec, json: Vec<u8>, len: usize) -> Stage {
        let all = self.recipients.forms();
        let forms = all.iter().filter(|form| form.codec() == codec);
        let (compressed, plain): (Vec<_>, Vec<_>) =
            forms.partition(|form| form.window_bits().is_some() && COMPRESSIBLE.contains(&len));
        let wants_plain = !plain.is_empty();
        Stage::Frames(Frames { codec, json, compressed, wants_plain, plain: Vec::new(), copied: 0 })
    }

    fn step_frames(
        &mut self,
        mut frames: Frames,
        message: &Publication<'_>,
        pool: &mut Pool,
    ) -> u64 {
        let (opcode, payload) = match frames.codec {
            Codec::Raw => (message.opcode, message.payload),
            Codec::Json => (Opcode::Text, &frames.json[MAX_SERVER_HEADER..]),
        };
        if let Some(form) = frames.compressed.pop() {
            let work = Work::of_deflated(payload.len());
            match compressed(form, opcode, payload, pool) {
                Some(encoder) => self.encoders.push(encoder),
                None => frames.wants_plain = true,
            }
            self.stage = Stage::Frames(frames);
            return work;
        }
        if !frames.wants_plain {
            return Work::FRAME;
        }
        let plain = Form::new(frames.codec, None);
        if frames.codec == Codec::Json {
            let len = payload.len();
            let (room, _) = frames.json.split_at_mut(MAX_SERVER_HEADER);
            let took = write_server_header(room, opcode, false, len);
            self.encoders.push(Encoder::of_one(plain, frames.json, MAX_SERVER_HEADER - took));
            return Work::FRAME;
        }
        if frames.plain.is_empty() {
            frames.plain.reserve_exact(MAX_SERVER_HEADER + payload.len());
            frames.plain.resize(MAX_SERVER_HEADER, 0);
        }
        let end = (frames.copied + PIECE).min(payload.len());
        let piece = payload.get(frames.copied..end).unwrap_or_default();
        frames.plain.extend_from_slice(piece);
        frames.copied = end;
        if end == payload.len() {
            let (room, _) = frames.plain.split_at_mut(MAX_SERVER_HEADER);
            let took = write_server_header(room, opcode, false, payload.len());
            self.encoders.push(Encoder::of_one(plain, frames.plain, MAX_SERVER_HEADER - took));
        } else {
            self.stage = Stage::Frames(frames);
        }
        Work::of_bytes(PIECE)
    }
}

/// A payload compressed for the window of `form`, if it gets shorter.
fn compressed(form: Form, opcode: Opcode, payload: &[u8], pool: &mut Pool) -> Option<Encoder> {
    let mut deflated = Vec::new();
    let mut deflater = pool.deflater(form.window_bits()?);
    deflater.message(payload, &mut deflated);
    pool.give_deflater(deflater);
    if deflated.len() >= payload.len() {
        return None;
    }
    let mut bytes = Vec::with_capacity(MAX_SERVER_HEADER + deflated.len());
    append_frame(&mut bytes, opcode, true, &deflated);
    Some(Encoder::of_one(form, bytes, 0))
}
