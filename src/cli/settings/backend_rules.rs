//! Contradictions of the settings of a backend that decides.

use corecast::protocol::websocket::handshake::Origins;

use super::check::Check;

pub(super) fn two_decide(check: &Check<'_>) -> Vec<String> {
    let (auth, tokens) = (&check.options.auth, &check.options.tokens);
    let verifies = !(tokens.secrets.is_empty() && tokens.keys.is_empty() && tokens.jwks.is_empty());
    let [url, secret, key, jwks] =
        ["auth-url", "token-secret", "token-key", "token-jwks"].map(|it| check.name(it));
    let text = || format!("{url} and {secret}, {key} or {jwks}: only one decides; leave out one");
    (auth.url.is_some() && verifies).then(text).into_iter().collect()
}

pub(super) fn auth_in_part(check: &Check<'_>) -> Vec<String> {
    let url = check.name("auth-url");
    match &check.options.auth.url {
        None => {
            let names = ["auth-timeout", "auth-cache", "auth-connections", "auth-ca"];
            let changed = names.into_iter().filter(|name| check.is_changed(name));
            changed.map(|name| format!("{} needs {url}", check.name(name))).collect()
        }
        Some(text) if check.is_changed("auth-ca") && !text.starts_with("https:") => {
            vec![format!("{} has no effect without https in {url}", check.name("auth-ca"))]
        }
        Some(_) => Vec::new(),
    }
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
