//! The HTTP request that every connection begins with.

pub(super) mod request;
