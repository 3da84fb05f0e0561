//! Goal: requests are understood, or refused with an error that names the fault; answers are exact.
//! Method: tables, and `serde_json::Value` as the oracle on damaged requests.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;

use super::answers;
use super::answers::{error, subscribed, unsubscribed};
use super::request::{Command, Parser, Request};
use crate::pubsub::testing::{deep_json, hard_json};

fn parse(text: &str) -> Request<'_> {
    Parser::default().finish(text.as_bytes())
}

fn published(topic: &str, data: Option<&'static str>, retain: bool) -> Command<'static> {
    let data = data.map(str::as_bytes);
    Command::Publish { topic: Cow::Owned(topic.to_owned()), data, retain }
}

fn names(names: &[&'static str]) -> Vec<Cow<'static, str>> {
    names.iter().map(|name| Cow::Borrowed(*name)).collect()
}

#[test]
fn commands_are_understood() {
    let subscribe = |list: &[&'static str]| Command::Subscribe(names(list));
    let unsubscribe = |list: &[&'static str]| Command::Unsubscribe(names(list));
    let cases = [
        (r#"{"subscribe":"a/+"}"#, None, subscribe(&["a/+"])),
        (r#" { "subscribe" : [ "a" , "b/#" ] , "id" : 1 } "#, Some("1"), subscribe(&["a", "b/#"])),
        (r#"{"id":null,"unsubscribe":["a"]}"#, Some("null"), unsubscribe(&["a"])),
        (r#"{"unsubscribe":"a","id":[1, {"x" :"\u00e9"}]}"#, Some(r#"[1, {"x" :"\u00e9"}]"#), {
            unsubscribe(&["a"])
        }),
        (r#"{"subscribe":["a\/b","\ud83d\ude00","",""]}"#, None, {
            subscribe(&["a/b", "\u{1f600}", "", ""])
        }),
        // Keys are compared as strings, not as they are written.
        (r#"{"p\u0075blish":"\u0061","data":0}"#, None, published("a", Some("0"), false)),
        (r#"{"publish":"a","data":0,"retain":true}"#, None, published("a", Some("0"), true)),
        (r#"{"retain":false,"data":{},"publish":"a"}"#, None, published("a", Some("{}"), false)),
        (r#"{"publish":"a","retain":true}"#, None, published("a", None, true)),
        (r#"{"publish":"a","retain":true,"data":null}"#, None, published("a", Some("null"), true)),
        (r#"{"publish":"a","data": "" ,"retain":true}"#, None, published("a", Some("\"\""), true)),
        (r#"{"publish":"a","data":" ","retain":true}"#, None, published("a", Some("\" \""), true)),
        (r#"{"publish":"a","data":null}"#, None, published("a", Some("null"), false)),
        (r#"{"publish":"","data":"","id":""}"#, Some(r#""""#), {
            published("", Some(r#""""#), false)
        }),
    ];
    for (text, id, command) in cases {
        assert_eq!(parse(text), Request { id, command: Ok(command) }, "{text}");
    }
}

#[test]
fn faults_are_named() {
    let nothing = "The request asks for nothing; give subscribe, unsubscribe or publish.";
    let object = r#"The message is not a JSON object, such as {"subscribe":"a/b"}."#;
    let data = "The key data is missing; give any JSON, or retain true to clear what is retained.";
    let unknown = |key: &str| {
        format!(
            "The key \"{key}\" is not known; known are subscribe, unsubscribe, publish, data, \
             retain, token and id."
        )
    };
    let twice = |key: &str| format!("The key {key} is there twice; give it once.");
    let json = |why: &str| format!("The message is not valid JSON: {why}.");
    let both = |keys: &str| format!("The request holds {keys}; send a request for each.");
    let alone = |key: &str| format!("The key {key} goes with publish only; leave it out here.");
    let filter = |key: &str, what: &str| {
        format!("The value of {key} is {what}; give a filter or a list of filters as strings.")
    };
    let listed =
        |what: &str| format!("The list of subscribe holds {what}; give filters as strings.");
    let topic = |what: &str| format!("The value of publish is {what}; give a topic as a string.");
    let retain = |what: &str| format!("The value of retain is {what}; give true or false.");
    let half = "a string with half a surrogate pair";
    let cases = [
        ("", None, object.into()),
        ("[1]", None, object.into()),
        ("\u{feff}{}", None, object.into()),
        ("{}", None, nothing.into()),
        (r#"{"id":1}"#, Some("1"), nothing.into()),
        (r#"{"data":1,"retain":true}"#, None, nothing.into()),
        ("{", None, json("EOF while parsing an object at line 1 column 1")),
        (r#"{"id":1}x"#, Some("1"), json("trailing characters at line 1 column 9")),
        (r#"{"id":1,"data":}"#, Some("1"), json("expected value at line 1 column 16")),
        (r#"{"id":1,"publish":"a""#, Some("1"), {
            json("EOF while parsing an object at line 1 column 21")
        }),
        (r#"{"x":1,"id":"i","y":2}"#, Some(r#""i""#), unknown("x")),
        (r#"{"Publish":"a","data":1}"#, None, unknown("Publish")),
        (r#"{"publish":"a","data":1,"\n":{},"id":2}"#, Some("2"), unknown("\n")),
        (r#"{"publish":"a","publish":"a","data":1,"id":3}"#, Some("3"), twice("publish")),
        (r#"{"publish":"a","data":1,"d\u0061ta":2}"#, None, twice("data")),
        (r#"{"id":1,"subscribe":"a","id":2}"#, Some("1"), twice("id")),
        (r#"{"id":null,"subscribe":"a","id":2}"#, Some("null"), twice("id")),
        (r#"{"subscribe":"a","unsubscribe":"a"}"#, None, both("subscribe and unsubscribe")),
        (r#"{"publish":"a","subscribe":"a"}"#, None, both("subscribe and publish")),
        (r#"{"publish":"a","data":0,"unsubscribe":"a"}"#, None, both("unsubscribe and publish")),
        (r#"{"subscribe":"a","data":1,"id":4}"#, Some("4"), alone("data")),
        (r#"{"unsubscribe":"a","retain":false}"#, None, alone("retain")),
        (r#"{"subscribe":1}"#, None, filter("subscribe", "a number")),
        (r#"{"subscribe":-1.5e3}"#, None, filter("subscribe", "a number")),
        (r#"{"subscribe":null}"#, None, filter("subscribe", "null")),
        (r#"{"unsubscribe":{"a":[]},"id":5}"#, Some("5"), filter("unsubscribe", "an object")),
        (r#"{"unsubscribe":"\udc00"}"#, None, filter("unsubscribe", half)),
        (r#"{"subscribe":["a",["b"],1]}"#, None, listed("a list")),
        (r#"{"subscribe":[true,"a"],"id":6}"#, Some("6"), listed("a boolean")),
        (r#"{"subscribe":["\ud800x"]}"#, None, listed(half)),
        (r#"{"subscribe":[]}"#, None, {
            "The list of subscribe is empty; give one filter at least.".into()
        }),
        (r#"{"unsubscribe":[ ],"id":7}"#, Some("7"), {
            "The list of unsubscribe is empty; give one filter at least.".into()
        }),
        (r#"{"publish":["a"],"data":1}"#, None, topic("a list")),
        (r#"{"publish":false,"data":1,"id":8}"#, Some("8"), topic("a boolean")),
        (r#"{"publish":"\ud800\u0041","data":1}"#, None, topic(half)),
        (r#"{"publish":"a","data":1,"retain":1}"#, None, retain("a number")),
        (r#"{"publish":"a","data":1,"retain":"true"}"#, None, retain("a string")),
        (r#"{"publish":"a","data":1,"retain":null}"#, None, retain("null")),
        (r#"{"publish":"a","id":9}"#, Some("9"), data.into()),
        (r#"{"publish":"a","retain":false}"#, None, data.into()),
    ];
    for (text, id, why) in cases {
        assert_eq!(parse(text), Request { id, command: Err(why) }, "{text}");
    }
    let long = format!(r#"{{"{}":1}}"#, "\u{e9}".repeat(100_000));
    assert_eq!(parse(&long).command, Err(unknown(&"\u{e9}".repeat(40))));
}

#[test]
fn data_and_id_are_untouched() {
    for value in &hard_json() {
        let text = format!("{{\"id\":\n{value} ,\"publish\":\"t\",\"data\": {value}\t}}");
        let request = parse(&text);
        assert_eq!(request.id, Some(value.as_str()));
        let Ok(Command::Publish { data, .. }) = request.command else { panic!("{text:.80}") };
        assert_eq!(data, Some(value.as_bytes()));
    }
    let [deep, deeper] = deep_json();
    // There is no recursion either where a value is cut short or is in the wrong place.
    assert!(parse(&format!(r#"{{"publish":"a","data":{}"#, "[".repeat(100_000))).command.is_err());
    for key in ["subscribe", "publish", "retain", "x"] {
        let text = format!(r#"{{"{key}":{deep},"id":{deeper}}}"#);
        let request = parse(&text);
        assert!(request.command.is_err(), "{key}");
        assert_eq!(request.id, Some(deeper.as_str()), "{key}");
    }
}

#[test]
fn answers_are_exact() {
    type Write<'a> = &'a dyn Fn(&mut Vec<u8>);
    let hard = "\"\\\n\u{1}\u{e9}";
    let cases: [(Write<'_>, &str); 8] = [
        (&|out| subscribed(out, &["a"], Some("1")), r#"{"subscribed":["a"],"id":1}"#),
        (&|out| subscribed(out, &["a", hard], None), {
            r#"{"subscribed":["a","\"\\\n\u0001é"]}"#
        }),
        (&|out| unsubscribed(out, &names(&["a", "b"]), Some("{ }")), {
            r#"{"unsubscribed":["a","b"],"id":{ }}"#
        }),
        (&|out| unsubscribed(out, &[String::new()], None), r#"{"unsubscribed":[""]}"#),
        (&|out| answers::published(out, "a/x", Some("2")), r#"{"published":"a/x","id":2}"#),
        (&|out| answers::published(out, hard, None), r#"{"published":"\"\\\n\u0001é"}"#),
        (&|out| error(out, "no", Some(r#""x""#)), r#"{"error":"no","id":"x"}"#),
        (&|out| error(out, hard, None), r#"{"error":"\"\\\n\u0001é"}"#),
    ];
    for (write, expected) in cases {
        let mut out = b"before".to_vec();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    }
}

/// The members of an object in their order, repeated ones too.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// A command, taken apart: its key, names, data and `retain`.
type Parts = (&'static str, Vec<String>, Option<Value>, bool);

/// The rules once more, on a tree of values.
fn oracle(pairs: &[(String, Value)]) -> Option<Parts> {
    const KEYS: [&str; 6] = ["subscribe", "unsubscribe", "publish", "data", "retain", "id"];
    let all = |key: &str| pairs.iter().filter(|(k, _)| k == key).count();
    let get = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value);
    if pairs.iter().any(|(key, _)| !KEYS.contains(&key.as_str()) || all(key) > 1) {
        return None;
    }
    let [verb] = KEYS[..3].iter().filter(|key| all(key) == 1).collect::<Vec<_>>()[..] else {
        return None;
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (data, retain) = (get("data"), get("retain"));
    if *verb != "publish" {
        let names = match get(verb)? {
            Value::Array(list) => list.iter().map(text).collect::<Option<Vec<_>>>()?,
            one => vec![text(one)?],
        };
        let fine = !names.is_empty() && data.is_none() && retain.is_none();
        return fine.then_some((verb, names, None, false));
    }
    let retain = retain.map_or(Some(false), Value::as_bool)?;
    let data = data.cloned();
    (data.is_some() || retain).then_some((verb, vec![text(get(verb)?)?], data, retain))
}

fn parts(command: Command<'_>) -> Parts {
    let own = |names: Vec<Cow<'_, str>>| names.into_iter().map(Cow::into_owned).collect();
    match command {
        Command::Subscribe(names) => ("subscribe", own(names), None, false),
        Command::Unsubscribe(names) => ("unsubscribe", own(names), None, false),
        Command::Token(_) => unreachable!("no seed has one"),
        Command::Publish { topic, data, retain } => {
            let data = data.map(|data| serde_json::from_slice(data).unwrap());
            ("publish", vec![topic.into_owned()], data, retain)
        }
    }
}

#[test]
fn damaged_requests_are_judged_as_by_the_oracle() {
    let seeds = [
        r#"{"subscribe":"a/+","id":1}"#,
        r#"{"id":{"a":[]},"subscribe":["a","b\u0041\ud83d\ude00"]}"#,
        r#"{"unsubscribe":[],"unsubscribe":["a"]}"#,
        r#"{"publish":"a/x","data":{"n":[1.5e3,-0,true,null]},"retain":true}"#,
        r#"{"retain":true,"publish":"","data":""}"#,
        r#"{"publish":"a","retain":false,"data":null,"id":"\"\\"}"#,
    ];
    let bits: Vec<char> = "{}[]\",:\\/u09aeE+-.ntrfl \n\0\u{e9}".chars().collect();
    // What the grammar allows and a tree cannot hold.
    let beyond = ["number out of range", "surrogate", "unexpected end of hex escape"];
    let mut random = fastrand::Rng::with_seed(4);
    let (mut accepted, mut valid, mut refused) = (0, 0, 0);
    for _ in 0..300_000 {
        let mut text: Vec<char> = random.choice(seeds).unwrap().chars().collect();
        for _ in 0..random.usize(..4) {
            let other: Vec<char> = random.choice(seeds).unwrap().chars().collect();
            let (at, to) = (random.usize(..=text.len()), random.usize(..other.len()));
            let end = (at + random.usize(..4)).min(text.len());
            match random.u8(..8) {
                0 => text.truncate(at),
                1 => drop(text.splice(at.., other[to..].iter().copied())),
                2 => drop(text.drain(at..end)),
                3 => drop(text.splice(at..end, other[to..].iter().copied().take(9))),
                4 => text.fill_with(|| *random.choice(&bits).unwrap()),
                _ => drop(text.splice(at..end, random.choice(&bits).copied())),
            }
        }
        let text: String = text.into_iter().collect();
        let request = parse(&text);
        let mut parser = Parser::default();
        for end in (0..text.len()).step_by(1 + text.len() / 7) {
            parser.scan(&text.as_bytes()[..end]);
        }
        assert_eq!(parser.finish(text.as_bytes()), request, "{text} in pieces");
        let mut json = serde_json::Deserializer::from_str(&text);
        match json.deserialize_map(Pairs).and_then(|pairs| json.end().map(|()| pairs)) {
            Ok(pairs) => {
                let id = pairs.iter().find(|(key, _)| key == "id").map(|(_, id)| id.clone());
                assert_eq!(request.id.map(|id| serde_json::from_str(id).unwrap()), id, "{text}");
                valid += 1;
                accepted += u32::from(request.command.is_ok());
                assert_eq!(request.command.ok().map(parts), oracle(&pairs), "{text}");
            }
            Err(error) => {
                refused += 1;
                let known = beyond.iter().any(|known| error.to_string().contains(known));
                assert!(request.command.is_err() || known, "{text}: {error}");
            }
        }
    }
    assert!(accepted > 10_000 && valid > accepted + 10_000 && refused > 10_000);
}

#[test]
fn a_list_of_filters_ends_somewhere() {
    let list = |count: usize| format!(r#"{{"subscribe":[{}]}}"#, vec![r#""a""#; count].join(","));
    assert!(
        matches!(parse(&list(1024)).command, Ok(Command::Subscribe(names)) if names.len() == 1024)
    );
    let wrong = "The list of subscribe holds more than 1,024 filters; ask several times.";
    assert_eq!(parse(&list(1025)).command, Err(wrong.into()));
}

#[test]
fn an_id_is_looked_for_up_to_1_mib_behind_a_wrong_key() {
    let request = |padding: usize| format!(r#"{{"x":{}1,"id":7}}"#, " ".repeat(padding));
    // The key ends after 4 bytes; the number that is the id has to end, too.
    let most = (1 << 20) - ":1,\"id\":7}".len();
    for (padding, id) in [(most, Some("7")), (most + 1, None)] {
        let text = request(padding);
        for piece in [usize::MAX, 100_000, 4_099] {
            let mut parser = Parser::default();
            for end in (0..text.len()).step_by(piece.min(text.len())) {
                parser.scan(&text.as_bytes()[..end]);
            }
            let request = parser.finish(text.as_bytes());
            assert_eq!(request.id, id, "{padding} in pieces of {piece}");
            assert!(request.command.unwrap_err().contains("\"x\" is not known"));
        }
    }
}

#[test]
fn nothing_is_scanned_far_behind_a_fault() {
    let text = format!(r#"{{"a":1{}"#, r#","a":1"#.repeat(1_000_000));
    let mut parser = Parser::default();
    assert!(parser.scan(text.as_bytes()) <= (1 << 20) + 10);
    assert_eq!((parser.scan(text.as_bytes()), parser.memory()), (0, 0));
    let text = format!("{{]{}", "[".repeat(1_000_000));
    assert!(Parser::default().scan(text.as_bytes()) <= 2);
}

#[test]
fn keys_and_names_of_any_length_are_named_or_refused() {
    for key in ["\\u0061", "\\ud83d\\ude00", "\u{e9}x", "\\n"] {
        let text = format!(r#"{{"{}":1}}"#, key.repeat(10_000));
        let name: String = serde_json::from_str(&format!("\"{}\"", key.repeat(40))).unwrap();
        let why = parse(&text).command.unwrap_err();
        assert!(why.starts_with(&format!("The key \"{name:.40}\" is not known")), "{why}");
    }
    // As serde_json says it, and where.
    for key in ["\\ud800", "\\udc00x", "\\ud800\\x", "a\\x", "\n", "\\u12", "ab\\ud800\\u0041"] {
        let text = format!("{{\n \"id\":1, \"{key}\":1}}");
        let expected = serde_json::Deserializer::from_str(&text).deserialize_map(Pairs);
        let expected = format!("The message is not valid JSON: {}.", expected.unwrap_err());
        assert_eq!(parse(&text), Request { id: Some("1"), command: Err(expected) }, "{text}");
    }
    let long = |len: usize| format!(r#"{{"publish":"{}","data":1}}"#, "a".repeat(len - 2));
    assert!(parse(&long(1 << 20)).command.is_ok());
    let wrong = "The value of publish is a string of more than 1 MiB; give a topic as a string.";
    assert_eq!(parse(&long((1 << 20) + 1)).command, Err(wrong.into()));
    let id = |len: usize| format!(r#"{{"publish":"","data":1,"id":"{}"}}"#, "i".repeat(len - 2));
    assert!(parse(&id(1 << 20)).command.is_ok());
    let wrong = "The value of id is longer than 1 MiB; give a shorter one.";
    assert_eq!(parse(&id((1 << 20) + 1)), Request { id: None, command: Err(wrong.into()) });
}
