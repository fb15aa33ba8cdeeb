"""check.py RETORT EXAMPLES WORK: makes packages in every format and opens them in the programs that people use.

README.md says what is checked. Real histories made by others come from the folder in RETORT_REAL_DATA, if it is set.
"""

import collections
import contextlib
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

import datasets
from datasets.packaged_modules.json.json import AGENT_TRACES_FEATURES
from jsonschema import Draft202012Validator

import readers
import rules
import training

NAME = "checked"
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
# Of each group of real histories, unless all are asked for: all take longer than everything else together.
FILES_OF_A_GROUP = 2
HISTORY_ENDINGS = (".json", ".jsonl", ".ndjson", ".gz", ".zst", ".zip")
passed, failed = 0, 0


def check(what, faults):
    """Counts one check, and says which faults it found: a list or generator of words."""
    global passed, failed
    try:
        found = [fault for fault in faults if fault]
    except Exception as error:  # whatever a reader throws is the finding
        found = [f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"]
    if not found:
        passed += 1
        return
    failed += 1
    print(f"FAILED: {what}")
    for fault in found[:5]:
        print(f"    {fault}")
    if len(found) > 5:
        print(f"    … and {len(found) - 5} more")


class Retort:
    def __init__(self, binary, work, name="package"):
        self.binary, self.work, self.packages = Path(binary).resolve(), work / "packages", 0
        # `datasets` keeps what it read by the name of the folder, so no two packages have one.
        self.name = name
        self.is_of_others = False
        self.work.mkdir()

    def forget_packages(self):
        shutil.rmtree(self.work)
        self.work.mkdir()

    def run(self, *arguments, cwd=None):
        command = [self.binary, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)

    def convert(self, source, data_format, file_format="jsonl", *options):
        """The folder of a new package; None, counted as a failure, where Retort makes none."""
        self.packages += 1
        folder = self.work / f"{self.name}-{self.packages}"
        done = self.run(
            "convert", source, "--output", folder, "--name", NAME, "--data-format", data_format,
            "--file-format", file_format, "--quiet", *options,
        )  # fmt: skip
        if done.returncode:
            label = f"{source.name} as {data_format} in {file_format}"
            # Text alone cannot hold tool calls, and of the histories of others one format may leave out what another
            # writes, such as a session that ends with calls.
            is_told = (data_format == "alpaca" or self.is_of_others) and "no records to write" in done.stderr
            check(label, [not is_told and done.stderr.strip()])
            if is_told:
                print(f"passed over: {label}: {done.stderr.strip()}")
            return None
        return folder

    def can_use(self, source):
        """Whether a file holds conversations to train on; what it is otherwise, `convert` says well enough."""
        done = self.run("convert", source, "--output", self.work / "trial", "--force", "--quiet")
        if done.returncode == 0:
            return True
        if done.returncode == 3:  # of a file that is mostly something else, the rest is no history of its own
            print(f"passed over: {source.name}: {done.stderr.strip()}")
            return False
        if done.returncode != 1 or "no records to write" not in done.stderr:
            check(f"{source.name} is read or refused", [f"exit {done.returncode}: {done.stderr.strip()[-300:]}"])
        return False


def data_file(folder, file_format):
    """The data file of a package: it is named for the kind of its items."""
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    (path,) = [one["path"] for one in files if one.get("records") is not None]
    assert path.endswith(f".{file_format}"), path
    return folder / path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def jsonl_readers(data_format, own_examples):
    """Types of a column must agree for most readers. `standard` holds to that always; `openai` must write tools as
    they are, and so may differ; `history` and `retort` are free JSON, made for `jsonlines`."""
    if data_format == "standard" or (data_format == "openai" and own_examples):
        return readers.JSONL_FREE | readers.JSONL_TYPED
    return readers.JSONL_FREE


def check_package(retort, label, folder, data_format, file_format, count):
    """What holds for any package: its receipt, its rows' number, and `load_dataset` on the folder."""
    verified = retort.run("verify", folder)
    check(f"{label}: verify", [verified.returncode and verified.stdout + verified.stderr])
    check(f"{label}: dataset_info.json", rules.dataset_info(folder, NAME, count, data_format, file_format))

    def load_folder():
        loaded = datasets.load_dataset(str(folder))
        if {split: len(rows) for split, rows in loaded.items()} != {"train": count}:
            yield f"{loaded}, expected {count} rows in `train`"

    if file_format != "jsonl" or data_format in ("standard", "openai"):
        check(f"{label}: load_dataset on the folder", load_folder())


def against_schema(retort, data_format, rows):
    """What of the rows is not as the format's JSON Schema says. `retort` and `atif` have none."""
    printed = retort.run("formats", "--schema", data_format)
    if printed.returncode == 2 and "no schema for" in printed.stderr:
        return
    validator = Draft202012Validator(json.loads(printed.stdout))
    for number, row in enumerate(rows):
        for fault in validator.iter_errors(row):
            yield f"row {number}: {fault.json_path}: {fault.message[:200]}"


def check_data_format(retort, source, data_format, file_formats, own_examples, rows=None, asked=()):
    folder = retort.convert(source, data_format, "jsonl", *asked)
    if folder is None:
        return
    label = f"{source.name} as {data_format}"
    path = data_file(folder, "jsonl")
    raw = path.read_bytes()
    reference = lines(path)
    check(
        f"{label} in jsonl: the bytes",
        [
            raw.startswith(b"\xef\xbb\xbf") and "a byte order mark",
            b"\n\n" in raw and "a blank line",
            not raw.endswith(b"\n") and "no line end at the end",
        ],
    )
    check(f"{label}: the rows", (rows or rules.ROWS[data_format])(reference))
    if asked[:1] in ((), [], ["--node"]):
        check(f"{label}: its schema", against_schema(retort, data_format, reference))
    check_package(retort, f"{label} in jsonl", folder, data_format, "jsonl", len(reference))
    compare(f"{label} in jsonl", jsonl_readers(data_format, own_examples), path, reference)
    if (folder / "ids.txt").exists():
        ids = (folder / "ids.txt").read_text(encoding="utf-8").splitlines()
        check(f"{label}: ids.txt", [len(ids) != len(reference) and f"{len(ids)} ids for {len(reference)} rows"])
    for file_format, options, open_with in (("csv", ["--csv", "plain"], readers.CSV), ("parquet", [], readers.PARQUET)):
        if file_format not in file_formats:
            continue
        folder = retort.convert(source, data_format, file_format, *options, *asked)
        if folder is not None:
            check_package(retort, f"{label} in {file_format}", folder, data_format, file_format, len(reference))
            compare(f"{label} in {file_format}", open_with, data_file(folder, file_format), reference)
            if (data_format, file_format) == ("prompt-completion", "parquet"):
                rows = open_with["datasets"](data_file(folder, file_format))
                check(f"{label} in parquet: arguments in datasets", rules.arguments_are_objects(rows))
    if "csv" in file_formats:
        check_spreadsheet(retort, source, label, data_format, reference, asked)


def check_typed_card(retort, source):
    """With the types of the columns on the card, `datasets` gives JSON as objects."""
    for data_format in ("chat", "prompt-completion"):
        folder = retort.convert(source, data_format, "jsonl", "--card-types")
        if folder is not None:
            cache = str(retort.work / "cache")
            rows = list(readers.datasets.load_dataset(str(folder), split="train", cache_dir=cache))
            check(f"{source.name} as {data_format} with --card-types", rules.arguments_are_objects(rows))


def compare(label, open_with, path, reference):
    def faults(read):
        yield readers.first_difference(reference, read(path))

    for name, read in open_with.items():
        check(f"{label}: {name}", faults(read))


def check_spreadsheet(retort, source, label, data_format, reference, asked):
    """The dialect for spreadsheets: a byte order mark, and no cell that a spreadsheet would run."""
    folder = retort.convert(source, data_format, "csv", "--csv", "spreadsheet", *asked)
    if folder is None:
        return
    path = data_file(folder, "csv")
    rows = readers.from_csv_module(path)
    cells = (cell for row in rows for cell in row.values())
    check(
        f"{label} in csv for spreadsheets",
        [
            not path.read_bytes().startswith(b"\xef\xbb\xbf") and "no byte order mark",
            len(rows) != len(reference) and f"{len(rows)} rows, expected {len(reference)}",
            *(f"a cell begins with {cell[:20]!r}" for cell in cells if cell.startswith(RUN_BY_SPREADSHEETS)),
        ],
    )


def check_way_through_retort(retort, source):
    """`retort` lines keep everything: what is made of them is what is made of the source itself."""
    archive = retort.convert(source, "retort")
    if archive is None:
        return
    for data_format in ("standard", "openai"):
        straight = retort.convert(source, data_format)
        around = retort.convert(data_file(archive, "jsonl"), data_format)
        if straight and around:
            same = data_file(straight, "jsonl").read_bytes() == data_file(around, "jsonl").read_bytes()
            check(f"{source.name}: {data_format} by way of retort", [not same and "other bytes"])


def check_history_of_uiuc_chat(retort, source):
    """What came from UIUC.chat goes back as it came, key for key."""
    folder = retort.convert(source, "history")
    if folder is None:
        return
    came = {row["convo_id"]: row for row in lines(source)}

    def faults():
        went = readers.from_jsonlines(data_file(folder, "jsonl"))  # the snippet of its page
        if {row["convo_id"] for row in went} != came.keys():
            yield "other conversations"
        for row in went:
            before = came[row["convo_id"]]
            for key in ("course_name", "id", "user_email"):
                if row[key] != before[key]:
                    yield f"{row['convo_id']}: `{key}` is {row[key]!r}, was {before[key]!r}"
            if datetime.fromisoformat(row["created_at"]) != datetime.fromisoformat(before["created_at"]):
                yield f"{row['convo_id']}: another `created_at`"
            convo, old = row["convo"], before["convo"]
            for key in old.keys() - {"messages"}:
                if convo.get(key) != old[key]:
                    yield f"{row['convo_id']}: `convo.{key}` is {convo.get(key)!r}, was {old[key]!r}"
            for message, was in zip(convo["messages"], old["messages"], strict=True):
                for key in ("role", "content"):
                    if message[key] != was[key]:
                        yield f"{row['convo_id']}: a message's `{key}` differs"
                if was["role"] == "assistant" and message["contexts"] != was.get("contexts", []):
                    yield f"{row['convo_id']}: other contexts"

    check(f"{source.name} as history and back", faults())


def check_sessions(retort, source):
    """A file for each session, which `datasets` takes for a trace, also where the first is as plain as can be."""
    plain = retort.work / "plain.jsonl"
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    plain.write_text(json.dumps({"id": "p", "messages": chat}), encoding="utf-8")
    for history in (source, plain):
        folder = retort.convert(history, "sts")
        if folder is None:
            continue
        rows = lines(data_file(folder, "jsonl"))
        there = sorted(path.relative_to(folder).as_posix() for path in folder.glob("sessions/*"))
        builder = datasets.load_dataset_builder(str(folder))
        (split,) = builder._split_generators(datasets.DownloadManager())
        found = len(split.gen_kwargs["original_files"])
        check(
            f"{history.name} as sts",
            [
                sorted(row["file"] for row in rows) != there and f"{len(rows)} rows, {len(there)} files",
                builder.info.features != AGENT_TRACES_FEATURES and "not taken for traces",
                found != len(there) and f"{found} files found of {len(there)}",
                retort.run("verify", folder).returncode and "verify",
            ],
        )
        back = retort.convert(folder, "history")
        check(f"{history.name} as sts and back", [back and len(lines(data_file(back, "jsonl"))) != len(rows)])


def check_runs(retort, formats, source):
    """Runs, for every purpose; the evaluation files as evaluators take them."""
    print(f"==> {source.name}", flush=True)
    for data_format, (rows, asked) in rules.OF_RUNS.items():
        check_data_format(retort, source, data_format, formats[data_format], True, rows, asked)
        if data_format not in ("recipe-evaluation", "node-evaluation"):
            continue
        folder = retort.convert(source, data_format, "csv", "--csv", "plain", *asked)
        if folder is not None:
            label = f"{source.name} as {data_format} for evaluators"
            check(label, rules.evaluation_file(data_file(folder, "csv")))
    retort.forget_packages()


def check_documents(retort, formats, source):
    """Documents and their chunks; every number of an embedding, bit for bit, in lists that have one length."""
    print(f"==> {source.name}", flush=True)
    for data_format, (rows, asked) in rules.OF_DOCUMENTS.items():
        check_data_format(retort, source, data_format, formats[data_format], True, rows, asked)
    folder = retort.convert(source, "chunks", "parquet", "--embeddings", "f32")
    if folder is not None:
        came = [context["embedding"] for row in lines(source) for context in row["contexts"]]
        for name, read in readers.EMBEDDINGS.items():
            went = read(data_file(folder, "parquet"))
            check(f"{source.name} as chunks in parquet: embeddings in {name}", rules.embeddings(came, went))
    folder = retort.convert(source, "documents")
    if folder is not None:
        went = lines(data_file(folder, "jsonl"))
        check(f"{source.name} as documents: as they came", [readers.first_difference(lines(source), went)])
    retort.forget_packages()


def check_answers(retort, formats, source):
    """Pairs and labelled answers, in the layout of each trainer."""
    print(f"==> {source.name}", flush=True)
    for data_format, rows, asked in rules.OF_ANSWERS:
        check_data_format(retort, source, data_format, formats[data_format], True, rows, asked)
    retort.forget_packages()


def check_training(retort, root, chats):
    """The commands and settings of the page on training."""
    print("==> docs/training.md", flush=True)
    model = retort.work / "model"
    model.mkdir()
    chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    (model / "chat_template.jinja").write_text(chatml, encoding="utf-8")
    answers = root / "crates/formats/tests/data/answers.jsonl"
    inputs = {"chats.jsonl": chats.resolve(), "rated.jsonl": answers.resolve(), "model": model}
    page = (root / "docs/training.md").read_text(encoding="utf-8")
    check("docs/training.md", training.faults(page, inputs, retort, retort.work / "training"))
    retort.forget_packages()


def check_source(retort, formats, source, own_examples):
    print(f"==> {source.name}", flush=True)
    for data_format, file_formats in formats.items():
        if data_format in rules.ROWS:
            check_data_format(retort, source, data_format, file_formats, own_examples)
    check_way_through_retort(retort, source)
    retort.forget_packages()


def check_history_of_others(binary, work, formats, number, source):
    """One of them, in a process of its own: what it printed and counted."""
    global passed, failed
    passed, failed = 0, 0
    folder = work / f"others-{number}"
    folder.mkdir()
    retort = Retort(binary, folder, folder.name)
    retort.is_of_others = True
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        check_source(retort, formats, source, own_examples=False)
    shutil.rmtree(folder)
    return printed.getvalue(), passed, failed


def histories_of_others(retort, real):
    """Files with conversations to train on: of each group the first few, or all of them if RETORT_CONSUMERS_ALL is set."""
    most = sys.maxsize if os.environ.get("RETORT_CONSUMERS_ALL") else FILES_OF_A_GROUP
    files = sorted(path for path in real.rglob("*") if path.is_file() and path.suffix in HISTORY_ENDINGS)
    groups, usable = collections.Counter(), []
    for path in files:
        group = path.relative_to(real).parts[0]
        if groups[group] < most and retort.can_use(path):
            groups[group] += 1
            usable.append(path)
    print(f"real histories: {len(usable)} files of {len(groups)} groups; all of them with RETORT_CONSUMERS_ALL=1")
    return usable


def check_histories_of_others(binary, work, formats, sources):
    """As many at once as there are cores; printed in the order of their names."""
    global passed, failed
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        count = len(sources)
        several = ([each] * count for each in (binary, work, formats))
        for printed, good, bad in pool.map(check_history_of_others, *several, range(count), sources):
            print(printed, end="", flush=True)
            passed, failed = passed + good, failed + bad


def main():
    binary, examples, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    retort = Retort(binary, work)
    listed = json.loads(retort.run("formats", "--json").stdout)["data_formats"]
    formats = {one["name"]: one["file_formats"] for one in listed}
    answers = {name for name, _, _ in rules.OF_ANSWERS}
    for name in formats.keys() - rules.ROWS.keys() - rules.OF_RUNS.keys() - rules.OF_DOCUMENTS.keys() - answers:
        print(f"passed over: no rules for the data format `{name}` yet")

    check_source(retort, formats, examples, own_examples=True)
    check_typed_card(retort, examples)
    check_sessions(retort, examples)
    check_runs(retort, formats, examples.parents[1] / "crates/formats/tests/data/runs.jsonl")
    check_answers(retort, formats, examples.parents[1] / "crates/formats/tests/data/answers.jsonl")
    check_documents(retort, formats, examples.parents[1] / "crates/formats/tests/data/documents.jsonl")
    check_history_of_uiuc_chat(retort, examples / "course-assistant.jsonl")
    check_training(retort, examples.parents[1], examples / "support-chats.jsonl")
    real = os.environ.get("RETORT_REAL_DATA")
    if real:
        check_histories_of_others(binary, work, formats, histories_of_others(retort, Path(real)))
    else:
        print("passed over: real histories (RETORT_REAL_DATA is not set)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
