//! Measures how long the other side lets us wait, and ends what comes too slowly.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::bounds::Pace;

/// What a peer owes: it grows while it is waited for, and shrinks by what its bytes may take.
pub(crate) struct Meter {
    pace: Pace,
    lag: Duration,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Meter {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, lag: Duration::ZERO, waiting_since: None, alarm: None }
    }

    /// Nothing came or went. Ready once the peer has been too slow; wakes the task then.
    pub(crate) fn waits(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let deadline = now + self.pace.silence.min(self.pace.lag.saturating_sub(self.lag));
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(deadline),
                None => self.alarm = Some(Box::pin(sleep_until(deadline))),
            }
        }
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// So many bytes came or went.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            // More, and it was this side that did not look.
            self.lag += since.elapsed().min(self.pace.silence);
        }
        let seconds = bytes as f64 / f64::from(self.pace.bytes_per_second.max(1));
        let paid = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.lag = self.lag.saturating_sub(paid);
    }
}

/// A body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub(crate) struct TooSlow;

/// A request's body that ends with [`TooSlow`] when its sender is.
pub(crate) struct PacedBody {
    body: Body,
    meter: Meter,
    too_slow: Arc<AtomicBool>,
}

impl PacedBody {
    /// `too_slow` tells whether it ended so, whatever the handler makes of the error.
    pub(crate) fn new(body: Body, pace: Pace, too_slow: Arc<AtomicBool>) -> Self {
        Self { body, meter: Meter::new(pace), too_slow }
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.meter.moved(frame.data_ref().map_or(0, Bytes::len));
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                if self.meter.waits(cx).is_ready() {
                    self.too_slow.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PACE: Pace = Pace {
        silence: Duration::from_secs(20),
        lag: Duration::from_secs(30),
        bytes_per_second: 1000,
    };

    /// Seconds until a peer is cut off that sends so many bytes every so many seconds.
    async fn cut_off_after(bytes: usize, every: u64) -> Option<u64> {
        let start = Instant::now();
        let mut meter = Meter::new(PACE);
        for _ in 0..1000 {
            let next = sleep_until(Instant::now() + Duration::from_secs(every));
            tokio::select! {
                biased;
                () = poll_fn(|cx| meter.waits(cx)) => return Some(start.elapsed().as_secs()),
                () = next => meter.moved(bytes),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_or_lags_is_cut_off_and_who_keeps_up_is_not() {
        for (bytes, every, cut) in [
            (1, 60, Some(20)),
            (1, 1, Some(30)),
            (500, 1, Some(59)),
            (1000, 1, None),
            (19_000, 19, None),
            (1_000_000, 21, Some(20)),
        ] {
            let got = cut_off_after(bytes, every).await;
            assert_eq!(got, cut, "{bytes} bytes every {every} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_start_buys_no_slowness_later() {
        let mut meter = Meter::new(PACE);
        meter.moved(1 << 30);
        let start = Instant::now();
        poll_fn(|cx| meter.waits(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 20);
    }
}
