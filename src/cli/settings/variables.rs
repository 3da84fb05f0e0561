//! The environment: `CORECAST_MAX_MESSAGE` is `--max-message`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::fault::{Fault, Place};
use super::given::Given;
use super::nearest::{is_slip, nearest};
use super::setting::{PREFIX, Setting};
use super::table;

/// The variable that names the file.
pub(crate) const CONFIG: &str = "CORECAST_CONFIG";

/// The variables of the process that begin with `CORECAST_`. One that is empty counts as not set:
/// that is what a composed container makes of `${NAME:-}`.
#[derive(Default)]
pub(crate) struct Variables(Vec<(String, OsString)>);

impl Variables {
    pub(crate) fn of_process() -> Self {
        Self::new(env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value)))
    }

    pub(crate) fn new(all: impl Iterator<Item = (String, OsString)>) -> Self {
        let is_own =
            |(name, value): &(String, OsString)| name.starts_with(PREFIX) && !value.is_empty();
        let mut own: Vec<_> = all.filter(is_own).collect();
        own.sort();
        Self(own)
    }

    /// The values, and warnings for the log. What is wrong is added to `faults`.
    ///
    /// A name that is unknown, but only a slip away from a known one, is a fault: the server would
    /// run without the setting. Any other is a warning, because the environment belongs to others
    /// as well, such as an image with its `CORECAST_VERSION`.
    pub(super) fn values(&self, faults: &mut Vec<Fault>) -> (Vec<Given>, Vec<String>) {
        let (mut given, mut warnings) = (Vec::new(), Vec::new());
        for (variable, value) in self.0.iter().filter(|(variable, _)| variable != CONFIG) {
            let place = Place::Variable(variable.clone());
            match (table::all().find(|setting| setting.variable() == *variable), value.to_str()) {
                (Some(setting), None) => {
                    let text = "the value is not UTF-8".to_owned();
                    faults.push(Fault::about(setting.name, place, text));
                }
                (Some(setting), Some(value)) => {
                    given.push(Given::new(setting, texts(setting, value), place));
                }
                (None, _) if is_service(variable) => {}
                (None, _) => match unknown(variable) {
                    Ok(text) => faults.push(Fault::new(place, text)),
                    Err(text) => warnings.push(text),
                },
            }
        }
        (given, warnings)
    }
}

/// The file that the environment names.
pub(crate) fn config_file(variables: &Variables) -> Option<PathBuf> {
    let mut all = variables.0.iter();
    all.find(|(name, _)| name == CONFIG).map(|(_, value)| PathBuf::from(value))
}

/// The values of a list are separated by white space: some of them have commas.
fn texts(setting: &Setting, value: &str) -> Vec<String> {
    if setting.is_list() {
        value.split_whitespace().map(str::to_owned).collect()
    } else {
        vec![value.trim().to_owned()]
    }
}

/// The text of a fault, or of a warning.
fn unknown(variable: &str) -> Result<String, String> {
    let name = variable.trim_start_matches(PREFIX).to_ascii_lowercase().replace('_', "-");
    if let Some(switch) = name.strip_prefix("no-").and_then(table::find)
        && switch.is_switch()
    {
        return Ok(format!("unknown variable; write {}=false", switch.variable()));
    }
    let names = table::all().map(|setting| setting.name).chain(["config"]);
    let Some(near) = nearest(&name, names) else {
        return Err(format!("the variable {variable} is unknown, and has no effect"));
    };
    let upper = format!("{PREFIX}{}", near.to_ascii_uppercase().replace('-', "_"));
    if is_slip(&name, near) {
        Ok(format!("unknown variable; the nearest that is known is {upper}"))
    } else {
        Err(format!(
            "the variable {variable} is unknown, and has no effect; the nearest that is known is \
             {upper}"
        ))
    }
}

/// Whether Kubernetes sets the variable for a service whose name begins with `corecast`, as in
/// `CORECAST_SERVICE_HOST` and `CORECAST_PORT_9001_TCP_ADDR`.
fn is_service(variable: &str) -> bool {
    let rest = variable.trim_start_matches(PREFIX);
    let parts: Vec<&str> = rest.split('_').collect();
    let ends = |pair: [&str; 2]| parts.windows(2).any(|window| window == pair);
    let is_port = |window: &[&str]| {
        window.first() == Some(&"PORT")
            && window.get(1).is_some_and(|number| number.parse::<u16>().is_ok())
    };
    ends(["SERVICE", "HOST"])
        || ends(["SERVICE", "PORT"])
        || parts.last() == Some(&"PORT")
        || parts.windows(3).any(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_service_are_known() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_9001_TCP",
            "PORT_9001_TCP_ADDR",
            "ADMIN_SERVICE_HOST",
            "ADMIN_PORT_9002_UDP_PROTO",
        ] {
            assert!(is_service(&format!("{PREFIX}{name}")), "{name}");
        }
        for setting in table::all() {
            assert!(!is_service(&setting.variable()), "{}", setting.name);
        }
    }
}
