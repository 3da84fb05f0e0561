//! The certificate of the servers: made for each start, with a key of the curve P-256.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Two files in PEM; removed when dropped.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    folder: PathBuf,
}

impl Certificate {
    pub(crate) fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-compare-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .map_err(io::Error::other)?;
        fs::create_dir_all(&folder)?;
        let files = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            folder,
        };
        fs::write(&files.certificate, made.cert.pem())?;
        fs::write(&files.key, made.signing_key.serialize_pem())?;
        Ok(files)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // What stays behind is small, and of no use to others.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
