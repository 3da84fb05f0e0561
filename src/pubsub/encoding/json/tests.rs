//! Goal: what is published arrives as it was. Method: tables, and random payloads decoded again.

use serde_json::Value;

use super::pieces::JsonPieces;
use super::text::{delivery, gap};
use crate::pubsub::encoding::encode::{Data, ONE_PIECE, Pieces};
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

/// The encoding made in pieces, behind `room` bytes.
fn in_pieces(data: Data<'_>, room: usize) -> Vec<u8> {
    let payload = data.bytes();
    let mut pieces = JsonPieces::new("t/\u{1}", data, room, is_marked(payload));
    let mut steps = 0;
    while !pieces.is_done() {
        assert!(pieces.step(payload) < 1_000_000, "a step is about a millisecond at most");
        steps += 1;
    }
    assert!(steps > payload.len() / (64 << 10));
    pieces.into_bytes().split_off(room)
}

fn in_one(data: Data<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    delivery(&mut out, "t/\u{1}", data, is_marked(data.bytes()));
    out
}

/// Whether the payload is encoded as a retained value: half of them are.
fn is_marked(payload: &[u8]) -> bool {
    payload.len().is_multiple_of(2)
}

#[test]
fn a_large_payload_is_encoded_in_pieces_as_in_one() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut kinds = [0; 3];
    for number in 0..60 {
        let len = random.usize(20_000..300_000);
        let noise: String = (0..len / 3).map(|_| random.char('\u{20}'..='\u{1F600}')).collect();
        let list = format!("[{}0]", "[1.5e3,{\"a\":\"\u{e9}\"}],".repeat(len / 20));
        let mut payload = match number % 6 {
            0 => noise.into_bytes(),
            1 => format!("\"{}\"", noise.replace(['"', '\\'], " ")).into_bytes(),
            2 => list.into_bytes(),
            3 => list.as_bytes()[..list.len() * 2 / 3].to_vec(),
            4 => " ".repeat(len).into_bytes(),
            _ => (0..len).map(|_| random.u8(..)).collect(),
        };
        if number % 4 == 3 {
            // The last character is cut.
            payload.push(0xE2);
        }
        let encoded = in_one(Data::Bytes(&payload));
        assert!(in_pieces(Data::Bytes(&payload), number % 11) == encoded, "{number}");
        let has = |key: &[u8]| encoded.windows(key.len()).take(40).any(|part| part == key);
        kinds[if has(b"data64") { 0 } else { usize::from(has(b",\"data\":\"")) + 1 }] += 1;
        if number % 6 == 2 {
            assert!(in_pieces(Data::Json(&payload), 10) == in_one(Data::Json(&payload)));
        }
    }
    assert!(kinds.iter().all(|count| *count >= 5), "{kinds:?}");
}

#[test]
fn large_text_that_would_double_as_a_string_is_sent_in_base64() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    for (text, is_string) in
        [("\n", true), ("\u{1}", false), ("\u{1}ab", false), ("\u{1}abcd", true)]
    {
        let payload = text.repeat(200_000).into_bytes();
        let told: Value = serde_json::from_slice(&in_pieces(Data::Bytes(&payload), 0)).unwrap();
        if is_string {
            assert_eq!(told["data"].as_str().unwrap().as_bytes(), payload);
        } else {
            assert_eq!(BASE64_STANDARD.decode(told["data64"].as_str().unwrap()).unwrap(), payload);
        }
        assert!(in_pieces(Data::Bytes(&payload), 0) == in_one(Data::Bytes(&payload)));
    }
    // Short text is always a string.
    for encode in [in_one, |data: Data<'_>| in_pieces(data, 0)] {
        let string = encode(Data::Bytes(&[1; ONE_PIECE]));
        assert!(string.ends_with(br#"\u0001","retained":true}"#));
        assert!(encode(Data::Bytes(&[1; ONE_PIECE + 1])).ends_with(br#"AQE="}"#));
    }
}
