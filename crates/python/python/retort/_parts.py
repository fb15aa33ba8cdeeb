"""Exports that are cut into parts, which something else runs anywhere: one place for what Spark and Ray share."""

import shutil
import uuid
from pathlib import Path

from ._retort import Dataset, RepeatedIds, convert, merge


def make_part(source, folder, number, count, repeats, name, options):
    """Makes one part in a folder of its own, so that a task that runs twice disturbs nothing. Returns the folder."""
    folder = Path(folder) / f"{number:06}-of-{count:06}-{uuid.uuid4().hex}"
    options = {"threads": 1, **options}
    return str(
        convert(source, folder, name=name, part=f"{number}/{count}", repeats=repeats, **options)
    )


def export(run, source, to, count, work, name, force, options):
    """Makes all parts by `run`, which maps a function over numbers somewhere, and merges them into one package.

    The package is byte for byte the one that `retort.convert` makes in one process.
    """
    to = Path(to)
    name = name or to.stem
    work = Path(work) if work else to.with_name(to.name + ".parts")
    work.mkdir(parents=True, exist_ok=True)

    def made(numbers, repeats):
        folders = run(
            lambda number: make_part(source, str(work), number, count, repeats, name, options),
            numbers,
        )
        return dict(zip(numbers, folders))

    parts = made(list(range(1, count + 1)), None)
    try:
        dataset: Dataset = merge(list(parts.values()), to, force=force)
    except RepeatedIds as repeated:
        parts.update(made(list(repeated.parts), str(repeated.decisions)))
        dataset = merge(list(parts.values()), to, force=force)
        Path(repeated.decisions).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
    return dataset
