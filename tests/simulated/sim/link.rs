//! What a client sends and receives through: the simulated network, with TLS over it in some runs.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use corecast::io::sim::{ClientId, ServerEnd, SimNetwork};
use rustls::{ClientConfig, ClientConnection};

/// TLS of one client.
#[derive(Debug)]
pub(crate) struct Tls {
    connection: ClientConnection,
    /// FIN follows what is written before the end of the handshake.
    ends_later: bool,
    /// The client ends TCP without the end of TLS.
    pub(crate) truncates: bool,
    /// Something has arrived since the last look.
    has_moved: bool,
    fault: Option<String>,
}

impl Tls {
    pub(crate) fn new(config: &Arc<ClientConfig>, truncates: bool) -> Rc<RefCell<Self>> {
        let name = "localhost".try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        connection.set_buffer_limit(None);
        let (ends_later, has_moved) = (false, false);
        let this = Self { connection, ends_later, truncates, has_moved, fault: None };
        Rc::new(RefCell::new(this))
    }

    fn flush(&mut self, network: &SimNetwork, id: ClientId) {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out).unwrap();
        }
        if !out.is_empty() {
            network.write(id, &out);
        }
        if self.ends_later && !self.connection.is_handshaking() {
            self.ends_later = false;
            network.half_close(id);
        }
    }

    /// Takes what has arrived, and returns what it holds.
    fn receive(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !bytes.is_empty() && self.fault.is_none() {
            self.connection.read_tls(&mut bytes).unwrap();
            match self.connection.process_new_packets() {
                Ok(state) => {
                    let mut part = vec![0; state.plaintext_bytes_to_read()];
                    self.connection.reader().read_exact(&mut part).unwrap();
                    plain.extend(part);
                }
                Err(error) => self.fault = Some(error.to_string()),
            }
        }
        plain
    }
}

/// The network as one client uses it.
pub(crate) struct Link<'a> {
    pub(crate) network: &'a SimNetwork,
    pub(crate) tls: Option<&'a RefCell<Tls>>,
}

impl Link<'_> {
    pub(crate) fn connect(&self, listener: usize) -> ClientId {
        let id = self.network.connect(listener);
        if let Some(tls) = self.tls {
            tls.borrow_mut().flush(self.network, id);
        }
        id
    }

    pub(crate) fn write(&self, id: ClientId, bytes: &[u8]) {
        let Some(tls) = self.tls else { return self.network.write(id, bytes) };
        let mut tls = tls.borrow_mut();
        tls.connection.writer().write_all(bytes).unwrap();
        tls.flush(self.network, id);
    }

    pub(crate) fn read(&self, id: ClientId) -> Vec<u8> {
        let bytes = self.network.read(id);
        let Some(tls) = self.tls else { return bytes };
        let mut tls = tls.borrow_mut();
        tls.has_moved |= !bytes.is_empty();
        let plain = tls.receive(&bytes);
        tls.flush(self.network, id);
        plain
    }

    /// Whether something of TLS has arrived since the last call.
    pub(crate) fn has_moved(&self) -> bool {
        self.tls.is_some_and(|tls| std::mem::take(&mut tls.borrow_mut().has_moved))
    }

    /// What is wrong with what the server has sent: by itself, or that it ended TCP without the end
    /// of TLS.
    pub(crate) fn fault(&self, has_ended: bool) -> Option<String> {
        let tls = self.tls?.borrow();
        let is_cut = has_ended && !tls.connection.is_handshaking() && tls.connection.wants_read();
        tls.fault.clone().or_else(|| is_cut.then(|| "FIN without close_notify".to_owned()))
    }

    pub(crate) fn half_close(&self, id: ClientId) {
        let Some(tls) = self.tls else { return self.network.half_close(id) };
        let mut tls = tls.borrow_mut();
        if !tls.truncates {
            tls.connection.send_close_notify();
        }
        tls.ends_later = true;
        tls.flush(self.network, id);
    }

    pub(crate) fn closed_by_server(&self, id: ClientId) -> Option<ServerEnd> {
        self.network.closed_by_server(id)
    }

    pub(crate) fn is_faulted(&self, id: ClientId) -> bool {
        self.network.is_faulted(id)
    }

    pub(crate) fn is_closed(&self, id: ClientId) -> bool {
        self.network.is_closed(id)
    }

    pub(crate) fn is_accepted(&self, id: ClientId) -> bool {
        self.network.is_accepted(id)
    }

    pub(crate) fn bytes_not_received(&self, id: ClientId) -> usize {
        self.network.bytes_not_received(id)
    }

    pub(crate) fn set_receive_window(&self, id: ClientId, bytes: usize) {
        self.network.set_receive_window(id, bytes);
    }

    pub(crate) fn reset(&self, id: ClientId) {
        self.network.reset(id);
    }
}
