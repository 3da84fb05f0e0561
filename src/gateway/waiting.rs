//! A plain request that the application answers later.

use super::cors::Permission;
use crate::app::Unanswered;
use crate::protocol::http::Response;

/// What is kept of such a request.
#[derive(Debug)]
pub(super) struct Waiting {
    request: Unanswered,
    permission: Permission,
}

impl Waiting {
    pub(super) const fn new(request: Unanswered, permission: Permission) -> Self {
        Self { request, permission }
    }

    /// A request that no page of another origin may read the answer to.
    pub(super) const fn for_nobody_else(request: Unanswered) -> Self {
        Self::new(request, Permission::NONE)
    }

    /// The response with its CORS headers, once it is there.
    pub(super) fn take(&self) -> Option<Response> {
        Some(self.permission.add_to(self.request.take()?))
    }

    /// No answer is waited for any more.
    pub(super) fn withdraw(&self) {
        self.request.withdraw();
    }
}
