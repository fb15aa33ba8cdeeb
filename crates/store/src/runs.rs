//! Runs coming in and purged.

use std::collections::{BTreeSet, HashMap};

use retort_model::bounds::{PAGE_ITEMS, ROWS_AT_ONCE};
use retort_model::{ItemKind, NodeKind, RunFeatures, RunFilter, RunSource, RunStatus, Scope, Time};

use crate::body::{BodyHead, PackedBody, Unpacker};
use crate::columns::{PURGED, key_text, micros, whole};
use crate::conversations::{MANY, Taken, drop_body, is_exporting};
use crate::dialect::{Connection, Dialect, Value};
use crate::erasures::{Arriving, are_erased};
use crate::error::Error;
use crate::filter::SearchBy;
use crate::importer::Importer;
use crate::items::{
    insert_bodies, is_named, purge_bodies, unpack_incoming, unpack_stored, write_bodies,
};
use crate::run_features::RunFeatureColumns;
use crate::run_filter::{
    HAS_ERROR, HAS_FEEDBACK, column, flows_meant, number_of_node_kind, number_of_run_status,
    number_of_source, push_runs, run_search_text,
};
use crate::statement::{Statement, insert};
use crate::store::{CHANGED_NOW, next, take_turn};
use crate::traces::forget_imported;

/// A run as an import brings it.
#[derive(Clone, Debug, Default)]
pub struct IncomingRun {
    /// The source's id.
    pub id: String,
    /// What ran.
    pub source: RunSource,
    /// Id of the copilot or recipe.
    pub flow: String,
    /// Its name.
    pub flow_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who started it.
    pub owner: Option<String>,
    /// The conversation that it belongs to.
    pub thread: Option<String>,
    /// How it ended.
    pub status: RunStatus,
    /// Whether someone judged it.
    pub has_feedback: bool,
    /// Whether it failed or names an error.
    pub has_error: bool,
    /// What filters ask beyond that.
    pub features: RunFeatures,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The nodes that it passed, each once.
    pub nodes: BTreeSet<(String, NodeKind)>,
    /// How many nodes it passed.
    pub node_count: u64,
    /// How many files belong to it.
    pub files: u64,
    /// The beginning of the question.
    pub question: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
    /// The beginning of the error.
    pub error: Option<String>,
    /// A hash of version and nodes.
    pub variant: [u8; 16],
    /// A hash of its canonical line.
    pub digest: [u8; 16],
    /// Bytes of its canonical line.
    pub size: u64,
    /// The line, compressed.
    pub body: PackedBody,
}

/// What becomes of a run that is there and comes again, by its two canonical lines.
#[derive(Clone, Debug)]
pub enum Updated {
    /// It becomes this.
    To(Box<IncomingRun>),
    /// It stays; it was so already.
    Same,
    /// It stays; what is there is newer.
    Older,
}

/// Says what becomes of a run that is there (its line) and comes again (its line, and the rest of it).
pub type Update<'u> = dyn FnMut(&[u8], &[u8], &IncomingRun) -> Result<Updated, Error> + 'u;

/// What tells runs of a project apart.
type RunId = (i64, String, String);

/// A run that is there.
struct Known {
    key: i64,
    body: i64,
    head: BodyHead,
    digest: Vec<u8>,
    status: i64,
    owner: Option<String>,
    importer: Option<String>,
    holder: Option<String>,
    space: String,
}

/// A run as it stands while others of its id may still come.
struct State {
    known: Option<Known>,
    /// What it is to become.
    next: Option<Box<IncomingRun>>,
}

const COLUMNS: [&str; 28] = [
    "key",
    "project",
    "id",
    "flow",
    "variant",
    "owner",
    "importer",
    "holder",
    "space",
    "thread",
    "status",
    "marks",
    "started_at",
    "finished_at",
    "nodes",
    "files",
    "question",
    "answer",
    "error",
    "search",
    "digest",
    "size",
    "body",
    "models",
    "least_score",
    "most_score",
    "environment",
    "judges",
];

