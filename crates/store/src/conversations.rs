//! Conversations coming in.

use std::collections::{BTreeSet, HashMap};

use retort_model::bounds::ROWS_AT_ONCE;
use retort_model::{Features, ItemKind, Kind, Relation, Scope, Status, Time, Words};

use crate::answered::note_done;
use crate::body::{BodyHead, PackedBody, Unpacker};
use crate::columns::{
    EDITED_STATUS, EDITED_TAGS, EDITED_TITLE, PURGED, array_of, key_text, micros, number_of_kind,
    number_of_status, tag_texts, title_text, whole,
};
use crate::dialect::{Connection, Row, Value};
use crate::erasures::{Arriving, are_erased};
use crate::error::Error;
use crate::features::FeatureColumns;
use crate::importer::Importer;
use crate::items::{insert_bodies, unpack_incoming, unpack_stored, write_bodies};
use crate::shares::end_shares;
use crate::statement::{Statement, insert};
use crate::store::{CHANGED_NOW, next, take_turn};
use crate::words::{RowWords, add_words, head_words, remove_stored_words};

/// A conversation as an import brings it.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Who held it.
    pub owner: Option<String>,
    /// What held it.
    pub kind: Kind,
    /// Its status at the source.
    pub status: Status,
    /// Its title at the source.
    pub title: Option<String>,
    /// Its tags at the source.
    pub tags: Vec<String>,
    /// Its model.
    pub model: Option<String>,
    /// When it began.
    pub created_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Option<Time>,
    /// How many rounds it has.
    pub rounds: u64,
    /// How many messages.
    pub messages: u64,
    /// What filters ask beyond that.
    pub features: Features,
    /// The words of its line.
    pub words: Words,
    /// A hash of its canonical line.
    pub digest: [u8; 16],
    /// Bytes of its canonical line.
    pub size: u64,
    /// The line, compressed.
    pub body: PackedBody,
    /// Paths and addresses of the passages that its answers were given with, each once.
    pub cites: BTreeSet<String>,
    /// Whether its id came before in the same import.
    pub repeated: bool,
}

/// What became of a conversation that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was not there.
    New,
    /// It took the place of an earlier state.
    Updated,
    /// It is there, just so.
    Same,
    /// What is there is newer.
    Older,
    /// Its id came before in the same import, and it is no newer.
    Repeated,
    /// It is someone else's than the member's who imports it.
    Foreign,
    /// Another conversation has its id: no message is in both.
    Conflict,
    /// It was erased, by itself or with everything of its person.
    Erased,
}

/// Says how a state that comes relates to one that is there, by their canonical lines.
pub type Compare<'c> = dyn FnMut(&Comparing<'_>) -> Result<Compared, Error> + 'c;

/// Two states to compare.
#[derive(Debug)]
pub struct Comparing<'c> {
    /// The line that is there.
    pub was: &'c [u8],
    /// The line that comes.
    pub came: &'c [u8],
    /// The rest of what comes.
    pub incoming: &'c Incoming,
    /// The owner that is known of what is there and stays, as what comes names none.
    pub keeps_owner: Option<&'c str>,
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// How the messages relate.
    pub relation: Relation,
    /// What comes, with the owner, the judgements and the files that stay; none if none do.
    pub rewritten: Option<Box<Incoming>>,
}

/// What is there under an id.
struct Known {
    key: i64,
    owner: Option<String>,
    importer: Option<String>,
    holder: Option<String>,
    space: String,
    digest: Vec<u8>,
    updated_at: i64,
    status: i64,
    was: i64,
    edited: i64,
    title: Option<String>,
    tags: Option<String>,
    body: i64,
    head: BodyHead,
    /// Place among those that are new, if it is one of them.
    pending: Option<usize>,
    /// Place among those that come in of the one that it is to become.
    becomes: Option<usize>,
}

const COLUMNS: [&str; 32] = [
    "key",
    "project",
    "id",
    "source",
    "owner",
    "importer",
    "holder",
    "space",
    "kind",
    "status",
    "was",
    "edited",
    "title",
    "tags",
    "model",
    "created_at",
    "updated_at",
    "rounds",
    "messages",
    "turns",
    "calls",
    "marks",
    "models",
    "tools",
    "tokens",
    "least_score",
    "most_score",
    "language",
    "judges",
    "digest",
    "size",
    "body",
];

