//! Requests of `/pubsub` that are costly to parse, to refuse or to pass on.

use super::parts::{LARGE, filled, publish, small_text, text};
use crate::script::{Group, Workload};

/// 16 MiB of JSON each, in some 16 to 24 KB.
fn costly() -> Vec<Vec<u8>> {
    vec![
        small_text(filled("{\"a\":1", ",\"a\":1", "}", LARGE)),
        small_text(filled("{\"publish\":\"x\",\"data\":[1", ",[]", "]}", LARGE)),
        small_text(filled("{\"publish\":\"x\",\"data\":\"", "\\u0041", "\"}", LARGE)),
        small_text(filled("{\"publish\":\"x\",\"data\":[{}", ",{\"a\":{}}", "]}", LARGE)),
    ]
}

fn brackets() -> Vec<u8> {
    let half = 4_000_000;
    let data = ["[".repeat(half), "]".repeat(half)].concat();
    small_text(format!("{{\"publish\":\"x\",\"data\":{data}}}"))
}

pub(super) const ALL: &[Workload] = &[
    Workload::one(
        "one-repeated-keys",
        "B2",
        "one connection sends 16 MiB of one key again and again, 24 KB on the wire",
        || {
            let keys = small_text(filled("{\"a\":1", ",\"a\":1", "}", LARGE));
            vec![Group::to("/pubsub", 1).deflate().again(keys)]
        },
    ),
    Workload::one(
        "one-brackets",
        "B3",
        "one connection publishes 8 million brackets, 16 KB on the wire",
        || vec![Group::to("/pubsub", 1).deflate().again(brackets())],
    ),
    Workload::one(
        "one-costly-json",
        "B20",
        "one connection sends deflated JSON of 16 MiB: keys, arrays, escapes, objects",
        || vec![Group::to("/pubsub", 1).deflate().again(costly().concat())],
    ),
    Workload::one("json-burst", "B20", "one connection sends 20 such messages at once", || {
        vec![Group::to("/pubsub", 1).deflate().first(costly().concat().repeat(5))]
    }),
    Workload::many(
        "repeated-keys",
        "B2",
        "16 connections send 16 MiB of one key again and again",
        || {
            let keys = small_text(filled("{\"a\":1", ",\"a\":1", "}", LARGE));
            vec![Group::to("/pubsub", 16).deflate().again(keys)]
        },
    ),
    Workload::many(
        "behind-an-answer",
        "B5",
        "4 connections subscribe and publish 33 times 16 MiB in one write of 540 KB",
        || {
            let data = small_text(filled("{\"publish\":\"zz\",\"data\":\"", "a", "\"}", LARGE));
            let all = [text("{\"subscribe\":\"zz\"}"), data.repeat(33)].concat();
            vec![Group::to("/pubsub", 4).deflate().first(all)]
        },
    ),
    Workload::many(
        "publish-flood",
        "",
        "50 connections flood publishes that nobody subscribed to",
        || vec![Group::to("/pubsub", 50).again(publish("nobody").repeat(300))],
    ),
    Workload::many(
        "error-flood",
        "",
        "100 connections flood requests that are wrong and read no answer",
        || vec![Group::to("/pubsub", 100).again(text("{\"subscribe\":[").repeat(500)).unread()],
    ),
    Workload::many(
        "answer-flood",
        "",
        "50 connections flood publishes with an id of 200 bytes and read no answer",
        || {
            let id = "i".repeat(200);
            let request = format!("{{\"publish\":\"nobody\",\"data\":1,\"id\":\"{id}\"}}");
            vec![Group::to("/pubsub", 50).again(text(request).repeat(100)).unread()]
        },
    ),
    Workload::many(
        "control-characters",
        "B29",
        "16 MiB of control characters each 200 ms to 20 JSON subscribers that read nothing",
        || {
            let group = Group::to("/pubsub", 20).first(text("{\"subscribe\":\"controls\"}"));
            let data = small_text("\u{1}".repeat(LARGE));
            let publisher = Group::to("/topics/controls?role=pub", 1).deflate().after_ms(500);
            vec![group.unread(), publisher.again(data).every_ms(200)]
        },
    ),
    Workload::many(
        "control-characters-read",
        "B11",
        "16 MiB of control characters each 200 ms to one JSON subscriber that reads",
        || {
            let group = Group::to("/pubsub", 1).first(text("{\"subscribe\":\"controls\"}"));
            let data = small_text("\u{1}".repeat(LARGE));
            let publisher = Group::to("/topics/controls?role=pub", 1).deflate().after_ms(500);
            vec![group, publisher.again(data).every_ms(200)]
        },
    ),
    Workload::one(
        "one-large-to-all-forms",
        "B11",
        "16 MiB of JSON, deflated to 16 KB, each 300 ms to a subscriber in each form, all read",
        || {
            let json = || Group::to("/pubsub", 1).first(text("{\"subscribe\":\"forms\"}"));
            let raw = || Group::to("/topics/forms?role=sub", 1);
            let data = small_text(filled("[1", ",[]", "]", LARGE));
            let publisher = Group::to("/topics/forms?role=pub", 1).deflate().after_ms(500);
            let publisher = publisher.again(data).every_ms(300);
            vec![json(), json().deflate(), raw(), raw().deflate(), publisher]
        },
    ),
    Workload::one(
        "one-large-id",
        "B20",
        "one connection sends deflated requests with an id or a list of filters of 16 MiB",
        || {
            let id = filled("{\"publish\":\"x\",\"data\":1,\"id\":\"", "a", "\"}", LARGE);
            let list = filled("{\"subscribe\":[\"a\"", ",\"a\"", "]}", LARGE);
            let requests = [small_text(id), small_text(list)].concat();
            vec![Group::to("/pubsub", 1).deflate().again(requests)]
        },
    ),
];
