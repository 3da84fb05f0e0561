//! The table of metrics: what each is called, and where its value comes from.

use super::by_route::ByRoute;
use super::metric::Value::{Each, Histogram, Samples, Sum};
use super::metric::{Metric, Snapshot};
use super::text::Kind::{self, Counter, Gauge, Info};
use super::text::{Format, Labels, Writer};
use crate::server::view::CoreStats;
use crate::session::{RateCounts, Statuses};
use crate::worker::Closes;

/// All metrics in this form.
pub(super) fn render(snapshot: &Snapshot, format: Format) -> String {
    let mut writer = Writer::new(format);
    METRICS.iter().for_each(|metric| metric.write(snapshot, &mut writer));
    writer.finish()
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static str,
    help: &'static str,
    value: super::metric::Value,
) -> Metric {
    Metric { name, kind, labels, help, value }
}

/// Every metric, in the order of the text.
#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    metric("corecast_build", Info, "version, backend, kernel",
        "The version of the server, and what it runs on.", Samples(build)),
    metric("corecast_start_time_seconds", Gauge, "",
        "When the server was started, in seconds since 1970.",
        Samples(|all, to| to.sample(&[], all.started))),
    metric("corecast_ready", Gauge, "",
        "1 while clients are accepted, 0 while the server drains.",
        Samples(|all, to| to.sample(&[], u8::from(!all.is_draining)))),
    metric("corecast_connections", Gauge, "protocol, endpoint, route",
        "Connections at this moment. Those that are no WebSocket have the endpoint none or admin. \
         The route is a pattern, or empty.",
        Samples(connections)),
    metric("corecast_connection_limit", Gauge, "",
        "The most connections of all loops together.",
        Samples(|all, to| to.sample(&[], all.max_connections * all.loops.len() as u64))),
    metric("corecast_accepted_connections", Counter, "",
        "Connections accepted.", Sum(|one| one.worker.accepted)),
    metric("corecast_pending_handshakes", Gauge, "",
        "Connections whose first request is not answered yet, without those that are refused.",
        Sum(|one| one.worker.accepted - one.worker.sessions.begun)),
    metric("corecast_refused_connections", Counter, "limit",
        "Connections that were accepted to be answered with 503 or 429, by the limit.",
        Samples(refused)),
    metric("corecast_rate_limits", Counter, "of, action",
        "Times that a client has sent too much in a short time, by what, and what became of it.",
        Samples(rates)),
    metric("corecast_accept_errors", Counter, "",
        "Accepts that failed, for want of descriptors or memory or because the peer was gone.",
        Sum(|one| one.worker.accept_errors)),
    metric("corecast_handshakes", Counter, "endpoint, route",
        "Handshakes answered with 101.", Samples(handshakes)),
    metric("corecast_subrequests", Counter, "result",
        "Questions to the backend of auth-url about clients, by what became of them; cached ones \
         were not sent. There only with a backend.", Samples(subrequests)),
    metric("corecast_http_responses", Counter, "code",
        "Responses to plain requests, by status.",
        Samples(|all, to| statuses(all, to, |one| one.responses))),
    metric("corecast_refused_requests", Counter, "code",
        "Requests and handshakes that were refused, by status.",
        Samples(|all, to| statuses(all, to, |one| one.refusals))),
    metric("corecast_admin_refusals", Counter, "code",
        "Requests to the admin listener that were refused: 401 for a missing or wrong token, 403 \
         for a page in a browser.", Samples(admin_refusals)),
    metric("corecast_closed_connections", Counter, "cause, code",
        "Connections ended, by cause and close code. The code is empty without a close frame.",
        Samples(closes)),
    metric("corecast_tls_handshakes", Counter, "result",
        "Handshakes of TLS: full, resumed, or failed, with what was refused after them.",
        Samples(tls)),
    metric("corecast_without_proxy_header", Counter, "",
        "Connections that did not begin with the header of the PROXY protocol as they had to.",
        Sum(|one| one.worker.driver.without_header)),
    metric("corecast_received_messages", Counter, "",
        "Whole messages received.", Sum(|one| one.worker.sessions.messages)),
    metric("corecast_sent_messages", Counter, "kind",
        "Messages sent: replies (echoes, answers, those of handlers), deliveries, retained values.",
        Samples(sent)),
    metric("corecast_received_bytes", Counter, "",
        "Bytes received and handled: those of administration too, but not those of TLS itself.",
        Sum(|one| one.worker.sessions.received_bytes)),
    metric("corecast_sent_bytes", Counter, "",
        "Bytes sent: those of administration too, but not those of TLS itself.",
        Sum(|one| one.worker.sent_bytes)),
    metric("corecast_published_messages", Counter, "",
        "Messages published to topics.", Sum(|one| one.topics.published)),
    metric("corecast_deliveries", Counter, "",
        "Sends to subscribers, each of one or more messages.", Sum(|one| one.topics.deliveries)),
    metric("corecast_dropped_messages", Counter, "reason",
        "Messages dropped, because the client reads too slowly or a core hangs.",
        Samples(dropped)),
    metric("corecast_unretained_messages", Counter, "",
        "Messages that were published but not retained, because of a limit.",
        Sum(|one| one.topics.not_retained)),
    metric("corecast_subscriptions", Gauge, "",
        "Subscriptions at this moment.", Sum(|one| one.topics.subscriptions)),
    metric("corecast_refused_subscriptions", Counter, "",
        "Requests to subscribe that were refused because of a limit.",
        Sum(|one| one.topics.refused_subscriptions)),
    metric("corecast_denied", Counter, "of",
        "What tokens of connected clients did not allow: requests to subscribe and messages; and \
         new tokens that were refused.", Samples(denied)),
    metric("corecast_retained_values", Gauge, "",
        "Topics with a retained value.",
        Samples(|all, to| {
            to.sample(&[], all.stats().map(|one| one.topics.retained).max().unwrap_or(0));
        })),
    metric("corecast_publish_to_write_seconds", Kind::Histogram, "",
        "Of one delivery in 16: from the turn in which its messages were published to the end of \
         that in which the last subscriber of a core was sent them.",
        Histogram(|one| &one.delivery_times)),
    metric("corecast_queued_bytes", Gauge, "core, loop",
        "Bytes that wait to be sent, because clients read slowly.",
        Each(|one| number(one.worker.queued_bytes))),
    metric("corecast_memory_bytes", Gauge, "core, loop",
        "Bytes that clients make the loop hold.", Each(|one| number(one.worker.memory))),
    metric("corecast_memory_limit_bytes", Gauge, "",
        "The limit of these for each loop.", Samples(|all, to| to.sample(&[], all.max_memory))),
    metric("corecast_paused_clients", Counter, "",
        "Times a client was not read from because its replies queued up.",
        Sum(|one| one.worker.paused)),
    metric("corecast_shed_connections", Counter, "",
        "Connections closed because they held the most memory at the limit.",
        Sum(|one| one.worker.shed)),
    metric("corecast_handler_panics", Counter, "",
        "Panics in callbacks of the application.", Sum(|one| one.app.panics)),
    metric("corecast_lost_log_lines", Counter, "",
        "Lines of the log that were lost, because standard error was not read in time.",
        Samples(|all, to| to.sample(&[], all.lost_log_lines))),
    metric("corecast_reloads", Counter, "result",
        "Times that settings, certificates and keys were read again: good ones, which are in \
         force, and failed ones, which changed nothing.", Samples(reloads)),
    metric("corecast_last_good_reload_seconds", Gauge, "",
        "When they were last read without a fault, in seconds since 1970; at the start if not \
         since.",
        Samples(|all, to| to.sample(&[], all.last_good_reload))),
    metric("corecast_loop_answers", Gauge, "core, loop",
        "1 if the loop answered this request, 0 if its figures are those of the last answer.",
        Samples(answers)),
    metric("corecast_loop_connections", Gauge, "core, loop",
        "Connections of the loop.", Each(|one| number(one.connections as u64))),
    metric("corecast_loop_cpu_seconds", Counter, "core, loop",
        "Processor time of the loop; its rate is the load.",
        Each(|one| one.cpu_time.as_secs_f64())),
    metric("corecast_loop_turns", Counter, "core, loop",
        "Turns of the loop.", Each(|one| number(one.worker.turns))),
    metric("corecast_turn_seconds", Kind::Histogram, "",
        "Time of one turn in 64, without the call into the kernel, and of those that complete a \
         delivery that is measured.", Histogram(|one| &one.worker.turn_times)),
    metric("corecast_late_receives", Counter, "core, loop",
        "Receives left to the next turn because of much work.",
        Each(|one| number(one.worker.late))),
    metric("corecast_resumed_work", Counter, "core, loop",
        "Times a connection went on in a later turn because it caused much work.",
        Each(|one| number(one.worker.resumed))),
    metric("corecast_kernel_calls", Counter, "core, loop",
        "Calls of io_uring_enter or epoll_wait.", Each(|one| number(one.worker.driver.enters))),
    metric("corecast_kernel_refusals", Counter, "core, loop",
        "Calls that the kernel refused for want of memory or room, and that were tried again.",
        Each(|one| number(one.worker.driver.refused))),
    metric("corecast_ring_overflows", Counter, "core, loop",
        "Times the completion queue ran over.", Each(|one| number(one.worker.driver.overflows))),
    metric("corecast_operations_in_flight", Gauge, "core, loop",
        "Sends and receives that the kernel holds.",
        Each(|one| number(one.worker.driver.in_flight.into()))),
    metric("corecast_receive_buffers", Gauge, "core, loop",
        "Receive buffers.", Each(|one| number(one.worker.driver.buffers.into()))),
    metric("corecast_lent_receive_buffers", Gauge, "core, loop",
        "Receive buffers in use.", Each(|one| number(one.worker.driver.buffers_lent.into()))),
    metric("corecast_receives_without_buffer", Counter, "core, loop",
        "Receives that found no buffer free.", Each(|one| number(one.worker.no_buffers))),
    metric("corecast_short_sends", Counter, "core, loop",
        "Sends that did not take everything at once.", Each(|one| number(one.worker.short_sends))),
    metric("corecast_stale_events", Counter, "core, loop",
        "Events for connections that have ended.", Each(|one| number(one.worker.stale))),
];