/// Conversations that come in together and are worth memory for the indexes: what a server is told now and then is
/// not, and each of its connections would keep it.
pub(crate) const MANY: usize = 256;

impl crate::Store {
    /// Takes in conversations, all or none: new ones are added, known ones brought up to date. A state that continues
    /// what is there replaces it, and one that what is there continues does not; of other states that have a message in
    /// common with what is there, the newer replaces it. What has none in common stays out, unless the importer
    /// replaces. What was edited here stays as it is. What a member imports never meets what others hold.
    ///
    /// # Errors
    /// Those of the database and of `compare`; nothing is taken then.
    pub fn take_in(
        &self,
        importer: &Importer<'_>,
        incoming: &[Incoming],
        compare: &mut Compare<'_>,
    ) -> Result<Vec<Taken>, Error> {
        let mut unpacker = self.unpacker();
        let taken = self.write(|connection| {
            if incoming.len() >= MANY {
                connection.widen()?;
            }
            take_turn(connection)?;
            let known = known(connection, importer, incoming)?;
            let mut deciding = Deciding::new(importer, incoming, (&mut unpacker, &mut *compare));
            let taken = deciding.decide(connection, known)?;
            let Deciding { new, updated, rewritten, unpacker, .. } = deciding;
            add(connection, importer, incoming, &new)?;
            if !updated.is_empty() {
                let exporting = is_exporting(connection)?;
                let inserts = Inserts::of(1);
                for (place, known) in &updated {
                    if let Some(one) = rewritten.get(place).or(incoming.get(*place)) {
                        let made = NewRow::updating(one, known, importer);
                        let context =
                            Updating { inserts: &inserts, unpacker: &mut *unpacker, exporting };
                        update(connection, context, one, made, known)?;
                    }
                }
            }
            Ok(taken)
        })?;
        if incoming.len() >= MANY {
            // What came in is committed: if the log cannot be emptied now, the next batch tries again.
            let _ = self.bound_log();
        }
        Ok(taken)
    }

    /// What [`Store::take_in`](crate::Store::take_in) would do. Of an id that came before in the same import it is
    /// assumed that the first of it would be there.
    ///
    /// # Errors
    /// Those of the database and of `compare`.
    pub fn would_take_in(
        &self,
        importer: &Importer<'_>,
        incoming: &[Incoming],
        compare: &mut Compare<'_>,
    ) -> Result<Vec<Taken>, Error> {
        let mut unpacker = self.unpacker();
        let mut taken = self.read(|connection| {
            let known = known(connection, importer, incoming)?;
            Deciding::new(importer, incoming, (&mut unpacker, &mut *compare))
                .decide(connection, known)
        })?;
        for (one, what) in incoming.iter().zip(&mut taken) {
            if *what == Taken::New && one.repeated {
                *what = Taken::Repeated;
            }
        }
        Ok(taken)
    }

    /// Puts another state in the place of a conversation's, if `expected_body` still is its state; whether it was. Its
    /// owner and what was edited here stay as they are. `request` is the person and the key of the request that asked
    /// for it: it is done with it.
    pub fn change_body(
        &self,
        scope: &Scope,
        key: i64,
        expected_body: i64,
        item: &Incoming,
        request: Option<(i64, &str)>,
    ) -> Result<bool, Error> {
        let mut statement = Statement::new(format!("SELECT {KNOWN} FROM conversation c"));
        statement.held_in(scope).push(" AND c.key = ").int(key);
        statement.push(" AND c.body = ").int(expected_body);
        statement.push(&format!(" AND c.status <> {PURGED}"));
        let mut unpacker = self.unpacker();
        self.write(|connection| {
            take_turn(connection)?;
            let known = connection.row(&statement.sql, &statement.values(), read_known)?;
            let Some(known) = known else { return Ok(false) };
            let exporting = is_exporting(connection)?;
            let made = NewRow {
                owner: known.owner.clone(),
                importer: known.importer.clone(),
                holder: known.holder.clone(),
                space: known.space.clone(),
                ..NewRow::of(item)
            };
            let inserts = Inserts::of(1);
            let context = Updating { inserts: &inserts, unpacker: &mut unpacker, exporting };
            update(connection, context, item, made, &known)?;
            if let Some((person, key)) = request {
                note_done(connection, person, key)?;
            }
            Ok(true)
        })
    }
}

