//! The form of a handshake case: a request, the exact answer, and whether the connection becomes a
//! WebSocket.

use crate::support::client::{ACCEPT, KEY};

/// One opening handshake.
#[derive(Clone, Debug)]
pub(crate) struct RequestCase {
    pub(crate) name: String,
    /// The section that states the rule.
    pub(crate) section: &'static str,
    /// The input of the client.
    pub(crate) sends: Vec<u8>,
    /// The exact answer.
    pub(crate) expects: Vec<u8>,
    /// Whether the connection is then a WebSocket. If not, the server ends it with FIN.
    pub(crate) opens: bool,
    /// The length of the head if more bytes follow it. Only if these arrive together with the end
    /// of the head does the server know that the client did not wait.
    pub(crate) early_from: Option<usize>,
}

/// A status and its text.
pub(crate) type Fault = (u16, &'static str);

pub(crate) const NOT_HTTP: Fault = (400, "This is not HTTP; connect with a WebSocket client.");
pub(crate) const LEADING_EMPTY_LINE: Fault =
    (400, "Empty lines come before the request line; send one at most.");
pub(crate) const BARE_LF: Fault = (400, "A line ends with LF alone; end each line with CR LF.");
pub(crate) const BARE_CR: Fault = (400, "A CR is not followed by LF; end each line with CR LF.");
pub(crate) const CONTROL_BYTE: Fault = (400, "The request head holds a control byte.");
pub(crate) const FOLDED_LINE: Fault = (400, "A header is folded over two lines; send it on one.");
pub(crate) const HEAD_TOO_LARGE: Fault =
    (431, "The request head is too long; send fewer or shorter headers.");
pub(crate) const TOO_MANY_HEADERS: Fault = (431, "The request has too many headers; send fewer.");
pub(crate) const EARLY_DATA: Fault =
    (400, "Bytes follow the request; wait for the 101 answer first.");
pub(crate) const REQUEST_LINE: Fault =
    (400, "The request line is malformed; send GET <path> HTTP/1.1.");
pub(crate) const HTTP_VERSION: Fault =
    (400, "The request line does not end in a version; use HTTP/1.1.");
pub(crate) const PROXY_HEADER: Fault =
    (400, "This port takes no header of the PROXY protocol; have it listen with `,proxy`.");
pub(crate) const UNSUPPORTED_HTTP: Fault =
    (505, "This version of HTTP is not supported; use HTTP/1.1.");
pub(crate) const LINE_TOO_LONG: Fault =
    (414, "The request line is too long; send a shorter path or query.");
pub(crate) const BAD_LENGTH: Fault =
    (400, "Content-Length is malformed; send one decimal number alone.");
pub(crate) const BAD_ENCODING: Fault = (400, "Transfer-Encoding is malformed; send chunked alone.");
pub(crate) const UNKNOWN_ENCODING: Fault =
    (501, "This Transfer-Encoding is not supported; send chunked.");
pub(crate) const BODY_TOO_LARGE: Fault = (413, "The body is too large.");
pub(crate) const METHOD: Fault =
    (405, "This method is not allowed here; allowed are GET, HEAD, OPTIONS.");
pub(crate) const UNKNOWN_METHOD: Fault = (501, "This method is not known here.");
pub(crate) const CHUNK_LINE: Fault = (400, "The length of a chunk is malformed.");
pub(crate) const CHUNK_END: Fault = (400, "A chunk does not end where its length says.");
pub(crate) const TARGET: Fault =
    (400, "The request target is malformed; send a percent-encoded path from / on.");
pub(crate) const TARGET_HOST: Fault =
    (400, "The host in the request target is not the one in Host.");
pub(crate) const HEADER_NAME: Fault = (400, "A header line has no colon or a malformed name.");
pub(crate) const MISSING_HOST: Fault = (400, "The Host header is missing.");
pub(crate) const DUPLICATE_HOST: Fault = (400, "There is more than one Host header; send one.");
pub(crate) const BAD_HOST: Fault =
    (400, "The Host header is malformed; send a name and maybe a port.");
pub(crate) const TRANSFER_ENCODING: Fault =
    (400, "Transfer-Encoding is not allowed; send no body.");
pub(crate) const CONTENT_LENGTH: Fault = (400, "Content-Length is not allowed; send no body.");
pub(crate) const BAD_UPGRADE: Fault = (400, "The Upgrade header is malformed; send websocket.");
pub(crate) const NO_CONNECTION_UPGRADE: Fault =
    (400, "The Connection header does not name Upgrade.");
pub(crate) const BAD_CONNECTION: Fault = (400, "The Connection header is malformed; send Upgrade.");
pub(crate) const MISSING_VERSION: Fault =
    (400, "The Sec-WebSocket-Version header is missing; send 13.");
pub(crate) const DUPLICATE_VERSION: Fault =
    (400, "There is more than one Sec-WebSocket-Version; send one.");
pub(crate) const BAD_VERSION: Fault =
    (400, "Sec-WebSocket-Version is not a single number; send 13.");
pub(crate) const UNSUPPORTED_VERSION: Fault =
    (426, "This version of WebSocket is not supported; use 13.");
pub(crate) const MISSING_KEY: Fault = (400, "The Sec-WebSocket-Key header is missing.");
pub(crate) const DUPLICATE_KEY: Fault =
    (400, "There is more than one Sec-WebSocket-Key; send one.");
pub(crate) const BAD_KEY: Fault = (400, "Sec-WebSocket-Key is not base64 of 16 bytes.");
pub(crate) const DUPLICATE_ORIGIN: Fault = (400, "There is more than one Origin header; send one.");
pub(crate) const BAD_ORIGIN: Fault = (400, "The Origin header is malformed.");
pub(crate) const BAD_PROTOCOL: Fault = (400, "Sec-WebSocket-Protocol is not a list of names.");
pub(crate) const DUPLICATE_PROTOCOL: Fault =
    (400, "Sec-WebSocket-Protocol offers the same name twice.");
pub(crate) const TOO_MANY_PROTOCOLS: Fault = (431, "Sec-WebSocket-Protocol offers too many names.");
pub(crate) const BAD_EXTENSIONS: Fault = (400, "The Sec-WebSocket-Extensions header is malformed.");
pub(crate) const UPGRADE_REQUIRED: Fault =
    (426, "This path speaks WebSocket only; send an upgrade request.");

/// A complete response that ends the connection.
fn answer(status: &str, connection: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: {connection}\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The response to `fault`.
pub(crate) fn refusal(fault: Fault) -> Vec<u8> {
    let (status, connection) = match fault.0 {
        400 => ("400 Bad Request", "close"),
        405 => ("405 Method Not Allowed\r\nAllow: GET, HEAD, OPTIONS", "close"),
        413 => ("413 Content Too Large", "close"),
        414 => ("414 URI Too Long", "close"),
        426 => (
            "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
            "Upgrade, close",
        ),
        431 => ("431 Request Header Fields Too Large", "close"),
        501 => ("501 Not Implemented", "close"),
        505 => ("505 HTTP Version Not Supported", "close"),
        other => panic!("no answer is defined for {other}"),
    };
    answer(status, connection, &format!("{}\n", fault.1))
}

/// The response to a plain request for `/healthz` after which the connection ends.
fn healthy() -> Vec<u8> {
    answer("200 OK", "close", "ok\n")
}

/// The 101 response with this `Sec-WebSocket-Accept` and further header lines.
pub(crate) fn switching(accept: &str, further: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{further}\r\n"
    )
    .into_bytes()
}

/// The request line and header lines of a valid handshake, to be changed by a case.
#[derive(Clone, Debug)]
pub(crate) struct Draft(Vec<String>);

impl Draft {
    pub(crate) fn new() -> Self {
        let key = format!("Sec-WebSocket-Key: {KEY}");
        let lines = [
            "GET / HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            &key,
            "Sec-WebSocket-Version: 13",
        ];
        Self(lines.map(str::to_owned).to_vec())
    }

    /// Replaces the request line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.0[0]);
        self
    }

    /// Replaces the header `name` by `lines`; without lines it is removed.
    pub(crate) fn swap(mut self, name: &str, lines: &[&str]) -> Self {
        let at = self.0.iter().position(|line| line.starts_with(&format!("{name}:"))).unwrap();
        self.0.splice(at..=at, lines.iter().map(|&line| line.to_owned()));
        self
    }

    /// A request for `/healthz` that is no handshake, and the last of its connection.
    pub(crate) fn plain() -> Self {
        let lines = ["GET /healthz HTTP/1.1", "Host: 127.0.0.1", "Connection: close"];
        Self(lines.map(str::to_owned).to_vec())
    }

    /// Adds `lines` at the end.
    pub(crate) fn plus(mut self, lines: &[&str]) -> Self {
        self.0.extend(lines.iter().map(|&line| line.to_owned()));
        self
    }

    /// The bytes: each line ended by CR LF, and the empty line.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n\r\n", self.0.join("\r\n")).into_bytes()
    }
}

