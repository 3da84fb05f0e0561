//! Requests of clients.
//!
//! The text is parsed once, and each value is taken as a slice of it. Nesting of any depth in
//! published data takes no stack, and only strings with escapes are copied.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most filters in one list: far more than a connection may have, and little memory.
const MAX_FILTERS: usize = 1024;
const TOO_MANY: &str = "more than 1,024 filters";

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// The value of `id` as it came, the first if there are several. Also set if the command is
    /// invalid, as far as it was parsed.
    pub(crate) id: Option<&'a str>,
    /// The command, or one line that says why it is invalid.
    pub(crate) command: Result<Command<'a>, String>,
}

/// A command with the names as they came, not checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// At least one filter to subscribe to.
    Subscribe(Vec<Cow<'a, str>>),
    /// At least one filter to unsubscribe from.
    Unsubscribe(Vec<Cow<'a, str>>),
    /// A value for all subscribers of the topic.
    Publish {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// The JSON as it came. `None` clears the retained value, and comes with `retain` only.
        data: Option<&'a str>,
        /// Whether later subscribers are sent the value too.
        retain: bool,
    },
}

/// Parses one message.
pub(crate) fn parse(text: &str) -> Request<'_> {
    let mut members = Members::default();
    let command = match members.read(text) {
        Ok(()) => members.command(),
        Err(wrong) => Err(wrong),
    };
    Request { id: members.id, command }
}

#[derive(Clone, Copy)]
enum Key {
    Id,
    Subscribe,
    Unsubscribe,
    Publish,
    Data,
    Retain,
}

impl Key {
    const ALL: [Self; 6] =
        [Self::Publish, Self::Data, Self::Id, Self::Retain, Self::Subscribe, Self::Unsubscribe];

    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Publish => "publish",
            Self::Data => "data",
            Self::Retain => "retain",
        }
    }
}

/// The values of a request, as slices of the text. Each is valid JSON.
#[derive(Default)]
struct Members<'a> {
    id: Option<&'a str>,
    subscribe: Option<&'a str>,
    unsubscribe: Option<&'a str>,
    publish: Option<&'a str>,
    data: Option<&'a str>,
    retain: Option<&'a str>,
    /// The error for the first key that is unknown or repeated. It is kept because an `id` may
    /// follow.
    fault: Option<String>,
}

impl<'a> Members<'a> {
    /// Values that were parsed before an error stay.
    fn read(&mut self, text: &'a str) -> Result<(), String> {
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
            return Err(r#"The message is not a JSON object, such as {"subscribe":"a/b"}."#.into());
        }
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_map(&mut *self)
            .and_then(|()| json.end())
            .map_err(|error| format!("The message is not valid JSON: {error}."))?;
        self.fault.take().map_or(Ok(()), Err)
    }

    fn slot(&mut self, key: Key) -> &mut Option<&'a str> {
        match key {
            Key::Id => &mut self.id,
            Key::Subscribe => &mut self.subscribe,
            Key::Unsubscribe => &mut self.unsubscribe,
            Key::Publish => &mut self.publish,
            Key::Data => &mut self.data,
            Key::Retain => &mut self.retain,
        }
    }

    fn command(&self) -> Result<Command<'a>, String> {
        let several = |one, other| {
            Err(format!("The request holds {one} and {other}; send a request for each."))
        };
        match (self.subscribe, self.unsubscribe, self.publish) {
            (None, None, Some(topic)) => self.publish(topic),
            (Some(raw), None, None) => {
                self.no_publish()?;
                filters("subscribe", raw).map(Command::Subscribe)
            }
            (None, Some(raw), None) => {
                self.no_publish()?;
                filters("unsubscribe", raw).map(Command::Unsubscribe)
            }
            (None, None, None) => {
                Err("The request asks for nothing; give subscribe, unsubscribe or publish.".into())
            }
            (Some(_), Some(_), _) => several("subscribe", "unsubscribe"),
            (Some(_), None, Some(_)) => several("subscribe", "publish"),
            (None, Some(_), Some(_)) => several("unsubscribe", "publish"),
        }
    }

    fn no_publish(&self) -> Result<(), String> {
        for (key, value) in [("data", self.data), ("retain", self.retain)] {
            if value.is_some() {
                return Err(format!("The key {key} goes with publish only; leave it out here."));
            }
        }
        Ok(())
    }

    fn publish(&self, topic: &'a str) -> Result<Command<'a>, String> {
        let topic = string(topic)
            .map_err(|what| format!("The value of publish is {what}; give a topic as a string."))?;
        let retain = match self.retain {
            None | Some("false") => false,
            Some("true") => true,
            Some(raw) => {
                let what = kind(raw);
                return Err(format!("The value of retain is {what}; give true or false."));
            }
        };
        let data = match self.data {
            None if retain => None,
            None => {
                let why = "The key data is missing; give any JSON, or retain true to clear what is \
                           retained.";
                return Err(why.into());
            }
            data => data,
        };
        Ok(Command::Publish { topic, data, retain })
    }
}

