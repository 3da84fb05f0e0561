//! Settings that have no effect without another one.

use super::check::Check;

/// A burst is there with its rate only.
pub(super) fn burst_without_rate(check: &Check<'_>, burst: &str, rate: &str) -> Vec<String> {
    let is_alone = check.is_changed(burst) && !check.is_changed(rate);
    let text = || format!("{} has no effect without {}", check.name(burst), check.name(rate));
    is_alone.then(text).into_iter().collect()
}

/// A policy for those who send too fast is there with a rate only: one of the server, or one of a
/// route that has no policy of its own.
pub(super) fn policy_without_rate(check: &Check<'_>) -> Vec<String> {
    let [policy, messages, bytes] = ["rate-policy", "message-rate", "byte-rate"];
    let is_for_route = check.tables.iter().any(|table| {
        let has = |key: &str| table.has(key);
        table.is_broken || (has(messages) || has(bytes)) && !has(policy)
    });
    let has_rate = check.is_changed(messages) || check.is_changed(bytes) || is_for_route;
    let [shown, messages, bytes] = [policy, messages, bytes].map(|name| check.name(name));
    let text = || format!("{shown} has no effect without {messages} or {bytes}");
    (check.is_changed(policy) && !has_rate).then(text).into_iter().collect()
}

/// A window is kept if messages are compressed. Routes that have them compressed say themselves
/// whether windows are kept.
pub(super) fn takeover_without_deflate(check: &Check<'_>, takeover: &str) -> Vec<String> {
    let is_alone = check.is_changed(takeover) && !check.options.config.deflate.enabled;
    let text =
        || format!("{} has no effect without {}", check.name(takeover), check.name("deflate"));
    is_alone.then(text).into_iter().collect()
}

/// What is said of tokens has no effect without keys that verify them.
#[cfg(feature = "tokens")]
pub(super) fn without_keys(check: &Check<'_>, name: &str) -> Vec<String> {
    let is_alone = check.is_changed(name) && !check.options.tokens.verifies_tokens();
    let [name, secret, key, jwks] =
        [name, "token-secret", "token-key", "token-jwks"].map(|it| check.name(it));
    let text = || format!("{name} needs {secret}, {key} or {jwks}");
    is_alone.then(text).into_iter().collect()
}
