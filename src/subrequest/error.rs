//! Why no backend can be asked.

use std::fmt;

/// Why [`Builder::start`](super::Builder::start) fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL is not one of `http` or `https` with a host; the text says why.
    Url(String),
    /// The file of certificates holds none, or one that is wrong; the text says why.
    Certificates(String),
    /// A thread cannot be started.
    Thread(std::io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(reason) => write!(f, "the URL of the backend is wrong: {reason}"),
            Self::Certificates(reason) => {
                write!(f, "the certificates for the backend are wrong: {reason}")
            }
            Self::Thread(error) => write!(f, "a thread cannot be started: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}
