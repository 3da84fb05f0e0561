//! The known name that is most like one that is not known.

/// The nearest of `known`, if any is like `name` at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let plain = plain(name);
    known
        .map(|known| (strsim::jaro_winkler(&plain, known), known))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// Whether one or two letters make the difference, in a name of some length.
pub(crate) fn is_slip(name: &str, known: &str) -> bool {
    strsim::osa_distance(&plain(name), known) <= if known.len() > 6 { 2 } else { 1 }
}

/// In the letters of known names.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_found() {
        let known = ["max-message", "max-memory", "listen", "idle-timeout"];
        for (name, expected) in [
            ("max-mesage", Some("max-message")),
            ("MAX_MEMORY", Some("max-memory")),
            ("lisen", Some("listen")),
            ("idle", Some("idle-timeout")),
            ("route", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), expected, "{name}");
        }
    }

    #[test]
    fn a_slip_is_a_letter_or_two() {
        assert!(is_slip("MAX_MESAGE", "max-message"));
        assert!(is_slip("lisetn", "listen"));
        assert!(!is_slip("list", "listen"));
        assert!(!is_slip("max-messages-all", "max-message"));
    }
}
