//! Requests of clients.
//!
//! A text is scanned once, while it arrives: the [`Parser`] notes where its values are. So a
//! request of many megabytes holds nobody up when it is complete. Nesting of any depth in published
//! data takes no stack, and only strings with escapes are copied.

use std::borrow::Cow;
use std::ops::Range;

use super::strings::{MAX_NAMES, STRING, decoded, kind, string, string_fault};
use crate::authority::MAX_TOKEN;
use crate::protocol::json::{Event, Fault, Scanner, position};

/// The most filters in one list: far more than a connection may have, and little memory.
const MAX_FILTERS: usize = 1024;
const TOO_MANY: &str = "more than 1,024 filters";
/// The longest `id`. It is copied into the answer.
const MAX_ID: usize = 1 << 20;
/// How far a request is still scanned behind a key that is not known or repeated: an `id` may
/// follow.
const MAX_BEHIND_FAULT: usize = 1 << 20;

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
    /// A token in the place of the one before.
    Token(Cow<'a, str>),
    /// A value for all subscribers of the topic.
    Publish {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// The JSON as it came. `None` clears the retained value, and comes with `retain` only.
        data: Option<&'a [u8]>,
        /// Whether later subscribers are sent the value too.
        retain: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id,
    Subscribe,
    Unsubscribe,
    Publish,
    Data,
    Retain,
    Token,
}

impl Key {
    const ALL: [Self; 7] = [
        Self::Publish,
        Self::Data,
        Self::Id,
        Self::Retain,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Token,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Publish => "publish",
            Self::Data => "data",
            Self::Retain => "retain",
            Self::Token => "token",
        }
    }
}

/// A request of which a part has been received.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    scanner: Scanner,
    has_begun: bool,
    /// The member whose value is being read. Without a key it is not known or repeated.
    member: Option<(Option<Key>, usize)>,
    /// The key of the next value.
    key: Option<Key>,
    /// Where the values are, by [`Key`].
    values: [Option<Range<usize>>; Key::ALL.len()],
    elements: Elements,
    /// Why the request is invalid, for a fault after which nothing is scanned.
    broken: Option<String>,
    /// Why it is invalid, for the first key that is unknown or repeated, and where the scan ends.
    wrong_key: Option<(String, usize)>,
}

/// The strings of a list of filters.
#[derive(Debug, Default)]
struct Elements {
    /// Where they are, with their quotes.
    strings: Vec<Range<usize>>,
    start: usize,
    bytes: usize,
    /// What there is instead behind them.
    wrong: Option<&'static str>,
}

impl Elements {
    /// An element ends. Returns whether further ones are of interest.
    fn end(&mut self, text: &[u8], end: usize) -> bool {
        let raw = text.get(self.start..end).unwrap_or_default();
        self.bytes += raw.len();
        self.wrong = match kind(raw) {
            STRING if self.strings.len() == MAX_FILTERS => Some(TOO_MANY),
            STRING if self.bytes > MAX_NAMES => Some(TOO_LONG_TOGETHER),
            STRING => {
                self.strings.push(self.start..end);
                None
            }
            other => Some(other),
        };
        self.wrong.is_none()
    }
}

impl Parser {
    /// The memory that it holds besides itself, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.scanner.memory() + self.elements.strings.capacity() * size_of::<Range<usize>>()
    }

    /// Goes on in `text`: what was passed before, and more. Returns how many bytes were scanned.
    pub(crate) fn scan(&mut self, text: &[u8]) -> usize {
        let before = self.scanner.at();
        while self.broken.is_none() {
            let end = self.wrong_key.as_ref().map_or(text.len(), |(_, end)| text.len().min(*end));
            match self.scanner.next(text.get(..end).unwrap_or_default()) {
                Event::More => break,
                Event::Begin(at) => self.begin(text, at),
                Event::Key(start, end) => self.take_key(text, start, end),
                Event::End(at) => self.end(text, at),
                Event::Fault(fault) => self.fault(text, fault),
            }
        }
        self.scanner.at() - before
    }

    /// All of `text` is there: what it asks for.
    pub(crate) fn finish(mut self, text: &[u8]) -> Request<'_> {
        self.scan(text);
        if self.broken.is_none()
            && self.scanner.at() == text.len()
            && let Some(fault) = self.scanner.finish()
        {
            self.fault(text, fault);
        }
        let wrong_key = self.wrong_key.take().map(|(why, _)| why);
        let members = Members { text, values: &self.values, elements: &self.elements };
        let command = match self.broken.take().or(wrong_key) {
            Some(wrong) => Err(wrong),
            None => members.command(),
        };
        Request { id: members.get(Key::Id).and_then(|id| str::from_utf8(id).ok()), command }
    }

    fn begin(&mut self, text: &[u8], at: usize) {
        if !self.has_begun {
            self.has_begun = true;
            if text.get(at) != Some(&b'{') {
                self.broken = Some(NO_OBJECT.into());
            }
        } else if self.member.is_some() {
            self.elements.start = at;
        } else {
            self.member = Some((self.key, at));
            let is_of_filters = matches!(self.key, Some(Key::Subscribe | Key::Unsubscribe));
            if is_of_filters && text.get(at) == Some(&b'[') {
                self.elements = Elements::default();
                self.scanner.watch(2);
            }
        }
    }

    fn end(&mut self, text: &[u8], at: usize) {
        match self.scanner.depth() {
            2 if !self.elements.end(text, at) => self.scanner.watch(1),
            1 => {
                self.scanner.watch(1);
                if let Some((Some(key), start)) = self.member.take() {
                    if key == Key::Id && at - start > MAX_ID {
                        let why = "The value of id is longer than 1 MiB; give a shorter one.";
                        self.wrong(why.to_owned());
                    } else if let Some(value) = self.values.get_mut(key as usize) {
                        *value = Some(start..at);
                    }
                }
            }
            _ => {}
        }
    }

    fn take_key(&mut self, text: &[u8], start: usize, end: usize) {
        self.key = None;
        let name = match decoded(text.get(start..end).unwrap_or_default()) {
            Ok(name) => name,
            Err((what, at)) => return self.broken(text, &what, start + at),
        };
        match Key::ALL.into_iter().find(|key| key.name() == name) {
            Some(key) if self.values.get(key as usize).is_some_and(Option::is_some) => {
                self.wrong(format!("The key {} is there twice; give it once.", key.name()));
            }
            Some(key) => self.key = Some(key),
            // The name may be as long as the message; this much is enough to recognise it.
            None => self.wrong(format!(
                "The key \"{name:.40}\" is not known; known are subscribe, unsubscribe, publish, \
                 data, retain, token and id."
            )),
        }
    }

    /// The request is wrong, but an `id` may follow.
    fn wrong(&mut self, why: String) {
        let end = self.scanner.at() + MAX_BEHIND_FAULT;
        self.wrong_key.get_or_insert((why, end));
    }

    fn fault(&mut self, text: &[u8], fault: Fault) {
        // A key is decoded, and may be at fault earlier.
        let key = self.scanner.open_key();
        match key.and_then(|start| Some((start, string_fault(text.get(start..)?)?))) {
            Some((start, (what, at))) => self.broken(text, &what, start + at),
            None => self.broken(text, fault.what, fault.at),
        }
    }

    /// The text is not valid JSON.
    fn broken(&mut self, text: &[u8], what: &str, at: usize) {
        let (line, column) = position(text, at);
        self.broken = Some(if self.has_begun {
            format!("The message is not valid JSON: {what} at line {line} column {column}.")
        } else {
            NO_OBJECT.into()
        });
    }
}

