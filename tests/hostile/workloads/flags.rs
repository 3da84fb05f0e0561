//! What the server does only if it is told to: flags that are off by default.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::parts::{levels, list, publish, small_binary, small_text, subscribe};
use crate::script::{Group, Reads, Workload};

const SECRET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/hs256.secret");
const ROUTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/rights.toml");
const TOKENS: &[&str] = &["--config", ROUTES, "--token-secret", SECRET];
const TAKEOVER: &[&str] = &["--server-context-takeover", "--client-context-takeover"];

/// A token that allows 63 filters in vain before the last, which covers all.
fn token(rights: &str, filter: impl Fn(usize) -> String) -> String {
    let secret = std::fs::read(SECRET).expect("a secret");
    let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let day = Duration::from_secs(86_400);
    let end = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + day).as_secs();
    let filters: Vec<String> = (0..63).map(filter).chain(["#".to_owned()]).collect();
    let claims = serde_json::json!({ "sub": "ann", "exp": end, rights: filters }).to_string();
    let parts = [r#"{"alg":"HS256"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = parts.join(".");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A client with such a token.
fn with_token(count: usize, rights: &str, filter: impl Fn(usize) -> String) -> Group {
    Group::to(&format!("/rights?access_token={}", token(rights, filter)), count).deflate()
}

/// Texts that are hard to compress well: letters by chance, of few kinds.
fn letters(kinds: u32, len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + u8::try_from((state >> 16) % kinds).unwrap()
    };
    (0..len).map(next).collect()
}

pub(super) const ALL: &[Workload] = &[
    Workload::one(
        "one-with-rights",
        "",
        "one client, whose token has 64 filters, asks for 1,024 filters of 32 levels each time",
        || {
            let group = with_token(1, "subscribe", |n| levels("+", 31) + &format!("y{n}"));
            let asked = (0..1_024).map(|n| levels("a", 31) + &format!("x{n}"));
            let request = small_text(format!("{{\"subscribe\":{}}}", list(asked)));
            vec![group.again(request).every_ms(20)]
        },
    )
    .with(TOKENS),
    Workload::many(
        "publishers-with-rights",
        "",
        "50 clients, whose tokens have 64 filters of 73 levels, flood publishes",
        || {
            let group = with_token(50, "publish", |n| "/".repeat(72) + &format!("y{n}"));
            let topic = "/".repeat(72) + "x";
            vec![group.again(publish(&topic).repeat(50))]
        },
    )
    .with(TOKENS),
    Workload::one(
        "one-at-level-9",
        "",
        "one client sends 256 KiB of two letters by chance, which come back at level 9",
        || {
            let message = small_binary(letters(2, 256 << 10));
            vec![Group::to("/", 1).deflate().again(message).every_ms(50)]
        },
    )
    .with(&["--deflate-level", "9"]),
    Workload::many(
        "first-compressed",
        "",
        "500 clients send their first compressed message at once, and come again each second",
        || {
            let message = small_binary(letters(20, 200));
            let group = |n| Group::to("/", 500).deflate().after_ms(n).hold_ms(900);
            vec![group(0).again(message.clone()).times(1), group(1_500).again(message).times(1)]
        },
    )
    .with(TAKEOVER),
    Workload::many(
        "gap-notices",
        "",
        "100 JSON subscribers read slowly and lose messages of 1,024 topics of control characters",
        || {
            let topic = |n: usize| format!("t/{}{n:04}", "\\u0001".repeat(249));
            let all: Vec<u8> = (0..1_024).flat_map(|n| publish(&topic(n))).collect();
            let readers = Group::to("/pubsub", 100).first(subscribe(["t/+".to_owned()]));
            let readers = readers.room(4_096).reads(Reads::Slowly(100_000));
            let publisher = Group::to("/pubsub", 1).after_ms(500);
            vec![readers, publisher.again(all).every_ms(20)]
        },
    )
    .with(&["--slow-consumer", "drop-newest"]),
];
