//! The paths that belong to a route.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A pattern of paths, made of the segments between slashes:
///
/// - `name`, any text without `{`, `}`, `*`, `%`, `?` and `#`, is that text;
/// - `{name}` is one segment, whatever it is but not empty;
/// - `{name...}`, at the end only, is all that follows, slashes and nothing included;
/// - `*`, at the end only, is the same without a name.
///
/// Paths are compared after percent-decoding. So `/a%2Fb` and `/%61/b` are the path `/a/b`, and no
/// spelling of a path escapes the route that is meant for it. Upper and lower case differ, and a
/// slash at the end counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// At least one.
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// One segment, with its name.
    One(Box<str>),
    /// All that follows, with its name if it has one.
    Rest(Box<str>),
}

/// Why text is no pattern. Its text says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It does not begin with a slash.
    NoSlash,
    /// It has a query or a fragment.
    Query,
    /// It has a `%`.
    Encoded,
    /// It has a control character.
    Control,
    /// A `*` or a `{name...}` that is not the last segment.
    RestNotLast,
    /// A `*`, `{` or `}` in a segment that has other text.
    Mixed,
    /// Braces without a name of letters, digits, `-` and `_`.
    Name,
    /// Two segments with one name.
    SameName,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "it does not begin with `/`",
            Self::Query => "it has a `?` or `#`; a route is chosen by the path alone",
            Self::Encoded => "it has a `%`; write the character that is meant, as it is",
            Self::Control => "it has a control character",
            Self::RestNotLast => "`*` and `{name...}` stand for all that follows: write them last",
            Self::Mixed => {
                "`*`, `{name}` and `{name...}` are whole segments: write a `/` before and behind \
                 them"
            }
            Self::Name => "the name in braces is not letters, digits, `-` and `_`",
            Self::SameName => "a name in braces is there twice",
        })
    }
}

impl std::error::Error for PatternError {}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if text.contains(['?', '#']) {
            return Err(PatternError::Query);
        }
        if text.contains('%') {
            return Err(PatternError::Encoded);
        }
        if text.contains(char::is_control) {
            return Err(PatternError::Control);
        }
        let parts = rest.split('/').map(Part::parse).collect::<Result<Box<[Part]>, _>>()?;
        for (number, part) in parts.iter().enumerate() {
            if matches!(part, Part::Rest(_)) && number + 1 < parts.len() {
                return Err(PatternError::RestNotLast);
            }
            let is_before = |other: &Part| !part.name().is_empty() && part.name() == other.name();
            if parts.iter().take(number).any(is_before) {
                return Err(PatternError::SameName);
            }
        }
        Ok(Self { text: text.into(), parts })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    fn parse(segment: &str) -> Result<Self, PatternError> {
        if segment == "*" {
            return Ok(Self::Rest("".into()));
        }
        if !segment.contains(['*', '{', '}']) {
            return Ok(Self::Literal(segment.into()));
        }
        let inside = segment.strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
        let inside = inside.filter(|inside| !inside.contains(['*', '{', '}']));
        let inside = inside.ok_or(PatternError::Mixed)?;
        let (name, is_rest) = match inside.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inside, false),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(PatternError::Name);
        }
        Ok(if is_rest { Self::Rest(name.into()) } else { Self::One(name.into()) })
    }

    fn name(&self) -> &str {
        match self {
            Self::Literal(_) => "",
            Self::One(name) | Self::Rest(name) => name,
        }
    }

    /// Whether it takes this segment.
    fn takes(&self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => **text == *segment,
            Self::One(_) => !segment.is_empty(),
            Self::Rest(_) => true,
        }
    }

    /// The more paths it takes, the more.
    const fn width(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::One(_) => 1,
            Self::Rest(_) => 2,
        }
    }
}

