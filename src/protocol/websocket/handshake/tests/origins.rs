//! Goal: each rule allows exactly the origins that it documents.

use crate::protocol::websocket::handshake::Origins;

const HOST: &str = "a.example";

#[test]
fn without_an_origin_every_rule_allows() {
    for rule in [Origins::Any, Origins::SameHost, Origins::List(Vec::new())] {
        assert!(rule.allows(None, HOST));
    }
    assert_eq!(Origins::default(), Origins::SameHost);
}

#[test]
fn any_allows_any() {
    for origin in ["https://evil.example", "null", "", "@"] {
        assert!(Origins::Any.allows(Some(origin), HOST));
    }
}

#[test]
fn the_same_host_compares_host_and_port() {
    let cases = [
        (true, "https://a.example", "a.example"),
        (true, "http://a.example", "a.example"),
        (true, "HTTPS://A.Example", "a.eXample"),
        (true, "https://a.example", "a.example:443"),
        (true, "http://a.example", "a.example:80"),
        (true, "http://a.example:80", "a.example"),
        (true, "https://a.example:443", "a.example:"),
        (true, "http://a.example:8080", "a.example:8080"),
        (true, "http://[::1]:9", "[::1]:9"),
        (true, "http://127.0.0.1:9", "127.0.0.1:9"),
        (false, "https://a.example", "a.example:80"),
        (false, "http://a.example", "a.example:443"),
        (false, "http://a.example:443", "a.example"),
        (false, "http://a.example:8080", "a.example"),
        (false, "http://a.example", "a.example:8080"),
        (false, "https://b.example", "a.example"),
        (false, "https://a.example.evil.example", "a.example"),
        (false, "https://evil-a.example", "a.example"),
        (false, "https://sub.a.example", "a.example"),
        (false, "https://a.example.", "a.example"),
        (false, "https://a.example/", "a.example"),
        (false, "https://a.example@evil.example", "a.example"),
        (false, "https://evil.example@a.example", "a.example"),
        (false, "https://a.example:x", "a.example"),
        (false, "https://a.example:443:443", "a.example"),
        (false, "https://a.example#", "a.example"),
        (false, "https://https://a.example", "a.example"),
        (false, "ftp://a.example", "a.example"),
        (false, "ws://a.example", "a.example"),
        (false, "file://", "a.example"),
        (false, "://a.example", "a.example"),
        (false, "a.example", "a.example"),
        (false, "null", "null"),
        (false, "", ""),
        (false, "https://", ""),
        (false, "https://[::1", "[::1"),
    ];
    for (expected, origin, host) in cases {
        let allowed = Origins::SameHost.allows(Some(origin), host);
        assert_eq!(allowed, expected, "{origin} for {host}");
    }
}

#[test]
fn a_list_compares_whole_origins() {
    let list = Origins::List(vec!["https://A.example".into(), "http://b.example:81".into()]);
    let cases = [
        (true, "https://a.example"),
        (true, "HTTPS://a.EXAMPLE"),
        (true, "http://b.example:81"),
        (false, "http://b.example"),
        (false, "http://a.example"),
        (false, "https://a.example:443"),
        (false, "https://a.example/"),
        (false, "https://a.example.evil.example"),
        (false, "https://xa.example"),
        (false, "a.example"),
        (false, "null"),
        (false, ""),
    ];
    for (expected, origin) in cases {
        assert_eq!(list.allows(Some(origin), "a.example"), expected, "{origin}");
    }
    assert!(Origins::List(vec!["null".into()]).allows(Some("null"), HOST));
    assert!(!Origins::List(vec!["*".into()]).allows(Some("https://a.example"), HOST));
}
