//! Parameters in the query of a request target.

use std::borrow::Cow;
use std::fmt;

/// The pairs of a query, in order; see [`query_pairs`].
#[derive(Clone, Copy)]
pub struct QueryPairs<'a>(form_urlencoded::Parse<'a>);

/// Splits `query`, without the `?`, into pairs of name and value, and decodes both.
///
/// The syntax is `application/x-www-form-urlencoded`, as browsers' `URLSearchParams` write it:
/// pairs are separated by `&`, the first `=` ends the name, `+` is a space, and `%` with two
/// hexadecimal digits is a byte. Other uses of `%` are taken literally, bytes that are not UTF-8
/// become U+FFFD, and empty pairs are skipped. A pair without `=` has an empty value. The same name
/// may occur several times.
///
/// A name or value is copied only if decoding changes it.
#[must_use]
pub fn query_pairs(query: &str) -> QueryPairs<'_> {
    QueryPairs(form_urlencoded::parse(query.as_bytes()))
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for QueryPairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}
