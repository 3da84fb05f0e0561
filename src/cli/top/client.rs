//! Requests to a server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The time for an answer: loops have one second.
const PATIENCE: Duration = Duration::from_secs(5);
/// So much is shown of an answer that nobody knows.
const MAX_LINE: usize = 200;
/// No page is longer.
const MAX_ANSWER: usize = 64 << 20;

/// A listener, and the token for it if it is one for administration.
pub(in crate::cli) struct Client {
    place: String,
    token: Option<String>,
    /// Where the token is from.
    token_file: Option<PathBuf>,
}

/// What is read from and written to.
trait Stream: Read + Write {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Client {
    /// A listener that asks for no token.
    pub(in crate::cli) fn new(place: &str) -> Self {
        // Some copy the address of a page.
        let place = place.strip_prefix("http://").map_or(place, |rest| rest.trim_end_matches('/'));
        Self { place: place.to_owned(), token: None, token_file: None }
    }

    /// One for administration, with the file of its token if it asks for one.
    pub(in crate::cli) fn with_token_file(
        place: &str,
        file: Option<&Path>,
    ) -> Result<Self, String> {
        let read = |path: &Path| {
            let token = fs::read_to_string(path).map_err(|error| {
                format!("the admin token cannot be read from {}: {error}", path.display())
            });
            token.map(|token| token.trim().to_owned())
        };
        let (token, token_file) = (file.map(read).transpose()?, file.map(Path::to_owned));
        Ok(Self { token, token_file, ..Self::new(place) })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The status with which a request is answered, whatever it is.
    pub(in crate::cli) fn status(&self, target: &str) -> Result<String, String> {
        let text = self.ask("GET", target).map_err(|error| self.failed(&error))?;
        match text.split(' ').nth(1).filter(|_| text.starts_with("HTTP/1.")) {
            Some(status) => Ok(status.to_owned()),
            None => Err(format!("{} does not speak HTTP", self.place)),
        }
    }

    fn failed(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::InvalidInput => {
                format!("`{}` is no address; write 127.0.0.1:9100 or unix:/path", self.place)
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{} does not answer within {} s", self.place, PATIENCE.as_secs())
            }
            _ => format!("{} does not answer: {error}", self.place),
        }
    }

    /// The body of a page.
    pub(super) fn get(&self, target: &str) -> Result<String, String> {
        self.request("GET", target)
    }

    /// Has something done, which is answered with a status of success.
    pub(in crate::cli) fn post(&self, target: &str) -> Result<(), String> {
        self.request("POST", target).map(drop)
    }

    fn request(&self, method: &str, target: &str) -> Result<String, String> {
        let text = self.ask(method, target).map_err(|error| self.failed(&error))?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        match head.split(' ').nth(1).filter(|_| head.starts_with("HTTP/1.")) {
            Some(status) if status.starts_with('2') => Ok(body.to_owned()),
            Some("401") => Err(match &self.token_file {
                None => format!("{} asks for a token; give --admin-token-file", self.place),
                Some(file) => {
                    format!("the token in {} is not that of {}", file.display(), self.place)
                }
            }),
            Some("404" | "426") => Err(format!("{} is no admin listener", self.place)),
            Some(status) => {
                let line = body.trim().lines().next().unwrap_or_default();
                let line = &line[..line.floor_char_boundary(MAX_LINE)];
                Err(format!("{target} is answered with {status}: {line}"))
            }
            None => Err(format!("{} does not speak HTTP", self.place)),
        }
    }

    /// The same for a page in JSON.
    pub(super) fn json(&self, target: &str) -> Result<Value, String> {
        let body = self.get(target)?;
        serde_json::from_str(&body).map_err(|error| format!("{target}: {error}"))
    }

    fn ask(&self, method: &str, target: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        // A page has no token in its path, so nothing of this can get into a log.
        let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        let head = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\n{token}{length}\r\n");
        stream.write_all(head.as_bytes())?;
        let (mut bytes, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        let mut piece = [0; 16 << 10];
        loop {
            let len = stream.read(&mut piece)?;
            bytes.extend_from_slice(piece.get(..len).unwrap_or_default());
            if len == 0 {
                // Whatever else it is, it is no answer.
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            if bytes.len() > MAX_ANSWER || Instant::now() > deadline {
                return Err(io::Error::other("the answer does not end"));
            }
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        if let Some(path) = self.place.strip_prefix("unix:") {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(Box::new(stream));
        }
        if self.place.contains("://") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let local = self.place.parse::<u16>().map(|port| format!("127.0.0.1:{port}"));
        let stream = connect(local.as_deref().unwrap_or(&self.place))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Box::new(stream))
    }
}

/// Connects to the first address of `place` that answers.
fn connect(place: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in place.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
