//! What is logged.

use tracing_subscriber::filter::Targets;

use super::nearest::nearest;

/// What may follow `corecast::` in a list: the parts of the program, and the access log.
const PARTS: [&str; 18] = [
    "access",
    "app",
    "authority",
    "base",
    "cli",
    "config",
    "error",
    "gateway",
    "io",
    "mesh",
    "protocol",
    "proxied",
    "pubsub",
    "server",
    "session",
    "subrequest",
    "transport",
    "worker",
];
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A level, or a list of levels for parts.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// As it was written.
    pub(crate) text: String,
    targets: Targets,
}

impl Level {
    /// Reads `info` or `info,corecast::access=off`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_part =
            |part: &str| part.contains('=') || LEVELS.contains(&part.to_ascii_lowercase().as_str());
        match text.parse() {
            Ok(targets) if text.split(',').all(is_part) => {
                match text.split(',').find_map(unknown) {
                    Some(unknown) => Err(unknown),
                    None => Ok(Self { text: text.to_owned(), targets }),
                }
            }
            _ => Err(format!(
                "write one of {}, or a list such as info,corecast::access=off",
                LEVELS.join(", ")
            )),
        }
    }

    /// Whether it leaves out the lines of this level of a part that it does not name.
    pub(crate) fn hides(&self, part: &str, level: tracing::Level) -> bool {
        !self.targets.would_enable(part, &level) && !self.text.contains(part)
    }

    pub(crate) fn filter(&self) -> Targets {
        self.targets.clone()
    }
}

/// What is said of a part of this program that is not there.
fn unknown(part: &str) -> Option<String> {
    let target = part.split_once('=')?.0.trim();
    let name = target.strip_prefix("corecast::")?.split("::").next()?;
    let near = || nearest(name, PARTS.into_iter()).unwrap_or("access");
    let text = || format!("there is no part `{target}`; the nearest is `corecast::{}`", near());
    (!PARTS.contains(&name)).then(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn parts_are_those_of_the_sources() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.trim_end_matches(".rs").to_owned()
        };
        let sources: BTreeSet<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
        let parts = PARTS.iter().filter(|part| **part != "access").map(|part| (*part).to_owned());
        let sources: BTreeSet<String> =
            sources.into_iter().filter(|name| !["lib", "main"].contains(&name.as_str())).collect();
        assert_eq!(parts.collect::<BTreeSet<_>>(), sources);
    }

    #[test]
    fn a_part_that_is_misspelt_is_named() {
        for (text, near) in [
            ("warn,corecast::acess=info", "`corecast::acess`; the nearest is `corecast::access`"),
            ("corecast::sesion::http=debug", "the nearest is `corecast::session`"),
            ("corecast::=info", "there is no part `corecast::`"),
        ] {
            let error = Level::parse(text).expect_err(text);
            assert!(error.contains(near), "{text}: {error}");
        }
    }

    #[test]
    fn a_level_hides_what_it_does_not_name() {
        for (text, hides) in [
            ("info", false),
            ("warn", true),
            ("off", true),
            ("info,corecast=error", true),
            ("warn,corecast=debug", false),
            ("warn,corecast::access=info", false),
            // Who writes this knows of the part.
            ("info,corecast::access=off", false),
        ] {
            let level = Level::parse(text).unwrap();
            assert_eq!(level.hides("corecast::access", tracing::Level::INFO), hides, "{text}");
        }
    }

    #[test]
    fn levels_are_words_or_lists() {
        for text in [
            "info",
            "DEBUG",
            "off",
            "warn,corecast::access=info",
            "corecast=trace",
            "corecast::server::admin=off",
            "ureq=debug",
        ] {
            assert!(Level::parse(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "info,loud", "corecast::access", "corecast=loud"] {
            let error = Level::parse(text).expect_err(text);
            assert!(error.contains("error, warn, info"), "{text}: {error}");
        }
    }
}
