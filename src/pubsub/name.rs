//! Topics and filters, with the rules of MQTT (version 5.0, section 4.7): levels are separated by
//! `/`, and may be empty. In a filter `+` matches any one level, and `#` as the last level matches
//! the level above it and all levels below that.

use std::fmt;
use std::sync::Arc;

use super::levels::takes;

/// The wildcards. In a valid filter each is a level of its own.
const WILDCARDS: [char; 2] = ['+', '#'];

/// The name that a message is published to. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks a name of 1 to `max` bytes.
    ///
    /// # Errors
    ///
    /// If it is empty or too long, or holds NUL or a wildcard.
    pub fn new(name: &str, max: usize) -> Result<Self, NameError> {
        check(name, max)?;
        if has_wildcard(name) {
            return Err(NameError::WildcardInTopic);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, which can be shared.
    pub(crate) const fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether both are the same topic. Fast for clones of one topic.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }

    /// Whether filters that begin with a wildcard do not match it: it begins with `$`.
    pub(super) fn is_hidden(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The topics that a subscription is for: one topic, or a pattern. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

impl Filter {
    /// The most levels of a filter with a wildcard: each takes memory and is looked at for each
    /// message. Topics, and filters without a wildcard, may have any number.
    pub const MAX_LEVELS: usize = 32;

    /// Checks a filter of 1 to `max` bytes.
    ///
    /// # Errors
    ///
    /// If it is empty or too long, holds NUL, or has a wildcard in the wrong place. The first
    /// level at fault is reported.
    pub fn new(text: &str, max: usize) -> Result<Self, NameError> {
        check(text, max)?;
        // To look at each of 255 levels takes some microseconds.
        if !has_wildcard(text) {
            return Ok(Self(text.into()));
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('+') && level != "+" {
                return Err(NameError::PlusNotAlone);
            }
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(NameError::HashNotLast);
            }
        }
        if text.split('/').count() > Self::MAX_LEVELS {
            return Err(NameError::TooDeep);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, which can be kept as a key without a copy.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether it can match more than one topic.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        has_wildcard(&self.0)
    }

    /// The only topic that it matches; `None` if it has a wildcard.
    pub(crate) fn topic(&self) -> Option<Topic> {
        (!self.has_wildcard()).then(|| Topic(Arc::clone(&self.0)))
    }

    /// Whether subscribers with this filter are sent messages of `topic`.
    ///
    /// Takes time linear in the length of both.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        if !self.has_wildcard() {
            return self.0 == topic.0;
        }
        if topic.is_hidden() && self.0.starts_with(WILDCARDS) {
            return false;
        }
        takes(&self.0, &topic.0)
    }

    /// The text before the first wildcard: `a/b/` of `a/b/+/c`, all of a filter without a wildcard.
    ///
    /// Every topic that matches begins with it, with one exception: `a/#` matches `a` as well.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        self.0.split(WILDCARDS).next().unwrap_or_default()
    }
}

impl From<&Topic> for Filter {
    /// The filter that matches this topic and no other.
    fn from(topic: &Topic) -> Self {
        Self(Arc::clone(&topic.0))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn has_wildcard(text: &str) -> bool {
    memchr::memchr2(b'+', b'#', text.as_bytes()).is_some()
}

/// The rules for both topics and filters.
fn check(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong { len, max }),
        _ if text.contains('\0') => Err(NameError::Nul),
        _ => Ok(()),
    }
}

