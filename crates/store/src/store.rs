//! The store itself: where it is, its connections, its projects.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use retort_model::Time;

use crate::counts::Counts;
use crate::dialect::{self, Connection, Value};
use crate::dictionaries::Dictionaries;
use crate::error::Error;
use crate::rehearsal;
use crate::served::Served;
use crate::stop::Stop;
use crate::{private, schema};

/// Connections of a kind that are kept open while nobody uses them: as many as a server has calls at once.
const IDLE: usize = 16;

/// Bytes by which SQLite's log may grow before an import empties it: twice what gathers before it is moved.
const LOG_BYTES: u64 = 256 << 20;

/// How long an import waits for readers of old snapshots, so that it can empty the log; it tries again later.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// When an import empties SQLite's log.
pub(crate) struct LogBound {
    /// Bytes by which the log may grow once more while a reader holds it.
    pub(crate) step: u64,
    /// Bytes of the log at which it is emptied.
    pub(crate) at: u64,
    /// How long that waits for readers and other writers.
    pub(crate) patience: Duration,
}

/// Conversations, runs, documents and all that belongs to them, in SQLite or PostgreSQL. Shared by threads; each call takes a connection of its own.
pub struct Store {
    place: StorePlace,
    idle: Mutex<Vec<Connection>>,
    /// Those that read the file through the system's memory, which takes its time to set up.
    looking: Mutex<Vec<Connection>>,
    pub(crate) dictionaries: Dictionaries,
    pub(crate) counts: Counts,
    pub(crate) served: Served,
    pub(crate) log_bound: Mutex<LogBound>,
    identity: String,
}

#[derive(Clone)]
enum StorePlace {
    File(PathBuf),
    Server(String),
}

/// A project: what conversations belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The store's number of it.
    pub id: i64,
    /// Its name.
    pub name: String,
}

impl StorePlace {
    fn of(url: &str) -> Self {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::Server(url.to_owned());
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        Self::File(PathBuf::from(path.unwrap_or(url)))
    }

    fn connect(&self, create: bool) -> Result<Connection, Error> {
        match self {
            Self::Server(url) => dialect::open_postgres(url),
            Self::File(path) => {
                let known = path.is_file();
                if !known && !create {
                    let reason = "there is no such file; `retort import` creates one".into();
                    return Err(Error::Open { store: path.display().to_string(), reason });
                }
                if create {
                    // SQLite gives the files beside it the same mode.
                    private::make_file(path).map_err(|error| Error::Open {
                        store: path.display().to_string(),
                        reason: error.to_string(),
                    })?;
                }
                let opened = dialect::open_sqlite(path, create);
                opened.map_err(|error| match error {
                    Error::Damaged(reason) if known => Error::Open {
                        store: path.display().to_string(),
                        reason: format!("it is damaged, or not a Retort store: {reason}"),
                    },
                    Error::ReadOnly(reason) | Error::Sql(reason) => {
                        Error::Open { store: path.display().to_string(), reason }
                    }
                    other => other,
                })
            }
        }
    }
}

impl Store {
    /// Opens the store at `url`: the path of a SQLite file (also as `sqlite:PATH`), or `postgres://…`. What is not
    /// there is made, with `identity` as its name among all stores; what has no tables gets them.
    ///
    /// # Errors
    /// It cannot be reached, or has another release's schema.
    pub fn open(url: &str, identity: &str) -> Result<Self, Error> {
        let place = StorePlace::of(url);
        if let StorePlace::File(path) = &place
            && let Some(folder) = path.parent()
        {
            private::make_folder(folder).map_err(|error| Error::Open {
                store: path.display().to_string(),
                reason: error.to_string(),
            })?;
        }
        let mut connection = place.connect(true)?;
        let mut found = schema::found(&mut connection)?;
        if found == 0 {
            found = schema::migrate(&mut connection, identity)?.1;
        }
        Self::with(place, connection, found)
    }

    /// Opens a store that is there.
    ///
    /// # Errors
    /// As [`Store::open`]; also if there is none.
    pub fn open_existing(url: &str) -> Result<Self, Error> {
        let place = StorePlace::of(url);
        let mut connection = place.connect(false)?;
        let found = schema::found(&mut connection)?;
        Self::with(place, connection, found)
    }

