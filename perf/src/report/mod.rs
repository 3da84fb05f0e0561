//! Draws results as SVG charts and writes them as Markdown tables.

mod axis;
mod bars;
mod charts;
mod dots;
mod input;
mod lines;
mod merge;
mod stats;
mod svg;
mod tables;
mod text;

#[cfg(test)]
mod made_up;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub use merge::load;

use crate::results::Results;

/// Writes `results.json`, the charts and `README.md` into a folder, and removes charts of earlier
/// results that have no data in these. Returns one line for each file.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(results: &Results, out: &Path) -> Result<Vec<String>, String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        format!("cannot write {}: {error}; give another folder with --out", path.display())
    };
    fs::create_dir_all(out).map_err(|error| failed(out, &error))?;
    let json = serde_json::to_string_pretty(results).map_err(|error| failed(out, &error))?;
    let charts = charts::all(results);
    let drawn: Vec<&str> =
        charts.iter().filter(|(_, svg)| svg.is_some()).map(|(name, _)| *name).collect();
    let mut files = vec![
        ("results.json", Some(json + "\n")),
        ("README.md", Some(tables::readme(results, &drawn))),
    ];
    files.extend(charts);
    let mut done = Vec::new();
    for (name, content) in files {
        let path = out.join(name);
        let Some(content) = content else {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed(&path, &error));
                }
                _ => done.push(format!("no {name}: no workload has its figures")),
            }
            continue;
        };
        fs::write(&path, content).map_err(|error| failed(&path, &error))?;
        done.push(format!("{}", path.display()));
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