#[allow(clippy::cast_precision_loss, reason = "as Prometheus keeps it")]
const fn number(value: u64) -> f64 {
    value as f64
}

fn build(all: &Snapshot, to: &mut Writer) {
    let version = env!("CARGO_PKG_VERSION");
    to.sample(&[("version", &version), ("backend", &all.backend), ("kernel", &all.kernel)], 1);
}

fn connections(all: &Snapshot, to: &mut Writer) {
    let mut sample = |protocol: &str, endpoint: &str, route: &str, count: u64| {
        let labels: Labels<'_> =
            &[("protocol", &protocol), ("endpoint", &endpoint), ("route", &route)];
        to.sample(labels, count);
    };
    for ByRoute { route, endpoint, passed } in &all.by_route {
        sample("websocket", endpoint, route, passed.opened - passed.ended);
    }
    let admin = all.sum(|one| one.worker.admin);
    let websockets = all.sum(|one| one.worker.sessions.all_open());
    let others = all.sum(|one| one.connections as u64).saturating_sub(websockets + admin);
    sample("http", "none", "", others);
    sample("http", "admin", "", admin);
}

fn handshakes(all: &Snapshot, to: &mut Writer) {
    for ByRoute { route, endpoint, passed } in &all.by_route {
        to.sample(&[("endpoint", endpoint), ("route", route)], passed.opened);
    }
}

