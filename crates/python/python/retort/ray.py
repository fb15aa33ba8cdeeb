"""Exports on a Ray cluster.

    import retort.ray

    retort.ray.export("/data/history", "/data/train", parts=64, data_format="openai")
    retort.ray.export(ray.data.read_parquet("/data/chats"), "/data/train", column="body")

Files, parts and the package must be in folders that all nodes see under the same path. Each task makes one part in one
thread; the caller merges them. It does no harm if a task fails or runs twice, and an export whose driver was killed
continues when you start it again.
"""

import json

from ._parts import export as _export
from ._parts import made_work_folder, stage, staged

__all__ = ["export"]


def export(source, to, *, column=None, parts=None, work=None, name=None, force=False, **options):
    """Exports `source` to the package `to` and returns it as a `retort.Dataset`.

    `source` is a path or a list of paths to anything that Retort reads, such as JSON Lines, text or Parquet; the
    package is then byte for byte the same as `retort.convert` makes in one process. Or it is a `ray.data.Dataset` with
    its own filters. Each of its rows becomes a JSON object with the column names as keys or, with `column`, is the JSON
    text in that column.

    `parts` is the number of parts (by default, the number of CPUs in the cluster), `work` the folder for them (by
    default next to `to`). `options` are those of `retort.convert`. Options that need all items at once, such as
    `dedup`, are refused before anything is read. Ray is started on this machine if it is not running.
    """
    import ray

    if not ray.is_initialized():
        ray.init()
    count = parts or max(int(ray.cluster_resources().get("CPU", 1)), 1)
    if hasattr(source, "iter_internal_ref_bundles"):
        source = _stage(source, column, made_work_folder(to, work, name, force, options))

    def run(make, numbers):
        # If a worker dies, the task is retried.
        task = ray.remote(num_cpus=1, max_retries=-1)(make)
        return ray.get([task.remote(number) for number in numbers])

    return _export(run, source, to, count, work, name, force, options)


def _stage(dataset, column, folder):
    """Writes the blocks of a dataset to JSON Lines files, in tasks."""
    import ray


    @ray.remote(num_cpus=1, max_retries=-1)
    def write(number, table):
        def lines():
            for batch in table.to_batches(max_chunksize=1024):
                if column:
                    yield from (text for text in batch.column(column).to_pylist() if text is not None)
                else:
                    yield from (json.dumps(row, ensure_ascii=False, default=str) for row in batch.to_pylist())

        return stage(lines(), folder, lambda: number)

    blocks = dataset.to_arrow_refs()
    return staged(ray.get([write.remote(number, block) for number, block in enumerate(blocks)]))
