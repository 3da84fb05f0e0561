//! Filters with the name of the user in them.

use super::access::Authority;
use super::error::TokenError;
use crate::pubsub::Filter;

/// What stands for the user in a filter.
const SUB: &str = "{sub}";

/// The filters of a list, with the user in the place of `{sub}`. `list` names it in errors.
///
/// # Errors
/// If a filter is not valid, or the user's name would be more than a part of a level: with `/`, `+`
/// or `#` in it, the filter would match what its writer did not mean; and with `$` at its beginning
/// what is hidden.
pub(super) fn expand<S: AsRef<str>>(
    list: &[S],
    user: &str,
    max_topic: usize,
    name: &str,
) -> Result<Vec<Filter>, TokenError> {
    // So that a long list is not expanded in vain.
    if list.len() > Authority::MAX_FILTERS {
        let most = Authority::MAX_FILTERS;
        return Err(TokenError::Claim(format!("{name} has more than {most} filters")));
    }
    let expand = |text: &S| {
        let text = text.as_ref();
        if !text.contains(SUB) {
            return filter(text, max_topic, name);
        }
        if user.contains(['/', '+', '#']) || user.starts_with('$') {
            let why = format!("{name} has {SUB}, and sub has a /, + or #, or begins with $");
            return Err(TokenError::Claim(why));
        }
        // `{sub}` is shorter than a name may be, so a filter could grow beyond any bound.
        let count = text.matches(SUB).count();
        if text.len() + count * user.len() > max_topic + count * SUB.len() {
            let why = format!("a filter in {name} has more than {max_topic} bytes");
            return Err(TokenError::Claim(why));
        }
        filter(&text.replace(SUB, user), max_topic, name)
    };
    list.iter().map(expand).collect()
}

fn filter(text: &str, max_topic: usize, name: &str) -> Result<Filter, TokenError> {
    let why = |error| TokenError::Claim(format!("a filter in {name} is not valid: {error}"));
    Filter::new(text, max_topic).map_err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, user: &str) -> Result<String, String> {
        match expand(&[text], user, 20, "publish") {
            Ok(filters) => Ok(filters[0].as_str().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_user_takes_the_place_of_sub() {
        for (text, user, expected) in [
            ("users/{sub}/#", "ann", "users/ann/#"),
            ("{sub}", "ann", "ann"),
            ("a-{sub}-b/+/{sub}", "x", "a-x-b/+/x"),
            ("{sub}", "{sub}", "{sub}"),
            ("{su}/{sub", "ann", "{su}/{sub"),
            ("a/+", "a/b", "a/+"),
            ("a/{sub}", "b$", "a/b$"),
        ] {
            assert_eq!(expanded(text, user), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_user_does_not_widen_a_filter() {
        for user in ["a/b", "+", "#", "a+", "/", "x#", "$a", "$SYS"] {
            for text in ["{sub}", "a/{sub}", "{sub}/#", "a/{sub}/b"] {
                let why = expanded(text, user).unwrap_err();
                assert!(why.contains("sub has a /"), "{text} {user}: {why}");
            }
        }
        let why = expanded("a/{sub}", "a\0").unwrap_err();
        assert!(why.contains("NUL"), "{why}");
    }

    #[test]
    fn filters_are_checked_and_bounded() {
        for (text, user, ok) in [
            ("{sub}", &*"u".repeat(19), true),
            ("{sub}", &"u".repeat(20), true),
            ("{sub}", &"u".repeat(21), false),
            ("{sub}{sub}", &"u".repeat(10), true),
            ("{sub}{sub}", &"u".repeat(11), false),
        ] {
            assert_eq!(expanded(text, user).is_ok(), ok, "{text} {user}");
        }
        let long = "{sub}".repeat(4_000);
        assert!(expanded(&long, &"u".repeat(255)).unwrap_err().contains("more than 20 bytes"));
        assert!(expanded("a/#/b", "u").unwrap_err().contains("`#`"));
        assert!(expanded("", "u").unwrap_err().contains("empty"));
        for (count, ok) in [(63, true), (64, true), (65, false)] {
            assert_eq!(expand(&vec!["a"; count], "u", 20, "publish").is_ok(), ok, "{count}");
        }
    }
}
