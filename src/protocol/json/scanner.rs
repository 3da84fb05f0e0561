//! The scanner: a state for each place at which a text can be cut.

use super::stack::Stack;

/// The bytes of a string that are looked at together.
const BLOCK: usize = 32;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rule that is broken.
    pub what: &'static str,
    /// The number of bytes up to and including the one at fault.
    pub at: usize,
}

/// The line and the column in `text` after `at` bytes, both counted in bytes and from 1.
#[must_use]
pub fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let lines = memchr::memchr_iter(b'\n', before).count();
    (lines + 1, before.len() - line_start)
}

/// What was found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A value begins here; its first byte tells its kind.
    Begin(usize),
    /// The value that began last at this depth ends before this byte.
    End(usize),
    /// A key of an object, with its quotes.
    Key(usize, usize),
    /// The text is not JSON.
    Fault(Fault),
    /// The text ends here, for now.
    More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value is expected.
    Value,
    /// A value or the end of the list.
    FirstElement,
    /// A key or the end of the object.
    FirstKey,
    /// A key.
    Key,
    Colon,
    /// Behind a value: a comma or the end of its container.
    Behind,
    /// Behind the value of the whole text.
    Done,
    /// Inside a string.
    Text,
    Escape,
    /// So many hexadecimal digits are still expected, and whether all so far were such digits.
    Hex(u8, bool),
    /// The rest of `true`, `false` or `null`.
    Ident(&'static [u8]),
    Number(Number),
}

/// A part of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// Checks one text.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    at: usize,
    stack: Stack,
    /// Events are told of values inside at most so many containers.
    watched: usize,
    /// The string being read is a key.
    is_key: bool,
    /// Where that key begins.
    key_start: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Value,
            at: 0,
            stack: Stack::default(),
            watched: 1,
            is_key: false,
            key_start: 0,
        }
    }
}

