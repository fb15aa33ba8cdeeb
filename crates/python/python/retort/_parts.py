"""Exports in parts, which a cluster makes: the code that Spark and Ray share.

The output of a task gets its final name only when it is complete, and the name has a hash of what it was made from. So
a task that runs twice, or at the same time as another attempt, leaves the same files, and an export that was killed
continues when it is started again.
"""

import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path

from ._retort import Dataset, RepeatedIds, UsageError, convert, hash_of_parts, merge, pinned


def publish(own, final, proof):
    """Renames an attempt's output to its final name, unless another attempt was first.

    `proof` is a file that exists only in complete output.
    """
    try:
        os.rename(own, final)
    except OSError:
        if not proof.exists():
            raise
        shutil.rmtree(own, ignore_errors=True)


def make_part(source, folder, key, number, count, repeats, name, options):
    """Makes one part, unless it exists already. Returns its folder."""
    final = Path(folder) / f"part-{number:06}-of-{count:06}-{key[:32]}"
    if repeats:
        decided = hashlib.sha256(Path(repeats).read_bytes()).hexdigest()
        final = final.with_name(f"{final.name}-{decided[:32]}")
    proof = final / "part.json"
    if not proof.exists():
        own = final.with_name(f"attempt-{uuid.uuid4().hex}")
        convert(source, own, name=name, part=f"{number}/{count}", repeats=repeats, **options)
        publish(own, final, proof)
    return str(final)


def stage(lines, folder, partition=lambda: 0):
    """Writes the lines of one partition to a file that is named by their hash.

    Returns its path, or "" if there are no lines.
    `partition` returns the number of the partition, and is called after the lines were read.
    """
    own = Path(folder) / f"attempt-{uuid.uuid4().hex}"
    hashed, count = hashlib.sha256(), 0
    with own.open("wb") as file:
        for line in lines:
            # JSON Lines allows no line breaks within a line; in JSON they can only be white space, so a space is the
            # same.
            line = line.replace("\r", " ").replace("\n", " ").encode() + b"\n"
            hashed.update(line)
            file.write(line)
            count += 1
    if not count:
        own.unlink()
        return ""
    final = own.with_name(f"rows-{partition():06}-{hashed.hexdigest()[:32]}.jsonl")
    if final.exists():
        # The file keeps the time of the first attempt: the names of parts depend on it, so finished ones are found
        # again.
        own.unlink()
    else:
        os.replace(own, final)
    return str(final)


def work_folder(to, work):
    """The folder for the output of tasks, which is removed once the package is complete."""
    to = Path(to)
    return Path(work) if work else to.with_name(to.name + ".parts")


def made_work_folder(to, work, name, force, options):
    """Like `work_folder`, for an export whose files do not exist yet. Checks first what can be checked without them."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "rows.jsonl"
        empty.touch()
        hash_of_parts(empty, to, name or Path(to).stem, force=force, **_without_threads(options))
    work = work_folder(to, work)
    work.mkdir(parents=True, exist_ok=True)
    return str(work)


def _without_threads(options):
    return {name: value for name, value in options.items() if name != "threads"}


def staged(paths):
    """The files that tasks staged, in the order of their partitions."""
    found = sorted(path for path in paths if path)
    if not found:
        raise UsageError("the source has no rows")
    return found


def export(run, source, to, count, work, name, force, options):
    """Makes all parts with `run`, which maps a function over numbers on a cluster, and merges them into one package.

    The package is byte for byte the same as `retort.convert` makes from `source` in one process.
    """
    to = Path(to)
    name = name or to.stem
    work = work_folder(to, work)
    # All parts read a dataset on the Hub at the same commit.
    source = pinned(source)
    # Refuses options that do not work in parts before anything is made.
    key = hash_of_parts(source, to, name, force=force, **_without_threads(options))
    work.mkdir(parents=True, exist_ok=True)
    options = {"threads": 1, **options}

    def made(numbers, repeats):
        def make(number):
            return make_part(source, str(work), key, number, count, repeats, name, options)

        return dict(zip(numbers, run(make, numbers)))

    parts = made(list(range(1, count + 1)), None)
    try:
        dataset: Dataset = merge(list(parts.values()), to, force=force)
    except RepeatedIds as repeated:
        parts.update(made(list(repeated.parts), str(repeated.decisions)))
        dataset = merge(list(parts.values()), to, force=force)
        Path(repeated.decisions).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
    return dataset
