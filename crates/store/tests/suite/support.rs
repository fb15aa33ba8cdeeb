//! Stores of both kinds, and conversations to put into them.

use std::path::PathBuf;

use retort_model::{
    Action, Conversation, ConversationFilter, JobState, Message, Query, Relation, Role, Round,
    Scope, Time, Words, canonical,
};
use retort_store::{
    Compared, Comparing, Error, Importer, Incoming, Job, NewAudit, NewDataset, NewExport, NewShare,
    NewWebhook, Store, Summary, Taken, Wanted,
};
use tempfile::TempDir;

/// A new store with one project.
pub struct Place {
    pub store: Store,
    pub url: String,
    pub project: i64,
    folder: TempDir,
}

/// Does the same on a new store of each kind.
pub fn on_both(case: impl Fn(&Place)) {
    on_sqlite(&case);
    on_postgres(&case);
}

pub fn on_sqlite(case: impl Fn(&Place)) {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("store.db").to_str().unwrap().to_owned();
    case(&Place::new(folder, url));
}

pub fn on_postgres(case: impl Fn(&Place)) {
    if let Some(url) = retort_testing::postgres::new_database() {
        case(&Place::new(tempfile::tempdir().unwrap(), url));
    }
}

/// Takes in conversations as nobody in particular; all of one id are states that have something in common.
pub fn take_in(store: &Store, scope: &Scope, some: &[Incoming]) -> Vec<Taken> {
    store.take_in(&Importer::unnamed(scope), some, &mut overlaps).unwrap()
}

/// Finds that all states of a conversation have something in common.
pub fn overlaps(_: &Comparing<'_>) -> Result<Compared, Error> {
    Ok(Compared { relation: Relation::Overlaps, rewritten: None })
}

