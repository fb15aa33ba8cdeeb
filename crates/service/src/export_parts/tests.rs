use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retort_engine::pipeline::Nobody;
use retort_engine::{ExportOptions, Storage};
use retort_model::{ConversationFilter, ItemFilter, JobKind, JobState, Scope, Time};
use retort_store::{Project, Wanted};
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::export::{KeptExport, prefix};
use crate::lease::Pulse;
use crate::{Caller, Done, ExportRequest, IntakeRequest, Quotas, Retention, Service, Settings};

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::from_unix_micros(1_800_000_000_000_000).unwrap()
    }
}

/// Conversations of which the later ones have what the first do not: tools, images, extra fields.
fn history(seed: u64) -> Vec<Value> {
    (0..40_u64)
        .map(|number| {
            let answer = json!({"role": "assistant", "content": format!("answer {}", number % 9)});
            let mut messages = vec![
                json!({"role": "user", "content": format!("question {}", number % 9)}),
                answer,
            ];
            if number % 11 == seed % 11 {
                // Without an answer.
                messages.pop();
            }
            if number > 12 && (number + seed).is_multiple_of(5) {
                let call = json!({"id": "1", "type": "function",
                    "function": {"name": "weather", "arguments": "{\"city\":\"Ghent\"}"}});
                messages.push(json!({"role": "user", "content": "And the weather?"}));
                messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
                messages.push(json!({"role": "tool", "tool_call_id": "1", "content": "rain"}));
                messages.push(json!({"role": "assistant", "content": "It rains."}));
            }
            if number > 25 && number % 7 == seed % 7 {
                messages.push(json!({"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ]}));
                messages.push(json!({"role": "assistant", "content": "A picture."}));
            }
            json!({"id": format!("c{number}"), "messages": messages})
        })
        .collect()
}

fn settings(worker: &str) -> Settings {
    Settings {
        store: String::new(),
        objects: String::new(),
        worker: worker.into(),
        identity: "identity".into(),
        lease: Duration::from_secs(60),
        patience: Duration::from_secs(2),
        threads: 2,
        part_bytes: 1000,
        retention: Retention::default(),
        quotas: Quotas::default(),
        models: BTreeMap::new(),
        benchmarks: BTreeMap::new(),
        recognisers: Default::default(),
        signing_key: None,
        destinations: BTreeMap::new(),
    }
}

/// A service with that history and an export of it that waits.
struct Office {
    service: Service,
    project: Project,
    job: i64,
}

impl Office {
    fn new(seed: u64, words: &[(&str, &str)]) -> Self {
        let service = Service::open_scratch(settings("worker"), Box::new(Still)).unwrap();
        let project = service.project_or_new("p").unwrap();
        let caller = Caller::local(&project);
        let text: String = history(seed).iter().map(|row| format!("{row}\n")).collect();
        service.take_in(&caller, &IntakeRequest::default(), text.into_bytes()).unwrap();
        let options = words.iter().fold(ExportOptions::default(), |options, (name, value)| {
            options.with(name, value).unwrap()
        });
        let dataset = options.resolve("d".parse().unwrap(), None).unwrap();
        let selection = ItemFilter::Conversations(ConversationFilter::default());
        let job = service.submit_export(&caller, &ExportRequest { selection, dataset }).unwrap();
        Self { service, project, job }
    }

    /// Another service on the same store, as in another process.
    fn another(&self, worker: &str) -> Service {
        let objects = self.service.objects.root().unwrap().to_string_lossy().into_owned();
        let store = self.service.location();
        let settings = Settings { store, objects, ..settings(worker) };
        Service::open(settings, Box::new(Still), false).unwrap()
    }

    /// The whole package, made by a worker from where the job stands.
    fn package(&self) -> Vec<u8> {
        let (service, caller) = (&self.service, Caller::local(&self.project));
        let done = service.work_one(Wanted::Any, &Nobody, &AtomicBool::new(false)).unwrap();
        done.expect("a job").1.unwrap();
        let dataset = service.dataset(&caller, "d").unwrap();
        let files = service.store.dataset_files(&dataset).unwrap();
        let mut kept: Vec<String> =
            files.iter().map(|file| format!("{}/{}", dataset.prefix, file.object)).collect();
        kept.sort();
        let there = service.objects.list(&dataset.prefix).unwrap();
        assert_eq!(there.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), kept);
        let (_, archive) = service.download(&caller, "d").unwrap();
        let mut bytes = Vec::new();
        archive.write(0..archive.bytes(), &mut bytes).unwrap();
        bytes
    }

    /// Takes the job for a worker that makes its parts one by one as `act` wants it, and that then gives it back.
    fn by_hand(&self, act: impl FnOnce(&RunningExport<'_>)) {
        let Service { store, objects, clock, settings, .. } = &self.service;
        let (now, stopped) = (clock.now(), AtomicBool::new(false));
        let until = later(now, settings.lease);
        let job = store.claim("by hand", Wanted::One(self.job), now, until).unwrap().unwrap();
        let pulse = Pulse::default();
        let place = (store, &**clock, &pulse);
        let lease = Lease::new(place, (&job, None), "by hand", settings.lease, &stopped, &Nobody);
        let mut plan = KeptExport::read(&job).unwrap().dataset;
        let prefix = prefix(store, job.id);
        prepare(&mut plan, &objects.below(&prefix), &job, &lease, 2).unwrap();
        let (plan, prefix, job, lease) = (&plan, &*prefix, &job, &lease);
        act(&RunningExport { plan, objects, prefix, job, lease, threads: 2 });
        store.give_back(job.id, "by hand").unwrap();
    }
}

/// Numbers below `end` that look like chance.
fn chance(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    usize::try_from(*state >> 33).unwrap() % end
}

const SHAPES: [&[(&str, &str)]; 7] = [
    &[("data_format", "openai")],
    &[("data_format", "standard")],
    &[("data_format", "openai"), ("split", "train=0.6,test=0.4")],
    &[("data_format", "openai"), ("dedup", "exact"), ("compress", "zstd")],
    &[("data_format", "standard"), ("file_format", "csv")],
    &[("data_format", "openai"), ("dedup", "exact"), ("sample", "17"), ("sample_by", "type")],
    &[("data_format", "standard"), ("file_format", "parquet"), ("split", "train=0.6,test=0.4")],
];

#[test]
fn parts_in_any_order_and_some_twice_become_the_same_package() {
    let mut made_again = 0;
    for (seed, shape) in (0..).zip(SHAPES.iter().cycle().take(2 * SHAPES.len())) {
        let whole = Office::new(seed, shape).package();
        let office = Office::new(seed, shape);
        let mut state = seed + 1;
        office.by_hand(|running| {
            let (store, job, now) = (running.lease.store, running.job.id, Still.now());
            let take = || store.take_shard(job, "by hand", now, now).unwrap();
            let mut taken: Vec<Shard> = std::iter::from_fn(take).collect();
            assert!(taken.len() > 5, "{}", taken.len());
            // A worker may not live to make all of them.
            for _ in 0..taken.len() - chance(&mut state, 3) {
                let shard = taken.remove(chance(&mut state, taken.len()));
                running.part(&shard).unwrap();
                if chance(&mut state, 3) == 0 {
                    store.reopen_shard(job, "by hand", shard.number).unwrap();
                    let again = take().unwrap();
                    assert_eq!((again.number, again.attempt), (shard.number, 2));
                    let late = running.part(&shard);
                    assert!(matches!(late, Err(Error::Store(retort_store::Error::NotHeld))));
                    running.part(&again).unwrap();
                }
            }
            for left in &taken {
                store.free_shard(job, left, true).unwrap();
            }
        });
        assert!(office.package() == whole, "{shape:?} with seed {seed}");
        let shards = office.service.store.shards(office.job).unwrap();
        made_again += shards.iter().filter(|shard| shard.attempt > 2).count();
    }
    assert!(made_again > 0, "no part was made after more than it took for granted");
}

#[test]
fn a_part_that_is_gone_or_not_understood_is_made_again() {
    let whole = Office::new(0, SHAPES[0]).package();
    let office = Office::new(0, SHAPES[0]);
    office.by_hand(|running| {
        let (store, job, now) = (running.lease.store, running.job.id, Still.now());
        let taken = [(); 3].map(|()| store.take_shard(job, "by hand", now, now).unwrap().unwrap());
        running.part(&taken[0]).unwrap();
        running.part(&taken[2]).unwrap();
        // Of another release.
        store.finish_shard(job, &taken[1], ("{\"part\":{}}", 9), &[]).unwrap();
        let gone = running.checkpoint(&store.shards(job).unwrap()[0]).unwrap().part;
        let storage = running.objects.below(running.prefix);
        storage.remove(&gone.first.data[0].key).unwrap();
    });
    assert!(office.package() == whole);
    let shards = office.service.store.shards(office.job).unwrap();
    let attempts: Vec<u64> = shards.iter().map(|shard| shard.attempt).collect();
    // The third part is the first with a call of a tool, which it took for known.
    assert_eq!(attempts[..4], [2, 2, 2, 1]);
}

/// What a worker that has no job of its own did: the number of the part.
fn helped(other: &Service) -> Option<u64> {
    match other.work_one(Wanted::Any, &Nobody, &AtomicBool::new(false)).unwrap()? {
        (_, Ok(Done::Part { number, error: None })) => Some(number),
        other => panic!("{other:?}"),
    }
}

#[test]
fn workers_of_two_services_make_one_dataset_together_and_it_is_the_same() {
    for shape in SHAPES {
        let whole = Office::new(0, shape).package();
        let office = Office::new(0, shape);
        let other = office.another("other");
        office.by_hand(|running| {
            let (store, job, now) = (running.lease.store, running.job.id, Still.now());
            let first = store.take_shard(job, "by hand", now, now).unwrap().unwrap();
            assert_eq!([(); 3].map(|()| helped(&other)), [Some(1), Some(2), Some(3)]);
            running.part(&first).unwrap();
        });
        // It helps with what another worker holds, not with what waits for one.
        let also = std::thread::scope(|scope| {
            let holder = scope.spawn(|| office.package() == whole);
            let mut also = 0;
            while !holder.is_finished() {
                if office
                    .service
                    .store
                    .job(&Scope::project(office.project.id), office.job)
                    .unwrap()
                    .is_some_and(|job| job.state == JobState::Running)
                {
                    also += u64::from(helped(&other).is_some());
                }
            }
            assert!(holder.join().unwrap(), "{shape:?}");
            also
        });
        eprintln!("{shape:?}: helped with {also} more");
        assert!(!office.service.has_open_jobs().unwrap());
        let job = office.service.job(&Caller::local(&office.project), office.job).unwrap();
        assert_eq!(job.progress.items_done, 40);
    }
}

#[test]
fn who_helps_with_a_job_that_is_cancelled_leaves_nothing_of_it() {
    let office = Office::new(0, SHAPES[0]);
    let caller = Caller::local(&office.project);
    let (service, now) = (&office.service, Still.now());
    let later_on = later(now, Duration::from_secs(60));
    office.by_hand(|running| {
        let store = running.lease.store;
        let (job, shard) = store.help("other", now, later_on).unwrap().unwrap();
        let stopped = AtomicBool::new(false);
        let place = (store, &Still as &dyn Clock, &Pulse::default());
        let part = (&job, Some(&shard));
        let lease = Lease::new(place, part, "other", service.settings.lease, &stopped, &Nobody);
        service.cancel(&caller, job.id, JobKind::Export).unwrap();
        let kept = lease.keep_while(|| {
            std::thread::sleep(Duration::from_millis(100));
            lease.check()
        });
        assert!(kept.unwrap_err().is_stopped(), "it hears of it");
        store.end(job.id, "by hand", JobState::Cancelled, None, None, now).unwrap();
        service.clear_parts(&job).unwrap();
        // One that has not heard of it yet.
        let lease = Lease::new(place, part, "other", service.settings.lease, &stopped, &Nobody);
        let late = RunningExport { lease: &lease, ..*running }.part(&shard);
        assert!(matches!(late, Err(Error::Store(retort_store::Error::NotHeld))), "{late:?}");
        assert_eq!(service.objects.list(running.prefix).unwrap(), []);
        // Had it been killed, its files would go when its lease is over.
        assert!(service.has_open_jobs().unwrap());
        assert_eq!(store.uncleared(later(later_on, Duration::from_secs(1))).unwrap().len(), 1);
        service.retry(&caller, job.id, JobKind::Export).unwrap();
        store.claim("by hand", Wanted::One(job.id), now, later_on).unwrap().unwrap();
    });
    assert!(office.package() == Office::new(0, SHAPES[0]).package());
}

#[test]
fn a_part_that_fails_where_it_is_helped_with_is_left_to_the_holder() {
    let office = Office::new(0, SHAPES[0]);
    let other = office.another("other");
    let Service { objects, .. } = &other;
    office.by_hand(|running| {
        let (store, job, now) = (running.lease.store, running.job.id, Still.now());
        // Where its folder is to be, there is a file.
        let folder = objects.root().unwrap().join(running.prefix).join(".parts");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("00001"), "").unwrap();
        let (_, done) =
            other.work_one(Wanted::Any, &Nobody, &AtomicBool::new(false)).unwrap().unwrap();
        assert!(matches!(done, Ok(Done::Part { number: 1, error: Some(_) })), "{done:?}");
        assert_eq!(helped(&other), Some(2));
        std::fs::remove_file(folder.join("00001")).unwrap();
        let taken = [(); 2].map(|()| store.take_shard(job, "by hand", now, now).unwrap().unwrap());
        assert_eq!([0, 1].map(|at| (taken[at].number, taken[at].attempt)), [(0, 1), (1, 2)]);
        for shard in &taken {
            store.free_shard(job, shard, true).unwrap();
        }
    });
    assert!(office.package() == Office::new(0, SHAPES[0]).package());
}
