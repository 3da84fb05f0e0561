//! The list of the endpoints of the server. A further one is a file beside this one, which
//! implements [`Endpoint`], and a line in the list at the end of this file.

use super::endpoint::{Endpoint, Guard, Incoming, Opening, Reserved, Rules};
use super::{json, raw};
use crate::base::ConnectionId;
use crate::config::RouteTo;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::{Refusal, Request};
use crate::pubsub::{Broker, Filter, RetainLimit, Topic};
use crate::session::{Outbound, Replies};

/// Declares the enums of endpoints. Each line is a name and the type that implements [`Endpoint`].
macro_rules! endpoints {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $name:ident($client:ty),)+) => {
        /// An endpoint.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name,)+
        }

        impl Kind {
            /// All endpoints.
            const ALL: &[Self] = &[$($(#[cfg($cfg)])? Self::$name,)+];

            fn owns(self, path: &str) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => <$client>::owns(path),)+
                }
            }

            /// The client of a request for this endpoint.
            ///
            /// # Errors
            /// If the path, the query or the offered subprotocols are wrong.
            pub(super) fn open(
                self,
                request: &Request<'_>,
                rules: Rules<'_>,
            ) -> Result<Opening<Client>, Refusal> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => {
                        let Opening { client, protocol } = <$client>::open(request, rules)?;
                        Ok(Opening { client: Client::$name(client), protocol })
                    })+
                }
            }
        }

        /// One connection, by its endpoint. The functions are those of [`Endpoint`].
        #[derive(Debug)]
        pub(super) enum Client {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name($client),)+
        }

        impl Client {
            pub(super) fn may_publish(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.may_publish(),)+
                }
            }

            pub(super) fn subscribes_to(&self) -> Option<Filter> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.subscribes_to(),)+
                }
            }

            pub(super) fn publishes_to(&self) -> Option<&Topic> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.publishes_to(),)+
                }
            }

            pub(super) fn attach(
                &self,
                id: ConnectionId,
                window_bits: Option<u8>,
                broker: &mut Broker,
            ) -> Result<bool, Refusal> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => {
                        client.attach(id, window_bits, broker)
                    })+
                }
            }

            pub(super) fn message<G: Guard>(
                &mut self,
                id: ConnectionId,
                message: Incoming<'_>,
                max_topic: usize,
                broker: &mut Broker,
                replies: &mut Replies<'_>,
                guard: G,
            ) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => {
                        client.message(id, message, max_topic, broker, replies, guard);
                    })+
                }
            }

            pub(super) fn assembling(
                &mut self,
                opcode: Opcode,
                so_far: &[u8],
                broker: &mut Broker,
            ) -> usize {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => {
                        client.assembling(opcode, so_far, broker)
                    })+
                }
            }

            pub(super) fn confirm<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.confirm(id, out),)+
                }
            }

            pub(super) fn accepted<O: Outbound>(
                &mut self,
                id: ConnectionId,
                result: Result<(), RetainLimit>,
                out: &mut O,
            ) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.accepted(id, result, out),)+
                }
            }

            pub(super) fn expiring<O: Outbound>(
                &self,
                id: ConnectionId,
                seconds: u64,
                out: &mut O,
            ) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.expiring(id, seconds, out),)+
                }
            }

            pub(super) fn give_up<O: Outbound>(
                &self,
                id: ConnectionId,
                why: &'static str,
                out: &mut O,
            ) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(client) => client.give_up(id, why, out),)+
                }
            }
        }

        /// The subprotocols of all endpoints.
        pub(super) const RESERVED: Reserved =
            Reserved(&[$($(#[cfg($cfg)])? <$client>::PROTOCOL,)+]);
    };
}

impl Kind {
    /// The endpoint that a path belongs to, however wrong the rest of it is. `None` if it is the
    /// application's.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.owns(path))
    }

    /// The endpoint that a route leads to.
    pub(super) const fn of_route(to: RouteTo) -> Option<Self> {
        match to {
            RouteTo::Topics => Some(Self::Raw),
            RouteTo::PubSub => Some(Self::Json),
            _ => None,
        }
    }
}

endpoints! {
    /// `/topics/<topic>`: messages are payloads of one topic, as they are.
    Raw(raw::Client),
    /// `/pubsub`: messages are requests and answers in JSON.
    Json(json::Client),
    /// `/count`: shows that an endpoint is one file and a line of this list.
    #[cfg(test)]
    Count(super::tests::count::Client),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_belongs_to_one_endpoint_or_the_application() {
        let [raw, json] = [Some(Kind::Raw), Some(Kind::Json)];
        let cases = [
            ("/topics", raw),
            ("/topics/", raw),
            ("/topics/a", raw),
            ("/topics/a/b", raw),
            ("/topics//a/", raw),
            ("/topics/%", raw),
            ("/topics/topics/", raw),
            ("/pubsub", json),
            ("/pubsub/", json),
            ("/count", Some(Kind::Count)),
            ("/", None),
            ("", None),
            ("/topicsx", None),
            ("/topics%2Fa", None),
            ("/Topics/a", None),
            ("/topic", None),
            ("//topics/a", None),
            ("topics/a", None),
            ("/pubsub/x", None),
            ("/pubsubx", None),
            ("/pub%73ub", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Kind::of_path(path), expected, "{path}");
            let owners = Kind::ALL.iter().filter(|kind| kind.owns(path)).count();
            assert_eq!(owners, usize::from(expected.is_some()), "{path}");
        }
    }

    #[test]
    fn each_subprotocol_belongs_to_one_endpoint() {
        let named = RESERVED.0.iter().flatten();
        for name in named.clone() {
            assert_eq!(named.clone().filter(|other| *other == name).count(), 1, "{name}");
        }
        assert!(RESERVED.contains(json::PROTOCOL) && !RESERVED.contains("mqtt"));
    }
}
