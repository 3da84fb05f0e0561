//! The path, the query and the subprotocol of a request for `/pubsub`.

use crate::gateway::endpoint::Rules;
use crate::gateway::target::pairs;
use crate::protocol::websocket::handshake::{Refusal, Request};

/// The subprotocol of `/pubsub`.
pub const PROTOCOL: &str = "corecast.v1.json";

/// Whether the path belongs to this endpoint, however wrong the rest of it is.
pub(super) fn owns(path: &str) -> bool {
    matches!(path, "/pubsub" | "/pubsub/")
}

/// Checks a path and a query, both as they are in a request target. An error is one line for the
/// response with status 400.
pub(super) fn check(path: &str, query: Option<&str>, rules: Rules<'_>) -> Result<(), String> {
    if rules.route.is_none() && path != "/pubsub" {
        return Err("The path ends in a slash; connect to /pubsub.".into());
    }
    match pairs(query.unwrap_or_default(), &[], rules.foreign).next() {
        None => Ok(()),
        Some((name, _)) => {
            Err(format!("{path:.40} takes no parameter, but there is \"{name:.40}\"."))
        }
    }
}

/// The subprotocol to answer with.
///
/// # Errors
/// If the client offers subprotocols and this is none of them. Answered without one, browsers would
/// abort the connection without saying why (RFC 6455 section 4.1); answered with one of theirs,
/// clients would be told that it is spoken here.
pub(super) fn subprotocol(
    request: &Request<'_>,
    rules: Rules<'_>,
) -> Result<Option<Box<str>>, Refusal> {
    let (offered, bearer) = rules.offered(request);
    let mut offered = offered.peekable();
    if offered.peek().is_none() {
        return Ok(bearer.map(Into::into));
    }
    match offered.find(|name| *name == PROTOCOL) {
        Some(ours) => Ok(Some(ours.into())),
        None => Err(Refusal::bad_request(format!(
            "{:.40} knows the subprotocol {PROTOCOL} only; offer it, or none.",
            request.path
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::target::Foreign;

    fn of(names: &'static [&'static str]) -> Rules<'static> {
        Rules::of(64, Foreign::of(names))
    }

    fn parsed(path: &str, query: Option<&str>) -> Result<(), String> {
        check(path, query, of(&["token", "access_token"]))
    }

    #[test]
    fn what_is_the_applications_is_not_refused() {
        for query in ["jwt=1&v=2", "token=1", "", "&", "=&x"] {
            assert_eq!(check("/pubsub", Some(query), of(&["*"])), Ok(()), "{query}");
        }
        for (query, refused) in [("jwt=1", false), ("token=1", true), ("JWT=1", true)] {
            let found = check("/pubsub", Some(query), of(&["jwt"]));
            assert_eq!(found.is_err(), refused, "{query}");
        }
        assert!(check("/pubsub/", None, of(&["*"])).is_err());
    }

    #[test]
    fn credentials_are_left_to_the_application() {
        for query in ["token=abc", "access_token=a.b-c", "token", "token=", "token=1&token=2"] {
            assert_eq!(parsed("/pubsub", Some(query)), Ok(()), "{query}");
            for query in [format!("{query}&role=sub"), format!("role=sub&{query}")] {
                assert!(parsed("/pubsub", Some(&query)).is_err(), "{query}");
            }
        }
        for query in ["Token=1", "tokens=1", "token=1&x", "access-token=1", "jwt=1", "token=1&"] {
            assert!(parsed("/pubsub", Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn faults_are_named() {
        for query in [None, Some("")] {
            assert_eq!(parsed("/pubsub", query), Ok(()));
        }
        let cases = [
            ("/pubsub", "role=sub", "/pubsub takes no parameter, but there is \"role\"."),
            ("/pubsub", "x", "/pubsub takes no parameter, but there is \"x\"."),
            ("/pubsub", "&", "/pubsub takes no parameter, but there is \"\"."),
            ("/pubsub", "token=1&x=2", "/pubsub takes no parameter, but there is \"x\"."),
            ("/pubsub/", "", "The path ends in a slash; connect to /pubsub."),
        ];
        for (path, query, expected) in cases {
            assert_eq!(parsed(path, Some(query)), Err(expected.into()), "{path}?{query}");
            assert!(owns(path), "{path}");
        }
    }

    #[test]
    fn long_names_are_cut_in_the_message() {
        let why = parsed("/pubsub", Some(&"x".repeat(8000))).unwrap_err();
        assert!(why.len() < 120, "{why}");
    }
}