impl crate::Store {
    /// Takes in runs, all or none: new ones are added; what becomes of those that are there says `update`. What a
    /// member imports never meets what others hold.
    ///
    /// # Errors
    /// Those of the database and of `update`; nothing is taken then.
    pub fn take_in_runs(
        &self,
        importer: &Importer<'_>,
        incoming: &[IncomingRun],
        update: &mut Update<'_>,
    ) -> Result<Vec<Taken>, Error> {
        let mut unpacker = self.unpacker();
        let taken = self.write(|connection| {
            if incoming.len() >= MANY {
                connection.widen()?;
            }
            take_turn(connection)?;
            let (taken, states) = decide(connection, importer, incoming, &mut unpacker, update)?;
            write(connection, importer, states)?;
            Ok(taken)
        })?;
        if incoming.len() >= MANY {
            // What came in is committed: if the log cannot be emptied now, the next batch tries again.
            let _ = self.bound_log();
        }
        Ok(taken)
    }

    /// What [`Store::take_in_runs`](crate::Store::take_in_runs) would do, where nothing came before.
    ///
    /// # Errors
    /// Those of the database and of `update`.
    pub fn would_take_in_runs(
        &self,
        importer: &Importer<'_>,
        incoming: &[IncomingRun],
        update: &mut Update<'_>,
    ) -> Result<Vec<Taken>, Error> {
        let mut unpacker = self.unpacker();
        self.read(|connection| Ok(decide(connection, importer, incoming, &mut unpacker, update)?.0))
    }

    /// Takes everything away of the runs that scope and selection mean, also from exports under way; the bare id of
    /// one stays if a dataset names it. Says how many are gone. Many are purged a page at a time, each page whole.
    pub fn purge_runs(&self, scope: &Scope, selection: &RunFilter) -> Result<u64, Error> {
        let mut gone = 0;
        loop {
            let count = self.write(|connection| {
                take_turn(connection)?;
                let flows = flows_meant(connection, scope, selection)?;
                let mut statement = Statement::new("SELECT c.key, c.body, c.variant, c.flow");
                let dialect = connection.dialect();
                let flows = flows.as_deref();
                push_runs(&mut statement, dialect, scope, selection, flows, SearchBy::Rows);
                statement.push(" ORDER BY c.key").at_most(PAGE_ITEMS);
                let found = connection.rows(&statement.sql, &statement.values(), |row| {
                    Ok([row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?])
                })?;
                purge(connection, &found)?;
                forget_imported(connection, scope.project)?;
                Ok(found.len())
            })?;
            gone += count as u64;
            if count < PAGE_ITEMS {
                self.erase()?;
                return Ok(gone);
            }
        }
    }
}

fn id_of(one: &IncomingRun) -> RunId {
    let source = number_of_source(one.source);
    (source, key_text(&one.flow).into_owned(), key_text(&one.id).into_owned())
}

/// Decides what becomes of each, in order.
fn decide(
    connection: &mut Connection,
    importer: &Importer<'_>,
    incoming: &[IncomingRun],
    unpacker: &mut Unpacker<'_>,
    update: &mut Update<'_>,
) -> Result<(Vec<Taken>, HashMap<RunId, State>), Error> {
    let mut states = known(connection, importer, incoming)?;
    let arriving = incoming.iter().map(|one| Arriving {
        kind: ItemKind::Run,
        among: &one.flow,
        id: &one.id,
        owner: one.owner.as_deref(),
        digest: &one.digest,
    });
    let erased = are_erased(connection, importer, &arriving.collect::<Vec<_>>())?;
    let mut taken = Vec::with_capacity(incoming.len());
    for (one, is_erased) in incoming.iter().zip(erased) {
        if is_erased {
            taken.push(Taken::Erased);
            continue;
        }
        let state = states.entry(id_of(one)).or_insert(State { known: None, next: None });
        // A run in a member's own space is the one that an admin imports only if it is just the same.
        if state.next.is_none()
            && let Some(known) = &state.known
            && importer.scope.owner.is_none()
            && !known.space.is_empty()
            && (known.status == PURGED || known.digest != one.digest)
        {
            state.known = None;
        }
        let there = state.known.as_ref();
        let is_purged = there.is_some_and(|known| known.status == PURGED);
        let digest = match (&state.next, there) {
            (Some(next), _) => &next.digest[..],
            (None, Some(known)) if !is_purged => &known.digest[..],
            (None, _) => {
                state.next = Some(Box::new(one.clone()));
                taken.push(Taken::New);
                continue;
            }
        };
        if digest == one.digest {
            taken.push(Taken::Same);
            continue;
        }
        let (mut was, mut came) = (Vec::new(), Vec::new());
        match (&state.next, there) {
            (Some(next), _) => unpack_incoming(unpacker, &next.body, next.size, &mut was)?,
            (None, Some(known)) => {
                let stored = (known.body, known.head);
                unpack_stored(connection, unpacker, ItemKind::Run, stored, &mut was)?;
            }
            (None, None) => {}
        }
        unpack_incoming(unpacker, &one.body, one.size, &mut came)?;
        taken.push(match update(&was, &came, one)? {
            Updated::To(next) => {
                state.next = Some(next);
                Taken::Updated
            }
            Updated::Same => Taken::Same,
            Updated::Older => Taken::Older,
        });
    }
    Ok((taken, states))
}

