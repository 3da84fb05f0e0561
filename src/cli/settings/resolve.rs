//! Flag over variable over file over default.

use std::collections::BTreeMap;

use super::fault::{Fault, Place};
use super::file::Document;
use super::given::Given;
use super::options::Options;
use super::reload::keep_fixed;
use super::setting::Setting;
use super::table;
use super::variables::Variables;
use super::{routes, rules};

/// Everything that says something about the settings.
#[derive(Default)]
pub(crate) struct Inputs {
    pub(crate) document: Option<Document>,
    pub(crate) variables: Variables,
    pub(crate) flags: Vec<Given>,
    /// The settings with which a server was started that reads them again.
    pub(crate) started: Option<Options>,
}

/// The settings that hold.
pub(crate) struct Resolved {
    pub(crate) options: Options,
    /// Where each setting that is not a default was given.
    pub(crate) places: BTreeMap<&'static str, Place>,
    /// Where each route was given, by its path.
    pub(crate) routes: BTreeMap<String, Place>,
    /// All that is wrong, in the order of the places. With any, the options are of no use.
    pub(crate) faults: Vec<Fault>,
    /// For the log.
    pub(crate) warnings: Vec<String>,
    /// What says something else, and stays as it was at the start.
    pub(crate) kept: Vec<&'static str>,
}

impl Resolved {
    /// Applies all that was said, and checks it: by itself, as at a start, and with what does not
    /// change of a server that was started before.
    pub(crate) fn of(inputs: &Inputs) -> Self {
        let alone = Self::beside(inputs, None);
        match &inputs.started {
            Some(_) if alone.faults.is_empty() => Self::beside(inputs, inputs.started.as_ref()),
            _ => alone,
        }
    }

    /// The same, with the settings that do not change of one that was `started` with these.
    fn beside(inputs: &Inputs, started: Option<&Options>) -> Self {
        let mut faults = Vec::new();
        let file = inputs.document.as_ref().map(|document| document.values(&mut faults));
        let (file, tables) = file.unwrap_or_default();
        let (variables, warnings) = inputs.variables.values(&mut faults);
        let mut options = Options::default();
        let mut places = BTreeMap::new();
        let all = file.iter().chain(&variables).chain(&inputs.flags);
        for given in all {
            given.apply(&mut options, &mut faults);
            places.insert(given.setting.name, given.place.clone());
        }
        // Who asks for TLS alone does not want the default listener without it.
        if !options.listen_tls.is_empty() && !places.contains_key("listen") {
            options.listen.clear();
        }
        // What holds together is what counts: with the settings that do not change.
        let kept = started.map(|started| keep_fixed(&mut options, started));
        let kept = kept.unwrap_or_default();
        let keep = |name: &&'static str| (*name, places.insert(*name, Place::Start));
        let instead: Vec<_> = kept.iter().map(keep).collect();
        // A value that could not be read says nothing about others.
        let unknown: Vec<&str> = faults.iter().filter_map(|fault| fault.about).collect();
        let before = faults.len();
        faults.extend(rules::broken(&options, &tables, &places, &unknown));
        let routes = routes::read(&tables, &options, &unknown, &mut faults);
        if faults.len() > before {
            faults.extend(instead.into_iter().map(|(name, place)| counts_as_kept(name, place)));
        }
        options.config.routes = routes.routes;
        faults.sort();
        Self { options, places, routes: routes.places, faults, warnings, kept }
    }

    /// The number of settings that are not as they are by default.
    pub(crate) fn changed(&self) -> usize {
        let is_changed = |setting: &&Setting| setting.field.get(&self.options) != setting.default();
        table::all().filter(is_changed).count()
    }
}

/// What may have made a fault that nobody sees in the file.
fn counts_as_kept(name: &str, place: Option<Place>) -> Fault {
    let text = format!(
        "`{name}` cannot change while the server runs, so it counts with its value at the start"
    );
    Fault::new(place.unwrap_or(Place::Start), text)
}