const NO_OBJECT: &str = r#"The message is not a JSON object, such as {"subscribe":"a/b"}."#;
const TOO_LONG_TOGETHER: &str = "strings of more than 1 MiB";

/// The members of a request, each valid JSON.
struct Members<'a, 'p> {
    text: &'a [u8],
    values: &'p [Option<Range<usize>>; Key::ALL.len()],
    elements: &'p Elements,
}

impl<'a> Members<'a, '_> {
    fn get(&self, key: Key) -> Option<&'a [u8]> {
        self.text.get(self.values.get(key as usize)?.clone()?)
    }

    fn command(&self) -> Result<Command<'a>, String> {
        let several = |one, other| {
            Err(format!("The request holds {one} and {other}; send a request for each."))
        };
        let [subscribe, unsubscribe, publish, token] =
            [Key::Subscribe, Key::Unsubscribe, Key::Publish, Key::Token].map(|key| self.get(key));
        if let Some(token) = token {
            let other = [(subscribe, "subscribe"), (unsubscribe, "unsubscribe")];
            let other = other.into_iter().chain([(publish, "publish")]);
            if let Some((_, other)) = other.into_iter().find(|(value, _)| value.is_some()) {
                return several("token", other);
            }
            self.no_publish()?;
            return Self::token(token);
        }
        match (subscribe, unsubscribe, publish) {
            (None, None, Some(topic)) => self.publish(topic),
            (Some(raw), None, None) => {
                self.no_publish()?;
                self.filters("subscribe", raw).map(Command::Subscribe)
            }
            (None, Some(raw), None) => {
                self.no_publish()?;
                self.filters("unsubscribe", raw).map(Command::Unsubscribe)
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
        for key in [Key::Data, Key::Retain] {
            if self.get(key).is_some() {
                let name = key.name();
                return Err(format!("The key {name} goes with publish only; leave it out here."));
            }
        }
        Ok(())
    }

    fn token(token: &'a [u8]) -> Result<Command<'a>, String> {
        let token = string(token)
            .map_err(|what| format!("The value of token is {what}; give a token as a string."))?;
        if token.len() > MAX_TOKEN {
            return Err("The token is longer than 8 KiB.".into());
        }
        Ok(Command::Token(token))
    }

    fn publish(&self, topic: &'a [u8]) -> Result<Command<'a>, String> {
        let topic = string(topic)
            .map_err(|what| format!("The value of publish is {what}; give a topic as a string."))?;
        let retain = match self.get(Key::Retain) {
            None | Some(b"false") => false,
            Some(b"true") => true,
            Some(raw) => {
                let what = kind(raw);
                return Err(format!("The value of retain is {what}; give true or false."));
            }
        };
        let data = match self.get(Key::Data) {
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

    /// Filters: a string or a list of strings.
    fn filters(&self, key: &str, raw: &'a [u8]) -> Result<Vec<Cow<'a, str>>, String> {
        if !raw.starts_with(b"[") {
            let one = string(raw).map_err(|what| {
                format!(
                    "The value of {key} is {what}; give a filter or a list of filters as strings."
                )
            });
            return Ok(vec![one?]);
        }
        let strings = self.elements.strings.iter();
        let strings = strings.map(|at| string(self.text.get(at.clone()).unwrap_or_default()));
        let found = strings.collect::<Result<Vec<_>, _>>();
        let found = found.and_then(|found| self.elements.wrong.map_or(Ok(found), Err));
        let found = found.map_err(|what| {
            let is_large = matches!(what, TOO_MANY | TOO_LONG_TOGETHER);
            let instead = if is_large { "ask several times" } else { "give filters as strings" };
            format!("The list of {key} holds {what}; {instead}.")
        })?;
        if found.is_empty() {
            return Err(format!("The list of {key} is empty; give one filter at least."));
        }
        Ok(found)
    }
}
