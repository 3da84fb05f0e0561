//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use crate::protocol::http::syntax::is_token_byte;

/// One item of an extension list, in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// The name of an extension.
    Extension(&'a str),
    /// A parameter of the last extension, with its value if there is one.
    Param(&'a str, Option<Value<'a>>),
}

/// The value of a parameter: a token, or a token in the form of a quoted string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The bytes of the token without its quoting.
    ///
    /// A token contains no backslash, so each one in the text begins a quoted pair.
    pub(crate) fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        self.0.bytes().filter(|&byte| byte != b'\\')
    }
}

/// A value is off the grammar at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The items of one header value; ends after the first error.
///
/// Spaces and tabs are allowed around every separator, including `=`: the grammar is written in the
/// notation of RFC 2616 section 2.1, which implies them. List elements may be empty.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    rest: &'a str,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An extension may begin.
    Element,
    /// After an extension or a parameter.
    AfterItem,
    /// After the last item or an error.
    Done,
}

impl<'a> Items<'a> {
    pub(crate) fn new(value: &'a str) -> Self {
        Self { rest: value, state: State::Element }
    }

    /// The number of extensions in a value, or `None` if it is off the grammar.
    pub(crate) fn count(value: &'a str) -> Option<usize> {
        let mut extensions = 0;
        for item in Self::new(value) {
            extensions += usize::from(matches!(item.ok()?, Item::Extension(_)));
        }
        Some(extensions)
    }

    /// Takes the first `len` bytes off the rest.
    fn take(&mut self, len: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes `byte` with the white space before it, if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let found = self.rest.as_bytes().first() == Some(&byte);
        if found {
            self.take(1);
        }
        found
    }

    /// Takes a token with the white space before it.
    fn token(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let len = self.rest.bytes().take_while(|&byte| is_token_byte(byte)).count();
        if len == 0 { None } else { self.take(len) }
    }

    /// Takes the value after `=`.
    fn value(&mut self) -> Option<Value<'a>> {
        if !self.eat(b'"') {
            return self.token().map(Value);
        }
        let bytes = self.rest.as_bytes();
        let mut len = 0;
        loop {
            match bytes.get(len)? {
                b'"' => break,
                b'\\' if is_token_byte(*bytes.get(len + 1)?) => len += 2,
                &byte if is_token_byte(byte) => len += 1,
                _ => return None,
            }
        }
        let text = self.take(len)?;
        self.take(1)?;
        if text.is_empty() { None } else { Some(Value(text)) }
    }

    /// Takes a parameter after its semicolon.
    fn param(&mut self) -> Option<Item<'a>> {
        let name = self.token()?;
        if !self.eat(b'=') {
            return Some(Item::Param(name, None));
        }
        self.value().map(|value| Item::Param(name, Some(value)))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let item = if self.state == State::AfterItem && self.eat(b';') {
            self.param()
        } else {
            let mut fresh = self.state == State::Element;
            while self.eat(b',') {
                fresh = true;
            }
            if self.rest.is_empty() {
                self.state = State::Done;
                return None;
            }
            if fresh { self.token().map(Item::Extension) } else { None }
        };
        self.state = if item.is_some() { State::AfterItem } else { State::Done };
        Some(item.ok_or(Malformed))
    }
}
