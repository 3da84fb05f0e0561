//! Goal: each rule allows exactly the origins that it documents.

use crate::protocol::websocket::handshake::{Origin, Origins};

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
    let list = Origins::list(["https://A.example", "http://b.example:81"]).unwrap();
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
    assert!(Origins::list(["null"]).unwrap().allows(Some("null"), HOST));
    assert!(!Origins::list([""; 0]).unwrap().allows(Some("https://a.example"), HOST));
}

#[test]
fn a_star_in_a_list_is_every_page() {
    for list in [&["*"][..], &["https://a.example", "*"], &["*", "*"]] {
        assert_eq!(Origins::list(list), Ok(Origins::Any), "{list:?}");
    }
    assert!(Origins::list(["*", "a.example"]).is_err(), "a mistake beside it is still one");
}

#[test]
fn origins_are_brought_into_the_form_that_browsers_send() {
    for (text, form) in [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:443/", "https://a.example"),
        ("https://a.example:0443", "https://a.example"),
        ("https://a.example:", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://a.example:80", "https://a.example:80"),
        ("http://localhost:08080", "http://localhost:8080"),
        ("HTTPS://A.Example", "https://a.example"),
        ("https://a.example.", "https://a.example."),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://192.0.2.1:9001", "http://192.0.2.1:9001"),
        ("http://[::1]", "http://[::1]"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
        ("http://[2001:DB8::0:1]:8080/", "http://[2001:db8::1]:8080"),
        ("http://[::ffff:192.0.2.1]", "http://[::ffff:c000:201]"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
        ("NULL", "null"),
    ] {
        let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((origin.as_str(), origin.to_string()), (form, form.to_owned()), "{text}");
        assert!(Origins::list([text]).unwrap().allows(Some(form), HOST), "{text}");
        assert_eq!(form.parse(), Ok(origin), "a form is its own");
    }
}

#[test]
fn origins_that_no_browser_sends_are_errors_that_show_the_form() {
    let form = "the form is `https://example.org`";
    for (text, named) in [
        ("a.example", "no scheme; write `https://a.example`"),
        ("a.example/", "no scheme; write `https://a.example`"),
        ("A.example:8443/chat", "no scheme; write `https://a.example:8443`"),
        ("localhost:8080", "no scheme; write `https://localhost:8080`"),
        ("", form),
        ("https", "no scheme; write `https://https`"),
        ("://a.example", form),
        ("//a.example", form),
        ("https:a.example", "lacks `//` behind the scheme; write `https://a.example`"),
        (" https://a.example", form),
        ("https://a.example,https://b.example", "more than one"),
        ("https://a.example, https://b.example", "more than one"),
        ("https://a.example https://b.example", "more than one"),
        ("a.example,b.example", "more than one"),
        ("https://a.example ", "the host is not a name"),
        ("https://", "the host is not a name"),
        ("https:///", "the host is not a name"),
        ("https://a.example/chat", "more than scheme, host and port; write `https://a.example`"),
        ("https://a.example:443//", "more than scheme, host and port; write `https://a.example`"),
        ("https://a.example?x", "more than scheme, host and port; write `https://a.example`"),
        ("https://a.example#x", "more than scheme, host and port; write `https://a.example`"),
        ("https://user@a.example", "user information"),
        ("https://*.a.example", "wildcard"),
        ("*.a.example", "wildcard"),
        ("https://*", "wildcard"),
        ("https://a.example:*", "wildcard"),
        ("ws://a.example", "not of the page; write `http://a.example`"),
        ("wss://a.example:443", "not of the page; write `https://a.example`"),
        ("file:///home/me/page.html", "write `null`"),
        ("data://x", "write `null`"),
        ("https://b\u{fc}cher.example", "xn--"),
        ("http://127.1", "IPv4"),
        ("http://0x7f000001", "IPv4"),
        ("http://2130706433", "IPv4"),
        ("http://192.0.2.256", "IPv4"),
        ("http://[::1", "the host is not a name"),
        ("http://::1", "the host is not a name"),
        ("http://[::g]", "the host is not a name"),
        ("https://a.example:x", "the port is not a number"),
        ("https://a.example:65536", "the port is not a number"),
        ("https://a%2eexample", "the host is not a name"),
        ("https://a.example\n", "the host is not a name"),
    ] {
        let error = Origins::list([text]).expect_err(text).to_string();
        assert!(error.starts_with(&format!("`{text}` is not an origin")), "{error}");
        assert!(error.contains(named), "{named} is not in: {error}");
    }
}