/// Why a topic or a filter is not valid. The text says what is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It is longer than the limit.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// It contains U+0000.
    Nul,
    /// A topic contains `+` or `#`.
    WildcardInTopic,
    /// A filter has `+` in a level with something else.
    PlusNotAlone,
    /// A filter has `#` in a level with something else, or before its last level.
    HashNotLast,
    /// A filter with a wildcard has more than [`Filter::MAX_LEVELS`] levels.
    TooDeep,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty; it needs at least one byte"),
            Self::TooLong { len, max } => {
                write!(f, "the name has {len} bytes; at most {max} are allowed")
            }
            Self::Nul => f.write_str("the name holds NUL (U+0000); any other character is allowed"),
            Self::WildcardInTopic => f.write_str(
                "a topic must not hold `+` or `#`; these are wildcards, for filters only",
            ),
            Self::PlusNotAlone => {
                f.write_str("`+` stands for a whole level and must be alone in it, as in `a/+/b`")
            }
            Self::HashNotLast => {
                f.write_str("`#` must be alone in the last level of a filter, as in `a/#`")
            }
            Self::TooDeep => {
                let max = Filter::MAX_LEVELS;
                write!(f, "a filter with a wildcard may have {max} levels at most")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::new(name, 255).unwrap()
    }

    fn filter(text: &str) -> Filter {
        Filter::new(text, 255).unwrap()
    }

    #[test]
    fn names_are_checked() {
        use NameError::{Empty, HashNotLast, Nul, PlusNotAlone, WildcardInTopic};
        let wildcard = Err(WildcardInTopic);
        let cases = [
            ("", Err(Empty), Err(Empty)),
            ("a", Ok(()), Ok(())),
            ("/", Ok(()), Ok(())),
            ("//", Ok(()), Ok(())),
            (" ", Ok(()), Ok(())),
            ("$", Ok(()), Ok(())),
            ("a b/ü/€/😀", Ok(()), Ok(())),
            ("\u{1}\u{feff}\u{ffff}", Ok(()), Ok(())),
            ("\0", Err(Nul), Err(Nul)),
            ("a/b\0", Err(Nul), Err(Nul)),
            ("+\0", Err(Nul), Err(Nul)),
            ("+", wildcard, Ok(())),
            ("#", wildcard, Ok(())),
            ("/+", wildcard, Ok(())),
            ("/#", wildcard, Ok(())),
            ("+/", wildcard, Ok(())),
            ("+/+/#", wildcard, Ok(())),
            ("a/+/b/+/#", wildcard, Ok(())),
            ("a+", wildcard, Err(PlusNotAlone)),
            ("+a/b", wildcard, Err(PlusNotAlone)),
            ("a/++", wildcard, Err(PlusNotAlone)),
            ("a/ü+/b", wildcard, Err(PlusNotAlone)),
            ("+#", wildcard, Err(PlusNotAlone)),
            ("a#", wildcard, Err(HashNotLast)),
            ("a/b#", wildcard, Err(HashNotLast)),
            ("a/#b", wildcard, Err(HashNotLast)),
            ("a/##", wildcard, Err(HashNotLast)),
            ("#/", wildcard, Err(HashNotLast)),
            ("#/a", wildcard, Err(HashNotLast)),
            ("a/#/#", wildcard, Err(HashNotLast)),
            ("#/+a", wildcard, Err(HashNotLast)),
            ("+a/#/b", wildcard, Err(PlusNotAlone)),
        ];
        for (text, as_topic, as_filter) in cases {
            assert_eq!(Topic::new(text, 255).map(drop), as_topic, "topic {text:?}");
            assert_eq!(Filter::new(text, 255).map(drop), as_filter, "filter {text:?}");
        }
    }

    #[test]
    fn lengths_are_in_bytes() {
        let cases = [
            ("a".repeat(255), 255, None),
            ("a".repeat(256), 255, Some(256)),
            ("/".repeat(255), 255, None),
            ("/".repeat(256), 255, Some(256)),
            ("€".repeat(85), 255, None),
            (format!("{}€", "a".repeat(253)), 255, Some(256)),
            ("😀".repeat(64), 255, Some(256)),
            ("a".repeat(70_000), 70_000, None),
            ("a".to_owned(), 1, None),
            ("ü".to_owned(), 1, Some(2)),
            ("a".to_owned(), 0, Some(1)),
        ];
        for (text, max, too_long) in cases {
            let expected = match too_long {
                Some(len) => Err(NameError::TooLong { len, max }),
                None => Ok(text.as_str()),
            };
            assert_eq!(
                Topic::new(&text, max).as_ref().map_err(|e| *e).map(Topic::as_str),
                expected
            );
            assert_eq!(
                Filter::new(&text, max).as_ref().map_err(|e| *e).map(Filter::as_str),
                expected
            );
        }
        let both = format!("\0{}", "+".repeat(255));
        assert_eq!(Filter::new(&both, 255), Err(NameError::TooLong { len: 256, max: 255 }));
    }

    #[test]
    fn errors_are_lines_of_their_own() {
        let errors = [
            NameError::Empty,
            NameError::TooLong { len: 256, max: 255 },
            NameError::Nul,
            NameError::WildcardInTopic,
            NameError::PlusNotAlone,
            NameError::HashNotLast,
        ];
        let lines: std::collections::HashSet<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), errors.len());
        assert!(lines.iter().all(|line| !line.contains('\n') && line.len() <= 100));
        assert!(errors[1].to_string().contains("256") && errors[1].to_string().contains("255"));
    }

    #[test]
    fn filters_match_by_level() {
        // Filter; topics it matches; topics it does not.
        let cases: [(&str, &[&str], &[&str]); 17] = [
            ("a/b", &["a/b"], &["a", "a/b/", "/a/b", "A/b", "a/c", "a/b/c", "ab"]),
            ("a/#", &["a", "a/", "a/b", "a/b/c", "a//", "a/$b"], &["ab", "/a", "b/a", "A/b"]),
            ("a/b/#", &["a/b", "a/b/c", "a/b//c/d"], &["a", "a/bc", "a/c", "a/b1/c"]),
            ("#", &["a", "/", "a/b", "/a", "//", "a/$b"], &["$", "$a", "$a/b", "$/a"]),
            ("+", &["a", "ab", "ü"], &["/", "/a", "a/", "a/b", "$a"]),
            ("a/+", &["a/", "a/b", "a/$b"], &["a", "a/b/c", "a/b/", "b/a"]),
            ("a/+/c", &["a/b/c", "a//c", "a/c/c"], &["a/c", "a/b/c/d", "a/b/b/c", "a/b/d"]),
            ("+/a", &["b/a", "/a", "a/a"], &["a", "b/a/c", "$b/a", "b/b"]),
            ("+/+", &["/a", "a/b", "/"], &["a", "a/b/c", "//", "$a/b"]),
            ("/+", &["/a", "/"], &["a", "a/b", "//", "/a/b"]),
            ("+/#", &["a", "a/b", "/", "a/b/c"], &["$a", "$a/b"]),
            ("+/a/#", &["b/a", "b/a/c", "/a"], &["a", "b", "$b/a", "b/c/a"]),
            ("/#", &["/", "/a", "//", "/a/b", "/$a"], &["a", "a/b", "$a"]),
            ("$a/#", &["$a", "$a/b", "$a/b/c"], &["a", "$ab", "a/$a"]),
            ("$a/+/c", &["$a/b/c", "$a//c"], &["$a/c", "a/b/c"]),
            ("a/", &["a/"], &["a", "a//", "a/b"]),
            ("ü/+/€", &["ü/😀/€"], &["ü/€", "u/😀/€"]),
        ];
        for (text, matching, others) in cases {
            let filter = filter(text);
            for name in matching {
                assert!(filter.matches(&topic(name)), "{text} matches {name}");
            }
            for name in others {
                assert!(!filter.matches(&topic(name)), "{text} does not match {name}");
            }
        }
    }

    #[test]
    fn the_prefix_ends_before_the_first_wildcard() {
        let cases = [
            ("a/b/+/c", "a/b/", true),
            ("a/b/#", "a/b/", true),
            ("a/+/b/#", "a/", true),
            ("#", "", true),
            ("+", "", true),
            ("/+", "/", true),
            ("ü/#", "ü/", true),
            ("a/b", "a/b", false),
            ("/", "/", false),
        ];
        for (text, prefix, has_wildcard) in cases {
            assert_eq!(filter(text).literal_prefix(), prefix);
            assert_eq!(filter(text).has_wildcard(), has_wildcard, "{text}");
        }
    }

    #[test]
    fn a_topic_is_a_filter_for_itself() {
        let name = topic("a/b");
        let exact = Filter::from(&name);
        assert!(exact == filter("a/b") && !exact.has_wildcard());
        assert!(exact.matches(&name) && !exact.matches(&topic("a/c")));
        assert!(Arc::ptr_eq(exact.shared(), &name.0));
        assert_eq!((name.to_string(), exact.to_string()), ("a/b".into(), "a/b".into()));
    }

    #[test]
    fn the_same_topic_is_known_as_such() {
        let first = topic("a/b");
        assert!(first.is_same(&first.clone()) && first.is_same(&topic("a/b")));
        assert!(!first.is_same(&topic("a/c")));
    }
}
