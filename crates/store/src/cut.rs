//! Cuts the frozen selection of an export into parts.

use crate::columns::whole;
use crate::dialect::{Connection, Value};
use crate::error::Error;

/// Cuts the frozen items into parts: each begins with the item at which the bytes before it pass a multiple of
/// `part_bytes`.
pub(crate) fn cut(connection: &mut Connection, job: i64, part_bytes: u64) -> Result<(), Error> {
    let mut shards: Vec<[u64; 3]> = Vec::new();
    let (mut ends, mut first, mut last, mut begins) = (0_u64, 1_u64, 0_u64, 0_u64);
    let part_bytes = part_bytes.max(1);
    let sql = "SELECT ordinal, ends FROM job_item WHERE job = $1 ORDER BY ordinal";
    connection.each(sql, &[job.into()], &mut |row| {
        let (ordinal, now) = (row.int(0)?.unsigned_abs(), row.int(1)?.unsigned_abs());
        if ends - begins >= part_bytes {
            shards.push([first, last, ends - begins]);
            (first, begins) = (ordinal, ends);
        }
        (last, ends) = (ordinal, now);
        Ok(())
    })?;
    if last > 0 {
        shards.push([first, last, ends - begins]);
    }
    for (number, shard) in (0..).zip(shards) {
        let sql =
            "INSERT INTO job_shard (job, number, first, last, bytes) VALUES ($1, $2, $3, $4, $5)";
        let [first, last, bytes] = shard.map(|count| Value::Int(whole(count)));
        connection.execute(sql, &[job.into(), Value::Int(number), first, last, bytes])?;
    }
    Ok(())
}

/// Notes how much an export has to do, by its parts.
pub(crate) fn set_totals(connection: &mut Connection, job: i64) -> Result<(), Error> {
    let sql = "UPDATE job SET
                   items_total = (SELECT COALESCE(MAX(last), 0) FROM job_shard WHERE job = $1),
                   bytes_total = (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM job_shard WHERE job = $1)
               WHERE id = $1";
    connection.execute(sql, &[job.into()]).map(|_| ())
}
