//! The claims of a JSON Web Token (RFC 7519 section 4).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::access::Authority;
use super::error::TokenError;
use super::expand::expand;

/// The end of the year 9999.
const YEAR_9999: Duration = Duration::from_secs(253_402_300_799);

/// The claims that count here. `aud` is looked at when the signature is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Claims {
    /// Who it is.
    #[serde(default)]
    sub: Option<Claim<String>>,
    /// From when on it is not valid any more.
    #[serde(default)]
    exp: Option<Claim<Seconds>>,
    /// From when on it is valid.
    #[serde(default)]
    nbf: Option<Claim<Seconds>>,
    #[serde(default)]
    publish: Option<Claim<List>>,
    #[serde(default)]
    subscribe: Option<Claim<List>>,
}

/// A claim, or something else in its place: so the reason names it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Claim<T> {
    Is(T),
    IsNot(IgnoredAny),
}

impl<T> Claim<T> {
    /// What it is; `what` says what it has to be.
    fn take(claim: Option<Self>, name: &str, what: &str) -> Result<Option<T>, TokenError> {
        match claim {
            None => Ok(None),
            Some(Self::Is(value)) => Ok(Some(value)),
            Some(Self::IsNot(_)) => {
                Err(TokenError::Claim(format!("its claim {name} has to be {what}")))
            }
        }
    }
}

/// A time. One in milliseconds would hold for tens of thousands of years.
fn time(claim: Option<Claim<Seconds>>, name: &str) -> Result<Option<Duration>, TokenError> {
    let what = "a number of seconds after the beginning of 1970";
    match Claim::take(claim, name, what)? {
        Some(Seconds(time)) if time > YEAR_9999 => Err(TokenError::Claim(format!(
            "its claim {name} is beyond the year 9999; it has to be in seconds, not milliseconds"
        ))),
        time => Ok(time.map(|Seconds(time)| time)),
    }
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
        let (expires, begins) = (time(self.exp, "exp")?, time(self.nbf, "nbf")?);
        let ends = expires.map(|expires| expires.saturating_add(leeway));
        if ends.is_some_and(|ends| now >= ends) {
            return Err(TokenError::Expired);
        }
        if begins.is_some_and(|begins| now.saturating_add(leeway) < begins) {
            return Err(TokenError::NotYet);
        }
        let user = Claim::take(self.sub, "sub", "a string")?.ok_or_else(|| missing("sub"))?;
        // It is said of the name itself, and not of the filters that have it.
        Authority::check_user(&user).map_err(|error| TokenError::Claim(error.to_string()))?;
        let filters = |claim, name| {
            let list = Claim::take(claim, name, "a list of filters, or one filter")?;
            let List(list) = list.unwrap_or_default();
            expand(&list, &user, max_topic, name)
        };
        let publish = filters(self.publish, "publish")?;
        let subscribe = filters(self.subscribe, "subscribe")?;
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
