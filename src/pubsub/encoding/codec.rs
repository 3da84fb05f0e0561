//! The list of the codecs of deliveries. A further one is a file beside this one, which implements
//! [`Encode`], and a line in the list at the end of this file.

use super::encode::{Data, Encode, Framing, Pieces};
use super::json::Json;
#[cfg(test)]
use super::lines::Lines;
use super::raw::Raw;

/// Declares the enums of codecs. Each line is a name, which is also that of the type that
/// implements [`Encode`].
macro_rules! codecs {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $name:ident,)+) => {
        /// What subscribers are sent of a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Codec {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name,)+
        }

        /// The functions are those of [`Encode`].
        impl Codec {
            /// All codecs, in the order of their numbers.
            pub(crate) const ALL: &[Self] = &[$($(#[cfg($cfg)])? Self::$name,)+];

            #[inline]
            pub(crate) const fn framing(self) -> Framing {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $name::FRAMING,)+
                }
            }

            pub(super) fn message(
                self,
                out: &mut Vec<u8>,
                topic: &str,
                data: Data<'_>,
                retained: bool,
            ) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $name::message(out, topic, data, retained),)+
                }
            }

            pub(super) fn gap(self, out: &mut Vec<u8>, topic: &str, lost: u64) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $name::gap(out, topic, lost),)+
                }
            }

            pub(super) fn pieces(
                self,
                topic: &str,
                data: Data<'_>,
                room: usize,
                retained: bool,
            ) -> CodecPieces {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => {
                        CodecPieces::$name($name::pieces(topic, data, room, retained))
                    })+
                }
            }
        }

        /// The encoding of a message in pieces, by its codec.
        #[derive(Debug)]
        pub(super) enum CodecPieces {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name(<$name as Encode>::Pieces),)+
        }

        impl Pieces for CodecPieces {
            fn step(&mut self, payload: &[u8]) -> u64 {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(pieces) => pieces.step(payload),)+
                }
            }

            fn is_done(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(pieces) => pieces.is_done(),)+
                }
            }

            fn is_json(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(pieces) => pieces.is_json(),)+
                }
            }

            fn len(&self) -> usize {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(pieces) => pieces.len(),)+
                }
            }

            fn into_bytes(self) -> Vec<u8> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(pieces) => pieces.into_bytes(),)+
                }
            }
        }
    };
}

impl Codec {
    /// The number of codecs.
    pub(crate) const COUNT: usize = Self::ALL.len();
}

codecs! {
    /// The payload as it was published.
    Raw,
    /// The payload in a JSON envelope that names the topic.
    Json,
    /// Lines of text, for tests.
    #[cfg(test)]
    Lines,
}