fn subrequests(all: &Snapshot, to: &mut Writer) {
    let Some(asked) = all.asked else { return };
    for (result, count) in [
        ("allowed", asked.allowed),
        ("refused", asked.refused),
        ("failed", asked.failed),
        ("overloaded", asked.overloaded),
        ("cached", asked.cached),
    ] {
        to.sample(&[("result", &result)], count);
    }
}

fn statuses(all: &Snapshot, to: &mut Writer, of: fn(&crate::session::Counts) -> Statuses) {
    let mut sum = Statuses::default();
    all.stats().for_each(|one| sum.add(&of(&one.worker.sessions)));
    for (code, count) in sum.iter() {
        match code {
            Some(code) => to.sample(&[("code", &code)], count),
            None => to.sample(&[("code", &"other")], count),
        }
    }
}

fn closes(all: &Snapshot, to: &mut Writer) {
    let mut sum = Closes::default();
    all.stats().for_each(|one| sum.add(&one.worker.closes));
    for (cause, code, count) in sum.iter() {
        to.sample(&[("cause", &cause), ("code", &code)], count);
    }
}

fn refused(all: &Snapshot, to: &mut Writer) {
    for (limit, count) in [
        ("connections", all.sum(|one| one.worker.limits.connections)),
        ("handshakes", all.sum(|one| one.worker.limits.handshakes)),
        ("memory", all.sum(|one| one.worker.limits.memory)),
        ("connections_per_address", all.sum(|one| one.addresses.connections)),
        ("handshake_rate", all.sum(|one| one.addresses.handshakes)),
    ] {
        to.sample(&[("limit", &limit)], count);
    }
}

fn admin_refusals(all: &Snapshot, to: &mut Writer) {
    all.refusals.iter().for_each(|(code, count)| to.sample(&[("code", code)], count));
}

fn rates(all: &Snapshot, to: &mut Writer) {
    let sum = |count: fn(&RateCounts) -> u64| all.sum(|one| count(&one.worker.sessions.rates));
    for (of, action, count) in [
        ("messages", "delay", sum(|one| one.delayed_by_messages)),
        ("messages", "close", sum(|one| one.closed_by_messages)),
        ("bytes", "delay", sum(|one| one.delayed_by_bytes)),
        ("bytes", "close", sum(|one| one.closed_by_bytes)),
        ("control", "close", sum(|one| one.closed_by_control)),
    ] {
        to.sample(&[("of", &of), ("action", &action)], count);
    }
}

