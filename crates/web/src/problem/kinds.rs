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
    BAD_REQUEST = 400 "bad-request": "The request cannot be read",
        "Correct what `detail` names.";
    UNAUTHENTICATED = 401 "unauthenticated": "It is not known who asks",
        "Sign in, or send a token as `Authorization: Bearer …`. A token may have expired or been revoked.";
    INSUFFICIENT_SCOPE = 403 "insufficient-scope": "The token's scopes do not reach that far",
        "Make a token with the scope that `scope` names.";
    FORBIDDEN = 403 "forbidden": "This is not allowed to whoever asks",
        "Ask an owner or admin of the project.";
    NOT_FOUND = 404 "not-found": "It is not there, or not for whoever asks to see",
        "Check the id or name, and the project.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed": "This address does not take that method",
        "Use one of the methods in the header `Allow`.";
    TIMEOUT = 408 "timeout": "The request's body came too slowly",
        "Send it again over a better connection; a large import can be cut into several.";
    CONFLICT = 409 "conflict": "It is not in a state that allows this",
        "Read it again, then decide.";
    NAME_TAKEN = 409 "name-taken": "The name is in use",
        "Choose another; `free` is one, where it is given.";
    IDEMPOTENCY_UNDER_WAY = 409 "idempotency-under-way": "The first request with this idempotency key is still running",
        "Send it again after the seconds in `Retry-After`: the answer will be the first one's.";
    PRECONDITION_FAILED = 412 "precondition-failed": "It has changed since it was read",
        "Read it again, and send its new `ETag` in `If-Match`.";
    TOO_LARGE = 413 "too-large": "The request's body is too large",
        "Stay below the bytes that `most_bytes` gives.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type": "The body is of a type that is not taken here",
        "Send it as the type that `detail` names, in `Content-Type`.";
    RANGE_NOT_SATISFIABLE = 416 "range-not-satisfiable": "The range lies beyond the end",
        "Ask for bytes within the length that `Content-Range` gives.";
    CHOICE = 422 "choice": "The choices do not go together",
        "Change what `detail` names.";
    NOTHING = 422 "nothing-to-write": "There is nothing to make a dataset of",
        "Widen the selection.";
    UNREADABLE = 422 "unreadable": "An input is damaged, or unpacks beyond what is allowed",
        "Check the file that `detail` names, and send it again.";
    IDEMPOTENCY_MISMATCH = 422 "idempotency-mismatch": "The idempotency key was used for another request",
        "Use a new key for each new request.";
    RATE_LIMITED = 429 "rate-limited": "Too many requests",
        "Wait for the seconds in `Retry-After`.";
    INTERNAL = 500 "internal": "Something went wrong in the server",
        "Try again; if it stays so, give `request_id` to who runs the server: the log has the cause.";
    DAMAGED = 500 "damaged": "What is kept is not what was written",
        "Give `request_id` to who runs the server: `retort doctor` tells how far it goes.";
    UNAVAILABLE = 503 "unavailable": "The server cannot do this just now",
        "Try again after the seconds in `Retry-After`.";
    FULL = 507 "storage-full": "The server's disk is full",
        "Delete what is not needed, or ask who runs the server to make room.";
}
