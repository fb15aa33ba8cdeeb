//! What time it is, passed in.

use std::time::Duration;

use retort_model::Time;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What time it is.
pub trait Clock: Send + Sync {
    /// The moment.
    fn now(&self) -> Time;
}

/// A moment a while after another.
pub(crate) fn later(time: Time, by: Duration) -> Time {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Time::from_unix_micros(time.unix_micros().saturating_add(by)).unwrap_or(time)
}

/// A moment a while before another.
pub(crate) fn earlier(time: Time, by: Duration) -> Time {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Time::from_unix_micros(time.unix_micros().saturating_sub(by)).unwrap_or(time)
}