/// Handshakes of one section.
pub(crate) struct RequestTable {
    section: &'static str,
    cases: Vec<RequestCase>,
}

impl RequestTable {
    pub(crate) fn new(section: &'static str) -> Self {
        Self { section, cases: Vec::new() }
    }

    /// Sets the section of the following cases.
    pub(crate) fn section(&mut self, section: &'static str) {
        self.section = section;
    }

    fn add(&mut self, name: &str, sends: Vec<u8>, expects: Vec<u8>, opens: bool) {
        let (name, section) = (name.to_owned(), self.section);
        self.cases.push(RequestCase { name, section, sends, expects, opens, early_from: None });
    }

    /// The request opens a WebSocket.
    pub(crate) fn opens(&mut self, name: &str, draft: &Draft) {
        self.add(name, draft.bytes(), switching(ACCEPT, ""), true);
    }

    /// The bytes open a WebSocket.
    pub(crate) fn opens_bytes(&mut self, name: &str, sends: Vec<u8>) {
        self.add(name, sends, switching(ACCEPT, ""), true);
    }

    /// The request opens a WebSocket with exactly this answer.
    pub(crate) fn opens_with(&mut self, name: &str, draft: &Draft, expects: Vec<u8>) {
        self.add(name, draft.bytes(), expects, true);
    }

