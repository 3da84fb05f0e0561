//! Retained values, and subscriptions that look for them.

use super::parts::{LARGE, filled, levels, small_text, subscribe, text, unsubscribe};
use crate::script::{Group, Then, Workload};

fn retain(topic: &str, data: &str) -> Vec<u8> {
    text(format!("{{\"publish\":\"{topic}\",\"data\":{data},\"retain\":true}}"))
}

/// One connection that retains values of 10,000 topics of 32 levels.
fn ten_thousand() -> Group {
    let topic = |n| levels("l", 31) + &format!("{n}");
    let all = (0..10_000).flat_map(|n| retain(&topic(n), "1")).collect();
    Group::to("/pubsub", 1).first(all)
}

/// 128 filters of 32 levels, none of which matches.
fn no_match(i: usize) -> impl Iterator<Item = String> {
    (0..128).map(move |n| levels("+", 31) + &format!("x{i}-{n}"))
}

fn no_match_loop(i: usize) -> Vec<u8> {
    [subscribe(no_match(i)), unsubscribe(no_match(i))].concat()
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "retained-handshakes",
        "",
        "500 connections subscribe to a topic with a value of 60 KB, are reset, and repeat",
        || {
            let value = retain("long", &format!("\"{}\"", "v".repeat(60_000)));
            let publisher = Group::to("/pubsub", 1).first(value);
            let readers = Group::to("/topics/long?role=sub", 500).after_ms(300);
            vec![publisher, readers.then(Then::Resets).anew()]
        },
    ),
    Workload::one(
        "one-retained-scan",
        "B10",
        "10,000 retained topics; one connection subscribes to 128 filters that match none, again \
         and again",
        || {
            let loops = Group::to("/pubsub", 1).after_ms(800).again(no_match_loop(0));
            vec![ten_thousand(), loops]
        },
    ),
    Workload::many("retained-scans", "B19", "the same with 100 connections", || {
        let all = (0..100).map(no_match_loop).collect();
        vec![ten_thousand(), Group::to("/pubsub", 100).after_ms(800).agains(all)]
    }),
    Workload::many(
        "retained-replay",
        "",
        "10,000 retained topics; 50 connections subscribe to all of them again and again and read",
        || {
            let filter = || ["l/#".to_owned()];
            let both = [subscribe(filter()), unsubscribe(filter())].concat();
            vec![ten_thousand(), Group::to("/pubsub", 50).after_ms(800).again(both)]
        },
    ),
    Workload::many(
        "large-replay",
        "replay",
        "a retained value of 16 MiB and 100 subscribers that read nothing",
        || {
            let value =
                filled("{\"publish\":\"big\",\"retain\":true,\"data\":\"", "a", "\"}", LARGE);
            let retain = Group::to("/pubsub", 1).deflate().first(small_text(value));
            let silent = Group::to("/topics/big?role=sub", 100).room(4_096);
            vec![retain, silent.after_ms(500).unread()]
        },
    ),
    Workload::many(
        "tombstones",
        "",
        "20 connections retain and clear values of distinct topics as fast as they can",
        || {
            let pair = |i: usize, n: usize| {
                let topic = format!("t/{i}/{n}");
                [retain(&topic, "1"), retain(&topic, "null")].concat()
            };
            let all = |i: usize| (0..2_000).flat_map(|n| pair(i, n)).collect();
            vec![Group::to("/pubsub", 20).agains((0..20).map(all).collect())]
        },
    ),
    Workload::many(
        "retained-large",
        "",
        "8 connections replace retained values of 1 MiB as fast as they can",
        || {
            let value =
                filled("{\"publish\":\"v\",\"retain\":true,\"data\":\"", "a", "\"}", 1 << 20);
            vec![Group::to("/pubsub", 8).deflate().again(small_text(value).repeat(8))]
        },
    ),
];
