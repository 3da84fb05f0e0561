use super::*;

/// Tokens that PyJWT has made, with keys in each form.
#[test]
fn tokens_of_another_implementation_are_verified() {
    let pem = |text: &str| Keys::default().public_pem(text.as_bytes()).unwrap();
    let jwks = || Keys::default().jwks(vector!("jwks.json").as_bytes()).unwrap();
    let hs = Keys::default().secret(vector!("hs256.secret").as_bytes()).unwrap();
    for (keys, token) in [
        (hs, vector!("hs256.jwt")),
        (pem(vector!("rs256.pem")), vector!("rs256.jwt")),
        (pem(vector!("pkcs1.pem")), vector!("rs256.jwt")),
        (pem(vector!("rs256.pem")), vector!("rs256-r1.jwt")),
        (pem(vector!("es256.pem")), vector!("es256.jwt")),
        (pem(vector!("eddsa.pem")), vector!("eddsa.jwt")),
        (jwks(), vector!("rs256-r1.jwt")),
    ] {
        let tokens = Tokens::new(keys);
        let ann = verify(&tokens, token.trim()).unwrap();
        assert_eq!((ann.user(), ann.publish()[0].as_str()), ("ann", "news/ann"));
        let dot = token.rfind('.').unwrap();
        let mut wrong = token.trim().to_owned();
        let other = if &wrong[dot + 1..dot + 2] == "B" { "C" } else { "B" };
        wrong.replace_range(dot + 1..dot + 2, other);
        assert_eq!(verify(&tokens, &wrong), Err(TokenError::Signature));
    }
}

