use super::*;

const VALID: &str = r#"{"sub":"ann","exp":1700000100,"publish":["a/{sub}"],"subscribe":["b/#"]}"#;

#[test]
fn a_valid_token_says_who_may_do_what() {
    let tokens = Tokens::new(secret());
    let ann = verify(&tokens, &token(VALID)).unwrap();
    assert_eq!(ann.user(), "ann");
    let texts = |filters: &[crate::pubsub::Filter]| {
        filters.iter().map(|filter| filter.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(ann.publish()), texts(ann.subscribe())),
        (vec!["a/ann".into()], vec!["b/#".into()])
    );
    assert_eq!(ann.ends(), Some(Duration::from_secs(1_700_000_110)), "with the leeway");
    // A single filter instead of a list, and none.
    let one = verify(&tokens, &token(r#"{"sub":"a","exp":1700000100,"publish":"x"}"#)).unwrap();
    assert_eq!((texts(one.publish()), texts(one.subscribe())), (vec!["x".into()], vec![]));
}

#[test]
fn times_count_with_the_leeway_to_the_millisecond() {
    let tokens = Tokens::new(secret()).leeway(Duration::from_secs(5));
    let at = |millis: u64, claims: &str| verify_at(&tokens, &token(claims), millis).map(drop);
    let exp = r#"{"sub":"a","exp":1000}"#;
    for (millis, expected) in [
        (0, Ok(())),
        (1_004_000, Ok(())),
        (1_004_999, Ok(())),
        (1_005_000, Err(TokenError::Expired)),
        (1_006_000, Err(TokenError::Expired)),
    ] {
        assert_eq!(at(millis, exp), expected, "exp at {millis}");
    }
    let nbf = r#"{"sub":"a","exp":2000,"nbf":1000}"#;
    for (millis, expected) in [
        (994_000, Err(TokenError::NotYet)),
        (994_999, Err(TokenError::NotYet)),
        (995_000, Ok(())),
        (996_000, Ok(())),
    ] {
        assert_eq!(at(millis, nbf), expected, "nbf at {millis}");
    }
    let parts = r#"{"sub":"a","exp":1000.5}"#;
    assert_eq!(at(1_005_499, parts), Ok(()));
    assert_eq!(at(1_005_500, parts), Err(TokenError::Expired));
    // The end of the year 9999.
    let far = r#"{"sub":"a","exp":253402300799}"#;
    assert_eq!(at(1_000, far), Ok(()));
    for beyond in ["253402300799.5", "253402300800", "18446744073709551615"] {
        let error = at(1_000, &format!(r#"{{"sub":"a","exp":{beyond}}}"#)).unwrap_err();
        assert!(error.to_string().contains("beyond the year 9999"), "{beyond}: {error}");
    }
}

#[test]
fn claims_have_to_be_what_they_should_be() {
    let tokens = Tokens::new(secret());
    let long = "u".repeat(256);
    for (claims, part) in [
        (r#"{"exp":1700000100}"#, "no claim sub"),
        (r#"{"sub":"a"}"#, "no claim exp"),
        (r#"{"sub":"","exp":1700000100}"#, "1 to 255 bytes"),
        (&format!(r#"{{"sub":"{long}","exp":1700000100}}"#), "1 to 255 bytes"),
        (r#"{"sub":1,"exp":1700000100}"#, "its claim sub has to be a string"),
        (r#"{"sub":"a","exp":"1700000100"}"#, "its claim exp has to be a number of seconds"),
        (r#"{"sub":"a","exp":-1}"#, "its claim exp has to be a number of seconds"),
        (r#"{"sub":"a","exp":1700000100,"nbf":true}"#, "its claim nbf has to be a number"),
        // Milliseconds.
        (r#"{"sub":"a","exp":1700000100000}"#, "its claim exp is beyond the year 9999"),
        (r#"{"sub":"a","exp":1700000100,"nbf":1700000000000}"#, "in seconds, not milliseconds"),
        (r#"{"sub":"a","exp":1e300}"#, "its claim exp has to be"),
        (r#"{"sub":"a","exp":1e400}"#, "its claims are no JSON"),
        (r#"{"sub":"a","exp":null}"#, "no claim exp"),
        (r#"{"sub":"a","exp":1700000100,"exp":1800000000}"#, "one is there twice"),
        (r#"{"sub":"a","exp":1700000100,"publish":{"a":1}}"#, "claim publish has to be a list"),
        (r#"{"sub":"a","exp":1700000100,"subscribe":[1]}"#, "claim subscribe has to be a list"),
        (r#"{"sub":"a","exp":1700000100,"publish":["a+"]}"#, "a filter in publish"),
        (r#"{"sub":"a","exp":1700000100,"subscribe":["a#"]}"#, "a filter in subscribe"),
        (r#"{"sub":"a/b","exp":1700000100,"subscribe":["{sub}"]}"#, "sub has a /"),
        ("[]", "its claims are no JSON object"),
        ("", "its claims are no JSON object"),
    ] {
        let error = verify(&tokens, &token(claims)).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(part), "{claims}: {line}");
        assert!(line.len() < 200 && !line.contains('\n'));
        assert_eq!(error.status().code(), 401);
    }
}

#[test]
fn the_audience_has_to_be_one_of_those_configured() {
    let plain = Tokens::new(secret());
    let two = Tokens::new(secret()).audience("chat").audience("news");
    let claims = |aud: &str| token(&format!(r#"{{"sub":"a","exp":1700000100{aud}}}"#));
    let missing = TokenError::Claim("it has no claim aud".into());
    let malformed = TokenError::Claim("its claim aud is malformed".into());
    for (aud, without, with) in [
        ("", Ok(()), Err(missing)),
        (r#","aud":"chat""#, Err(TokenError::NoAudience), Ok(())),
        (r#","aud":["x","news"]"#, Err(TokenError::NoAudience), Ok(())),
        (r#","aud":"Chat""#, Err(TokenError::NoAudience), Err(TokenError::Audience)),
        (r#","aud":["x"]"#, Err(TokenError::NoAudience), Err(TokenError::Audience)),
        (
            r#","aud":7"#,
            Err(malformed.clone()),
            Err(TokenError::Claim("it has no claim aud".into())),
        ),
    ] {
        assert_eq!(verify(&plain, &claims(aud)).map(drop), without, "{aud}");
        assert_eq!(verify(&two, &claims(aud)).map(drop), with, "{aud}");
    }
}

#[test]
fn a_wrong_signature_is_refused_wherever_it_is_wrong() {
    let tokens = Tokens::new(secret());
    let good = token(VALID);
    assert!(verify(&tokens, &good).is_ok());
    assert_eq!(
        verify(&tokens, &signed(r#"{"alg":"HS256"}"#, VALID, &[7; 32])),
        Err(TokenError::Signature)
    );
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let result = verify(&tokens, &changed);
        assert!(result.is_err(), "changed at {at}");
    }
    for cut in 0..good.len() {
        assert!(verify(&tokens, &good[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn what_is_no_token_is_refused_with_a_reason() {
    let tokens = Tokens::new(secret());
    let parts: Vec<String> = token(VALID).split('.').map(str::to_owned).collect();
    let [header, claims, tag] = [0, 1, 2].map(|at| parts[at].as_str());
    for (text, part) in [
        (String::new(), "three parts"),
        ("a".to_owned(), "three parts"),
        (format!("{header}.{claims}"), "three parts"),
        (format!("{header}.{claims}.{tag}.{tag}"), "base64url"),
        (format!("{header}=.{claims}.{tag}"), "base64url"),
        (format!("{header}.{claims}.{tag}="), "base64url"),
        (format!("{header}.{claims}.a b"), "base64url"),
        (format!("a+/b.{claims}.{tag}"), "base64url"),
        (format!("e30.{claims}.{tag}"), "header"),
        (format!("bm8.{claims}.{tag}"), "header"),
        (signed(r#"{"alg":"HS256","crit":["x"],"x":1}"#, VALID, SECRET), "demands"),
        (signed(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, VALID, SECRET), "demands"),
    ] {
        let line = verify(&tokens, &text).unwrap_err().to_string();
        assert!(line.contains(part), "{text}: {line}");
    }
}

#[test]
fn the_size_of_a_token_is_bounded() {
    let tokens = Tokens::new(secret());
    let of = |len: usize| {
        // Three of four bytes of a claim that does not count.
        let base = r#"{"sub":"a","exp":1700000100,"x":""}"#;
        let empty = token(base).len();
        (0..4)
            .map(|more| {
                let fill = "x".repeat((len - empty) / 4 * 3 + more);
                token(&base.replace("\"\"", &format!("\"{fill}\"")))
            })
            .find(|token| token.len() >= len)
            .unwrap()
    };
    // The lengths that base64 has are not all there, so the token is padded by what is no token.
    for (len, expected) in [(MAX_TOKEN - 1, None), (MAX_TOKEN, None), (MAX_TOKEN + 1, Some(()))] {
        let text = "a".repeat(len);
        let is_too_long = verify(&tokens, &text) == Err(TokenError::TooLong);
        assert_eq!(is_too_long.then_some(()), expected, "{len}");
    }
    assert!(verify(&tokens, &of(MAX_TOKEN - 8)).is_ok());
    assert_eq!(verify(&tokens, &of(MAX_TOKEN + 1)), Err(TokenError::TooLong));
    let mut cx = Verifying::new(Duration::ZERO, MAX_TOPIC);
    let _ = tokens.verify(&Credential::Token("a".repeat(1 << 20).into()), &mut cx);
    assert_eq!(cx.work(), 0, "it is not looked at");
}

/// The same text as a key of another algorithm, and algorithms that are none.
#[test]
fn algorithms_are_not_mixed_up() {
    let rsa = vector!("rs256.pem");
    let all = Keys::default().public_pem(rsa.as_bytes()).unwrap();
    let tokens = Tokens::new(all.clone());
    // The public key as a secret of HS256.
    for secret in [rsa, rsa.trim_end()] {
        let forged = signed(r#"{"alg":"HS256"}"#, VALID, secret.as_bytes());
        assert_eq!(verify(&tokens, &forged), Err(TokenError::Algorithm));
        let with_secret = Tokens::new(all.clone().secret(SECRET).unwrap());
        assert_eq!(verify(&with_secret, &forged), Err(TokenError::Signature));
    }
    let both = Tokens::new(all.secret(SECRET).unwrap());
    for alg in ["none", "None", "NONE", "nOnE", "", "HS257", "hs256"] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let forged = signed(&header, VALID, SECRET);
        let unsigned = format!("{}.", forged.rsplit_once('.').unwrap().0);
        for text in [&forged, &unsigned] {
            let error = verify(&both, text).unwrap_err();
            assert!(matches!(error, TokenError::Malformed(_)), "{alg}: {error}");
            assert!(error.to_string().contains("its header"), "{alg}: {error}");
        }
    }
    for alg in ["HS384", "HS512", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"] {
        let forged = signed(&format!(r#"{{"alg":"{alg}"}}"#), VALID, SECRET);
        assert_eq!(verify(&both, &forged), Err(TokenError::Algorithm), "{alg}");
    }
    assert_eq!(verify(&both, vector!("ps256.jwt").trim()), Err(TokenError::Algorithm));
    // A header with the key to verify with: it is not looked at.
    let forged = signed(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"BwcH"}}"#, VALID, &[7; 3]);
    assert_eq!(verify(&both, &forged), Err(TokenError::Signature));
}

#[test]
fn the_work_of_each_signature_is_counted() {
    let keys = Keys::default()
        .public_pem(vector!("rs256.pem").as_bytes())
        .and_then(|keys| keys.public_pem(vector!("es256.pem").as_bytes()))
        .and_then(|keys| keys.public_pem(vector!("eddsa.pem").as_bytes()))
        .and_then(|keys| keys.secret(SECRET))
        .unwrap();
    let tokens = Tokens::new(keys);
    for (token, least) in [
        (vector!("rs256.jwt"), 20_000),
        (vector!("es256.jwt"), 40_000),
        (vector!("eddsa.jwt"), 40_000),
        (vector!("hs256.jwt"), 1_000),
    ] {
        let mut cx = Verifying::new(Duration::from_secs(NOW), MAX_TOPIC);
        let result = tokens.verify(&Credential::Token(token.trim().into()), &mut cx);
        assert_eq!(result.unwrap().user(), "ann");
        let (good, mut cx) = (cx.work(), Verifying::new(Duration::from_secs(NOW), MAX_TOPIC));
        assert!(good > least && good < 500_000, "{good}");
        // A wrong one costs as much.
        let wrong = format!("{}A", &token.trim()[..token.trim().len() - 1]);
        let _ = tokens.verify(&Credential::Token(wrong.into()), &mut cx);
        assert!(cx.work() >= good || token.contains("HS"), "{good} {}", cx.work());
    }
}
