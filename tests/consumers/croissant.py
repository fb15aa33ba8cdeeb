"""croissant.py RETORT EXAMPLES WORK: is `croissant.json` valid by mlcroissant, and does it load every record?"""

import json
import subprocess
import sys
from pathlib import Path

import mlcroissant

NOTES = """
description = "Conversations that are made up."
license = "CC0-1.0"
creator = "Retort"
published = "2026-11-30"
version = "1.0.0"
[[source]]
name = "invented"
category = "synthetic"
"""
DATA_FORMATS = ("standard", "openai", "chat", "prompt-completion", "kto", "alpaca", "ms-swift", "history")
SPLIT = ("--split", "train=0.5,test=0.5")


def faults(folder):
    """What is wrong with a package, in words."""
    manifest = json.loads((folder / "manifest.json").read_text())
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    yield from dataset.metadata.issues.errors
    records = 0
    for record_set in dataset.metadata.record_sets:
        for record in dataset.records(record_set.uuid):
            if not record:
                yield f"a record of {record_set.uuid} has no fields"
                break
            records += 1
    if records != manifest["records"]["written"]:
        yield f"{records} records were loaded, and {manifest['records']['written']} were written"
    described = {item.uuid: item.sha256 for item in dataset.metadata.distribution if hasattr(item, "sha256")}
    for file in manifest["files"]:
        if "records" in file and described.get(file["path"]) != file["sha256"]:
            yield f"{file['path']} is not described with its hash"


def main():
    retort, examples, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    (work / "notes.toml").write_text(NOTES)
    passed, failed = 0, 0
    for data_format in DATA_FORMATS:
        for number, more in enumerate(((), SPLIT, ("-f", "parquet"), ("--compress", "gzip"))):
            folder = work / f"{data_format}-{number}"
            command = [retort, "convert", examples, "-o", folder, "-q", "-d", data_format, "--papers", work / "notes.toml", *more]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
            try:
                found = [done.stderr.strip()] if done.returncode else list(faults(folder))
            except Exception as error:  # whatever the library throws is the finding
                found = [f"{type(error).__name__}: {error}", f"{error.__cause__!r}"]
            passed, failed = passed + (not found), failed + bool(found)
            for fault in found[:5]:
                print(f"FAILED: croissant.json of {data_format} {' '.join(more)}: {fault}")
    print(f"croissant: {passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
