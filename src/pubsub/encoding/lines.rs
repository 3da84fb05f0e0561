//! For tests: each message is a line with its topic, in no WebSocket frame. Shows that an encoding
//! is one file and a line in the list of codecs.

use std::io::Write;

use super::copied::Copied;
use super::encode::{Data, Encode, Framing};

/// This encoding.
#[derive(Debug)]
pub(super) struct Lines;

impl Encode for Lines {
    const FRAMING: Framing = Framing::Own;
    type Pieces = Copied;

    fn message(out: &mut Vec<u8>, topic: &str, data: Data<'_>, retained: bool) {
        out.extend_from_slice(if retained { b"retained " } else { b"" });
        out.extend_from_slice(&[topic.as_bytes(), b": ", data.bytes(), b"\n"].concat());
    }

    fn gap(out: &mut Vec<u8>, topic: &str, lost: u64) {
        writeln!(out, "lost {topic}: {lost}").unwrap();
    }

    fn pieces(topic: &str, data: Data<'_>, room: usize, retained: bool) -> Copied {
        let mark: &[u8] = if retained { b"retained " } else { b"" };
        let start = [&vec![0; room], mark, topic.as_bytes(), b": "].concat();
        Copied::new(start, data.bytes().len(), b"\n")
    }
}