    /// Whether there is a store at `url`, as far as that is known without asking a server.
    pub fn is_there(url: &str) -> bool {
        match StorePlace::of(url) {
            StorePlace::File(path) => path.exists(),
            StorePlace::Server(_) => true,
        }
    }

    /// Takes the store at `url` to the newest schema; says from which to which.
    ///
    /// # Errors
    /// It cannot be reached, or is newer than this release.
    pub fn migrate(url: &str, identity: &str) -> Result<(i64, i64), Error> {
        let steps = schema::migrate(&mut StorePlace::of(url).connect(true)?, identity)?;
        Self::open_existing(url)?.rewrite_bodies()?;
        Ok(steps)
    }

    /// What [`Store::migrate`] would do, without doing it.
    ///
    /// # Errors
    /// There is none, it cannot be reached, or it is newer than this release.
    pub fn migration(url: &str) -> Result<(i64, i64), Error> {
        let found = schema::found(&mut StorePlace::of(url).connect(false)?)?;
        let known = schema::NEWEST;
        if found > known { Err(Error::Schema { found, known }) } else { Ok((found, known)) }
    }

    fn with(place: StorePlace, mut connection: Connection, found: i64) -> Result<Self, Error> {
        if found != schema::NEWEST {
            return Err(Error::Schema { found, known: schema::NEWEST });
        }
        let sql = "SELECT value FROM meta WHERE name = 'identity'";
        let identity = connection.row(sql, &[], |row| row.text(0))?.unwrap_or_default();
        let dictionaries = Dictionaries::default();
        let (idle, looking) = (Mutex::new(vec![connection]), Mutex::default());
        let counts = Counts::default();
        let served = Served::default();
        let log_bound =
            Mutex::new(LogBound { step: LOG_BYTES, at: LOG_BYTES, patience: LOG_PATIENCE });
        let store =
            Self { place, idle, looking, dictionaries, counts, served, log_bound, identity };
        store.read_features()?;
        store.read_run_features()?;
        store.renew_words_if_due()?;
        Ok(store)
    }

    /// The store's name among all stores.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Where it is, without passwords.
    pub fn location(&self) -> String {
        match &self.place {
            StorePlace::File(path) => path.display().to_string(),
            StorePlace::Server(url) => dialect::without_password(url),
        }
    }

