//! The input of charts and tables: kinds of workloads, the order of the servers, and shared texts.

use super::bars::{Bar, Group};
use super::stats::{Spread, count_of};
use super::svg::{MARGIN, RIGHT, SMALL};
use super::text;
use crate::results::{Results, Row, Workload};

/// The charts, by workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Echo,
    Fanout,
    Handshakes,
    Latency,
    Growth,
    Idle,
    Other,
}

impl Kind {
    /// Workloads whose names begin with `latency` or `growth` have separate charts, those over TLS
    /// only tables; the others are grouped by the unit of a message.
    pub(super) fn of(workload: &Workload) -> Self {
        let mut rounds = workload.rows.iter().flat_map(|row| &row.rounds);
        let name = |prefix| workload.name.starts_with(prefix);
        match workload.unit.as_str() {
            _ if name("latency") => Self::Latency,
            _ if name("growth") => Self::Growth,
            _ if name("idle") || rounds.any(|round| round.memory.is_some()) => Self::Idle,
            _ if name("tls-") => Self::Other,
            _ if name("fanout") => Self::Fanout,
            _ if name("handshake") => Self::Handshakes,
            "echo" => Self::Echo,
            "delivery" => Self::Fanout,
            "connection" => Self::Handshakes,
            _ => Self::Other,
        }
    }

    /// The unit of a message.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Echo => "One message is an echo: a WebSocket message received and sent back.",
            Self::Fanout => {
                "One message is a delivery: a published message sent to one of its subscribers."
            }
            Self::Handshakes => "One message is a connection accepted, upgraded and closed.",
            _ => "",
        }
    }
}

/// All servers that occur; the reference of the comparison comes first.
pub(super) struct Servers {
    pub(super) names: Vec<String>,
}

impl Servers {
    pub(super) fn of(results: &Results) -> Self {
        let rows = results.workloads.iter().flat_map(|workload| &workload.rows);
        let listed = results.servers.iter().map(|server| &server.name);
        let mut names: Vec<String> = Vec::new();
        for name in listed.chain(rows.filter(|row| count_of(row).is_none()).map(|row| &row.server))
        {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if let Some(place) = names.iter().position(|name| name == "corecast") {
            names[..=place].rotate_right(1);
        }
        Self { names }
    }

    pub(super) fn base(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Its number, which selects the colour.
    pub(super) fn number(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or(self.names.len())
    }

    /// Rows in the order of the servers, which is the same in all charts.
    pub(super) fn sorted<'a>(&self, workload: &'a Workload) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> = workload.rows.iter().collect();
        rows.sort_by_key(|row| self.number(&row.server));
        rows
    }
}

/// The input of all charts.
pub(super) struct Input<'a> {
    pub(super) results: &'a Results,
    pub(super) servers: &'a Servers,
    pub(super) workloads: Vec<&'a Workload>,
}

impl<'a> Input<'a> {
    pub(super) fn new(results: &'a Results, servers: &'a Servers, kinds: &[Kind]) -> Self {
        let shown = |workload: &&Workload| kinds.contains(&Kind::of(workload));
        Self { results, servers, workloads: results.workloads.iter().filter(shown).collect() }
    }

    /// One group of bars for each workload that has any row.
    pub(super) fn groups(
        &self,
        bar: impl Fn(&Workload, &Row) -> Result<(String, Spread), String>,
    ) -> Vec<Group> {
        let group = |workload: &&Workload| {
            let one = |row: &Row| Bar {
                server: self.servers.number(&row.server),
                name: row.server.clone(),
                figure: bar(workload, row),
            };
            Group {
                title: title(workload),
                name: workload.name.clone(),
                bars: self.servers.sorted(workload).into_iter().map(one).collect(),
            }
        };
        let groups = self.workloads.iter().map(group);
        groups.filter(|group| !group.bars.is_empty()).collect()
    }

    /// Machine, method, limits and versions.
    pub(super) fn footer(&self, method: &str) -> Vec<String> {
        let machine = &self.results.machine;
        let kernel = named("Linux", &machine.kernel);
        let rustc = named("rustc", &machine.rustc);
        let mut footer = vec![
            format!(
                "{kernel}, {}, {} cores, {rustc}, at most {} open files; {}.",
                machine.cpu,
                machine.cores,
                text::grouped(machine.max_files as f64),
                self.results.date
            ),
            method.to_owned(),
        ];
        if let Some(reason) = &machine.counters {
            footer[1] += &format!(" No instruction counters: {}.", reason.trim_end_matches('.'));
        }
        let rows = || self.workloads.iter().flat_map(|workload| &workload.rows);
        let is_of = |row: &Row, name: &str| {
            row.server == name || (count_of(row).is_some() && name == self.servers.base())
        };
        let known = self.results.servers.iter().filter(|server| {
            !server.version.is_empty() && rows().any(|row| is_of(row, &server.name))
        });
        let versions: Vec<String> =
            known.map(|server| format!("{} {}", server.name, server.version)).collect();
        if !versions.is_empty() {
            footer.push(format!("{}.", versions.join(", ")));
        }
        // A chart has room for four lines of remarks; the tables have all of them.
        let notes = machine.notes.join(" ");
        footer.push(text::fit(&notes, SMALL, 3.8 * (RIGHT - MARGIN)));
        footer
    }

    /// The method of the measurement.
    pub(super) fn method(&self, range: &str) -> String {
        let rows = self.workloads.iter().flat_map(|workload| &workload.rows);
        let rounds: Vec<usize> =
            rows.filter(|row| row.failed.is_none()).map(|row| row.rounds.len()).collect();
        let rounds = match (rounds.iter().min(), rounds.iter().max()) {
            (Some(1), Some(1)) => return "Server on core 0, load on core 1; one round.".to_owned(),
            (Some(low), Some(high)) if low != high => format!("{low} to {high}"),
            (Some(all), _) => all.to_string(),
            _ => "no".to_owned(),
        };
        format!("Server on core 0, load on core 1, {rounds} interleaved rounds; {range}.")
    }
}

/// `6.18` as `Linux 6.18`.
pub(super) fn named(what: &str, version: &str) -> String {
    if version.to_lowercase().starts_with(&what.to_lowercase()) {
        version.to_owned()
    } else {
        format!("{what} {version}")
    }
}

pub(super) fn title(workload: &Workload) -> String {
    let title = if workload.title.is_empty() { &workload.name } else { &workload.title };
    title.clone()
}

/// The reason why a row has no figure.
pub(super) fn missing(row: &Row) -> String {
    match &row.failed {
        Some(reason) => format!("failed: {}", text::one_line(reason)),
        None => "not measured".to_owned(),
    }
}
