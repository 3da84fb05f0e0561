//! All that `corecast serve` does as it is told, with its defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use corecast::config::{Access, Compression, Config, Pattern, RouteTo};
use corecast::protocol::websocket::handshake::Origins;
use corecast::server::Server;

use super::level::Level;
use crate::cli::listen::{Listens, default_listen};

/// What the settings say.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The settings of the server.
    pub(crate) config: Config,
    pub(crate) listen: Vec<Listens>,
    pub(crate) listen_tls: Vec<Listens>,
    pub(crate) tls_cert: Vec<PathBuf>,
    pub(crate) tls_key: Vec<PathBuf>,
    pub(crate) tokens: TokenOptions,
    pub(crate) auth: AuthOptions,
    /// `None`: all that the process may use.
    pub(crate) cores: Option<Vec<usize>>,
    pub(crate) loops_per_core: usize,
    pub(crate) admin: AdminOptions,
    /// Where a successor takes over.
    pub(crate) hand_over: Option<PathBuf>,
    pub(crate) log: LogOptions,
    /// The keys that only routes have, while one is read.
    pub(crate) draft: Draft,
}

/// What a route says besides what is a setting of the server as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) path: Option<Pattern>,
    pub(crate) to: Option<RouteTo>,
    pub(crate) compression: Option<Compression>,
    pub(crate) access: Option<Access>,
}

/// Where the server is administrated, and by whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdminOptions {
    pub(crate) listen: Vec<Listens>,
    pub(crate) token_file: Option<PathBuf>,
}

/// How the log is written, and what is.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogOptions {
    pub(crate) format: LogFormat,
    /// `None`: as a variable says, or the default.
    pub(crate) level: Option<Level>,
}

/// Which tokens and API keys are accepted.
#[derive(Clone, Debug)]
pub(crate) struct TokenOptions {
    pub(crate) secrets: Vec<PathBuf>,
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) jwks: Vec<PathBuf>,
    pub(crate) api_keys: Vec<PathBuf>,
    #[cfg_attr(not(feature = "tokens"), expect(dead_code))]
    pub(crate) audiences: Vec<String>,
    #[cfg_attr(not(feature = "tokens"), expect(dead_code))]
    pub(crate) leeway: Duration,
    pub(crate) cookie: Option<String>,
}

impl TokenOptions {
    /// Whether clients of topics need a token or an API key.
    pub(crate) const fn is_used(&self) -> bool {
        self.verifies_tokens() || !self.api_keys.is_empty()
    }

    /// Whether there are keys with which tokens are verified.
    pub(crate) const fn verifies_tokens(&self) -> bool {
        !self.secrets.is_empty() || !self.keys.is_empty() || !self.jwks.is_empty()
    }
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            keys: Vec::new(),
            jwks: Vec::new(),
            api_keys: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(10),
            cookie: None,
        }
    }
}

/// The backend that is asked about clients.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "auth-url"), expect(dead_code))]
pub(crate) struct AuthOptions {
    pub(crate) url: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) cache: Duration,
    pub(crate) connections: usize,
    pub(crate) ca: Vec<PathBuf>,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_secs(3),
            cache: Duration::from_secs(5),
            connections: 16,
            ca: Vec::new(),
        }
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The defaults of the command: those of the library, but for [`DIFFERENCES`].
impl Default for Options {
    fn default() -> Self {
        let mut config = Config::default();
        config.origins = Origins::Any;
        config.deflate.enabled = true;
        config.peer_addresses = true;
        Self {
            config,
            listen: vec![default_listen()],
            listen_tls: Vec::new(),
            tls_cert: Vec::new(),
            tls_key: Vec::new(),
            tokens: TokenOptions::default(),
            auth: AuthOptions::default(),
            cores: None,
            loops_per_core: 1,
            admin: AdminOptions::default(),
            hand_over: None,
            log: LogOptions::default(),
            draft: Draft::default(),
        }
    }
}

impl Options {
    /// The settings of the server.
    pub(crate) fn config(&self) -> Config {
        let mut config = self.config.clone();
        // The lines of the log and the questions to a backend have the addresses of clients.
        config.peer_addresses |= config.access_log || self.auth.url.is_some();
        config
    }

    /// The files of certificates, keys and the admin token.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let Self { tls_cert, tls_key, tokens, auth, .. } = self;
        let TokenOptions { secrets, keys, jwks, api_keys, .. } = tokens;
        let lists = [tls_cert, tls_key, secrets, keys, jwks, api_keys, &auth.ca];
        let all = lists.into_iter().flatten().chain(&self.admin.token_file);
        all.map(PathBuf::as_path)
    }

    /// Whether clients of topics are let in only if something allows it.
    pub(crate) const fn has_authority(&self) -> bool {
        self.tokens.is_used() || self.auth.url.is_some()
    }

    /// The server of these options, without TLS, keys of tokens and administration.
    pub(crate) fn server(&self) -> Server {
        // The echo never blocks its loop, so the watchdog thread is not needed.
        let mut server =
            Server::new(self.config()).loops_per_core(self.loops_per_core).watchdog(None);
        for listen in self.listen.iter().flat_map(|listens| &listens.places) {
            server = server.listen_on(listen.clone());
        }
        if let Some(path) = &self.hand_over {
            server = server.hand_over(path);
        }
        match &self.cores {
            Some(cores) => server.cores(cores.clone()),
            None => server,
        }
    }
}

/// A default of the command that is not the one of the library.
#[cfg(test)]
pub(crate) struct Difference {
    /// The path of the field, as `Debug` of [`Server`] has it.
    pub(crate) field: &'static str,
    /// Its name in the library.
    pub(crate) name: &'static str,
    pub(crate) library: &'static str,
    pub(crate) command: &'static str,
    pub(crate) reason: &'static str,
}

/// All such defaults. The documents have this table, and a test knows that there are no others.
#[cfg(test)]
pub(crate) const DIFFERENCES: [Difference; 5] = [
    Difference {
        field: "listen",
        name: "`Server::listen`",
        library: "nothing; `start` fails",
        command: "`127.0.0.1:9001`",
        reason: "a program says where it listens; the command is to run at once",
    },
    Difference {
        field: "config.origins",
        name: "`Config::origins`",
        library: "the host of the request",
        command: "every origin",
        reason: "a program may know its visitors by cookies, which a page of another site must not \
                 use; the command knows nobody, and is tried out from any page",
    },
    Difference {
        field: "config.deflate.enabled",
        name: "`Config::deflate.enabled`",
        library: "`false`",
        command: "`true`",
        reason: "compression costs a program processor time, and may tell secrets that are sent \
                 beside what others choose; test clients of the command expect to negotiate it",
    },
    Difference {
        field: "config.peer_addresses",
        name: "`Config::peer_addresses`",
        library: "`false`",
        command: "`true`",
        reason: "a program that logs nothing need not pay 32 bytes for each connection; the lines \
                 of the command about refusals name the client",
    },
    Difference {
        field: "watchdog",
        name: "`Server::watchdog`",
        library: "1 s",
        command: "off",
        reason: "it watches over callbacks of a program, and the command's never block",
    },
];
