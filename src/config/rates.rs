//! How fast a client may send.

/// How fast one client may send, counted for each connection by a token bucket: after some time
/// without input, `burst` may come at once, then no more than the rate. By default nothing is
/// limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Messages in a second.
    pub messages: Option<u32>,
    /// Messages that may come at once. Default: those of a second.
    pub message_burst: Option<u32>,
    /// Bytes in a second, as they are received: with the headers of frames, and compressed.
    pub bytes: Option<u32>,
    /// Bytes that may come at once. Default: those of a second. For a connection that is made to
    /// wait, this should not be less than [`Buffers::size`](super::Buffers::size), which is what
    /// one receive may bring: then more than this comes at once, and less after it.
    pub byte_burst: Option<u32>,
    /// What becomes of a client that sends faster.
    pub policy: RatePolicy,
    /// Pings and pongs in a second, and at once; a further one closes the connection with 1008.
    pub control_frames: Option<u32>,
}

/// What becomes of a client that sends messages or bytes faster than [`Rates`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RatePolicy {
    /// It is not read from until it may go on, so that its messages wait in its own system.
    #[default]
    Delay,
    /// The connection is closed with 1008.
    Close,
}

/// What a route says of [`Rates`]. What it does not say is as for the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteRates {
    /// In place of [`Rates::messages`]; its burst, if not given, is that of a second.
    pub messages: Option<u32>,
    /// In place of [`Rates::message_burst`].
    pub message_burst: Option<u32>,
    /// In place of [`Rates::bytes`]; its burst, if not given, is that of a second.
    pub bytes: Option<u32>,
    /// In place of [`Rates::byte_burst`].
    pub byte_burst: Option<u32>,
    /// In place of [`Rates::policy`].
    pub policy: Option<RatePolicy>,
    /// In place of [`Rates::control_frames`].
    pub control_frames: Option<u32>,
}

impl RouteRates {
    /// What holds on a route of a server with these rates.
    pub(crate) fn over(&self, server: Rates) -> Rates {
        let pair =
            |rate: Option<u32>, burst: Option<u32>, of: (Option<u32>, Option<u32>)| match rate {
                Some(_) => (rate, burst),
                None => (of.0, burst.or(of.1)),
            };
        let of = (server.messages, server.message_burst);
        let (messages, message_burst) = pair(self.messages, self.message_burst, of);
        let of = (server.bytes, server.byte_burst);
        let (bytes, byte_burst) = pair(self.bytes, self.byte_burst, of);
        Rates {
            messages,
            message_burst,
            bytes,
            byte_burst,
            policy: self.policy.unwrap_or(server.policy),
            control_frames: self.control_frames.or(server.control_frames),
        }
    }

    /// The keys, as in a configuration file, that are given.
    pub(crate) fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("message-rate", self.messages.is_some()),
            ("message-burst", self.message_burst.is_some()),
            ("byte-rate", self.bytes.is_some()),
            ("byte-burst", self.byte_burst.is_some()),
            ("rate-policy", self.policy.is_some()),
            ("control-rate", self.control_frames.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_a_route_has_a_burst_of_its_own() {
        let server = Rates {
            messages: Some(10),
            message_burst: Some(50),
            control_frames: Some(5),
            ..Rates::default()
        };
        let own = RouteRates { messages: Some(3), ..RouteRates::default() };
        let held = own.over(server);
        assert_eq!((held.messages, held.message_burst), (Some(3), None));
        assert_eq!(held.control_frames, Some(5));
        let burst = RouteRates { message_burst: Some(9), ..RouteRates::default() };
        assert_eq!(burst.over(server).message_burst, Some(9));
        assert_eq!(burst.over(server).messages, Some(10));
        assert_eq!(RouteRates::default().over(server), server);
        let close = RouteRates { policy: Some(RatePolicy::Close), ..RouteRates::default() };
        assert_eq!(close.over(server).policy, RatePolicy::Close);
        assert_eq!(close.given().collect::<Vec<_>>(), ["rate-policy"]);
    }
}