impl Place {
    fn new(folder: TempDir, url: String) -> Self {
        let store = Store::open(&url, "identity-1").unwrap();
        let project = store.project_or_new("p", at(0)).unwrap().id;
        Self { store, url, project, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn scope(&self) -> Scope {
        Scope::project(self.project)
    }

    /// Another process's view of the same store.
    pub fn again(&self) -> Store {
        Store::open_existing(&self.url).unwrap()
    }

    /// Takes in conversations, each with a text for its body.
    pub fn take(&self, some: &[Incoming]) -> Vec<Taken> {
        take_in(&self.store, &self.scope(), some)
    }

    /// Takes in one of that id and text, otherwise bare.
    pub fn add(&self, id: &str, text: &str) {
        self.take(&[self.incoming(id, text)]);
    }

    pub fn incoming(&self, id: &str, text: &str) -> Incoming {
        let body = self.store.packer().pack(text.as_bytes()).unwrap();
        let mut digest = [0_u8; 16];
        for (index, byte) in text.bytes().enumerate() {
            digest[index % 16] = digest[index % 16].wrapping_mul(31).wrapping_add(byte);
        }
        Incoming {
            id: id.into(),
            source: "generic".into(),
            digest,
            size: text.len() as u64,
            body,
            ..Incoming::default()
        }
    }

    /// One in which a user says `text`.
    pub fn speaking(&self, id: &str, text: &str) -> Incoming {
        let messages = vec![Message::text(Role::User, text.to_owned())];
        let rounds = vec![Round { messages, ..Round::default() }];
        self.made_of(&Conversation { id: id.to_owned().into(), rounds, ..Conversation::default() })
    }

    /// One with the line and the words of a conversation, otherwise bare.
    pub fn made_of(&self, conversation: &Conversation<'_>) -> Incoming {
        let mut line = Vec::new();
        canonical::write(conversation, &mut line);
        let line = String::from_utf8(line).unwrap();
        Incoming {
            words: Words::of(conversation),
            ..self.incoming(&conversation.id.decoded(), &line)
        }
    }

    pub fn all(&self, selection: &ConversationFilter) -> Vec<Summary> {
        self.store
            .list(&self.scope(), selection, Default::default(), None, 1000)
            .unwrap()
            .conversations
    }

    pub fn one(&self, id: &str) -> Summary {
        let found = self.store.find(&self.scope(), id).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    pub fn text(&self, id: &str) -> String {
        let line = self.store.line(&self.one(id), &mut self.store.unpacker()).unwrap().unwrap();
        String::from_utf8(line).unwrap()
    }

    /// Queues an export of what the selection means.
    pub fn export(&self, name: &str, selection: &ConversationFilter) -> i64 {
        let new = NewExport { creator: "ann", person: None, name, plan: "{}", part_bytes: 1 << 30 };
        self.store.submit_export(&self.scope(), &selection.clone().into(), &new, at(100)).unwrap()
    }

    /// Takes that job for a worker until moment 1000.
    pub fn claim(&self, worker: &str, job: i64) -> Job {
        self.store
            .claim(worker, Wanted::One(job), at(200), at(1000))
            .unwrap()
            .expect("a job to take")
    }

    /// Has a dataset made of what the selection means.
    pub fn dataset(&self, name: &str, selection: &ConversationFilter) -> i64 {
        let job = self.export(name, selection);
        self.claim("w", job);
        let dataset = NewDataset { name: name.into(), ..NewDataset::default() };
        self.store.finish_export(job, "w", JobState::Completed, "{}", &dataset, at(300)).unwrap()
    }

    pub fn job(&self, id: i64) -> Job {
        self.store.job(&self.scope(), id).unwrap().expect("a job")
    }

    /// Does SQL behind the store's back; says how many rows it changed.
    pub fn sql(&self, sql: &str) -> u64 {
        self.try_sql(sql).unwrap()
    }

    /// As [`Place::sql`], or what the database said against it.
    pub fn try_sql(&self, sql: &str) -> Result<u64, String> {
        match self.store.file() {
            Some(path) => rusqlite::Connection::open(path)
                .unwrap()
                .execute(sql, [])
                .map(|changed| changed as u64)
                .map_err(|error| error.to_string()),
            None => self.client().execute(sql, &[]).map_err(|error| format!("{error:?}")),
        }
    }

    /// Asks for a number behind the store's back.
    pub fn number(&self, sql: &str) -> i64 {
        match self.store.file() {
            Some(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.query_row(sql, [], |row| row.get(0)).unwrap()
            }
            None => self.client().query_one(sql, &[]).unwrap().get(0),
        }
    }

    pub fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url, postgres::NoTls).unwrap()
    }

    pub fn is_postgres(&self) -> bool {
        self.store.file().is_none()
    }
}

/// So many seconds after a moment.
pub fn at(seconds: i64) -> Time {
    Time::from_unix_micros(1_700_000_000_000_000 + seconds * 1_000_000).unwrap()
}

pub fn everything() -> ConversationFilter {
    ConversationFilter::default()
}

pub fn ids(some: &[&str]) -> ConversationFilter {
    ConversationFilter {
        ids: some.iter().map(|&id| id.to_owned()).collect(),
        ..ConversationFilter::default()
    }
}

/// A link to be made by ann.
pub fn link(link: &str, conversation: i64) -> NewShare<'static> {
    NewShare {
        conversation,
        secret: secret_of(link),
        creator: "ann",
        person: None,
        password: None,
        shows: 5,
        expires_at: None,
    }
}

/// What stands for the hash of a secret.
pub fn secret_of(text: &str) -> [u8; 32] {
    let mut secret = [0; 32];
    for (place, byte) in text.bytes().enumerate() {
        secret[place % 32] ^= byte;
    }
    secret
}

/// An entry of ann's to be added.
pub fn entry(project: Option<i64>, action: Action, object: &str) -> NewAudit<'_> {
    NewAudit {
        project,
        person: Some("ann"),
        action,
        object,
        is_refused: false,
        address: None,
        request: None,
    }
}

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as usize
    }

    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A webhook for all exports, or for the runs of one schedule.
pub fn webhook_to(url: &str, schedule: Option<i64>) -> NewWebhook<'_> {
    NewWebhook { url, secret: "key", link_hours: None, schedule }
}

/// Queries, any of which may match.
pub fn queries(texts: &[&str]) -> Vec<Query> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}
