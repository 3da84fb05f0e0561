//! What asks the backend about the clients of handshakes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{failed, judge};
use super::cache::{Answer, Cache};
use super::client::{Client, parse_url, read_certificates};
use super::error::SetupError;
use super::pool::Pool;
use super::question::{Key, Question};
use crate::authority::{
    self as authority, Admission, AskCounts, Authority, Credential, Reply, TokenError, Verify,
    Verifying, refuse,
};
use crate::protocol::websocket::handshake::{Rejection, Request};

/// The work to look at each byte of a question, to hash it and to look it up.
const PER_BYTE: u64 = 2;
const NO_RENEWAL: &str = "Tokens cannot be renewed here; open another connection.";
const NO_API_KEYS: &str = "API keys are not accepted here.";
/// No warning comes sooner after another.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

/// How a backend is asked. [`start`](Self::start) begins.
pub struct Builder {
    url: String,
    timeout: Duration,
    cache: Duration,
    connections: usize,
    certificates: Option<Vec<u8>>,
    api_keys: Option<Arc<dyn Verify>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Builder {
    /// How long a client waits for the decision, from when it has asked. Default 3 s. Beyond it is
    /// answered with 503.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// For how long at most an answer holds for the same question: the same headers of a client,
    /// for the same target, from the same address. Default 5 s; zero keeps none. A backend says
    /// less with `Cache-Control: max-age` or `no-store`. Refusals are kept only if it says
    /// `max-age`.
    #[must_use]
    pub const fn cache(mut self, time: Duration) -> Self {
        self.cache = time;
        self
    }

    /// The most requests at a time, each on a thread and a connection of its own. Default 16.
    #[must_use]
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Trusts these certificates, in PEM, instead of those that browsers trust.
    #[must_use]
    pub fn certificates(mut self, pem: &[u8]) -> Self {
        self.certificates = Some(pem.to_vec());
        self
    }

    /// Has clients with an API key verified by this, without the backend.
    #[must_use]
    pub fn api_keys(mut self, keys: Arc<dyn Verify>) -> Self {
        self.api_keys = Some(keys);
        self
    }

    /// Starts the threads that ask.
    ///
    /// # Errors
    /// If the URL or the certificates are wrong, or a thread cannot be started.
    pub fn start(self) -> Result<Subrequests, SetupError> {
        let Self { url, timeout, cache, connections, certificates, api_keys } = self;
        let connections = connections.max(1);
        let client = Client::new(&url, connections, certificates.as_deref())?;
        let pool = Pool::start(connections)?;
        let (known, counts, warned) = (Mutex::default(), Counts::default(), Mutex::default());
        let shared = Arc::new(Shared { client, timeout, cache, known, counts, warned });
        Ok(Subrequests { shared, pool: Arc::new(pool), api_keys })
    }
}

/// Asks a backend at each handshake what the client may do: a GET with the headers of the client.
///
/// The backend allows the client in with a status from 200 to 299 and a JSON object with the claims
/// of a token: `sub`, the user; the lists `publish` and `subscribe`, without which it may do
/// nothing; `exp`, if that ends. It refuses with 401 or 403; the first line of a `text/plain` body
/// is for the client. Any other answer, and none within the timeout, is a refusal with 503.
///
/// The request has the headers of the client, without those of its connection, and besides
/// `X-Original-URI`, `X-Original-Method`, `X-Forwarded-Host`, `X-Forwarded-For` if the server knows
/// addresses (`Config::peer_addresses`), and `Authorization` with a token that came elsewhere.
pub struct Subrequests {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    api_keys: Option<Arc<dyn Verify>>,
}

impl fmt::Debug for Subrequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subrequests").field("counts", &self.shared.counts).finish_non_exhaustive()
    }
}

/// What the loops and the threads share.
struct Shared {
    client: Client,
    timeout: Duration,
    cache: Duration,
    known: Mutex<Cache>,
    counts: Counts,
    warned: Mutex<Warned>,
}

/// When the last warning was, and how many have been left out since.
#[derive(Debug, Default)]
struct Warned {
    last: Option<Instant>,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Counts {
    allowed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    overloaded: AtomicU64,
    cached: AtomicU64,
}

/// A question with what is needed to ask it.
struct Asking {
    question: Question,
    key: Key,
    begun: Instant,
    /// The same, after the beginning of 1970.
    now: Duration,
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

impl Subrequests {
    /// Asks the backend at this URL, of `http` or `https`.
    pub fn of(url: impl Into<String>) -> Builder {
        Builder {
            url: url.into(),
            timeout: Duration::from_secs(3),
            cache: Duration::from_secs(5),
            connections: 16,
            certificates: None,
            api_keys: None,
        }
    }

    /// Whether a text in PEM has certificates that can be trusted.
    ///
    /// # Errors
    /// Why it has not.
    pub fn check_certificates(pem: &[u8]) -> Result<(), SetupError> {
        read_certificates(pem).map(drop)
    }

