//! The form of a case: the input of the client, the exact answer, and whether the server then ends
//! the connection.

use crate::support::wire;

/// The limit of message bytes of the server under test, small enough to reach in a case.
pub(crate) const MAX_MESSAGE: usize = 65_536;

/// A close code and its reason.
pub(crate) type Rule = (u16, &'static str);

pub(crate) const UNMASKED: Rule = (1002, "client frame without a mask");
pub(crate) const RESERVED_BIT: Rule = (1002, "reserved bit set");
pub(crate) const RESERVED_OPCODE: Rule = (1002, "reserved opcode");
pub(crate) const LENGTH_NOT_MINIMAL: Rule = (1002, "length not in its shortest form");
pub(crate) const LENGTH_TOP_BIT: Rule = (1002, "64-bit length with its top bit set");
pub(crate) const CONTROL_TOO_LONG: Rule = (1002, "control frame above 125 bytes");
pub(crate) const CONTROL_FRAGMENTED: Rule = (1002, "fragmented control frame");
pub(crate) const CONTINUATION_WITHOUT_START: Rule = (1002, "continuation without a message");
pub(crate) const MESSAGE_INTERRUPTED: Rule = (1002, "new message inside a fragmented one");
pub(crate) const CLOSE_PAYLOAD_OF_ONE_BYTE: Rule = (1002, "close payload of one byte");
pub(crate) const CLOSE_CODE: Rule = (1002, "close code not allowed");
pub(crate) const CLOSE_REASON_UTF8: Rule = (1007, "close reason is not UTF-8");
pub(crate) const TEXT_UTF8: Rule = (1007, "text is not UTF-8");
pub(crate) const DEFLATE: Rule = (1007, "compressed data does not inflate");
pub(crate) const MESSAGE_TOO_BIG: Rule = (1009, "message above the size limit");
pub(crate) const TOO_MANY_FRAGMENTS: Rule = (1008, "message in too many fragments");

/// One case after the handshake.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The section that states the rule.
    pub(crate) section: &'static str,
    /// Header lines that the client adds to its handshake.
    pub(crate) offer: &'static str,
    /// The input after the handshake.
    pub(crate) sends: Vec<u8>,
    /// The exact answer; compressed messages are compared inflated.
    pub(crate) expects: Vec<u8>,
    /// Whether the server then ends the connection with FIN. If not, it must answer a ping.
    pub(crate) ends: bool,
    /// The client sends something after its close frame. If that arrives late enough, the server
    /// has closed already, and its kernel answers with RST.
    pub(crate) speaks_on: bool,
}

/// Cases of one section.
pub(crate) struct Table {
    section: &'static str,
    offer: &'static str,
    cases: Vec<Case>,
}

impl Table {
    pub(crate) fn new(section: &'static str) -> Self {
        Self { section, offer: "", cases: Vec::new() }
    }

    /// Sets the section of the following cases.
    pub(crate) fn section(&mut self, section: &'static str) {
        self.section = section;
    }

    /// Sets the header lines that the client adds to its handshake in the following cases.
    pub(crate) fn offer(&mut self, offer: &'static str) {
        self.offer = offer;
    }

    fn add(&mut self, name: &str, sends: &[&[u8]], expects: Vec<u8>, ends: bool) {
        let (section, offer) = (self.section, self.offer);
        let (name, sends) = (name.to_owned(), sends.concat());
        self.cases.push(Case { name, section, offer, sends, expects, ends, speaks_on: false });
    }

    /// The server answers with `expects` and the connection stays open.
    pub(crate) fn stays(&mut self, name: &str, sends: &[&[u8]], expects: &[&[u8]]) {
        self.add(name, sends, expects.concat(), false);
    }

    /// The server answers with `expects`, the closing handshake included, and ends the connection.
    pub(crate) fn closes(&mut self, name: &str, sends: &[&[u8]], expects: &[&[u8]]) {
        self.add(name, sends, expects.concat(), true);
        let closes = |piece: &&[u8]| piece.first().is_some_and(|first| first & 0x0f == 8);
        let before_last = &sends[..sends.len().saturating_sub(1)];
        if let Some(case) = self.cases.last_mut() {
            case.speaks_on = before_last.iter().any(closes);
        }
    }

    /// A violation: the server answers with `before` and a close frame that names the rule.
    pub(crate) fn fails(&mut self, name: &str, sends: &[&[u8]], before: &[&[u8]], rule: Rule) {
        let close = wire::server_close(rule.0, rule.1);
        self.add(name, sends, [before.concat(), close].concat(), true);
    }

    /// All cases that were added.
    pub(crate) fn into_cases(self) -> Vec<Case> {
        self.cases
    }
}
