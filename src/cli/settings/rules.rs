//! Settings that contradict one another.
//!
//! A combination is refused if it cannot work, or if one of its values can have no effect and was
//! chosen: a default that has none because of another setting is fine.

use std::collections::BTreeMap;

#[cfg(feature = "tokens")]
use corecast::protocol::websocket::handshake::Origins;
use corecast::server::Listen;

#[cfg(feature = "auth-url")]
use super::backend_rules::{
    auth_too_slow, backend_of_any_page, ca_without_https, two_decide, without_url,
};
#[cfg(test)]
use super::bounds::Bound;
use super::bounds::{BOUNDS, beyond};
use super::check::Check;
#[cfg(feature = "tokens")]
use super::effect_rules::without_keys;
use super::effect_rules::{burst_without_rate, policy_without_rate, takeover_without_deflate};
use super::effects::EFFECTS;
use super::fault::{Fault, Place};
use super::listen_rules::{listens_nowhere, twice_in, twice_within};
use super::options::Options;
use super::routes::Table;
use crate::cli::listen::Listens;

/// Another combination that is refused.
struct Rule {
    /// The settings of which it is; the fault is told at the one that was given last.
    settings: &'static [&'static str],
    /// For the documents.
    #[cfg_attr(not(test), expect(dead_code))]
    says: &'static str,
    /// The texts of the faults.
    broken: fn(&Check<'_>) -> Vec<String>,
}

/// A part of a rule of which another part has the sentence, since its faults are told elsewhere.
const fn part(settings: &'static [&'static str], broken: fn(&Check<'_>) -> Vec<String>) -> Rule {
    Rule { settings, says: "", broken }
}

