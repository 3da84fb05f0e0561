//! Settings that bound others.

use super::check::Check;
use super::options::Options;

/// A setting that cannot have an effect beyond another one.
pub(super) struct Bound {
    pub(super) setting: &'static str,
    pub(super) by: &'static str,
    /// Both amounts.
    amounts: fn(&Options) -> (u64, u64),
    /// Refused also if the setting is the default.
    always: bool,
    /// The share of the other that it may have: one of so many parts.
    part: u64,
}

#[cfg(test)]
impl Bound {
    /// For the documents.
    pub(super) fn sentence(&self) -> String {
        let unless = if self.always { "" } else { ", if it is not the default," };
        let share = if self.part == 2 { "half of " } else { "" };
        format!("`{}`{unless} is not more than {share}`{}`", self.setting, self.by)
    }
}

const fn bound(
    setting: &'static str,
    by: &'static str,
    amounts: fn(&Options) -> (u64, u64),
) -> Bound {
    Bound { setting, by, amounts, always: false, part: 1 }
}

pub(super) const BOUNDS: &[Bound] = &[
    Bound {
        always: true,
        ..bound("max-message", "max-memory", |all| {
            (all.config.limits.max_message as u64, all.config.limits.memory as u64)
        })
    },
    bound("max-body", "max-memory", |all| {
        (all.config.limits.max_body as u64, all.config.limits.memory as u64)
    }),
    bound("max-request-line", "max-head", |all| {
        (all.config.limits.head.max_line as u64, all.config.limits.head.max_bytes as u64)
    }),
    bound("send-queue", "max-memory", |all| {
        (all.config.limits.send_queue as u64, all.config.limits.memory as u64)
    }),
    bound("subscriber-queue", "max-memory", |all| {
        (all.config.pubsub.queue as u64, all.config.limits.memory as u64)
    }),
    bound("publish-backlog", "max-memory", |all| {
        (all.config.pubsub.backlog as u64, all.config.limits.memory as u64)
    }),
    bound("max-handshakes", "max-connections", |all| {
        let limits = &all.config.limits;
        (limits.max_handshakes.unwrap_or(0).into(), limits.max_connections.into())
    }),
    bound("max-connection-index", "max-index", |all| {
        (all.config.pubsub.max_connection_index as u64, all.config.pubsub.max_index as u64)
    }),
    Bound {
        part: 2,
        ..bound("max-index", "max-memory", |all| {
            (all.config.pubsub.max_index as u64, all.config.limits.memory as u64)
        })
    },
    Bound {
        always: true,
        ..bound("buffers", "max-buffers", |all| {
            (all.config.buffers.count.into(), all.config.buffers.max.into())
        })
    },
];

/// The fault of a setting beyond the one that bounds it.
pub(super) fn beyond(check: &Check<'_>, bound: &Bound) -> Option<String> {
    let (amount, most) = (bound.amounts)(check.options);
    if amount <= most / bound.part || !(bound.always || check.is_changed(bound.setting)) {
        return None;
    }
    let share = if bound.part == 2 { "half of " } else { "" };
    Some(format!(
        "{} is more than {share}{}, so it can never be reached; lower it or raise the other",
        check.show(bound.setting),
        check.show(bound.by)
    ))
}
