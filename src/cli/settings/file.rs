//! The configuration file: TOML, with the names of the flags as keys of the top level.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use corecast::base::file;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::field::Form;
use super::given::Given;
use super::lines::Lines;
use super::nearest::nearest;
use super::routes::Table;
use super::setting::Setting;
use super::table::{self, route};

/// The name of the tables of routes.
const ROUTE: &str = "route";

/// The first fault of each line that is no TOML, with its offset.
type Broken = BTreeMap<usize, (usize, Fault)>;

/// The keys that a table may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    OfServer,
    OfRoute,
}

impl Keys {
    fn find(self, name: &str) -> Option<&'static Setting> {
        match self {
            Self::OfServer => table::find(name),
            Self::OfRoute => route::find(name),
        }
    }

    /// The text for a key that is none of them.
    fn unknown(self, key: &str, value: &DeValue<'_>) -> String {
        if self == Self::OfServer {
            return unknown(key, value);
        }
        let (shown, name) = (key.escape_debug(), key.replace('_', "-").to_ascii_lowercase());
        if table::find(key).is_some() {
            return format!(
                "`{shown}` is a key of the server, not of a route: write it before any `[[route]]`"
            );
        }
        let known = route::all().map(|setting| setting.name);
        match nearest(&name, known.clone()) {
            Some(near) => format!("unknown key `{shown}`; the nearest of a route is `{near}`"),
            None => format!(
                "unknown key `{shown}`; those of a route are `{}`",
                known.collect::<Vec<_>>().join("`, `")
            ),
        }
    }
}

/// A file with its name.
pub(crate) struct Document {
    name: String,
    text: String,
    lines: Lines,
}

impl Document {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// A file that cannot be read, or is not text.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        let is_input = path.as_os_str() == "-";
        let name = if is_input { "stdin".to_owned() } else { path.display().to_string() };
        let fail = |line, text: String| {
            let column = usize::from(line > 0);
            Fault::new(Place::File { name: name.clone(), line, column }, text)
        };
        let bytes = if is_input {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            file::read(path)
        };
        let bytes = bytes.map_err(|error| fail(0, format!("it cannot be read: {error}")))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { lines: Lines::of(&text), name, text }),
            Err(error) => {
                let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
                let line = 1 + valid.filter(|byte| **byte == b'\n').count();
                Err(fail(line, "this is not text in UTF-8".to_owned()))
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), lines: Lines::of(text) }
    }

    /// The name that faults begin with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The values in the file, and its routes. What is wrong with its form or its keys is added to
    /// `faults`.
    pub(crate) fn values(&self, faults: &mut Vec<Fault>) -> (Vec<Given>, Vec<Table>) {
        let (root, errors) = DeTable::parse_recoverable(&self.text);
        // One fault often makes several errors; the first of a line is the cause.
        let mut broken = Broken::new();
        for error in &errors {
            let span = error.span().unwrap_or_default();
            let fault = Fault::new(self.place(&span), self.explain(error.message(), &span));
            let line =
                broken.entry(self.line(span.start)).or_insert_with(|| (span.start, fault.clone()));
            if span.start < line.0 {
                *line = (span.start, fault);
            }
        }
        let mut routes = Vec::new();
        if let Some((key, value)) = root.get_ref().get_key_value(ROUTE) {
            routes = self.routes(&key.span(), value, &mut broken, faults);
        }
        let others = root.get_ref().iter().filter(|(key, _)| key.get_ref() != ROUTE);
        let given = self.given(others, Keys::OfServer, &mut broken, faults);
        faults.extend(broken.into_values().map(|(_, fault)| fault));
        (given, routes)
    }

    /// The routes, each with its values.
    fn routes(
        &self,
        key: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
        broken: &mut Broken,
        faults: &mut Vec<Fault>,
    ) -> Vec<Table> {
        let tables: Vec<_> = match value.get_ref() {
            DeValue::Array(tables) => tables.iter().collect(),
            _ => vec![value],
        };
        let mut routes = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            let DeValue::Table(entries) = table.get_ref() else {
                let text = "a route is a table: write `[[route]]`, and its keys below it";
                faults.push(Fault::new(self.place(key), text.to_owned()));
                continue;
            };
            if !matches!(value.get_ref(), DeValue::Array(_)) {
                let text = "there may be several routes: write `[[route]]`";
                faults.push(Fault::new(self.place(key), text.to_owned()));
            }
            let before = (faults.len(), broken.len());
            // The span of a table is that of its header.
            let next = tables.get(number + 1).map_or(self.text.len(), |next| next.span().start);
            let lines = self.line(table.span().start)..=self.line(next);
            let has_broken = broken.range(lines).next().is_some();
            let given = self.given(entries.iter(), Keys::OfRoute, broken, faults);
            let is_broken = has_broken || before != (faults.len(), broken.len());
            routes.push(Table { place: self.place(&table.span()), given, is_broken });
        }
        routes
    }

    /// The values of a table.
    fn given<'t>(
        &self,
        entries: impl Iterator<Item = (&'t Spanned<Cow<'t, str>>, &'t Spanned<DeValue<'t>>)>,
        keys: Keys,
        broken: &mut Broken,
        faults: &mut Vec<Fault>,
    ) -> Vec<Given> {
        let mut given = Vec::new();
        for (key, value) in entries {
            let place = self.place(&key.span());
            // What was recovered from a line with an error is not what was meant.
            let lines = self.line(value.span().start)..=self.line(value.span().end);
            let known = keys.find(key.get_ref());
            if let Some((_, (_, fault))) = broken.range_mut(lines).next() {
                fault.about = known.map(|setting| setting.name);
                continue;
            }
            match known {
                Some(setting) => {
                    let (texts, places, wrong) = self.texts(setting, value);
                    let all = Given { setting, texts, place, places };
                    if wrong.is_empty() {
                        given.push(all);
                    } else {
                        // The other values of the list are checked all the same.
                        faults.extend(wrong);
                        all.check(faults);
                    }
                }
                None => {
                    let text = keys.unknown(key.get_ref(), value.get_ref());
                    faults.push(Fault::new(place, text));
                }
            }
        }
        given
    }

    /// The values of a key as texts, each with its place, and what is wrong with the others.
    fn texts(
        &self,
        setting: &Setting,
        value: &Spanned<DeValue<'_>>,
    ) -> (Vec<String>, Vec<Place>, Vec<Fault>) {
        let values: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(array) if setting.is_list() => array.iter().collect(),
            _ => vec![value],
        };
        let (mut texts, mut places, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            let place = self.place(&value.span());
            match text(&setting.field.form(), value.get_ref()) {
                Some(text) => {
                    texts.push(text);
                    places.push(place);
                }
                None => {
                    let text = wrong_type(setting, value.get_ref());
                    faults.push(Fault::about(setting.name, place, text));
                }
            }
        }
        (texts, places, faults)
    }

    /// The message of the parser, or a better one where it does not tell what to write.
    fn explain(&self, message: &str, span: &Range<usize>) -> String {
        let rest = self.text.get(span.start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || ",]#=".contains(c));
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let truth = match word.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some(true),
            "no" | "off" | "false" => Some(false),
            _ => None,
        };
        match (message, truth) {
            ("duplicate key", _) => format!("`{word}` is given twice; give it once"),
            (_, Some(truth)) => format!("`{word}` is no value; write `{truth}`"),
            _ if message.starts_with("string values must be quoted") => {
                match self.text.get(span.clone()).unwrap_or_default() {
                    "" => "a value is missing behind the `=`".to_owned(),
                    value => format!("`{value}` needs quotes: write `\"{value}\"`"),
                }
            }
            _ => message.to_owned(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.lines.line(offset)
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let (line, column) = self.lines.position(&self.text, span.start);
        Place::File { name: self.name.clone(), line, column }
    }
}

