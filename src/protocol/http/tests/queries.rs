//! Goal: query pairs are decoded as browsers write them, and copied only if decoding changes them.

use std::borrow::Cow;

use super::head;
use crate::protocol::http::{HeadLimits, Request, query_pairs};

#[test]
fn pairs_are_decoded() {
    let cases: [(&str, &[(&str, &str)]); 17] = [
        ("", &[]),
        ("&&", &[]),
        ("a", &[("a", "")]),
        ("a=", &[("a", "")]),
        ("=b", &[("", "b")]),
        ("=", &[("", "")]),
        ("a=b&c=d", &[("a", "b"), ("c", "d")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a=1&a=2", &[("a", "1"), ("a", "2")]),
        ("a+b=c%20d", &[("a b", "c d")]),
        ("a%3Db=%26%2B%25", &[("a=b", "&+%")]),
        ("a=%C3%A9%e2%82%ac", &[("a", "\u{e9}\u{20ac}")]),
        ("a=%ff", &[("a", "\u{fffd}")]),
        ("a=%00%0d%0a", &[("a", "\0\r\n")]),
        ("a=%&b=%4&c=%zz&d=%%41", &[("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "%A")]),
        ("a;b=c", &[("a;b", "c")]),
        ("token=abc.def-_~", &[("token", "abc.def-_~")]),
    ];
    for (query, expected) in cases {
        let got: Vec<_> = query_pairs(query).collect();
        let got: Vec<_> = got.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(got, expected, "{query}");
    }
}

#[test]
fn nothing_is_copied_without_need() {
    let mut pairs = query_pairs("token=abc.def&x=%41");
    let borrowed = pairs.next().expect("a pair");
    assert!(matches!(borrowed, (Cow::Borrowed("token"), Cow::Borrowed("abc.def"))));
    assert!(matches!(pairs.next(), Some((Cow::Borrowed("x"), Cow::Owned(value))) if value == "A"));
}

#[test]
fn a_request_has_the_pairs_of_its_query() {
    for (target, expected) in [("/", 0), ("/?", 0), ("/?a", 1), ("/?a=1&b=%3F?", 2)] {
        let bytes = head(&format!("GET {target} HTTP/1.1"), &["Host: a"]);
        let request = Request::parse(&bytes, &HeadLimits::default()).expect("a valid request");
        assert_eq!(request.query_pairs().count(), expected, "{target}");
    }
    assert_eq!(format!("{:?}", query_pairs("a=b")), "[(\"a\", \"b\")]");
}