/// The columns of what is there.
const KNOWN: &str = "c.key, c.id, c.source, c.digest, c.updated_at, c.status, c.was, c.edited, c.title, c.tags, \
                     c.body, c.owner, c.importer, c.holder, c.space, c.size";

/// What is there under an id and a source, in the order in which it is looked at.
type KnownById = HashMap<(String, String), Vec<Known>>;

/// What is there under the ids that come in, as far as the importer may replace it.
fn known(
    connection: &mut Connection,
    importer: &Importer<'_>,
    incoming: &[Incoming],
) -> Result<KnownById, Error> {
    let mut found = KnownById::new();
    for some in incoming.chunks(ROWS_AT_ONCE) {
        let mut statement = Statement::new(format!("SELECT {KNOWN} FROM conversation c"));
        statement.push(" WHERE c.project = ").int(importer.scope.project);
        if let Some(member) = &importer.scope.owner {
            statement.push(" AND (c.holder = ").key(member).push(" OR c.space = ");
            statement.key(member).push(")");
        }
        statement.push(" AND c.id IN (").each(", ", some, |list, one| list.key(&one.id));
        statement.push(") ORDER BY c.space <> '', c.key");
        connection.each(&statement.sql, &statement.values(), &mut |row| {
            found.entry((row.text(1)?, row.text(2)?)).or_default().push(read_known(row)?);
            Ok(())
        })?;
    }
    Ok(found)
}

fn read_known(row: &Row<'_>) -> Result<Known, Error> {
    let size = usize::try_from(row.int(15)?).unwrap_or(usize::MAX);
    Ok(Known {
        key: row.int(0)?,
        digest: row.bytes(3)?.unwrap_or_default().to_vec(),
        updated_at: row.int(4)?,
        status: row.int(5)?,
        was: row.int(6)?,
        edited: row.int(7)?,
        title: row.text_or_none(8)?,
        tags: row.text_or_none(9)?,
        body: row.int(10)?,
        head: BodyHead { size, ..BodyHead::default() },
        owner: row.text_or_none(11)?,
        importer: row.text_or_none(12)?,
        holder: row.text_or_none(13)?,
        space: row.text(14)?,
        pending: None,
        becomes: None,
    })
}

/// Rows in members' own spaces that an import by an admin is compared with; more people hardly have one id.
const MEMBERS_COMPARED: usize = 8;

/// Decides what becomes of conversations that come in together.
struct Deciding<'d, 'u, 'c> {
    importer: &'d Importer<'d>,
    incoming: &'d [Incoming],
    unpacker: &'d mut Unpacker<'u>,
    compare: &'d mut Compare<'c>,
    /// Places of those that are new.
    new: Vec<usize>,
    /// Places of those that replace something, with what they replace.
    updated: Vec<(usize, Known)>,
    /// Those that have an owner or judgements that they came without, by their places.
    rewritten: HashMap<usize, Incoming>,
}

/// How one that comes in meets one that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    Purged,
    Unchanged,
    Differs(Relation),
}

impl<'d, 'u, 'c> Deciding<'d, 'u, 'c> {
    fn new(
        importer: &'d Importer<'d>,
        incoming: &'d [Incoming],
        (unpacker, compare): (&'d mut Unpacker<'u>, &'d mut Compare<'c>),
    ) -> Self {
        let (new, updated, rewritten) = Default::default();
        Self { importer, incoming, unpacker, compare, new, updated, rewritten }
    }

