//! Filters and names compared level by level.

/// Whether a valid filter takes all of a name or of another filter: each level is the same or
/// taken by `+`, and the rest by `#`. Looks at each byte once.
pub(super) fn takes(filter: &str, other: &str) -> bool {
    let (filter, other) = (filter.as_bytes(), other.as_bytes());
    // Where the next level begins; behind the end if there is none.
    let (mut ours, mut theirs) = (0, 0);
    loop {
        // The levels above are taken; this takes them alone as well.
        if filter.get(ours..) == Some(b"#") {
            return true;
        }
        // `a/#` takes `a`, which nothing with a further level does.
        if matches!(other.get(theirs..), None | Some(b"#")) {
            return false;
        }
        if filter.get(ours) == Some(&b'+') {
            ours += 1;
            theirs = end_of_level(other, theirs);
        } else {
            let start = ours;
            ours = end_of_level(filter, ours);
            let end = theirs + ours - start;
            if other.get(theirs..end) != filter.get(start..ours) {
                return false;
            }
            theirs = end;
        }
        match (filter.get(ours), other.get(theirs)) {
            (None, rest) => return rest.is_none(),
            (Some(_), None | Some(b'/')) => (ours, theirs) = (ours + 1, theirs + 1),
            (Some(_), Some(_)) => return false,
        }
    }
}

fn end_of_level(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'/').map_or(text.len(), |len| start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, with the levels in lists.
    fn naive(filter: &str, other: &str) -> bool {
        let mut theirs = other.split('/');
        for ours in filter.split('/') {
            match (ours, theirs.next()) {
                ("#", _) => return true,
                (_, None | Some("#")) => return false,
                ("+", Some(_)) => {}
                (ours, Some(level)) if ours == level => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    #[test]
    fn it_is_what_a_comparison_of_lists_says() {
        let mut random = fastrand::Rng::with_seed(3);
        let levels = ["", "a", "b", "ab", "+", "$"];
        let mut taken = 0;
        for _ in 0..200_000 {
            let [filter, other] = [(); 2].map(|()| {
                let count = random.usize(1..5);
                let mut all: Vec<&str> = (0..count).map(|_| levels[random.usize(..6)]).collect();
                if random.u8(..3) == 0 {
                    all.push("#");
                }
                all.join("/")
            });
            assert_eq!(takes(&filter, &other), naive(&filter, &other), "{filter} {other}");
            taken += u32::from(takes(&filter, &other));
        }
        assert!(taken > 5_000, "{taken}");
    }
}
