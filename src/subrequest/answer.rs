//! What the answer of the backend means.

use std::time::Duration;

use super::cache::Answer;
use super::client::Answered;
use super::question::Question;
use crate::authority::{Claims, TokenError, refuse};
use crate::protocol::http::{Response, Status};
use crate::protocol::websocket::handshake::{Refusal, Rejection};

/// How far the clock of the backend may be from that of the server, as for tokens.
const LEEWAY: Duration = Duration::from_secs(10);
/// The most bytes of the line of a refusal.
const MAX_LINE: usize = 512;
const UNAUTHORIZED: &str = "The backend does not know this client.";
const FORBIDDEN: &str = "The backend does not allow this client to connect.";

/// What the backend has decided.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) answer: Answer,
    /// For how long the backend says that it holds. `None`: it says nothing.
    pub(super) max_age: Option<Duration>,
}

/// Judges an answer, at this time after the beginning of 1970.
///
/// # Errors
/// What is wrong with it, for the log: it is no decision.
pub(super) fn judge(
    answered: &Answered,
    question: &Question,
    now: Duration,
) -> Result<Decided, String> {
    let mut max_age = max_age(&answered.cache_control);
    let answer = match answered.status {
        200..=299 => {
            let error = |error: &str| format!("the body is no JSON object of claims: {error}");
            // An array would be taken for the claims in their order.
            if answered.body.trim_ascii_start().first() != Some(&b'{') {
                return Err(error("it does not begin with `{`"));
            }
            let claims: Claims = serde_json::from_slice(&answered.body)
                .map_err(|fault| error(&fault.to_string()))?;
            match claims.into_lasting_authority(now, LEEWAY, question.max_topic) {
                Ok(authority) => Ok(authority),
                // That is a decision, if one that comes late or early.
                Err(error @ (TokenError::Expired | TokenError::NotYet)) => {
                    // It was to be kept as a permission.
                    max_age = Some(Duration::ZERO);
                    Err(refuse(&error))
                }
                Err(error) => return Err(format!("the claims are wrong: {error}")),
            }
        }
        401 => Err(refusal(answered, Status::UNAUTHORIZED, UNAUTHORIZED)),
        403 => Err(refusal(answered, Status::FORBIDDEN, FORBIDDEN)),
        status => return Err(format!("its status is {status}")),
    };
    Ok(Decided { answer, max_age })
}

/// What a client is answered about whom nothing is known.
pub(super) fn failed() -> Refusal {
    Rejection::BackendFailed.into()
}

fn refusal(answered: &Answered, status: Status, default: &str) -> Refusal {
    let line = if answered.is_text { line(&answered.body) } else { None };
    let mut response = Response::text(status, format!("{}\n", line.unwrap_or(default)));
    if status == Status::UNAUTHORIZED {
        // It has to be there (RFC 9110 section 15.5.2).
        let challenge = answered.challenge.as_deref().unwrap_or("Bearer");
        let known = response.clone().with_header("WWW-Authenticate", challenge);
        response =
            known.unwrap_or_else(|_| response.with_known_header("WWW-Authenticate", "Bearer"));
    }
    let mut refusal = Refusal::from(response);
    refusal.rejection = Rejection::Backend(status);
    refusal
}

/// The text for the client: one line that can be read.
fn line(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?.lines().next()?.trim();
    let is_line = !text.is_empty() && text.len() <= MAX_LINE && !text.contains(char::is_control);
    is_line.then_some(text)
}