    /// Decides on each, in order.
    fn decide(
        &mut self,
        connection: &mut Connection,
        mut known: KnownById,
    ) -> Result<Vec<Taken>, Error> {
        let incoming = self.incoming;
        let arriving = |one: &'d Incoming| Arriving {
            kind: ItemKind::Conversation,
            among: &one.source,
            id: &one.id,
            owner: one.owner.as_deref(),
            digest: &one.digest,
        };
        let arriving: Vec<_> = incoming.iter().map(arriving).collect();
        let erased = are_erased(connection, self.importer, &arriving)?;
        let mut taken = Vec::with_capacity(incoming.len());
        for ((place, one), is_erased) in incoming.iter().enumerate().zip(erased) {
            if is_erased {
                taken.push(Taken::Erased);
                continue;
            }
            let there = known.entry((key_text(&one.id).into_owned(), one.source.clone()));
            let there = there.or_default();
            let found = self.find(connection, place, there)?;
            let found = found.and_then(|(at, meeting)| Some((there.get_mut(at)?, meeting)));
            let Some((there, meeting)) = found else {
                there.insert(0, Known::pending(one, self.importer, (self.new.len(), place)));
                self.new.push(place);
                taken.push(Taken::New);
                continue;
            };
            let one = self.rewritten.get(&place).unwrap_or(one);
            let what = self.importer.judge(one, there, meeting);
            if matches!(what, Taken::New | Taken::Updated) {
                there.become_this(one, place);
                // It came a moment ago: this one comes in its stead.
                if let Some(slot) = there.pending.and_then(|at| self.new.get_mut(at)) {
                    *slot = place;
                }
            }
            taken.push(what);
        }
        let all = known.into_values().flatten().filter(|one| one.pending.is_none());
        self.updated = all.filter_map(|one| Some((one.becomes?, one))).collect();
        self.updated.sort_by_key(|(place, _)| *place);
        Ok(taken)
    }

    /// Finds the one that is there and meant by the one at `place`, if there is one.
    fn find(
        &mut self,
        connection: &mut Connection,
        place: usize,
        there: &[Known],
    ) -> Result<Option<(usize, Meeting)>, Error> {
        let Some(one) = self.incoming.get(place) else { return Ok(None) };
        let is_same = |known: &Known| known.status != PURGED && known.digest == one.digest;
        let is_the_projects = |known: &Known| known.space.is_empty();
        if self.importer.scope.owner.is_some() || there.first().is_some_and(is_the_projects) {
            let at = there.iter().position(is_same).unwrap_or(0);
            let Some(known) = there.get(at) else { return Ok(None) };
            return Ok(Some((at, self.meeting(connection, place, known)?)));
        }
        // What a member imported themselves is the same conversation only if what comes holds all of it.
        for (at, known) in there.iter().enumerate().take(MEMBERS_COMPARED) {
            let is_theirs = known.owner == one.owner || known.owner.is_none();
            if known.status == PURGED || !is_theirs {
                continue;
            }
            let meeting = self.meeting(connection, place, known)?;
            if let Meeting::Unchanged | Meeting::Differs(Relation::Same | Relation::Continues) =
                meeting
            {
                return Ok(Some((at, meeting)));
            }
            self.rewritten.remove(&place);
        }
        Ok(None)
    }

    /// How the one at `place` meets one that is there.
    fn meeting(
        &mut self,
        connection: &mut Connection,
        place: usize,
        known: &Known,
    ) -> Result<Meeting, Error> {
        let Some(one) = self.incoming.get(place) else { return Ok(Meeting::Purged) };
        if known.status == PURGED {
            return Ok(Meeting::Purged);
        }
        if known.digest == one.digest {
            return Ok(Meeting::Unchanged);
        }
        let (mut was, mut came) = (Vec::new(), Vec::new());
        let becomes =
            known.becomes.and_then(|at| self.rewritten.get(&at).or(self.incoming.get(at)));
        match becomes {
            Some(next) => unpack_incoming(self.unpacker, &next.body, next.size, &mut was)?,
            None => {
                let stored = (known.body, known.head);
                unpack_stored(connection, self.unpacker, ItemKind::Conversation, stored, &mut was)?;
            }
        }
        unpack_incoming(self.unpacker, &one.body, one.size, &mut came)?;
        let keeps_owner = known.owner.as_deref().filter(|_| {
            // Who imported it says by importing it again whose it is, or that nobody knows.
            let importer = known.importer.as_deref().or(known.owner.as_deref());
            one.owner.is_none() && importer != self.importer.column().as_deref()
        });
        let compared =
            (self.compare)(&Comparing { was: &was, came: &came, incoming: one, keeps_owner })?;
        let Some(rewritten) = compared.rewritten else {
            return Ok(Meeting::Differs(compared.relation));
        };
        let is_same = rewritten.digest[..] == known.digest[..];
        self.rewritten.insert(place, *rewritten);
        Ok(if is_same { Meeting::Unchanged } else { Meeting::Differs(compared.relation) })
    }
}

