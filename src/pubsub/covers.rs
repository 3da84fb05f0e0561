//! Whether all that one filter matches is matched by another one.

use super::levels::takes;
use super::name::Filter;

/// The text of a filter. `#` and `/#` match what `+/#` and `/+/#` do: what a `#` matches without
/// its own level would have no name here. Written so, each `#` has a topic above it.
fn with_topic_above(filter: &Filter) -> &str {
    match filter.as_str() {
        "#" => "+/#",
        "/#" => "/+/#",
        text => text,
    }
}

impl Filter {
    /// Whether every topic that `other` matches is matched by this filter.
    ///
    /// Takes time linear in the length of both.
    ///
    /// ```
    /// use corecast::pubsub::Filter;
    ///
    /// let filter = |text| Filter::new(text, 255).unwrap();
    /// assert!(filter("a/#").covers(&filter("a/+/b")) && filter("a/#").covers(&filter("a")));
    /// assert!(!filter("a/+").covers(&filter("a/#")));
    /// assert!(!filter("#").covers(&filter("$a/b")));
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if !self.has_wildcard() {
            return self == other;
        }
        if self.as_str().starts_with('+') || self.as_str() == "#" {
            // A wildcard in the first level matches no topic that begins with `$`.
            if other.as_str().starts_with('$') {
                return false;
            }
        }
        takes(with_topic_above(self), with_topic_above(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::Topic;

    const LEVELS: [&str; 5] = ["", "a", "b", "$a", "z"];

    fn filter(text: &str) -> Filter {
        Filter::new(text, 255).unwrap()
    }

    /// Every topic of up to `most` of these levels. No filter of the tests names `z`, so it stands
    /// for all names that are not named.
    fn topics(most: usize) -> Vec<Topic> {
        let mut all: Vec<String> = LEVELS.map(str::to_owned).to_vec();
        let mut last = all.clone();
        for _ in 1..most {
            last = last
                .iter()
                .flat_map(|begin| LEVELS.map(|level| format!("{begin}/{level}")))
                .collect();
            all.extend_from_slice(&last);
        }
        all.iter().filter_map(|name| Topic::new(name, 255).ok()).collect()
    }

    /// Every valid filter of up to `most` levels.
    fn filters(most: usize) -> Vec<Filter> {
        let levels = ["", "a", "b", "$a", "+", "#"];
        let mut all: Vec<String> = levels.map(str::to_owned).to_vec();
        let mut last = all.clone();
        for _ in 1..most {
            last = last
                .iter()
                .flat_map(|begin| levels.map(|level| format!("{begin}/{level}")))
                .collect();
            all.extend_from_slice(&last);
        }
        all.iter().filter_map(|text| Filter::new(text, 255).ok()).collect()
    }

    /// All pairs of filters of up to three levels, against every topic of up to four.
    #[test]
    fn it_is_what_comparing_all_topics_says() {
        let (filters, topics) = (filters(3), topics(4));
        // The topics that each filter matches, as bits.
        let matched = |filter: &Filter| -> Vec<u64> {
            let bits = topics.chunks(64).map(|part| {
                let bit = |(at, topic): (usize, &Topic)| u64::from(filter.matches(topic)) << at;
                part.iter().enumerate().map(bit).sum()
            });
            bits.collect()
        };
        let matched: Vec<Vec<u64>> = filters.iter().map(matched).collect();
        let (mut covered, mut not) = (0, 0);
        for (ours, all) in filters.iter().zip(&matched) {
            for (other, asked) in filters.iter().zip(&matched) {
                let expected = asked.iter().zip(all).all(|(asked, all)| asked & !all == 0);
                assert_eq!(ours.covers(other), expected, "{ours} covers {other}");
                if expected { covered += 1 } else { not += 1 }
            }
        }
        assert!(covered > 1_000 && not > 10_000, "{covered} of {not}");
    }

    /// Longer ones, at random.
    #[test]
    fn long_filters_are_compared_in_the_same_way() {
        let mut random = fastrand::Rng::with_seed(5);
        let topics = topics(6);
        let mut any = || {
            let levels = random.usize(1..6);
            let level = |at| match random.u8(0..10) {
                0..3 => "+",
                3 if at + 1 == levels => "#",
                4 => "b",
                5 => "$a",
                6 => "",
                _ => "a",
            };
            (0..levels).map(level).collect::<Vec<_>>().join("/")
        };
        let mut seen = [0; 2];
        while seen[0] < 50 || seen[1] < 200 {
            let (Ok(ours), Ok(other)) = (Filter::new(&any(), 255), Filter::new(&any(), 255)) else {
                continue;
            };
            let expected = topics.iter().all(|t| !other.matches(t) || ours.matches(t));
            assert_eq!(ours.covers(&other), expected, "{ours} covers {other}");
            seen[usize::from(!expected)] += 1;
        }
    }

    #[test]
    fn the_first_level_and_the_parent_of_a_hash() {
        for (ours, other, expected) in [
            ("#", "#", true),
            ("#", "+/#", true),
            ("+/#", "#", true),
            ("+", "#", false),
            ("#", "$a", false),
            ("$a/#", "$a", true),
            ("$a/#", "#", false),
            ("a/#", "a/#", true),
            ("a/+", "a/#", false),
            ("a/+/#", "a/#", false),
            ("a/#", "a/+/#", true),
            ("+/+", "/", true),
            ("/#", "/+/#", true),
            ("/+/#", "/#", true),
            ("/+", "/#", false),
        ] {
            assert_eq!(filter(ours).covers(&filter(other)), expected, "{ours} covers {other}");
        }
    }
}
