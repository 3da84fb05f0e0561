//! The encodings of deliveries: the one place that decides which bytes a message is for a
//! subscriber of a given form. There is one file or folder for each encoding, which implements
//! `Encode`, and the list in `codec.rs` has a line for each.

mod codec;
mod copied;
mod encode;
mod event;
mod form;
mod frame;
pub(crate) mod json;
mod large;
#[cfg(test)]
mod lines;
mod raw;
mod scratch;

pub(crate) use codec::Codec;
pub(crate) use encode::{Content, Data, Framing, ONE_PIECE};
pub(crate) use event::{Event, encode};
pub(crate) use form::{Form, Forms};
pub(crate) use frame::header;
pub(crate) use large::{Encoded, LargeEncoder};
pub(crate) use scratch::Scratch;
