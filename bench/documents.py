"""Times Retort beside DuckDB and pyarrow on documents with embeddings, in one run.

    python bench/documents.py RETORT FOLDER [CHUNKS]

Needs numpy, duckdb and pyarrow. The documents are made anew: 20 chunks each, 1,536 numbers of 32 bits a chunk, in the
shape `uiuc-documents`. Prints for each tool the wall and CPU seconds and the peak of the resident memory.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy

DIMENSION = 1536
CHUNKS_PER_DOCUMENT = 20


def generate(path: Path, chunks: int) -> None:
    chance = numpy.random.default_rng(7)
    scale = numpy.float32(0.02)
    with path.open("w") as out:
        for number in range(chunks // CHUNKS_PER_DOCUMENT):
            vectors = chance.standard_normal((CHUNKS_PER_DOCUMENT, DIMENSION), dtype=numpy.float32) * scale
            parts = [
                '{"text":"%s","pagenumber":%d,"timestamp":"","chunk_index":%d,"embedding":[%s]}'
                % (f"word {index} " * 40, index, index, ",".join(map(str, vector)))
                for index, vector in enumerate(vectors)
            ]
            out.write(
                '{"id":%d,"s3_path":"c/%d.pdf","readable_filename":"d%d","url":"","contexts":[%s]}\n'
                % (number, number, number, ",".join(parts))
            )


def main() -> None:
    retort, folder = sys.argv[1], Path(sys.argv[2])
    chunks = int(sys.argv[3]) if len(sys.argv) > 3 else 40_000
    source = folder / "documents.jsonl"
    generate(source, chunks)
    made = folder / "made"
    duckdb = (
        "import duckdb; duckdb.connect().execute(\"COPY (SELECT id, readable_filename, u.text, u.pagenumber, "
        "u.chunk_index, u.embedding::FLOAT[] AS embedding FROM (SELECT id, readable_filename, unnest(contexts) AS u "
        f"FROM read_json('{source}', format='newline_delimited', maximum_object_size=200000000))) "
        f"TO '{made}' (FORMAT parquet, COMPRESSION zstd)\")"
    )
    pyarrow = (
        "import pyarrow.json as j, pyarrow.parquet as p; "
        f"p.write_table(j.read_json('{source}', read_options=j.ReadOptions(block_size=64 << 20)), '{made}', "
        "compression='zstd')"
    )
    convert = [retort, "convert", str(source), "--quiet", "--output", str(made)]
    tools = {
        "retort, chunks as Parquet": [*convert, "--to", "chunks", "--embeddings", "f32", "-f", "parquet"],
        "retort, documents as JSON Lines": [*convert, "--to", "documents"],
        "duckdb, chunks as Parquet": [sys.executable, "-c", duckdb],
        "pyarrow, documents as Parquet": [sys.executable, "-c", pyarrow],
    }
    print(f"{chunks} chunks, {source.stat().st_size / 1e6:.0f} MB of JSON Lines")
    for name, command in tools.items():
        subprocess.run(["rm", "-rf", str(made)], check=True)
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        outcome = "" if status == 0 else f" FAILED ({status})"
        print(f"{name:32} {wall:6.1f} s wall {cpu:6.1f} s CPU {peak:6.0f} MB{outcome}")
    subprocess.run(["rm", "-rf", str(made), str(source)], check=True)


if __name__ == "__main__":
    main()
