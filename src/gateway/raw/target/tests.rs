use super::*;

fn raw(topic: &str, role: Role, echo: bool) -> Target {
    Target { topic: Topic::new(topic, 1024).unwrap(), role, echo }
}

fn parse(path: &str, query: Option<&str>, max_topic: usize) -> Result<Target, String> {
    assert!(owns(path), "{path}");
    Target::parse(path, query, Rules::of(max_topic, Foreign::of(&["token", "access_token"])))
}

#[test]
fn paths_name_topics() {
    let both = |topic| raw(topic, Role::Both, true);
    let cases = [
        ("/topics/a", both("a")),
        ("/topics/a/b", both("a/b")),
        ("/topics/a%2Fb%2fc", both("a/b/c")),
        ("/topics//a/", both("/a/")),
        ("/topics/%2F", both("/")),
        ("/topics/a%20b%25", both("a b%")),
        // Once, not twice.
        ("/topics/%2541", both("%41")),
        ("/topics/%c3%A9%F0%9f%98%80", both("\u{e9}\u{1f600}")),
        ("/topics/topics/", both("topics/")),
    ];
    for (path, expected) in cases {
        assert_eq!(parse(path, None, 64), Ok(expected.clone()), "{path}");
        assert_eq!(parse(path, Some(""), 64), Ok(expected), "{path}?");
    }
}

#[test]
fn parameters_are_taken() {
    let cases = [
        ("role=both", Role::Both, true),
        ("role=sub", Role::Sub, true),
        ("role=pub&echo=0", Role::Pub, false),
        ("echo=0", Role::Both, false),
        ("echo=1", Role::Both, true),
        ("role=sub&echo=1", Role::Sub, true),
        ("echo=1&role=both", Role::Both, true),
    ];
    for (query, role, echo) in cases {
        assert_eq!(parse("/topics/a", Some(query), 64), Ok(raw("a", role, echo)), "{query}");
    }
}

#[test]
fn faults_are_named() {
    let digits = "A % in the path has no two hexadecimal digits after it.";
    let none = "The path names no topic; connect to /topics/<topic>.";
    let utf8 = "The topic in the path is not valid UTF-8.";
    let role = "The parameter role is not both, sub or pub.";
    let echo = "The parameter echo is not 0 or 1.";
    let cases = [
        ("/topics", "", none),
        ("/topics/", "", none),
        ("/topics", "role=sub", none),
        ("/topics/%", "", digits),
        ("/topics/a%4", "", digits),
        ("/topics/%4g", "", digits),
        ("/topics/%g4", "", digits),
        ("/topics/%%41", "", digits),
        ("/topics/%+1", "", digits),
        ("/topics/%ff", "", utf8),
        ("/topics/%c3", "", utf8),
        ("/topics/%ed%a0%80", "", utf8),
        ("/topics/a", "role", role),
        ("/topics/a", "role=", role),
        ("/topics/a", "role=Sub", role),
        ("/topics/a", "role=%73ub", role),
        ("/topics/a", "role=sub=1", role),
        ("/topics/a", "echo", echo),
        ("/topics/a", "echo=2", echo),
        ("/topics/a", "echo=true", echo),
        ("/topics/a", "echo=01", echo),
        ("/topics/a", "role=sub&role=sub", "The parameter role is there twice; give it once."),
        ("/topics/a", "echo=0&role=sub&echo=1", "The parameter echo is there twice; give it once."),
        ("/topics/a", "rôle=sub", "The parameter \"rôle\" is not known; known are role and echo."),
        ("/topics/a", "ROLE=sub", "The parameter \"ROLE\" is not known; known are role and echo."),
        ("/topics/a", "echo=1&", "The parameter \"\" is not known; known are role and echo."),
        ("/topics/a", "&", "The parameter \"\" is not known; known are role and echo."),
        ("/topics/a", "=", "The parameter \"\" is not known; known are role and echo."),
    ];
    for (path, query, expected) in cases {
        assert_eq!(parse(path, Some(query), 64), Err(expected.into()), "{path}?{query}");
    }
}

#[test]
fn credentials_are_left_to_the_application() {
    for query in ["token=abc", "access_token=a.b-c", "token", "token=", "token=1&token=2"] {
        let both = raw("a", Role::Both, true);
        assert_eq!(parse("/topics/a", Some(query), 64), Ok(both), "{query}");
        for query in [format!("{query}&role=sub"), format!("role=sub&{query}")] {
            let sub = raw("a", Role::Sub, true);
            assert_eq!(parse("/topics/a", Some(&query), 64), Ok(sub), "{query}");
        }
    }
    for query in ["Token=1", "tokens=1", "token=1&x", "access-token=1", "jwt=1", "token=1&"] {
        assert!(parse("/topics/a", Some(query), 64).is_err(), "{query}");
    }
}

#[test]
fn what_is_the_applications_is_not_refused() {
    let any = Foreign::of(&["*"]);
    let parse = |query, foreign| Target::parse("/topics/a", Some(query), Rules::of(64, foreign));
    for query in ["jwt=1&v=2", "token", "&", "topik=1"] {
        assert_eq!(parse(query, any), Ok(raw("a", Role::Both, true)), "{query}");
    }
    assert_eq!(parse("x=1&role=sub&echo=0&y", any), Ok(raw("a", Role::Sub, false)));
    // The endpoint's own parameters stay its own.
    for foreign in [any, Foreign::of(&["role", "echo"])] {
        assert!(parse("role=x", foreign).is_err() && parse("echo=0&echo=0", foreign).is_err());
    }
    assert_eq!(parse("jwt=1", Foreign::of(&["jwt"])), Ok(raw("a", Role::Both, true)));
    assert!(parse("token=1", Foreign::of(&["jwt"])).is_err());
}

#[test]
fn topics_have_to_be_valid() {
    for path in ["/topics/a%23", "/topics/%2B/a", "/topics/+", "/topics/a%00", "/topics/abcde"] {
        let why = parse(path, None, 4).unwrap_err();
        assert!(why.starts_with("The topic in the path is not valid: "), "{path}: {why}");
        assert!(!why.contains(['\n', '\r']), "{path}: {why}");
    }
    // The limit is one of bytes, and counts what is decoded.
    assert_eq!(parse("/topics/%61bcd", None, 4), Ok(raw("abcd", Role::Both, true)));
    assert!(parse("/topics/abc%C3%A9", None, 4).is_err());
}

#[test]
fn long_names_are_cut_in_the_message() {
    let why = parse("/topics/a", Some(&"x".repeat(8000)), 64).unwrap_err();
    assert!(why.len() < 120, "{why}");
}

#[test]
fn every_byte_survives_encoding() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2000 {
        let text: String = (0..random.usize(1..12)).map(|_| random.char(..)).collect();
        let Ok(topic) = Topic::new(&text, 64) else { continue };
        let path: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let expected = Target { topic, role: Role::Both, echo: true };
        assert_eq!(parse(&format!("/topics/{path}"), None, 64), Ok(expected));
    }
}
