//! Times the lists of a store: first pages, next pages and counts, for every combination of filters, each as the
//! median of several runs.
//!
//!     measure-lists STORE [PROJECT]

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::error::Error;
use std::time::{Duration, Instant};

use retort_model::{ConversationFilter, DateRange, Kind, ProjectRole, Status, Time};
use retort_service::{Caller, Clock, Order, Origin, Quotas, Retention, Service, Settings};

const RUNS: usize = 5;
const PAGE: usize = 50;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        Time::from_epoch_ms(0).expect("1970")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let store = args.next().ok_or("Usage: measure-lists STORE [PROJECT]")?;
    let project = args.next().unwrap_or_else(|| "default".into());
    let settings = Settings {
        store,
        objects: std::env::temp_dir().to_string_lossy().into_owned(),
        worker: String::new(),
        identity: String::new(),
        lease: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        threads: 1,
        part_bytes: 1,
        retention: Retention::default(),
        quotas: Quotas::default(),
        models: std::collections::BTreeMap::new(),
        benchmarks: std::collections::BTreeMap::new(),
        recognisers: std::collections::BTreeMap::new(),
        signing_key: None,
        destinations: Default::default(),
    };
    let service = Service::open(settings, Box::new(Stopped), false)?;
    let project = service.project(&project)?;
    let everyone = Caller::local(&project);
    let name = "p7@example.org";
    let person = service.person(name).or_else(|_| service.add_person(name, None))?;
    service.admit(&everyone, &person, ProjectRole::Member)?;
    let one = service.caller(&service.by_header(name)?, Some(&project.name), Origin::default())?;

    let searches: [&[&str]; 6] =
        [&[], &["weather"], &["\"server request\""], &["旅行"], &["zzzz"], &["the -weather"]];
    let ranges = ["..", "2024-03-01..2024-04-01", "2021-01-01..", "..2019-02-01"];
    let kinds: [&[Kind]; 3] = [&[], &[Kind::Graph], &[Kind::Chat, Kind::Agent]];
    let statuses: [&[Status]; 3] = [&[], &[Status::Favorite], &[Status::Deleted, Status::Active]];
    let mut all = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let heads = ["first ms", "next ms", "count ms", "again ms", "found"];
    println!(
        "{:>9} {:>9} {:>9} {:>9}  {:>9}  filter",
        heads[0], heads[1], heads[2], heads[3], heads[4]
    );
    for caller in [&everyone, &one] {
        for search in searches {
            for range in ranges {
                for kind in kinds {
                    for status in statuses {
                        let selection = ConversationFilter {
                            search: search
                                .iter()
                                .map(|text| text.parse())
                                .collect::<Result<_, _>>()?,
                            created: range.parse::<DateRange>()?,
                            kinds: kind.to_vec(),
                            statuses: status.to_vec(),
                            ..ConversationFilter::default()
                        };
                        let order = Order::Newest;
                        let page = service.list(caller, &selection, order, None, PAGE)?;
                        let began = Instant::now();
                        let found = service.count(caller, &selection)?;
                        let counted = began.elapsed().as_secs_f64() * 1000.0;
                        let times = [
                            median(|| {
                                service.list(caller, &selection, order, None, PAGE).map(drop)
                            })?,
                            median(|| {
                                service
                                    .list(caller, &selection, order, page.next.clone(), PAGE)
                                    .map(drop)
                            })?,
                            counted,
                            median(|| service.count(caller, &selection).map(drop))?,
                        ];
                        println!(
                            "{:>9.2} {:>9.2} {:>9.2} {:>9.2}  {found:>9}  {search:?} {range} {kind:?} {status:?} {}",
                            times[0],
                            times[1],
                            times[2],
                            times[3],
                            caller.name()
                        );
                        for (all, time) in all.iter_mut().zip(times) {
                            all.push(time);
                        }
                    }
                }
            }
        }
    }
    for (name, mut times) in
        ["first page", "next page", "count", "same count again"].into_iter().zip(all)
    {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        println!(
            "{name}: median {:.2} ms, 90 of 100 under {:.2} ms, most {:.2} ms",
            at(50),
            at(90),
            at(100)
        );
    }
    Ok(())
}

/// Milliseconds.
fn median<E>(mut act: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let began = Instant::now();
        act()?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}
