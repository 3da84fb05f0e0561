//! Lines of the log on their way to standard error: whoever logs never waits for that, since it may
//! be a pipe that nobody reads, and a loop would stop with it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait. What comes beyond them is lost, and counted.
const MAX: usize = 1 << 20;

/// Takes lines from any thread. All clones are the same.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing does any more.
    changed: Condvar,
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The thread is writing what it has taken.
    is_writing: bool,
}

impl LogQueue {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, changed, lost) = (Mutex::default(), Condvar::new(), Arc::default());
        let queue = Self(Arc::new(Shared { waiting, changed, lost }));
        let thread = thread::Builder::new().name("corecast-log".to_owned());
        let shared = Arc::clone(&queue.0);
        thread.spawn(move || shared.write_all(&mut out))?;
        Ok(queue)
    }

    /// How many lines were lost.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.lost)
    }

    /// Waits until all is written, for so long at most.
    pub(super) fn flush(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(self.0.lock(), patience, is_busy));
    }
}

/// Each call is a whole line.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared = &self.0;
        let mut waiting = shared.lock();
        if waiting.lines.len() + line.len() > MAX {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        waiting.lines.extend_from_slice(line);
        if !waiting.is_writing {
            shared.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, for ever.
    fn write_all(&self, out: &mut impl Write) {
        let (mut lines, mut told) = (Vec::new(), 0);
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.lines.is_empty();
            let waiting = self.changed.wait_while(self.lock(), is_idle);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.lines, &mut lines);
            waiting.is_writing = true;
            drop(waiting);
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                // It would fail again for a line about it.
                let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.lost.fetch_add(count, Ordering::Relaxed);
                told += count;
            }
            lines.clear();
            let lost = self.lost.load(Ordering::Relaxed);
            if lost > told {
                tracing::warn!(lines = lost - told, "the log was not read in time; lines are lost");
                told = lost;
            }
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Takes nothing before it is told to.
    struct Slow(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_logs_never_waits_and_what_has_no_room_is_counted() {
        let (go_on, wait) = channel();
        let (written, read) = channel();
        let mut queue = LogQueue::start(Slow(wait, written)).unwrap();
        queue.write_all(b"first\n").unwrap();
        while !queue.0.lock().is_writing {
            thread::yield_now();
        }
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let fits = MAX / line.len();
        (0..fits + 3).for_each(|_| queue.write_all(&line).unwrap());
        assert_eq!(queue.lost().load(Ordering::Relaxed), 3);
        queue.flush(Duration::from_millis(1));
        assert!(read.try_recv().is_err(), "nothing is written yet");
        (0..2).for_each(|_| go_on.send(()).unwrap());
        queue.flush(LIMIT);
        assert_eq!(read.recv_timeout(LIMIT).unwrap(), b"first\n");
        assert!(read.recv_timeout(LIMIT).unwrap() == line.repeat(fits));
        assert!(read.try_recv().is_err());
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (go_on, wait) = channel::<()>();
        let (written, _read) = channel();
        drop(go_on);
        let mut queue = LogQueue::start(Slow(wait, written)).unwrap();
        queue.write_all(b"one\ntwo\n").unwrap();
        queue.flush(LIMIT);
        assert_eq!(queue.lost().load(Ordering::Relaxed), 2);
    }
}
