//! The payload as it was published. Subscribers are sent nothing else: no topic, no notice of a
//! gap, and no mark on retained values.

use super::copied::Copied;
use super::encode::{Data, Encode, Framing};

/// This encoding.
#[derive(Debug)]
pub(crate) struct Raw;

impl Encode for Raw {
    const FRAMING: Framing = Framing::AsPublished;
    type Pieces = Copied;

    fn pieces(_: &str, data: Data<'_>, room: usize, _: bool) -> Copied {
        Copied::new(vec![0; room], data.bytes().len(), b"")
    }
}
