//! Whole charts and tables from invented results.

use std::fs;

use super::svg::WIDTH;
use super::{charts, load, made_up, tables, write};
use crate::results::Results;

type Case = (&'static str, fn() -> Results);

const ALL: [Case; 5] = [
    ("results", made_up::results),
    ("counted", made_up::counted),
    ("hostile", made_up::hostile),
    ("lonely", made_up::lonely),
    ("without base", made_up::without_base),
];

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    Some(rest.split_once('"')?.0)
}

fn number(tag: &str, name: &str) -> Option<f64> {
    attribute(tag, name).and_then(|value| value.parse().ok())
}

/// Checks that each `&` begins a known entity.
fn check_text(text: &str) {
    assert!(!text.contains(['<', '>']), "{text}");
    for (place, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
        assert!(known.iter().any(|entity| text[place..].starts_with(entity)), "{text}");
    }
}

/// Checks that a document is well-formed, for the subset that the writer uses, and returns its
/// tags.
fn tags(svg: &str) -> Vec<&str> {
    let (mut open, mut tags, mut rest) = (Vec::new(), Vec::new(), svg.trim_end());
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("an end of the tag");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            tag.split('"').skip(1).step_by(2).for_each(check_text);
            let name = tag.split(' ').next().expect("a name");
            if !tag.ends_with('/') {
                open.push(name);
            }
            tags.push(tag);
        }
        assert!(!open.is_empty() || rest.is_empty(), "one root");
    }
    assert!(open.is_empty() && rest.is_empty(), "{open:?} {rest}");
    tags
}

fn check_places(name: &str, tags: &[&str]) {
    let height = number(tags[0], "height").expect("a height");
    for tag in tags {
        for (along, across, limit) in [("x", "width", WIDTH), ("y", "height", height)] {
            for place in [along.to_owned(), format!("{along}1"), format!("{along}2")] {
                let Some(start) = number(tag, &place) else { continue };
                let size = if tag.starts_with("rect") { number(tag, across) } else { None };
                let end = start + size.unwrap_or(0.0);
                assert!(start >= 0.0 && end <= limit, "{name}: {tag}");
            }
        }
        if let Some(class) = attribute(tag, "class").filter(|class| class.starts_with('s')) {
            assert!(
                tag.starts_with("rect")
                    || class.contains("fill")
                    || class.contains("line")
                    || class.contains("thin"),
                "{tag}"
            );
        }
    }
}

