//! Unix-domain sockets that listen, and their files.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf, absolute};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_socket, connect, listen,
    socket_with,
};

use super::listen::{BACKLOG, IN_USE_WAIT, Pauses};
use super::passed::refuse_descriptors;

/// The file of a socket that this server has bound. Removed when this value is dropped, unless
/// another program has put something else there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Keeps the inode, so that its number is not given to the file of a successor.
    file: File,
    /// Another server has the socket, so the file stays.
    stays: AtomicBool,
}

impl SocketFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let file = File::options().read(true).custom_flags(flags).open(&path)?;
        Ok(Self { path, file, stays: AtomicBool::new(false) })
    }

    /// The file of a socket that a predecessor has bound. It is the predecessor's until
    /// [`own`](Self::own) is called.
    pub(super) fn take_over(path: &Path) -> io::Result<Self> {
        let file = Self::open(absolute(path)?)?;
        if !file.file.metadata()?.file_type().is_socket() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        file.leave();
        Ok(file)
    }

    /// The predecessor has given up the socket.
    pub(super) fn own(&self) {
        self.stays.store(false, Ordering::Release);
    }

    /// A successor has the socket now: it is not removed.
    pub(super) fn leave(&self) {
        self.stays.store(true, Ordering::Release);
    }

    /// Whether it is still what has this path.
    fn is_there(&self) -> io::Result<bool> {
        let (found, own) = (fs::symlink_metadata(&self.path)?, self.file.metadata()?);
        Ok((found.dev(), found.ino()) == (own.dev(), own.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stays.load(Ordering::Acquire) {
            return;
        }
        let _lock = lock_folder(&self.path, Instant::now() + IN_USE_WAIT);
        if self.is_there().is_ok_and(|is_there| is_there) {
            // If it stays, the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A form of `path` that is the same for all ways to write it, as far as its folder exists.
pub(super) fn canonical(path: &Path) -> PathBuf {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// Opens a socket that listens with this path. The file of a program that has ended is replaced.
pub(super) fn bind(
    path: &Path,
    mode: Option<u32>,
    deadline: Instant,
) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SocketAddrUnix::new(path)?;
    let path = absolute(path)?;
    // Two servers that start at the same time must not take one another's file for an old one.
    let _lock = lock_folder(&path, deadline);
    clear(&path, &address, deadline)?;
    let socket = open(SocketFlags::CLOEXEC)?;
    bind_socket(&socket, &address)?;
    let file = SocketFile::open(path)?;
    if let Some(mode) = mode {
        // Nobody can connect before it listens.
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    refuse_descriptors(&socket);
    listen(&socket, BACKLOG)?;
    Ok((socket, file))
}

fn open(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Locks the folder of a file, if that is possible before the deadline. The lock ends with the
/// value, and leaves nothing behind.
fn lock_folder(path: &Path, deadline: Instant) -> Option<File> {
    let folder = File::open(path.parent()?).ok()?;
    let mut pauses = Pauses::until(deadline);
    while folder.try_lock().is_err() {
        if !pauses.pause() {
            return None;
        }
    }
    Some(folder)
}

/// Removes a socket file to which no program listens any more. While one does, looks again until
/// the deadline.
fn clear(path: &Path, address: &SocketAddrUnix, deadline: Instant) -> io::Result<()> {
    let mut pauses = Pauses::until(deadline);
    loop {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(_) => {}
        }
        // Blocked by a full accept queue, it would wait for the other program.
        let probe = open(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        match connect(&probe, address) {
            Err(Errno::CONNREFUSED) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return Ok(()),
            },
            Err(Errno::NOENT) => return Ok(()),
            Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) if pauses.pause() => {}
            Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_that_another_program_has_replaced_is_not_removed() {
        let folder = folder("replaced");
        let path = folder.join("s");
        let now = Instant::now;
        let (socket, file) = bind(&path, Some(0o600), now()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        // It refuses now, so a successor takes its place.
        let (socket, successor) = bind(&path, None, now()).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        drop((socket, successor));
        assert!(!path.exists());
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn only_sockets_that_refuse_are_removed() {
        let folder = folder("refusing");
        let path = folder.join("s");
        let kind = || bind(&path, None, Instant::now()).map(drop).map_err(|error| error.kind());
        fs::write(&path, "text").unwrap();
        assert_eq!(kind(), Err(io::ErrorKind::AlreadyExists));
        fs::remove_file(&path).unwrap();
        let live = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(kind(), Err(io::ErrorKind::AddrInUse));
        drop(live);
        assert_eq!(kind(), Ok(()));
        let datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(kind(), Err(io::ErrorKind::AddrInUse));
        drop(datagrams);
        assert_eq!(kind(), Ok(()));
        assert!(!path.exists());
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn one_file_has_one_form() {
        let folder = folder("forms").canonicalize().unwrap();
        let plain = folder.join("s");
        assert_eq!(canonical(&folder.join("./s")), plain);
        assert_eq!(
            canonical(&folder.join("../").join(folder.file_name().unwrap()).join("s")),
            plain
        );
        fs::remove_dir(&folder).unwrap();
        assert_eq!(canonical(&plain), plain);
    }
}
