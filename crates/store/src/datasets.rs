//! Datasets, their files, and what they were made of.

use retort_model::{ItemKind, ProjectRole, Scope, Time};

use crate::columns::{moment, whole};
use crate::delivery_queue::drop_deleted;
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::items::{held_by, table};
use crate::job::{JOB, Job, read_job, refuse_taken};
use crate::judged_by::{JUDGED, push_judged};
use crate::page::{page_of, room_of};
use crate::statement::Statement;
use crate::store::{next, take_turn};

/// A dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The store's number of it.
    pub id: i64,
    /// Who made it.
    pub creator: String,
    /// Its name.
    pub name: String,
    /// Why it was made.
    pub purpose: String,
    /// The node that it is of.
    pub node: Option<String>,
    /// The shape of its records.
    pub data_format: String,
    /// The kind of its files.
    pub file_format: String,
    /// How many records.
    pub records: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// When it was made.
    pub created_at: Option<Time>,
    /// Where its objects are.
    pub prefix: String,
    /// The job that made it.
    pub job: i64,
    /// The role that its maker needs to have it: an admin's where it holds what others own.
    pub needs: ProjectRole,
}

/// An item of the frozen selection that a dataset was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenItem {
    /// Its place in the selection, from 0.
    pub ordinal: i64,
    /// Its kind.
    pub kind: ItemKind,
    /// Its id.
    pub id: String,
    /// Whether the dataset has a record of it.
    pub has_record: bool,
}

/// A file of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetFile {
    /// Its path in the package.
    pub path: String,
    /// Its object, below the dataset's prefix.
    pub object: String,
    /// Records in it, for data files.
    pub records: Option<u64>,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// CRC-32, as ZIP has it.
    pub crc32: u32,
}

/// A dataset to be added.
#[derive(Clone, Debug, Default)]
pub struct NewDataset {
    /// Its name.
    pub name: String,
    /// Why it is made.
    pub purpose: String,
    /// The node that it is of.
    pub node: Option<String>,
    /// The shape of its records.
    pub data_format: String,
    /// The kind of its files.
    pub file_format: String,
    /// How many records.
    pub records: u64,
    /// Where its objects are.
    pub prefix: String,
    /// Its files, the receipt last.
    pub files: Vec<DatasetFile>,
}

const DATASET: &str = "SELECT id, creator, name, purpose, node, data_format, file_format, records, bytes, created_at, \
                       prefix, job, needs FROM dataset";

fn read_dataset(row: &Row<'_>) -> Result<Dataset, Error> {
    Ok(Dataset {
        id: row.int(0)?,
        creator: row.text(1)?,
        name: row.text(2)?,
        purpose: row.text(3)?,
        node: row.text_or_none(4)?,
        data_format: row.text(5)?,
        file_format: row.text(6)?,
        records: row.int(7)?.unsigned_abs(),
        bytes: row.int(8)?.unsigned_abs(),
        created_at: moment(row.int(9)?),
        prefix: row.text(10)?,
        job: row.int(11)?,
        needs: row.text(12)?.parse().map_err(Error::Damaged)?,
    })
}

/// Adds the dataset that a job made.
pub(crate) fn add_dataset(
    connection: &mut Connection,
    job: &Job,
    (new, name): (&NewDataset, &str),
    now: Time,
) -> Result<i64, Error> {
    let id = next(connection, "dataset", 1)?;
    let bytes: u64 = new.files.iter().map(|file| file.bytes).sum();
    let sql = "INSERT INTO dataset (id, project, creator, name, purpose, node, data_format, file_format, records,
                   bytes, created_at, prefix, job, needs)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let values = [
        id.into(),
        job.project.into(),
        Value::Text(&job.creator),
        Value::Text(name),
        Value::Text(&new.purpose),
        new.node.as_ref().into(),
        Value::Text(&new.data_format),
        Value::Text(&new.file_format),
        Value::Int(whole(new.records)),
        Value::Int(whole(bytes)),
        Value::Int(now.unix_micros()),
        Value::Text(&new.prefix),
        job.id.into(),
        job.needs.as_str().into(),
    ];
    connection.execute(sql, &values)?;
    for (place, file) in (0..).zip(&new.files) {
        let sql =
            "INSERT INTO dataset_file (dataset, place, path, object, records, bytes, sha256, crc32)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let values = [
            id.into(),
            Value::Int(place),
            Value::Text(&file.path),
            Value::Text(&file.object),
            file.records.map(whole).into(),
            Value::Int(whole(file.bytes)),
            Value::Text(&file.sha256),
            Value::Int(file.crc32.into()),
        ];
        connection.execute(sql, &values)?;
    }
    Ok(id)
}

