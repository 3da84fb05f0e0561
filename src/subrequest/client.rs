//! The HTTP client.

use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error};

use super::error::SetupError;
use super::question::Question;
use super::resolver::OneHost;

/// The most bytes of the body of an answer.
pub(super) const MAX_BODY: u64 = 64 << 10;

/// What the backend has answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// The header `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    pub(super) cache_control: String,
    /// Whether the body is plain text.
    pub(super) is_text: bool,
    pub(super) body: Vec<u8>,
}

/// A client of one backend. It keeps its connections.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    url: Uri,
}

/// Whether this is the URL of a backend.
pub(super) fn parse_url(url: &str) -> Result<Uri, String> {
    if !url.contains("://") {
        return Err(format!("it has no scheme; write `http://{url}`"));
    }
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.host().is_none_or(str::is_empty) {
        return Err("it has to begin with http:// or https:// and a host".to_owned());
    }
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err("it must not have a user and a password".to_owned());
    }
    if let Some(authority) = uri.authority()
        && authority.as_str().len() > authority.host().len()
        && authority.port_u16().is_none()
    {
        return Err("its port is not from 0 to 65535".to_owned());
    }
    Ok(uri)
}

impl Client {
    /// Of this backend. With certificates in PEM only these are trusted, else those that browsers
    /// trust.
    pub(super) fn new(
        url: &str,
        connections: usize,
        certificates: Option<&[u8]>,
    ) -> Result<Self, SetupError> {
        let url = parse_url(url).map_err(SetupError::Url)?;
        let roots = match certificates {
            Some(pem) => RootCerts::new_with_certs(&read_certificates(pem)?),
            None => RootCerts::WebPki,
        };
        let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
        let port = url.port_u16().unwrap_or(default);
        let resolver = OneHost::new(url.host().unwrap_or_default(), port)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // What a redirect leads to is not the backend.
            .max_redirects(0)
            // What the environment says of proxies is not for this.
            .proxy(None)
            .accept("application/json")
            .user_agent("corecast")
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Ok(Self { agent, url })
    }

    /// What the log says of an error: without the path of the URL, which may have a secret.
    pub(super) fn describe(&self, error: &Error, timeout: Duration) -> String {
        let host = self.url.authority().map_or("the backend", |authority| authority.as_str());
        match error {
            Error::Timeout(_) => {
                let seconds = timeout.as_secs_f64();
                format!("{host} has not answered within {seconds} s; see --auth-timeout")
            }
            Error::HostNotFound => format!("the name of {host} is not known, or not looked up yet"),
            Error::Io(error) => match certificate_fault(&error.to_string()) {
                Some(fault) => format!("the certificate of {host} is not accepted: {fault}"),
                None => format!("{host}: {error}"),
            },
            _ => format!("{host}: {error}"),
        }
    }

    /// Asks, and waits for the answer, so long at most.
    pub(super) fn ask(&self, question: &Question, limit: Duration) -> Result<Answered, Error> {
        let mut request = Request::get(self.url.clone());
        if let Some(headers) = request.headers_mut() {
            for (name, value) in question.headers() {
                let name = HeaderName::from_bytes(name.as_bytes());
                // Both were parsed before.
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                    headers.append(name, value);
                }
            }
        }
        let request = self.agent.configure_request(request.body(())?);
        let mut response = self.agent.run(request.timeout_global(Some(limit)).build())?;
        let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec();
        // A refusal is one without its text as well.
        let body = match response.status().as_u16() {
            401 | 403 => body.unwrap_or_default(),
            _ => body?,
        };
        Ok(answered(&response, body))
    }
}

/// What is wrong with a certificate, in words, if that is what an error is about.
fn certificate_fault(error: &str) -> Option<String> {
    let (_, fault) = error.split_once("invalid peer certificate: ")?;
    Some(match fault {
        _ if fault.contains("CaUsedAsEndEntity") => "it is that of a certificate authority, as \
            `openssl req -x509` makes it by default; give --auth-ca such a one and the backend \
            another one that it has signed"
            .to_owned(),
        _ if fault.contains("UnknownIssuer") => "who has signed it is not trusted; name the \
            certificate of that authority with --auth-ca"
            .to_owned(),
        _ => fault.to_owned(),
    })
}

fn answered(response: &Response<Body>, body: Vec<u8>) -> Answered {
    let header = |name: &str| {
        let values = response.headers().get_all(name).iter();
        // What cannot be read must not be taken for leave to keep the answer.
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap_or("no-store")).collect();
        values.join(", ")
    };
    let challenge = Some(header("www-authenticate")).filter(|it| !it.is_empty());
    Answered {
        status: StatusCode::as_u16(&response.status()),
        challenge,
        cache_control: header("cache-control"),
        is_text: header("content-type").to_ascii_lowercase().starts_with("text/plain"),
        body,
    }
}

/// The certificates in a text in PEM.
pub(super) fn read_certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, SetupError> {
    let mut all = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(one)) => all.push(one),
            Ok(_) => {}
            Err(error) => return Err(SetupError::Certificates(error.to_string())),
        }
    }
    match all.is_empty() {
        true => Err(SetupError::Certificates("there is none".to_owned())),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_a_host() {
        for url in ["http://127.0.0.1:8000/auth", "https://example.org", "http://[::1]:1/a?b=c"] {
            assert!(parse_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "/auth",
            "example.org",
            "ftp://a/",
            "http://",
            "http://u:p@a/",
            "a b",
            "http://a:80000/",
        ] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn errors_are_told_with_the_host_and_without_the_rest_of_the_url() {
        let client = Client::new("https://a.example:8443/auth?key=secret", 1, None).unwrap();
        let io = |text: &str| Error::Io(std::io::Error::other(text));
        for (error, expected) in [
            (Error::HostNotFound, "a.example:8443 is not known"),
            (io("Connection refused"), "a.example:8443: Connection refused"),
            (
                io("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))"),
                "another one that it has signed",
            ),
            (io("invalid peer certificate: UnknownIssuer"), "with --auth-ca"),
            (io("invalid peer certificate: Expired"), "not accepted: Expired"),
        ] {
            let text = client.describe(&error, Duration::from_secs(3));
            assert!(text.contains(expected) && !text.contains("secret"), "{text}");
            assert!(text.contains("a.example:8443"), "{text}");
        }
    }

    #[test]
    fn certificates_have_to_be_there() {
        let error = Client::new("https://a", 1, Some(b"no"));
        assert!(matches!(error, Err(SetupError::Certificates(_))));
    }
}
