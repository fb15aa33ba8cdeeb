//! What conversations, runs and documents have in common: a number, an id, a state and a body.

use retort_model::ItemKind;

use crate::body::{BodyHead, PackedBody, Unpacker};
use crate::columns::PURGED;
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::statement::insert;

/// The column with the holder of an item: its owner, or its importer if it names no owner. Documents never name an owner.
pub(crate) fn held_by(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation | ItemKind::Run => "holder",
        ItemKind::Document => "importer",
    }
}

/// Where the items of a kind stand. Each of these tables has the columns `key`, `project`, `id`, `owner`,
/// `importer`, `holder`, `status`, `size` and `body`; the status of a purged item is [`PURGED`](crate::columns::PURGED) in all of them.
pub(crate) fn table(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation => "conversation",
        ItemKind::Run => "run",
        ItemKind::Document => "document",
    }
}

/// The statement that writes some bodies at once.
pub(crate) fn insert_bodies(rows: usize) -> String {
    insert("body", &["key", "dictionary", "superseded", "crc32", "bytes"], rows)
}

/// Writes bodies under the numbers from `first` on; `sql` is [`insert_bodies`] of as many.
pub(crate) fn write_bodies<'b>(
    connection: &mut Connection,
    sql: &str,
    bodies: impl Iterator<Item = &'b PackedBody>,
    first: i64,
) -> Result<(), Error> {
    let mut values = Vec::with_capacity(bodies.size_hint().0 * 5);
    for (key, body) in (first..).zip(bodies) {
        values.extend([
            Value::Int(key),
            Value::Int(body.dictionary),
            Value::Int(0),
            Value::Int(body.crc32.into()),
            Value::Bytes(&body.bytes),
        ]);
    }
    connection.execute(sql, &values).map(|_| ())
}

/// Reads a body; `head` says how large its line is. None if it is not there.
pub(crate) fn read_body(
    connection: &mut Connection,
    body: i64,
    head: BodyHead,
) -> Result<Option<(BodyHead, Vec<u8>)>, Error> {
    let sql = "SELECT dictionary, crc32, bytes FROM body WHERE key = $1";
    connection.row(sql, &[body.into()], |row| {
        let head = BodyHead { dictionary: row.int(0)?, crc32: row.int(1)?, ..head };
        Ok((head, row.bytes(2)?.unwrap_or_default().to_vec()))
    })
}

/// Unpacks a body that comes in, whose line has `size` bytes.
pub(crate) fn unpack_incoming(
    unpacker: &mut Unpacker<'_>,
    body: &PackedBody,
    size: u64,
    line: &mut Vec<u8>,
) -> Result<(), Error> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let head = BodyHead { dictionary: body.dictionary, crc32: body.crc32.into(), size };
    unpacker.unpack(head, &body.bytes, line)
}

/// Unpacks the body of an item that the store has.
pub(crate) fn unpack_stored(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    kind: ItemKind,
    (body, head): (i64, BodyHead),
    line: &mut Vec<u8>,
) -> Result<(), Error> {
    let missing = || Error::Damaged(format!("the body of a {kind} is missing"));
    let (head, packed) = read_body(connection, body, head)?.ok_or_else(missing)?;
    unpacker.unpack(head, &packed, line)
}

/// Takes the body of an item away, also from exports under way, if there are any.
pub(crate) fn purge_bodies(
    connection: &mut Connection,
    (key, body): (i64, i64),
    exporting: bool,
) -> Result<(), Error> {
    connection.execute("DELETE FROM body WHERE key = $1", &[body.into()])?;
    // What was set here, as exports were frozen with it.
    let sql = "UPDATE job_item SET title = NULL, tags = NULL
               WHERE item = $1 AND (title IS NOT NULL OR tags IS NOT NULL)";
    connection.execute(sql, &[key.into()])?;
    if exporting {
        // Earlier states that exports under way still held.
        let sql = "DELETE FROM body WHERE superseded = 1
                   AND key IN (SELECT body FROM job_item WHERE item = $1)";
        connection.execute(sql, &[key.into()])?;
    }
    Ok(())
}

/// Whether an export names an item, so that its bare id has to stay.
pub(crate) fn is_named(connection: &mut Connection, key: i64) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM job_item WHERE item = $1 LIMIT 1) i";
    Ok(connection.row(sql, &[key.into()], |row| row.int(0))?.unwrap_or(0) > 0)
}

impl crate::Store {
    /// Reads the canonical line of an item; none if it was purged meanwhile.
    pub(crate) fn line_of(
        &self,
        kind: ItemKind,
        item: (i64, &str),
        unpacker: &mut Unpacker<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some((head, packed)) = self.packed_line(kind, item)? else { return Ok(None) };
        let mut line = Vec::new();
        unpacker.unpack(head, &packed, &mut line)?;
        Ok(Some(line))
    }

    /// The canonical line of an item, compressed; none if it was purged meanwhile.
    pub(crate) fn packed_line(
        &self,
        kind: ItemKind,
        (key, id): (i64, &str),
    ) -> Result<Option<(BodyHead, Vec<u8>)>, Error> {
        // Its size as it is now: it may have changed since the item was found.
        let sql = format!(
            "SELECT b.dictionary, b.crc32, b.bytes, c.size FROM {} c
             LEFT JOIN body b ON b.key = c.body WHERE c.key = $1 AND c.status <> {PURGED}",
            table(kind)
        );
        let found = self.read(|connection| {
            connection.row(&sql, &[key.into()], |row| {
                let Some(packed) = row.bytes(2)? else { return Ok(None) };
                let size = usize::try_from(row.int(3)?).unwrap_or(usize::MAX);
                let head = BodyHead { dictionary: row.int(0)?, crc32: row.int(1)?, size };
                Ok(Some((head, packed.to_vec())))
            })
        })?;
        let Some(found) = found else { return Ok(None) };
        let gone = || Error::Damaged(format!("the body of the {kind} `{id}` is missing"));
        found.ok_or_else(gone).map(Some)
    }
}
