//! The endpoints that connections talk to.

/// Names the endpoint that a connection talks to. The numbers above 0 are the service's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndpointId(pub u8);

impl EndpointId {
    /// The endpoint of the application.
    pub const APPLICATION: Self = Self(0);

    /// Whether this is an endpoint of the server itself. Such a connection is not read from while
    /// [`Inbound::has_room`](super::Inbound::has_room) is false.
    #[inline]
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        self.0 != Self::APPLICATION.0
    }
}
