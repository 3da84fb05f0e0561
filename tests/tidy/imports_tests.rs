//! Tests of the search for circles, on small crates.

use super::*;

/// The circles of a crate of these files.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &Path| {
        files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).into())
    };
    let circles = Crate::read(Path::new("lib.rs"), &read).circles();
    circles.iter().map(|c| format!("{}: {}", c.parent.join("/"), c.text)).collect()
}

fn first_lines(files: &[(&str, &str)]) -> Vec<String> {
    found(files).iter().map(|text| text.lines().next().unwrap().to_owned()).collect()
}

#[test]
fn siblings_that_import_one_another_are_found() {
    let a = "use super::b::{self, Item as Other};\n";
    let files = [
        ("lib.rs", "mod a;\npub mod b;\nmod c;\n"),
        ("a.rs", a),
        ("b.rs", "fn f(c: crate::c::C) {}\n"),
    ];
    let c = |text| [files[0], files[1], files[2], ("c.rs", text)];
    assert!(found(&c("use super::Nothing;\n")).is_empty());
    let texts = found(&c("fn f() { super::a::g() }\n"));
    assert_eq!(
        texts,
        [": a -> b -> c -> a\n    a -> b: a.rs names super::b\n    \
          b -> c: b.rs names crate::c::C\n    c -> a: c.rs names super::a::g"]
    );
}

#[test]
fn imports_of_files_deep_inside_count_for_their_folders() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a/mod.rs", "mod x;\nmod y;\n"),
        ("a/x.rs", "use crate::{b::{z::{Z}}, a::y};\n"),
        ("a/y.rs", "fn f() { self::g(); super::super::b::h() }\n"),
        ("b.rs", "mod z;\n"),
        ("b/z.rs", "use crate::a::y::Y;\n"),
    ];
    assert_eq!(first_lines(&files), [": a -> b -> a"]);
    let mut inside = files;
    inside[3].1 = "use super::x::X;\n";
    inside[5].1 = "";
    assert_eq!(first_lines(&inside), ["a: x -> y -> x"]);
}

/// What a parent defines itself is as one more child of it.
#[test]
fn a_parent_and_its_child_do_not_import_one_another() {
    let files = |a| {
        [
            ("lib.rs", "mod a;\nuse a::A;\n"),
            ("a.rs", a),
            ("a/x.rs", "use super::A;\npub(in crate::a) struct X;\n"),
        ]
    };
    assert!(found(&files("mod x;\nstruct A;\n")).is_empty());
    assert_eq!(first_lines(&files("mod x;\nuse x::X;\nstruct A(X);\n")), ["a: mod -> x -> mod"]);
}

#[test]
fn a_re_export_of_the_parent_is_an_import_of_the_sibling() {
    let x = "use super::Y;\n";
    let files = [
        ("lib.rs", "mod a;\n"),
        ("a/mod.rs", "mod x;\nmod y;\nuse x::X;\npub use self::y::{Y};\n"),
        ("a/x.rs", x),
        ("a/y.rs", "fn f(_: crate::a::X) {}\n"),
    ];
    assert_eq!(first_lines(&files), ["a: x -> y -> x"]);
}

#[test]
fn tests_and_comments_do_not_count() {
    let lib = "mod a;\nmod b;\n#[cfg(test)]\nmod fake;\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod t;\n";
    let b = "use super::a;\n";
    let a = "//! See [`super::b`].\n#[cfg(test)]\nuse super::b::{\n    B,\n};\n\
             struct A; // not super::b::B\n#[cfg(test)]\nmod tests {\n    use super::*;\n    \
             fn f() {\n        crate::b::f();\n    }\n}\n";
    assert!(found(&[("lib.rs", lib), ("a.rs", a), ("b.rs", b)]).is_empty());
    let a = format!("{a}fn f() {{ crate::b::f() }}\n");
    assert_eq!(first_lines(&[("lib.rs", lib), ("a.rs", &a), ("b.rs", b)]), [": a -> b -> a"]);
}

#[test]
fn a_child_with_a_path_attribute_is_found() {
    let files = [
        ("lib.rs", "mod a;\n#[path = \"other/b.rs\"]\nmod b;\n"),
        ("a.rs", "use crate::b::B;\n"),
        ("other/b.rs", "pub(super) use crate::a::A;\n"),
    ];
    assert_eq!(first_lines(&files), [": a -> b -> a"]);
}
