//! The path and the query of a request for `/topics/<topic>`.

use crate::config::TOPIC;
use crate::gateway::endpoint::Rules;
use crate::gateway::target::{Foreign, pairs, percent_decode};
use crate::pubsub::Topic;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The rest of the path, decoded.
    pub(super) topic: Topic,
    /// The parameter `role`.
    pub(super) role: Role,
    /// The parameter `echo`: whether the client is sent its own messages.
    pub(super) echo: bool,
}

/// Whether a client of one topic publishes, subscribes, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Publishes and subscribes: the default.
    Both,
    /// Subscribes only.
    Sub,
    /// Publishes only.
    Pub,
}

/// Whether the path belongs to this endpoint, however wrong the rest of it is.
pub(super) fn owns(path: &str) -> bool {
    rest(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is behind the name of the endpoint.
fn rest(path: &str) -> Option<&str> {
    path.strip_prefix("/topics")
}

impl Target {
    /// Parses a path and a query, both as they are in a request target: visible ASCII.
    ///
    /// # Errors
    /// One line for the response with status 400.
    pub(super) fn parse(path: &str, query: Option<&str>, rules: Rules<'_>) -> Result<Self, String> {
        let decoded = match (rules.route, rest(path).and_then(|rest| rest.strip_prefix('/'))) {
            (Some(_), _) => percent_decode(path)?,
            (None, encoded) => percent_decode(encoded.unwrap_or_default())?,
        };
        let topic = match rules.route {
            Some(pattern) => pattern.capture(TOPIC, &decoded).unwrap_or_default(),
            None => &*decoded,
        };
        if topic.is_empty() {
            return Err(match rules.route {
                Some(pattern) => format!("The path names no topic; connect to {pattern}."),
                None => "The path names no topic; connect to /topics/<topic>.".into(),
            });
        }
        let topic = Topic::new(topic, rules.max_topic)
            .map_err(|error| format!("The topic in the path is not valid: {error}."))?;
        let (role, echo) = parameters(query.unwrap_or_default(), rules.foreign)?;
        Ok(Self { topic, role, echo })
    }
}

fn parameters(query: &str, foreign: Foreign) -> Result<(Role, bool), String> {
    let (mut role, mut echo) = (None, None);
    for (name, value) in pairs(query, &["role", "echo"], foreign) {
        let repeated = match name {
            "role" => role
                .replace(match value {
                    "both" => Role::Both,
                    "sub" => Role::Sub,
                    "pub" => Role::Pub,
                    _ => return Err("The parameter role is not both, sub or pub.".into()),
                })
                .is_some(),
            "echo" => echo
                .replace(match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err("The parameter echo is not 0 or 1.".into()),
                })
                .is_some(),
            _ => {
                return Err(format!(
                    "The parameter \"{name:.40}\" is not known; known are role and echo."
                ));
            }
        };
        if repeated {
            return Err(format!("The parameter {name} is there twice; give it once."));
        }
    }
    Ok((role.unwrap_or(Role::Both), echo.unwrap_or(true)))
}

#[cfg(test)]
mod tests;
