//! The encoding of a large message in pieces, for the subscribers of one codec.

use super::codec::{Codec, CodecPieces};
use super::encode::{Content, Framing, Pieces};
use super::form::{Form, Forms};
use super::frame;
use crate::base::Work;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::Pool;

/// What a message becomes in each form of one codec, while it is made.
#[derive(Debug)]
pub(crate) struct LargeEncoder {
    codec: Codec,
    /// The forms of the codec that are wanted.
    forms: Forms,
    /// Whether it is a retained value.
    retained: bool,
    is_json: bool,
    stage: Stage,
}

/// A message in one form.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) form: Form,
    pub(crate) bytes: Vec<u8>,
    /// Where the message begins in `bytes`.
    pub(crate) start: usize,
}

#[derive(Debug)]
enum Stage {
    /// The payload is encoded, behind room for a header.
    Payload(CodecPieces),
    /// It is compressed.
    Compress(Compress),
    /// A payload as it was published is copied, behind room for a header.
    Copy(Opcode, CodecPieces),
    Done,
}

/// A payload that is there as a whole.
#[derive(Debug)]
struct Compress {
    opcode: Opcode,
    /// The payload as it is encoded, behind room for a header. `None` if that is the published one.
    written: Option<Vec<u8>>,
    /// The forms for which it is still compressed.
    forms: Vec<Form>,
    wants_plain: bool,
}

impl LargeEncoder {
    /// Begins to encode a message that was just published, in those of `forms` that are of the
    /// codec.
    pub(crate) fn new(codec: Codec, forms: Forms, message: &Content<'_>) -> Self {
        Self::begin(codec, forms, message, false)
    }

    /// Begins to encode a retained value, without compression.
    pub(crate) fn of_retained(codec: Codec, value: &Content<'_>) -> Self {
        let plain = Forms::EMPTY.with(Form::new(codec, None));
        Self::begin(codec, plain, value, true)
    }

    fn begin(codec: Codec, forms: Forms, message: &Content<'_>, retained: bool) -> Self {
        let Content { topic, opcode, data } = *message;
        let forms = forms.of_codec(codec);
        let stage = match codec.framing() {
            Framing::AsPublished => {
                let len = data.bytes().len();
                Stage::Compress(Compress::new(forms, opcode, None, len))
            }
            Framing::Frame(_) => Stage::Payload(codec.pieces(topic, data, frame::ROOM, retained)),
            Framing::Own => Stage::Payload(codec.pieces(topic, data, 0, retained)),
        };
        Self { codec, forms, retained, is_json: false, stage }
    }

    /// Whether the payload was found to be JSON, or known to be.
    pub(crate) const fn is_json(&self) -> bool {
        self.is_json
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The bytes that are held for it, the message not counted.
    pub(crate) fn len(&self) -> usize {
        match &self.stage {
            Stage::Payload(pieces) | Stage::Copy(_, pieces) => pieces.len(),
            Stage::Compress(Compress { written, .. }) => written.as_ref().map_or(0, Vec::len),
            Stage::Done => 0,
        }
    }

    /// Does the next piece of work for `message`, the same each time. Returns how much that was,
    /// and what has been completed by it.
    pub(crate) fn step(
        &mut self,
        message: &Content<'_>,
        pool: &mut Pool,
    ) -> (u64, Option<Encoded>) {
        let (topic, payload) = (message.topic, message.data.bytes());
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Done => (0, None),
            Stage::Payload(mut pieces) => {
                let work = pieces.step(payload);
                if !pieces.is_done() {
                    self.stage = Stage::Payload(pieces);
                    return (work, None);
                }
                self.is_json = pieces.is_json();
                let bytes = pieces.into_bytes();
                let Framing::Frame(opcode) = self.codec.framing() else {
                    return (work, Some(self.plain(bytes, 0)));
                };
                let len = bytes.len() - frame::ROOM;
                let compress = Compress::new(self.forms, opcode, Some(bytes), len);
                self.stage = Stage::Compress(compress);
                (work, None)
            }
            Stage::Compress(mut compress) => {
                if let Some(form) = compress.forms.pop() {
                    let step = compress.step(form, payload, pool);
                    self.stage = Stage::Compress(compress);
                    return step;
                }
                let done = match compress {
                    Compress { wants_plain: false, .. } => None,
                    Compress { opcode, written: Some(mut bytes), .. } => {
                        let start = frame::write_header(&mut bytes, opcode);
                        Some(self.plain(bytes, start))
                    }
                    Compress { opcode, written: None, .. } => {
                        let pieces =
                            self.codec.pieces(topic, message.data, frame::ROOM, self.retained);
                        self.stage = Stage::Copy(opcode, pieces);
                        None
                    }
                };
                (Work::FRAME, done)
            }
            Stage::Copy(opcode, mut pieces) => {
                let work = pieces.step(payload);
                if !pieces.is_done() {
                    self.stage = Stage::Copy(opcode, pieces);
                    return (work, None);
                }
                let mut bytes = pieces.into_bytes();
                let start = frame::write_header(&mut bytes, opcode);
                (work, Some(self.plain(bytes, start)))
            }
        }
    }

    fn plain(&self, bytes: Vec<u8>, start: usize) -> Encoded {
        Encoded { form: Form::new(self.codec, None), bytes, start }
    }
}

impl Compress {
    fn new(forms: Forms, opcode: Opcode, written: Option<Vec<u8>>, len: usize) -> Self {
        let is_compressed = |form: &Form| frame::window_bits(*form, len).is_some();
        let (forms, plain): (Vec<_>, Vec<_>) = forms.iter().partition(is_compressed);
        Self { opcode, written, forms, wants_plain: !plain.is_empty() }
    }

    /// Compresses the payload for one form, if it gets shorter by that.
    fn step(&mut self, form: Form, payload: &[u8], pool: &mut Pool) -> (u64, Option<Encoded>) {
        let payload = self.written.as_ref().map_or(payload, |bytes| &bytes[frame::ROOM..]);
        let mut deflated = Vec::new();
        let bits = form.window_bits().unwrap_or_default();
        let done = if frame::deflate(bits, payload, &mut deflated, pool) {
            let bytes = frame::of_deflated(self.opcode, &deflated);
            Some(Encoded { form, bytes, start: 0 })
        } else {
            self.wants_plain = true;
            None
        };
        let level = pool.level_for(payload.len());
        (Work::of_deflated(level, bits, payload.len(), deflated.len()), done)
    }
}