impl Pattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has a segment, or a rest, of this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name() == name)
    }

    /// Whether a decoded path belongs to it.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.walk(path, |_, _| {})
    }

    /// What `{name}` or `{name...}` stands for in a decoded path that belongs to it.
    pub(crate) fn capture<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let mut found = None;
        let matches = self.walk(path, |part, text| {
            if part.name() == name {
                found = Some(text);
            }
        });
        found.filter(|_| matches)
    }

    /// Calls `found` with each part and its text, up to the first that does not fit. Returns
    /// whether all fit.
    fn walk<'p>(&self, path: &'p str, mut found: impl FnMut(&Part, &'p str)) -> bool {
        let Some(mut rest) = path.strip_prefix('/') else { return false };
        let Some((last, before)) = self.parts.split_last() else { return false };
        for part in before {
            let Some((segment, behind)) = rest.split_once('/') else { return false };
            if !part.takes(segment) {
                return false;
            }
            found(part, segment);
            rest = behind;
        }
        let is_one = matches!(last, Part::Rest(_)) || !rest.contains('/');
        if !is_one || !last.takes(rest) {
            return false;
        }
        found(last, rest);
        true
    }

    /// Whether the same paths belong to both.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&Part, &Part)| match (one, other) {
            (Part::Literal(one), Part::Literal(other)) => one == other,
            _ => one.width() == other.width(),
        };
        self.parts.len() == other.parts.len() && self.parts.iter().zip(&other.parts).all(same)
    }

    /// `Less` if this one comes first where both take a path: the first segment in which they
    /// differ is text here and `{name}` there, or not the rest here and the rest there.
    pub(crate) fn by_specificity(&self, other: &Self) -> Ordering {
        let widths = self.parts.iter().map(Part::width);
        widths.cmp(other.parts.iter().map(Part::width)).then_with(|| self.text.cmp(&other.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_of_a_segment_takes_its_paths() {
        for (text, taken, others) in [
            ("/", &["/"][..], &["", "//", "/a"][..]),
            ("/echo", &["/echo"], &["/echo/", "/ech", "/echo2", "/Echo", "/", "echo", "//echo"]),
            ("/echo/", &["/echo/"], &["/echo", "/echo//", "/echo/x"]),
            ("/a/{x}", &["/a/b", "/a/ ", "/a/{x}"], &["/a/", "/a", "/a/b/", "/a/b/c", "/b/b"]),
            ("/{x}/b", &["/a/b", "/b/b"], &["//b", "/a/b/", "/b", "/a/c"]),
            ("/app/*", &["/app/", "/app/a", "/app/a/b/", "/app//"], &["/app", "/ap/a", "/"]),
            ("/t/{topic...}", &["/t/", "/t/a", "/t/a//b"], &["/t", "/ta", "/"]),
            ("/*", &["/", "/a", "//"], &["", "a", "*"]),
            ("/\u{e9} b", &["/\u{e9} b"], &["/e b"]),
        ] {
            for path in taken {
                assert!(pattern(text).matches(path), "{text} {path}");
            }
            for path in others {
                assert!(!pattern(text).matches(path), "{text} {path}");
            }
        }
    }

    #[test]
    fn names_stand_for_parts_of_the_path() {
        for (text, path, name, found) in [
            ("/t/{topic...}", "/t/a/b", "topic", Some("a/b")),
            ("/t/{topic...}", "/t/", "topic", Some("")),
            ("/t/{topic...}", "/u/a", "topic", None),
            ("/{user}/{topic}/x", "/ann/news/x", "topic", Some("news")),
            ("/{user}/{topic}/x", "/ann/news/x", "user", Some("ann")),
            ("/{user}/{topic}/x", "/ann/news/y", "user", None),
            ("/{user}/x", "/ann/x", "topic", None),
        ] {
            assert_eq!(pattern(text).capture(name, path), found, "{text} {path} {name}");
        }
    }

    #[test]
    fn the_more_specific_one_comes_first() {
        let order = [
            "/a",
            "/a/b",
            "/a/b/",
            "/a/{x}/c",
            "/a/{x}",
            "/a/*",
            "/{x}/b",
            "/{x}",
            "/{x}/{y...}",
            "/*",
        ];
        for path in ["/a", "/a/b", "/a/b/", "/a/x/c", "/a/x", "/a/x/y", "/z/b", "/z", "/z/y/b", "/"]
        {
            let taking = order.iter().filter(|text| pattern(text).matches(path));
            let taking: Vec<Pattern> = taking.map(|text| pattern(text)).collect();
            assert!(!taking.is_empty(), "{path}");
            for (one, other) in taking.iter().zip(taking.iter().skip(1)) {
                assert_eq!(one.by_specificity(other), Ordering::Less, "{path}: {one} {other}");
                assert_eq!(other.by_specificity(one), Ordering::Greater, "{path}: {one} {other}");
            }
        }
    }

    #[test]
    fn names_do_not_tell_patterns_apart() {
        for (one, other, expected) in [
            ("/a/{x}", "/a/{y}", true),
            ("/a/*", "/a/{topic...}", true),
            ("/a/{x}", "/a/{x...}", false),
            ("/a", "/a/", false),
            ("/a", "/b", false),
            ("/{x}", "/x", false),
        ] {
            assert_eq!(pattern(one).is_same(&pattern(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("", PatternError::NoSlash),
            ("echo", PatternError::NoSlash),
            ("*", PatternError::NoSlash),
            ("/a?b", PatternError::Query),
            ("/a#b", PatternError::Query),
            ("/a%2Fb", PatternError::Encoded),
            ("/a\nb", PatternError::Control),
            ("/*/a", PatternError::RestNotLast),
            ("/{x...}/a", PatternError::RestNotLast),
            ("/a*", PatternError::Mixed),
            ("/**", PatternError::Mixed),
            ("/a{x}", PatternError::Mixed),
            ("/{x", PatternError::Mixed),
            ("/x}", PatternError::Mixed),
            ("/{x}{y}", PatternError::Mixed),
            ("/{}", PatternError::Name),
            ("/{...}", PatternError::Name),
            ("/{a b}", PatternError::Name),
            ("/{x}/{x}", PatternError::SameName),
            ("/{x}/{x...}", PatternError::SameName),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(fault), "{text}");
        }
    }
}