const RULES: &[Rule] = &[
    Rule {
        settings: &["ping-after", "idle-timeout"],
        says: "`ping-after`, if it is not the default, is less than `idle-timeout`: else no ping \
               would ever be sent",
        broken: pings_never,
    },
    Rule {
        settings: &["drain-delay", "drain-window", "drain-timeout"],
        says: "`drain-delay` and `drain-window` together are less than `drain-timeout`: else \
               connections would be cut that were not told to go",
        broken: drains_too_long,
    },
    Rule {
        settings: &["max-buffers", "buffer-size", "max-memory"],
        says: "`max-buffers` times `buffer-size`, if one of them is not the default, is not more \
               than `max-memory`",
        broken: buffers_too_large,
    },
    Rule {
        settings: &["message-burst", "message-rate"],
        says: "`message-burst` is there with `message-rate` only",
        broken: |check| burst_without_rate(check, "message-burst", "message-rate"),
    },
    Rule {
        settings: &["byte-burst", "byte-rate"],
        says: "`byte-burst` is there with `byte-rate` only",
        broken: |check| burst_without_rate(check, "byte-burst", "byte-rate"),
    },
    Rule {
        settings: &["handshake-burst", "handshake-rate"],
        says: "`handshake-burst` is there with `handshake-rate` only",
        broken: |check| burst_without_rate(check, "handshake-burst", "handshake-rate"),
    },
    Rule {
        settings: &["rate-policy", "message-rate", "byte-rate"],
        says: "`rate-policy`, if it is not the default, is there with `message-rate` or \
               `byte-rate` only, of the server or of a route without a policy of its own",
        broken: policy_without_rate,
    },
    Rule {
        settings: &["deflate", "server-context-takeover"],
        says: "`server-context-takeover` and `client-context-takeover` are there with `deflate` \
               only; for routes `compression` says it",
        broken: |check| takeover_without_deflate(check, "server-context-takeover"),
    },
    part(&["deflate", "client-context-takeover"], |check| {
        takeover_without_deflate(check, "client-context-takeover")
    }),
    Rule {
        settings: &["listen", "listen-tls"],
        says: "there is something to listen on",
        broken: listens_nowhere,
    },
    Rule {
        settings: &["listen"],
        says: "no address in `listen`, `listen-tls` and `admin` is there twice, or covered by \
               another",
        broken: |check| twice_within(check, "listen"),
    },
    part(&["listen-tls"], |check| twice_within(check, "listen-tls")),
    part(&["admin"], |check| twice_within(check, "admin")),
    part(&["listen", "listen-tls"], |check| twice_in(check, "listen", "listen-tls")),
    part(&["listen", "admin"], |check| twice_in(check, "listen", "admin")),
    part(&["listen-tls", "admin"], |check| twice_in(check, "listen-tls", "admin")),
    Rule {
        settings: &["admin", "admin-token-file"],
        says: "`admin-token-file` is there with `admin` only, and has to be there if an address in \
               `admin` is not on this machine alone",
        broken: admin_for_anybody,
    },
    #[cfg(feature = "tls")]
    Rule {
        settings: &["listen-tls", "tls-cert", "tls-key"],
        says: "`listen-tls`, `tls-cert` and `tls-key` are there together, with a key for each \
               certificate",
        broken: tls_in_part,
    },
    #[cfg(feature = "tls")]
    part(&["tls-cert", "tls-key"], certificates_without_keys),
    #[cfg(feature = "tokens")]
    Rule {
        settings: &["token-audience"],
        says: "`token-audience`, `token-leeway` and `token-cookie` are there with `token-secret`, \
               `token-key` or `token-jwks` only",
        broken: |check| without_keys(check, "token-audience"),
    },
    #[cfg(feature = "tokens")]
    part(&["token-leeway"], |check| without_keys(check, "token-leeway")),
    #[cfg(feature = "tokens")]
    part(&["token-cookie"], |check| without_keys(check, "token-cookie")),
    #[cfg(feature = "auth-url")]
    Rule {
        settings: &["auth-url", "token-secret", "token-key", "token-jwks"],
        says: "`auth-url` is not there with `token-secret`, `token-key` or `token-jwks`: one of \
               them decides; `api-keys` may be there",
        broken: two_decide,
    },
    #[cfg(feature = "auth-url")]
    Rule {
        settings: &["auth-timeout"],
        says: "`auth-timeout`, `auth-cache`, `auth-connections` and `auth-ca` are there with \
               `auth-url` only, and `auth-ca` with one of https",
        broken: |check| without_url(check, "auth-timeout"),
    },
    #[cfg(feature = "auth-url")]
    part(&["auth-cache"], |check| without_url(check, "auth-cache")),
    #[cfg(feature = "auth-url")]
    part(&["auth-connections"], |check| without_url(check, "auth-connections")),
    #[cfg(feature = "auth-url")]
    part(&["auth-ca"], |check| without_url(check, "auth-ca")),
    #[cfg(feature = "auth-url")]
    part(&["auth-url", "auth-ca"], ca_without_https),
    #[cfg(feature = "auth-url")]
    Rule {
        settings: &["auth-timeout", "handshake-timeout"],
        says: "with `auth-url`, `auth-timeout` is less than `handshake-timeout`: else the client \
               would not be told why",
        broken: auth_too_slow,
    },
    #[cfg(feature = "auth-url")]
    Rule {
        settings: &["auth-url", "allow-origin"],
        says: "with `auth-url`, `allow-origin` is not `*`",
        broken: backend_of_any_page,
    },
    #[cfg(feature = "tokens")]
    Rule {
        settings: &["token-cookie", "allow-origin"],
        says: "with `token-cookie`, `allow-origin` is not `*`",
        broken: cookie_of_any_page,
    },
];

fn pings_never(check: &Check<'_>) -> Vec<String> {
    let timeouts = &check.options.config.timeouts;
    let never = timeouts.idle.is_some_and(|idle| timeouts.ping_after >= idle);
    if !never || !check.is_changed("ping-after") {
        return Vec::new();
    }
    let (ping, idle) = (check.show("ping-after"), check.show("idle-timeout"));
    vec![format!(
        "{ping} is not less than {idle}, so no ping would ever be sent; lower it, or leave it out"
    )]
}

fn drains_too_long(check: &Check<'_>) -> Vec<String> {
    let config = &check.options.config;
    let (delay, window) = (config.draining.delay, config.draining.window);
    let told = delay.saturating_add(window);
    if told.is_zero() || told < config.timeouts.drain {
        return Vec::new();
    }
    let [delay, window, timeout] =
        ["drain-delay", "drain-window", "drain-timeout"].map(|name| check.show(name));
    vec![format!(
        "{delay} and {window} together are not less than {timeout}, so connections would be cut \
         that were not told to go; lower one of them or raise that"
    )]
}

fn buffers_too_large(check: &Check<'_>) -> Vec<String> {
    let buffers = check.options.config.buffers;
    let all = u64::from(buffers.max) * u64::from(buffers.size);
    let is_changed = check.is_changed("max-buffers") || check.is_changed("buffer-size");
    if !is_changed || all <= check.options.config.limits.memory as u64 {
        return Vec::new();
    }
    let [count, size, memory] =
        ["max-buffers", "buffer-size", "max-memory"].map(|name| check.show(name));
    vec![format!("{count} times {size} is more than {memory}; lower one of them")]
}

