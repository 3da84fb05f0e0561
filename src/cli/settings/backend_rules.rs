//! Contradictions of the settings of a backend that decides.

use corecast::protocol::websocket::handshake::Origins;

use super::check::Check;

pub(super) fn two_decide(check: &Check<'_>) -> Vec<String> {
    let (auth, verifies) = (&check.options.auth, check.options.tokens.verifies_tokens());
    let [url, secret, key, jwks] =
        ["auth-url", "token-secret", "token-key", "token-jwks"].map(|it| check.name(it));
    let text = || format!("{url} and {secret}, {key} or {jwks}: only one decides; leave out one");
    (auth.url.is_some() && verifies).then(text).into_iter().collect()
}

/// What is said of the backend has no effect without one.
pub(super) fn without_url(check: &Check<'_>, name: &str) -> Vec<String> {
    let is_alone = check.is_changed(name) && check.options.auth.url.is_none();
    let text = || format!("{} needs {}", check.name(name), check.name("auth-url"));
    is_alone.then(text).into_iter().collect()
}

pub(super) fn ca_without_https(check: &Check<'_>) -> Vec<String> {
    let is_plain = check.options.auth.url.as_ref().is_some_and(|url| !url.starts_with("https:"));
    let [ca, url] = ["auth-ca", "auth-url"].map(|name| check.name(name));
    let text = || format!("{ca} has no effect without https in {url}");
    (is_plain && check.is_changed("auth-ca")).then(text).into_iter().collect()
}

pub(super) fn auth_too_slow(check: &Check<'_>) -> Vec<String> {
    let (auth, handshake) = (&check.options.auth, check.options.config.timeouts.handshake);
    if auth.url.is_none() || auth.timeout < handshake {
        return Vec::new();
    }
    let [timeout, handshake] = ["auth-timeout", "handshake-timeout"].map(|name| check.show(name));
    vec![format!("{timeout} is not less than {handshake}; lower it or raise the other")]
}

pub(super) fn backend_of_any_page(check: &Check<'_>) -> Vec<String> {
    let is_any = check.options.config.origins == Origins::Any;
    if check.options.auth.url.is_none() || !is_any {
        return Vec::new();
    }
    vec![format!(
        "{} needs {} with the origins of your pages: the backend is sent cookies, and any page \
         could use those of its visitors",
        check.name("auth-url"),
        check.name("allow-origin")
    )]
}
