//! Goal: cookies are split as RFC 6265 section 4.2.1 writes them, and odd input does no harm.

use super::head;
use crate::protocol::http::{HeadLimits, Request};

fn cookies(lines: &[&str]) -> Vec<(String, String)> {
    let bytes = head("GET / HTTP/1.1", &[&["Host: a"], lines].concat());
    let request = Request::parse(&bytes, &HeadLimits::default()).expect("a valid request");
    request.cookies().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn pairs_are_split_and_odd_ones_skipped() {
    #[allow(clippy::type_complexity, reason = "a table")]
    let cases: [(&[&str], &[(&str, &str)]); 16] = [
        (&[], &[]),
        (&["Cookie:"], &[]),
        (&["Cookie: a=b"], &[("a", "b")]),
        (
            &["Cookie: SID=31d4d96e407aad42; lang=en-US"],
            &[("SID", "31d4d96e407aad42"), ("lang", "en-US")],
        ),
        (&["cOOKIE:a=b;c=d"], &[("a", "b"), ("c", "d")]),
        (&["Cookie: a=\"b c\""], &[("a", "\"b c\"")]),
        (&["Cookie: a=b=c=="], &[("a", "b=c==")]),
        (&["Cookie: a="], &[("a", "")]),
        (&["Cookie: =b; a; ;; ;=;c=d"], &[("c", "d")]),
        (&["Cookie:  \t a \t = \t b\t ;\tc=d"], &[("a", "b"), ("c", "d")]),
        (&["Cookie: a=1; a=2"], &[("a", "1"), ("a", "2")]),
        (&["Cookie: A=1; a=2"], &[("A", "1"), ("a", "2")]),
        (&["Cookie: a=1", "X: y", "Cookie: b=2"], &[("a", "1"), ("b", "2")]),
        (&["Cookie: user[name]=x,y"], &[("user[name]", "x,y")]),
        (&["Cookie: a=caf\u{e9}; b=%20+"], &[("a", "caf\u{e9}"), ("b", "%20+")]),
        (&["Cookies: a=b", "X-Cookie: a=b"], &[]),
    ];
    for (lines, expected) in cases {
        let expected: Vec<_> =
            expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(cookies(lines), expected, "{lines:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_skip_their_pair_alone() {
    let mut bytes = head("GET / HTTP/1.1", &["Host: a", "Cookie: a=1; b=@; @=3; c=4"]);
    bytes.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xff);
    let request = Request::parse(&bytes, &HeadLimits::default()).expect("a valid request");
    assert_eq!(request.cookies().collect::<Vec<_>>(), [("a", "1"), ("c", "4")]);
}

#[test]
fn random_lines_yield_parts_of_themselves() {
    let mut rng = fastrand::Rng::with_seed(6265);
    let mut seen = 0;
    for _ in 0..5_000 {
        let line: String =
            (0..rng.usize(..40)).map(|_| *rng.choice(b"ab=;\" \t,").unwrap() as char).collect();
        for (name, value) in cookies(&[&format!("Cookie: {line}")]) {
            assert!(!name.is_empty() && !name.contains(['=', ';']), "{line:?}");
            assert!(!value.contains(';') && value.trim() == value, "{line:?}");
            assert!(line.contains(&name) && line.contains(&value), "{line:?}");
            seen += 1;
        }
    }
    assert!(seen > 1_000, "{seen} cookies");
}
