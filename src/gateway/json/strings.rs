//! Strings of a request, and the kinds of values that there may be instead.

use std::borrow::Cow;

/// The most bytes of a name, or of all the names in a list, as they are written.
pub(super) const MAX_NAMES: usize = 1 << 20;
const TOO_LONG: &str = "a string of more than 1 MiB";
/// What [`kind`] says of a string.
pub(super) const STRING: &str = "a string";
/// The longest key that is decoded.
const MAX_KEY: usize = 1024;

/// A key or a name as a string; or the kind of value that `raw`, valid JSON, is instead.
pub(super) fn string(raw: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let Some(inside) = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Err(kind(raw));
    };
    if raw.len() > MAX_NAMES {
        return Err(TOO_LONG);
    }
    if let Ok(inside) = str::from_utf8(inside)
        && !inside.contains('\\')
    {
        return Ok(Cow::Borrowed(inside));
    }
    // The grammar of JSON allows a lone surrogate, which no string can hold.
    serde_json::from_slice(raw).map(Cow::Owned).map_err(|_| "a string with half a surrogate pair")
}

/// A key, of which the beginning is enough if it is long; or why it is no string, and where.
pub(super) fn decoded(raw: &[u8]) -> Result<Cow<'_, str>, (String, usize)> {
    if raw.len() <= MAX_KEY {
        let or_fault = |_| string_fault(raw).unwrap_or_default();
        return string(raw).map_err(or_fault);
    }
    // It may be cut inside of a character or an escape.
    let cut = (MAX_KEY - 12..MAX_KEY).rev().find_map(|end| {
        let closed = [raw.get(..end)?, b"\""].concat();
        serde_json::from_slice::<String>(&closed).ok()
    });
    Ok(cut.map_or_else(|| String::from_utf8_lossy(&raw[..MAX_KEY]), Cow::Owned))
}

/// Why the string at the beginning of `raw` cannot be decoded, and where, as `serde_json` says it.
pub(super) fn string_fault(raw: &[u8]) -> Option<(String, usize)> {
    let raw = raw.get(..MAX_KEY).unwrap_or(raw);
    let error = serde_json::from_slice::<String>(raw).err().filter(|error| !error.is_eof())?;
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default().to_owned();
    let line =
        memchr::memchr_iter(b'\n', raw).nth(error.line().checked_sub(2).unwrap_or(usize::MAX));
    Some((what, line.map_or(0, |end| end + 1) + error.column()))
}

/// The kind of value that `raw`, valid JSON, is.
pub(super) fn kind(raw: &[u8]) -> &'static str {
    match raw.first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => STRING,
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
