//! Documents: taken in, listed, read and taken away.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{DocumentFilter, EmbeddingStats, ItemKind, Scope, Time};

use crate::body::{PackedBody, Unpacker};
use crate::columns::{PURGED, key_text, micros, title_text, whole};
use crate::conversations::{Taken, drop_body, is_exporting};
use crate::dialect::{Connection, Dialect, Value};
use crate::document_summary::{DocumentSummary, Original, SUMMARY, read_summary};
use crate::erasures::{Arriving, are_erased};
use crate::error::Error;
use crate::filter::{SEPARATOR, push_ids, push_range, push_texts, searchable};
use crate::importer::Importer;
use crate::items::{insert_bodies, is_named, purge_bodies, write_bodies};
use crate::order::{Cursor, Part, neighbours};
use crate::orders::DocumentOrder;
use crate::page::{page_of, room_of};
use crate::statement::{Statement, insert};
use crate::store::{CHANGED_NOW, next, take_turn};

/// The status of a document that is there.
const THERE: i64 = 0;

/// A document as an import brings it.
#[derive(Clone, Debug, Default)]
pub struct IncomingDocument {
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Its name as people know it.
    pub name: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// The site that it came from.
    pub base_url: Option<String>,
    /// Where the source keeps the original.
    pub s3_path: Option<String>,
    /// When it was taken in at the source.
    pub created_at: Option<Time>,
    /// How many chunks it has.
    pub chunks: u64,
    /// What its embeddings have in common.
    pub embeddings: EmbeddingStats,
    /// A hash of its canonical line.
    pub digest: [u8; 16],
    /// Bytes of its canonical line.
    pub size: u64,
    /// The line, compressed.
    pub body: PackedBody,
    /// Whether its id came before in the same import.
    pub repeated: bool,
}

/// A page of documents.
#[derive(Clone, Debug, Default)]
pub struct DocumentPage {
    /// Its documents.
    pub documents: Vec<DocumentSummary>,
    /// Where the next begins, if there is one.
    pub next: Option<Cursor>,
}

const COLUMNS: [&str; 21] = [
    "key",
    "project",
    "id",
    "source",
    "status",
    "name",
    "url",
    "base_url",
    "s3_path",
    "created_at",
    "chunks",
    "embedded",
    "least_dimension",
    "most_dimension",
    "width",
    "model",
    "search",
    "digest",
    "size",
    "body",
    "importer",
];

/// A document that is there.
struct Known {
    key: i64,
    body: i64,
    digest: Vec<u8>,
    status: i64,
}

