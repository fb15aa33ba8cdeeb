"""Exports that are cut into parts, which something else runs anywhere: one place for what Spark and Ray share.

Whatever a task writes gets its final name only when it is complete, and the name is made of a hash of what it was made
from. So a task that runs twice, or at the same time as another attempt, finds or leaves the same files, and an export that
is started again goes on where it was killed.
"""

import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path

from ._retort import Dataset, RepeatedIds, UsageError, convert, hash_of_parts, merge


def publish(own, final, proof):
    """Gives what an attempt wrote its final name, unless another attempt was first. `proof` is there once it is whole."""
    try:
        os.rename(own, final)
    except OSError:
        if not proof.exists():
            raise
        shutil.rmtree(own, ignore_errors=True)


def make_part(source, folder, key, number, count, repeats, name, options):
    """Makes one part, unless it is there from before. Returns its folder."""
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
    """Writes the lines of one partition to a file that is named by their hash. Returns its path, or "" without lines.

    `partition` returns its number once the lines were read.
    """
    own = Path(folder) / f"attempt-{uuid.uuid4().hex}"
    hashed, count = hashlib.sha256(), 0
    with own.open("wb") as file:
        for line in lines:
            # A line of JSON Lines has no line feed; in JSON it may only be white space.
            line = line.replace("\r", " ").replace("\n", " ").encode() + b"\n"
            hashed.update(line)
            file.write(line)
            count += 1
    if not count:
        own.unlink()
        return ""
    final = own.with_name(f"rows-{partition():06}-{hashed.hexdigest()[:32]}.jsonl")
    if final.exists():
        # It keeps the time of the first attempt, by which the parts made of it are found again.
        own.unlink()
    else:
        os.replace(own, final)
    return str(final)


def work_folder(to, work):
    """The folder for what tasks write, which is removed once the package is there."""
    to = Path(to)
    return Path(work) if work else to.with_name(to.name + ".parts")


def made_work_folder(to, work, name, force, options):
    """Like `work_folder`, for an export whose files do not exist yet; refuses first what can be refused without them."""
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
    """Makes all parts by `run`, which maps a function over numbers somewhere, and merges them into one package.

    The package is byte for byte the one that `retort.convert` makes of `source` in one process.
    """
    to = Path(to)
    name = name or to.stem
    work = work_folder(to, work)
    # Refuses what does not merge before anything is made.
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
