//! A service on a store that is gone with it, a clock that tests set, and people.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use retort_model::{ConversationFilter, Grants, ItemFilter, ProjectRole, Time};
use retort_service::{
    Caller, Clock, Dataset, DatasetPlan, DestinationSettings, Done, Error, ExportOptions,
    ExportRequest, ImportReport, IntakeRequest, Nobody, Order, Origin, Person, Project, Quotas,
    Retention, Service, Settings, TokenRequest, Wanted,
};
use serde_json::{Value, json};

/// A clock that stands until it is set on.
#[derive(Clone)]
pub struct SetClock(Arc<AtomicI64>);

impl SetClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000_000)))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Time {
        Time::from_unix_micros(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

fn settings() -> Settings {
    Settings {
        store: String::new(),
        objects: String::new(),
        worker: "worker".into(),
        identity: "identity".into(),
        lease: Duration::from_secs(60),
        patience: Duration::from_secs(2),
        threads: 2,
        part_bytes: 1 << 30,
        retention: Retention::default(),
        quotas: Quotas::default(),
        models: Default::default(),
        benchmarks: Default::default(),
        recognisers: Default::default(),
        signing_key: None,
        destinations: Default::default(),
    }
}

/// A service with one project.
pub struct Office {
    pub service: Service,
    pub clock: SetClock,
    pub project: Project,
}

impl Office {
    pub fn new() -> Self {
        Self::with_models(&[])
    }

    /// With models of these names and paths in its configuration.
    pub fn with_models(models: &[(&str, &str)]) -> Self {
        let models = models.iter().map(|&(name, path)| (name.into(), path.into())).collect();
        let clock = SetClock::new();
        let settings = Settings { models, ..settings() };
        Self::of(Service::open_scratch(settings, Box::new(clock.clone())).unwrap(), clock)
    }

    /// With exports in parts of so many bytes.
    pub fn with_parts_of(part_bytes: u64) -> Self {
        let clock = SetClock::new();
        let settings = Settings { part_bytes, ..settings() };
        Self::of(Service::open_scratch(settings, Box::new(clock.clone())).unwrap(), clock)
    }

    /// With destinations of these names and folders in its configuration; the first is for the project `p` alone.
    pub fn with_destinations(destinations: &[(&str, &std::path::Path)]) -> Self {
        let settings_of = |(number, &(name, folder)): (usize, &(&str, &std::path::Path))| {
            let location = folder.to_str().unwrap().to_owned();
            let projects = (number == 0).then(|| vec!["p".to_owned()]);
            let one = DestinationSettings { location, projects, ..Default::default() };
            (name.to_owned(), one)
        };
        let clock = SetClock::new();
        let destinations = destinations.iter().enumerate().map(settings_of).collect();
        let settings = Settings { destinations, ..settings() };
        Self::of(Service::open_scratch(settings, Box::new(clock.clone())).unwrap(), clock)
    }

    /// With these quotas.
    pub fn with_quotas(quotas: Quotas) -> Self {
        let clock = SetClock::new();
        let settings = Settings { quotas, ..settings() };
        Self::of(Service::open_scratch(settings, Box::new(clock.clone())).unwrap(), clock)
    }

    /// With its files below a folder.
    pub fn at(folder: &std::path::Path) -> Self {
        Self::worker_at(folder, "worker")
    }

    /// With its files below a folder that it may share with other workers.
    pub fn worker_at(folder: &std::path::Path, worker: &str) -> Self {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (clock, settings) = (SetClock::new(), settings());
        let settings = Settings { store: path("store"), objects: path("objects"), ..settings };
        let settings = Settings { worker: worker.into(), ..settings };
        Self::of(Service::open(settings, Box::new(clock.clone()), true).unwrap(), clock)
    }

    fn of(service: Service, clock: SetClock) -> Self {
        let project = service.project_or_new("p").unwrap();
        Self { service, clock, project }
    }

    /// Someone who opens the store directly.
    pub fn local(&self) -> Caller {
        Caller::local(&self.project)
    }

    /// Someone new in the project.
    pub fn join(&self, name: &str, role: ProjectRole) -> (Person, Caller) {
        let person = self.service.add_person(name, None).unwrap();
        self.service.admit(&self.local(), &person, role).unwrap();
        let request = TokenRequest { name: "t".into(), grants: Grants::ALL, days: 30 };
        let (_, secret) = self.service.add_token_for(&self.local(), &person, &request).unwrap();
        let signed = self.service.by_token(&secret).unwrap();
        let caller = self.service.caller(&signed, Some("p"), Origin::default()).unwrap();
        (person, caller)
    }

    /// Imports conversations for an owner.
    pub fn import(&self, rows: &[Value], owner: Option<&str>) -> ImportReport {
        let request = IntakeRequest { owner: owner.map(Into::into), ..IntakeRequest::default() };
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        self.service.take_in(&self.local(), &request, text.into_bytes()).unwrap()
    }

    /// The ids that someone is shown, in order.
    pub fn ids(&self, caller: &Caller, filter: &ConversationFilter) -> Vec<String> {
        let page = self.service.list(caller, filter, Order::Newest, None, 100).unwrap();
        let mut ids: Vec<_> = page.conversations.into_iter().map(|one| one.id).collect();
        ids.sort();
        ids
    }

    /// Queues an export of conversations.
    pub fn submit(
        &self,
        caller: &Caller,
        name: &str,
        filter: ConversationFilter,
    ) -> Result<i64, Error> {
        let selection = ItemFilter::Conversations(filter);
        let request = ExportRequest { selection, dataset: plan(name, &[]) };
        self.service.submit_export(caller, &request)
    }

    /// Does the next job, as a worker would.
    pub fn work(&self) -> Result<Option<Done>, Error> {
        let worked = self.service.work_one(Wanted::Any, &Nobody, &AtomicBool::new(false))?;
        worked.map(|(_, done)| done).transpose()
    }

    /// Exports to the end.
    pub fn export(&self, caller: &Caller, name: &str, filter: ConversationFilter) -> Dataset {
        self.submit(caller, name, filter).unwrap();
        self.work().unwrap();
        self.service.dataset(caller, name).unwrap()
    }
}

/// The plan of a dataset for `openai`, with more options.
pub fn plan(name: &str, options: &[(&str, &str)]) -> DatasetPlan {
    let options = [("data_format", "openai")]
        .iter()
        .chain(options)
        .fold(ExportOptions::default(), |options, (option, value)| {
            options.with(option, value).unwrap()
        });
    options.resolve(name.parse().unwrap(), None).unwrap()
}

pub fn chat(id: &str) -> Value {
    chat_with(id, "an answer")
}

pub fn chat_with(id: &str, answer: &str) -> Value {
    json!({"id": id, "messages": [
        {"role": "user", "content": format!("a question in {id}")},
        {"role": "assistant", "content": answer},
    ]})
}

/// Those with these ids.
pub fn named(ids: &[&str]) -> ConversationFilter {
    let ids = ids.iter().map(|&id| id.into()).collect();
    ConversationFilter { ids, ..ConversationFilter::default() }
}
