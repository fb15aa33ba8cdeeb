"""Exports on a Spark cluster.

    import retort.spark

    retort.spark.export(spark, "/data/history", "/data/train", parts=64, data_format="openai")

The source, the parts and the package lie where the driver and all executors see them under one path. Each task makes one
part in one thread; the driver merges them, and the package is byte for byte the one that `retort.convert` makes in one
process. A task that runs twice changes nothing.
"""

from ._parts import export as _export

__all__ = ["export"]


def export(spark, source, to, *, parts=None, work=None, name=None, force=False, **options):
    """Exports `source` to the package `to` and returns it as a `retort.Dataset`.

    `source` is a path or a list of paths. `parts` is how many parts there are (by default as many as Spark runs tasks
    at a time), `work` the folder for them (by default beside `to`). `options` are those of `retort.convert`.
    """
    context = spark.sparkContext
    count = parts or max(context.defaultParallelism, 1)

    def run(make, numbers):
        return context.parallelize(numbers, len(numbers)).map(make).collect()

    return _export(run, source, to, count, work, name, force, options)
