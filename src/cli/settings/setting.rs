//! An entry of the table of settings.

use super::field::{Field, Form};
use super::options::Options;

/// Everything that is said about one setting. All its ways in follow from it.
pub(crate) struct Setting {
    /// The key in a file. The flag has `--` before it.
    pub(crate) name: &'static str,
    /// Whole sentences, for `--help`, the default file and the documents.
    pub(crate) help: &'static str,
    /// A valid value other than the default, as it is written behind the flag; several of a list.
    pub(crate) example: &'static [&'static str],
    /// Where it is stored, and what its values are.
    pub(crate) field: &'static dyn Field,
}

/// Settings under one heading.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// What every variable of the environment begins with.
pub(crate) const PREFIX: &str = "CORECAST_";

impl Setting {
    /// `CORECAST_MAX_MESSAGE` of `max-message`.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The default, as it is written behind the flag; nothing if there is none.
    pub(crate) fn default(&self) -> Vec<String> {
        self.field.get(&Options::default())
    }

    /// Whether the flag may be repeated, and the key takes a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.field.form(), Form::List)
    }

    /// Whether it is on or off, with the two flags `--name` and `--no-name`.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.field.form(), Form::Switch)
    }

    /// The first sentence of the help, without its stop.
    pub(crate) fn summary(&self) -> &'static str {
        first_sentence(self.help)
    }

    /// The values as TOML.
    pub(crate) fn toml(&self, texts: &[String]) -> String {
        let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
        match (self.field.form(), texts) {
            (Form::List, _) => format!("[{}]", quoted.join(", ")),
            (Form::Switch | Form::Number, _) => texts.concat(),
            (Form::Size, [text]) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.clone(),
            _ => quoted.concat(),
        }
    }

    /// The example as TOML.
    pub(crate) fn example_toml(&self) -> String {
        let texts: Vec<String> = self.example.iter().map(|text| (*text).to_owned()).collect();
        self.toml(&texts)
    }
}

/// The text up to the first full stop that ends a sentence.
pub(crate) fn first_sentence(text: &'static str) -> &'static str {
    let ends = |at: usize| !text[..at].ends_with('.');
    let end = text.match_indices(". ").map(|(at, _)| at).find(|at| ends(*at));
    text.get(..end.unwrap_or(text.len())).unwrap_or(text).trim_end_matches('.')
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_toml_has_it() {
        assert_eq!(quote("a b"), "\"a b\"");
        assert_eq!(quote("\"\\\n\u{7f}\u{e9}"), "\"\\\"\\\\\\u000A\\u007F\u{e9}\"");
    }
}
