//! Which settings hold at once when they are read again, and which with the next start.

use super::options::Options;
use super::table;

/// Settings that a running server does not change. All others hold from the next handshake on, or
/// at once.
const FIXED: &[&str] = &[
    "listen",
    "listen-tls",
    "auth-url",
    "auth-timeout",
    "auth-cache",
    "auth-connections",
    "auth-ca",
    "token-audience",
    "token-leeway",
    "token-cookie",
    "max-connections",
    "max-connections-per-address",
    "handshake-rate",
    "handshake-burst",
    "deflate-level",
    "max-topic",
    "max-retained",
    "max-retained-bytes",
    "publish-backlog",
    "cores",
    "loops-per-core",
    "backend",
    "buffers",
    "max-buffers",
    "buffer-size",
    "admin",
    "peer-addresses",
    "log-format",
    "handover",
];

/// Gives the settings that do not change while a server runs the values that they had when it was
/// `started`. Returns those that differed.
pub(super) fn keep_fixed(options: &mut Options, started: &Options) -> Vec<&'static str> {
    let has_tokens = options.tokens.is_used() != started.tokens.is_used();
    let has_admin_token = options.admin.token_file.is_some() != started.admin.token_file.is_some();
    let stays = |name: &&str| {
        is_fixed(name)
            || has_tokens && table::KEYS_OF_TOKENS.contains(name)
            || has_admin_token && *name == "admin-token-file"
    };
    let kept: Vec<_> = differing(started, options).into_iter().filter(stays).collect();
    kept.iter().for_each(|name| keep(options, started, name));
    kept
}

/// Whether a setting never changes while a server runs.
pub(crate) fn is_fixed(name: &str) -> bool {
    FIXED.contains(&name)
}

/// The settings that are not the same.
pub(crate) fn differing(one: &Options, other: &Options) -> Vec<&'static str> {
    let all = table::all().filter(|it| it.field.get(one) != it.field.get(other));
    all.map(|setting| setting.name).collect()
}

/// Gives a setting the value that it has in `from`.
pub(crate) fn keep(options: &mut Options, from: &Options, name: &str) {
    if let Some(setting) = table::find(name) {
        // It was read from such texts before.
        let _ = setting.field.set(options, &setting.field.get(from));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn any_setting_is_kept() {
        for setting in table::all() {
            let (started, mut options) = (Options::default(), Options::default());
            let example: Vec<String> = setting.example.iter().map(|it| (*it).to_owned()).collect();
            setting.field.set(&mut options, &example).unwrap();
            assert_eq!(differing(&started, &options), [setting.name]);
            if is_fixed(setting.name) {
                keep(&mut options, &started, setting.name);
                assert!(differing(&started, &options).is_empty(), "{}", setting.name);
            }
        }
    }

    #[test]
    fn what_does_not_change_is_in_the_table_of_settings() {
        let all: BTreeSet<&str> = table::all().map(|setting| setting.name).collect();
        let is_missing = |name: &&&str| {
            !all.contains(**name) && !name.starts_with("token-") && !name.starts_with("auth-")
        };
        let missing: Vec<_> = FIXED.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
