//! The forms of answers.

use std::borrow::Borrow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::protocol::http::{Response, Status};
use crate::server::control::CoreControl;

const JSON: &str = "application/json";

/// A page of a list.
pub(super) fn json(value: &Value) -> Response {
    Response::text(Status::OK, format!("{value}\n")).with_type(JSON)
}

/// An error, with a line for a person.
pub(super) fn error(status: Status, reason: &str) -> Response {
    let body = format!("{}\n", json!({ "error": reason }));
    Response::text(status, body).with_type(JSON)
}

/// Loops have not answered in time.
pub(super) fn no_answer(
    loops: &[Arc<CoreControl>],
    numbers: impl IntoIterator<Item = impl Borrow<usize>>,
) -> Response {
    let core = |number: &usize| loops.get(*number).map_or(*number, |control| control.core);
    let cores: Vec<usize> = numbers.into_iter().map(|number| core(number.borrow())).collect();
    let body = json!({ "error": "some cores do not answer", "cores": cores });
    Response::text(Status::SERVICE_UNAVAILABLE, format!("{body}\n")).with_type(JSON)
}

/// A list waited for others all the time. Those name the loop that keeps them waiting.
pub(super) fn not_begun() -> Response {
    error(Status::SERVICE_UNAVAILABLE, "the lists that were asked for before are not made yet")
}

pub(super) fn no_connection() -> Response {
    error(Status::NOT_FOUND, "there is no such connection")
}
