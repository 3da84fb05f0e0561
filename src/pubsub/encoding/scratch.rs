//! The encoding of published messages at once.

use super::codec::Codec;
use super::encode::{Content, Framing};
use super::form::Form;
use super::frame;
use crate::base::Work;
use crate::protocol::websocket::deflate::Pool;

/// Buffers that are reused for each message: what it has become in each codec so far, and
/// compressed.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    written: [Vec<u8>; Codec::COUNT],
    deflated: Vec<u8>,
}

impl Scratch {
    /// More is not kept for the next message.
    const MAX_KEPT: usize = 2 << 20;

    /// Forgets the last message. Called before each.
    pub(crate) fn clear(&mut self) {
        self.written.iter_mut().for_each(Vec::clear);
    }

    /// Frees what a very large message has left behind.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        let buffers = self.written.iter_mut().chain([&mut self.deflated]);
        for buffer in buffers.filter(|buffer| buffer.capacity() > Self::MAX_KEPT) {
            *buffer = Vec::new();
        }
    }

    /// Appends what subscribers of `form` are sent of a published message, the same one since the
    /// last [`clear`](Self::clear). It is encoded once for all forms of a codec. Returns the work
    /// that was done: it depends on what the payload has become, which may be several times as
    /// long.
    #[inline]
    pub(crate) fn append(
        &mut self,
        form: Form,
        message: &Content<'_>,
        pool: &mut Pool,
        out: &mut Vec<u8>,
    ) -> u64 {
        let Self { written, deflated } = self;
        let Content { topic, opcode, data } = *message;
        let codec = form.codec();
        let mut work = Work::FRAME;
        let framed = match codec.framing() {
            Framing::AsPublished => (opcode, data.bytes()),
            Framing::Frame(opcode) => {
                let written = &mut written[codec as usize];
                if written.is_empty() {
                    codec.message(written, topic, data, false);
                    work += data.check_work();
                }
                (opcode, written.as_slice())
            }
            Framing::Own => {
                let before = out.len();
                codec.message(out, topic, data, false);
                return work + data.check_work() + Work::of_bytes(out.len() - before);
            }
        };
        work + frame::append(out, form, framed, deflated, pool)
    }
}