/// Takes a dataset out of the store, with what it was made of; its name, if it is there.
pub(crate) fn forget_dataset(
    connection: &mut Connection,
    dataset: i64,
) -> Result<Option<String>, Error> {
    let id = Value::Int(dataset);
    let sql = "SELECT name, job FROM dataset WHERE id = $1";
    let found = connection.row(sql, &[id], |row| Ok((row.text(0)?, row.int(1)?)))?;
    let Some((name, job)) = found else { return Ok(None) };
    let job = Value::Int(job);
    connection.execute("DELETE FROM dataset_file WHERE dataset = $1", &[id])?;
    connection.execute("DELETE FROM dataset WHERE id = $1", &[id])?;
    // A lease of an export that has ended: there are objects that a worker is to remove, if nobody else does.
    let sql = "UPDATE job SET dataset = NULL, lease_until = finished_at WHERE id = $1";
    connection.execute(sql, &[job])?;
    for table in ["job_item", "job_left_out", "job_shard"] {
        connection.execute(&format!("DELETE FROM {table} WHERE job = $1"), &[job])?;
    }
    Ok(Some(name))
}

impl crate::Store {
    /// Datasets in a scope, the newest first.
    pub fn datasets(&self, scope: &Scope) -> Result<Vec<Dataset>, Error> {
        let mut statement = Statement::new(DATASET);
        statement.made_in(scope);
        statement.push(" ORDER BY id DESC");
        self.read(|connection| connection.rows(&statement.sql, &statement.values(), read_dataset))
    }

