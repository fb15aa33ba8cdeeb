//! Erasures of everything of a person, and the tombstones by which imports refuse what was erased.
//!
//! A tombstone is a keyed hash (HMAC-SHA-256, cut to 128 bits) of a person's name, of an item's id, or of its canonical line.
//! The texts cannot be read from it; who has the store has the key, too, and can test a guess.

use std::collections::{HashMap, HashSet};

use hmac::{Hmac, KeyInit, Mac};
use retort_json::RawJson;
use retort_model::bounds::{PAGE_ITEMS, ROWS_AT_ONCE};
use retort_model::{ErasureState, ItemKind, JobState, Time};
use sha2::Sha256;

use crate::columns::{PURGED, key_text, moment};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::importer::Importer;
use crate::items::{held_by, table};
use crate::judged_by::{JUDGED, push_judged};
use crate::page::page_of;
use crate::statement::Statement;
use crate::store::{next, take_turn};
use crate::traces;

/// Secrets of the store, by their rows of `meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreSecret {
    /// The key that signs receipts of erasures.
    Signing,
    /// The key of tombstones.
    Tombstones,
}

impl StoreSecret {
    fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing_key",
            Self::Tombstones => "tombstone_key",
        }
    }
}

/// An erasure of everything of a person in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredErasure {
    /// Its number.
    pub id: i64,
    /// The number of the project.
    pub project: i64,
    /// Who asked for it.
    pub creator: String,
    /// How far it is.
    pub state: ErasureState,
    /// The name of the person, until it is completed.
    pub person: Option<String>,
    /// The keyed hash of the name.
    pub name_hash: String,
    /// What was found and done, as the service wrote it.
    pub detail: String,
    /// What keeps it from being completed.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The signed receipt, once it is completed.
    pub receipt: Option<String>,
}

impl StoredErasure {
    /// Whether it is under way and is of a person of this name.
    pub fn is_of(&self, name: &str) -> bool {
        self.person.as_deref() == Some(&*key_text(name))
    }
}

const ERASURE: &str = "SELECT id, project, creator, state, person, name_hash, detail, error, created_at, finished_at, receipt \
                       FROM erasure";

fn read_erasure(row: &Row<'_>) -> Result<StoredErasure, Error> {
    Ok(StoredErasure {
        id: row.int(0)?,
        project: row.int(1)?,
        creator: row.text(2)?,
        state: row.text(3)?.parse().map_err(Error::Damaged)?,
        person: row.text_or_none(4)?,
        name_hash: row.text(5)?,
        detail: row.text(6)?,
        error: row.text_or_none(7)?,
        created_at: moment(row.int(8)?),
        finished_at: row.int_or_none(9)?.and_then(moment),
        receipt: row.text_or_none(10)?,
    })
}

/// The key of tombstones.
struct Hasher([u8; 32]);

impl Hasher {
    /// That of a store in which something was erased.
    fn of_store(connection: &mut Connection) -> Result<Self, Error> {
        let key = read_secret(connection, StoreSecret::Tombstones)?;
        key.map(Self).ok_or_else(|| Error::Damaged("the key of its tombstones is missing".into()))
    }

    /// The hash of texts. Each is hashed behind its length.
    fn hash(&self, texts: &[&[u8]]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text);
        }
        hex(mac.finalize().into_bytes().get(..16).unwrap_or_default())
    }

    fn of_person(&self, name: &str) -> String {
        self.hash(&[b"person", key_text(name).as_bytes()])
    }

    fn of_id(&self, kind: ItemKind, among: &str, id: &str) -> String {
        let (among, id) = (key_text(among), key_text(id));
        self.hash(&[b"id", kind.as_str().as_bytes(), among.as_bytes(), id.as_bytes()])
    }

    fn of_content(&self, kind: ItemKind, digest: &[u8]) -> String {
        self.hash(&[b"content", kind.as_str().as_bytes(), digest])
    }
}

/// The people who were erased from a project, by their tombstones.
pub struct ErasedPeople {
    hasher: Hasher,
    /// The last erasure of each, by the hash of their name.
    erasures: HashMap<String, i64>,
}

impl ErasedPeople {
    /// Whether a person of this name was erased.
    pub fn contains(&self, name: &str) -> bool {
        self.erasure_of(name).is_some()
    }

    /// The last erasure of a person of this name.
    pub fn erasure_of(&self, name: &str) -> Option<i64> {
        self.erasures.get(&self.hasher.of_person(name)).copied()
    }
}

