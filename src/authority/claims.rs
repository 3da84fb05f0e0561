//! The claims of a JSON Web Token (RFC 7519 section 4).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::access::Authority;
use super::error::TokenError;
use super::expand::expand;

/// The claims that count here. `aud` is looked at when the signature is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Claims {
    /// Who it is.
    #[serde(default)]
    sub: Option<String>,
    /// From when on it is not valid any more.
    #[serde(default)]
    exp: Option<Seconds>,
    /// From when on it is valid.
    #[serde(default)]
    nbf: Option<Seconds>,
    #[serde(default)]
    publish: List,
    #[serde(default)]
    subscribe: List,
}

impl Claims {
    /// What they allow, at `now` with so much leeway in the clocks.
    pub(super) fn into_authority(
        self,
        now: Duration,
        leeway: Duration,
        max_topic: usize,
    ) -> Result<Authority, TokenError> {
        if self.exp.is_none() {
            return Err(missing("exp"));
        }
        self.into_lasting_authority(now, leeway, max_topic)
    }

    /// The same. Without `exp` it does not end.
    pub(crate) fn into_lasting_authority(
        self,
        now: Duration,
        leeway: Duration,
        max_topic: usize,
    ) -> Result<Authority, TokenError> {
        let ends = self.exp.map(|Seconds(expires)| expires.saturating_add(leeway));
        if ends.is_some_and(|ends| now >= ends) {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|Seconds(from)| now.saturating_add(leeway) < from) {
            return Err(TokenError::NotYet);
        }
        let user = self.sub.ok_or_else(|| missing("sub"))?;
        // It is said of the name itself, and not of the filters that have it.
        Authority::check_user(&user).map_err(|error| TokenError::Claim(error.to_string()))?;
        let publish = expand(&self.publish.0, &user, max_topic, "publish")?;
        let subscribe = expand(&self.subscribe.0, &user, max_topic, "subscribe")?;
        Authority::new(&user, publish, subscribe, ends)
            .map_err(|error| TokenError::Claim(error.to_string()))
    }
}

fn missing(name: &str) -> TokenError {
    TokenError::Claim(format!("it has no claim {name}"))
}

/// Seconds after the beginning of 1970, whole or not (RFC 7519 section 2, NumericDate).
#[derive(Clone, Copy, Debug)]
struct Seconds(Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds after the beginning of 1970")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(Duration::from_secs(seconds)))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Seconds, E> {
                Duration::try_from_secs_f64(seconds).map(Seconds).map_err(E::custom)
            }
        }
        from.deserialize_any(Number)
    }
}

/// A list of filters, or a single one.
#[derive(Debug, Default)]
struct List(Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Filters;
        impl<'de> Visitor<'de> for Filters {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of filters")
            }

            fn visit_str<E: Error>(self, one: &str) -> Result<List, E> {
                Ok(List(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(List(all))
            }
        }
        from.deserialize_any(Filters)
    }
}
