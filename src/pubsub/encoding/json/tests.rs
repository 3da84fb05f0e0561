//! Goal: what is published arrives as it was. Method: tables, and random payloads decoded again.

use serde_json::Value;

use super::*;
use crate::pubsub::testing::hard_json;

#[test]
fn data_is_untouched() {
    for value in &hard_json() {
        let mut out = Vec::new();
        delivery(&mut out, "t", Data::Json(value.as_bytes()), false);
        assert_eq!(out, format!(r#"{{"topic":"t","data":{value}}}"#).into_bytes());
        let mut bytes = Vec::new();
        delivery(&mut bytes, "t", Data::Bytes(value.as_bytes()), false);
        assert_eq!(bytes, out, "JSON of raw clients is encoded the same way");
    }
}

#[test]
fn deliveries_and_gaps_are_exact() {
    type Write<'a> = &'a dyn Fn(&mut Vec<u8>);
    let hard = "\"\\\n\u{1}\u{e9}";
    let cases: [(Write<'_>, &str); 16] = [
        (&|out| gap(out, "a/x", 12), r#"{"gap":"a/x","lost":12}"#),
        (&|out| gap(out, hard, u64::MAX), {
            r#"{"gap":"\"\\\n\u0001é","lost":18446744073709551615}"#
        }),
        (&|out| delivery(out, "a/x", Data::Json(b"[1, 2]"), false), {
            r#"{"topic":"a/x","data":[1, 2]}"#
        }),
        (&|out| delivery(out, hard, Data::Json(b"1"), true), {
            r#"{"topic":"\"\\\n\u0001é","data":1,"retained":true}"#
        }),
        (&|out| delivery(out, "a", Data::Json(b""), true), {
            r#"{"topic":"a","data":"","retained":true}"#
        }),
        (&|out| delivery(out, "a", Data::Bytes(b""), false), r#"{"topic":"a","data":""}"#),
        (&|out| bytes(out, b" {\"b\":\n1}\r\n"), "{\"topic\":\"a\",\"data\": {\"b\":\n1}\r\n}"),
        (&|out| bytes(out, b"\"x\""), r#"{"topic":"a","data":"x"}"#),
        (&|out| bytes(out, b"null"), r#"{"topic":"a","data":null}"#),
        (&|out| bytes(out, b"{\"b\":1,}"), r#"{"topic":"a","data":"{\"b\":1,}"}"#),
        (&|out| bytes(out, b"1 2"), r#"{"topic":"a","data":"1 2"}"#),
        (&|out| bytes(out, b" "), r#"{"topic":"a","data":" "}"#),
        (&|out| bytes(out, b"\"\n\""), r#"{"topic":"a","data":"\"\n\""}"#),
        (&|out| bytes(out, b"\xef\xbb\xbf1"), "{\"topic\":\"a\",\"data\":\"\u{feff}1\"}"),
        (&|out| bytes(out, b"\xff"), r#"{"topic":"a","data64":"/w=="}"#),
        (&|out| delivery(out, "a", Data::Bytes(b"\"\xed\xa0\x80\xfb"), true), {
            r#"{"topic":"a","data64":"Iu2ggPs=","retained":true}"#
        }),
    ];
    for (write, expected) in cases {
        let mut out = b"before".to_vec();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    }
}

fn bytes(out: &mut Vec<u8>, payload: &[u8]) {
    delivery(out, "a", Data::Bytes(payload), false);
}

#[test]
fn every_payload_comes_back() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut random = fastrand::Rng::with_seed(3);
    let mut kinds = [0; 3];
    for _ in 0..20_000 {
        let json = br#"{"a":["b\n",1.5,true,null]} "#;
        let mut payload = json[..random.usize(..=json.len())].to_vec();
        match random.u8(..4) {
            0 => payload = (0..random.usize(..9)).map(|_| random.u8(..)).collect(),
            1 => {
                payload = (0..random.usize(..9)).map(|_| random.char(..)).collect::<String>().into()
            }
            2 => payload.extend_from_slice(&json[payload.len()..]),
            _ => {}
        }
        let mut out = Vec::new();
        delivery(&mut out, "t", Data::Bytes(&payload), random.bool());
        let told: Value = serde_json::from_slice(&out).unwrap();
        let sent = serde_json::from_slice::<Value>(&payload);
        match (&told["data"], &told["data64"]) {
            (data, Value::Null) if sent.is_ok() => assert_eq!(*data, sent.unwrap()),
            (Value::String(text), Value::Null) => assert_eq!(text.as_bytes(), payload),
            (Value::Null, Value::String(text)) => {
                assert!(str::from_utf8(&payload).is_err());
                assert_eq!(BASE64_STANDARD.decode(text).unwrap(), payload);
            }
            _ => panic!("{told}"),
        }
        kinds[usize::from(told.get("data64").is_some())
            + 2 * usize::from(told["data"].is_object())] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 1000), "{kinds:?}");
}
