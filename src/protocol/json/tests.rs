//! Goal: a text is judged as `serde_json` judges it, wherever it is cut. Method: tables and random
//! damage, with `serde_json` as the oracle for the fault and its position.

use serde::de::IgnoredAny;

use super::{Event, Fault, Scanner, position};

/// Scans `text` in pieces of `piece` bytes at most.
fn scan(text: &str, piece: usize) -> (Vec<Event>, Option<Fault>) {
    let (mut scanner, mut events) = (Scanner::default(), Vec::new());
    let mut end = 0;
    loop {
        match scanner.next(&text.as_bytes()[..end]) {
            Event::More if end == text.len() => return (events, scanner.finish()),
            Event::More => end = (end + piece).min(text.len()),
            Event::Fault(fault) => return (events, Some(fault)),
            event => events.push(event),
        }
    }
}

fn shown(fault: Option<Fault>, text: &str) -> Result<(), String> {
    let Some(fault) = fault else { return Ok(()) };
    let (line, column) = position(text.as_bytes(), fault.at);
    Err(format!("{} at line {line} column {column}", fault.what))
}

/// What `serde_json` says.
fn oracle(text: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| error.to_string())
}

/// The keys of the outermost object may be judged in another way.
fn is_told_apart(fault: &str) -> bool {
    fault.starts_with("trailing comma") || fault.starts_with("EOF while parsing a value")
}

fn check(text: &str) -> bool {
    let expected = oracle(text);
    let (events, fault) = scan(text, usize::MAX);
    let found = shown(fault, text);
    assert_eq!(found.is_ok(), expected.is_ok(), "{text}: {found:?} {expected:?}");
    if !found.as_ref().is_err_and(|found| is_told_apart(found)) {
        assert_eq!(found, expected, "{text}");
    }
    for piece in [1, 2, 7] {
        assert_eq!(scan(text, piece), (events.clone(), fault), "{text} in pieces of {piece}");
    }
    found.is_ok()
}

#[test]
fn texts_are_judged_as_by_the_oracle() {
    let texts = [
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[]",
        "{}",
        "[1",
        "[1,",
        "[1,]",
        "[,]",
        "[1 2]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\" 1}",
        "{\"a\":1,",
        "{\"b\":{\"a\":1,}}",
        "{a:1}",
        "{\"a\":[1}",
        "[{]",
        "0",
        "-",
        "-0",
        "00",
        "01",
        "1.",
        "1.5",
        "1.e",
        "1e",
        "1e+",
        "1e+5",
        "1E-05",
        "-x",
        "1x",
        "0.x",
        "1ex",
        "nul",
        "null",
        "nulx",
        "tru",
        "true",
        "truE",
        "false",
        "falsee",
        "\"",
        "\"a",
        "\"a\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u",
        "\"\\u12\"",
        "\"\\u12\"x",
        "\"\\u123g\"",
        "\"\\u1234\"",
        "\"\\ud800\"",
        "\"\n\"",
        "\"a\u{1}\"",
        "1 2",
        "[] x",
        "{}\n\n x",
        "\u{e9}",
        "\"\u{e9}\"",
        "\n[1,\n 2\n 3]",
        "[[[[{\"a\":[{}]}]]]]",
        "\u{feff}{}",
    ];
    let valid = texts.iter().filter(|text| check(text)).count();
    assert!(valid > 10 && valid < texts.len() - 10);
}

#[test]
fn damaged_texts_are_judged_as_by_the_oracle() {
    let seeds = [
        r#"{"a/+":[1.5e3,-0,true,null,false],"id":{"x":"\u0041\\\"é","y":[]}}"#,
        r#"[[],{},"a long text without anything that is special in any way","\n\u00e9",-12.25E+2]"#,
        "[0, 1e5,\n{\"a\":\t\"\\/\"}, \"\" , 123456]",
    ];
    let bits: Vec<char> = "{}[]\",:\\/u09aeE+-.ntrfl \n\0\u{e9}".chars().collect();
    let mut random = fastrand::Rng::with_seed(8);
    let (mut valid, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let mut text: Vec<char> = random.choice(seeds).unwrap().chars().collect();
        for _ in 0..random.usize(..4) {
            let at = random.usize(..=text.len());
            let end = (at + random.usize(..4)).min(text.len());
            match random.u8(..4) {
                0 => text.truncate(at),
                1 => drop(text.drain(at..end)),
                _ => drop(text.splice(at..end, random.choice(&bits).copied())),
            }
        }
        let text: String = text.into_iter().collect();
        if check(&text) {
            valid += 1;
        } else {
            refused += 1;
        }
    }
    assert!(valid > 20_000 && refused > 20_000, "{valid} {refused}");
}

#[test]
fn values_are_told_down_to_the_depth_that_is_watched() {
    let text = r#"{"a":[1,"x",[2]], "b" : null}"#;
    let at = |part: &str| text.find(part).unwrap();
    let (list, null) = (r#"[1,"x",[2]]"#, "null");
    let expected = [
        Event::Begin(0),
        Event::Key(1, 4),
        Event::Begin(at(list)),
        Event::End(at(list) + list.len()),
        Event::Key(at("\"b\""), at("\"b\"") + 3),
        Event::Begin(at(null)),
        Event::End(at(null) + 4),
        Event::End(text.len()),
    ];
    assert_eq!(scan(text, 1), (expected.to_vec(), None));
    let mut scanner = Scanner::default();
    scanner.watch(2);
    let mut inside = Vec::new();
    loop {
        match scanner.next(text.as_bytes()) {
            Event::More => break,
            Event::Begin(at) if scanner.depth() >= 2 => inside.push(at),
            _ => {}
        }
    }
    // The two lists, which are open once they have begun, and the elements of the outer one.
    assert_eq!(inside, [at("[1"), at("1,"), at("\"x\""), at("[2]")]);
}

#[test]
fn nesting_takes_a_bit_for_each_level() {
    let deep = 1_000_000;
    let text = ["[".repeat(deep), "]".repeat(deep)].concat();
    let mut scanner = Scanner::default();
    while scanner.next(&text.as_bytes()[..deep]) != Event::More {}
    assert_eq!(scanner.depth(), deep);
    assert!(scanner.memory() <= deep / 4, "{}", scanner.memory());
    while scanner.next(text.as_bytes()) != Event::More {}
    assert_eq!((scanner.depth(), scanner.finish()), (0, None));
}