    /// Whether a text is the URL of a backend.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check_url(url: &str) -> Result<(), SetupError> {
        parse_url(url).map(drop).map_err(SetupError::Url)
    }
}

impl Verify for Subrequests {
    /// An API key, if there are any. The backend is asked at handshakes only, so a token is not
    /// accepted later.
    fn verify(
        &self,
        credential: &Credential<'_>,
        cx: &mut Verifying,
    ) -> Result<Authority, TokenError> {
        match (credential, &self.api_keys) {
            (Credential::ApiKey(_), Some(keys)) => keys.verify(credential, cx),
            (Credential::ApiKey(_), None) => Err(TokenError::Unsupported(NO_API_KEYS)),
            (Credential::Token(_), _) => Err(TokenError::Unsupported(NO_RENEWAL)),
        }
    }

    fn admit(&self, request: &Request<'_>, cx: &mut Verifying) -> Admission {
        let found = match authority::find_credential(request, None) {
            Ok(found) => found,
            Err(error) => return Admission::Now(Err(refuse(&error))),
        };
        if let (Some(Credential::ApiKey(_)), Some(keys)) = (&found, &self.api_keys) {
            return keys.admit(request, cx);
        }
        let question = Question::new(request, found.as_ref(), cx.max_topic);
        cx.charge(PER_BYTE * question.memory() as u64);
        let key = question.key();
        let now = Instant::now();
        if let Some(answer) = self.shared.known(&key, now) {
            self.shared.counts.cached.fetch_add(1, Ordering::Relaxed);
            return Admission::Now(answer);
        }
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        Admission::Later(Box::new(Asking { question, key, begun: now, now: cx.now, shared, pool }))
    }

    /// The threads wait for the backend, and an API key is looked up by a hash.
    fn is_costly(&self) -> bool {
        false
    }

    fn asked(&self) -> Option<AskCounts> {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(AskCounts {
            allowed: read(&counts.allowed),
            refused: read(&counts.refused),
            failed: read(&counts.failed),
            overloaded: read(&counts.overloaded),
            cached: read(&counts.cached),
        })
    }
}

impl authority::Question for Asking {
    fn memory(&self) -> usize {
        size_of::<Self>() + self.question.memory()
    }

    fn ask(self: Box<Self>, reply: Box<dyn Reply>) {
        let (pool, shared) = (Arc::clone(&self.pool), Arc::clone(&self.shared));
        // The job has the reply until it runs; if it is not added the reply is given here.
        let reply = Arc::new(Mutex::new(Some(reply)));
        let of_job = Arc::clone(&reply);
        let job = move || {
            if let Some(reply) = lock(&of_job).take() {
                self.run(reply);
            }
        };
        if pool.add(Box::new(job)).is_err()
            && let Some(reply) = lock(&reply).take()
        {
            shared.counts.overloaded.fetch_add(1, Ordering::Relaxed);
            shared.warn("too many clients wait to be asked about");
            reply.answer(Err(Rejection::BackendOverloaded.into()));
        }
    }
}

impl Asking {
    /// Asks, unless that is too late, and gives the answer.
    fn run(self, reply: Box<dyn Reply>) {
        let shared = Arc::clone(&self.shared);
        let answer = if !reply.is_open() {
            return;
        } else if self.begun.elapsed() >= shared.timeout {
            Err("the question has waited too long".to_owned())
        } else {
            self.answer()
        };
        let count = match &answer {
            Ok(Ok(_)) => &shared.counts.allowed,
            Ok(Err(_)) => &shared.counts.refused,
            Err(reason) => {
                shared.warn(reason);
                &shared.counts.failed
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        reply.answer(answer.unwrap_or_else(|_| Err(failed())));
    }

    /// What the backend decides.
    fn answer(&self) -> Result<Answer, String> {
        let left = self.shared.timeout.saturating_sub(self.begun.elapsed());
        let Shared { client, timeout, .. } = &*self.shared;
        let failed = |error| client.describe(&error, *timeout);
        let answered = client.ask(&self.question, left).map_err(failed)?;
        let now = self.now.saturating_add(self.begun.elapsed());
        let decided = judge(&answered, &self.question, now)?;
        let unsaid = if decided.answer.is_ok() { self.shared.cache } else { Duration::ZERO };
        let mut time = decided.max_age.unwrap_or(unsaid).min(self.shared.cache);
        // Somebody whose time is over is asked about again.
        if let Some(end) = decided.answer.as_ref().ok().and_then(Authority::ends) {
            time = time.min(end.saturating_sub(now));
        }
        if !time.is_zero() {
            let answer = decided.answer.clone();
            lock(&self.shared.known).add(self.key, answer, Instant::now(), time);
        }
        Ok(decided.answer)
    }
}

impl Shared {
    fn known(&self, key: &Key, now: Instant) -> Option<Answer> {
        if self.cache.is_zero() { None } else { lock(&self.known).get(key, now) }
    }

    /// Says what is wrong with the backend, but not for each client.
    fn warn(&self, reason: &str) {
        let mut warned = lock(&self.warned);
        if warned.last.is_some_and(|last| last.elapsed() < BETWEEN_WARNINGS) {
            warned.left_out += 1;
            return;
        }
        let Warned { left_out, .. } =
            std::mem::replace(&mut *warned, Warned { last: Some(Instant::now()), left_out: 0 });
        drop(warned);
        tracing::warn!(left_out, "the backend of auth-url decides nothing: {reason}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_takes_a_loop_long() {
        let asks = Subrequests::of("http://127.0.0.1:1/").connections(1).start().unwrap();
        assert!(!asks.is_costly());
    }
}
