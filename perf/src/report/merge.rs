//! Reads results and merges several into one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::results::{Machine, Results, Server, Workload};

/// Reads files of results. The workloads of later files replace those of the same name, except for
/// steps that only the earlier ones have.
///
/// # Errors
///
/// If a file is missing or no results, or if they come from different machines.
pub fn load(files: &[PathBuf]) -> Result<Results, String> {
    let mut merged: Option<(&Path, Results)> = None;
    for file in files {
        let later = read(file)?;
        merged = Some(match merged {
            None => (file, later),
            Some((first, earlier)) => (first, merge((first, earlier), (file, later))?),
        });
    }
    let (file, results) = merged.ok_or("no file of results was given")?;
    if results.servers.is_empty() || results.workloads.is_empty() {
        return Err(format!("{} has no servers or no workloads", file.display()));
    }
    Ok(results)
}

fn read(file: &Path) -> Result<Results, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{}: {error}; perf/compare writes it", file.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{} is not results of perf/compare: {error}", file.display()))
}

/// The properties that must be equal for figures to be in one table.
fn identity(machine: &Machine) -> [(&'static str, String); 4] {
    [
        ("kernel", machine.kernel.clone()),
        ("CPU", machine.cpu.clone()),
        ("number of cores", machine.cores.to_string()),
        ("compiler", machine.rustc.clone()),
    ]
}

fn merge(
    (first, mut earlier): (&Path, Results),
    (file, later): (&Path, Results),
) -> Result<Results, String> {
    for ((what, a), (_, b)) in identity(&earlier.machine).iter().zip(identity(&later.machine)) {
        if *a != b {
            return Err(format!(
                "{} and {} differ in {what} ({a:?}, {b:?}): draw them apart, with --out",
                first.display(),
                file.display()
            ));
        }
    }
    earlier.date = dates(&earlier.date, &later.date);
    let machine = &mut earlier.machine;
    machine.counters = later.machine.counters.or(machine.counters.take());
    machine.max_files = machine.max_files.min(later.machine.max_files);
    for note in later.machine.notes {
        if !machine.notes.contains(&note) {
            machine.notes.push(note);
        }
    }
    for server in later.servers {
        add_server(&mut earlier.servers, server);
    }
    for workload in later.workloads {
        match earlier.workloads.iter_mut().find(|known| known.name == workload.name) {
            Some(known) => {
                let earlier = std::mem::replace(known, workload);
                keep_steps(known, &earlier);
            }
            None => earlier.workloads.push(workload),
        }
    }
    Ok(earlier)
}

/// Servers need to be stepped only once, because it takes long.
fn keep_steps(workload: &mut Workload, earlier: &Workload) {
    for row in workload.rows.iter_mut().filter(|row| row.stepped.is_none()) {
        let known = earlier.rows.iter().find(|known| known.server == row.server);
        row.stepped = known.and_then(|known| known.stepped);
    }
}

/// The first and last day of both.
fn dates(a: &str, b: &str) -> String {
    let days = || a.split(" to ").chain(b.split(" to "));
    let (first, last) = (days().min().unwrap_or(a), days().max().unwrap_or(b));
    if first == last { first.to_owned() } else { format!("{first} to {last}") }
}

/// Adds a server; if it is known with another version, adds that version.
fn add_server(servers: &mut Vec<Server>, server: Server) {
    let Some(known) = servers.iter_mut().find(|known| known.name == server.name) else {
        servers.push(server);
        return;
    };
    if known.version.is_empty() {
        known.version = server.version;
        return;
    }
    let is_known = known.version.split(" and ").any(|version| version == server.version);
    if !server.version.is_empty() && !is_known {
        known.version = format!("{} and {}", known.version, server.version);
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up;
    use super::*;

    fn both(a: Results, b: Results) -> Result<Results, String> {
        merge((Path::new("a.json"), a), (Path::new("b.json"), b))
    }

    #[test]
    fn later_workloads_replace_earlier_ones() {
        let a = made_up::results();
        let mut b = a.clone();
        b.date = "2026-02-02".into();
        b.machine.notes = vec!["another note".into()];
        b.servers.truncate(1);
        b.servers[0].version = "0.2.0".into();
        b.workloads.truncate(1);
        b.workloads[0].rows.clear();
        let mut other = b.workloads[0].clone();
        other.name = "new".into();
        b.workloads.push(other);
        let merged = both(a.clone(), b.clone()).expect("one machine");
        assert_eq!(merged.date, "2026-01-31 to 2026-02-02");
        assert_eq!(merged.workloads.len(), a.workloads.len() + 1);
        assert!(merged.workloads[0].rows.is_empty());
        assert_eq!(merged.machine.notes.len(), a.machine.notes.len() + 1);
        assert_eq!(merged.servers.len(), a.servers.len());
        assert_eq!(merged.servers[0].version, "0.1.0 and 0.2.0");
        let again = both(merged.clone(), b).expect("one machine");
        assert_eq!(again.date, merged.date);
        assert_eq!(again.servers[0].version, merged.servers[0].version);
    }

    #[test]
    fn steps_outlive_a_later_run_without_them() {
        let a = made_up::results();
        let with = |results: &Results| {
            let rows = results.workloads.iter().flat_map(|workload| &workload.rows);
            rows.filter_map(|row| row.stepped).map(|stepped| stepped.messages).collect::<Vec<_>>()
        };
        assert!(!with(&a).is_empty());
        let mut b = a.clone();
        for row in b.workloads.iter_mut().flat_map(|workload| &mut workload.rows) {
            row.stepped = None;
        }
        assert_eq!(with(&both(a.clone(), b).expect("one machine")), with(&a));
    }

    #[test]
    fn different_machines_are_refused() {
        let a = made_up::results();
        let changes: [fn(&mut Machine); 4] =
            [|m| m.kernel.push('x'), |m| m.cpu.push('x'), |m| m.cores += 1, |m| m.rustc.push('x')];
        for change in changes {
            let mut b = a.clone();
            change(&mut b.machine);
            let error = both(a.clone(), b).expect_err("another machine");
            assert!(error.contains("a.json and b.json differ in"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(&[PathBuf::from("no/such.json")]).expect_err("there is none");
        assert!(error.contains("no/such.json") && error.contains("perf/compare"), "{error}");
        assert!(load(&[]).is_err());
    }
}