/// Where texts are kept that say which items are meant, and that can name a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedIn {
    /// Plans of exports that ended.
    Exports,
    /// Plans of schedules.
    Schedules,
    /// Filters of saved views.
    Views,
    /// Selections in progress.
    Choices,
}

impl AskedIn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exports, Self::Schedules, Self::Views, Self::Choices];

    /// The table, the column of the text, and which rows count.
    fn place(self) -> [&'static str; 3] {
        match self {
            Self::Exports => {
                ["job", "plan", " AND kind = 'export' AND state NOT IN ('queued', 'running')"]
            }
            Self::Schedules => ["schedule", "plan", ""],
            Self::Views => ["saved_view", "filter", ""],
            Self::Choices => ["choice", "choice", ""],
        }
    }
}

/// Columns with the name of the person who made a row, in tables of a project.
const MADE_BY: [(&str, &str); 14] = [
    ("dataset", "creator"),
    ("job", "creator"),
    ("schedule", "creator"),
    ("share", "creator"),
    ("invitation", "creator"),
    ("invitation", "name"),
    ("erasure", "creator"),
    ("notice", "creator"),
    ("webhook", "creator"),
    ("conversation", "importer"),
    ("run", "importer"),
    ("document", "importer"),
    ("saved_view", "creator"),
    ("choice", "person"),
];

/// An item that comes in.
pub(crate) struct Arriving<'a> {
    pub(crate) kind: ItemKind,
    /// The import format, or the copilot or recipe that ran.
    pub(crate) among: &'a str,
    pub(crate) id: &'a str,
    pub(crate) owner: Option<&'a str>,
    pub(crate) digest: &'a [u8],
}

/// The column that tells items of one id apart, and what it takes to have it: the import format, or the copilot or recipe.
fn among(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation | ItemKind::Document => "c.source",
        ItemKind::Run => "f.id",
    }
}

fn join(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation | ItemKind::Document => "",
        ItemKind::Run => " JOIN flow f ON f.key = c.flow",
    }
}