impl crate::Store {
    /// Takes in documents, all or none: new ones are added, and those that are there become what comes.
    ///
    /// # Errors
    /// Those of the database; nothing is taken then.
    pub fn take_in_documents(
        &self,
        importer: &Importer<'_>,
        incoming: &[IncomingDocument],
    ) -> Result<Vec<Taken>, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let mut taken = Vec::with_capacity(incoming.len());
            for one in incoming {
                taken.push(take(connection, importer, one, true)?);
            }
            Ok(taken)
        })
    }

    /// What [`Store::take_in_documents`](crate::Store::take_in_documents) would do, where nothing came before.
    pub fn would_take_in_documents(
        &self,
        importer: &Importer<'_>,
        incoming: &[IncomingDocument],
    ) -> Result<Vec<Taken>, Error> {
        self.read(|connection| {
            incoming.iter().map(|one| take(connection, importer, one, false)).collect()
        })
    }

    /// A page of the documents in the scope that match the selection, in that order. The selection's limit is ignored.
    pub fn documents(
        &self,
        scope: &Scope,
        selection: &DocumentFilter,
        order: DocumentOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<DocumentPage, Error> {
        let most = most.clamp(1, PAGE_ITEMS);
        self.look(|connection| {
            let dialect = connection.dialect();
            let statement = page(dialect, scope, selection, order, Part::Onward(after), most);
            let (documents, more) = page_of(connection, &statement, most, read_summary, |one| {
                let original = one.original.as_ref();
                let original = original.into_iter().flat_map(|file| [&file.name, &file.media_type]);
                let texts = [&one.name, &one.url, &one.base_url, &one.s3_path];
                let texts = texts.into_iter().chain([&one.embeddings.model]).chain(original);
                room_of(texts.flatten().chain([&one.id]))
            })?;
            let next = documents.last().filter(|_| more).map(|last| Cursor::behind(last, order));
            Ok(DocumentPage { documents, next })
        })
    }

    /// The documents before and after one, in the list of this scope, selection and order.
    pub fn document_neighbours(
        &self,
        scope: &Scope,
        selection: &DocumentFilter,
        order: DocumentOrder,
        one: &DocumentSummary,
    ) -> Result<[Option<DocumentSummary>; 2], Error> {
        self.look(|connection| {
            neighbours(one, order, |part| {
                let statement = page(connection.dialect(), scope, selection, order, part, 0);
                connection.row(&statement.sql, &statement.values(), read_summary)
            })
        })
    }

    /// The database's plan for a first page of documents, as text: for tests and measurements.
    pub fn explain_documents(
        &self,
        scope: &Scope,
        selection: &DocumentFilter,
        order: DocumentOrder,
    ) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let dialect = connection.dialect();
            let page = page(dialect, scope, selection, order, Part::Onward(None), 1);
            connection.explained(&page)
        })
    }

    /// How many documents scope and selection mean, without the limit; and what their embeddings have in common.
    pub fn document_stats(
        &self,
        scope: &Scope,
        selection: &DocumentFilter,
    ) -> Result<(u64, EmbeddingStats), Error> {
        self.look(|connection| {
            let mut statement = Statement::new(
                "SELECT COUNT(*), CAST(COALESCE(SUM(c.embedded), 0) AS BIGINT),
                     COALESCE(MIN(CASE WHEN c.embedded > 0 THEN c.least_dimension END), 0),
                     COALESCE(MAX(c.most_dimension), 0), COALESCE(MAX(c.width), 0),
                     MIN(CASE WHEN c.embedded > 0 THEN COALESCE(c.model, '') END),
                     MAX(CASE WHEN c.embedded > 0 THEN COALESCE(c.model, '') END) FROM document c WHERE ",
            );
            push_documents(&mut statement, connection.dialect(), scope, selection);
            let found = connection.row(&statement.sql, &statement.values(), |row| {
                let dimension = |at| Ok::<_, Error>(usize::try_from(row.int(at)?).unwrap_or(0));
                let (first, last) = (row.text_or_none(5)?, row.text_or_none(6)?);
                let stats = EmbeddingStats {
                    embedded: row.int(1)?.unsigned_abs(),
                    least_dimension: dimension(2)?,
                    most_dimension: dimension(3)?,
                    width: u32::try_from(row.int(4)?).unwrap_or_default(),
                    model: first.filter(|model| !model.is_empty() && last.as_ref() == Some(model)),
                };
                Ok((row.int(0)?.unsigned_abs(), stats))
            })?;
            Ok(found.unwrap_or_default())
        })
    }

    /// The documents with that id; several, if several sources gave it.
    pub fn document(&self, scope: &Scope, id: &str) -> Result<Vec<DocumentSummary>, Error> {
        let mut statement = Statement::new(SUMMARY);
        statement.push("c.project = ").int(scope.project).push(" AND c.id = ").key(id);
        statement.push(&format!(" AND c.status <> {PURGED}"));
        statement.held_by(scope);
        statement.push(" ORDER BY c.key");
        self.look(|connection| connection.rows(&statement.sql, &statement.values(), read_summary))
    }

    /// The document that is at a path or came from an address; the newest, if there are several.
    pub fn document_at(
        &self,
        scope: &Scope,
        s3_path: Option<&str>,
        url: Option<&str>,
    ) -> Result<Option<DocumentSummary>, Error> {
        for (column, value) in [("s3_path", s3_path), ("url", url)] {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let mut statement = Statement::new(SUMMARY);
            statement.push("c.project = ").int(scope.project);
            statement.push(&format!(" AND c.{column} = ")).key(value);
            statement.push(&format!(" AND c.status <> {PURGED}"));
            statement.held_by(scope);
            statement.push(" ORDER BY c.key DESC").at_most(1);
            let found = self.look(|connection| {
                connection.row(&statement.sql, &statement.values(), read_summary)
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads the canonical line of a document; none if it was taken away meanwhile.
    ///
    /// # Errors
    /// It is damaged; those of the database.
    pub fn document_line(
        &self,
        summary: &DocumentSummary,
        unpacker: &mut Unpacker<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.line_of(ItemKind::Document, (summary.key, &summary.id), unpacker)
    }

    /// Says which original a document has; gives back the hash of the one that it had, if no document names it any
    /// more. None if the document is not there.
    pub fn set_original(
        &self,
        scope: &Scope,
        key: i64,
        original: &Original,
    ) -> Result<Option<Vec<String>>, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let sql =
                "SELECT original FROM document WHERE key = $1 AND project = $2 AND status <> $3";
            let values = [key.into(), scope.project.into(), Value::Int(PURGED)];
            let Some(before) = connection.row(sql, &values, |row| row.text_or_none(0))? else {
                return Ok(None);
            };
            let sql = "UPDATE document SET original = $1, original_name = $2, original_type = $3,
                           original_bytes = $4 WHERE key = $5";
            let values = [
                Value::Text(&original.sha256),
                original.name.as_ref().into(),
                original.media_type.as_ref().into(),
                Value::Int(whole(original.bytes)),
                key.into(),
            ];
            connection.execute(sql, &values)?;
            unnamed(connection, before).map(Some)
        })
    }

    /// Takes everything away of the documents that scope and selection mean, also from exports under way; the bare id
    /// of one stays if a dataset names it. Says how many are gone, and the hashes of the originals that no document
    /// names any more. Many are taken a page at a time, each page whole.
    pub fn purge_documents(
        &self,
        scope: &Scope,
        selection: &DocumentFilter,
        forget: &mut dyn FnMut(Vec<String>),
    ) -> Result<u64, Error> {
        let meant = |statement: &mut Statement, dialect| {
            push_documents(statement, dialect, scope, selection);
        };
        self.purge_meant(&meant, forget)
    }

    /// As [`Self::purge_documents`], for the documents that a person imported.
    pub fn purge_documents_held(
        &self,
        project: i64,
        name: &str,
        forget: &mut dyn FnMut(Vec<String>),
    ) -> Result<u64, Error> {
        let meant = |statement: &mut Statement, _| {
            statement.push("c.project = ").int(project).push(" AND c.importer = ").key(name);
            statement.push(&format!(" AND c.status <> {PURGED}"));
        };
        self.purge_meant(&meant, forget)
    }

    /// The hashes of the original files of the documents that a person imported.
    pub fn originals_held(&self, project: i64, name: &str) -> Result<Vec<String>, Error> {
        let mut statement =
            Statement::new("SELECT DISTINCT c.original FROM document c WHERE c.project = ");
        statement.int(project).push(" AND c.importer = ").key(name);
        statement.push(&format!(" AND c.original IS NOT NULL AND c.status <> {PURGED}"));
        self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| row.text(0))
        })
    }

    /// Purges the documents (`c`) for which `meant` appends the condition.
    fn purge_meant(
        &self,
        meant: &dyn Fn(&mut Statement, Dialect),
        forget: &mut dyn FnMut(Vec<String>),
    ) -> Result<u64, Error> {
        let mut gone = 0;
        loop {
            let (count, originals) = self.write(|connection| {
                take_turn(connection)?;
                let mut statement =
                    Statement::new("SELECT c.key, c.body, c.original FROM document c WHERE ");
                meant(&mut statement, connection.dialect());
                statement.push(" ORDER BY c.key").at_most(PAGE_ITEMS);
                let found = connection.rows(&statement.sql, &statement.values(), |row| {
                    Ok((row.int(0)?, row.int(1)?, row.text_or_none(2)?))
                })?;
                let exporting = is_exporting(connection)?;
                let mut originals = Vec::new();
                for (key, body, original) in &found {
                    purge(connection, (*key, *body), exporting)?;
                    originals.extend(unnamed(connection, original.clone())?);
                }
                Ok((found.len(), originals))
            })?;
            forget(originals);
            gone += count as u64;
            if count < PAGE_ITEMS {
                self.erase()?;
                return Ok(gone);
            }
        }
    }

    /// The hashes of all originals that documents name, in order, with their sizes.
    pub fn originals(&self) -> Result<Vec<(String, u64)>, Error> {
        let sql = "SELECT original, MAX(original_bytes) FROM document WHERE original IS NOT NULL
                   GROUP BY original ORDER BY original";
        self.read(|connection| {
            connection.rows(sql, &[], |row| {
                Ok((row.text(0)?, row.int_or_none(1)?.unwrap_or_default().unsigned_abs()))
            })
        })
    }

    /// Has an original removed if no document names it, while none can come to name it.
    pub fn if_unnamed(&self, hash: &str, remove: &mut dyn FnMut()) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            if !unnamed(connection, Some(hash.to_owned()))?.is_empty() {
                remove();
            }
            Ok(())
        })
    }
}

