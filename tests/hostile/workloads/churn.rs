//! Connections that come and go.

use super::parts::{levels, subscribe};
use crate::script::{Group, Then, Workload};
use crate::support::wire;

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "open-and-reset",
        "",
        "200 connections do a handshake, are reset, and come again",
        || vec![Group::to("/", 200).then(Then::Resets).anew()],
    ),
    Workload::many(
        "open-and-close",
        "",
        "100 connections do a handshake, close in order, and come again",
        || {
            let close = wire::close(1000, "");
            vec![Group::to("/", 100).deflate().first(close).then(Then::Finishes).anew()]
        },
    ),
    Workload::many(
        "connect-and-reset",
        "",
        "200 connections are reset without a byte, and come again",
        || vec![Group::bare(200).then(Then::Resets).anew()],
    ),
    Workload::many(
        "subscribe-and-leave",
        "B19",
        "100 connections subscribe to 128 filters, are reset, and come again",
        || {
            let first = |i: usize| {
                subscribe((0..128).map(move |n| format!("c{i}/{}{n}/+", levels("x", 6))))
            };
            let group = Group::to("/pubsub", 100).firsts((0..100).map(first).collect());
            vec![group.then(Then::Resets).anew()]
        },
    ),
    Workload::many(
        "topic-churn",
        "B9",
        "200 connections subscribe to a topic by its path, are reset, and come again",
        || vec![Group::to("/topics/churn?role=sub", 200).then(Then::Resets).anew()],
    ),
    Workload::many(
        "half-open-expire",
        "B27",
        "5,000 connections send nothing, and expire together after 5 s",
        || vec![Group::bare(5_000)],
    )
    .at_least(7),
    Workload::many(
        "leave-together",
        "",
        "3,000 connections send a ping and FIN at the same moment",
        || {
            let ping = wire::frame(wire::FIN | wire::PING, b"");
            let all = Group::to("/", 3_000).again(ping).times(1).hold_ms(1_500);
            vec![all.then(Then::Finishes)]
        },
    ),
    Workload::many(
        "close-together",
        "",
        "3,000 connections send a close frame at the same moment",
        || vec![Group::to("/", 3_000).again(wire::close(1000, "")).times(1).hold_ms(1_500)],
    ),
    Workload::many("crowd-leaves", "", "5,000 connections open and leave at once", || {
        vec![Group::to("/", 5_000)]
    }),
];
