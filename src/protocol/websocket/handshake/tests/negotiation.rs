//! Goal: the grammar of extensions is followed, and permessage-deflate negotiated as RFC 7692 says.

use crate::protocol::websocket::handshake::extensions::{Item, Items};
use crate::protocol::websocket::handshake::{Agreement, DeflatePolicy, negotiate_deflate};

/// The extensions with their parameters, values without quotes; `None` if off the grammar.
fn listed(value: &str) -> Option<String> {
    let mut out = String::new();
    for item in Items::new(value) {
        match item.ok()? {
            Item::Extension(name) => out.push_str(&format!("[{name}]")),
            Item::Param(name, None) => out.push_str(&format!("({name})")),
            Item::Param(name, Some(value)) => {
                let value = String::from_utf8(value.bytes().collect()).ok()?;
                out.push_str(&format!("({name}={value})"));
            }
        }
    }
    Some(out)
}

#[test]
fn the_grammar_accepts_valid_values() {
    let cases = [
        ("", ""),
        (" , ,\t", ""),
        ("a", "[a]"),
        (" a ; b ; c = d , e ", "[a](b)(c=d)[e]"),
        ("a;b=\"c\"", "[a](b=c)"),
        ("a;b=\t\"c\"\t;d,,e,", "[a](b=c)(d)[e]"),
        ("a;b=\"\\c\\d\"", "[a](b=cd)"),
        ("a;b;b", "[a](b)(b)"),
    ];
    for (value, expected) in cases {
        assert_eq!(listed(value).as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn the_grammar_refuses_invalid_values() {
    let cases = [
        ";",
        "a;",
        "a;;b",
        "a;b=",
        "a;b=,c",
        "a b",
        "a;b c",
        "a;b=c d",
        "=",
        "a=b",
        "a;=b",
        "a;b=\"",
        "a;b=\"\"",
        "a;b=\"c",
        "a;b=\"c\\",
        "a;b=\"c\\\"",
        "a;b=\"c d\"",
        "a;b=\"c,d\"",
        "a;b=\"c;d\"",
        "a;b=\"\\\\\"",
        "a;b=\"\\\"\"",
        "a;b=\"c\"d",
        "a;b=\"c\"\"d\"",
        "\"a\"",
        "a;\"b\"",
        "a;b==c",
        "caf\u{e9}",
        "a;b=\"\u{e9}\"",
        "a;b=c\"d\"",
        "a/b",
        "a,;",
        "a;,b",
    ];
    for value in cases {
        assert_eq!(listed(value), None, "{value}");
        assert!(Items::count(value).is_none(), "{value}");
        let after_the_end = Items::new(value).skip_while(Result::is_ok).count();
        assert_eq!(after_the_end, 1, "{value}: the error comes once and is the last");
    }
    assert_eq!(Items::count("a;x, b;y=\"z\" , c"), Some(3));
}

const ON: DeflatePolicy = DeflatePolicy {
    enabled: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
    server_context_takeover: true,
    client_context_takeover: true,
};
/// Without context takeover: the default of a policy that is enabled.
const STATELESS: DeflatePolicy =
    DeflatePolicy { server_context_takeover: false, client_context_takeover: false, ..ON };
const SMALL: DeflatePolicy =
    DeflatePolicy { server_max_window_bits: 10, client_max_window_bits: 11, ..ON };

fn answer(values: &[&str], policy: &DeflatePolicy) -> Option<String> {
    let agreement = negotiate_deflate(values.iter().copied(), policy)?;
    consistent(&agreement);
    let mut out = Vec::new();
    agreement.write(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    Some(text.strip_prefix("permessage-deflate").expect("the name").replace("; ", "+"))
}

/// Parameters that are not in the response have their default (RFC 7692 section 7.1.2).
fn consistent(agreement: &Agreement) {
    for (bits, said) in [
        (agreement.server_max_window_bits, agreement.answers_server_bits),
        (agreement.client_max_window_bits, agreement.answers_client_bits),
    ] {
        assert!((8..=15).contains(&bits) && (said || bits == 15), "{agreement:?}");
    }
}

/// The parameters of offers, `+` for `; `, each with those of the response in the same form.
fn check(policy: &DeflatePolicy, cases: &[(&str, &str)]) {
    for (offer, expected) in cases {
        let offer = format!("permessage-deflate{}", offer.replace('+', "; "));
        assert_eq!(answer(&[&offer], policy).as_deref(), Some(*expected), "{offer}");
    }
}

#[test]
fn a_permissive_policy_grants_the_offer() {
    check(
        &ON,
        &[
            ("", ""),
            // The offer of browsers.
            ("+client_max_window_bits", ""),
            ("+server_no_context_takeover", "+server_no_context_takeover"),
            ("+client_no_context_takeover", "+client_no_context_takeover"),
            ("+server_max_window_bits=15", "+server_max_window_bits=15"),
            ("+server_max_window_bits=8", "+server_max_window_bits=8"),
            ("+server_max_window_bits=\"10\"", "+server_max_window_bits=10"),
            ("+server_max_window_bits=\"1\\0\"", "+server_max_window_bits=10"),
            ("+client_max_window_bits=15", "+client_max_window_bits=15"),
            ("+client_max_window_bits=9", "+client_max_window_bits=9"),
            (
                "+client_max_window_bits=12+server_max_window_bits=11+client_no_context_takeover\
                 +server_no_context_takeover",
                "+server_no_context_takeover+client_no_context_takeover\
                 +server_max_window_bits=11+client_max_window_bits=12",
            ),
        ],
    );
}

#[test]
fn a_stateless_policy_forbids_takeover_unasked() {
    let both = "+server_no_context_takeover+client_no_context_takeover";
    check(&STATELESS, &[("", both), ("+client_max_window_bits", both), (both, both)]);
    let defaults = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    assert_eq!(defaults, STATELESS);
}

#[test]
fn a_policy_lowers_windows_where_the_offer_allows_it() {
    check(
        &SMALL,
        &[
            ("", "+server_max_window_bits=10"),
            ("+client_max_window_bits", "+server_max_window_bits=10+client_max_window_bits=11"),
            ("+client_max_window_bits=15", "+server_max_window_bits=10+client_max_window_bits=11"),
            ("+client_max_window_bits=9", "+server_max_window_bits=10+client_max_window_bits=9"),
            ("+server_max_window_bits=15", "+server_max_window_bits=10"),
            ("+server_max_window_bits=9", "+server_max_window_bits=9"),
        ],
    );
    let agreement = negotiate_deflate(["permessage-deflate"].into_iter(), &SMALL).expect("agreed");
    assert_eq!(agreement.client_max_window_bits, 15, "the client was not asked to do less");
    for bits in [0, 7, 16, 255] {
        let odd =
            DeflatePolicy { server_max_window_bits: bits, client_max_window_bits: bits, ..ON };
        let offers = ["permessage-deflate; client_max_window_bits"];
        let agreement = negotiate_deflate(offers.into_iter(), &odd).expect("agreed");
        let expected = bits.clamp(8, 15);
        assert_eq!(agreement.server_max_window_bits, expected);
        assert_eq!(agreement.client_max_window_bits, expected);
    }
}

#[test]
fn offers_that_cannot_be_honoured_are_declined() {
    let params = [
        "unknown",
        "unknown=1",
        "Server_no_context_takeover",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "client_no_context_takeover=\"x\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=0",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=1",
        "server_max_window_bits=100",
        "server_max_window_bits=1a",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=9.0",
        "server_max_window_bits=\"16\"",
        "server_max_window_bits=264",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=09",
        "client_max_window_bits=x",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits",
    ];
    for param in params {
        let offer = format!("permessage-deflate; {param}");
        assert_eq!(answer(&[&offer], &ON), None, "{offer}");
        let later = format!("permessage-deflate; client_max_window_bits; {param}; x");
        assert_eq!(answer(&[&later], &ON), None, "{later}");
        // Only this offer is declined. The next one counts, in the same line or in another.
        let next = "permessage-deflate; server_no_context_takeover";
        let taken = Some("+server_no_context_takeover".to_owned());
        assert_eq!(answer(&[&format!("{offer}, {next}")], &ON), taken, "{offer}");
        assert_eq!(answer(&[&offer, next], &ON), taken, "{offer}");
    }
}

#[test]
fn the_first_acceptable_offer_wins() {
    let nine = "permessage-deflate; server_max_window_bits=9";
    let ten = "permessage-deflate; server_max_window_bits=10";
    let is = |bits: u8| Some(format!("+server_max_window_bits={bits}"));
    assert_eq!(answer(&[&format!("{nine}, {ten}")], &ON), is(9));
    assert_eq!(answer(&[&format!("{ten}, {nine}")], &ON), is(10));
    assert_eq!(answer(&["foo; server_max_window_bits=8", ten], &ON), is(10));
    assert_eq!(answer(&[&format!("x-webkit-deflate-frame, {ten}")], &ON), is(10));
    assert_eq!(answer(&[&format!("{ten}, foo; x=y")], &ON), is(10));
    assert_eq!(answer(&["foo, permessage-deflatex, xpermessage-deflate"], &ON), None);
    assert_eq!(answer(&["permessage-bzip2, Permessage-Deflate"], &ON), None);
    assert_eq!(answer(&[], &ON), None);
    assert_eq!(answer(&["permessage-deflate; ="], &ON), None, "off the grammar");
    assert_eq!(answer(&["permessage-deflate;", ten], &ON), is(10));
    assert_eq!(answer(&["permessage-deflate"], &DeflatePolicy { enabled: false, ..ON }), None);
}

/// The offers of the Autobahn test suite's sections 12 and 13.
#[test]
fn the_offers_of_autobahn_are_agreed_to() {
    let accepts = "+client_no_context_takeover+client_max_window_bits";
    let both = "+server_no_context_takeover+client_no_context_takeover";
    let nine = "+server_max_window_bits=9";
    let fifteen = "+server_max_window_bits=15";
    let no_takeover = "+server_no_context_takeover";
    check(
        &STATELESS,
        &[
            (accepts, both),
            (&format!("{accepts}{no_takeover}"), both),
            (&format!("{accepts}{nine}"), &format!("{both}{nine}")),
            (&format!("{accepts}{fifteen}"), &format!("{both}{fifteen}")),
            (&format!("{accepts}{no_takeover}{nine}"), &format!("{both}{nine}")),
            (&format!("{accepts}{no_takeover}{fifteen}"), &format!("{both}{fifteen}")),
        ],
    );
    let offer = |params: &str| format!("permessage-deflate{}", params.replace('+', "; "));
    let three = [
        offer(&format!("{accepts}{no_takeover}{nine}")),
        offer(&format!("{accepts}{no_takeover}")),
        offer(accepts),
    ];
    assert_eq!(answer(&[&three.join(", ")], &STATELESS), Some(format!("{both}{nine}")));
    let client = "+client_no_context_takeover";
    assert_eq!(answer(&[&offer(accepts)], &ON).as_deref(), Some(client));
}