impl Importer<'_> {
    /// What becomes of one that comes in and meets one that is there.
    fn judge(&self, one: &Incoming, there: &Known, meeting: Meeting) -> Taken {
        let relation = match meeting {
            Meeting::Purged => return Taken::New,
            Meeting::Unchanged => return Taken::Same,
            Meeting::Differs(_) if self.replaces => return Taken::Updated,
            Meeting::Differs(relation) => relation,
        };
        let (came, was) = (micros(one.updated_at), there.updated_at);
        match relation {
            Relation::Apart => Taken::Conflict,
            Relation::Continues => Taken::Updated,
            Relation::Begins if one.repeated => Taken::Repeated,
            Relation::Begins => Taken::Older,
            Relation::Same | Relation::Overlaps if came < was => Taken::Older,
            Relation::Same | Relation::Overlaps if one.repeated && came == was => Taken::Repeated,
            Relation::Same | Relation::Overlaps => Taken::Updated,
        }
    }
}

impl Known {
    fn pending(one: &Incoming, importer: &Importer<'_>, (slot, place): (usize, usize)) -> Self {
        Self {
            key: 0,
            owner: None,
            importer: None,
            holder: None,
            space: importer.space(),
            digest: one.digest.to_vec(),
            updated_at: micros(one.updated_at),
            status: number_of_status(one.status),
            was: 0,
            edited: 0,
            title: None,
            tags: None,
            body: 0,
            head: BodyHead::default(),
            pending: Some(slot),
            becomes: Some(place),
        }
    }

    /// Notes what it is to become.
    fn become_this(&mut self, one: &Incoming, place: usize) {
        self.digest = one.digest.to_vec();
        self.updated_at = micros(one.updated_at);
        self.becomes = Some(place);
        if self.status == PURGED {
            self.status = number_of_status(one.status);
            self.edited = 0;
            (self.owner, self.importer, self.holder) = (None, None, None);
        }
    }
}

/// A conversation's columns that have to be made.
struct NewRow {
    id: String,
    title: Option<String>,
    tags: Option<String>,
    model: Option<String>,
    owner: Option<String>,
    importer: Option<String>,
    holder: Option<String>,
    space: String,
    features: FeatureColumns,
}

impl NewRow {
    /// Those of a new one.
    fn new(one: &Incoming, importer: &Importer<'_>) -> Self {
        Self {
            importer: importer.column(),
            holder: importer.holder_of(one.owner.as_deref()),
            space: importer.space(),
            ..Self::of(one)
        }
    }

    /// Those of one that takes the place of one that is there. Who imported an item first stays its importer.
    fn updating(one: &Incoming, known: &Known, importer: &Importer<'_>) -> Self {
        let is_new = known.importer.is_none() || importer.replaces;
        let was_unowned = known.owner.is_none() && one.owner.is_none();
        let is_the_projects = importer.scope.owner.is_none() && one.owner.is_some();
        Self {
            importer: if is_new { importer.column() } else { known.importer.clone() },
            holder: match was_unowned && !is_new {
                true => known.holder.clone(),
                false => importer.holder_of(one.owner.as_deref()),
            },
            space: if is_the_projects { String::new() } else { known.space.clone() },
            ..Self::of(one)
        }
    }

    /// Those that one that comes in tells by itself.
    fn of(one: &Incoming) -> Self {
        let (title, tags) = (one.title.as_deref().map(title_text), tag_texts(&one.tags));
        Self {
            id: key_text(&one.id).into_owned(),
            title,
            tags: tags_column(&tags),
            model: one.model.as_deref().map(title_text),
            owner: one.owner.as_deref().map(|owner| key_text(owner).into_owned()),
            importer: None,
            holder: None,
            space: String::new(),
            features: (&one.features).into(),
        }
    }
}

