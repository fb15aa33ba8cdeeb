//! Calls of the service, which block, from handlers, which must not: whose turn it is, and where they run.
//!
//! Short work goes first. A call begins at the usual priority, and loses it when it takes longer than [`LONG_CALL`]. A
//! person or address whose calls used more of the processors lately than [`CPU_CREDIT`] waits in a second line: there
//! few run at once, on threads of low priority, and people take turns. So do requests that are known to be large. In
//! neither line, nor of the memory that requests hold, can anyone have more than a quarter.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use retort_service::Stop;
use retort_service::memory::lent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::bounds::{
    CALLS, CPU_CREDIT, CPU_DEBT, DEADLINE, LARGE_BYTES, LONG_CALL, MEMORY_BYTES, MEMORY_LOOK,
    MEMORY_UNIT_BYTES, SHARES_KEPT, SHARES_PER_CORE, SLOW_NICENESS, TURN,
};
use crate::problem::Problem;
use crate::threads::{Threads, worked};

tokio::task_local! {
    static ASKER: Arc<Asker>;
}

/// Whose share a request's turns are taken from, and the memory that it holds until its answer is sent.
struct Asker {
    /// The person's, or the address's until it is known who asks.
    share: Mutex<String>,
    calls: Calls,
    held: Mutex<Option<Turn>>,
}

/// Has what `future` calls take from a share of `calls`. Memory that it takes is given back when the answer was sent.
pub(crate) async fn sharing(
    share: String,
    calls: &Calls,
    future: impl Future<Output = Response>,
) -> Response {
    let asker = Asker { share: Mutex::new(share), calls: calls.clone(), held: Mutex::default() };
    let asker = Arc::new(asker);
    let response = ASKER.scope(Arc::clone(&asker), future).await;
    let held = lock(&asker.held).take();
    match held {
        Some(held) => holding(held, response),
        None => response,
    }
}

/// Has what this request calls from now on take from another share.
pub(crate) fn share_as(share: String) {
    let _ = ASKER.try_with(|asker| *lock(&asker.share) = share);
}

/// Whose share this request's calls take from, if it has one.
fn share() -> Option<String> {
    ASKER.try_with(|asker| lock(&asker.share).clone()).ok()
}

/// Has `future`, which is to run as a task of its own, go on with the share and the memory of this request.
pub(crate) fn continuing<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let asker = ASKER.try_with(Arc::clone).ok();
    async {
        match asker {
            Some(asker) => ASKER.scope(asker, future).await,
            None => future.await,
        }
    }
}

/// Does what takes a while, but asks nothing of the service, as a call of this request.
///
/// # Errors
/// Those of [`Line::run`].
pub(crate) async fn off_thread<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    match ASKER.try_with(|asker| asker.calls.clone()) {
        Ok(calls) => calls.run(DEADLINE, false, f).await,
        Err(_) => Ok(f()),
    }
}

/// Waits for memory to keep a body of so many bytes, and what is made of it.
///
/// # Errors
/// There was none in time.
pub(crate) async fn take_memory(bytes: u64) -> Result<(), Problem> {
    match ASKER.try_with(Arc::clone) {
        Ok(asker) => asker.take_memory(bytes).await,
        Err(_) => Ok(()),
    }
}

impl Asker {
    /// Waits for memory, unless there is some already: who held one part while waiting for another could wait for
    /// someone who does the same.
    async fn take_memory(&self, bytes: u64) -> Result<(), Problem> {
        if self.has_memory_for(bytes) {
            return Ok(());
        }
        let share = lock(&self.share).clone();
        let turn = self.calls.memory.enter_as(Some(&share), units(bytes)).await?;
        *lock(&self.held) = Some(turn);
        Ok(())
    }