impl Scanner {
    /// The bytes that were looked at.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The number of containers that are open.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.stack.depth()
    }

    /// The memory that it holds besides itself, in bytes.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.stack.memory()
    }

    /// Begin and end are told of values inside at most `depth` containers. At first of the text's
    /// value and of those directly inside it. Keys are told of the outermost object only.
    pub const fn watch(&mut self, depth: usize) {
        self.watched = depth;
    }

    /// Where the key that is being read begins, if it is one of the outermost object.
    #[must_use]
    pub fn open_key(&self) -> Option<usize> {
        let is_string = matches!(self.state, State::Text | State::Escape | State::Hex(..));
        (is_string && self.is_key && self.depth() == 1).then_some(self.key_start)
    }

    /// Goes on in `text`: what was passed before, and perhaps more. Returns at the first event.
    /// After a fault nothing more is to be asked.
    pub fn next(&mut self, text: &[u8]) -> Event {
        while let Some(&byte) = text.get(self.at) {
            let event = match self.state {
                State::Text => self.text(text),
                State::Escape => self.escape(byte),
                State::Hex(left, valid) => self.hex(byte, left, valid),
                State::Ident(rest) => self.ident(byte, rest),
                State::Number(part) => self.number(byte, part),
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => {
                    self.at += 1;
                    None
                }
                State::Value => self.value(byte),
                State::FirstElement if byte == b']' => self.close(),
                State::FirstElement => self.value(byte),
                State::FirstKey if byte == b'}' => self.close(),
                State::FirstKey | State::Key => self.key(byte),
                State::Colon if byte == b':' => self.go(State::Value),
                State::Colon => self.fault("expected `:`"),
                State::Behind => self.behind(byte),
                State::Done => self.fault("trailing characters"),
            };
            if let Some(event) = event {
                return event;
            }
        }
        Event::More
    }

    /// The text ends where it was scanned to: whether it is JSON.
    #[must_use]
    pub fn finish(&self) -> Option<Fault> {
        use Number::{Exponent, ExponentSign, Minus, Point};
        let list = "EOF while parsing a list";
        let object = "EOF while parsing an object";
        let what = match self.state {
            State::Done => return None,
            State::Number(Minus | Point | Exponent | ExponentSign) => "invalid number",
            State::Number(_) if self.depth() == 0 => return None,
            State::Number(_) | State::Behind if !self.stack.is_object() => list,
            State::FirstElement => list,
            // The keys of the outermost object are told apart.
            State::Key if self.depth() == 1 => "EOF while parsing a value",
            State::Number(_) | State::Behind => object,
            State::FirstKey | State::Key | State::Colon => object,
            State::Value | State::Ident(_) => "EOF while parsing a value",
            State::Text | State::Escape | State::Hex(..) => "EOF while parsing a string",
        };
        Some(Fault { what, at: self.at })
    }

    /// Takes a byte.
    const fn go(&mut self, state: State) -> Option<Event> {
        self.at += 1;
        self.state = state;
        None
    }

    /// The next byte is at fault.
    #[cold]
    const fn fault(&self, what: &'static str) -> Option<Event> {
        Some(Event::Fault(Fault { what, at: self.at + 1 }))
    }

    /// A value begins.
    fn value(&mut self, byte: u8) -> Option<Event> {
        let (at, depth) = (self.at, self.depth());
        let state = match byte {
            b'[' => State::FirstElement,
            b'{' => State::FirstKey,
            b'"' => State::Text,
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Ident(b"rue"),
            b'f' => State::Ident(b"alse"),
            b'n' => State::Ident(b"ull"),
            _ => return self.fault("expected value"),
        };
        if matches!(byte, b'[' | b'{') {
            self.stack.push(byte == b'{');
        }
        self.is_key = false;
        self.go(state);
        (depth <= self.watched).then_some(Event::Begin(at))
    }

    /// The last byte of a value was taken.
    fn end_value(&mut self) -> Option<Event> {
        let depth = self.depth();
        self.state = if depth == 0 { State::Done } else { State::Behind };
        (depth <= self.watched).then_some(Event::End(self.at))
    }

    /// The container ends with this byte.
    fn close(&mut self) -> Option<Event> {
        self.at += 1;
        self.stack.pop();
        self.end_value()
    }

    fn behind(&mut self, byte: u8) -> Option<Event> {
        match (byte, self.stack.is_object()) {
            (b',', true) => self.go(State::Key),
            (b',', false) => self.go(State::Value),
            (b'}', true) | (b']', false) => self.close(),
            (_, true) => self.fault("expected `,` or `}`"),
            (_, false) => self.fault("expected `,` or `]`"),
        }
    }

    fn key(&mut self, byte: u8) -> Option<Event> {
        match byte {
            b'"' => {
                self.is_key = true;
                self.key_start = self.at;
                self.go(State::Text)
            }
            b'}' if self.depth() == 1 && self.state == State::Key => self.fault("trailing comma"),
            _ => self.fault("key must be a string"),
        }
    }

    /// Takes bytes of a string, up to its end or the next escape.
    fn text(&mut self, text: &[u8]) -> Option<Event> {
        let rest = text.get(self.at..).unwrap_or_default();
        self.at += plain(rest);
        match text.get(self.at) {
            None => None,
            Some(b'\\') => self.go(State::Escape),
            Some(b'"') if self.is_key => {
                self.go(State::Colon);
                (self.depth() == 1).then_some(Event::Key(self.key_start, self.at))
            }
            Some(b'"') => {
                self.at += 1;
                self.end_value()
            }
            Some(_) => Some(Event::Fault(Fault {
                what: "control character (\\u0000-\\u001F) found while parsing a string",
                at: self.at,
            })),
        }
    }

    const fn escape(&mut self, byte: u8) -> Option<Event> {
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.go(State::Text),
            b'u' => self.go(State::Hex(4, true)),
            _ => self.fault("invalid escape"),
        }
    }

    /// All four are taken, whatever they are, before the escape is judged.
    const fn hex(&mut self, byte: u8, left: u8, valid: bool) -> Option<Event> {
        let valid = valid && byte.is_ascii_hexdigit();
        match left {
            2.. => self.go(State::Hex(left - 1, valid)),
            _ if valid => self.go(State::Text),
            _ => self.fault("invalid escape"),
        }
    }

    fn ident(&mut self, byte: u8, rest: &'static [u8]) -> Option<Event> {
        match rest.split_first() {
            Some((expected, [])) if *expected == byte => {
                self.at += 1;
                self.end_value()
            }
            Some((expected, rest)) if *expected == byte => self.go(State::Ident(rest)),
            _ => self.fault("expected ident"),
        }
    }

    fn number(&mut self, byte: u8, part: Number) -> Option<Event> {
        use Number::{
            Exponent, ExponentDigits, ExponentSign, Fraction, Integer, Minus, Point, Zero,
        };
        let next = match (part, byte) {
            (Minus, b'0') => Zero,
            (Minus, b'1'..=b'9') | (Integer, b'0'..=b'9') => Integer,
            (Zero | Integer, b'.') => Point,
            (Zero | Integer | Fraction, b'e' | b'E') => Exponent,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Exponent, b'+' | b'-') => ExponentSign,
            (Exponent | ExponentSign | ExponentDigits, b'0'..=b'9') => ExponentDigits,
            (Zero, b'0'..=b'9') | (Minus | Point | Exponent | ExponentSign, _) => {
                return self.fault("invalid number");
            }
            // The byte behind a number is not a part of it.
            (Zero | Integer | Fraction | ExponentDigits, _) => return self.end_value(),
        };
        self.go(State::Number(next))
    }
}

/// The bytes at the beginning that stand for themselves in a string.
fn plain(text: &[u8]) -> usize {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    if text.first().is_some_and(is_special) {
        return 0;
    }
    let has_special = |block: &&[u8]| block.iter().fold(false, |any, byte| any | is_special(byte));
    let blocks = text.chunks(BLOCK).take_while(|block| !has_special(block)).count();
    let at = (blocks * BLOCK).min(text.len());
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}