    /// Its file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            StorePlace::File(path) => Some(path),
            StorePlace::Server(_) => None,
        }
    }

    /// Does `act` with a connection of its own.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.with_one_of(&self.idle, act)
    }

    fn with_one_of<T>(
        &self,
        pool: &Mutex<Vec<Connection>>,
        act: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let rehearsing = rehearsal::take(self.address());
        let is_rehearsing = rehearsing.is_some();
        let mut connection = match rehearsing {
            Some(connection) => connection,
            None => self.connection_of(pool)?,
        };
        let stop = Stop::current();
        stop.set_query(connection.canceller());
        let result = if stop.is_asked() { Err(Error::Stopped) } else { act(&mut connection) };
        stop.set_query(None);
        if is_rehearsing {
            rehearsal::put_back(connection);
            return result;
        }
        if stop.is_asked() {
            // The last query may be cancelled in the middle of it.
            return result;
        }
        if matches!(result, Err(Error::Connection(_))) {
            // What ended this connection ended the others, too.
            pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return result;
        }
        if !connection.is_closed() {
            let mut idle = pool.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push(connection);
            }
        }
        result
    }

    /// Distinguishes it from other stores in this process.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// An idle connection, or a new one.
    fn connection_of(&self, pool: &Mutex<Vec<Connection>>) -> Result<Connection, Error> {
        let idle = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|connection| !connection.is_closed()) {
            Some(connection) => Ok(connection),
            None => self.place.connect(false),
        }
    }

    /// Runs `act` on this thread and undoes its changes to the store. This is for dry runs, which make the same checks as
    /// the real run and see the same results. Until it ends, nobody else can write to an SQLite store. Threads that `act`
    /// starts are not part of it. A rehearsal within another is part of that one.
    ///
    /// # Errors
    /// `act` fails, or the store cannot be reached.
    pub fn rehearse<T, E: From<Error>>(&self, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if rehearsal::is_under_way() {
            return act();
        }
        let mut connection = self.connection_of(&self.idle)?;
        connection.begin()?;
        let _ends = rehearsal::begin(self.address(), connection);
        act()
    }

    /// As [`Store::read`], for what jumps about in the store.
    pub(crate) fn look<T>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pool = if self.file().is_some() { &self.looking } else { &self.idle };
        self.with_one_of(pool, |connection| {
            connection.map()?;
            act(connection)
        })
    }

    /// Closes the connections that nobody uses, with the memory that they hold.
    pub fn rest(&self) {
        for pool in [&self.idle, &self.looking] {
            pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Does all of `act` or nothing of it.
    pub(crate) fn write<T>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(|connection| match rehearsal::is_under_way() {
            true => connection.step(act),
            false => connection.transaction(act),
        })
    }

    /// As [`Store::write`], unless that takes waiting for others that write: then it is left.
    pub(crate) fn write_if_free(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if rehearsal::is_under_way() {
            return Ok(());
        }
        self.read(|connection| {
            connection.set_waiting(false)?;
            let done = connection.transaction(act);
            connection.set_waiting(true)?;
            match done {
                Err(Error::Busy) => Ok(()),
                done => done,
            }
        })
    }

    /// The project of that name.
    pub fn project(&self, name: &str) -> Result<Option<Project>, Error> {
        self.read(|connection| {
            let sql = "SELECT id, name FROM project WHERE name = $1";
            connection
                .row(sql, &[name.into()], |row| Ok(Project { id: row.int(0)?, name: row.text(1)? }))
        })
    }

    /// The project of that name, made if it is not there.
    pub fn project_or_new(&self, name: &str, now: Time) -> Result<Project, Error> {
        if let Some(project) = self.project(name)? {
            return Ok(project);
        }
        self.write(|connection| {
            let id = next(connection, "project", 1)?;
            let sql = "INSERT INTO project (id, name, created_at) VALUES ($1, $2, $3)
                       ON CONFLICT (name) DO NOTHING";
            connection
                .execute(sql, &[id.into(), name.into(), Value::Int(now.unix_micros())])
                .map(|_| ())
        })?;
        self.project(name)?.ok_or_else(|| Error::Sql(format!("the project `{name}` vanished")))
    }

    /// All projects, by name.
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        self.read(|connection| {
            connection.rows("SELECT id, name FROM project ORDER BY name", &[], |row| {
                Ok(Project { id: row.int(0)?, name: row.text(1)? })
            })
        })
    }
}

/// Gives out `count` numbers; the first of them.
pub(crate) fn next(connection: &mut Connection, name: &str, count: i64) -> Result<i64, Error> {
    let sql = "INSERT INTO counter (name, value) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value
               RETURNING value";
    let last = connection.row(sql, &[name.into(), count.into()], |row| row.int(0))?;
    let last = last.ok_or_else(|| Error::Damaged("a counter gives no number".into()))?;
    Ok(last - count + 1)
}

/// Waits until nobody else imports, edits, gives names, or begins or ends an export, and holds them up until the
/// transaction ends. The counter goes on with each turn, so that it tells whether anything may have changed.
pub(crate) fn take_turn(connection: &mut Connection) -> Result<(), Error> {
    next(connection, "item", 1).map(|_| ())
}

/// Assigns the number of the current turn to an item that an update changes.
pub(crate) const CHANGED_NOW: &str = "changed = (SELECT value FROM counter WHERE name = 'item')";

impl Store {
    /// The number of the last change so far of an item.
    pub fn last_change(&self) -> Result<i64, Error> {
        self.read(|connection| {
            let sql = "SELECT value FROM counter WHERE name = 'item'";
            Ok(connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0))
        })
    }
}

/// The number of the last change so far, within a turn.
pub(crate) fn last_change(connection: &mut Connection) -> Result<i64, Error> {
    Ok(next(connection, "item", 0)? - 1)
}
