//! `corecast check-config`, `corecast default-config`, and the settings of `corecast serve`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;

use super::exit::{USAGE, complain, print};
use super::settings::{
    Document, Fault, Inputs, Options, Resolved, Variables, config_file, default_file, given,
};

/// The most faults that are told. More of them are seldom the mistakes of a person.
const MAX_TOLD: usize = 100;

/// Says what is wrong with a file. The flags and variables of this machine are left out.
pub(super) fn check(matches: &ArgMatches) -> ExitCode {
    let path = matches.get_one::<String>("file").map_or("", String::as_str);
    let document = match Document::read(Path::new(path)) {
        Ok(document) => document,
        Err(fault) => return wrong(&[fault], ""),
    };
    let name = document.name().to_owned();
    let inputs = Inputs { document: Some(document), ..Inputs::default() };
    let resolved = Resolved::of(&inputs);
    if !resolved.faults.is_empty() {
        return wrong(&resolved.faults, "");
    }
    let changed = resolved.changed();
    let settings = if changed == 1 { "setting differs" } else { "settings differ" };
    let routes = match resolved.routes.len() {
        0 => String::new(),
        1 => "; 1 route".to_owned(),
        number => format!("; {number} routes"),
    };
    // Who checks the file may not be who may read these.
    let files = if resolved.options.files().next().is_some() {
        "; the files that it names were not opened"
    } else {
        ""
    };
    print(&format!("{name} is good; {changed} {settings} from the default{routes}{files}\n"))
}

/// Prints the default file.
pub(super) fn print_defaults() -> ExitCode {
    print(&default_file())
}

/// The settings for `corecast serve`, or the exit code if they are wrong.
pub(super) fn settings(matches: &ArgMatches) -> Result<Resolved, ExitCode> {
    resolve(matches, None).map_err(|faults| wrong(&faults, "corecast: "))
}

/// The settings for `corecast serve`, or all that is wrong with them: those of a server that was
/// started with others, if there is one.
pub(super) fn resolve(
    matches: &ArgMatches,
    started: Option<&Options>,
) -> Result<Resolved, Vec<Fault>> {
    let document = file(matches).as_deref().map(Document::read).transpose();
    let document = document.map_err(|fault| vec![fault])?;
    let variables = Variables::of_process();
    let (flags, started) = (given(matches), started.cloned());
    let resolved = Resolved::of(&Inputs { document, variables, flags, started });
    if resolved.faults.is_empty() { Ok(resolved) } else { Err(resolved.faults) }
}

/// The file of the settings, if there is one.
pub(super) fn file(matches: &ArgMatches) -> Option<PathBuf> {
    let file = matches.get_one::<String>("config").map(PathBuf::from);
    file.or_else(|| config_file(&Variables::of_process()))
}

/// Prints the faults, each in a line.
fn wrong(faults: &[Fault], before: &str) -> ExitCode {
    each_line(faults, |line| complain(&format!("{before}{line}")));
    ExitCode::from(USAGE)
}

/// Tells the first faults, each in a line, and how many there are besides.
pub(super) fn each_line(faults: &[Fault], mut tell: impl FnMut(&dyn Display)) {
    faults.iter().take(MAX_TOLD).for_each(|fault| tell(fault));
    match faults.len().saturating_sub(MAX_TOLD) {
        0 => {}
        1 => tell(&"and 1 more fault"),
        more => tell(&format_args!("and {more} more faults")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_faults_the_first_are_told_and_how_many_follow() {
        for (count, told, last) in [
            (100, 100, "f:100:1: unknown key"),
            (101, 101, "and 1 more fault"),
            (20_000, 101, "and 19900 more faults"),
        ] {
            let text: String = (0..count).map(|number| format!("x{number} = 1\n")).collect();
            let document = Some(Document::new("f", &text));
            let faults = Resolved::of(&Inputs { document, ..Inputs::default() }).faults;
            let mut lines = Vec::new();
            each_line(&faults, |line| lines.push(line.to_string()));
            assert_eq!(lines.len(), told, "{count}");
            assert!(lines[told - 1].starts_with(last), "{count}: {}", lines[told - 1]);
        }
    }
}
