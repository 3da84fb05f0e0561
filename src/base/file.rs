//! Files that are read at once.

use std::fs::{FileType, OpenOptions};
use std::io::{Error, Read, Result};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Reads a regular file. Anything else could block for ever, as a FIFO does to which nobody writes,
/// or never end, so it is refused without waiting for it.
///
/// # Errors
/// If it cannot be read, or is no regular file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    // A FIFO would be waited for when it is opened.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(Error::other(format!("it is {}, not a regular file", name(kind))));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::other("it is not text in UTF-8"))
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_dir() => "a directory",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_alone_are_read() {
        let path = std::env::temp_dir().join(format!("corecast-file-{}", std::process::id()));
        std::fs::write(&path, b"text\xff").unwrap();
        assert_eq!(read(&path).unwrap(), b"text\xff");
        assert!(read_text(&path).unwrap_err().to_string().contains("UTF-8"));
        std::fs::remove_file(&path).unwrap();
        // tests/server/life/blocked.rs has a FIFO.
        for (path, says) in [
            (path.as_path(), "No such file"),
            (Path::new("/"), "it is a directory, not a regular file"),
            (Path::new("/dev/zero"), "it is a device, not a regular file"),
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains(says), "{}: {error}", path.display());
        }
    }
}