#[test]
fn charts_are_well_formed_and_inside_their_frame() {
    for (kind, results) in ALL {
        for (name, svg) in charts::all(&results()) {
            let Some(svg) = svg else { continue };
            let tags = tags(&svg);
            assert!(tags[0].starts_with("svg ") && attribute(tags[0], "role") == Some("img"));
            assert_eq!((tags[1], tags[2]), (r#"title id="title""#, r#"desc id="desc""#));
            check_places(&format!("{kind} {name}"), &tags);
            let mut words = svg.split(|c: char| !c.is_alphanumeric());
            assert!(words.all(|word| word != "NaN" && word != "inf"), "{kind} {name}");
            assert!(svg.chars().all(|c| c == '\n' || c >= ' '), "{kind} {name}");
        }
    }
}

#[test]
fn all_available_data_is_drawn() {
    let drawn = |results: Results| -> Vec<&str> {
        let charts = charts::all(&results).into_iter();
        charts.filter(|(_, svg)| svg.is_some()).map(|(name, _)| name).collect()
    };
    let all = drawn(made_up::results());
    let names = ["echo", "fanout", "handshakes", "latency", "memory", "growth", "user"];
    assert_eq!(all, names.map(|name| format!("{name}.svg")));
    assert_eq!(drawn(made_up::counted()), all);
    assert_eq!(drawn(made_up::without_base()), all[3..]);
    let mut empty = made_up::results();
    empty.workloads.retain(|workload| workload.name == "idle");
    empty.workloads[0].rows.retain(|row| row.server == "corecast");
    assert_eq!(drawn(empty), ["memory.svg"]);
}

fn chart(results: &Results, name: &str) -> String {
    let mut charts = charts::all(results).into_iter();
    charts.find(|chart| chart.0 == name).and_then(|chart| chart.1).expect("a chart")
}

/// All text in one line, without line breaks.
fn words(svg: &str) -> String {
    let parts = svg.split('<').map(|part| part.split_once('>').map_or("", |part| part.1));
    parts.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn charts_say_what_was_measured_and_on_what() {
    let timed = words(&chart(&made_up::results(), "echo.svg"));
    for part in [
        "by CPU time",
        "Linux 6.18.44, Imaginary 9000",
        "No instruction counters: perf: cycles are not supported here.",
        "1 to 5 interleaved rounds",
        "tokio-websockets 0.13.3",
        "for want of descriptors",
        "failed: fastwebsockets knows no permessage-deflate",
        "2.60 µs",
        "Logarithmic scale.",
    ] {
        assert!(timed.contains(part), "{part}");
    }
    let counted = chart(&made_up::counted(), "echo.svg");
    assert!(counted.contains("by instructions") && counted.contains("11,182 instr."));
    assert!(!counted.contains("No instruction counters") && !counted.contains("CPU time of"));
    assert!(chart(&made_up::results(), "user.svg").contains("by single-stepping"));
    assert!(chart(&made_up::counted(), "user.svg").contains("by hardware counters"));
    let linear = chart(&made_up::results(), "fanout.svg");
    assert!(!linear.contains("Logarithmic"), "a factor below two needs none");
}

#[test]
fn a_server_has_one_colour_everywhere() {
    let results = made_up::results();
    for name in ["echo.svg", "fanout.svg", "memory.svg", "user.svg"] {
        let svg = chart(&results, name);
        let bars = svg.lines().filter(|line| line.contains("<title>fastwebsockets: "));
        let mut count = 0;
        for bar in bars {
            assert!(bar.contains(r#"class="s1 fill""#), "{bar}");
            count += 1;
        }
        assert!(count > 0, "{name}");
    }
}

#[test]
fn longer_bars_mean_higher_costs() {
    let svg = chart(&made_up::results(), "handshakes.svg");
    let width = |server: &str| {
        let bar = svg.lines().find(|line| line.contains(&format!("<title>{server}: ")));
        number(bar.expect("a bar"), "width").expect("a width")
    };
    // The ratios of CPU time are 1 and 1.62 * 1.1, on a linear scale from zero.
    let factor = width("tokio-tungstenite") / width("corecast");
    assert!((factor - 1.62 * 1.1).abs() < 0.05, "{factor}");
    assert!(width("raw TCP") < width("tokio-websockets"));
}

#[test]
fn tables_name_every_figure_and_failure() {
    let text = tables::readme(&made_up::results(), &["echo.svg"]);
    for part in [
        "![echo](echo.svg)",
        "| Kernel | Linux 6.18.44 |",
        "| Instruction counters | none: perf: cycles are not supported here |",
        "| raw TCP | unknown |",
        "- Fewer idle connections than wished, for want of descriptors.",
        "### echo-20-d16\n\n20 B binary, 100 connections, 16 in flight. One message is one echo.",
        "| corecast | 2,600 (2,496..2,704) | 1.000 |",
        "| p50 µs | p90 µs | p99 µs | p99.9 µs | max µs |",
        "| fastwebsockets (failed) | - |",
        "- deflate-1k, fastwebsockets: failed: fastwebsockets knows no permessage-deflate",
        "| 9,000 | 30.0 (",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("cycles |"), "no column without figures");
    assert!(tables::readme(&made_up::counted(), &[]).contains("cycles | system calls"));
    for (kind, results) in ALL {
        let text = tables::readme(&results(), &[]);
        assert!(!text.contains("NaN") && !text.contains(" inf"), "{kind}");
        let rows = text.lines().filter(|line| line.starts_with('|'));
        for row in rows {
            assert!(row.ends_with('|'), "{kind}: {row}");
        }
    }
}

#[test]
fn files_are_the_same_each_time_and_old_charts_go() {
    let out = std::env::temp_dir().join(format!("corecast-report-{}", std::process::id()));
    let results = made_up::results();
    write(&results, &out).expect("a writable folder");
    let first = fs::read(out.join("echo.svg")).expect("a chart");
    let again = load(&[out.join("results.json")]).expect("what was written");
    write(&again, &out).expect("a writable folder");
    assert_eq!(fs::read(out.join("echo.svg")).expect("a chart"), first);
    let mut fewer = results;
    fewer.workloads.retain(|workload| workload.name.starts_with("echo"));
    let said = write(&fewer, &out).expect("a writable folder");
    assert!(said.iter().any(|line| line.starts_with("no growth.svg")), "{said:?}");
    assert!(out.join("echo.svg").exists() && !out.join("growth.svg").exists());
    fs::remove_dir_all(&out).expect("our own folder");
}

#[test]
fn lines_that_end_early_or_are_missing_are_named() {
    let mut results = made_up::results();
    for workload in &mut results.workloads {
        for row in &mut workload.rows {
            let fails = match row.server.as_str() {
                "sockudo-ws" => workload.name == "growth-echo-1000",
                "tokio-uring" => workload.name == "growth-echo-10",
                _ => false,
            };
            if fails {
                row.failed = Some("it ended".into());
                row.rounds.clear();
            }
        }
    }
    let text = words(&chart(&results, "growth.svg"));
    assert!(text.contains("Rows: cost of one echo against the number of connections"));
    assert!(text.contains("corecast 1.03×") && text.contains("corecast 0.1.0"), "{text}");
    assert!(text.contains("Without figures to compare: tokio-uring"), "{text}");
    let early = text.split("sockudo-ws ").nth(1).expect("its name");
    assert!(early.split_once("×").is_some_and(|end| end.1.starts_with(" at 100;")), "{text}");
}
