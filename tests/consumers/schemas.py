"""schemas.py RETORT ROOT WORK: do the published JSON Schemas describe what Retort reads and writes?

Every file of real packages must be valid by its schema, and so must every input that the docs show. What is made wrong
(a required key taken away, a value of another type) must not be.
"""

import base64
import copy
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

HALF = '{"id": "half", "messages": [{"role": "user", "content": "Who answers?"}]}\n'
LIST = '{"id": "parts", "messages": [{"role": "user", "content": [{"type": "hologram", "of": "a cat"}]}]}\n'


class Checks:
    def __init__(self, retort, schemas):
        self.retort, self.folder, self.used = retort, schemas, set()
        self.passed, self.failures = 0, []

    def run(self, *args):
        done = subprocess.run([self.retort, *map(str, args)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.failures.append(f"retort {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout

    def check(self, name, label, values):
        """Each value must be valid, and what is made wrong of the first ones must not be."""
        schema = json.loads((self.folder / f"{name}.json").read_text())
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        values = list(values)
        faults = [f"{fault.json_path}: {fault.message[:200]}" for value in values for fault in validator.iter_errors(value)]
        if not values:
            faults.append("there is nothing to check")
        for value in values[:20]:
            for what, wrong in spoilt(schema, value):
                if validator.is_valid(wrong):
                    faults.append(f"{what} is accepted")
        self.used.add(name)
        self.passed += not faults
        self.failures.extend(f"{name}, {label}: {fault}" for fault in faults[:5])


def spoilt(schema, value):
    """Copies of a value without a key that is required, or with a key of another type."""
    for key in schema.get("required", []):
        yield f"`{key}` missing", {name: one for name, one in value.items() if name != key}
    for key, of in schema.get("properties", {}).items():
        if key in value and ("type" in of or "$ref" in of):
            wrong = copy.deepcopy(value)
            wrong[key] = 0.5 if isinstance(value[key], (dict, list)) else [0]
            yield f"{key} = {wrong[key]}", wrong
    if schema.get("additionalProperties") is False:
        yield "a key that is not known", {**value, "not-known": 1}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


def blocks(page):
    return re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)


def main():
    retort, root, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    checks = Checks(retort, root / "docs/schemas")
    examples = root / "examples"
    (work / "half.jsonl").write_text(HALF + LIST + "{not JSON\n")

    packages = []
    for number, options in enumerate((
        ("-d", "standard", "--findings"),
        ("-d", "openai", "--split", "train=0.5,test=0.5", "--redact", "secrets,pii"),
        ("-d", "chat", "--dedup", "near", "--search", "a", "--papers", work / "notes.toml"),
        ("-d", "alpaca", "--check", "off", "--findings", "-f", "parquet"),
    )):
        (work / "notes.toml").write_text(blocks(root / "docs/how-to/publish.md")[0])
        folder = work / f"package-{number}"
        checks.run("convert", examples / "conversations", work / "half.jsonl", "-o", folder, "-q", *options)
        packages.append(folder)
    for kind in ("runs", "documents"):
        folder = work / kind
        checks.run("convert", examples / kind, "-o", folder, "-q", "-d", kind)
        packages.append(folder)
    read = [(folder, json.loads((folder / "manifest.json").read_text())) for folder in packages]
    checks.check("manifest", "of packages", [manifest for _, manifest in read])
    for name in ("rejects", "findings", "extra"):
        checks.check(name, "of packages", [line for folder, _ in read for line in lines(folder / f"{name}.jsonl")])

    checks.run("convert", examples, "-o", work / "all.jsonl", "-q", "-d", "retort")
    checks.check("retort", "every example", lines(work / "all.jsonl"))
    for kind in ("runs", "documents"):
        checks.check(kind, "every example", lines(next((work / kind).glob(f"{kind}*.jsonl"))))

    checks.check("mapping", "of the docs", [tomllib.loads(text) for text in blocks(root / "docs/mapping.md")])
    rules = [tomllib.loads(text) for text in blocks(root / "docs/redaction.md") if "[[rule]]" in text]
    checks.check("redaction-rules", "of the docs", rules)
    checks.check("notes", "of the docs", [tomllib.loads(blocks(root / "docs/how-to/publish.md")[0])])
    config = (root / "docs/config.toml").read_text()
    checks.check("config", "every setting", [tomllib.loads(re.sub(r"^#! ?", "", config, flags=re.M))])
    checks.check("judgements", "rows", [
        {"id": "sc-0001", "score": 0.5, "comment": "short"},
        {"request_id": "req-1", "label": "preferred", "author": "ann"},
        {"conversation_id": "sc-0001#2", "corrected_answer": "In the cellar.", "score": "3"},
    ])

    store = ("--data", work / "store")
    checks.run("import", examples / "conversations", "-q", *store)
    checks.run("schedules", "add", "nightly", "--cron", "0 2 * * *", "--window", "changed", *store)
    checks.run("schedules", "run", "nightly", "-q", *store)
    checks.check("series-receipt", "of a schedule", [json.loads(checks.run("schedules", "series", "nightly", "--json", *store))])
    owner = json.loads(checks.run("list", "--json", "--all", *store))["conversations"]
    person = next((one["owner"] for one in owner if one.get("owner")), "nobody")
    checks.run("erase", "--person", person, "--yes", "-q", *store)
    envelope = json.loads(checks.run("erase", "--receipt", "1", *store))
    checks.check("erasure-receipt", "of a person", [json.loads(base64.b64decode(envelope["payload"]))])

    rows = {path.stem for path in checks.folder.glob("*.json")} - checks.used
    known = json.loads(checks.run("formats", "--json"))["data_formats"]
    for name in sorted(rows - {one["name"] for one in known}):
        checks.failures.append(f"docs/schemas/{name}.json is checked by nothing")
    for failure in checks.failures:
        print(f"FAILED: {failure}")
    print(f"schemas: {checks.passed} passed, {len(checks.failures)} failed")
    return bool(checks.failures)


if __name__ == "__main__":
    sys.exit(main())