    /// As [`Asker::take_memory`], on a thread that may block: also while the runtime ends, when nothing that waits for a
    /// time may be polled. Whether there was any before `stop` was asked.
    fn wait_for_memory(&self, bytes: u64, stop: &Stop) -> bool {
        if self.has_memory_for(bytes) {
            return true;
        }
        let share = lock(&self.share).clone();
        let mut turn = pin!(self.calls.memory.turn(Some(&share), units(bytes)));
        let mut waited = Duration::ZERO;
        loop {
            if let Some(turn) = turn.as_mut().now_or_never() {
                let is_taken = turn.is_some();
                *lock(&self.held) = turn;
                return is_taken;
            }
            if stop.is_asked() || waited >= TURN {
                return false;
            }
            std::thread::sleep(MEMORY_LOOK);
            waited += MEMORY_LOOK;
        }
    }

    fn has_memory_for(&self, bytes: u64) -> bool {
        bytes < LARGE_BYTES || lock(&self.held).is_some()
    }
}

/// An answer that keeps memory until it was sent: as much as the answer itself takes.
fn holding(mut held: Turn, response: Response) -> Response {
    let bytes = response.body().size_hint().exact();
    held.shrink(bytes.map_or(u32::MAX, units));
    response.map(|body| {
        // Moved into the body, and so gone with it.
        let body = body.map_frame(move |frame: hyper::body::Frame<Bytes>| {
            let _held = &held;
            frame
        });
        Body::new(body)
    })
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets so many through at once, and of each person or address fewer, so that nobody takes the turns of all.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    most: u32,
    each: u32,
    shares: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, which lasts as long as this.
#[derive(Debug)]
pub struct Turn {
    of_all: OwnedSemaphorePermit,
    _of_share: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Gives back what is more than so much.
    fn shrink(&mut self, weight: u32) {
        let surplus = self.of_all.num_permits().saturating_sub(weight as usize);
        drop(self.of_all.split(surplus));
        if let Some(of_share) = &mut self._of_share {
            let surplus = of_share.num_permits().saturating_sub(weight as usize);
            drop(of_share.split(surplus));
        }
    }
}

impl Gate {
    /// A gate for `at_once` calls, a quarter of them for one person or address.
    pub fn new(at_once: u32) -> Self {
        let all = Arc::new(Semaphore::new(at_once as usize));
        let each = at_once.div_ceil(4);
        Self(Arc::new(Turns { all, most: at_once, each, shares: Mutex::default() }))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// It took too long.
    pub(crate) async fn enter(&self) -> Result<Turn, Problem> {
        self.enter_as(share().as_deref(), 1).await
    }

    /// Waits for a turn that counts for as many as `weight` says. One that counts for more than anyone may have waits
    /// until its share has no other.
    async fn enter_as(&self, share: Option<&str>, weight: u32) -> Result<Turn, Problem> {
        match timeout(TURN, self.turn(share, weight)).await {
            Ok(Some(turn)) => Ok(turn),
            _ => Err(Problem::unavailable("the server is busy", TURN)),
        }
    }

    /// As [`Gate::enter_as`], however long it takes.
    async fn turn(&self, share: Option<&str>, weight: u32) -> Option<Turn> {
        let of_share = match share.map(|key| self.share(key)) {
            Some(share) => Some(share.acquire_many_owned(weight.min(self.0.each)).await.ok()?),
            None => None,
        };
        let all = Arc::clone(&self.0.all);
        let of_all = all.acquire_many_owned(weight.min(self.0.most)).await.ok()?;
        Some(Turn { of_all, _of_share: of_share })
    }

    fn share(&self, key: &str) -> Arc<Semaphore> {
        let mut shares = lock(&self.0.shares);
        if let Some(share) = shares.get(key) {
            return Arc::clone(share);
        }
        if shares.len() >= SHARES_KEPT {
            // Of those, nobody has a turn or waits for one.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Arc::new(Semaphore::new(self.0.each as usize));
        shares.insert(key.to_owned(), Arc::clone(&share));
        share
    }
}

/// What each person and address used of the processors lately.
struct Used {
    /// Processor time that one of them may use in a second without losing priority.
    allowance: f64,
    debts: Mutex<HashMap<String, Debt>>,
}

struct Debt {
    /// Processor time, at the moment `at`.
    time: Duration,
    at: Instant,
}

impl Used {
    fn new(cores: usize) -> Self {
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        Self { allowance: f64::from(cores) / SHARES_PER_CORE, debts: Mutex::default() }
    }

    fn owed(&self, debt: &Debt, now: Instant) -> Duration {
        let forgiven = now.saturating_duration_since(debt.at).mul_f64(self.allowance);
        debt.time.saturating_sub(forgiven)
    }

    fn is_too_much(&self, share: &str, now: Instant) -> bool {
        lock(&self.debts).get(share).is_some_and(|debt| self.owed(debt, now) > CPU_CREDIT)
    }

    fn add(&self, share: &str, time: Duration, now: Instant) {
        let mut debts = lock(&self.debts);
        if debts.len() >= SHARES_KEPT {
            debts.retain(|_, debt| !self.owed(debt, now).is_zero());
        }
        let owed = debts.get(share).map(|debt| self.owed(debt, now)).unwrap_or_default();
        let time = (owed + time).min(CPU_DEBT);
        debts.insert(share.to_owned(), Debt { time, at: now });
    }
}

/// A gate, and the threads behind it.
#[derive(Clone)]
pub(crate) struct Line {
    gate: Gate,
    threads: Threads,
}

impl Line {
    pub(crate) fn new(at_once: u32, threads: Threads) -> Self {
        Self { gate: Gate::new(at_once), threads }
    }

    /// Calls `f` on one of the threads. When the deadline has passed or nobody waits for it any more, it is asked to
    /// end; it has its turn until it does.
    ///
    /// # Errors
    /// There was no turn in time, `f` took too long, or it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.gate.enter().await?;
        let stop = Stop::default();
        let mut waiting = Waiting(Some(stop.clone()));
        let lend = lender(stop.clone());
        let mut running = self.threads.run(move || {
            let _turn = turn;
            match lend {
                Some(lend) => lent(lend, || stop.under(f)),
                None => stop.under(f),
            }
        });
        let begun = timeout(LONG_CALL.min(deadline), &mut running.returned).await;
        let done = match begun {
            Ok(done) => Ok(done),
            Err(_) => {
                running.lower(SLOW_NICENESS);
                timeout(deadline.saturating_sub(LONG_CALL), &mut running.returned).await
            }
        };
        let Ok(done) = done else {
            let seconds = deadline.as_secs();
            let why = format!("it took longer than {seconds} seconds and was stopped");
            return Err(Problem::unavailable(why, TURN));
        };
        waiting.0 = None;
        // The error's text would hold the panic's.
        done.map_err(|_| Problem::internal("a call of the service panicked"))
    }
}

/// What lends a call the memory of its request, on the call's own thread.
fn lender(stop: Stop) -> Option<impl Fn(u64) -> bool + Send + 'static> {
    let asker = ASKER.try_with(Arc::clone).ok()?;
    Some(move |bytes| asker.wait_for_memory(bytes, &stop))
}

/// Both lines of calls, and the memory that requests hold.
#[derive(Clone)]
pub(crate) struct Calls {
    quick: Line,
    slow: Line,
    used: Arc<Used>,
    memory: Gate,
}

impl Calls {
    /// For a machine of so many cores: half of them, at least one, for the second line.
    pub(crate) fn new(cores: usize, quick: Threads) -> Self {
        let half = u32::try_from(cores.div_ceil(2)).unwrap_or(u32::MAX);
        Self {
            quick: Line::new(CALLS, quick),
            slow: Line::new(half, Threads::new(SLOW_NICENESS)),
            used: Arc::new(Used::new(cores)),
            memory: Gate::new(units(MEMORY_BYTES)),
        }
    }

    /// Calls `f` where its person's or address's calls belong; in the second line also if it `is_slow`.
    ///
    /// # Errors
    /// Those of [`Line::run`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        is_slow: bool,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let share = share();
        let has_used = |share: &String| self.used.is_too_much(share, Instant::now());
        let is_slow = is_slow || share.as_ref().is_some_and(has_used);
        let line = if is_slow { &self.slow } else { &self.quick };
        let used = Arc::clone(&self.used);
        line.run(deadline, move || {
            let before = worked();
            let done = f();
            if let Some(share) = share {
                used.add(&share, worked().saturating_sub(before), Instant::now());
            }
            done
        })
        .await
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use axum::response::IntoResponse;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Enters as a share does.
    async fn enter(gate: &Gate, share: &str) -> Turn {
        gate.enter_as(Some(share), 1).await.unwrap()
    }

    fn calls() -> Calls {
        Calls::new(2, Threads::new(0))
    }

    fn with_memory(units: u32) -> Calls {
        Calls { memory: Gate::new(units), ..calls() }
    }

    fn line(at_once: u32) -> Line {
        Line::new(at_once, Threads::new(0))
    }

    #[tokio::test]
    async fn nobody_takes_the_turns_of_all() {
        let gate = Gate::new(8);
        let mut held = Vec::new();
        for key in ["ann", "ann", "ben"] {
            held.push(enter(&gate, key).await);
        }
        let mut more = Box::pin(enter(&gate, "ann"));
        assert!(more.as_mut().now_or_never().is_none(), "ann has two of eight");
        let cat = enter(&gate, "cat").await;
        // A person who signs in takes from their own share.
        let calls = calls();
        let response = sharing("an address".into(), &calls, async {
            share_as("ben".into());
            held.push(gate.enter().await.unwrap());
            assert!(gate.enter().now_or_never().is_none());
            // So does what goes on as a task of its own.
            let task = tokio::spawn(continuing({
                let gate = gate.clone();
                async move { gate.enter().now_or_never().is_none() }
            }));
            assert!(task.await.unwrap());
            ().into_response()
        });
        response.await;
        drop(held.remove(0));
        drop((more.await, cat));
        for number in 0..3 * SHARES_KEPT {
            drop(enter(&gate, &number.to_string()).await);
        }
        assert!(lock(&gate.0.shares).len() <= SHARES_KEPT + 1);
    }

    #[tokio::test]
    async fn requests_hold_no_more_memory_together_than_there_is() {
        let calls = with_memory(8);
        let large = MEMORY_UNIT_BYTES * 2;
        let answer = |bytes: usize| async move {
            take_memory(large).await.unwrap();
            // A request that has memory takes no more.
            take_memory(large).await.unwrap();
            vec![0_u8; bytes].into_response()
        };
        let free = || calls.memory.0.all.available_permits();
        let ann = sharing("ann".into(), &calls, answer(10)).await;
        assert_eq!(free(), 7, "what the answer does not need is given back");
        let first = sharing("ben".into(), &calls, answer(2 << 20)).await;
        assert_eq!(free(), 5);
        let mut second = Box::pin(sharing("ben".into(), &calls, answer(2 << 20)));
        assert!(second.as_mut().now_or_never().is_none(), "ben has a quarter");
        let small = async {
            take_memory(LARGE_BYTES - 1).await.unwrap();
            ().into_response()
        };
        sharing("ben".into(), &calls, small).await;
        let sent = axum::body::to_bytes(first.into_body(), 3 << 20).await.unwrap();
        assert_eq!(sent.len(), 2 << 20);
        drop(second.await);
        drop(ann);
        assert_eq!(free(), 8);
    }

    #[tokio::test]
    async fn a_call_takes_memory_on_its_own_thread_and_gives_up_when_nobody_waits() {
        let calls = with_memory(4);
        let all = calls.memory.enter_as(None, 4).await.unwrap();
        let response = sharing("ann".into(), &calls, async {
            let stop = Stop::default();
            let take = lender(stop.clone()).unwrap();
            let refused = calls.quick.threads.run(move || take(LARGE_BYTES));
            stop.ask();
            assert_eq!(refused.returned.await, Ok(false));
            let take = lender(Stop::default()).unwrap();
            let mut taken = calls.quick.threads.run(move || take(LARGE_BYTES)).returned;
            assert!((&mut taken).now_or_never().is_none());
            drop(all);
            assert_eq!(taken.await, Ok(true));
            ().into_response()
        });
        response.await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_uses_much_of_the_processors_waits_in_the_second_line_for_a_while() {
        let used = Used::new(2);
        let is_too_much = |share| used.is_too_much(share, Instant::now());
        used.add("ann", CPU_CREDIT, Instant::now());
        assert!(!is_too_much("ann"));
        used.add("ann", LONG, Instant::now());
        assert!(is_too_much("ann") && !is_too_much("ben"));
        let until_forgiven = (CPU_DEBT - CPU_CREDIT).div_f64(2.0 / SHARES_PER_CORE);
        tokio::time::advance(until_forgiven - Duration::from_secs(1)).await;
        assert!(is_too_much("ann"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!is_too_much("ann"));
        for number in 0..3 * SHARES_KEPT {
            used.add(&number.to_string(), Duration::from_micros(1), Instant::now());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(lock(&used.debts).len() <= SHARES_KEPT);
    }

    #[tokio::test]
    async fn slow_calls_leave_turns_to_quick_ones() {
        let calls = calls();
        let (go, wait) = mpsc::channel::<()>();
        let slow = calls.run(LONG, true, move || wait.recv().is_ok());
        let response = sharing("ann".into(), &calls, async {
            let mut slow = Box::pin(slow);
            assert!(slow.as_mut().now_or_never().is_none());
            assert_eq!(calls.run(LONG, false, || 7).await.unwrap(), 7);
            let mut next = Box::pin(calls.run(LONG, true, || 8));
            assert!(next.as_mut().now_or_never().is_none(), "one of two cores is left to others");
            go.send(()).unwrap();
            assert!(slow.await.unwrap());
            assert_eq!(next.await.unwrap(), 8);
            ().into_response()
        });
        response.await;
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_or_takes_too_long_is_asked_to_end() {
        let work = || {
            let stop = Stop::current();
            while !stop.is_asked() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let line = line(1);
        let problem = line.run(Duration::from_millis(20), work).await.unwrap_err();
        assert_eq!(problem.kind().status, 503);
        let call = tokio::spawn({
            let line = line.clone();
            async move { line.run(LONG, work).await }
        });
        while line.gate.0.all.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        // Its turn is given back.
        line.run(LONG, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_call_gives_what_it_returns() {
        assert_eq!(line(1).run(LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_call_that_panics_is_a_problem_and_gives_its_turn_back() {
        let line = line(1);
        let problem = line.run(LONG, || panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(problem.kind().status, 500);
        assert_eq!(line.run(LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_and_gives_up_after_a_while() {
        let line = line(1);
        let (go, wait) = mpsc::channel::<()>();
        let permit = line.gate.enter().await.unwrap();
        let start = Instant::now();
        let problem = line.run(LONG, || ()).await.unwrap_err();
        assert_eq!((problem.kind().status, start.elapsed()), (503, TURN));
        drop(permit);
        // Threads of our own don't hold the paused clock.
        tokio::time::resume();
        let first = line.run(LONG, move || wait.recv().is_ok());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_keeps_its_turn_until_it_ends() {
        let line = line(1);
        let (go, wait) = mpsc::channel::<()>();
        let call = tokio::spawn({
            let line = line.clone();
            async move { line.run(LONG, move || wait.recv()).await }
        });
        while line.gate.0.all.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(line.gate.0.all.available_permits(), 0);
        go.send(()).unwrap();
        drop(line.gate.enter().await.unwrap());
    }
}
