//! The memory that the server may hold under a workload, by the limits that its documentation
//! names ("Memory" in README.md).

use corecast::config::Config;

use crate::guarded;
use crate::script::Group;

/// What each loop keeps for reuse besides what it charges: 17 MB for receiving, 12 MB for messages.
const KEPT: u64 = 29_000_000;
/// What the allocator keeps for each loop of large vectors that are freed: it returns their pages
/// to the system a second later, if at all.
const FREED: u64 = 64 << 20;
/// What is received and not handled when reading stops, "a few times 512 KiB".
const UNREAD: u64 = 2 << 20;

/// The most bytes of resident memory of a server with `cores` loops, of which `before` are resident
/// without the attack: what its connections may hold by their own limits, and never more than
/// `--max-memory`.
pub(crate) fn of(groups: &[Group], before: u64, cores: u64) -> u64 {
    let config = Config::default();
    let largest = groups.iter().map(message).max().unwrap_or(0);
    let each = groups.iter().map(|group| group.count as u64 * connection(group, largest, &config));
    let (retained, backlog) = match groups.iter().any(has_topics) {
        true => (config.pubsub.max_retained_bytes as u64, config.pubsub.backlog as u64),
        false => (0, 0),
    };
    let all = each.sum::<u64>() + retained + cores * backlog;
    let held = all.min(cores * config.limits.memory as u64);
    before + cores * (KEPT + FREED) + in_pages(held)
}

/// The resident memory for so many bytes that are charged. The two agree within a fifth.
const fn in_pages(charged: u64) -> u64 {
    charged + charged / 5
}

/// The bytes of the largest message that a connection of `group` can send.
fn message(group: &Group) -> u64 {
    let max = Config::default().limits.max_message as u64;
    let sent = group.first.iter().chain(&group.again).map(|bytes| bytes.len() as u64).max();
    match sent {
        Some(sent) if !group.deflate => sent.min(max),
        Some(_) => max,
        None => 0,
    }
}

/// What one connection of `group` may hold, if the largest message of all is so long: the message
/// that it sends, with the capacity of its vector; the replies or deliveries that it does not read,
/// and one message more than the limit of these; what it has sent and is not handled; its filters.
fn connection(group: &Group, largest: u64, config: &Config) -> u64 {
    let (replies, answer) = match has_topics(group) {
        // As JSON a text may be six times as long, a long one a third longer.
        true => (config.pubsub.queue as u64 + (128 << 10), largest * 4 / 3 + (6 * (16 << 10))),
        false => (0, message(group)),
    };
    let index = if has_topics(group) { config.pubsub.max_connection_index as u64 } else { 0 };
    2 * message(group) + config.limits.send_queue as u64 + replies + answer + UNREAD + index
}

/// Whether its connections go to the endpoints of topics.
fn has_topics(group: &Group) -> bool {
    let target = group.target.as_deref().unwrap_or_default();
    target.starts_with("/topics/") || target.starts_with("/pubsub") || guarded::is_for(group)
}
