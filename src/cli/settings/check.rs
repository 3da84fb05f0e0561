//! What the rules of settings are given.

use std::collections::BTreeMap;

use super::fault::{Fault, Place};
use super::options::Options;
use super::routes::Table;
use super::table;

/// Options with what is known of their origin, for one rule.
pub(super) struct Check<'a> {
    pub(super) options: &'a Options,
    /// The routes, as they are written.
    pub(super) tables: &'a [Table],
    places: &'a BTreeMap<&'static str, Place>,
    /// Where a fault is told: where one of the settings was given last.
    place: Place,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        (options, tables): (&'a Options, &'a [Table]),
        places: &'a BTreeMap<&'static str, Place>,
        settings: &[&str],
    ) -> Self {
        let given = settings.iter().filter_map(|name| places.get(name));
        Self { options, tables, places, place: given.max().cloned().unwrap_or_default() }
    }

    /// Whether the setting has another value than the default.
    pub(super) fn is_changed(&self, name: &str) -> bool {
        table::find(name)
            .is_some_and(|setting| setting.field.get(self.options) != setting.default())
    }

    /// Whether somebody wants another value than the default, and it does not just stay because it
    /// cannot change while the server runs.
    pub(super) fn is_chosen(&self, name: &str) -> bool {
        self.is_changed(name) && self.places.get(name) != Some(&Place::Start)
    }

    /// The name of a setting, as it is written at the place of the fault.
    pub(super) fn name(&self, name: &str) -> String {
        match self.place {
            Place::Default | Place::Flag(_) | Place::Start => format!("`--{name}`"),
            _ => format!("`{name}`"),
        }
    }

    /// The setting with its value, and where that is from if that is not clear.
    pub(super) fn show(&self, name: &str) -> String {
        let value = table::find(name).map(|setting| setting.field.get(self.options));
        let value = value.unwrap_or_default().join(" ");
        let name = self.name(name);
        match (self.places.get(name.trim_matches(['`', '-'])), &self.place) {
            (Some(Place::Flag(_)), _) | (Some(Place::File { .. }), Place::File { .. }) => {
                format!("{name} ({value})")
            }
            (place, _) => format!("{name} ({value}, {})", place.unwrap_or(&Place::Default)),
        }
    }

    pub(super) fn fault(&self, text: String) -> Fault {
        // The text names the flags.
        let place = match &self.place {
            Place::Flag(_) => Place::Default,
            place => place.clone(),
        };
        Fault::new(place, text)
    }
}
