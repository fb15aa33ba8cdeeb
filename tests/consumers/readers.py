"""The programs that open data files, each as its documentation says, and how their values compare."""

import csv
import datetime
import json
import math
import re
import struct
import sys
import uuid

import datasets
import duckdb
import jsonlines
import pandas
import polars
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

csv.field_size_limit(sys.maxsize)
datasets.disable_progress_bars()
datasets.logging.set_verbosity(datasets.logging.CRITICAL)
# What CSV holds beside the columns of `standard`.
FLAT = {"instruction", "input", "output", "system"}
WHOLE_FILE = 1 << 30  # Arrow infers types block by block: one block


def header(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))


def from_duckdb(query, path):
    relation = duckdb.connect().execute(query, [str(path)])
    names = [column[0] for column in relation.description]
    return [dict(zip(names, row)) for row in relation.fetchall()]


def from_csv_module(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def from_jsonlines(path):
    with jsonlines.open(path) as rows:
        return list(rows)


def from_datasets(kind, path, **options):
    return list(datasets.load_dataset(kind, data_files=str(path), split="train", **options))


def text_columns(path):
    return datasets.Features({name: datasets.Value("string") for name in header(path)})


# What reads any JSON, and what wants one type a column.
JSONL_FREE = {
    "jsonlines": from_jsonlines,
    "pandas": lambda path: pandas.read_json(
        path, lines=True, dtype=False, convert_dates=False, precise_float=True
    ).to_dict("records"),
}
JSONL_TYPED = {
    "datasets": lambda path: from_datasets("json", path),
    "polars": lambda path: polars.read_ndjson(path, infer_schema_length=None).to_dicts(),
    "duckdb": lambda path: from_duckdb("select * from read_json(?, format = 'newline_delimited')", path),
    "pyarrow": lambda path: pyarrow.json.read_json(
        path, read_options=pyarrow.json.ReadOptions(block_size=WHOLE_FILE)
    ).to_pylist(),
}
CSV = {
    "csv": from_csv_module,
    "datasets": lambda path: from_datasets("csv", path, features=text_columns(path), keep_default_na=False),
    "pandas": lambda path: pandas.read_csv(path, dtype=str, keep_default_na=False).to_dict("records"),
    "polars": lambda path: polars.read_csv(path, infer_schema=False).to_dicts(),
    "duckdb": lambda path: from_duckdb(
        "select * from read_csv(?, all_varchar = true, max_line_size = 100000000)", path
    ),
    "pyarrow": lambda path: pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=WHOLE_FILE),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pyarrow.string() for name in header(path)}, strings_can_be_null=False
        ),
    ).to_pylist(),
}
PARQUET = {
    "datasets": lambda path: from_datasets("parquet", path),
    "pandas": lambda path: pandas.read_parquet(path).to_dict("records"),
    "polars": lambda path: polars.read_parquet(path).to_dicts(),
    "duckdb": lambda path: from_duckdb("select * from read_parquet(?)", path),
    "pyarrow": lambda path: pyarrow.parquet.read_table(path).to_pylist(),
}
# The numbers of the column `embedding`, and whether the program knows that all lists have one length.
EMBEDDINGS = {
    "pyarrow": lambda path: embeddings_in(pyarrow.parquet.read_table(path).column("embedding")),
    "polars": lambda path: embeddings_in(polars.read_parquet(path)["embedding"].to_arrow()),
    "pandas": lambda path: (plain(pandas.read_parquet(path)["embedding"].tolist()), True),
    # It reads lists of any length, and makes them arrays where it is asked to.
    "duckdb": lambda path: (
        [row["e"] for row in from_duckdb("select embedding::float[4] e from read_parquet(?)", path)],
        True,
    ),
}


def embeddings_in(column):
    return column.to_pylist(), pyarrow.types.is_fixed_size_list(column.type)


# The fields of a run's nodes and of a chunk that hold any JSON.
ANY_JSON = re.compile(r"\.nodes\[\d+\]\.(input|output)$|\.(pagenumber|timestamp)$")


# The numbers of an embedding, which are of 32 bits.
SINGLE = re.compile(r"\.embedding\[\d+\]$")


def plain(value):
    """A reader's value as JSON has it; what is null is left away, for tables pad with nulls."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        pairs = ((key, plain(one)) for key, one in value.items())
        return {key: one for key, one in pairs if one is not None}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def difference(want, got, place="row"):
    """Where two values differ, in words; None if they do not. Text may stand for JSON, and a moment for its text."""
    if isinstance(got, bytes):
        # Polars gives what Parquet marks as JSON as bytes.
        got = got.decode()
    if isinstance(got, str) and not isinstance(want, str):
        try:
            got = plain(json.loads(got)) if got else None
        except ValueError:
            return f"{place}: text that is no JSON: {got[:60]!r}"
    if isinstance(got, str) and isinstance(want, str) and got != want and ANY_JSON.search(place):
        # What may be any JSON stands as JSON text, a text in its quotes.
        got = json.loads(got)
    if isinstance(got, float) and isinstance(want, float) and SINGLE.search(place):
        want, got = struct.pack("f", want), struct.pack("f", got)
    if isinstance(got, datetime.datetime) and isinstance(want, str):
        want = datetime.datetime.fromisoformat(want)
        if got.tzinfo is None:
            want = want.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(want, dict) and isinstance(got, dict):
        if want.keys() != got.keys():
            return f"{place}: keys {sorted(got)}, expected {sorted(want)}"
        pairs = [(f"{place}.{key}", want[key], got[key]) for key in want]
    elif isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            return f"{place}: {len(got)} items, expected {len(want)}"
        pairs = [(f"{place}[{index}]", *both) for index, both in enumerate(zip(want, got))]
    else:
        same = want == got and isinstance(want, bool) == isinstance(got, bool)
        return None if same else f"{place}: {str(got)[:60]!r}, expected {str(want)[:60]!r}"
    return next(filter(None, (difference(one, other, where) for where, one, other in pairs)), None)


def first_difference(want_rows, got_rows):
    """Where the rows differ from the reference first, in words; None if they do not."""
    if len(want_rows) != len(got_rows):
        return f"{len(got_rows)} rows, expected {len(want_rows)}"
    for index, (want, got) in enumerate(zip(want_rows, got_rows)):
        want, got = plain(want), plain(got)
        # An empty cell is empty text, a null or a key that is not there.
        empty = {key: "" for key, one in want.items() if one == "" and key not in got}
        shown = {key: one for key, one in got.items() if key in want or (one not in ("", "null") and key not in FLAT)}
        if found := difference(want, shown | empty, f"row {index}"):
            return found
    return None
