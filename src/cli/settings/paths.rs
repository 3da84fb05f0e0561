//! Settings that are lists of files.

use std::path::PathBuf;

use super::field::{At, Field, Form};
use super::options::Options;

/// Files that are read when the server starts.
pub(crate) struct Files {
    pub(crate) at: At<Vec<PathBuf>>,
}

impl Field for Files {
    fn form(&self) -> Form {
        Form::List
    }

    fn value_name(&self) -> &'static str {
        "FILE"
    }

    fn set(&self, options: &mut Options, texts: &[String]) -> Result<(), Vec<(usize, String)>> {
        let empty = texts.iter().enumerate().filter(|(_, text)| text.is_empty());
        let faults: Vec<_> =
            empty.map(|(at, _)| (at, "it is not the name of a file".to_owned())).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        *(self.at)(options) = texts.iter().map(PathBuf::from).collect();
        Ok(())
    }

    fn get(&self, options: &Options) -> Vec<String> {
        let paths = (self.at)(&mut options.clone()).clone();
        paths.iter().map(|path| path.display().to_string()).collect()
    }
}