    /// The request is refused.
    pub(crate) fn refuses(&mut self, name: &str, draft: &Draft, fault: Fault) {
        self.refuses_bytes(name, draft.bytes(), fault);
    }

    /// The bytes are refused; they need not be a request.
    pub(crate) fn refuses_bytes(&mut self, name: &str, sends: Vec<u8>, fault: Fault) {
        self.add(name, sends, refusal(fault), false);
    }

    /// The client speaks TLS, so it is sent an alert: `handshake_failure`, fatal.
    pub(crate) fn refuses_tls(&mut self, name: &str, sends: Vec<u8>) {
        self.add(name, sends, vec![21, 3, 3, 0, 2, 2, 40], false);
    }

    /// The request is refused because of the bytes that follow the head in the same write.
    pub(crate) fn refuses_early(&mut self, name: &str, draft: &Draft, early: &[u8]) {
        let head = draft.bytes();
        let early_from = Some(head.len());
        self.add(name, [&head, early].concat(), refusal(EARLY_DATA), false);
        if let Some(case) = self.cases.last_mut() {
            case.early_from = early_from;
        }
    }

    /// The plain request for `/healthz` is answered.
    pub(crate) fn answers(&mut self, name: &str, draft: &Draft) {
        self.answers_bytes(name, draft.bytes());
    }

    /// The same for a request with a body, or with something before it.
    pub(crate) fn answers_bytes(&mut self, name: &str, sends: Vec<u8>) {
        self.add(name, sends, healthy(), false);
    }

    /// All cases that were added.
    pub(crate) fn into_cases(self) -> Vec<RequestCase> {
        self.cases
    }
}
