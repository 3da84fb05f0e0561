//! Where a setting is stored in the options, and how its values are written.

use super::nearest::nearest;
use super::options::Options;

/// The store of one setting. Values are texts, as behind a flag.
pub(crate) trait Field: Sync {
    /// What a value is.
    fn form(&self) -> Form;

    /// What stands for a value in `--help`.
    fn value_name(&self) -> &'static str;

    /// The values that are allowed, such as `from 1 to 9`, if that is said in few words.
    fn allowed(&self) -> String {
        String::new()
    }

    /// Stores the values, of which there is one unless the form is a list.
    ///
    /// # Errors
    /// For each value that is wrong its number, and the reason; a number beyond the last stands for
    /// all of them together.
    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>>;

    /// The values that are stored; nothing if the setting is not set.
    fn get(&self, options: &Options) -> Vec<String>;

    /// The help of the flag `--no-name` of a switch.
    fn off(&self) -> &'static str {
        ""
    }
}

/// The kinds of values, by how they are written in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `true` or `false`; in flags `--name` or `--no-name`.
    Switch,
    /// An integer.
    Number,
    /// An integer, or a string with a unit.
    Size,
    /// A string.
    Text,
    /// A list of strings; in flags one behind each.
    List,
    /// One of these strings, each with its meaning.
    Choice(Vec<(&'static str, &'static str)>),
}

/// A function that finds the place of a setting.
pub(crate) type At<T> = fn(&mut Options) -> &mut T;

/// On or off.
pub(crate) struct Switch {
    pub(crate) at: At<bool>,
    /// The help of `--no-name`.
    pub(crate) off: &'static str,
}

impl Field for Switch {
    fn form(&self) -> Form {
        Form::Switch
    }

    fn value_name(&self) -> &'static str {
        "true|false"
    }

    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>> {
        *(self.at)(options) = one(texts, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("it is not `true` or `false`".to_owned()),
        })?;
        Ok(())
    }

    fn get(&self, options: &Options) -> Vec<String> {
        vec![(self.at)(&mut options.clone()).to_string()]
    }

    fn off(&self) -> &'static str {
        self.off
    }
}

/// One of several names.
pub(crate) struct Choice<T: 'static> {
    pub(crate) at: At<T>,
    pub(crate) value_name: &'static str,
    /// The names, what they stand for, and their help.
    pub(crate) names: &'static [(&'static str, T, &'static str)],
}

impl<T: Copy + PartialEq + Sync> Field for Choice<T> {
    fn form(&self) -> Form {
        Form::Choice(self.names.iter().map(|(name, _, help)| (*name, *help)).collect())
    }

    fn value_name(&self) -> &'static str {
        self.value_name
    }

    fn allowed(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(|(name, ..)| *name).collect();
        format!("one of `{}`", names.join("`, `"))
    }

    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>> {
        *(self.at)(options) = one(texts, |text| {
            let known = self.names.iter().find(|(name, ..)| *name == text);
            known.map(|(_, value, _)| *value).ok_or_else(|| {
                let near = nearest(text, self.names.iter().map(|(name, ..)| *name));
                let near = near.map(|name| format!("; the nearest is `{name}`"));
                format!("it is not {}{}", self.allowed(), near.unwrap_or_default())
            })
        })?;
        Ok(())
    }

    fn get(&self, options: &Options) -> Vec<String> {
        let stored = *(self.at)(&mut options.clone());
        let known = self.names.iter().filter(|(_, value, _)| *value == stored);
        known.map(|(name, ..)| (*name).to_owned()).collect()
    }
}

/// Texts that have a meaning: one, or a list of them.
pub(crate) struct Texts<T> {
    pub(crate) form: Form,
    pub(crate) value_name: &'static str,
    pub(crate) parse: fn(&str) -> Result<T, String>,
    pub(crate) set: fn(&mut Options, Vec<T>) -> Result<(), String>,
    pub(crate) get: fn(&Options) -> Vec<String>,
}

impl<T> Field for Texts<T> {
    fn form(&self) -> Form {
        self.form.clone()
    }

    fn value_name(&self) -> &'static str {
        self.value_name
    }

    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>> {
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for (number, text) in texts.iter().enumerate() {
            match (self.parse)(text) {
                Ok(value) => values.push(value),
                Err(fault) => faults.push((number, fault)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        (self.set)(options, values).map_err(|fault| vec![(texts.len(), fault)])
    }

    fn get(&self, options: &Options) -> Vec<String> {
        (self.get)(options)
    }
}

/// Reads the only value.
pub(crate) fn one<T>(
    texts: &[String],
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Vec<(usize, String)>> {
    match texts {
        [text] => parse(text).map_err(|fault| vec![(0, fault)]),
        _ => Err(vec![(0, "it takes one value".to_owned())]),
    }
}
