//! Keys for programs, which are not signed but known.

use std::fmt;

use ring::digest;
use subtle::ConstantTimeEq;

use super::access::Authority;
use super::error::TokenError;
use super::expand::expand;
use super::key::KeyError;
use super::verify::Verifying;
use crate::base::Work;
use crate::pubsub::Filter;

/// The most API keys. All are compared with each one that is shown.
const MAX_KEYS: usize = 1024;
/// The bytes of a hash.
const HASH: usize = 32;
/// The work of a comparison.
const COMPARED: u64 = 20;

/// Who has which key. The keys themselves are not known, only their hashes.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiKeys(Vec<ApiKey>);

#[derive(Clone)]
struct ApiKey {
    name: Box<str>,
    hash: [u8; HASH],
    publish: Vec<Box<str>>,
    subscribe: Vec<Box<str>>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ApiKeys {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the keys of these lines.
    pub(super) fn add(&mut self, lines: &str) -> Result<(), KeyError> {
        for (at, line) in lines.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| KeyError::Line(at + 1, why);
            let key = ApiKey::parse(line).map_err(wrong)?;
            if self.0.iter().any(|other| other.hash == key.hash) {
                return Err(wrong("the same key is there twice".to_owned()));
            }
            self.0.push(key);
            if self.0.len() > MAX_KEYS {
                return Err(wrong(format!("there are more than {MAX_KEYS} keys")));
            }
        }
        Ok(())
    }

    /// What the owner of this key may do. Takes the same time for each key that is known, and
    /// nothing of a key can be found out from the time that a wrong one takes.
    pub(super) fn verify(&self, key: &str, cx: &mut Verifying) -> Result<Authority, TokenError> {
        cx.charge(key.len() as u64 * 8 + self.0.len() as u64 * COMPARED);
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        let mut found = None;
        for known in &self.0 {
            if bool::from(known.hash.ct_eq(hash.as_ref())) {
                found = Some(known);
            }
        }
        let found = found.ok_or(TokenError::ApiKey)?;
        let filters = found.publish.iter().chain(&found.subscribe);
        cx.charge(filters.map(|filter| filter.len() as u64).sum::<u64>() * Work::TOKEN_BYTE);
        found.authority(cx.max_topic)
    }
}

impl ApiKey {
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        if name.contains(['/', '+', '#', '=']) || name.starts_with('$') {
            return Err("a name has none of / + # and =, and does not begin with $".to_owned());
        }
        let mut key =
            Self { name: name.into(), hash: [0; HASH], publish: vec![], subscribe: vec![] };
        let mut has_hash = false;
        for word in words {
            match word.split_once('=') {
                Some(("sha256", hex)) => {
                    if std::mem::replace(&mut has_hash, true) {
                        return Err("sha256 is there twice".to_owned());
                    }
                    key.hash = hash(hex).ok_or("sha256 is not 64 hexadecimal digits")?;
                }
                Some(("publish", filter)) => key.publish.push(filter.into()),
                Some(("subscribe", filter)) => key.subscribe.push(filter.into()),
                // Anything else may be the key itself.
                Some((wrong, value)) if is_name(wrong) && !value.trim_matches('=').is_empty() => {
                    return Err(format!(
                        "`{wrong}` is not known; known are sha256=, publish= and subscribe="
                    ));
                }
                _ => {
                    return Err("a word is none of sha256=, publish= and subscribe=, each with a \
                                value behind it"
                        .to_owned());
                }
            }
        }
        if !has_hash {
            return Err("there is no sha256= with the hash of the key".to_owned());
        }
        // No topic may be longer than this.
        let authority = key.authority(usize::from(u16::MAX));
        authority.map(|_| key).map_err(|error| error.to_string())
    }

    fn authority(&self, max_topic: usize) -> Result<Authority, TokenError> {
        let list = |list: &[Box<str>], name| -> Result<Vec<Filter>, TokenError> {
            expand(list, &self.name, max_topic, name)
        };
        let publish = list(&self.publish, "publish")?;
        let subscribe = list(&self.subscribe, "subscribe")?;
        Authority::new(&self.name, publish, subscribe, None)
            .map_err(|error| TokenError::Claim(error.to_string()))
    }
}

/// Whether it may be a misspelt name.
fn is_name(text: &str) -> bool {
    text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Reads 64 hexadecimal digits.
fn hash(hex: &str) -> Option<[u8; HASH]> {
    let mut hash = [0; HASH];
    if hex.len() != 2 * HASH || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        let digits = hex.get(2 * at..2 * at + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    }
    Some(hash)
}
