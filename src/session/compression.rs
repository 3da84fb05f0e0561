//! Frames that leave: compressed where that was agreed.

use crate::base::ledger::Charge;
use crate::base::{Ledger, Work};
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::{COMPRESSIBLE, Deflater, Inflater, Pool};
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame, write_server_header};
use crate::protocol::websocket::handshake::Agreement;

/// What permessage-deflate means for one connection. The compressors are the connection's own only
/// where their context is kept from message to message.
#[derive(Debug)]
pub(super) struct Compression {
    pub(super) agreement: Agreement,
    /// None if no context is kept.
    own: Option<Box<Own>>,
}

/// The compressors of a connection that keeps a context, once they are needed.
#[derive(Debug)]
struct Own {
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    charge: Charge,
}

impl Own {
    /// Charges what it holds now.
    fn recharge(&mut self) {
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.memory());
        let deflater = self.deflater.as_ref().map_or(0, |deflater| deflater.memory());
        self.charge.set(inflater + deflater);
    }
}

impl Compression {
    pub(super) fn new(agreement: Agreement, ledger: &Ledger) -> Self {
        let keeps_none =
            agreement.client_no_context_takeover && agreement.server_no_context_takeover;
        let own = || Box::new(Own { inflater: None, deflater: None, charge: ledger.open() });
        let own = (!keeps_none).then(own);
        Self { agreement, own }
    }

    /// The memory that is charged for it, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.charge.bytes())
    }

    /// Whether a compressor has to be made for its first reply that is compressed.
    pub(super) fn lacks_deflater(&self) -> bool {
        let keeps_one = !self.agreement.server_no_context_takeover;
        keeps_one && self.own.as_ref().is_some_and(|own| own.deflater.is_none())
    }

    /// The inflater for the next message: the connection's own, or one of the pool.
    pub(super) fn inflater(&mut self, pool: &mut Pool) -> Box<Inflater> {
        let own = self.own.as_mut().and_then(|own| {
            let inflater = own.inflater.take();
            own.recharge();
            inflater
        });
        match own {
            Some(own) => own,
            None if self.agreement.client_no_context_takeover => pool.inflater(),
            None => Box::new(Inflater::new(self.agreement.client_max_window_bits)),
        }
    }

    /// Takes it back after the message.
    pub(super) fn keep_inflater(&mut self, inflater: Box<Inflater>, pool: &mut Pool) {
        match &mut self.own {
            Some(own) if !self.agreement.client_no_context_takeover => {
                own.inflater = Some(inflater);
                own.recharge();
            }
            _ => pool.give_inflater(inflater),
        }
    }

    /// The deflater for the next message: the connection's own, or one of the pool.
    fn deflater(&mut self, pool: &mut Pool) -> Box<Deflater> {
        let own = self.own.as_mut().and_then(|own| own.deflater.take());
        let bits = self.agreement.server_max_window_bits;
        own.unwrap_or_else(|| {
            if !pool.has_deflater(bits) {
                pool.count_work(Work::NEW_COMPRESSOR);
            }
            pool.deflater(bits)
        })
    }

    /// Takes it back after the message.
    fn keep_deflater(&mut self, deflater: Box<Deflater>, pool: &mut Pool) {
        match &mut self.own {
            Some(own) if !self.agreement.server_no_context_takeover => {
                own.deflater = Some(deflater);
                own.recharge();
            }
            _ => pool.give_deflater(deflater),
        }
    }

    /// Gives everything back at the end of the connection.
    pub(super) fn free(self, pool: &mut Pool) {
        let Some(own) = self.own else { return };
        if let Some(inflater) = own.inflater {
            pool.give_inflater(inflater);
        }
        if let Some(deflater) = own.deflater {
            pool.give_deflater(deflater);
        }
    }
}

/// Writes the frames of one connection.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    pub(super) compression: Option<&'a mut Compression>,
    pub(super) pool: &'a mut Pool,
    /// The messages that were framed.
    pub(super) written: &'a mut u64,
}

impl Encoder<'_> {
    pub(super) fn reborrow(&mut self) -> Encoder<'_> {
        let Self { compression, pool, written } = self;
        Encoder { compression: compression.as_deref_mut(), pool, written }
    }

    /// Whether `payload` may get smaller than it is.
    pub(super) fn is_compressible(&self, payload: &[u8]) -> bool {
        self.compression.is_some() && COMPRESSIBLE.contains(&payload.len())
    }

    /// Appends one frame; compressed if asked and agreed, and if the length is one that pays.
    pub(super) fn append(
        &mut self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        compress: bool,
    ) {
        *self.written += u64::from(!opcode.is_control());
        let compress = compress && COMPRESSIBLE.contains(&payload.len());
        let Some(compression) = self.compression.as_deref_mut().filter(|_| compress) else {
            return append_frame(out, opcode, false, payload);
        };
        let mut deflater = compression.deflater(self.pool);
        // The length is known only afterwards: leave room for the longest header, then close up.
        let start = out.len();
        out.resize(start + MAX_SERVER_HEADER, 0);
        deflater.message(payload, out);
        let body = start + MAX_SERVER_HEADER;
        let len = out.len() - body;
        let (level, bits) = (self.pool.level_for(payload.len()), deflater.bits());
        self.pool.count_work(Work::of_deflated(level, bits, payload.len(), len));
        let mut header = [0; MAX_SERVER_HEADER];
        let took = write_server_header(&mut header, opcode, true, len);
        out[start..start + took].copy_from_slice(&header[MAX_SERVER_HEADER - took..]);
        out.copy_within(body.., start + took);
        out.truncate(start + took + len);
        compression.keep_deflater(deflater, self.pool);
    }
}
