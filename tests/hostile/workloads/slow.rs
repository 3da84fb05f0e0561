//! Subscribers that read slowly or not at all, and publishers that do not care.

use super::parts::{binary, small_binary, text};
use crate::script::{Group, Reads, Workload};

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "stopped-subscribers",
        "B25",
        "500 subscribers read nothing while 1,000 messages of 200 bytes a second go to them",
        || {
            let stopped = Group::to("/topics/stopped?role=sub", 500).room(4_096).unread();
            let publisher = Group::to("/topics/stopped?role=pub", 1).after_ms(500);
            vec![stopped, publisher.again(binary([7; 200]).repeat(20)).every_ms(20)]
        },
    ),
    Workload::many(
        "slow-subscribers",
        "",
        "500 subscribers read 100 bytes at a time while 1,000 messages a second go to them",
        || {
            let slow = Group::to("/topics/slow?role=sub", 500).room(4_096);
            let publisher = Group::to("/topics/slow?role=pub", 1).after_ms(500);
            let messages = binary([7; 200]).repeat(20);
            vec![slow.reads(Reads::Slowly(100)), publisher.again(messages).every_ms(20)]
        },
    ),
    Workload::many(
        "long-broadcasts",
        "B29",
        "4 publishers send messages of 12 MiB to topics of 50 subscribers each that read nothing",
        || {
            let topic = |n: usize| format!("/topics/long{n}");
            let stopped = |n| Group::to(&format!("{}?role=sub", topic(n)), 50).room(4_096).unread();
            let publisher = |n| {
                let group = Group::to(&format!("{}?role=pub", topic(n)), 1).after_ms(500);
                group.again(binary(vec![7; 12 << 20])).every_ms(1_000)
            };
            (0..4).flat_map(|n| [stopped(n), publisher(n)]).collect()
        },
    ),
    Workload::many(
        "own-messages-unread",
        "W1",
        "20 connections flood a topic that they are subscribed to and read nothing",
        || {
            let group = Group::to("/topics/own", 20).again(binary([7; 1_000]).repeat(50));
            vec![group.unread().anew()]
        },
    ),
    Workload::many(
        "publish-flood-200",
        "B28",
        "3 publishers at full speed to 200 subscribers that read",
        || {
            let readers = Group::to("/topics/flood?role=sub", 200);
            let publishers = Group::to("/topics/flood?role=pub", 3).after_ms(300);
            vec![readers.anew(), publishers.again(binary([7; 100]).repeat(200))]
        },
    ),
    Workload::many(
        "empty-publishes",
        "B12",
        "20 publishers of empty messages at full speed to 20 subscribers that read",
        || {
            let readers = Group::to("/topics/empty?role=sub", 20);
            let publishers = Group::to("/topics/empty?role=pub", 20).after_ms(300);
            vec![readers.anew(), publishers.again(binary([]).repeat(2_000))]
        },
    ),
    Workload::many(
        "deflated-subscribers",
        "",
        "a publisher of 64 KiB messages each 5 ms to 100 subscribers that agreed to deflate",
        || {
            let readers = Group::to("/topics/packed?role=sub", 100).deflate();
            let noise: Vec<u8> =
                (0..65_536_u32).map(|i| (((i * 40_503) >> 7) & 63) as u8).collect();
            let publisher = Group::to("/topics/packed?role=pub", 1).after_ms(300);
            vec![readers.anew(), publisher.again(binary(noise)).every_ms(5)]
        },
    ),
    Workload::many(
        "bomb-publishes",
        "B3",
        "4 publishers of bombs to 50 subscribers, half of which read nothing",
        || {
            let bomb = small_binary(vec![0; 1 << 20]);
            let publishers = Group::to("/topics/bombs?role=pub", 4).deflate().after_ms(300);
            vec![
                Group::to("/topics/bombs?role=sub", 25).anew(),
                Group::to("/topics/bombs?role=sub", 25).unread(),
                publishers.again(bomb.repeat(4)),
            ]
        },
    ),
    Workload::many(
        "costly-publishes",
        "",
        "500 clients publish at once, each second, 40 bytes that inflate to 16 KiB to be escaped",
        || {
            let readers = Group::to("/pubsub", 3).deflate();
            let publishers = Group::to("/topics/costly?role=pub", 500).deflate().after_ms(800);
            vec![
                readers.first(text("{\"subscribe\":\"costly\"}")).anew(),
                publishers.again(small_binary(vec![1; 16 << 10])).every_ms(1_000),
            ]
        },
    ),
    Workload::many(
        "costly-publishes-1000",
        "",
        "1,000 clients publish at once, each second, 40 bytes that inflate to 16 KiB to be escaped",
        || {
            let readers = Group::to("/pubsub", 3).deflate();
            let publishers = Group::to("/topics/costly?role=pub", 1_000).deflate().after_ms(800);
            vec![
                readers.first(text("{\"subscribe\":\"costly\"}")).anew(),
                publishers.again(small_binary(vec![1; 16 << 10])).every_ms(1_000),
            ]
        },
    ),
    Workload::many(
        "wide-broadcast",
        "",
        "one client publishes to 4,000 subscribers, which read, each 500 ms",
        || {
            let publisher = Group::to("/topics/wide?role=pub", 1).after_ms(1_500);
            vec![
                Group::to("/topics/wide?role=sub", 4_000),
                publisher.again(binary([1; 100])).every_ms(500),
            ]
        },
    ),
    Workload::many(
        "wide-publishers",
        "",
        "1,000 clients publish at once, each second, to a filter of 50 subscribers",
        || wide_publishers(50, 1_000, 1_000),
    ),
    Workload::many(
        "wide-publishers-always",
        "",
        "40 clients publish all the time to a filter of 400 subscribers",
        || wide_publishers(400, 40, 10),
    ),
    Workload::many(
        "json-subscribers",
        "",
        "a publisher of text that has to be escaped, 64 KiB each 5 ms, to 50 JSON subscribers",
        || {
            let readers = Group::to("/pubsub", 50).first(text("{\"subscribe\":\"escaped\"}"));
            let publisher = Group::to("/topics/escaped?role=pub", 1).after_ms(300);
            vec![readers.anew(), publisher.again(text("\n\"".repeat(32_768))).every_ms(5)]
        },
    ),
];

/// So many clients that publish, each to a topic of its own, each so many milliseconds, to
/// subscribers of all of these topics.
fn wide_publishers(subscribers: usize, publishers: usize, ms: u64) -> Vec<Group> {
    let readers = Group::to("/pubsub", subscribers).first(text("{\"subscribe\":\"wide/+\"}"));
    let publish = |n| text(format!("{{\"publish\":\"wide/{n}\",\"data\":1}}"));
    let messages = (0..publishers).map(publish).collect();
    let publishers = Group::to("/pubsub", publishers).after_ms(300);
    vec![readers.anew(), publishers.hold_ms(700).agains(messages).every_ms(ms)]
}