impl<'de> Visitor<'de> for &mut Members<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(AnyKey)? {
            let raw = map.next_value::<&'de RawValue>()?.get();
            let fault = match key {
                Ok(key) => {
                    let slot = self.slot(key);
                    if slot.is_none() {
                        *slot = Some(raw);
                        continue;
                    }
                    format!("The key {} is there twice; give it once.", key.name())
                }
                Err(fault) => fault,
            };
            self.fault.get_or_insert(fault);
        }
        Ok(())
    }
}

/// A key of a request, or an error for it.
struct AnyKey;

impl<'de> DeserializeSeed<'de> for AnyKey {
    type Value = Result<Key, String>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for AnyKey {
    type Value = Result<Key, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        // The name may be as long as the message; this much is enough to recognise it.
        Ok(Key::ALL.into_iter().find(|key| key.name() == name).ok_or_else(|| {
            format!(
                "The key \"{name:.40}\" is not known; known are subscribe, unsubscribe, publish, \
                 data, retain and id."
            )
        }))
    }
}

/// Filters: a string or a list of strings.
fn filters<'a>(key: &str, raw: &'a str) -> Result<Vec<Cow<'a, str>>, String> {
    if !raw.starts_with('[') {
        let one = string(raw).map_err(|what| {
            format!("The value of {key} is {what}; give a filter or a list of filters as strings.")
        });
        return Ok(vec![one?]);
    }
    let found = serde_json::Deserializer::from_str(raw)
        .deserialize_seq(Strings)
        .map_err(|error| format!("The list of {key} is not valid JSON: {error}."))?
        .map_err(|what| {
            let instead =
                if what == TOO_MANY { "ask several times" } else { "give filters as strings" };
            format!("The list of {key} holds {what}; {instead}.")
        })?;
    if found.is_empty() {
        return Err(format!("The list of {key} is empty; give one filter at least."));
    }
    Ok(found)
}

/// A list of strings, or the kind of its first other value.
struct Strings;

impl<'de> Visitor<'de> for Strings {
    type Value = Result<Vec<Cow<'de, str>>, &'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Ok(Vec::new());
        // The list has to be parsed to its end, also after a wrong value.
        while let Some(raw) = list.next_element::<&'de RawValue>()? {
            if let Ok(strings) = &mut found {
                match string(raw.get()) {
                    Ok(_) if strings.len() == MAX_FILTERS => found = Err(TOO_MANY),
                    Ok(text) => strings.push(text),
                    Err(what) => found = Err(what),
                }
            }
        }
        Ok(found)
    }
}

/// The string that `raw`, a valid JSON value, encodes; or the kind of value that it is instead.
fn string(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    let Some(inside) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Err(kind(raw));
    };
    if !inside.contains('\\') {
        return Ok(Cow::Borrowed(inside));
    }
    // The grammar of JSON allows a lone surrogate, which no string can hold.
    serde_json::from_str(raw).map(Cow::Owned).map_err(|_| "a string with half a surrogate pair")
}

/// The kind of value that `raw`, valid JSON, is.
fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
