//! What is wrong with a setting, and where it was said.

use std::fmt;

/// Where the value of a setting comes from. Later ones win over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    #[default]
    Default,
    /// A running server, which keeps what it was started with.
    Start,
    File {
        name: String,
        /// 0 if the whole file is meant.
        line: usize,
        column: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag, with its `--`.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Start => f.write_str("as at the start"),
            Self::File { name, line: 0, .. } => f.write_str(name),
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) text: String,
    /// The setting whose value is not known because of it.
    pub(crate) about: Option<&'static str>,
}

impl Fault {
    pub(crate) const fn new(place: Place, text: String) -> Self {
        Self { place, text, about: None }
    }

    pub(crate) const fn about(setting: &'static str, place: Place, text: String) -> Self {
        Self { place, text, about: Some(setting) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Default | Place::Start => f.write_str(&self.text)?,
            _ => write!(f, "{}: {}", self.place, self.text)?,
        }
        match self.place {
            Place::Default | Place::Flag(_) => f.write_str("; see `corecast serve --help`"),
            _ => Ok(()),
        }
    }
}
