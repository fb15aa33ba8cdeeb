//! Calls of the service, which block, from handlers, which must not.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use retort_service::Stop;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::bounds::{CALLS, SHARES_KEPT, TURN};
use crate::problem::Problem;

tokio::task_local! {
    /// Whose share of the turns a request takes from: the person's, or the address's until it is known who asks.
    static SHARE: RefCell<String>;
}

/// Has what `future` calls take from a share.
pub(crate) async fn sharing<F: Future>(share: String, future: F) -> F::Output {
    SHARE.scope(RefCell::new(share), future).await
}

/// Has what this request calls from now on take from another share.
pub(crate) fn share_as(share: String) {
    let _ = SHARE.try_with(|now| now.replace(share));
}

/// Lets so many through at once, and of each person or address fewer, so that nobody takes the turns of all.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    shares: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, which lasts as long as this.
#[derive(Debug)]
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_share: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate for `at_once` calls, a quarter of them for one person or address.
    pub fn new(at_once: usize) -> Self {
        let all = Arc::new(Semaphore::new(at_once));
        Self(Arc::new(Turns { all, each: at_once.div_ceil(4), shares: Mutex::default() }))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// It took too long.
    pub(crate) async fn enter(&self) -> Result<Turn, Problem> {
        let share = SHARE.try_with(|share| self.share(&share.borrow())).ok();
        let turn = async {
            let of_share = match share {
                Some(share) => Some(share.acquire_owned().await.ok()?),
                None => None,
            };
            let of_all = Arc::clone(&self.0.all).acquire_owned().await.ok()?;
            Some(Turn { _of_all: of_all, _of_share: of_share })
        };
        match timeout(TURN, turn).await {
            Ok(Some(turn)) => Ok(turn),
            _ => Err(Problem::unavailable("too much is going on at once", TURN)),
        }
    }

    fn share(&self, key: &str) -> Arc<Semaphore> {
        let mut shares = self.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(key) {
            return Arc::clone(share);
        }
        if shares.len() >= SHARES_KEPT {
            // Of those, nobody has a turn or waits for one.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Arc::new(Semaphore::new(self.0.each));
        shares.insert(key.to_owned(), Arc::clone(&share));
        share
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(CALLS)
    }
}

/// Asks work to end when nobody waits for it any more.
struct Waiting(Option<Stop>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.ask();
        }
    }
}

/// Calls `f` on a thread that may block. When the deadline has passed or nobody waits for it any more, it is asked to end;
/// it has its turn until it does.
///
/// # Errors
/// There was no turn in time, `f` took too long, or it panicked.
pub async fn blocking<T: Send + 'static>(
    gate: &Gate,
    deadline: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let turn = gate.enter().await?;
    let stop = Stop::default();
    let mut waiting = Waiting(Some(stop.clone()));
    let call = move || {
        let _turn = turn;
        stop.under(f)
    };
    let Ok(done) = timeout(deadline, spawn_blocking(call)).await else {
        let seconds = deadline.as_secs();
        let why = format!("it took longer than {seconds} seconds and was stopped");
        return Err(Problem::unavailable(why, TURN));
    };
    waiting.0 = None;
    // The error's text would hold the panic's.
    done.map_err(|_| Problem::internal("a call of the service panicked"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn nobody_takes_the_turns_of_all() {
        let gate = Gate::new(8);
        let mut held = Vec::new();
        for key in ["ann", "ann", "ben"] {
            held.push(sharing(key.into(), gate.enter()).await.unwrap());
        }
        let mut more = Box::pin(sharing("ann".into(), gate.enter()));
        assert!(more.as_mut().now_or_never().is_none(), "ann has two of eight");
        let cat = sharing("cat".into(), gate.enter()).await.unwrap();
        // Who signs in takes from their own.
        sharing("an address".into(), async {
            share_as("ben".into());
            held.push(gate.enter().await.unwrap());
            assert!(gate.enter().now_or_never().is_none());
        })
        .await;
        drop(held.remove(0));
        drop((more.await.unwrap(), cat));
        for number in 0..3 * SHARES_KEPT {
            drop(sharing(number.to_string(), gate.enter()).await.unwrap());
        }
        assert!(gate.0.shares.lock().unwrap().len() <= SHARES_KEPT + 1);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_or_takes_too_long_is_asked_to_end() {
        let work = || {
            let stop = Stop::current();
            while !stop.is_asked() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let gate = Gate::new(1);
        let problem = blocking(&gate, Duration::from_millis(20), work).await.unwrap_err();
        assert_eq!(problem.kind().status, 503);
        let call = tokio::spawn({
            let gate = gate.clone();
            async move { blocking(&gate, LONG, work).await }
        });
        while gate.0.all.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        // Its turn is given back.
        blocking(&gate, LONG, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_call_gives_what_it_returns() {
        assert_eq!(blocking(&Gate::default(), LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_call_that_panics_is_a_problem_and_gives_its_turn_back() {
        let gate = Gate::new(1);
        let problem =
            blocking(&gate, LONG, || panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(problem.kind().status, 500);
        assert_eq!(blocking(&gate, LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_and_gives_up_after_a_while() {
        let gate = Gate::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let permit = gate.enter().await.unwrap();
        let start = tokio::time::Instant::now();
        let problem = blocking(&gate, LONG, || ()).await.unwrap_err();
        assert_eq!((problem.kind().status, start.elapsed()), (503, TURN));
        drop(permit);
        let first = blocking(&gate, LONG, move || wait.recv().is_ok());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_keeps_its_turn_until_it_ends() {
        let gate = Gate::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let call = tokio::spawn({
            let gate = gate.clone();
            async move { blocking(&gate, LONG, move || wait.recv()).await }
        });
        while gate.0.all.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(gate.0.all.available_permits(), 0);
        go.send(()).unwrap();
        drop(gate.enter().await.unwrap());
    }
}