/// The value as it would be written behind the flag; `None` if it is of another type.
fn text(form: &Form, value: &DeValue<'_>) -> Option<String> {
    match (form, value) {
        (Form::Switch, DeValue::Boolean(value)) => Some(value.to_string()),
        (Form::Number | Form::Size, DeValue::Integer(number)) => Some(match number.radix() {
            10 => number.as_str().to_owned(),
            radix => i128::from_str_radix(number.as_str(), radix).ok()?.to_string(),
        }),
        (Form::Size | Form::Text | Form::List | Form::Choice(_), DeValue::String(text)) => {
            Some(text.clone().into_owned())
        }
        _ => None,
    }
}

fn wrong_type(setting: &Setting, value: &DeValue<'_>) -> String {
    let form = setting.field.form();
    let takes = match form {
        Form::Switch => "`true` or `false`",
        Form::Number => "a whole number",
        Form::Size => "a size",
        Form::Text | Form::Choice(_) => "a string",
        Form::List => "a list of strings",
    };
    let example = match form {
        Form::Switch => String::new(),
        _ => format!(", such as `{} = {}`", setting.name, setting.example_toml()),
    };
    let is = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("this is {is}; `{}` takes {takes}{example}", setting.name)
}

/// The text for a key that is no setting.
fn unknown(key: &str, value: &DeValue<'_>) -> String {
    let name = key.replace('_', "-").to_ascii_lowercase();
    if let Some(switch) = name.strip_prefix("no-").and_then(table::find)
        && switch.is_switch()
    {
        return format!("unknown key `{key}`; write `{} = false`", switch.name);
    }
    let is_table = |value: &Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::Table(_));
    if let DeValue::Array(array) = value
        && array.first().is_some_and(is_table)
    {
        let advice = match name.as_str() {
            "routes" => "; the nearest that is known is `[[route]]`".into(),
            _ => advice(&name),
        };
        return format!("unknown table `{}`{advice}", key.escape_debug());
    }
    if let DeValue::Table(table) = value {
        let key = key.escape_debug();
        let inside = table.keys().map(Spanned::get_ref).find(|key| table::find(key).is_some());
        return match inside {
            Some(inside) => format!(
                "unknown table `{key}`; `{inside}` is a key of the top level: write it before \
                 any `[table]`"
            ),
            None => format!("unknown table `{key}`{}", advice(&name)),
        };
    }
    format!("unknown key `{}`{}", key.escape_debug(), advice(&name))
}

fn advice(name: &str) -> Cow<'static, str> {
    match nearest(name, table::all().map(|setting| setting.name)) {
        Some(near) => format!("; the nearest that is known is `{near}`").into(),
        None => "; `corecast default-config` lists all that are known".into(),
    }
}
