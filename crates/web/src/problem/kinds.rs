//! The kinds of problems: what each means and what to do. The docs and the API description come from this list.

/// A kind of problem. Its type is `/problems/<slug>`.
#[derive(Debug)]
pub struct Kind {
    /// Stays from release to release: programs may depend on it.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it means, the same each time.
    pub title: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal: $title:literal, $remedy:literal;)*) => {
        $(#[doc = concat!($status, ": ", $title, ".")]
        pub static $name: Kind =
            Kind { slug: $slug, status: $status, title: $title, remedy: $remedy };)*

        /// Every kind there is, by status.
        pub static PROBLEMS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    BAD_REQUEST = 400 "bad-request": "Something is wrong with this request",
        "Correct what `detail` names.";
    UNAUTHENTICATED = 401 "unauthenticated": "You are not signed in",
        "Sign in, or send a token as `Authorization: Bearer …`. A token may have expired or been revoked.";
    INSUFFICIENT_SCOPE = 403 "insufficient-scope": "The token lacks a scope",
        "Create a token with the scope that `scope` names.";
    FORBIDDEN = 403 "forbidden": "You don't have access",
        "Ask an owner or admin of the project.";
    NOT_FOUND = 404 "not-found": "Not found",
        "Check the id or name, and the project. Resources you may not access are not found either.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed": "This address does not support the method",
        "Use one of the methods in the header `Allow`.";
    TIMEOUT = 408 "timeout": "The request body arrived too slowly",
        "Send it again over a better connection; a large import can be split into several.";
    CONFLICT = 409 "conflict": "This can't be done right now",
        "Read the current state, then decide.";
    NAME_TAKEN = 409 "name-taken": "The name is in use",
        "Choose another name; `free` suggests one, if present.";
    IDEMPOTENCY_UNDER_WAY = 409 "idempotency-under-way": "The first request with this idempotency key is still running",
        "Send it again after the seconds in `Retry-After`: you will get the response to the first request.";
    PRECONDITION_FAILED = 412 "precondition-failed": "It has changed since it was read",
        "Read it again, and send its new `ETag` in `If-Match`.";
    TOO_LARGE = 413 "too-large": "The request body is too large",
        "Send at most as many bytes as `most_bytes` says.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type": "This content type is not supported here",
        "Send the type that `detail` names, in `Content-Type`.";
    RANGE_NOT_SATISFIABLE = 416 "range-not-satisfiable": "The range is beyond the end",
        "Request bytes within the length that `Content-Range` gives.";
    CHOICE = 422 "choice": "These options don't work together",
        "Change what `detail` names.";
    NOTHING = 422 "nothing-to-write": "Nothing to export",
        "Widen the selection.";
    UNREADABLE = 422 "unreadable": "An input is damaged, or unpacks beyond the limit",
        "Check the file that `detail` names, and send it again.";
    IDEMPOTENCY_MISMATCH = 422 "idempotency-mismatch": "The idempotency key was used for another request",
        "Use a new key for each new request.";
    RATE_LIMITED = 429 "rate-limited": "Too many requests",
        "Wait for the seconds in `Retry-After`.";
    INTERNAL = 500 "internal": "Something went wrong on the server",
        "Try again. If it persists, send the request id to your administrator: the log has the cause.";
    DAMAGED = 500 "damaged": "Stored data is damaged",
        "Send the request id to your administrator: `retort doctor` shows the extent.";
    UNAVAILABLE = 503 "unavailable": "The server is busy",
        "Try again after the seconds in `Retry-After`.";
    FULL = 507 "storage-full": "The server's disk is full",
        "Delete what is not needed, or ask your administrator to make room.";
}