fn denied(all: &Snapshot, to: &mut Writer) {
    to.sample(&[("of", &"subscriptions")], all.sum(|one| one.denied.subscriptions));
    to.sample(&[("of", &"messages")], all.sum(|one| one.denied.publications));
    to.sample(&[("of", &"tokens")], all.sum(|one| one.denied.tokens));
}

fn tls(all: &Snapshot, to: &mut Writer) {
    let all_done = all.sum(|one| one.worker.driver.tls_handshakes);
    let resumed = all.sum(|one| one.worker.driver.tls_resumed);
    to.sample(&[("result", &"full")], all_done - resumed);
    to.sample(&[("result", &"resumed")], resumed);
    to.sample(&[("result", &"failed")], all.sum(|one| one.worker.driver.tls_failed));
}

fn sent(all: &Snapshot, to: &mut Writer) {
    let replies = |one: &CoreStats| one.worker.sessions.replies() - one.topics.in_parts;
    to.sample(&[("kind", &"reply")], all.sum(replies));
    to.sample(&[("kind", &"retained")], all.sum(|one| one.topics.replayed));
    to.sample(&[("kind", &"delivery")], all.sum(|one| one.topics.delivered_messages));
}

fn dropped(all: &Snapshot, to: &mut Writer) {
    to.sample(&[("reason", &"slow_subscriber")], all.sum(|one| one.worker.dropped));
    to.sample(&[("reason", &"slow_client")], all.sum(|one| one.app.dropped));
    to.sample(&[("reason", &"core_hangs")], all.sum(|one| one.topics.lost));
}

fn reloads(all: &Snapshot, to: &mut Writer) {
    for (result, count) in ["good", "failed"].into_iter().zip(all.reloads) {
        to.sample(&[("result", &result)], count);
    }
}

fn answers(all: &Snapshot, to: &mut Writer) {
    for (one, has_answered) in &all.loops {
        to.sample(&[("core", &one.core), ("loop", &one.number)], u8::from(*has_answered));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::AskCounts;
    use crate::config::Routes;
    use crate::server::admin::by_route;

    fn snapshot() -> Snapshot {
        Snapshot {
            loops: vec![(CoreStats::default(), true), (CoreStats::default(), false)],
            by_route: by_route::sum(&Routes::default(), [].iter()),
            backend: "epoll",
            kernel: "6.1".to_owned(),
            is_draining: false,
            started: 1.5,
            refusals: [(401, 1), (403, 0)],
            max_connections: 10,
            max_memory: 20,
            asked: Some(AskCounts::default()),
            lost_log_lines: 0,
            reloads: [2, 1],
            last_good_reload: 3,
        }
    }

    /// The table in README is that of the code.
    #[test]
    fn readme_has_all_metrics() {
        let readme = include_str!("../../../README.md");
        let table = readme.split("<!-- metrics: begin -->\n").nth(1).unwrap();
        let table = table.split("\n<!-- metrics: end -->").next().unwrap();
        let mut expected = "| metric | kind | labels | meaning |\n|---|---|---|---|".to_owned();
        for Metric { name, kind, labels, help, .. } in METRICS {
            let (kind, suffix) = kind.names();
            let labels: Vec<String> = labels
                .split(", ")
                .filter(|it| !it.is_empty())
                .map(|it| format!("`{it}`"))
                .collect();
            let labels = labels.join(", ");
            expected.push_str(&format!("\n| `{name}{suffix}` | {kind} | {labels} | {help} |"));
        }
        assert_eq!(table, expected, "the table in README should be\n{expected}\n");
    }

    /// Each metric has samples, whose labels are those of the table, and no other has its name.
    #[test]
    fn each_metric_is_written_with_its_labels() {
        let text = render(&snapshot(), Format::Prometheus);
        for (at, Metric { name, kind, labels, help, .. }) in METRICS.iter().enumerate() {
            assert!(METRICS[..at].iter().all(|other| other.name != *name), "{name} is there twice");
            assert!(help.ends_with('.') && !help.contains(['\\', '\n']), "{name}: {help}");
            let full = format!("{name}{}", kind.names().1);
            let starts = |line: &&str| {
                line.strip_prefix(&*full).is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
            };
            let mut samples = text.lines().filter(starts).peekable();
            assert!(samples.peek().is_some(), "{full} has no sample");
            for sample in samples.filter(|_| *kind != Kind::Histogram) {
                let Some((_, rest)) = sample.split_once('{') else {
                    assert!(
                        labels.is_empty() || sample.starts_with(&format!("{full}_")),
                        "{sample}"
                    );
                    continue;
                };
                let named = rest.split('"').step_by(2).filter_map(|part| part.strip_suffix('='));
                let named: Vec<&str> = named.map(|name| name.trim_start_matches(',')).collect();
                assert_eq!(named.join(", "), *labels, "{sample}");
            }
        }
    }
}
