//! What one client may do.

use std::fmt;
use std::time::Duration;

use crate::pubsub::{Filter, Topic};

/// Who a client is, what it may publish and subscribe to, and until when.
///
/// Its size is bounded: a name of 255 bytes, and in each list 64 filters, 16 KiB of text in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    user: Box<str>,
    publish: Box<[Filter]>,
    subscribe: Box<[Filter]>,
    ends: Option<Duration>,
}

/// Why an [`Authority`] cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TooLarge {
    /// The user's name is empty or has more than 255 bytes.
    User,
    /// A list has more than 64 filters.
    Filters,
    /// All filters have more than 16 KiB of text.
    Text,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "the name of the user has to have 1 to 255 bytes",
            Self::Filters => "a list may have 64 filters at most",
            Self::Text => "the filters may have 16 KiB of text at most",
        })
    }
}

impl std::error::Error for TooLarge {}

impl Authority {
    /// The most bytes of the name of a user.
    pub const MAX_USER: usize = 255;
    /// The most filters of each list.
    pub const MAX_FILTERS: usize = 64;
    /// The most bytes of all filters.
    pub const MAX_TEXT: usize = 16 << 10;

    /// What `user` may do, until `ends` after the beginning of 1970, or for as long as it is
    /// connected.
    ///
    /// # Errors
    /// What exceeds its limit.
    pub fn new(
        user: &str,
        publish: Vec<Filter>,
        subscribe: Vec<Filter>,
        ends: Option<Duration>,
    ) -> Result<Self, TooLarge> {
        Self::check_user(user)?;
        if publish.len().max(subscribe.len()) > Self::MAX_FILTERS {
            return Err(TooLarge::Filters);
        }
        let text = publish.iter().chain(&subscribe).map(|filter| filter.as_str().len());
        if text.sum::<usize>() > Self::MAX_TEXT {
            return Err(TooLarge::Text);
        }
        let (publish, subscribe) = (publish.into(), subscribe.into());
        Ok(Self { user: user.into(), publish, subscribe, ends })
    }

    /// Whether a user may be called so.
    pub(super) fn check_user(user: &str) -> Result<(), TooLarge> {
        let fits = (1..=Self::MAX_USER).contains(&user.len());
        fits.then_some(()).ok_or(TooLarge::User)
    }

    /// Who it is: the claim `sub` of a token, the name of an API key.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The topics that it may publish to.
    #[must_use]
    pub fn publish(&self) -> &[Filter] {
        &self.publish
    }

    /// The filters to which, and to parts of which, it may subscribe.
    #[must_use]
    pub fn subscribe(&self) -> &[Filter] {
        &self.subscribe
    }

    /// When it ends, after the beginning of 1970.
    #[must_use]
    pub const fn ends(&self) -> Option<Duration> {
        self.ends
    }

    /// Whether it may publish to this topic.
    #[must_use]
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.iter().any(|filter| filter.matches(topic))
    }

    /// Whether it may subscribe to this filter: one of its own covers it wholly.
    #[must_use]
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        self.subscribe.iter().any(|own| own.covers(filter))
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        // Each text is in an allocation of its own, with two counts.
        const FILTER: usize = size_of::<Filter>() + 2 * size_of::<usize>();
        let filters = self.publish.iter().chain(&self.subscribe);
        let filters: usize = filters.map(|filter| FILTER + filter.as_str().len()).sum();
        size_of::<Self>() + self.user.len() + filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(count: usize, text: &str) -> Vec<Filter> {
        vec![Filter::new(text, 65_535).unwrap(); count]
    }

    #[test]
    fn its_size_is_bounded() {
        let make = |user: usize, publish, subscribe| {
            Authority::new(&"u".repeat(user), publish, subscribe, None).map(drop)
        };
        for (user, expected) in
            [(0, Err(TooLarge::User)), (255, Ok(())), (256, Err(TooLarge::User))]
        {
            assert_eq!(make(user, vec![], vec![]), expected, "{user}");
        }
        for (count, expected) in [(63, Ok(())), (64, Ok(())), (65, Err(TooLarge::Filters))] {
            assert_eq!(make(1, filters(count, "a"), vec![]), expected, "{count}");
            assert_eq!(make(1, filters(1, "a"), filters(count, "a")), expected, "{count}");
        }
        let half = "a".repeat(8 << 10);
        for (more, expected) in [(-1, Ok(())), (0, Ok(())), (1, Err(TooLarge::Text))] {
            let other = "a".repeat(half.len().checked_add_signed(more).unwrap());
            assert_eq!(make(1, filters(1, &half), filters(1, &other)), expected, "{more}");
        }
        let one = Authority::new("ann", filters(2, "a/b"), vec![], None).unwrap();
        assert!(one.memory() >= size_of::<Authority>() + 3 + 2 * 3 && one.memory() < 300);
    }

    #[test]
    fn what_is_listed_is_allowed_and_nothing_else() {
        let [topic, filter] = [
            |text: &str, one: &Authority| one.may_publish(&Topic::new(text, 255).unwrap()),
            |text: &str, one: &Authority| one.may_subscribe(&Filter::new(text, 255).unwrap()),
        ];
        let one = Authority::new("ann", filters(1, "a/+"), filters(1, "b/#"), None).unwrap();
        for (text, may_publish, may_subscribe) in [
            ("a/b", true, false),
            ("a", false, false),
            ("a/b/c", false, false),
            ("b", false, true),
            ("b/c/d", false, true),
        ] {
            assert_eq!((topic(text, &one), filter(text, &one)), (may_publish, may_subscribe));
        }
        for (text, expected) in [("b/+/c", true), ("b/#", true), ("#", false), ("+/c", false)] {
            assert_eq!(filter(text, &one), expected, "{text}");
        }
        let none = Authority::new("ann", vec![], vec![], None).unwrap();
        assert!(!topic("a", &none) && !filter("a", &none) && !filter("#", &none));
    }
}
