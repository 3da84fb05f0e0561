//! The checks of a server's response.

use super::error::ResponseError;
use super::request::ClientRequest;
use crate::protocol::http::{
    Elements, FieldLines, HeadError, HeadLimits, Headers, ResponseHead, Version,
};
use crate::protocol::websocket::handshake::accept_key::accept_key;
use crate::protocol::websocket::handshake::agreement::Agreement;

/// The result of a successful handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Accepted<'a> {
    /// The subprotocol that the server selected. A client that needs one fails the connection if
    /// there is none.
    pub subprotocol: Option<&'a str>,
    /// The parameters of `permessage-deflate`, if the server accepted it.
    pub deflate: Option<Agreement>,
    headers: Headers<'a>,
}

impl<'a> Accepted<'a> {
    /// All header lines of the response.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }
}

#[derive(Default)]
struct ResponseFields<'a> {
    upgrade: FieldLines<'a>,
    connection: FieldLines<'a>,
    accept: FieldLines<'a>,
    protocol: FieldLines<'a>,
    extensions: FieldLines<'a>,
}

impl<'a> ResponseFields<'a> {
    fn collect(headers: Headers<'a>) -> Self {
        let mut fields = Self::default();
        let mut known = [
            ("upgrade", &mut fields.upgrade),
            ("connection", &mut fields.connection),
            ("sec-websocket-accept", &mut fields.accept),
            ("sec-websocket-protocol", &mut fields.protocol),
            ("sec-websocket-extensions", &mut fields.extensions),
        ];
        for (name, value) in headers {
            let lines = known.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
            if let Some((_, lines)) = lines {
                lines.add(value);
            }
        }
        fields
    }
}

impl ClientRequest<'_> {
    /// Checks a server's response to this request (RFC 6455 section 4.1, RFC 7692 section 7.1).
    ///
    /// `head` must be exactly the bytes that a [`HeadScanner`](crate::protocol::http::HeadScanner)
    /// delimited. Bytes received after it are the server's first frames. Nothing is allocated.
    ///
    /// # Errors
    /// The first rule that the response breaks; the client must then close the connection.
    pub fn check_response<'r>(
        &self,
        head: &'r [u8],
        limits: &HeadLimits,
    ) -> Result<Accepted<'r>, ResponseError> {
        let head = ResponseHead::parse(head, limits)?;
        if head.status != 101 {
            return Err(ResponseError::Status(head.status));
        }
        if head.version != Version::Http11 {
            return Err(HeadError::Version.into());
        }
        let headers = head.headers();
        let fields = ResponseFields::collect(headers.clone());
        let upgrade = fields.upgrade.only(ResponseError::Upgrade, ResponseError::Upgrade)?;
        if !upgrade.eq_ignore_ascii_case(b"websocket") {
            return Err(ResponseError::Upgrade);
        }
        if !names_upgrade(fields.connection.elements("connection", &headers)) {
            return Err(ResponseError::Connection);
        }
        let accept = fields.accept.only(ResponseError::Accept, ResponseError::Accept)?;
        if accept != accept_key(self.key.as_str()) {
            return Err(ResponseError::Accept);
        }
        let subprotocol = self.subprotocol(&fields)?;
        let deflate = self.agreement(&fields)?;
        Ok(Accepted { subprotocol, deflate, headers })
    }

    fn subprotocol<'r>(
        &self,
        fields: &ResponseFields<'r>,
    ) -> Result<Option<&'r str>, ResponseError> {
        if fields.protocol.count == 0 {
            return Ok(None);
        }
        let name = fields.protocol.only(ResponseError::Subprotocol, ResponseError::Subprotocol)?;
        let name = std::str::from_utf8(name).map_err(|_| ResponseError::Subprotocol)?;
        let offered = self.subprotocols.contains(&name);
        if offered { Ok(Some(name)) } else { Err(ResponseError::Subprotocol) }
    }

    fn agreement(&self, fields: &ResponseFields<'_>) -> Result<Option<Agreement>, ResponseError> {
        if fields.extensions.count == 0 {
            return Ok(None);
        }
        let value = fields.extensions.only(ResponseError::Extensions, ResponseError::Extensions)?;
        let value = std::str::from_utf8(value).map_err(|_| ResponseError::Extensions)?;
        let agreement = self.deflate.as_ref().and_then(|offer| offer.agreed(value));
        agreement.map(Some).ok_or(ResponseError::Extensions)
    }
}

fn names_upgrade(mut options: Elements<'_>) -> bool {
    options.any(|option| option.eq_ignore_ascii_case("upgrade"))
}