fn page(
    dialect: Dialect,
    scope: &Scope,
    selection: &DocumentFilter,
    order: DocumentOrder,
    part: Part,
    most: usize,
) -> Statement {
    let mut statement = Statement::new(SUMMARY);
    push_documents(&mut statement, dialect, scope, selection);
    statement.in_order(dialect, order, part, most);
    statement
}

/// Appends what scope and selection mean of the documents `c`, without the limit.
pub(crate) fn push_documents(
    statement: &mut Statement,
    dialect: Dialect,
    scope: &Scope,
    selection: &DocumentFilter,
) {
    statement.push("c.project = ").int(scope.project);
    // Documents are everyone's of a project, so nobody's who sees only what they hold.
    statement.held_by(scope);
    statement.push(&format!(" AND c.status <> {PURGED}"));
    push_range(statement, "c.created_at", selection.created);
    if !selection.ids.is_empty() {
        statement.push(" AND ");
        push_ids(statement, dialect, &selection.ids);
    }
    push_texts(statement, "c.search", &selection.search);
}

/// Takes one in, or says what would become of it.
fn take(
    connection: &mut Connection,
    importer: &Importer<'_>,
    one: &IncomingDocument,
    writes: bool,
) -> Result<Taken, Error> {
    let sql = "SELECT key, body, digest, status FROM document WHERE project = $1 AND id = $2 AND source = $3";
    let id = key_text(&one.id);
    let project = importer.scope.project;
    let values = [project.into(), Value::Text(&id), Value::Text(&one.source)];
    let arriving = Arriving {
        kind: ItemKind::Document,
        among: &one.source,
        id: &one.id,
        owner: None,
        digest: &one.digest,
    };
    if are_erased(connection, importer, &[arriving])? == [true] {
        return Ok(Taken::Erased);
    }
    let known = connection.row(sql, &values, |row| {
        let digest = row.bytes(2)?.unwrap_or_default().to_vec();
        Ok(Known { key: row.int(0)?, body: row.int(1)?, digest, status: row.int(3)? })
    })?;
    let taken = match &known {
        None if one.repeated && !writes => Taken::Repeated,
        None => Taken::New,
        Some(known) if known.status == PURGED => Taken::New,
        Some(known) if known.digest == one.digest => Taken::Same,
        Some(_) if one.repeated => Taken::Repeated,
        Some(_) => Taken::Updated,
    };
    if !writes || matches!(taken, Taken::Same | Taken::Repeated) {
        return Ok(taken);
    }
    let body = next(connection, "body", 1)?;
    write_bodies(connection, &insert_bodies(1), std::iter::once(&one.body), body)?;
    let key = match &known {
        Some(known) => {
            let exporting = is_exporting(connection)?;
            drop_body(connection, known.body, exporting)?;
            known.key
        }
        None => next(connection, "item", 1)?,
    };
    let text = |text: &Option<String>| text.as_deref().map(title_text);
    let place = |text: &Option<String>| text.as_deref().map(|text| key_text(text).into_owned());
    let (name, base_url) = (text(&one.name), text(&one.base_url));
    let (url, s3_path) = (place(&one.url), place(&one.s3_path));
    let search = search_text([&name, &url, &s3_path]);
    let stats = &one.embeddings;
    let model = text(&stats.model);
    let imported = importer.column();
    let dimension = |dimension: usize| Value::Int(whole(dimension as u64));
    let values = [
        key.into(),
        project.into(),
        Value::Text(&id),
        Value::Text(&one.source),
        Value::Int(THERE),
        name.as_ref().into(),
        url.as_ref().into(),
        base_url.as_ref().into(),
        s3_path.as_ref().into(),
        Value::Int(micros(one.created_at)),
        Value::Int(whole(one.chunks)),
        Value::Int(whole(stats.embedded)),
        dimension(stats.least_dimension),
        dimension(stats.most_dimension),
        Value::Int(stats.width.into()),
        model.as_ref().into(),
        Value::Text(&search),
        Value::Bytes(&one.digest),
        Value::Int(whole(one.size)),
        body.into(),
        imported.as_ref().into(),
    ];
    let mut sql = insert("document", &COLUMNS, 1);
    if known.is_some() {
        // The original stays what it was, and the importer who imported it first.
        sql.push_str(" ON CONFLICT (project, id, source) DO UPDATE SET ");
        let set = COLUMNS
            .iter()
            .filter(|name| !["key", "project", "id", "source", "importer"].contains(name));
        let set: Vec<String> = set.map(|name| format!("{name} = excluded.{name}")).collect();
        sql.push_str(&set.join(", "));
        sql.push_str(", importer = COALESCE(document.importer, excluded.importer), ");
        sql.push_str(CHANGED_NOW);
    }
    connection.execute(&sql, &values)?;
    Ok(taken)
}

