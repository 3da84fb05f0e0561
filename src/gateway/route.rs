//! The endpoint that a request is for, by its path and query.

use crate::pubsub::Topic;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/topics/<topic>`: messages are payloads of one topic, as they are.
    Raw {
        /// The rest of the path, decoded.
        topic: Topic,
        /// The parameter `role`.
        role: Role,
        /// The parameter `echo`: whether the client is sent its own messages.
        echo: bool,
    },
    /// `/pubsub`: messages are requests and answers in JSON.
    Json,
    /// The application.
    Application,
}

/// Whether a client of one topic publishes, subscribes, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Publishes and subscribes: the default.
    Both,
    /// Subscribes only.
    Sub,
    /// Publishes only.
    Pub,
}

/// Whether the path belongs to an endpoint of the server, however wrong the rest of it is.
pub(crate) fn is_endpoint(path: &str) -> bool {
    let rest = path.strip_prefix("/topics");
    matches!(path, "/pubsub" | "/pubsub/")
        || rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// The endpoint for a path and a query, both as they are in a request target: visible ASCII. Topics
/// may have `max_topic` bytes. An error is one line for the response with status 400.
pub(crate) fn route(path: &str, query: Option<&str>, max_topic: usize) -> Result<Route, String> {
    if !is_endpoint(path) {
        return Ok(Route::Application);
    }
    match path.strip_prefix("/topics") {
        Some("" | "/") => Err("The path names no topic; connect to /topics/<topic>.".into()),
        Some(rest) => raw(rest.strip_prefix('/').unwrap_or(rest), query, max_topic),
        None if path == "/pubsub" => json(query),
        None => Err("The path ends in a slash; connect to /pubsub.".into()),
    }
}

fn raw(encoded: &str, query: Option<&str>, max_topic: usize) -> Result<Route, String> {
    let topic = Topic::new(&percent_decode(encoded)?, max_topic)
        .map_err(|error| format!("The topic in the path is not valid: {error}."))?;
    let (role, echo) = parameters(query.unwrap_or_default())?;
    Ok(Route::Raw { topic, role, echo })
}

fn json(query: Option<&str>) -> Result<Route, String> {
    match pairs(query.unwrap_or_default()).next() {
        None => Ok(Route::Json),
        Some((name, _)) => Err(format!("/pubsub takes no parameter, but there is \"{name:.40}\".")),
    }
}

/// The names and values of a query, without those that carry the client's credentials. Those are
/// for the application, which has decided about the client by them: a page cannot set a header of
/// the request, so a token comes in the query. (`access_token` is from RFC 6750 section 2.3.)
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pair = |parameter| str::split_once(parameter, '=').unwrap_or((parameter, ""));
    let all = query.split('&').filter(|_| !query.is_empty()).map(pair);
    all.filter(|(name, _)| !matches!(*name, "token" | "access_token"))
}

fn parameters(query: &str) -> Result<(Role, bool), String> {
    let (mut role, mut echo) = (None, None);
    for (name, value) in pairs(query) {
        let repeated = match name {
            "role" => role
                .replace(match value {
                    "both" => Role::Both,
                    "sub" => Role::Sub,
                    "pub" => Role::Pub,
                    _ => return Err("The parameter role is not both, sub or pub.".into()),
                })
                .is_some(),
            "echo" => echo
                .replace(match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err("The parameter echo is not 0 or 1.".into()),
                })
                .is_some(),
            _ => {
                return Err(format!(
                    "The parameter \"{name:.40}\" is not known; known are role and echo."
                ));
            }
        };
        if repeated {
            return Err(format!("The parameter {name} is there twice; give it once."));
        }
    }
    Ok((role.unwrap_or(Role::Both), echo.unwrap_or(true)))
}

/// Decodes `%` and two hexadecimal digits (RFC 3986 section 2.1). `+` is not decoded.
fn percent_decode(text: &str) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
        let Some((high, low)) = digits else {
            return Err("A % in the path has no two hexadecimal digits after it.".into());
        };
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map_err(|_| "The topic in the path is not valid UTF-8.".into())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(topic: &str, role: Role, echo: bool) -> Route {
        Route::Raw { topic: Topic::new(topic, 1024).unwrap(), role, echo }
    }

    #[test]
    fn paths_name_endpoints() {
        let both = |topic| raw(topic, Role::Both, true);
        let cases = [
            ("/topics/a", both("a")),
            ("/topics/a/b", both("a/b")),
            ("/topics/a%2Fb%2fc", both("a/b/c")),
            ("/topics//a/", both("/a/")),
            ("/topics/%2F", both("/")),
            ("/topics/a%20b%25", both("a b%")),
            // Once, not twice.
            ("/topics/%2541", both("%41")),
            ("/topics/%c3%A9%F0%9f%98%80", both("\u{e9}\u{1f600}")),
            ("/topics/topics/", both("topics/")),
            ("/pubsub", Route::Json),
            ("/", Route::Application),
            ("", Route::Application),
            ("/topicsx", Route::Application),
            ("/topics%2Fa", Route::Application),
            ("/Topics/a", Route::Application),
            ("/topic", Route::Application),
            ("//topics/a", Route::Application),
            ("topics/a", Route::Application),
            ("/pubsub/x", Route::Application),
            ("/pubsubx", Route::Application),
            ("/pub%73ub", Route::Application),
        ];
        for (path, expected) in cases {
            assert_eq!(route(path, None, 64), Ok(expected.clone()), "{path}");
            assert_eq!(is_endpoint(path), expected != Route::Application, "{path}");
            assert_eq!(route(path, Some(""), 64), Ok(expected), "{path}?");
        }
    }

    #[test]
    fn parameters_are_taken() {
        let cases = [
            ("role=both", Role::Both, true),
            ("role=sub", Role::Sub, true),
            ("role=pub&echo=0", Role::Pub, false),
            ("echo=0", Role::Both, false),
            ("echo=1", Role::Both, true),
            ("role=sub&echo=1", Role::Sub, true),
            ("echo=1&role=both", Role::Both, true),
        ];
        for (query, role, echo) in cases {
            assert_eq!(route("/topics/a", Some(query), 64), Ok(raw("a", role, echo)), "{query}");
        }
        // The query of another path is the application's.
        assert_eq!(route("/other", Some("role=x"), 64), Ok(Route::Application));
    }

    #[test]
    fn faults_are_named() {
        let digits = "A % in the path has no two hexadecimal digits after it.";
        let none = "The path names no topic; connect to /topics/<topic>.";
        let utf8 = "The topic in the path is not valid UTF-8.";
        let role = "The parameter role is not both, sub or pub.";
        let echo = "The parameter echo is not 0 or 1.";
        let cases = [
            ("/topics", "", none),
            ("/topics/", "", none),
            ("/topics", "role=sub", none),
            ("/topics/%", "", digits),
            ("/topics/a%4", "", digits),
            ("/topics/%4g", "", digits),
            ("/topics/%g4", "", digits),
            ("/topics/%%41", "", digits),
            ("/topics/%+1", "", digits),
            ("/topics/%ff", "", utf8),
            ("/topics/%c3", "", utf8),
            ("/topics/%ed%a0%80", "", utf8),
            ("/topics/a", "role", role),
            ("/topics/a", "role=", role),
            ("/topics/a", "role=Sub", role),
            ("/topics/a", "role=%73ub", role),
            ("/topics/a", "role=sub=1", role),
            ("/topics/a", "echo", echo),
            ("/topics/a", "echo=2", echo),
            ("/topics/a", "echo=true", echo),
            ("/topics/a", "echo=01", echo),
            ("/topics/a", "role=sub&role=sub", "The parameter role is there twice; give it once."),
            (
                "/topics/a",
                "echo=0&role=sub&echo=1",
                "The parameter echo is there twice; give it once.",
            ),
            (
                "/topics/a",
                "rôle=sub",
                "The parameter \"rôle\" is not known; known are role and echo.",
            ),
            (
                "/topics/a",
                "ROLE=sub",
                "The parameter \"ROLE\" is not known; known are role and echo.",
            ),
            ("/topics/a", "echo=1&", "The parameter \"\" is not known; known are role and echo."),
            ("/topics/a", "&", "The parameter \"\" is not known; known are role and echo."),
            ("/topics/a", "=", "The parameter \"\" is not known; known are role and echo."),
            ("/pubsub", "role=sub", "/pubsub takes no parameter, but there is \"role\"."),
            ("/pubsub", "x", "/pubsub takes no parameter, but there is \"x\"."),
            ("/pubsub", "&", "/pubsub takes no parameter, but there is \"\"."),
            ("/pubsub", "token=1&x=2", "/pubsub takes no parameter, but there is \"x\"."),
            ("/pubsub/", "", "The path ends in a slash; connect to /pubsub."),
        ];
        for (path, query, expected) in cases {
            assert_eq!(route(path, Some(query), 64), Err(expected.into()), "{path}?{query}");
            assert!(is_endpoint(path), "{path}");
        }
    }

    #[test]
    fn credentials_are_left_to_the_application() {
        for query in ["token=abc", "access_token=a.b-c", "token", "token=", "token=1&token=2"] {
            assert_eq!(route("/pubsub", Some(query), 64), Ok(Route::Json), "{query}");
            let both = raw("a", Role::Both, true);
            assert_eq!(route("/topics/a", Some(query), 64), Ok(both), "{query}");
            for query in [format!("{query}&role=sub"), format!("role=sub&{query}")] {
                let sub = raw("a", Role::Sub, true);
                assert_eq!(route("/topics/a", Some(&query), 64), Ok(sub), "{query}");
                assert!(route("/pubsub", Some(&query), 64).is_err(), "{query}");
            }
        }
        for query in ["Token=1", "tokens=1", "token=1&x", "access-token=1", "jwt=1", "token=1&"] {
            assert!(route("/pubsub", Some(query), 64).is_err(), "{query}");
            assert!(route("/topics/a", Some(query), 64).is_err(), "{query}");
        }
    }

    #[test]
    fn topics_have_to_be_valid() {
        for path in ["/topics/a%23", "/topics/%2B/a", "/topics/+", "/topics/a%00", "/topics/abcde"]
        {
            let why = route(path, None, 4).unwrap_err();
            assert!(why.starts_with("The topic in the path is not valid: "), "{path}: {why}");
            assert!(!why.contains(['\n', '\r']), "{path}: {why}");
        }
        // The limit is one of bytes, and counts what is decoded.
        assert_eq!(route("/topics/%61bcd", None, 4), Ok(raw("abcd", Role::Both, true)));
        assert!(route("/topics/abc%C3%A9", None, 4).is_err());
    }

    #[test]
    fn long_names_are_cut_in_the_message() {
        let why = route("/topics/a", Some(&"x".repeat(8000)), 64).unwrap_err();
        assert!(why.len() < 120, "{why}");
        let why = route("/pubsub", Some(&"x".repeat(8000)), 64).unwrap_err();
        assert!(why.len() < 120, "{why}");
    }

    #[test]
    fn every_byte_survives_encoding() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let text: String = (0..random.usize(1..12)).map(|_| random.char(..)).collect();
            let Ok(topic) = Topic::new(&text, 64) else { continue };
            let path: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let expected = Route::Raw { topic, role: Role::Both, echo: true };
            assert_eq!(route(&format!("/topics/{path}"), None, 64), Ok(expected));
        }
    }
}
