//! Tokens and API keys, against their rules.

mod keys;
mod tokens;

use std::time::Duration;

use super::testing::{SECRET, signed, token, vector};
use super::{
    Authority, Credential, KeyError, Keys, MAX_TOKEN, TokenError, Tokens, Verify, Verifying,
};

const NOW: u64 = 1_700_000_000;
const MAX_TOPIC: usize = 255;

fn secret() -> Keys {
    Keys::default().secret(SECRET).unwrap()
}

/// What a token allows at a time, in milliseconds.
fn verify_at(tokens: &Tokens, token: &str, millis: u64) -> Result<Authority, TokenError> {
    let mut cx = Verifying::new(Duration::from_millis(millis), MAX_TOPIC);
    tokens.verify(&Credential::Token(token.into()), &mut cx)
}

fn verify(tokens: &Tokens, token: &str) -> Result<Authority, TokenError> {
    verify_at(tokens, token, NOW * 1000)
}