/// Tags as their column; none if there are none.
pub(crate) fn tags_column(tags: &[String]) -> Option<String> {
    if tags.is_empty() { None } else { Some(array_of(tags)) }
}

/// The statements that write some rows at once.
struct Inserts {
    rows: usize,
    body: String,
    conversation: String,
}

impl Inserts {
    fn of(rows: usize) -> Self {
        Self {
            rows,
            body: insert_bodies(rows),
            conversation: insert("conversation", &COLUMNS, rows),
        }
    }
}

/// Writes new conversations.
fn add(
    connection: &mut Connection,
    importer: &Importer<'_>,
    incoming: &[Incoming],
    new: &[usize],
) -> Result<(), Error> {
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(());
    }
    let mut key = next(connection, "item", count)?;
    let mut body = next(connection, "body", count)?;
    let at_once = connection.dialect().rows_at_once();
    let mut inserts = Inserts::of(at_once);
    for some in new.chunks(at_once) {
        let rows: Vec<(&Incoming, NewRow)> = some
            .iter()
            .filter_map(|place| incoming.get(*place))
            .map(|one| (one, NewRow::new(one, importer)))
            .collect();
        if inserts.rows != rows.len() {
            inserts = Inserts::of(rows.len());
        }
        write_bodies(connection, &inserts.body, rows.iter().map(|(one, _)| &one.body), body)?;
        write_rows(connection, &inserts, importer.scope.project, &rows, key, body)?;
        let heads = rows.iter().map(|(_, made)| (made.title.as_deref(), made.tags.as_deref()));
        let heads: Vec<_> = heads.map(|(title, tags)| head_words(title, tags)).collect();
        let bodies = rows.iter().map(|(one, _)| &one.words);
        let words = bodies.zip(&heads).map(|(body, head)| RowWords { body, head });
        add_words(connection, &(key..).zip(words).collect::<Vec<_>>())?;
        for (key, (one, _)) in (key..).zip(&rows) {
            cite(connection, key, &one.cites)?;
        }
        key += some.len() as i64;
        body += some.len() as i64;
    }
    Ok(())
}

fn write_rows(
    connection: &mut Connection,
    inserts: &Inserts,
    project: i64,
    rows: &[(&Incoming, NewRow)],
    first_key: i64,
    first_body: i64,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * COLUMNS.len());
    for (offset, (one, made)) in (0..).zip(rows) {
        let status = number_of_status(one.status);
        values.extend([
            Value::Int(first_key + offset),
            Value::Int(project),
            Value::Text(&made.id),
            Value::Text(&one.source),
            made.owner.as_ref().into(),
            made.importer.as_ref().into(),
            made.holder.as_ref().into(),
            Value::Text(&made.space),
            Value::Int(number_of_kind(one.kind)),
            Value::Int(status),
            Value::Int(before_deletion(status)),
            Value::Int(0),
            made.title.as_ref().into(),
            made.tags.as_ref().into(),
            made.model.as_ref().into(),
            Value::Int(micros(one.created_at)),
            Value::Int(micros(one.updated_at)),
            Value::Int(whole(one.rounds)),
            Value::Int(whole(one.messages)),
        ]);
        values.extend(made.features.values());
        values.extend([
            Value::Bytes(&one.digest),
            Value::Int(whole(one.size)),
            Value::Int(first_body + offset),
        ]);
    }
    connection.execute(&inserts.conversation, &values).map(|_| ())
}

/// Writes down what a conversation cites.
fn cite(connection: &mut Connection, key: i64, places: &BTreeSet<String>) -> Result<(), Error> {
    let places: BTreeSet<_> = places.iter().map(|place| key_text(place)).collect();
    for place in places {
        let sql = "INSERT INTO citation (place, conversation) VALUES ($1, $2)";
        connection.execute(sql, &[Value::Text(&place), key.into()])?;
    }
    Ok(())
}

/// Forgets what a conversation cited.
pub(crate) fn end_citations(connection: &mut Connection, key: i64) -> Result<(), Error> {
    let sql = "DELETE FROM citation WHERE conversation = $1";
    connection.execute(sql, &[key.into()]).map(|_| ())
}