/// What is there under the ids that come in.
fn known(
    connection: &mut Connection,
    importer: &Importer<'_>,
    incoming: &[IncomingRun],
) -> Result<HashMap<RunId, State>, Error> {
    let mut found = HashMap::new();
    for some in incoming.chunks(ROWS_AT_ONCE) {
        let mut statement = Statement::new(
            "SELECT c.key, f.source, f.id, c.id, c.body, c.size, c.digest, c.status, c.owner, c.importer, c.holder,
                 c.space FROM run c JOIN flow f ON f.key = c.flow WHERE c.project = ",
        );
        statement.int(importer.scope.project);
        if let Some(member) = &importer.scope.owner {
            statement.push(" AND (c.holder = ").key(member).push(" OR c.space = ");
            statement.key(member).push(")");
        }
        statement.push(" AND c.id IN (").each(", ", some, |list, one| list.key(&one.id));
        statement.push(") ORDER BY c.space <> '', c.key");
        connection.each(&statement.sql, &statement.values(), &mut |row| {
            let size = usize::try_from(row.int(5)?).unwrap_or(usize::MAX);
            let known = Known {
                key: row.int(0)?,
                body: row.int(4)?,
                head: BodyHead { size, ..BodyHead::default() },
                digest: row.bytes(6)?.unwrap_or_default().to_vec(),
                status: row.int(7)?,
                owner: row.text_or_none(8)?,
                importer: row.text_or_none(9)?,
                holder: row.text_or_none(10)?,
                space: row.text(11)?,
            };
            let id = (row.int(1)?, row.text(2)?, row.text(3)?);
            // The first counts: what is the project's, or else the oldest.
            found.entry(id).or_insert(State { known: Some(known), next: None });
            Ok(())
        })?;
    }
    Ok(found)
}

/// Writes what is new or has changed, in the order of the ids, so that numbers do not depend on chance.
fn write(
    connection: &mut Connection,
    importer: &Importer<'_>,
    states: HashMap<RunId, State>,
) -> Result<(), Error> {
    let project = importer.scope.project;
    let mut places = Places { project, flows: HashMap::new(), variants: HashMap::new() };
    let mut new = Vec::new();
    let mut updated = Vec::new();
    for (id, state) in states {
        match (state.known, state.next) {
            (Some(known), Some(next)) => updated.push((known, next)),
            (None, Some(next)) => new.push((id, next)),
            (_, None) => {}
        }
    }
    new.sort_by(|(one, a), (other, b)| {
        micros(a.started_at).cmp(&micros(b.started_at)).then_with(|| one.cmp(other))
    });
    add(connection, (&mut places, importer), &new)?;
    if updated.is_empty() {
        return Ok(());
    }
    updated.sort_by_key(|(known, _)| known.key);
    let exporting = is_exporting(connection)?;
    let inserts = Inserts::of(1);
    for (known, next) in &updated {
        let made = NewRow::of(connection, &mut places, next)?;
        let body = next_number(connection, "body", 1)?;
        write_bodies(connection, &inserts.body, std::iter::once(&next.body), body)?;
        drop_body(connection, known.body, exporting)?;
        forget(connection, known.key)?;
        change(connection, (known, importer), next, &made, body)?;
        if connection.dialect() == Dialect::Sqlite {
            let values = [known.key.into(), Value::Text(&made.search)];
            connection.execute(&inserts.search, &values)?;
        }
    }
    Ok(())
}

