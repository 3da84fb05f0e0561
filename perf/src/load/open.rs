//! Opens connections to one server, with TLS or without.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::ClientConfig;

use super::connect::{self, Opened, TIMEOUT};
use super::tls::{Client, Tickets, Tls, settings};
use crate::frames::{self, Offer};

/// Opens connections to one server, with TLS or without.
pub(super) struct Opener {
    address: SocketAddr,
    settings: Option<Arc<ClientConfig>>,
    /// The tickets of earlier connections, if they are to be used.
    pub(super) tickets: Option<Arc<Tickets>>,
}

impl Opener {
    pub(super) fn new(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let tickets = tls.filter(|tls| tls.resume).map(|_| Arc::default());
        let settings = tls.map(|_| settings(tickets.clone())).transpose()?;
        Ok(Self { address, settings, tickets })
    }

    /// A handshake of TLS, if connections use it.
    pub(super) fn handshake(&self) -> io::Result<Option<Client>> {
        self.settings.as_ref().map(Client::new).transpose()
    }

    /// Connects from `source`, if there is one, and upgrades at `path`.
    pub(super) fn open(
        &self,
        path: &str,
        offer: Offer,
        source: Option<Ipv4Addr>,
    ) -> io::Result<Opened> {
        let Some(client) = self.handshake()? else {
            return connect::open_with(self.address, path, offer, source);
        };
        let address = self.address;
        secured(client, address, path, offer, source)
            .map_err(|e| io::Error::new(e.kind(), format!("opening {address}{path} by TLS: {e}")))
    }
}

fn secured(
    mut client: Client,
    address: SocketAddr,
    path: &str,
    offer: Offer,
    source: Option<Ipv4Addr>,
) -> io::Result<Opened> {
    let stream = connect::dial(address, source, false)?;
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let key = connect::random_key();
    client.send(frames::request(path, address, &key, offer).as_bytes())?;
    client.flush(&stream)?;
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    let mut opened = finish(client, stream, &mut head, &mut part)?;
    opened.deflate = connect::check_answer(&head, path, &key, offer != Offer::Nothing)?;
    opened.stream.set_read_timeout(None)?;
    opened.stream.set_write_timeout(None)?;
    Ok(opened)
}

/// Reads until the head of the answer is there, which is stored in `head`; what comes after it is
/// in the result.
pub(super) fn finish(
    mut client: Client,
    mut stream: TcpStream,
    head: &mut Vec<u8>,
    part: &mut [u8],
) -> io::Result<Opened> {
    let end = loop {
        while client.record(head)? && frames::head_end(head).is_none() {}
        client.flush(&stream)?;
        if let Some(end) = frames::head_end(head) {
            break end;
        }
        match stream.read(part) {
            Ok(0) => return Err(io::Error::other("the server closed the connection")),
            Ok(n) => client.received(&part[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(e) => return Err(e),
        }
    };
    let mut rest = head.split_off(end);
    let mut records = client.into_records()?;
    records.open(&mut |data| {
        rest.extend_from_slice(data);
        Ok(())
    })?;
    Ok(Opened { stream, rest, deflate: None, records: Some(records) })
}

#[cfg(test)]
mod tests;
