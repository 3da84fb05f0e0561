//! Goal: targets and authorities are split into their parts, or refused.

use crate::protocol::http::target::{Authority, Target};

#[test]
fn targets_are_split() {
    let cases = [
        ("/", "/", None, None),
        ("/a/b?c=d?e", "/a/b", Some("c=d?e"), None),
        ("/?", "/", Some(""), None),
        ("//a/b", "//a/b", None, None),
        ("/http://a/b", "/http://a/b", None, None),
        ("http://a/b?c", "/b", Some("c"), Some("a")),
        ("WSS://a:1", "/", None, Some("a:1")),
        ("ws://a?b/c", "/", Some("b/c"), Some("a")),
        ("https://[::1]:2/", "/", None, Some("[::1]:2")),
    ];
    for (text, path, query, authority) in cases {
        let target = Some(Target { path, query, authority });
        assert_eq!(Target::split("GET", text), target, "{text}");
    }
    for text in ["", "*", "a", "?a", "a://b/", "http:/a", "/a#", "/a b", "/\u{e9}", "://a/"] {
        assert_eq!(Target::split("GET", text), None, "{text}");
    }
}

#[test]
fn authorities_are_split() {
    let cases = [
        ("a", "a", None),
        ("a.example.:0", "a.example.", Some(0)),
        ("a:65535", "a", Some(65535)),
        ("a:00080", "a", Some(80)),
        ("a:", "a", None),
        ("%61~!$&'()*+;=_-", "%61~!$&'()*+;=_-", None),
        ("[::1]", "[::1]", None),
        ("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]", Some(80)),
    ];
    for (text, host, port) in cases {
        assert_eq!(Authority::split(text), Some(Authority { host, port }), "{text}");
    }
    let faulty = [
        "",
        ":",
        ":80",
        "a:b",
        "a:-1",
        "a:+1",
        "a:65536",
        "a:999999999999",
        "a:1:2",
        "a b",
        "a/",
        "a?",
        "a#",
        "a@b",
        "a,b",
        "a\\b",
        "a\"",
        "a<",
        "a^",
        "a`",
        "a{",
        "a|",
        "[",
        "[]",
        "[::1",
        "::1",
        "[::1]80",
        "[::1]:x",
        "[a]",
        "a[::1]",
        "]",
        "[::1]]",
        "[fe80::1%eth0]",
        "\u{e9}",
    ];
    for text in faulty {
        assert_eq!(Authority::split(text), None, "{text}");
    }
}
