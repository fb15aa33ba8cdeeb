//! Calls of the service, which block, from handlers, which must not.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::bounds::{CALLS, TURN};
use crate::problem::Problem;

/// Lets so many through at once.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate for `at_once` calls.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Waits for a turn, which lasts as long as the permit.
    ///
    /// # Errors
    /// It took too long.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match timeout(TURN, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::unavailable("too much is going on at once", TURN)),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(CALLS)
    }
}

/// Calls `f` on a thread that may block. It runs to its end even if nobody waits for it any more.
///
/// # Errors
/// There was no turn in time, or `f` panicked.
pub async fn blocking<T: Send + 'static>(
    gate: &Gate,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let permit = gate.enter().await?;
    let call = move || {
        let _permit = permit;
        f()
    };
    // The error's text would hold the panic's.
    spawn_blocking(call).await.map_err(|_| Problem::internal("a call of the service panicked"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_call_gives_what_it_returns() {
        assert_eq!(blocking(&Gate::default(), || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_call_that_panics_is_a_problem_and_gives_its_turn_back() {
        let gate = Gate::new(1);
        let problem = blocking(&gate, || panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(problem.kind().status, 500);
        assert_eq!(blocking(&gate, || 7).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_and_gives_up_after_a_while() {
        let gate = Gate::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let permit = gate.enter().await.unwrap();
        let start = tokio::time::Instant::now();
        let problem = blocking(&gate, || ()).await.unwrap_err();
        assert_eq!((problem.kind().status, start.elapsed()), (503, TURN));
        drop(permit);
        let first = blocking(&gate, move || wait.recv().is_ok());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_keeps_its_turn_until_it_ends() {
        let gate = Gate::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let call = tokio::spawn({
            let gate = gate.clone();
            async move { blocking(&gate, move || wait.recv()).await }
        });
        while gate.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(gate.0.available_permits(), 0);
        go.send(()).unwrap();
        drop(gate.enter().await.unwrap());
    }
}
