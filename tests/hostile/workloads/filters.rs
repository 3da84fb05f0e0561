//! Filters and publishes that cost the index of filters.

use super::parts::{binary, levels, publish, subscribe, unsubscribe};
use crate::script::{Group, Workload};

/// Filters of one connection.
const EACH: usize = 128;

/// The mixture `number` of `a` and `+` over so many levels, and `#`.
fn mixture(number: usize, depth: usize) -> String {
    let level = |bit: usize| if number >> bit & 1 == 0 { "a/" } else { "+/" };
    (0..depth).map(level).collect::<String>() + "#"
}

/// Connections that subscribe to all mixtures, each to its share.
fn mixtures(depth: usize) -> Group {
    let count = (1 << depth) / EACH;
    let share = |i: usize| subscribe((0..EACH).map(move |n| mixture(i * EACH + n, depth)));
    Group::to("/pubsub", count).firsts((0..count).map(share).collect())
}

/// Filters of so many levels that share no more than the first of connection `i`.
fn deep(i: usize, depth: usize) -> impl Iterator<Item = String> {
    (0..EACH).map(move |n| format!("d{i}/f{n}/{}+", levels("x", depth - 3)))
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "mixtures-8k",
        "B1",
        "8,192 filters that are mixtures of one level and `+`; a publish that matches all, each \
         200 ms",
        || {
            let publisher = Group::to("/pubsub", 1).after_ms(800);
            let topic = levels("a", 13) + "t";
            vec![mixtures(13), publisher.again(publish(&topic)).every_ms(200)]
        },
    ),
    Workload::many(
        "mixtures-32k",
        "B1",
        "32,768 such filters; a publish that matches all, each second",
        || {
            let publisher = Group::to("/pubsub", 1).after_ms(1_500);
            let topic = levels("a", 15) + "t";
            vec![mixtures(15), publisher.again(publish(&topic)).every_ms(1_000)]
        },
    ),
    Workload::many(
        "searches-at-once",
        "",
        "2,000 clients publish an empty message at once, each second, to a topic compared with 512 \
         mixtures",
        || {
            let topic = format!("/topics/{}t?role=pub", levels("a", 9));
            let publishers = Group::to(&topic, 2_000).after_ms(800);
            vec![mixtures(9), publishers.again(binary([])).every_ms(1_000)]
        },
    ),
    Workload::many(
        "searches-5000",
        "",
        "5,000 clients publish an empty message at once, each second, to a topic compared with 512 \
         mixtures",
        || {
            let topic = format!("/topics/{}t?role=pub", levels("a", 9));
            let publishers = Group::to(&topic, 5_000).after_ms(800);
            vec![mixtures(9), publishers.again(binary([])).every_ms(1_000)]
        },
    ),
    Workload::many(
        "own-matches",
        "B4",
        "64 connections with 128 filters each publish 1.5 MB to topics that these match",
        || {
            let first = |i: usize| subscribe((0..EACH).map(move |n| own_filter(i, n)));
            let topics = |i: usize| {
                let topic = |n| format!("own/{i}/{}{n}", levels("a", 8));
                (0..20_000).map(topic).flat_map(|topic| publish(&topic)).collect()
            };
            let group = Group::to("/pubsub", 64).firsts((0..64).map(first).collect());
            vec![group.agains((0..64).map(topics).collect()).times(1)]
        },
    ),
    Workload::one(
        "one-own-matches",
        "B4",
        "one connection with 128 filters publishes to topics that these match",
        || {
            let first = subscribe((0..EACH).map(|n| own_filter(0, n)));
            let topic = |n| format!("own/0/{}{n}", levels("a", 8));
            let topics = (0..20_000).map(topic).flat_map(|topic| publish(&topic)).collect();
            vec![Group::to("/pubsub", 1).first(first).again(topics)]
        },
    ),
    Workload::many(
        "deep-publishes",
        "B17",
        "1,000 connections with 128 filters of 18 levels each, and a publish each 5 s",
        || {
            let first = |i: usize| subscribe(deep(i, 18));
            let group = Group::to("/pubsub", 1_000).firsts((0..1_000).map(first).collect());
            vec![group.again(publish("d1/f1/x/x/x")).every_ms(5_000)]
        },
    ),
    Workload::many(
        "deep-filters",
        "B7",
        "100 connections with 128 filters of 32 levels each",
        || {
            let first = |i: usize| subscribe(deep(i, 32));
            vec![Group::to("/pubsub", 100).firsts((0..100).map(first).collect())]
        },
    ),
    Workload::many(
        "deep-mixed-publishes",
        "B17",
        "100 connections with 128 filters of 31 levels each, and 100 publishes a second",
        || {
            let wild = |i: usize, n: usize| {
                (0..30)
                    .map(|l| if (n >> (l % 7)) & 1 == 0 { "+/" } else { "a/" })
                    .collect::<String>()
                    + &format!("{i}")
            };
            let first = |i: usize| subscribe((0..EACH).map(move |n| wild(i, n)));
            let group = Group::to("/pubsub", 100).firsts((0..100).map(first).collect());
            let topic = levels("a", 30) + "none";
            vec![group, Group::to("/pubsub", 1).after_ms(700).again(publish(&topic)).every_ms(10)]
        },
    ),
    Workload::many(
        "subscribe-churn",
        "B19",
        "100 connections subscribe to and unsubscribe from 128 filters as fast as they can",
        || {
            let both = |i: usize| [subscribe(deep(i, 8)), unsubscribe(deep(i, 8))].concat();
            vec![Group::to("/pubsub", 100).agains((0..100).map(both).collect())]
        },
    ),
    Workload::one(
        "one-subscribe-churn",
        "B19",
        "one connection subscribes to and unsubscribes from 128 filters of 32 levels",
        || {
            let both = [subscribe(deep(0, 32)), unsubscribe(deep(0, 32))].concat();
            vec![Group::to("/pubsub", 1).again(both)]
        },
    ),
    Workload::many(
        "subscribe-again",
        "",
        "50 connections subscribe to the same 128 filters again and again and read no answer",
        || {
            let same = subscribe((0..EACH).map(|n| format!("same/+/{n}")));
            vec![Group::to("/pubsub", 50).again(same.repeat(4)).unread()]
        },
    ),
    Workload::many(
        "matches-all",
        "",
        "100 connections subscribe to `#` and read; 4 flood publishes to distinct topics",
        || {
            let readers = Group::to("/pubsub", 100).first(subscribe(["#".to_owned()]));
            let topics = (0..2_000).flat_map(|n| publish(&format!("all/{n}"))).collect();
            vec![readers, Group::to("/pubsub", 4).after_ms(300).again(topics)]
        },
    ),
];

/// Filter `n` of connection `i`: all of them match the topics that the connection publishes to.
fn own_filter(i: usize, n: usize) -> String {
    format!("own/{i}/{}", mixture(n, 7))
}
