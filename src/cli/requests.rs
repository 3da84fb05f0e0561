//! Work that is done on a thread of its own, as often as it is asked for.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Asks a thread to work. It ends when this is dropped.
pub(super) struct Requests {
    sender: SyncSender<()>,
}

impl Requests {
    /// Starts the thread.
    pub(super) fn start(name: &str, mut work: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || receiver.iter().for_each(|()| work()))?;
        Ok(Self { sender })
    }

    /// Has it work, without waiting for that. One request that comes while it works is done
    /// afterwards, and stands for all others that come meanwhile.
    pub(super) fn request(&self) {
        // It is full, or the thread has ended with a panic, which was logged.
        let _ = self.sender.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn of_many_requests_meanwhile_one_is_remembered() {
        let (begin, begun) = channel();
        let (go, goes_on) = channel::<()>();
        let work = move || {
            begin.send(()).unwrap();
            let _ = goes_on.recv();
        };
        let requests = Requests::start("work", work).unwrap();
        requests.request();
        begun.recv_timeout(LIMIT).unwrap();
        // It hangs, and nobody waits for it.
        (0..5).for_each(|_| requests.request());
        go.send(()).unwrap();
        begun.recv_timeout(LIMIT).unwrap();
        go.send(()).unwrap();
        // Its thread ends without having been asked once more.
        drop(requests);
        assert_eq!(begun.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
    }
}
