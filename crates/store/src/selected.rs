//! The frozen items of an export, read in order.

use retort_model::bounds::{BATCH_BYTES, SELECTED_ROWS};
use retort_model::{ItemKind, Status};

use crate::body::{BodyHead, Unpacker};
use crate::columns::{PURGED, read_texts, status_of, whole};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::items::table;

/// Some items of an export, as the store keeps them.
#[derive(Debug, Default)]
pub struct SelectedBatch {
    job: i64,
    packed: Vec<u8>,
    /// What the items are.
    pub kind: ItemKind,
    /// The items, in order.
    pub items: Vec<SelectedItem>,
    /// Bytes of history up to the last item.
    pub ends: u64,
}

/// An item of an export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelectedItem {
    /// Its place in the export, from 1.
    pub ordinal: u64,
    /// The item's id, told where there is no body to tell it.
    pub purged_id: Option<String>,
    /// The status that was set here.
    pub status: Option<Status>,
    /// The title that was set here; an empty one was taken away.
    pub title: Option<String>,
    /// The tags that were set here.
    pub tags: Option<Vec<String>>,
    head: BodyHead,
    start: usize,
    end: usize,
}

impl SelectedBatch {
    /// Bytes of all its lines, unpacked.
    pub fn size(&self) -> usize {
        self.items.iter().map(|item| item.head.size).fold(0, usize::saturating_add)
    }

    /// Unpacks the canonical line of an item behind what is in `out`.
    ///
    /// # Errors
    /// It is damaged.
    pub fn unpack(
        &self,
        item: &SelectedItem,
        unpacker: &mut Unpacker<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let packed = self.packed.get(item.start..item.end).unwrap_or_default();
        unpacker.unpack(item.head, packed, out)
    }

    fn push_body(&mut self, item: &mut SelectedItem, packed: &[u8]) {
        item.start = self.packed.len();
        self.packed.extend_from_slice(packed);
        item.end = self.packed.len();
    }
}

impl crate::Store {
    /// The id of an item, where its body cannot tell it.
    pub fn selected_id(&self, batch: &SelectedBatch, ordinal: u64) -> Result<String, Error> {
        let sql = format!(
            "SELECT c.id FROM job_item i JOIN {} c ON c.key = i.item
             WHERE i.job = $1 AND i.ordinal = $2",
            table(batch.kind)
        );
        let values = [batch.job.into(), Value::Int(whole(ordinal))];
        let id = self.read(|connection| connection.row(&sql, &values, |row| row.text(0)))?;
        Ok(id.unwrap_or_default())
    }

    /// The items behind place `after` up to `last`, as many as make a batch and at least one; none if there are no
    /// more. `ends` is where the batch before ended.
    pub fn selected(
        &self,
        job: i64,
        after: u64,
        last: u64,
        ends: u64,
    ) -> Result<SelectedBatch, Error> {
        let sql =
            "SELECT i.ordinal, i.status, i.title, i.tags, i.ends, b.dictionary, b.crc32, b.bytes
                   FROM job_item i LEFT JOIN body b ON b.key = i.body
                   WHERE i.job = $1 AND i.ordinal > $2 AND i.ordinal <= $3
                       AND (i.ordinal = $4 OR i.ends <= $5)
                   ORDER BY i.ordinal";
        let until = last.min(after.saturating_add(SELECTED_ROWS));
        let values = [
            job.into(),
            Value::Int(whole(after)),
            Value::Int(whole(until)),
            Value::Int(whole(after + 1)),
            Value::Int(whole(ends.saturating_add(BATCH_BYTES as u64))),
        ];
        let mut batch = SelectedBatch { job, ends, ..SelectedBatch::default() };
        let mut missing = Vec::new();
        self.read(|connection| {
            batch.kind = kind_of_items(connection, job)?;
            connection.each(sql, &values, &mut |row| {
                let item_ends = row.int(4)?.unsigned_abs();
                let mut item = SelectedItem {
                    ordinal: row.int(0)?.unsigned_abs(),
                    status: row.int_or_none(1)?.map(status_of),
                    title: row.text_or_none(2)?,
                    tags: row.text_or_none(3)?.map(|tags| read_texts(&tags)),
                    ..SelectedItem::default()
                };
                match row.bytes(7)? {
                    Some(packed) => {
                        let size = item_ends.saturating_sub(batch.ends);
                        item.head = BodyHead {
                            dictionary: row.int(5)?,
                            crc32: row.int(6)?,
                            size: usize::try_from(size).unwrap_or(usize::MAX),
                        };
                        batch.push_body(&mut item, packed);
                    }
                    None => missing.push(batch.items.len()),
                }
                batch.ends = item_ends;
                batch.items.push(item);
                Ok(())
            })?;
            for place in missing {
                fill(connection, job, place, &mut batch)?;
            }
            Ok(())
        })?;
        Ok(batch)
    }
}

/// What an export is of.
fn kind_of_items(connection: &mut Connection, job: i64) -> Result<ItemKind, Error> {
    let sql = "SELECT items FROM job WHERE id = $1";
    let kind = connection.row(sql, &[job.into()], |row| row.text(0))?.unwrap_or_default();
    kind.parse().map_err(Error::Damaged)
}

/// Fills an item whose frozen body is gone: with the newest if the export was ended and begun again since, else
/// with the id of what was purged. What is neither stays without a body, which unpacking it tells.
fn fill(
    connection: &mut Connection,
    job: i64,
    place: usize,
    batch: &mut SelectedBatch,
) -> Result<(), Error> {
    let Some(mut item) = batch.items.get(place).cloned() else { return Ok(()) };
    let sql = format!(
        "SELECT c.id, c.status, c.size, b.dictionary, b.crc32, b.bytes FROM job_item i
         JOIN {} c ON c.key = i.item LEFT JOIN body b ON b.key = c.body
         WHERE i.job = $1 AND i.ordinal = $2",
        table(batch.kind)
    );
    let values = [job.into(), Value::Int(whole(item.ordinal))];
    let mut packed = Vec::new();
    item.head = BodyHead { size: 1, ..BodyHead::default() };
    connection.each(&sql, &values, &mut |row| {
        if row.int(1)? == PURGED {
            item.purged_id = Some(row.text(0)?);
        } else if let Some(bytes) = row.bytes(5)? {
            let size = usize::try_from(row.int(2)?).unwrap_or(usize::MAX);
            item.head = BodyHead { dictionary: row.int(3)?, crc32: row.int(4)?, size };
            packed = bytes.to_vec();
        }
        Ok(())
    })?;
    batch.push_body(&mut item, &packed);
    if let Some(slot) = batch.items.get_mut(place) {
        *slot = item;
    }
    Ok(())
}
