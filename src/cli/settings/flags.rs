//! The flags, as clap takes them.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

use super::fault::Place;
use super::field::Form;
use super::given::Given;
use super::options::Options;
use super::setting::{Setting, first_sentence};
use super::table;

/// The flags of all settings, under their headings.
pub(crate) fn arguments() -> Vec<Arg> {
    let mut all = Vec::new();
    for group in table::GROUPS {
        for setting in group.settings {
            let flags = if setting.is_switch() { switch(setting) } else { vec![valued(setting)] };
            all.extend(flags.into_iter().map(|flag| flag.help_heading(group.title)));
        }
    }
    all
}

/// The values that the flags give.
pub(crate) fn given(matches: &ArgMatches) -> Vec<Given> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut all = Vec::new();
    for setting in table::all() {
        let no = negated(setting);
        let (flag, texts) = if setting.is_switch() && is_given(&no) {
            (no, vec!["false".to_owned()])
        } else if !is_given(setting.name) {
            continue;
        } else if setting.is_switch() {
            (setting.name.to_owned(), vec!["true".to_owned()])
        } else {
            let texts = matches.get_many::<String>(setting.name).unwrap_or_default();
            (setting.name.to_owned(), texts.cloned().collect())
        };
        all.push(Given::new(setting, texts, Place::Flag(format!("--{flag}"))));
    }
    all
}

fn negated(setting: &Setting) -> String {
    format!("no-{}", setting.name)
}

/// `--name` and `--no-name`. The one that says the default is not shown.
fn switch(setting: &'static Setting) -> Vec<Arg> {
    let is_on = setting.default() == ["true"];
    let no = negated(setting);
    let flag = |name: &str, help: &'static str, hide| {
        let other = if name == no { setting.name.to_owned() } else { no.clone() };
        Arg::new(name.to_owned())
            .long(name.to_owned())
            .action(ArgAction::SetTrue)
            .help(first_sentence(help))
            .long_help(without_stop(help))
            .hide(hide)
            .conflicts_with(other)
    };
    vec![flag(setting.name, setting.help, is_on), flag(&no, setting.field.off(), !is_on)]
}

fn valued(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.field.value_name())
        .help(setting.summary())
        .long_help(without_stop(setting.help))
        .allow_negative_numbers(true)
        .action(if setting.is_list() { ArgAction::Append } else { ArgAction::Set })
        .default_values(setting.default());
    match setting.field.form() {
        Form::Choice(names) => {
            let names = names.into_iter().map(|(name, help)| PossibleValue::new(name).help(help));
            argument.value_parser(PossibleValuesParser::new(names))
        }
        _ => argument.value_parser(move |text: &str| check(setting, text)),
    }
}

fn check(setting: &Setting, text: &str) -> Result<String, String> {
    let text = text.to_owned();
    match setting.field.set(&mut Options::default(), std::slice::from_ref(&text)) {
        Ok(()) => Ok(text),
        Err(faults) => Err(faults.into_iter().map(|(_, reason)| reason).collect()),
    }
}

/// Help ends without a full stop.
fn without_stop(help: &'static str) -> &'static str {
    help.strip_suffix('.').unwrap_or(help)
}