fn next_number(connection: &mut Connection, name: &str, count: usize) -> Result<i64, Error> {
    next(connection, name, i64::try_from(count).unwrap_or(i64::MAX))
}

/// The numbers of flows and variants that were found or given out.
struct Places {
    project: i64,
    flows: HashMap<(i64, String), i64>,
    variants: HashMap<(i64, [u8; 16]), i64>,
}

impl Places {
    fn flow(&mut self, connection: &mut Connection, run: &IncomingRun) -> Result<i64, Error> {
        let (source, id) = (number_of_source(run.source), key_text(&run.flow).into_owned());
        let known = self.flows.get(&(source, id.clone())).copied();
        let key = match known {
            Some(key) => key,
            None => {
                let sql = "SELECT key FROM flow WHERE project = $1 AND source = $2 AND id = $3";
                let values = [self.project.into(), source.into(), Value::Text(&id)];
                match connection.row(sql, &values, |row| row.int(0))? {
                    Some(key) => key,
                    None => {
                        let key = next(connection, "flow", 1)?;
                        let sql =
                            "INSERT INTO flow (key, project, source, id) VALUES ($1, $2, $3, $4)";
                        let values =
                            [key.into(), self.project.into(), source.into(), Value::Text(&id)];
                        connection.execute(sql, &values)?;
                        key
                    }
                }
            }
        };
        self.flows.insert((source, id), key);
        Ok(key)
    }

    fn variant(
        &mut self,
        connection: &mut Connection,
        flow: i64,
        run: &IncomingRun,
    ) -> Result<i64, Error> {
        if let Some(key) = self.variants.get(&(flow, run.variant)) {
            return Ok(*key);
        }
        let sql = "SELECT key FROM variant WHERE flow = $1 AND digest = $2";
        let digest = Value::Bytes(&run.variant);
        let found = connection.row(sql, &[flow.into(), digest], |row| row.int(0))?;
        let key = match found {
            Some(key) => key,
            None => {
                let key = next(connection, "variant", 1)?;
                let version = run.version.as_deref().map(key_text);
                let sql =
                    "INSERT INTO variant (key, flow, version, digest) VALUES ($1, $2, $3, $4)";
                let values = [key.into(), flow.into(), version.as_deref().into(), digest];
                connection.execute(sql, &values)?;
                for (node, kind) in &run.nodes {
                    let sql = "INSERT INTO variant_node (variant, node, kind) VALUES ($1, $2, $3)
                               ON CONFLICT DO NOTHING";
                    let kind = Value::Int(number_of_node_kind(*kind));
                    connection.execute(sql, &[key.into(), Value::Text(&key_text(node)), kind])?;
                }
                key
            }
        };
        self.variants.insert((flow, run.variant), key);
        Ok(key)
    }
}

/// A run's columns that have to be made.
struct NewRow {
    id: String,
    flow: i64,
    variant: i64,
    owner: Option<String>,
    holder: Option<String>,
    thread: Option<String>,
    marks: i64,
    question: Option<String>,
    answer: Option<String>,
    error: Option<String>,
    search: String,
    features: RunFeatureColumns,
}

impl NewRow {
    fn of(
        connection: &mut Connection,
        places: &mut Places,
        run: &IncomingRun,
    ) -> Result<Self, Error> {
        let flow = places.flow(connection, run)?;
        if let Some(name) = column(run.flow_name.as_ref()) {
            let sql = "UPDATE flow SET name = $1 WHERE key = $2 AND (name IS NULL OR name <> $1)";
            connection.execute(sql, &[Value::Text(&name), flow.into()])?;
        }
        let texts = [&run.question, &run.answer, &run.error].map(|text| text.as_deref());
        Ok(Self {
            id: key_text(&run.id).into_owned(),
            flow,
            variant: places.variant(connection, flow, run)?,
            owner: run.owner.as_deref().map(|owner| key_text(owner).into_owned()),
            holder: None,
            thread: run.thread.as_deref().map(|thread| key_text(thread).into_owned()),
            marks: marks_of(run),
            question: column(run.question.as_ref()),
            answer: column(run.answer.as_ref()),
            error: column(run.error.as_ref()),
            search: run_search_text(&key_text(&run.id), texts),
            features: RunFeatureColumns::from(&run.features),
        })
    }
}

