//! A connection of which the caller need not know whether it uses TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::records::{LONGEST, Records};

/// A connection after its handshake. It reads as a stream does, but with TLS into buffers of at
/// least 64 KiB only.
pub(in crate::load) struct Connection {
    pub(in crate::load) stream: TcpStream,
    pub(in crate::load) records: Option<Records>,
}

impl Connection {
    /// The bytes on the wire for `bytes`.
    pub(in crate::load) fn wire(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut wire = Vec::with_capacity(bytes.len());
        match &mut self.records {
            Some(records) => records.seal(bytes, usize::MAX, &mut wire),
            None => wire.extend_from_slice(bytes),
        }
        wire
    }

    /// Sends everything; the stream must be blocking, or have room.
    pub(in crate::load) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire(bytes);
        self.stream.write_all(&wire)
    }

    /// Releases memory that is not in use.
    pub(in crate::load) fn shrink(&mut self) {
        if let Some(records) = &mut self.records {
            records.shrink();
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(records) = &mut self.records else { return self.stream.read(buffer) };
        // The rest of a record that came before must fit as well.
        let room = buffer.len().saturating_sub(LONGEST);
        if room == 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the buffer is too small"));
        }
        loop {
            let n = self.stream.read(&mut buffer[..room])?;
            if n == 0 {
                return Ok(0);
            }
            // The content is shorter than the records, but the first may have begun earlier.
            records.received(&buffer[..n]);
            let mut filled = 0;
            records.open(&mut |data| {
                buffer[filled..filled + data.len()].copy_from_slice(data);
                filled += data.len();
                Ok(())
            })?;
            if filled > 0 {
                return Ok(filled);
            }
        }
    }
}
