"""Exports on a Spark cluster.

    import retort.spark

    retort.spark.export(spark, "/data/history", "/data/train", parts=64, data_format="openai")
    retort.spark.export(spark, spark.table("chats").where("day >= '2026-01-01'"), "/data/train")

Files, parts and the package must be in folders that the driver and all executors see under the same path. Each task
makes one part in one thread; the driver merges them. It does no harm if a task fails or runs twice, and an export whose
driver was killed continues when you start it again. This works with Spark, Spark Connect and Sail.
"""

import os
from datetime import datetime, timedelta

from ._parts import export as _export
from ._parts import made_work_folder, stage, staged
from ._retort import UsageError

__all__ = ["export"]


def export(
    spark,
    source,
    to,
    *,
    column=None,
    id=None,
    created=None,
    parts=None,
    work=None,
    name=None,
    force=False,
    **options,
):
    """Exports `source` to the package `to` and returns it as a `retort.Dataset`.

    `source` is a path or a list of paths to anything that Retort reads, such as JSON Lines, text or Parquet; the
    package is then byte for byte the same as `retort.convert` makes in one process. Or it is a DataFrame, such as a
    table with Spark's own filters. Each of its rows becomes a JSON object with the column names as keys or, with
    `column`, is the JSON text in that column. `id` names the column with the ids of conversations: Spark then shuffles
    all rows of one id into one partition, so that the driver has fewer repeated ids to handle. `created` names the column
    (of dates or timestamps) with the times at which conversations were created.

    With these two, the fields `id`, `created_from` and `created_before` of a `filter` also become Spark expressions, so
    that Spark skips partitions and row groups in which nothing can match; the receipt does not count those rows. The other
    fields need whole conversations: Retort reads every row that is left. Files have no columns, so `column`, `id` and
    `created` are refused for paths.

    `parts` is the number of parts (by default, the number of tasks that Spark runs at a time), `work` the folder for
    them (by default next to `to`). `options` are those of `retort.convert`. Options that need all items at once, such
    as `dedup`, are refused before anything is read.
    """
    count = parts or _parallelism(spark)
    if hasattr(source, "mapInArrow"):
        _check_created(source, created)
        folder = made_work_folder(to, work, name, force, options)
        source = _stage(_pruned(source, options, id, created), column, id, count, folder)
    else:
        for argument, value in {"column": column, "id": id, "created": created}.items():
            if value is not None:
                raise UsageError(f"`{argument}` names a column, and `source` is a path: give a DataFrame, or leave it out")

    def run(make, numbers):
        def tasks(batches):
            import pyarrow

            for batch in batches:
                found = [int(number) for number in batch.column(0).to_pylist()]
                made = [make(numbers[at]) for at in found]
                yield pyarrow.RecordBatch.from_arrays([pyarrow.array(found), pyarrow.array(made)], ["at", "made"])

        # One task for each number.
        rows = spark.range(0, len(numbers), 1, len(numbers)).mapInArrow(tasks, "at long, made string").collect()
        made = {row["at"]: row["made"] for row in rows}
        return [made[at] for at in range(len(numbers))]

    return _export(run, source, to, count, work, name, force, options)


def _parallelism(spark):
    try:
        return max(spark.sparkContext.defaultParallelism, 1)
    except Exception:
        # Spark Connect and Sail have no `sparkContext`.
        return os.cpu_count() or 1


def _check_created(frame, created):
    kind = dict(frame.dtypes).get(created)
    if created is not None and kind not in ("date", "timestamp", "timestamp_ntz"):
        found = "is not there" if kind is None else f"has the type {kind}"
        raise UsageError(f"`created`: the column `{created}` {found}; name a column of dates or timestamps")


def _pruned(frame, options, id, created):
    """Leaves out rows that a filter cannot match, by expressions that Spark pushes down to the source.

    Retort applies the whole filter afterwards, so what is left may be more than what matches.
    """
    from pyspark.sql import functions

    filter = options.get("filter") or {}
    # With a namespace, ids are not those of the column.
    if id and filter.get("id") and not options.get("namespace"):
        frame = frame.where(functions.col(id).cast("string").isin(list(filter["id"])))
    # Two days more on each side: a time zone may be missing in the column, or in the session.
    for field, days, compare in [("created_from", -2, "__ge__"), ("created_before", 2, "__lt__")]:
        if created and filter.get(field):
            day = datetime.fromisoformat(filter[field].replace("Z", "+00:00")).date() + timedelta(days=days)
            frame = frame.where(getattr(functions.col(created), compare)(functions.lit(day)))
    return frame


def _stage(frame, column, id, count, folder):
    """Writes the rows of a DataFrame to JSON Lines files, on the executors."""
    from pyspark.sql import functions

    if id:
        frame = frame.repartition(count, id)
    text = functions.col(column) if column else functions.to_json(functions.struct("*"))
    frame = frame.select(text.cast("string").alias("text"), functions.spark_partition_id().alias("partition"))

    def write(batches):
        import pyarrow

        partition = 0

        def lines():
            nonlocal partition
            for batch in batches:
                if batch.num_rows:
                    partition = batch.column(1)[0].as_py()
                yield from (line for line in batch.column(0).to_pylist() if line is not None)

        path = stage(lines(), folder, lambda: partition)
        yield pyarrow.RecordBatch.from_arrays([pyarrow.array([path])], ["path"])

    rows = frame.mapInArrow(write, "path string").collect()
    return staged(row["path"] for row in rows)