/// The column `marks` of a run.
pub(crate) fn marks_of(run: &IncomingRun) -> i64 {
    i64::from(run.has_feedback) * HAS_FEEDBACK + i64::from(run.has_error) * HAS_ERROR
}

/// The statements that write some rows at once.
struct Inserts {
    rows: usize,
    body: String,
    run: String,
    search: String,
}

impl Inserts {
    fn of(rows: usize) -> Self {
        Self {
            rows,
            body: insert_bodies(rows),
            run: insert("run", &COLUMNS, rows),
            search: insert("run_search", &["rowid", "search"], rows),
        }
    }
}

fn add(
    connection: &mut Connection,
    (places, importer): (&mut Places, &Importer<'_>),
    new: &[(RunId, Box<IncomingRun>)],
) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let mut key = next_number(connection, "item", new.len())?;
    let mut body = next_number(connection, "body", new.len())?;
    let (imported, space) = (importer.column(), importer.space());
    let at_once = connection.dialect().rows_at_once();
    let mut inserts = Inserts::of(at_once);
    for some in new.chunks(at_once) {
        let runs: Vec<&IncomingRun> = some.iter().map(|(_, run)| &**run).collect();
        let mut made = Vec::with_capacity(runs.len());
        for run in &runs {
            let holder = importer.holder_of(run.owner.as_deref());
            made.push(NewRow { holder, ..NewRow::of(connection, places, run)? });
        }
        if inserts.rows != runs.len() {
            inserts = Inserts::of(runs.len());
        }
        write_bodies(connection, &inserts.body, runs.iter().map(|run| &run.body), body)?;
        let mut values = Vec::with_capacity(runs.len() * COLUMNS.len());
        for (offset, (run, made)) in (0..).zip(runs.iter().zip(&made)) {
            values.extend([
                Value::Int(key + offset),
                Value::Int(places.project),
                Value::Text(&made.id),
                Value::Int(made.flow),
                Value::Int(made.variant),
                made.owner.as_ref().into(),
                imported.as_ref().into(),
                made.holder.as_ref().into(),
                Value::Text(&space),
                made.thread.as_ref().into(),
                Value::Int(number_of_run_status(run.status)),
                Value::Int(made.marks),
                Value::Int(micros(run.started_at)),
                Value::Int(micros(run.finished_at)),
                Value::Int(whole(run.node_count)),
                Value::Int(whole(run.files)),
                made.question.as_ref().into(),
                made.answer.as_ref().into(),
                made.error.as_ref().into(),
                Value::Text(&made.search),
                Value::Bytes(&run.digest),
                Value::Int(whole(run.size)),
                Value::Int(body + offset),
            ]);
            values.extend(made.features.values());
        }
        connection.execute(&inserts.run, &values)?;
        if connection.dialect() == Dialect::Sqlite {
            let mut values = Vec::with_capacity(made.len() * 2);
            for (key, made) in (key..).zip(&made) {
                values.extend([Value::Int(key), Value::Text(&made.search)]);
            }
            connection.execute(&inserts.search, &values)?;
        }
        key += some.len() as i64;
        body += some.len() as i64;
    }
    Ok(())
}