fn admin_for_anybody(check: &Check<'_>) -> Vec<String> {
    let admin = &check.options.admin;
    let [listen, token] = ["admin", "admin-token-file"].map(|name| check.name(name));
    if admin.token_file.is_some() {
        let text = format!("{token} has no effect without {listen}");
        return admin.listen.is_empty().then_some(text).into_iter().collect();
    }
    let open = admin.listen.iter().filter(|listens| listens.places.iter().any(Listen::is_remote));
    let text = |listens: &Listens| {
        format!(
            "{listen} ({}) can be reached from other machines, so it needs {token}; or listen on \
             127.0.0.1, [::1] or a Unix-domain socket",
            listens.text
        )
    };
    open.map(text).collect()
}

#[cfg(feature = "tls")]
fn tls_in_part(check: &Check<'_>) -> Vec<String> {
    let Options { listen_tls, tls_cert, tls_key, .. } = check.options;
    let [listen, cert, key] = ["listen-tls", "tls-cert", "tls-key"].map(|name| check.name(name));
    let text = match (listen_tls.is_empty(), tls_cert.len(), tls_key.len()) {
        (false, 0, 0) => format!("{listen} needs {cert} and {key}"),
        (true, certs @ 1.., keys) if certs == keys => {
            format!("{cert} and {key} have no effect without {listen}; give an address for TLS")
        }
        _ => return Vec::new(),
    };
    vec![text]
}

#[cfg(feature = "tls")]
fn certificates_without_keys(check: &Check<'_>) -> Vec<String> {
    let (certs, keys) = (check.options.tls_cert.len(), check.options.tls_key.len());
    let [cert, key] = ["tls-cert", "tls-key"].map(|name| check.name(name));
    let text = || {
        format!(
            "there are {certs} of {cert} and {keys} of {key}; give one key for each certificate, \
             in the same order"
        )
    };
    (certs != keys).then(text).into_iter().collect()
}

#[cfg(feature = "tokens")]
fn cookie_of_any_page(check: &Check<'_>) -> Vec<String> {
    let is_any = check.options.config.origins == Origins::Any;
    let tokens = &check.options.tokens;
    if tokens.cookie.is_none() || !tokens.verifies_tokens() || !is_any {
        return Vec::new();
    }
    vec![format!(
        "{} needs {} with the origins of your pages; otherwise any page could use the cookies of \
         its visitors",
        check.name("token-cookie"),
        check.name("allow-origin")
    )]
}

/// All contradictions, but for those of settings of which the value is `unknown`.
pub(super) fn broken(
    options: &Options,
    tables: &[Table],
    places: &BTreeMap<&'static str, Place>,
    unknown: &[&str],
) -> Vec<Fault> {
    let all = (options, tables);
    let is_known = |settings: &[&str]| !settings.iter().any(|name| unknown.contains(name));
    let bounds = BOUNDS.iter().filter_map(|bound| {
        let settings = [bound.setting, bound.by];
        let check = Check::new(all, places, &settings);
        let text = is_known(&settings).then(|| beyond(&check, bound))??;
        Some(check.fault(text))
    });
    let rules = RULES.iter().filter(|rule| is_known(rule.settings)).flat_map(|rule| {
        let check = Check::new(all, places, rule.settings);
        let texts = (rule.broken)(&check);
        texts.into_iter().map(move |text| check.fault(text))
    });
    let effects =
        EFFECTS.iter().flat_map(|effect| effect.settings.iter().map(move |it| (it, effect)));
    let effects = effects.filter_map(|(name, effect)| {
        let settings = [&[*name], effect.by].concat();
        let check = Check::new(all, places, &settings);
        let is_judged = is_known(&settings) && check.is_chosen(name);
        let text = is_judged.then(|| (effect.missing)(&check, name))??;
        Some(check.fault(text))
    });
    bounds.chain(rules).chain(effects).collect()
}

/// What each rule says, for the documents.
#[cfg(test)]
pub(super) fn sentences() -> Vec<String> {
    let bounds = BOUNDS.iter().map(Bound::sentence);
    let rules = RULES.iter().map(|rule| rule.says).filter(|says| !says.is_empty());
    let effects = EFFECTS.iter().map(|effect| effect.says);
    bounds.chain(rules.chain(effects).map(str::to_owned)).collect()
}