/// How long an answer may be kept (RFC 9111 section 5.2.2).
fn max_age(cache_control: &str) -> Option<Duration> {
    let mut age = None;
    for directive in cache_control.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            // A value that is wrong is taken as over (RFC 9111 section 4.2.1).
            let seconds = value.trim_matches('"').parse().unwrap_or(0);
            age = Some(Duration::from_secs(seconds));
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::{Filter, Topic};

    fn judged(status: u16, body: &str) -> Result<Answer, String> {
        with(status, body, None, true).map(|decided| decided.answer)
    }

    fn with(
        status: u16,
        body: &str,
        challenge: Option<&str>,
        is_text: bool,
    ) -> Result<Decided, String> {
        let answered = Answered {
            status,
            challenge: challenge.map(str::to_owned),
            cache_control: "max-age=60".to_owned(),
            is_text,
            body: body.as_bytes().to_vec(),
        };
        judge(&answered, &Question::empty(255), Duration::from_secs(1_000))
    }

    fn written(refusal: &Refusal) -> String {
        let mut out = Vec::new();
        refusal.write_response(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_client_may_do_what_the_claims_say() {
        let body = r#"{"sub":"ann","publish":["chat/{sub}"],"subscribe":["chat/#"],"exp":1001}"#;
        let authority = judged(200, body).unwrap().unwrap();
        assert_eq!(authority.user(), "ann");
        assert!(authority.may_publish(&Topic::new("chat/ann", 255).unwrap()));
        assert!(!authority.may_publish(&Topic::new("chat/bob", 255).unwrap()));
        assert!(authority.may_subscribe(&Filter::new("chat/+", 255).unwrap()));
        assert_eq!(authority.ends(), Some(Duration::from_secs(1_011)), "with the leeway");
        let endless = judged(200, r#"{"sub":"ann"}"#).unwrap().unwrap();
        assert_eq!((endless.ends(), endless.publish().len()), (None, 0));
    }

    #[test]
    fn what_is_no_decision_allows_nothing() {
        for (status, body) in [
            (200, ""),
            (200, "ok"),
            (200, "{}"),
            (200, r#"["ok"]"#),
            (200, r##"["ann",null,null,"#","#"]"##),
            (200, r#"{"sub":""}"#),
            (200, r#"{"sub":"ann","publish":["a//#/b"]}"#),
            (204, ""),
            (302, ""),
            (404, "not found"),
            (500, r#"{"sub":"ann"}"#),
        ] {
            assert!(judged(status, body).is_err(), "{status} {body}");
        }
    }

    /// The clocks may be 10 s apart.
    #[test]
    fn claims_whose_time_is_over_are_a_refusal() {
        for (claims, is_allowed) in [
            ("\"exp\":991", true),
            ("\"exp\":990", false),
            ("\"nbf\":1010", true),
            ("\"nbf\":1011", false),
        ] {
            let body = format!("{{\"sub\":\"ann\",{claims}}}");
            let Decided { answer, max_age } = with(200, &body, None, true).unwrap();
            assert_eq!(answer.is_ok(), is_allowed, "{claims}");
            // Such a refusal is not kept: it was to be kept as a permission.
            assert_eq!(max_age, Some(Duration::from_secs(if is_allowed { 60 } else { 0 })));
            if let Err(refusal) = answer {
                assert!(written(&refusal).starts_with("HTTP/1.1 401 "), "{claims}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_the_backend_says() {
        let text = written(&judged(401, "Log in first.\nMore").unwrap().unwrap_err());
        assert!(text.starts_with("HTTP/1.1 401 ") && text.ends_with("\r\n\r\nLog in first.\n"));
        assert!(text.contains("WWW-Authenticate: Bearer\r\n"), "{text}");
        let refused = with(401, "", Some("Basic realm=\"x\""), true).unwrap().answer.unwrap_err();
        assert!(written(&refused).contains("WWW-Authenticate: Basic realm=\"x\"\r\n"));
        assert_eq!(refused.rejection, Rejection::Backend(Status::UNAUTHORIZED));
        let wrong = with(401, "", Some("a\r\nSet-Cookie: b"), true).unwrap().answer.unwrap_err();
        assert!(!written(&wrong).contains("Set-Cookie"));
        for body in ["\u{1b}[2J", "", &"a".repeat(MAX_LINE + 1)] {
            let text = written(&judged(403, body).unwrap().unwrap_err());
            assert!(text.ends_with(&format!("{FORBIDDEN}\n")), "{text}");
        }
        let html = with(403, "<p>no", None, false).unwrap().answer.unwrap_err();
        assert!(written(&html).ends_with(&format!("{FORBIDDEN}\n")));
    }

    #[test]
    fn the_backend_says_how_long_an_answer_holds() {
        for (text, expected) in [
            ("", None),
            ("private", None),
            ("max-age=30", Some(30)),
            ("private, Max-Age=\"5\"", Some(5)),
            ("max-age=30, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=abc", Some(0)),
        ] {
            assert_eq!(max_age(text), expected.map(Duration::from_secs), "{text}");
        }
    }
}