/// What is searched: name, address and path.
fn search_text(parts: [&Option<String>; 3]) -> String {
    let mut text = String::new();
    for part in parts.into_iter().flatten() {
        if !text.is_empty() {
            text.push(SEPARATOR);
        }
        text.push_str(&searchable(part));
    }
    text
}

/// Takes everything of a document away; its bare id stays if a dataset names it.
fn purge(
    connection: &mut Connection,
    (number, body): (i64, i64),
    exporting: bool,
) -> Result<(), Error> {
    let key = Value::Int(number);
    purge_bodies(connection, (number, body), exporting)?;
    if !is_named(connection, number)? {
        return connection.execute("DELETE FROM document WHERE key = $1", &[key]).map(|_| ());
    }
    let sql = format!(
        "UPDATE document SET status = {PURGED}, importer = NULL, name = NULL, url = NULL, base_url = NULL, s3_path = NULL, chunks = 0,
             embedded = 0, least_dimension = 0, most_dimension = 0, width = 0, model = NULL, original = NULL,
             original_name = NULL, original_type = NULL, original_bytes = NULL, search = '', digest = $1, size = 0,
             body = 0 WHERE key = $2"
    );
    connection.execute(&sql, &[Value::Bytes(&[]), key]).map(|_| ())
}

/// The hash, if no document names it any more.
fn unnamed(connection: &mut Connection, hash: Option<String>) -> Result<Vec<String>, Error> {
    let Some(hash) = hash else { return Ok(Vec::new()) };
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM document WHERE original = $1 LIMIT 1) d";
    let named = connection.row(sql, &[Value::Text(&hash)], |row| row.int(0))?.unwrap_or(0) > 0;
    Ok(if named { Vec::new() } else { vec![hash] })
}
