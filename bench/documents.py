"""Times Retort beside DuckDB and pyarrow on documents with embeddings, in one run.

    python bench/documents.py RETORT FOLDER [CHUNKS]

Needs numpy, duckdb and pyarrow. A Parquet file of chunks is made anew: 20 a document, 1,536 numbers of 32 bits each.
Retort takes it into a store and exports from there; the others turn the file itself into the same files. Prints for
each the wall and CPU seconds and the peak of the resident memory. What was written is removed after each; at 1,000,000
chunks keep 35 GB free.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pyarrow
from pyarrow import parquet

DIMENSION = 1536
CHUNKS_PER_DOCUMENT = 20
ROWS_AT_ONCE = 2000

DUCKDB = "import duckdb; duckdb.sql(\"COPY (FROM '{source}') TO '{made}' ({options})\")"
PYARROW = """
from pyarrow import parquet
source = parquet.ParquetFile('{source}')
with parquet.ParquetWriter('{made}', source.schema_arrow, compression='zstd') as out:
    for batch in source.iter_batches():
        out.write_batch(batch)
"""


def generate(path: Path, chunks: int) -> None:
    chance = numpy.random.default_rng(7)
    scale = numpy.float32(0.02)
    text, number = pyarrow.string(), pyarrow.int64()
    columns = [("document_id", text), ("s3_path", text), ("readable_filename", text), ("text", text)]
    columns += [("pagenumber", number), ("chunk_index", number)]
    schema = pyarrow.schema([*columns, ("embedding", pyarrow.list_(pyarrow.float32(), DIMENSION))])
    with parquet.ParquetWriter(path, schema, compression="zstd") as out:
        for start in range(0, chunks, ROWS_AT_ONCE):
            rows = numpy.arange(start, min(start + ROWS_AT_ONCE, chunks))
            documents, places = rows // CHUNKS_PER_DOCUMENT, rows % CHUNKS_PER_DOCUMENT
            numbers = chance.standard_normal(len(rows) * DIMENSION, dtype=numpy.float32) * scale
            out.write_table(
                pyarrow.table(
                    [
                        [f"d{document}" for document in documents],
                        [f"c/{document}.pdf" for document in documents],
                        [f"Document {document}" for document in documents],
                        [f"word {place} of {document} " * 30 for document, place in zip(documents, places)],
                        places,
                        places,
                        pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(numbers), DIMENSION),
                    ],
                    schema=schema,
                )
            )


def main() -> None:
    retort, folder = sys.argv[1], Path(sys.argv[2])
    chunks = int(sys.argv[3]) if len(sys.argv) > 3 else 40_000
    source, data, made = folder / "chunks.parquet", folder / "data", folder / "made"
    shutil.rmtree(data, ignore_errors=True)
    generate(source, chunks)
    keep = ["--data", str(data), "--quiet"]
    export = [retort, "export", "made", "--documents", "--data-format", "chunks", *keep]
    duckdb = {"parquet": "FORMAT parquet, COMPRESSION zstd", "JSON Lines": "FORMAT json"}
    duckdb = {name: DUCKDB.format(source=source, made=made, options=options) for name, options in duckdb.items()}
    tools = {
        "retort, import": [retort, "import", str(source), *keep],
        "retort, Parquet": [*export, "--embeddings", "f32", "--file-format", "parquet"],
        "retort, JSON Lines": [*export, "--file-format", "jsonl"],
        "duckdb, Parquet": [sys.executable, "-c", duckdb["parquet"]],
        "duckdb, JSON Lines": [sys.executable, "-c", duckdb["JSON Lines"]],
        "pyarrow, Parquet": [sys.executable, "-c", PYARROW.format(source=source, made=made)],
    }
    print(f"{chunks} chunks, {source.stat().st_size / 1e6:.0f} MB of Parquet")
    for name, command in tools.items():
        os.sync()
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        outcome = "" if status == 0 else f" FAILED ({status})"
        print(f"{name:20} {wall:6.1f} s wall {cpu:6.1f} s CPU {peak:6.0f} MB{outcome}", flush=True)
        made.unlink(missing_ok=True)
        if command[1] == "export":
            delete = [retort, "datasets", "delete", "made", "--yes", "--data", str(data)]
            subprocess.run(delete, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    source.unlink()
    shutil.rmtree(data)


if __name__ == "__main__":
    main()