    /// The datasets that a schedule made, the newest first.
    pub fn schedule_datasets(&self, schedule: i64) -> Result<Vec<Dataset>, Error> {
        let of_runs = "job IN (SELECT id FROM job WHERE schedule = $1) AND id NOT IN (
                           SELECT dataset FROM schedule_delivery
                           WHERE schedule = $1 AND dataset IS NOT NULL AND delivered_at IS NULL)";
        let sql = format!("{DATASET} WHERE {of_runs} ORDER BY job DESC");
        self.read(|connection| connection.rows(&sql, &[schedule.into()], read_dataset))
    }

    /// The datasets in a scope, the newest first: the first behind `after`, or of all, in a page bounded in bytes; and
    /// whether there are more.
    pub fn dataset_page(
        &self,
        scope: &Scope,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, bool), Error> {
        let mut statement = Statement::new(DATASET);
        statement.made_in(scope);
        self.datasets_behind(statement, after, most)
    }

    /// A page of the datasets that a statement finds.
    fn datasets_behind(
        &self,
        mut statement: Statement,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, bool), Error> {
        statement.newest_behind("id", after, most);
        let room = |one: &Dataset| {
            let node = one.node.as_deref().unwrap_or_default();
            room_of([&one.creator, &one.name, &one.purpose, node])
        };
        self.read(|connection| page_of(connection, &statement, most, read_dataset, room))
    }

    /// The dataset of that name in a scope, or else of that number.
    pub fn dataset(&self, scope: &Scope, name: &str) -> Result<Option<Dataset>, Error> {
        let mut named = Statement::new(DATASET);
        named.made_in(scope);
        named.push(" AND name = ").text(name).push(" ORDER BY id DESC");
        let found =
            self.read(|connection| connection.row(&named.sql, &named.values(), read_dataset))?;
        match (found, name.parse()) {
            (None, Ok(id)) => self.dataset_numbered(scope, id),
            (found, _) => Ok(found),
        }
    }

    /// The dataset of that number in a scope.
    pub fn dataset_numbered(&self, scope: &Scope, id: i64) -> Result<Option<Dataset>, Error> {
        let mut statement = Statement::new(DATASET);
        statement.made_in(scope);
        statement.push(" AND id = ").int(id);
        self.read(|connection| connection.row(&statement.sql, &statement.values(), read_dataset))
    }

    /// The files of a dataset, the receipt last.
    pub fn dataset_files(&self, dataset: &Dataset) -> Result<Vec<DatasetFile>, Error> {
        let sql = "SELECT path, object, records, bytes, sha256, crc32 FROM dataset_file
                   WHERE dataset = $1 ORDER BY place";
        self.read(|connection| {
            connection.rows(sql, &[dataset.id.into()], |row| {
                Ok(DatasetFile {
                    path: row.text(0)?,
                    object: row.text(1)?,
                    records: row.int_or_none(2)?.map(i64::unsigned_abs),
                    bytes: row.int(3)?.unsigned_abs(),
                    sha256: row.text(4)?,
                    crc32: u32::try_from(row.int(5)?).unwrap_or(0),
                })
            })
        })
    }

    /// The export that made a dataset.
    ///
    /// # Errors
    /// The dataset was deleted; those of the database.
    pub fn job_of_dataset(&self, dataset: &Dataset) -> Result<Job, Error> {
        self.read(|connection| made_by(connection, dataset))
    }

    /// A page of the items of the frozen selection that a dataset was made of, behind that place, and whether there are more;
    /// `without_record` only those of which it has no record.
    pub fn frozen_items(
        &self,
        dataset: &Dataset,
        without_record: bool,
        (after, most): (i64, usize),
    ) -> Result<(Vec<FrozenItem>, bool), Error> {
        let mut statement = Statement::new(
            "SELECT i.ordinal, c.id, r.id, d.id, o.ordinal FROM job_item i
                 LEFT JOIN conversation c ON c.key = i.item LEFT JOIN run r ON r.key = i.item
                 LEFT JOIN document d ON d.key = i.item
                 LEFT JOIN job_left_out o ON o.job = i.job AND o.ordinal = i.ordinal WHERE i.job = ",
        );
        statement.int(dataset.job).push(" AND i.ordinal > ").int(after);
        if without_record {
            statement.push(" AND o.ordinal IS NOT NULL");
        }
        statement.push(" ORDER BY i.ordinal").at_most(most + 1);
        let mut items = self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| {
                let kinds = [ItemKind::Conversation, ItemKind::Run, ItemKind::Document];
                let ids = [row.text_or_none(1)?, row.text_or_none(2)?, row.text_or_none(3)?];
                let mut ids = kinds.into_iter().zip(ids);
                let found = ids.find_map(|(kind, id)| Some((kind, id?)));
                let (kind, id) = found.unwrap_or_default();
                let has_record = row.int_or_none(4)?.is_none();
                Ok(FrozenItem { ordinal: row.int(0)?, kind, id, has_record })
            })
        })?;
        let has_more = items.len() > most;
        items.truncate(most);
        Ok((items, has_more))
    }

    /// Gives a dataset another name.
    ///
    /// # Errors
    /// The name is in use, also by an export under way; those of the database.
    pub fn rename_dataset(&self, dataset: &Dataset, name: &str) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let sql = "SELECT project, name FROM dataset WHERE id = $1";
            let found =
                connection.row(sql, &[dataset.id.into()], |row| Ok((row.int(0)?, row.text(1)?)))?;
            let Some((project, _)) = found.filter(|(_, before)| before != name) else {
                return Ok(());
            };
            refuse_taken(connection, project, &dataset.creator, name, None)?;
            let sql = "UPDATE dataset SET name = $1 WHERE id = $2";
            connection.execute(sql, &[name.into(), dataset.id.into()]).map(|_| ())
        })
    }

    /// Deletes a dataset from the store, with what it was made of. The caller deletes its files.
    pub fn delete_dataset(&self, dataset: &Dataset) -> Result<(), Error> {
        self.write(|connection| {
            forget_dataset(connection, dataset.id)?;
            drop_deleted(connection, (dataset.id, &dataset.name))?;
            // What would take its place is not wanted either.
            let sql = "UPDATE job SET cancel = 1
                       WHERE replaces = $1 AND state IN ('queued', 'running')";
            connection.execute(sql, &[dataset.id.into()]).map(|_| ())
        })
    }

    /// The datasets that hold something of the conversations, runs and documents with that id, also of purged ones: a
    /// page as [`dataset_page`](Self::dataset_page) has them.
    pub fn trace(
        &self,
        scope: &Scope,
        id: &str,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, bool), Error> {
        self.trace_items(scope, Without::Id(id), false, (after, most))
    }

    /// The datasets that hold something that a person owns, imported or held: a page of them. Of what was purged no name
    /// is left.
    pub fn trace_person(
        &self,
        scope: &Scope,
        name: &str,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, bool), Error> {
        self.trace_items(scope, Without::Person(name), false, (after, most))
    }

    /// The datasets that were made from something that a person holds, even if they have no record of it, as the package
    /// lists what was left out; or from something about which they said something. A page as in [`Self::dataset_page`].
    pub fn made_of_held(
        &self,
        scope: &Scope,
        name: &str,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Dataset>, bool), Error> {
        self.trace_items(scope, Without::Held(name), true, (after, most))
    }

    /// A page of the datasets that hold one of these items, or with `or_left_out` were made from one.
    fn trace_items(
        &self,
        scope: &Scope,
        items: Without<'_>,
        or_left_out: bool,
        (after, most): (Option<i64>, usize),
    ) -> Result<(Vec<Dataset>, bool), Error> {
        let dialect = self.read(|connection| Ok(connection.dialect()))?;
        let mut statement = Statement::new(DATASET);
        statement.made_in(scope);
        statement.push(" AND job IN (SELECT i.job FROM job_item i WHERE i.item IN (");
        let mut between = "";
        for &kind in ItemKind::ALL {
            let (columns, text) = items.columns(kind);
            for column in columns {
                let sql =
                    format!("{between}SELECT c.key FROM {} c WHERE c.project = ", table(kind));
                statement.push(&sql).int(scope.project);
                statement.push(&format!(" AND c.{column} = ")).key(text);
                between = " UNION ALL ";
            }
        }
        if let (Without::Held(name), true) = (items, or_left_out) {
            for kind in JUDGED {
                statement.push(" UNION ALL SELECT c.key");
                push_judged(&mut statement, dialect, kind, (scope.project, name), true);
            }
        }
        statement.push(match or_left_out {
            true => "))",
            false => {
                ") AND NOT EXISTS (SELECT 1 FROM job_left_out o WHERE o.job = i.job AND o.ordinal = i.ordinal))"
            }
        });
        self.datasets_behind(statement, after, most)
    }

    /// Whether anything is known of an item with that id, also if it was purged. To a person, a purged
    /// one is known if they made a dataset of it.
    pub fn knows(&self, scope: &Scope, id: &str) -> Result<bool, Error> {
        for &kind in ItemKind::ALL {
            let mut statement = Statement::new(format!(
                "SELECT COUNT(*) FROM {} c WHERE c.project = ",
                table(kind)
            ));
            statement.int(scope.project).push(" AND c.id = ").key(id);
            if let Some(owner) = &scope.owner {
                statement.push(" AND (c.holder = ").key(owner).push(
                    " OR EXISTS (SELECT 1 FROM job_item i JOIN job j ON j.id = i.job
                                 WHERE i.item = c.key AND j.creator = ",
                );
                statement.text(owner).push("))");
            }
            let found = self.read(|connection| {
                connection.row(&statement.sql, &statement.values(), |row| row.int(0))
            })?;
            if found.unwrap_or(0) > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a rebuilt dataset is to leave out, besides what was purged since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Without<'w> {
    /// Nothing else.
    #[default]
    Purged,
    /// The items with this id.
    Id(&'w str),
    /// What a person of this name owns, imported or holds.
    Person(&'w str),
    /// What a person of this name holds: what they own, and what they imported that has no owner.
    Held(&'w str),
}

impl<'w> Without<'w> {
    /// The columns of a kind of items that are compared with a text, and the text: an item is left out if one of them
    /// has it.
    pub(crate) fn columns(self, kind: ItemKind) -> (Vec<&'static str>, &'w str) {
        match self {
            Self::Purged => (Vec::new(), ""),
            Self::Id(id) => (vec!["id"], id),
            Self::Person(name) => (vec!["owner", "importer", "holder"], name),
            Self::Held(name) => (vec![held_by(kind)], name),
        }
    }
}

/// The export that made a dataset.
pub(crate) fn made_by(connection: &mut Connection, dataset: &Dataset) -> Result<Job, Error> {
    let sql = format!("{JOB} WHERE id = $1 AND dataset = $2");
    let values = [dataset.job.into(), dataset.id.into()];
    connection.row(&sql, &values, read_job)?.ok_or(Error::ReplacedGone)
}
