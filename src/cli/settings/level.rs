//! What is logged.

use tracing_subscriber::filter::Targets;

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
                Ok(Self { text: text.to_owned(), targets })
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in ["info", "DEBUG", "off", "warn,corecast::access=info", "corecast=trace"] {
            assert!(Level::parse(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "info,loud", "corecast::access", "corecast=loud"] {
            let error = Level::parse(text).expect_err(text);
            assert!(error.contains("error, warn, info"), "{text}: {error}");
        }
    }
}