#[test]
fn the_kid_chooses_the_key() {
    let jwks = Keys::default().jwks(vector!("jwks.json").as_bytes()).unwrap();
    let tokens = Tokens::new(jwks.clone());
    // All keys have one, and the token names none, or another one.
    assert_eq!(verify(&tokens, vector!("rs256.jwt").trim()), Err(TokenError::UnknownKey));
    let valid = r#"{"sub":"ann","exp":1700000100}"#;
    let set = r#"{"keys":[
        {"kty":"oct","kid":"a","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"},
        {"kty":"oct","kid":"b","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}]}"#;
    let tokens = Tokens::new(Keys::default().jwks(set.as_bytes()).unwrap());
    let of = |kid: &str, secret: &[u8]| {
        verify(&tokens, &signed(&format!(r#"{{"alg":"HS256"{kid}}}"#), valid, secret)).map(drop)
    };
    for (kid, secret, expected) in [
        (r#","kid":"a""#, SECRET, Ok(())),
        (r#","kid":"b""#, &[7; 32], Ok(())),
        (r#","kid":"a""#, &[7; 32], Err(TokenError::Signature)),
        (r#","kid":"b""#, SECRET, Err(TokenError::Signature)),
        (r#","kid":"c""#, SECRET, Err(TokenError::UnknownKey)),
        (r#","kid":"""#, SECRET, Err(TokenError::UnknownKey)),
        ("", SECRET, Err(TokenError::UnknownKey)),
    ] {
        assert_eq!(of(kid, secret), expected, "{kid}");
    }
    // A key without one is for all others.
    let more = Keys::default().jwks(set.as_bytes()).and_then(|keys| keys.secret(SECRET)).unwrap();
    let tokens = Tokens::new(more);
    for (kid, expected) in [("", true), (r#","kid":"c""#, true), (r#","kid":"b""#, false)] {
        let token = signed(&format!(r#"{{"alg":"HS256"{kid}}}"#), valid, SECRET);
        assert_eq!(verify(&tokens, &token).is_ok(), expected, "{kid}");
    }
}

#[test]
fn keys_of_a_set_for_other_purposes_are_left_out() {
    let point = r#""kty":"EC","crv":"P-256","x":"vrJd_5D5Wn9b1dgGj3Ff_WERoZQWzz7gkW2XcuSjkw8",
        "y":"KwJfeJn3QEIYYB5CtzUdBApVC-1z3Ahe9FvEvRgn9GQ""#;
    let set = |more: &str| {
        Keys::default().jwks(format!(r#"{{"keys":[{{{point}{more}}}]}}"#).as_bytes()).map(drop)
    };
    for (more, is_used) in [
        ("", true),
        (r#","use":"sig""#, true),
        (r#","use":"enc""#, false),
        (r#","key_ops":["verify"]"#, true),
        (r#","key_ops":["sign"]"#, false),
        (r#","alg":"ES256""#, true),
        (r#","alg":"ES384""#, false),
        (r#","alg":"RS256""#, false),
        (r#","alg":"ECDH-ES""#, false),
    ] {
        let expected =
            if is_used { Ok(()) } else { Err(KeyError::Kind("no key of the set can be used")) };
        assert_eq!(set(more), expected, "{more}");
    }
    let all = Keys::default().jwks(vector!("jwks.json").as_bytes()).unwrap();
    assert!(!all.is_empty() && Keys::default().is_empty());
    for (text, part) in [
        ("", "Key Set"),
        ("{}", "Key Set"),
        (r#"{"keys":1}"#, "Key Set"),
        (r#"{"keys":[]}"#, "no key of the set"),
        (r#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#, "5 bytes"),
        (r#"{"keys":[{"kty":"RSA","n":"!","e":"AQAB"}]}"#, "malformed"),
        (r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, "17 bits"),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}"#, "P-256"),
        (r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ"}]}"#, "Ed25519"),
    ] {
        let line = Keys::default().jwks(text.as_bytes()).unwrap_err().to_string();
        assert!(line.contains(part), "{text}: {line}");
    }
}

/// A set may have keys of kinds and algorithms that nobody here knows: they keep none of the others
/// from being used.
#[test]
fn keys_of_unknown_kinds_do_not_spoil_a_set() {
    let valid = r#"{"sub":"ann","exp":1700000100}"#;
    let known = r#"{"kty":"oct","kid":"a","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}"#;
    for other in [
        r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","kid":"b"}"#,
        r#"{"kty":"OKP","crv":"X25519","x":"AAAA","kid":"b"}"#,
        r#"{"kty":"OKP","crv":"Ed448","x":"AAAA","kid":"b"}"#,
        r#"{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA","alg":"ES256K"}"#,
        r#"{"kty":"EC","crv":"P-521","x":"AAAA","y":"AAAA","use":"sig"}"#,
        r#"{"kty":"RSA","use":"enc","alg":"RSA-OAEP","n":"AQAB","e":"AQAB","x5c":["AA"]}"#,
        r#"{"kty":"RSA","alg":"RSA-OAEP-384","n":"AQAB","e":"AQAB","more":{"a":[1]}}"#,
        r#"{"kty":"RSA","alg":"PS256","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"oct","alg":"A256KW","k":"AAAA","use":"secret"}"#,
        r#"{"kty":"oct","k":"AAAA","key_ops":["wrapKey","something"]}"#,
    ] {
        for keys in [[known, other], [other, known]] {
            let set = format!(r#"{{"keys":[{}],"more":1}}"#, keys.join(","));
            let tokens = match Keys::default().jwks(set.as_bytes()) {
                Ok(keys) => Tokens::new(keys),
                Err(error) => panic!("{other}: {error}"),
            };
            let token = signed(r#"{"alg":"HS256","kid":"a"}"#, valid, SECRET);
            assert!(verify(&tokens, &token).is_ok(), "{other}");
        }
    }
}

#[test]
fn keys_that_are_weak_or_of_another_kind_are_refused() {
    for (len, ok) in [(0, false), (31, false), (32, true), (33, true)] {
        assert_eq!(Keys::default().secret(&vec![b's'; len]).is_ok(), ok, "{len}");
    }
    // The end of a line is no part of it.
    for end in ["\n", "\r\n"] {
        let text = format!("{}{end}", "s".repeat(31));
        assert_eq!(
            Keys::default().secret(text.as_bytes()).map(drop),
            Err(KeyError::ShortSecret(31))
        );
    }
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    for (text, part) in [
        ("", "BEGIN PUBLIC KEY"),
        ("@", "BEGIN PUBLIC KEY"),
        (private, "private key"),
        (cert, "openssl x509"),
        (broken, "PEM"),
        (vector!("rsa1024.pem"), "1024 bits"),
        (vector!("p384.pem"), "another curve"),
    ] {
        let line = Keys::default().public_pem(text.as_bytes()).unwrap_err().to_string();
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let mut keys = Keys::default();
    for _ in 0..4 {
        keys = keys.public_pem(vector!("es256.pem").as_bytes()).unwrap();
    }
    let fifth = keys.clone().public_pem(vector!("es256.pem").as_bytes());
    assert_eq!(fifth.map(drop), Err(KeyError::TooMany));
    assert!(keys.public_pem(vector!("eddsa.pem").as_bytes()).is_ok(), "of another algorithm");
}

/// A new key beside the old one: tokens of both are accepted.
#[test]
fn keys_are_replaced_while_the_server_runs() {
    let valid = r#"{"sub":"ann","exp":1700000100}"#;
    let [old, new] = [[1; 32], [2; 32]];
    let of = |secret: &[u8]| signed(r#"{"alg":"HS256"}"#, valid, secret);
    let keys = |secrets: &[[u8; 32]]| {
        secrets.iter().fold(Keys::default(), |keys, secret| keys.secret(secret).unwrap())
    };
    let tokens = Tokens::new(keys(&[old]));
    let accepted = || [old, new].map(|secret| verify(&tokens, &of(&secret)).is_ok());
    assert_eq!(accepted(), [true, false]);
    tokens.replace(keys(&[old, new]));
    assert_eq!(accepted(), [true, true]);
    tokens.replace(keys(&[new]));
    assert_eq!(accepted(), [false, true]);
}

/// A hash, of nothing in particular.
const HASH: &str = "6f0dbd17bb8d3b8f1d2b6dca4e8c5e0cf0b1d7c4d1fd7a5f1a2a2c1c1b1f1d1e";

#[test]
fn api_keys_are_known_by_their_hashes() {
    let hex = |key: &str| -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let lines = format!(
        "# programs\n\n prices sha256={} publish=prices/# publish=log/{{sub}}\r\n\
         reader  subscribe=#\tsha256={}\n",
        hex("one"),
        hex("two").to_uppercase()
    );
    let tokens = Tokens::new(Keys::default().api_keys(&lines).unwrap());
    let of = |key: &str| {
        let mut cx = Verifying::new(Duration::ZERO, MAX_TOPIC);
        tokens.verify(&Credential::ApiKey(key), &mut cx)
    };
    let prices = of("one").unwrap();
    assert_eq!((prices.user(), prices.ends()), ("prices", None));
    assert_eq!(prices.publish()[1].as_str(), "log/prices");
    assert_eq!(of("two").unwrap().subscribe()[0].as_str(), "#");
    for wrong in ["", "One", "one ", "prices", &hex("one"), &"x".repeat(MAX_TOKEN + 1)] {
        assert_eq!(of(wrong), Err(TokenError::ApiKey), "{wrong}");
    }
    let line = verify(&tokens, "one").unwrap_err().to_string();
    assert!(line.contains("X-API-Key"), "{line}");
    assert!(!format!("{tokens:?}").contains(&hex("one")));
}

#[test]
fn wrong_lines_are_named() {
    let again = format!("a sha256={HASH}\nb sha256={HASH}");
    for (lines, line, part) in [
        ("a", 1, "no sha256="),
        ("# a\n\na publish=x", 3, "no sha256="),
        ("a sha256=00", 1, "64 hexadecimal digits"),
        (&format!("a sha256={}", HASH.replace('6', "g")), 1, "64 hexadecimal digits"),
        (&format!("a sha256=+{}", &HASH[1..]), 1, "64 hexadecimal digits"),
        (&format!("a sha256={HASH} sha256={HASH}"), 1, "twice"),
        (&format!("a sha256={HASH} may=x"), 1, "`may` is not known"),
        (&format!("a sha256={HASH} publish=a+"), 1, "a filter in publish"),
        (&format!("a/b sha256={HASH}"), 1, "a name has none of"),
        (&format!("sha256={HASH}"), 1, "a name has none of"),
        (&again, 2, "twice"),
    ] {
        let error = Keys::default().api_keys(lines).unwrap_err();
        let KeyError::Line(number, why) = &error else { panic!("{error}") };
        assert_eq!(*number, line, "{lines}");
        assert!(why.contains(part), "{lines}: {why}");
        assert!(!error.to_string().contains(HASH), "{error}");
    }
    let of = |count: usize| {
        let line = |at: usize| format!("n{at} sha256={at:064x}\n");
        Keys::default().api_keys(&(0..count).map(line).collect::<String>()).is_ok()
    };
    assert_eq!([1_023, 1_024, 1_025].map(of), [true, true, false]);
}
