//! The memory of reply bytes until they are sent.

use std::io;

use crate::sys::{Region, len32};
use crate::wire::{pattern, put_header};

/// A run of bytes to send.
pub(crate) struct Chunk {
    pub(crate) at: *const u8,
    pub(crate) len: u32,
    /// The pool buffer that holds the bytes, if any.
    pub(crate) bid: Option<u16>,
    /// The bytes themselves when they live nowhere else.
    pub(crate) owned: Option<Box<[u8]>>,
}

impl Chunk {
    /// Bytes inside memory that stays valid until the send is over.
    pub(crate) fn borrowed(at: *const u8, len: usize, bid: Option<u16>) -> Self {
        Self { at, len: len32(len), bid, owned: None }
    }

    /// Bytes owned by the piece.
    pub(crate) fn owned(bytes: Box<[u8]>) -> Self {
        Self { at: bytes.as_ptr(), len: len32(bytes.len()), bid: None, owned: Some(bytes) }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        if let Some(bytes) = &self.owned {
            return bytes;
        }
        // SAFETY: a borrowed piece points at `len` initialised bytes of a pool, connection buffer
        // or message source, none of which is reused before the piece is dropped.
        unsafe { std::slice::from_raw_parts(self.at, self.len as usize) }
    }
}

/// The number of bytes in a list of pieces.
pub(crate) fn total(pieces: &[Chunk]) -> usize {
    pieces.iter().map(|p| p.len as usize).sum()
}

/// Sets of scattered pieces that make up one message; there are several so that consecutive
/// messages come from different memory.
pub(crate) struct Sources {
    memory: Region,
    sets: Vec<Vec<(usize, usize)>>,
    next: usize,
}

const SETS: usize = 16;

impl Sources {
    /// Sources for messages of `payload` bytes; odd sets have 3 payload pieces, even sets 2.
    pub(crate) fn new(payload: usize) -> io::Result<Self> {
        let stride = (payload + 5 * 64).next_multiple_of(64);
        let memory = Region::new(SETS * stride)?;
        let bytes = pattern(payload);
        let mut header = [0; 10];
        let size = put_header(&mut header, payload as u64);
        let mut sets = Vec::new();
        for set in 0..SETS {
            let mut at = set * stride;
            let mut list = vec![(at, size)];
            memory.write(at, &header[..size]);
            at += 64;
            for part in bytes.chunks(payload.div_ceil(2 + set % 2)) {
                memory.write(at, part);
                list.push((at, part.len()));
                at = (at + part.len()).next_multiple_of(64);
            }
            sets.push(list);
        }
        Ok(Self { memory, sets, next: 0 })
    }

    /// Appends the pieces of one message.
    pub(crate) fn message(&mut self, out: &mut Vec<Chunk>) {
        let memory = &self.memory;
        let list = &self.sets[self.next];
        out.extend(list.iter().map(|&(at, len)| Chunk::borrowed(memory.at(at), len, None)));
        self.next = (self.next + 1) % SETS;
    }
}

/// Memory for joined messages; all of it is free again after a batch.
pub(crate) struct Arena {
    memory: Region,
    size: usize,
    used: usize,
}

impl Arena {
    /// An arena of `size` bytes.
    pub(crate) fn new(size: usize) -> io::Result<Self> {
        Ok(Self { memory: Region::new(size)?, size, used: 0 })
    }

    /// Copies the pieces one after the other; `None` when the arena is full.
    pub(crate) fn join(&mut self, pieces: &[Chunk]) -> Option<*const u8> {
        let len = total(pieces);
        if self.used + len > self.size {
            return None;
        }
        let start = self.used;
        for piece in pieces {
            self.memory.write(self.used, piece.bytes());
            self.used += piece.len as usize;
        }
        self.used = self.used.next_multiple_of(64);
        Some(self.memory.at(start))
    }

    /// Declares every joined message sent.
    pub(crate) fn reset(&mut self) {
        self.used = 0;
    }
}