fn change(
    connection: &mut Connection,
    (known, importer): (&Known, &Importer<'_>),
    run: &IncomingRun,
    made: &NewRow,
    body: i64,
) -> Result<(), Error> {
    let row = known.key;
    // Who imported it first stays its importer.
    let known = Some(known).filter(|known| known.importer.is_some() && known.status != PURGED);
    let imported = known.map_or_else(|| importer.column(), |known| known.importer.clone());
    let unowned = known.filter(|known| known.owner.is_none() && made.owner.is_none());
    let holder = unowned
        .map_or_else(|| importer.holder_of(made.owner.as_deref()), |known| known.holder.clone());
    let sql = format!(
        "UPDATE run SET variant = $1, owner = $2, thread = $3, status = $4, marks = $5, started_at = $6,
                   finished_at = $7, nodes = $8, files = $9, question = $10, answer = $11, error = $12,
                   search = $13, digest = $14, size = $15, body = $16, importer = $17, holder = $18, models = $19,
                   least_score = $20, most_score = $21, environment = $22, judges = $23, {CHANGED_NOW}
               WHERE key = $24"
    );
    let [models, least, most, environment, judges] = made.features.values();
    let values = [
        Value::Int(made.variant),
        made.owner.as_ref().into(),
        made.thread.as_ref().into(),
        Value::Int(number_of_run_status(run.status)),
        Value::Int(made.marks),
        Value::Int(micros(run.started_at)),
        Value::Int(micros(run.finished_at)),
        Value::Int(whole(run.node_count)),
        Value::Int(whole(run.files)),
        made.question.as_ref().into(),
        made.answer.as_ref().into(),
        made.error.as_ref().into(),
        Value::Text(&made.search),
        Value::Bytes(&run.digest),
        Value::Int(whole(run.size)),
        Value::Int(body),
        imported.as_ref().into(),
        holder.as_ref().into(),
        models,
        least,
        most,
        environment,
        judges,
        Value::Int(row),
    ];
    connection.execute(&sql, &values).map(|_| ())
}

/// Takes the run's text out of the search index, which has to be done before it changes.
fn forget(connection: &mut Connection, key: i64) -> Result<(), Error> {
    if connection.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let sql = "INSERT INTO run_search (run_search, rowid, search)
               SELECT 'delete', key, search FROM run WHERE key = $1";
    connection.execute(sql, &[key.into()]).map(|_| ())
}

/// Takes runs away: each is its number and those of its body, variant and flow.
fn purge(connection: &mut Connection, runs: &[[i64; 4]]) -> Result<(), Error> {
    let exporting = is_exporting(connection)?;
    for &[number, body, _, _] in runs {
        let key = Value::Int(number);
        purge_bodies(connection, (number, body), exporting)?;
        forget(connection, number)?;
        if !is_named(connection, number)? {
            connection.execute("DELETE FROM run WHERE key = $1", &[key])?;
            continue;
        }
        let sql = format!(
            "UPDATE run SET variant = 0, owner = NULL, importer = NULL, holder = NULL, thread = NULL, status = {PURGED}, marks = 0, nodes = 0,
                 files = 0, question = NULL, answer = NULL, error = NULL, search = '', digest = $1, size = 0, body = 0,
                 models = '[]', least_score = NULL, most_score = NULL, environment = NULL, judges = NULL
             WHERE key = $2"
        );
        connection.execute(&sql, &[Value::Bytes(&[]), key])?;
        if connection.dialect() == Dialect::Sqlite {
            connection.execute("INSERT INTO run_search (rowid, search) VALUES ($1, '')", &[key])?;
        }
    }
    let variants: BTreeSet<i64> = runs.iter().map(|[_, _, variant, _]| *variant).collect();
    for variant in variants {
        let unused = "NOT EXISTS (SELECT 1 FROM run c WHERE c.variant = $1)";
        let sql = format!("DELETE FROM variant_node WHERE variant = $1 AND {unused}");
        connection.execute(&sql, &[variant.into()])?;
        let sql = format!("DELETE FROM variant WHERE key = $1 AND {unused}");
        connection.execute(&sql, &[variant.into()])?;
    }
    let flows: BTreeSet<i64> = runs.iter().map(|[_, _, _, flow]| *flow).collect();
    for flow in flows {
        let sql = "DELETE FROM flow WHERE key = $1
                   AND NOT EXISTS (SELECT 1 FROM run c WHERE c.flow = $1)
                   AND NOT EXISTS (SELECT 1 FROM variant v WHERE v.flow = $1)";
        connection.execute(sql, &[flow.into()])?;
    }
    Ok(())
}
