//! A subscriber that does not read, and somebody who publishes to it.

use std::net::SocketAddr;

use super::client::Client;
use super::wire::{BINARY, FIN, frame};

/// More messages than queues and sockets hold.
const MOST: usize = 2_000;

pub(crate) struct SlowSubscriber {
    writer: Client,
    /// Its socket takes little.
    _reader: Client,
}

impl SlowSubscriber {
    pub(crate) fn start(addr: SocketAddr) -> Self {
        let mut reader = Client::connect_narrow(addr, 4 << 10);
        reader.open_at("/topics/a?role=sub", "");
        let mut writer = Client::connect(addr);
        writer.open_at("/topics/a?role=pub", "");
        Self { writer, _reader: reader }
    }

    /// Publishes messages of 60,000 bytes until that has the effect which is looked for.
    pub(crate) fn publish_until(&mut self, mut has_effect: impl FnMut() -> bool) {
        let message = frame(FIN | BINARY, &[0; 60_000]);
        let publish = |_| {
            self.writer.send(&message);
            has_effect()
        };
        assert!((0..MOST).any(publish), "{MOST} messages have no effect");
    }

    /// The subscriber leaves. Returns who publishes.
    pub(crate) fn leave(self) -> Client {
        self.writer
    }
}
