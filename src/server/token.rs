//! The token that requests to listeners for administration have to give.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::protocol::http::Request;

/// The fewest characters of a token.
const MIN_LEN: usize = 16;

/// A secret that is compared in a time that tells nothing of where it differs. All clones are the
/// same, also once it is replaced.
#[derive(Clone)]
pub(super) struct Token(Arc<RwLock<Box<str>>>);

impl Token {
    /// What is said of a wrong one.
    pub(super) const WRONG: &str = "the admin token has to be one word of 16 characters of \
                                    printable ASCII or more; `openssl rand -hex 32` makes one";

    /// A token, without the white space around it.
    pub(super) fn new(token: &str) -> Self {
        Self(Arc::new(RwLock::new(token.trim().into())))
    }

    /// Puts another one in its place.
    pub(super) fn replace(&self, token: &str) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token.trim().into();
    }

    /// Whether it cannot be given in a request, or is soon guessed: it is short, or not a word in
    /// ASCII.
    pub(super) fn is_wrong(&self) -> bool {
        let token = self.0.read().unwrap_or_else(PoisonError::into_inner);
        token.len() < MIN_LEN || !token.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether the request has it, as RFC 6750 section 2.1 says.
    pub(super) fn is_in(&self, request: &Request<'_>) -> bool {
        let value = request.header("authorization").and_then(|value| str::from_utf8(value).ok());
        let Some((scheme, given)) = value.and_then(|value| value.trim().split_once(' ')) else {
            return false;
        };
        let token = self.0.read().unwrap_or_else(PoisonError::into_inner);
        scheme.eq_ignore_ascii_case("bearer") && equal(token.as_bytes(), given.trim().as_bytes())
    }
}

/// Without an end at the first difference. That the lengths differ may be told.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let differences =
        one.iter().zip(other).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
    one.len() == other.len() && differences == 0
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_equal_or_not() {
        for (one, other, is_equal) in [
            ("a", "a", true),
            ("a", "b", false),
            ("ab", "a", false),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(equal(one.as_bytes(), other.as_bytes()), is_equal, "{one}, {other}");
        }
        assert!(Token::new(" \n").is_wrong() && Token::new("a b").is_wrong());
        for (token, is_wrong) in [
            (" 0123456789abcdef\n", false),
            ("0123456789abcde", true),
            ("0123456789 abcdef", true),
            ("0123456789abcdé", true),
        ] {
            assert_eq!(Token::new(token).is_wrong(), is_wrong, "{token}");
        }
        assert_eq!(format!("{:?}", Token::new("secret")), "Token");
    }
}
