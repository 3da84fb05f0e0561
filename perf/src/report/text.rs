//! Text of charts and tables: escaping, width, and formatted numbers.

/// Escapes text for XML, between tags and inside quotes.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // XML cannot represent these characters.
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for a cell of a Markdown table, or a line of Markdown.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '|' | '*' | '`' | '[' | ']' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Joins several lines, such as the last output of a program, into one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The estimated width of a character at font size 1, rather too large: the reader's font is
/// unknown.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | 'I' => 0.32,
        'f' | 'r' | 't' | '(' | ')' | '-' | '/' => 0.41,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 1.0,
        'A'..='Z' | '&' => 0.78,
        '<' | '>' | '+' | '=' | '~' | '#' | '×' => 0.84,
        c if c < '\u{500}' => 0.635,
        _ => 1.05,
    }
}

/// The estimated width of a text in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The text, truncated to fit.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = width("…", size);
    for c in text.chars() {
        used += advance(c) * size;
        if used > room {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out + "…"
}

/// Wraps words into lines that fit.
pub(super) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = fit(word, size, room);
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(&word, size) <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// A whole number with commas.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 && digits != "0" { format!("-{out}") } else { out }
}

/// Three significant digits, and more only before the point.
pub(super) fn short(value: f64) -> String {
    // The smaller limits are those at which rounding adds a digit before the point.
    match value.abs() {
        size if size >= 1e7 => format!("{value:.1e}"),
        size if size >= 999.5 => grouped(value),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// A number beside an axis, without trailing zeros.
pub(super) fn tick(value: f64) -> String {
    let text = short(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.replace(".0e", "e")
    }
}

/// In the largest unit with at least one digit before the point.
fn scaled(value: f64, units: &[(f64, &str)], small: &str) -> String {
    for (factor, unit) in units {
        // 999.6 ns is written as 1.00 µs, not as 1,000 ns.
        if value.abs() >= factor * 0.9995 {
            return format!("{} {unit}", short(value / factor));
        }
    }
    format!("{}{small}", short(value))
}

/// Instructions, system calls and the like.
pub(super) fn count(value: f64) -> String {
    scaled(value, &[(1e12, "T"), (1e9, "G"), (1e6, "M")], "")
}

/// A time in nanoseconds.
pub(super) fn time(ns: f64) -> String {
    scaled(ns, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs")], " ns")
}

pub(super) fn bytes(value: f64) -> String {
    scaled(value, &[(1e9, "GB"), (1e6, "MB"), (1e3, "KB")], " B")
}

pub(super) fn ratio(value: f64) -> String {
    format!("{}×", short(value))
}

/// An amount with a unit without trailing zeros, for an axis.
pub(super) fn trimmed(text: &str) -> String {
    text.replace(".00 ", " ").replace(".0 ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(xml("a<b>&\"c\"\u{1}\n"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd} ");
        assert_eq!(markdown("a|b\n<c> & `d`"), "a\\|b &lt;c> &amp; \\`d\\`");
    }

    #[test]
    fn long_text_is_cut_or_wrapped() {
        assert_eq!(fit("corecast", 12.0, 100.0), "corecast");
        let cut = fit(&"long name ".repeat(20), 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        let lines = wrap("one two three four five six seven", 12.0, 80.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 12.0) <= 80.0));
        assert_eq!(lines.join(" "), "one two three four five six seven");
        assert!(wrap(&"x".repeat(400), 12.0, 80.0).iter().all(|line| width(line, 12.0) <= 80.0));
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.012, 1.0, 12.34, 99.96, 999.6, 12466.4, 1e12];
        let texts = ["0", "0.012", "1.00", "12.3", "100", "1,000", "12,466", "1.0e12"];
        assert_eq!(numbers.map(short), texts.map(str::to_owned));
        assert_eq!([1.0, 0.5, 20.0, 1e4, 1e8].map(tick), ["1", "0.5", "20", "10,000", "1e8"]);
        assert_eq!(
            [8.125, 812.4, 999.9, 14300.0].map(time),
            ["8.12 ns", "812 ns", "1.00 µs", "14.3 µs"]
        );
        assert_eq!([205.0, 134_000.0, -30.0].map(bytes), ["205 B", "134 KB", "-30.0 B"]);
        assert_eq!([118.4, 12466.0, 12.56e6].map(count), ["118", "12,466", "12.6 M"]);
        assert_eq!(grouped(-0.3), "0");
        assert_eq!(trimmed("10.0 KB"), "10 KB");
    }
}