/// The status to go back to when a deletion is undone.
fn before_deletion(status: i64) -> i64 {
    let deleted = number_of_status(Status::Deleted);
    if status == deleted { number_of_status(Status::Active) } else { status }
}

/// Whether an export is under way, whose frozen bodies must stay.
pub(crate) fn is_exporting(connection: &mut Connection) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM job WHERE state IN ('queued', 'running') AND kind = 'export'";
    Ok(connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0) > 0)
}

/// What updates need besides what is updated.
struct Updating<'u, 's> {
    inserts: &'u Inserts,
    unpacker: &'u mut Unpacker<'s>,
    /// Whether an export is under way, whose frozen bodies must stay.
    exporting: bool,
}

/// Puts another state in the place of an earlier one.
fn update(
    connection: &mut Connection,
    Updating { inserts, unpacker, exporting }: Updating<'_, '_>,
    one: &Incoming,
    made: NewRow,
    known: &Known,
) -> Result<(), Error> {
    let head = head_words(known.title.as_deref(), known.tags.as_deref());
    let size = i64::try_from(known.head.size).unwrap_or(0);
    if known.body != 0 {
        remove_stored_words(connection, unpacker, known.key, (known.body, size), &head)?;
    }
    let body = next(connection, "body", 1)?;
    write_bodies(connection, &inserts.body, std::iter::once(&one.body), body)?;
    drop_body(connection, known.body, exporting)?;
    let kept = |bit: i64| known.edited & bit != 0;
    let title = if kept(EDITED_TITLE) { known.title.clone() } else { made.title };
    let tags = if kept(EDITED_TAGS) { known.tags.clone() } else { made.tags };
    let theirs = number_of_status(one.status);
    let (status, was) = if kept(EDITED_STATUS) {
        (known.status, known.was)
    } else {
        (theirs, before_deletion(theirs))
    };
    let head = head_words(title.as_deref(), tags.as_deref());
    add_words(connection, &[(known.key, RowWords { body: &one.words, head: &head })])?;
    let sql = format!(
        "UPDATE conversation SET owner = $1, kind = $2, status = $3, was = $4, edited = $5, title = $6,
                   tags = $7, model = $8, created_at = $9, updated_at = $10, rounds = $11,
                   messages = $12, digest = $13, size = $14, body = $15, importer = $16, holder = $17, space = $18,
                   turns = $19, calls = $20, marks = $21, models = $22, tools = $23, tokens = $24, least_score = $25,
                   most_score = $26, language = $27, judges = $28, {CHANGED_NOW}
               WHERE key = $29"
    );
    let [turns, calls, marks, models, tools, tokens, least, most, language, judges] =
        made.features.values();
    connection.execute(
        &sql,
        &[
            made.owner.as_ref().into(),
            Value::Int(number_of_kind(one.kind)),
            Value::Int(status),
            Value::Int(was),
            Value::Int(known.edited),
            title.as_ref().into(),
            tags.as_ref().into(),
            made.model.as_ref().into(),
            Value::Int(micros(one.created_at)),
            Value::Int(micros(one.updated_at)),
            Value::Int(whole(one.rounds)),
            Value::Int(whole(one.messages)),
            Value::Bytes(&one.digest),
            Value::Int(whole(one.size)),
            Value::Int(body),
            made.importer.as_ref().into(),
            made.holder.as_ref().into(),
            Value::Text(&made.space),
            turns,
            calls,
            marks,
            models,
            tools,
            tokens,
            least,
            most,
            language,
            judges,
            Value::Int(known.key),
        ],
    )?;
    if status == number_of_status(Status::Deleted) {
        end_shares(connection, known.key)?;
    }
    end_citations(connection, known.key)?;
    cite(connection, known.key, &one.cites)
}

/// Takes away a body that nothing needs any more, at once or when the exports under way have ended.
pub(crate) fn drop_body(
    connection: &mut Connection,
    body: i64,
    exporting: bool,
) -> Result<(), Error> {
    let sql = if exporting {
        "UPDATE body SET superseded = 1 WHERE key = $1"
    } else {
        "DELETE FROM body WHERE key = $1"
    };
    connection.execute(sql, &[body.into()]).map(|_| ())
}
