//! The answers of `/pubsub`, appended as the text of one message.

use crate::gateway::endpoint::Renewed;
use crate::pubsub::{Filter, json_string as string};

/// The answer to a request to subscribe.
pub(crate) fn subscribed(out: &mut Vec<u8>, filters: &[impl AsRef<str>], id: Option<&str>) {
    out.extend_from_slice(br#"{"subscribed":"#);
    strings(out, filters);
    end(out, id);
}

/// The answer to a request to unsubscribe.
pub(crate) fn unsubscribed(out: &mut Vec<u8>, filters: &[impl AsRef<str>], id: Option<&str>) {
    out.extend_from_slice(br#"{"unsubscribed":"#);
    strings(out, filters);
    end(out, id);
}

/// The answer to a request to publish.
pub(crate) fn published(out: &mut Vec<u8>, topic: &str, id: Option<&str>) {
    out.extend_from_slice(br#"{"published":"#);
    string(out, topic);
    end(out, id);
}

/// The answer to a new token.
pub(crate) fn authorised(out: &mut Vec<u8>, renewed: &Renewed, id: Option<&str>) {
    out.extend_from_slice(br#"{"authorised":"#);
    string(out, &renewed.user);
    if let Some(seconds) = renewed.expires {
        out.extend_from_slice(format!(r#","expires":{seconds}"#).as_bytes());
    }
    if !renewed.lost.is_empty() {
        out.extend_from_slice(br#","unsubscribed":"#);
        let lost: Vec<&str> = renewed.lost.iter().map(Filter::as_str).collect();
        strings(out, &lost);
    }
    end(out, id);
}

/// Says that the token expires soon.
pub(crate) fn expires(out: &mut Vec<u8>, seconds: u64) {
    out.extend_from_slice(format!(r#"{{"expires":{seconds}}}"#).as_bytes());
}

/// The answer to a request that was not carried out.
pub(crate) fn error(out: &mut Vec<u8>, message: &str, id: Option<&str>) {
    out.extend_from_slice(br#"{"error":"#);
    string(out, message);
    end(out, id);
}

/// The end of an answer, with the `id` of the request as it came.
fn end(out: &mut Vec<u8>, id: Option<&str>) {
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    out.push(b'}');
}

fn strings(out: &mut Vec<u8>, texts: &[impl AsRef<str>]) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, text.as_ref());
    }
    out.push(b']');
}
