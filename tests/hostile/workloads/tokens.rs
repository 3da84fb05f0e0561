//! Tokens whose signatures are costly to verify, at handshakes and after them.

use super::parts::text;
use crate::guarded::{PATH, token, wrong};
use crate::script::{Group, Workload};

fn with(token: &str, count: usize) -> Group {
    Group::to(&format!("{PATH}?access_token={token}"), count)
}

fn renewal(token: &str) -> Vec<u8> {
    text(format!("{{\"token\":\"{token}\"}}"))
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "wrong-tokens-rs256",
        "",
        "200 connections show a token of RS256 with a wrong signature, are refused, and come again",
        || vec![with(&wrong("rs256"), 200).anew()],
    ),
    Workload::many(
        "wrong-tokens-es256",
        "",
        "200 connections show a token that four keys of ES256 are tried for, are refused, and come \
         again",
        || vec![with(&wrong("es256"), 200).anew()],
    ),
    Workload::many(
        "token-renewals",
        "",
        "100 connections show new tokens of RS256 as fast as they can, and read the answers",
        || vec![with(&token("rs256"), 100).again(renewal(&token("rs256")).repeat(50))],
    ),
    Workload::many(
        "token-renewals-wrong",
        "",
        "100 connections show wrong tokens of ES256 as fast as they can, and read no answer",
        || {
            let wrong = renewal(&wrong("es256")).repeat(50);
            vec![with(&token("rs256"), 100).again(wrong).unread()]
        },
    ),
    Workload::one(
        "one-token-renewals",
        "",
        "one connection shows wrong tokens of ES256 as fast as it can",
        || vec![with(&token("rs256"), 1).again(renewal(&wrong("es256")).repeat(50))],
    ),
];
