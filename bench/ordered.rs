//! `measure-ordered [PAIRS]`: a decision in input order between two steps that run in parallel, as an export makes it for each
//! batch. Done by the engine's `Sequencer`, and by what the standard library has: two pools of threads, and between them a
//! thread that takes batches from a bounded channel, puts them in order and decides. Prints CPU seconds of both in turn, and
//! the ratio pair by pair.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "it measures")]

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use retort_engine::pipeline::{Ends, More, Output, Sequencer, in_order};
use retort_testing::growth::process_time;
use sha2::{Digest, Sha256};

const THREADS: usize = 2;

/// Batches of one run, each with so many bytes and ids.
const BATCHES: u64 = 3000;
const BATCH_BYTES: usize = 256 << 10;
const IDS: u64 = 80;

/// How often a step goes over its bytes: about as long as an export parses or shapes a batch. Each tenth takes longer.
const PASSES: u64 = 6;
const PASSES_OF_TENTH: u64 = 24;

/// Batches that wait in a channel.
const WAITING: usize = 4 * THREADS;

fn main() -> Result<(), Box<dyn Error>> {
    let pairs: usize = std::env::args().nth(1).map_or(Ok(5), |pairs| pairs.parse())?;
    let mut ratios = Vec::new();
    for pair in 0..=pairs {
        let (own, channels) = match pair % 2 {
            0 => (used(by_sequencer), used(by_channels)),
            _ => {
                let channels = used(by_channels);
                (used(by_sequencer), channels)
            }
        };
        // The first is not counted.
        if pair > 0 {
            let ratio = channels.0.as_secs_f64() / own.0.as_secs_f64();
            println!(
                "Sequencer {:.2} CPU s, {:.2} s; channels {:.2} CPU s, {:.2} s; ratio {ratio:.3}",
                own.0.as_secs_f64(),
                own.1.as_secs_f64(),
                channels.0.as_secs_f64(),
                channels.1.as_secs_f64()
            );
            ratios.push(ratio);
        }
    }
    ratios.sort_by(f64::total_cmp);
    if let (Some(low), Some(middle), Some(high)) =
        (ratios.first(), ratios.get(ratios.len() / 2), ratios.last())
    {
        println!("channels / Sequencer: {middle:.3} ({low:.3} to {high:.3})");
    }
    Ok(())
}

/// CPU seconds of all threads, and seconds.
fn used(run: fn() -> usize) -> (Duration, Duration) {
    let start = Instant::now();
    let cpu = process_time(|| assert_eq!(run(), (BATCHES * IDS) as usize));
    (cpu, start.elapsed())
}

/// A step that runs in parallel.
fn step(batch: u64, bytes: &[u8]) {
    let passes = if batch.is_multiple_of(10) { PASSES_OF_TENTH } else { PASSES };
    for _ in 0..passes {
        std::hint::black_box(Sha256::digest(bytes));
    }
}

/// The step in order: it looks which ids came before.
fn decide(batch: u64, seen: &mut HashSet<u64>) {
    seen.extend(batch * IDS..(batch + 1) * IDS);
}

fn by_sequencer() -> usize {
    let (stopped, bytes) = (AtomicBool::new(false), vec![7; BATCH_BYTES]);
    let ends = Ends::new(&stopped);
    let ordered = Sequencer::new(HashSet::new());
    in_order(
        THREADS,
        &ends,
        |send| {
            (0..BATCHES).all(send);
            Ok(())
        },
        || {
            |batch, output: &Output<'_, u64>| {
                step(batch, &bytes);
                let passed = ordered.pass(batch, &ends, |seen| decide(batch, seen));
                step(batch, &bytes);
                passed.is_some() && output.send(batch, Ok(batch))
            }
        },
        &mut |_| Ok(More::Wanted),
    )
    .expect("nothing fails");
    ordered.pass(BATCHES, &ends, |seen| seen.len()).expect("nothing ends")
}

fn by_channels() -> usize {
    let bytes = vec![7; BATCH_BYTES];
    let (feed, jobs) = sync_channel(WAITING);
    let (parsed, to_decide) = sync_channel(WAITING);
    let (decided, to_shape) = sync_channel(WAITING);
    let (shaped, to_take) = sync_channel(WAITING);
    let (jobs, to_shape) = (&Mutex::new(jobs), &Mutex::new(to_shape));
    std::thread::scope(|scope| {
        // Each step has as many threads as the machine has cores, so that neither waits while the other has nothing to do.
        for _ in 0..THREADS {
            let (parsed, shaped, bytes) = (parsed.clone(), shaped.clone(), &bytes);
            scope.spawn(move || {
                while let Ok(batch) = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv() {
                    step(batch, bytes);
                    parsed.send(batch).expect("the next thread waits");
                }
            });
            scope.spawn(move || {
                while let Ok(batch) = to_shape.lock().unwrap_or_else(PoisonError::into_inner).recv()
                {
                    step(batch, bytes);
                    shaped.send(batch).expect("the next thread waits");
                }
            });
        }
        drop((parsed, shaped));
        let decider = scope.spawn(move || {
            let mut seen = HashSet::new();
            each_in_order(to_decide.iter(), |batch| {
                decide(batch, &mut seen);
                decided.send(batch).expect("the next threads wait");
            });
            seen.len()
        });
        scope.spawn(move || each_in_order(to_take.iter(), |_| {}));
        (0..BATCHES).for_each(|batch| feed.send(batch).expect("the first threads wait"));
        drop(feed);
        decider.join().expect("nothing fails")
    })
}

fn each_in_order(batches: impl Iterator<Item = u64>, mut act: impl FnMut(u64)) {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    for batch in batches {
        early.insert(batch, ());
        while early.remove(&next).is_some() {
            act(next);
            next += 1;
        }
    }
}
