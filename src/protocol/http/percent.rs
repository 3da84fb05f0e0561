//! Percent-encoding (RFC 3986 section 2.1).

use std::borrow::Cow;

/// Why text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PercentError {
    /// A `%` without two hexadecimal digits.
    Digits,
    /// What is encoded is not UTF-8.
    NotUtf8,
}

/// Decodes `%` and two hexadecimal digits. `+` is not decoded.
///
/// # Errors
/// If a `%` has no digits, or the result is not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
        let (high, low) = digits.ok_or(PercentError::Digits)?;
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| PercentError::NotUtf8)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_a_byte() {
        for (text, decoded) in [
            ("a/b+c", Ok("a/b+c")),
            ("%61%2f%2F", Ok("a//")),
            ("%25%C3%a9", Ok("%\u{e9}")),
            ("%", Err(PercentError::Digits)),
            ("a%4", Err(PercentError::Digits)),
            ("%+1", Err(PercentError::Digits)),
            ("%ff", Err(PercentError::NotUtf8)),
        ] {
            assert_eq!(percent_decoded(text), decoded.map(Cow::Borrowed), "{text}");
        }
    }
}