/// Whether each of the items that come in was erased: its person, or the item by its content or its id. The id alone counts
/// where nobody is named who owns the item, and where the importer is no member, whose ids are their own.
pub(crate) fn are_erased(
    connection: &mut Connection,
    importer: &Importer<'_>,
    items: &[Arriving<'_>],
) -> Result<Vec<bool>, Error> {
    let project = importer.scope.project;
    let sql = "SELECT erasure FROM tombstone WHERE project = $1 LIMIT 1";
    if connection.row(sql, &[project.into()], |row| row.int(0))?.is_none() {
        return Ok(vec![false; items.len()]);
    }
    let hasher = Hasher::of_store(connection)?;
    let mut erased = Vec::with_capacity(items.len());
    for some in items.chunks(ROWS_AT_ONCE / 3) {
        let hashes: Vec<[Option<String>; 3]> = some
            .iter()
            .map(|one| {
                let holder = match one.kind {
                    ItemKind::Document => importer.column(),
                    ItemKind::Conversation | ItemKind::Run => importer.holder_of(one.owner),
                };
                let is_by_id = one.owner.is_none() && importer.scope.owner.is_none();
                [
                    holder.map(|name| hasher.of_person(&name)),
                    Some(hasher.of_content(one.kind, one.digest)),
                    is_by_id.then(|| hasher.of_id(one.kind, one.among, one.id)),
                ]
            })
            .collect();
        let mut statement = Statement::new("SELECT hash FROM tombstone WHERE project = ");
        statement.int(project).push(" AND hash IN (");
        statement.each(", ", hashes.iter().flatten().flatten(), |list, hash| list.text(hash));
        statement.push(")");
        let found = connection.rows(&statement.sql, &statement.values(), |row| row.text(0))?;
        let found: HashSet<String> = found.into_iter().collect();
        erased.extend(hashes.iter().map(|all| all.iter().flatten().any(|one| found.contains(one))));
    }
    Ok(erased)
}

fn read_secret(
    connection: &mut Connection,
    secret: StoreSecret,
) -> Result<Option<[u8; 32]>, Error> {
    let sql = "SELECT value FROM meta WHERE name = $1";
    let Some(text) = connection.row(sql, &[secret.name().into()], |row| row.text(0))? else {
        return Ok(None);
    };
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * place..2 * place + 2);
        let read = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        *byte = read.ok_or_else(|| Error::Damaged(format!("its {} is no key", secret.name())))?;
    }
    Ok(Some(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl crate::Store {
    /// A secret of the store, which is `fresh` if there was none.
    pub fn secret(&self, secret: StoreSecret, fresh: &[u8; 32]) -> Result<[u8; 32], Error> {
        self.write(|connection| {
            let sql =
                "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
            connection.execute(sql, &[secret.name().into(), Value::Text(&hex(fresh))])?;
            Ok(read_secret(connection, secret)?.unwrap_or(*fresh))
        })
    }

    /// Begins an erasure, unless one of the same person is under way, which is returned then. `fresh` becomes the key of
    /// tombstones if there is none.
    pub fn begin_erasure(
        &self,
        project: i64,
        creator: &str,
        person: &str,
        fresh: &[u8; 32],
        now: Time,
    ) -> Result<i64, Error> {
        let hasher = Hasher(self.secret(StoreSecret::Tombstones, fresh)?);
        let hash = hasher.of_person(person);
        self.write(|connection| {
            take_turn(connection)?;
            let sql = "SELECT id FROM erasure WHERE project = $1 AND name_hash = $2 AND state = 'running'";
            let values = [project.into(), Value::Text(&hash)];
            if let Some(id) = connection.row(sql, &values, |row| row.int(0))? {
                return Ok(id);
            }
            let id = next(connection, "erasure", 1)?;
            let sql = "INSERT INTO erasure (id, project, creator, state, person, name_hash, detail, created_at)
                       VALUES ($1, $2, $3, $4, $5, $6, '', $7)";
            let values = [
                id.into(),
                project.into(),
                Value::Text(creator),
                ErasureState::Running.as_str().into(),
                Value::Text(&key_text(person)),
                Value::Text(&hash),
                Value::Int(now.unix_micros()),
            ];
            connection.execute(sql, &values)?;
            bury(connection, (project, id), std::slice::from_ref(&hash))?;
            Ok(id)
        })
    }

    /// Writes tombstones of all items that a person holds; how many items.
    pub fn bury_held(&self, project: i64, erasure: i64, name: &str) -> Result<u64, Error> {
        let mut count = 0;
        for &kind in ItemKind::ALL {
            let (among, join) = (among(kind), join(kind));
            let mut behind = 0;
            loop {
                let mut statement = Statement::new(format!(
                    "SELECT c.key, {among}, c.id, c.digest FROM {} c{join} WHERE c.project = ",
                    table(kind)
                ));
                statement.int(project).push(&format!(" AND c.{} = ", held_by(kind))).key(name);
                statement.push(&format!(" AND c.status <> {PURGED} AND c.key > ")).int(behind);
                statement.push(" ORDER BY c.key").at_most(PAGE_ITEMS);
                let page = self.write(|connection| {
                    let hasher = Hasher::of_store(connection)?;
                    let (mut hashes, mut last) = (Vec::new(), None);
                    connection.each(&statement.sql, &statement.values(), &mut |row| {
                        last = Some(row.int(0)?);
                        hashes.push(hasher.of_id(kind, &row.text(1)?, &row.text(2)?));
                        let digest = row.bytes(3)?.unwrap_or_default();
                        hashes.push(hasher.of_content(kind, digest));
                        count += 1;
                        Ok(())
                    })?;
                    bury(connection, (project, erasure), &hashes)?;
                    Ok(last)
                })?;
                match page {
                    Some(last) => behind = last,
                    None => break,
                }
            }
        }
        Ok(count)
    }

    /// Public links to conversations that a person holds.
    pub fn shares_of_held(&self, project: i64, name: &str) -> Result<u64, Error> {
        let mut statement = Statement::new(
            "SELECT COUNT(*) FROM share s JOIN conversation c ON c.key = s.conversation WHERE c.project = ",
        );
        statement.int(project).push(" AND c.holder = ").key(name);
        let count = self.read(|connection| {
            connection.row(&statement.sql, &statement.values(), |row| row.int(0))
        })?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// Cancels the exports under way that have something that a person holds, or about which they said something; their
    /// numbers.
    pub fn cancel_exports_of_held(&self, project: i64, name: &str) -> Result<Vec<i64>, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let mut statement = Statement::new(
                "SELECT id FROM job WHERE state IN ('queued', 'running') AND kind = 'export' AND project = ",
            );
            statement.int(project).push(" AND id IN (SELECT i.job FROM job_item i WHERE i.item IN (");
            statement.each(" UNION ALL ", ItemKind::ALL.iter().copied(), |items, kind| {
                items.push(&format!("SELECT c.key FROM {} c WHERE c.project = ", table(kind)));
                items.int(project).push(&format!(" AND c.{} = ", held_by(kind))).key(name)
            });
            for kind in JUDGED {
                statement.push(" UNION ALL SELECT c.key");
                push_judged(&mut statement, connection.dialect(), kind, (project, name), true);
            }
            statement.push(")) ORDER BY id");
            let jobs = connection.rows(&statement.sql, &statement.values(), |row| row.int(0))?;
            for job in &jobs {
                connection.execute("UPDATE job SET cancel = 1 WHERE id = $1", &[(*job).into()])?;
            }
            Ok(jobs)
        })
    }

    /// Traces that a person sent or will hold, and that wait to be imported or are kept for later spans.
    pub fn traces_of(&self, project: i64, name: &str) -> Result<u64, Error> {
        let sql =
            "SELECT COUNT(*) FROM open_trace WHERE project = $1 AND (holder = $2 OR importer = $2)";
        let values = [project.into(), Value::Text(&key_text(name))];
        let count = self.read(|connection| connection.row(sql, &values, |row| row.int(0)))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// Deletes the spans of a person that wait for the rest of their trace, or are kept for later ones.
    pub fn forget_traces_of(&self, project: i64, name: &str) -> Result<u64, Error> {
        self.write(|connection| traces::forget_held(connection, project, &key_text(name)))
    }

    /// The states of jobs, and the datasets that they made, in the order of their numbers.
    pub fn job_ends(&self, jobs: &[i64]) -> Result<Vec<(i64, JobState, Option<i64>)>, Error> {
        let mut ends = Vec::new();
        for some in jobs.chunks(ROWS_AT_ONCE) {
            let mut statement = Statement::new("SELECT id, state, dataset FROM job WHERE id IN (");
            statement.each(", ", some, |list, job| list.int(*job)).push(") ORDER BY id");
            ends.extend(self.read(|connection| {
                connection.rows(&statement.sql, &statement.values(), |row| {
                    let state = row.text(1)?.parse().map_err(Error::Damaged)?;
                    Ok((row.int(0)?, state, row.int_or_none(2)?))
                })
            })?);
        }
        Ok(ends)
    }

    /// Keeps what an erasure found and did so far, and what keeps it from being completed.
    pub fn note_erasure(
        &self,
        erasure: i64,
        detail: &str,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "UPDATE erasure SET detail = $1, error = $2 WHERE id = $3 AND state = 'running'";
        let values = [detail.into(), error.into(), erasure.into()];
        self.write(|connection| connection.execute(sql, &values)).map(|_| ())
    }

    /// Completes an erasure that is under way, with its detail and its signed receipt, and forgets the person's name.
    pub fn complete_erasure(
        &self,
        erasure: i64,
        (detail, receipt): (&str, &str),
        now: Time,
    ) -> Result<(), Error> {
        let sql = "UPDATE erasure SET state = $1, detail = $2, receipt = $3, finished_at = $4, person = NULL, error = NULL
                   WHERE id = $5 AND state = 'running'";
        let values = [
            ErasureState::Completed.as_str().into(),
            detail.into(),
            receipt.into(),
            Value::Int(now.unix_micros()),
            erasure.into(),
        ];
        self.write(|connection| connection.execute(sql, &values))?;
        self.erase()
    }

    /// Erasures under way, of all projects.
    pub fn running_erasures(&self) -> Result<Vec<StoredErasure>, Error> {
        let sql = format!("{ERASURE} WHERE state = 'running' ORDER BY id");
        self.read(|connection| connection.rows(&sql, &[], read_erasure))
    }

    /// Erasures of a project, the newest first, behind the one of number `after`; and whether there are more.
    pub fn erasures(
        &self,
        project: i64,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<StoredErasure>, bool), Error> {
        let mut statement = Statement::new(ERASURE);
        statement.push(" WHERE project = ").int(project).newest_behind("id", after, most);
        // The details are not shown in a list.
        let room =
            |one: &StoredErasure| one.detail.len() + one.receipt.as_ref().map_or(0, String::len);
        self.read(|connection| page_of(connection, &statement, most, read_erasure, room))
    }

    /// An erasure of a project.
    pub fn stored_erasure(&self, project: i64, id: i64) -> Result<Option<StoredErasure>, Error> {
        let sql = format!("{ERASURE} WHERE project = $1 AND id = $2");
        self.read(|connection| connection.row(&sql, &[project.into(), id.into()], read_erasure))
    }

    /// Deletes the bare ids of purged items that no dataset and no export names any more, replaces those that an erasure
    /// purged and that an export still names, such as one that failed; how many ids. What this leaves behind the rows goes
    /// when the erasure is completed.
    pub fn forget_bare_ids(&self, project: i64, erasure: i64) -> Result<u64, Error> {
        let mut count = 0;
        for &kind in ItemKind::ALL {
            let table = table(kind);
            let sql = format!(
                "DELETE FROM {table} WHERE key IN (
                     SELECT c.key FROM {table} c WHERE c.project = $1 AND c.status = {PURGED}
                         AND NOT EXISTS (SELECT 1 FROM job_item i WHERE i.item = c.key)
                     ORDER BY c.key LIMIT {PAGE_ITEMS})"
            );
            loop {
                let gone = self.write(|connection| {
                    take_turn(connection)?;
                    connection.execute(&sql, &[project.into()])
                })?;
                count += gone;
                if gone < PAGE_ITEMS as u64 {
                    break;
                }
            }
            count += self.replace_bare_ids(kind, project, erasure)?;
        }
        Ok(count)
    }

    fn replace_bare_ids(&self, kind: ItemKind, project: i64, erasure: i64) -> Result<u64, Error> {
        let (mut count, mut behind) = (0, 0);
        let among = among(kind);
        let sql = format!(
            "SELECT c.key, {among}, c.id FROM {} c{} WHERE c.project = $1 AND c.status = {PURGED} AND c.key > $2
             ORDER BY c.key LIMIT {PAGE_ITEMS}",
            table(kind),
            join(kind)
        );
        let replace = format!("UPDATE {} SET id = $1 WHERE key = $2", table(kind));
        loop {
            let last = self.write(|connection| {
                take_turn(connection)?;
                let hasher = Hasher::of_store(connection)?;
                let values = [project.into(), Value::Int(behind)];
                let rows = connection.rows(&sql, &values, |row| {
                    Ok((row.int(0)?, hasher.of_id(kind, &row.text(1)?, &row.text(2)?)))
                })?;
                for (key, hash) in &rows {
                    let buried = "SELECT erasure FROM tombstone WHERE project = $1 AND hash = $2 AND erasure = $3";
                    let values = [project.into(), Value::Text(hash), erasure.into()];
                    if connection.row(buried, &values, |row| row.int(0))?.is_some() {
                        let id = format!("[erased {key}]");
                        connection.execute(&replace, &[Value::Text(&id), (*key).into()])?;
                        count += 1;
                    }
                }
                Ok(rows.last().map(|row| row.0))
            })?;
            match last {
                Some(last) => behind = last,
                None => return Ok(count),
            }
        }
    }

    /// Lifts the erasures of a person: what they left no longer keeps items out. How many there were.
    pub fn lift_erasures(&self, project: i64, name: &str) -> Result<u64, Error> {
        self.write(|connection| {
            let Some(key) = read_secret(connection, StoreSecret::Tombstones)? else { return Ok(0) };
            let hash = Hasher(key).of_person(name);
            let values = [project.into(), Value::Text(&hash)];
            let of = "SELECT id FROM erasure WHERE project = $1 AND name_hash = $2 AND state <> 'running'";
            let count = connection.rows(of, &values, |row| row.int(0))?.len();
            let sql = format!("DELETE FROM tombstone WHERE erasure IN ({of})");
            let gone = connection.execute(&sql, &values)?;
            Ok(if gone == 0 { 0 } else { count as u64 })
        })
    }

    /// Claims the lease of a running erasure until a moment. Returns false if another process holds it.
    pub fn claim_erasure(&self, erasure: i64, now: Time, until: Time) -> Result<bool, Error> {
        let sql = "UPDATE erasure SET lease_until = $1
                   WHERE id = $2 AND state = 'running' AND (lease_until IS NULL OR lease_until < $3)";
        let values =
            [Value::Int(until.unix_micros()), erasure.into(), Value::Int(now.unix_micros())];
        self.write(|connection| connection.execute(sql, &values)).map(|rows| rows > 0)
    }

    /// Has the process whose lease of an erasure ends at `held` go on until another moment; without one, others may. False
    /// if another process has claimed it since.
    pub fn keep_erasure(
        &self,
        erasure: i64,
        held: Time,
        until: Option<Time>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE erasure SET lease_until = $1
                   WHERE id = $2 AND state = 'running' AND lease_until = $3";
        let values =
            [until.map(Time::unix_micros).into(), erasure.into(), Value::Int(held.unix_micros())];
        self.write(|connection| connection.execute(sql, &values)).map(|rows| rows > 0)
    }

    /// The people who were erased from a project; none if nobody was.
    pub fn erased_people(&self, project: i64) -> Result<Option<ErasedPeople>, Error> {
        self.read(|connection| {
            let sql = "SELECT e.name_hash, MAX(e.id) FROM erasure e JOIN tombstone t ON t.project = e.project AND t.hash = e.name_hash
                       WHERE e.project = $1 GROUP BY e.name_hash";
            let read = |row: &Row<'_>| Ok((row.text(0)?, row.int(1)?));
            let found = connection.rows(sql, &[project.into()], read)?;
            if found.is_empty() {
                return Ok(None);
            }
            let erasures = found.into_iter().collect();
            Ok(Some(ErasedPeople { hasher: Hasher::of_store(connection)?, erasures }))
        })
    }

    /// The texts of a project that are kept there and in which a text occurs.
    pub fn asked_with(
        &self,
        project: i64,
        place: AskedIn,
        text: &str,
    ) -> Result<Vec<String>, Error> {
        let [table, column, which] = place.place();
        let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE project = $1{which}");
        let mut found = Vec::new();
        self.read(|connection| {
            connection.each(&sql, &[project.into()], &mut |row| {
                let asked = row.text(0)?;
                if asked.contains(text) {
                    found.push(asked);
                }
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// Replaces a text that is kept there.
    pub fn replace_asked(
        &self,
        project: i64,
        place: AskedIn,
        (was, becomes): (&str, &str),
    ) -> Result<(), Error> {
        let [table, column, which] = place.place();
        let sql =
            format!("UPDATE {table} SET {column} = $1 WHERE project = $2 AND {column} = $3{which}");
        let values = [becomes.into(), project.into(), was.into()];
        self.write(|connection| connection.execute(&sql, &values)).map(|_| ())
    }

    /// Puts a number in the place of a person's name where it says who made or imported something of a project, unless the
    /// person is in the project: what they made is theirs as long as they have an account. Returns whether they are not.
    pub fn forget_maker(&self, project: i64, erasure: i64, name: &str) -> Result<bool, Error> {
        let name = key_text(name);
        let label = format!("[erased {erasure}]");
        self.write(|connection| {
            take_turn(connection)?;
            let sql = "SELECT p.id FROM person p JOIN membership m ON m.person = p.id
                       WHERE m.project = $1 AND p.name = $2";
            let values = [project.into(), Value::Text(&name)];
            if connection.row(sql, &values, |row| row.int(0))?.is_some() {
                return Ok(false);
            }
            let values = [Value::Text(&label), project.into(), Value::Text(&name)];
            for (table, column) in MADE_BY {
                let sql = format!(
                    "UPDATE {table} SET {column} = $1 WHERE project = $2 AND {column} = $3"
                );
                connection.execute(&sql, &values)?;
            }
            // Answers to repeated requests are kept for a day. A name is meant where it is a whole text of the JSON.
            let quoted = RawJson::string(&name);
            let sql = format!(
                "DELETE FROM answered WHERE status IS NOT NULL AND {}(body, $1) > 0",
                connection.dialect().position()
            );
            connection.execute(&sql, &[Value::Text(quoted.as_str())])?;
            // The space of ids of which only the bare ids are left.
            for table in ["conversation", "run"] {
                let sql =
                    format!("UPDATE {table} SET space = $1 WHERE project = $2 AND space = $3");
                connection.execute(&sql, &values)?;
            }
            Ok(true)
        })
    }
}

fn bury(
    connection: &mut Connection,
    (project, erasure): (i64, i64),
    hashes: &[String],
) -> Result<(), Error> {
    for hash in hashes {
        // Where an erasure was interrupted, the next one takes over.
        let sql = "INSERT INTO tombstone (project, hash, erasure) VALUES ($1, $2, $3)
                   ON CONFLICT (project, hash) DO UPDATE SET erasure = excluded.erasure";
        let values = [project.into(), Value::Text(hash), erasure.into()];
        connection.execute(sql, &values)?;
    }
    Ok(())
}
