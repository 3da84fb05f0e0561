//! A value that was given for a setting.

use super::fault::{Fault, Place};
use super::options::Options;
use super::setting::Setting;

/// The values of one setting from one place.
pub(crate) struct Given {
    pub(crate) setting: &'static Setting,
    /// As behind a flag; one unless the setting is a list.
    pub(crate) texts: Vec<String>,
    /// Where the setting is named.
    pub(crate) place: Place,
    /// Where each text is, if not there.
    pub(crate) places: Vec<Place>,
}

impl Given {
    pub(crate) const fn new(setting: &'static Setting, texts: Vec<String>, place: Place) -> Self {
        Self { setting, texts, place, places: Vec::new() }
    }

    /// Stores the values. What is wrong is added to `faults`, and changes nothing.
    pub(crate) fn apply(&self, options: &mut Options, faults: &mut Vec<Fault>) {
        let Err(wrong) = self.setting.field.set(options, &self.texts) else { return };
        for (number, reason) in wrong {
            let place = self.places.get(number).unwrap_or(&self.place).clone();
            let name = self.setting.name;
            let of_list = matches!(place, Place::Variable(_)) && self.setting.is_list();
            let has_comma = self.texts.get(number).is_some_and(|text| text.contains(','));
            let reason = match of_list && has_comma {
                true => format!("{reason}; separate the values of a list by spaces"),
                false => reason,
            };
            let text = match (self.texts.get(number), &place) {
                (None, Place::File { .. }) => format!("`{name}`: {reason}"),
                (None, _) => reason,
                (Some(value), Place::File { .. }) => {
                    format!("invalid value `{}` for `{name}`: {reason}", value.escape_debug())
                }
                (Some(value), _) => format!("invalid value `{}`: {reason}", value.escape_debug()),
            };
            faults.push(Fault::about(name, place, text));
        }
    }

    /// Only checks the values that there are, each by itself.
    pub(crate) fn check(&self, faults: &mut Vec<Fault>) {
        for (text, place) in self.texts.iter().zip(&self.places) {
            let one = Self::new(self.setting, vec![text.clone()], place.clone());
            one.apply(&mut Options::default(), faults);
        }
    }
}
