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
    "log-format",
    "handover",
];

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
