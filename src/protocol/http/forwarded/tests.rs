//! Which address counts, and that nobody can choose it who is not trusted.

use std::net::IpAddr;

use super::TrustedProxies;
use crate::protocol::http::headers::Headers;

const PEER: &str = "10.0.0.1";

fn proxies() -> TrustedProxies {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    TrustedProxies { networks, unix: false }
}

/// The client of a request from `peer` with these header lines.
fn client_of(peer: Option<&str>, lines: &[&str], proxies: &TrustedProxies) -> Option<String> {
    let block: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let peer = peer.map(|peer| peer.parse::<IpAddr>().unwrap());
    proxies.client(peer, &Headers::new(block.as_bytes())).map(|address| address.to_string())
}

fn client(lines: &[&str]) -> String {
    client_of(Some(PEER), lines, &proxies()).unwrap()
}

#[test]
fn the_last_address_that_is_not_trusted_counts() {
    for (line, expected) in [
        ("X-Forwarded-For: 192.0.2.1", "192.0.2.1"),
        ("x-forwarded-for: 192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.9.9.9, fd00::1", "192.0.2.1"),
        ("X-Forwarded-For: 10.9.9.9,10.8.8.8", "10.9.9.9"),
        ("X-Forwarded-For: 192.0.2.1:4711", "192.0.2.1"),
        ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"),
        ("X-Forwarded-For: [2001:db8::1], , 10.1.1.1,", "2001:db8::1"),
        ("X-Forwarded-For: [2001:db8::1]:80", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:192.0.2.1", "192.0.2.1"),
        // What the client has made up is to the left of what the proxy says.
        ("X-Forwarded-For: <script>, 192.0.2.1", "192.0.2.1"),
        ("Forwarded: for=192.0.2.1", "192.0.2.1"),
        ("Forwarded: For=\"192.0.2.1\";proto=http;by=203.0.113.43", "192.0.2.1"),
        ("Forwarded: for=192.0.2.43, for=192.0.2.1;by=10.1.1.1 , for=10.2.2.2", "192.0.2.1"),
        ("Forwarded: for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
        ("Forwarded: for=\"192.0.2.1:_port\"", "192.0.2.1"),
        ("Forwarded: proto=https;;for=192.0.2.1;", "192.0.2.1"),
        ("Forwarded: ,for=192.0.2.1,,", "192.0.2.1"),
        ("Forwarded: for=unknown, for=192.0.2.1", "192.0.2.1"),
        ("Forwarded: host=\"a,b;for=9.9.9.9\";for=192.0.2.1", "192.0.2.1"),
        ("Forwarded: host=\"a\\\"\";for=192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(client(&[line]), expected, "{line}");
    }
}

#[test]
fn a_trusted_proxy_says_whether_its_client_uses_https() {
    for (lines, expected) in [
        (&["X-Forwarded-Proto: https"][..], true),
        (&["X-Forwarded-Proto: HTTPS"], true),
        (&["X-Forwarded-Proto: http"], false),
        // The last is that of the nearest proxy.
        (&["X-Forwarded-Proto: https, http"], false),
        (&["X-Forwarded-Proto: http", "X-Forwarded-Proto: https"], true),
        (&["Forwarded: for=192.0.2.1;proto=https"], true),
        (&["Forwarded: proto=https, for=192.0.2.1;Proto=\"http\""], false),
        (&["Forwarded: proto=https, for=192.0.2.1"], false),
        (&["Forwarded: proto=https;=", "X-Forwarded-Proto: https"], false),
        (&["Forwarded: proto=http", "X-Forwarded-Proto: https"], false),
        (&["Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https"], true),
        (&["X-Forwarded-For: 192.0.2.1"], false),
    ] {
        let block: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let headers = Headers::new(block.as_bytes());
        let by = |peer: &str| proxies().is_https(Some(peer.parse().unwrap()), &headers);
        assert_eq!((by(PEER), by("192.0.2.7")), (expected, false), "{lines:?}");
    }
}

#[test]
fn several_lines_are_one_list() {
    assert_eq!(
        client(&["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.1"]),
        "192.0.2.1"
    );
    assert_eq!(client(&["Forwarded: for=203.0.113.9", "Forwarded: for=10.2.2.2"]), "203.0.113.9");
    // A broken line of the client does not hide the one that its proxy has added.
    assert_eq!(client(&["Forwarded: for=\"", "Forwarded: for=192.0.2.1"]), "192.0.2.1");
}

#[test]
fn headers_that_do_not_tell_leave_the_peer() {
    for lines in [
        &[][..],
        &["X-Forwarded-For: "],
        &["X-Forwarded-For: 192.0.2.1, unknown"],
        &["X-Forwarded-For: 192.0.2.1, unknown, 10.2.2.2"],
        &["X-Forwarded-For: 192.0.2.256"],
        &["X-Forwarded-For: 192.0.2.1:x"],
        &["X-Forwarded-For: 192.0.2.1:"],
        &["X-Forwarded-For: \u{e9}"],
        &["Forwarded: for=unknown"],
        &["Forwarded: for=_hidden"],
        &["Forwarded: for=192.0.2.1, proto=http"],
        &["Forwarded: for=192.0.2.1 ;proto=http"],
        &["Forwarded: for= 192.0.2.1"],
        &["Forwarded: for"],
        &["Forwarded: for=[2001:db8::1]"],
        &["Forwarded: for=\"2001:db8::1\""],
        &["Forwarded: for=\"192.0.2.1"],
        &["Forwarded: for=\"192.0.2.1\\"],
        &["Forwarded: for=\"192.0.2.\\1\""],
        &["Forwarded: for=192.0.2.1;for=192.0.2.2"],
        &["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"],
        &["Forwarded: for=192.0.2.1", "X-Forwarded-For: x"],
        &["Forwarded: for=", "X-Forwarded-For: 192.0.2.1"],
    ] {
        assert_eq!(client(lines), PEER, "{lines:?}");
    }
    let both = ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1, 10.2.2.2"];
    assert_eq!(client(&both), "192.0.2.1");
}

#[test]
fn headers_of_others_mean_nothing() {
    let line = &["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"];
    for (peer, proxies, expected) in [
        (Some("203.0.113.9"), proxies(), Some("203.0.113.9")),
        (Some(PEER), TrustedProxies::default(), Some(PEER)),
        (None, proxies(), None),
        (None, TrustedProxies { unix: true, ..proxies() }, Some("192.0.2.1")),
        (Some("203.0.113.9"), TrustedProxies { unix: true, ..proxies() }, Some("203.0.113.9")),
    ] {
        assert_eq!(client_of(peer, line, &proxies).as_deref(), expected, "{peer:?}, {proxies:?}");
    }
}

/// Whatever stands before what the trusted proxy has added in a line of its own, the result is that
/// proxy's.
#[test]
fn no_earlier_line_changes_what_the_proxy_says() {
    let mut random = fastrand::Rng::with_seed(7);
    let bytes: Vec<char> = "for=\"\\;, []:.1920xunkow_\t".chars().collect();
    for _ in 0..20_000 {
        let text: String =
            (0..random.usize(..24)).map(|_| bytes[random.usize(..bytes.len())]).collect();
        let (one, other) = (format!("Forwarded: {text}"), format!("X-Forwarded-For: {text}"));
        assert_eq!(client(&[&one, "Forwarded: for=192.0.2.1"]), "192.0.2.1", "{text}");
        assert_eq!(client(&[&other, "X-Forwarded-For: 192.0.2.1"]), "192.0.2.1", "{text}");
        let end = format!("X-Forwarded-For: {text},192.0.2.1");
        assert_eq!(client(&[&end]), "192.0.2.1", "{text}");
    }
}
