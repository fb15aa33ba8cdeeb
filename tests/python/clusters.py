"""Exports by Spark and Ray, with two worker processes each: the bytes are those of one process."""

import json
import os
import sys
import tempfile
from pathlib import Path

import check
import retort


def history(folder):
    """Several files, with ids that are repeated in different parts."""
    source = Path(folder) / "history"
    source.mkdir()
    for number in range(4):
        with (source / f"{number}.jsonl").open("w") as file:
            for row in range(300):
                file.write(json.dumps(check.chat(f"c{number}-{row}")) + "\n")
            longer = check.chat("again")
            longer["messages"] += check.chat(f"more{number}")["messages"] * number
            file.write(json.dumps(longer) + "\n")
    return source


def same(one, other):
    names = sorted(path.name for path in Path(one).iterdir())
    assert names == sorted(path.name for path in Path(other).iterdir()), names
    for name in names:
        assert (Path(one) / name).read_bytes() == (Path(other) / name).read_bytes(), name


def exports(folder, export, name):
    source = history(folder)
    for file_format in ["jsonl", "parquet"]:
        whole = retort.convert(
            source, Path(folder) / f"whole-{file_format}", name="d", file_format=file_format
        )
        made = export(
            source, Path(folder) / f"{name}-{file_format}", parts=5, name="d", file_format=file_format
        )
        same(whole.path, made.path)
        assert retort.verify(made.path) == []
        left = [path.name for path in Path(folder).iterdir() if "parts" in path.name or "repeats" in path.name]
        assert left == [], left


def spark(folder):
    from pyspark.sql import SparkSession

    import retort.spark

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    try:
        exports(folder, lambda *args, **options: retort.spark.export(session, *args, **options), "spark")
    finally:
        session.stop()


def ray(folder):
    import ray as real

    import retort.ray

    real.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    try:
        exports(folder, retort.ray.export, "ray")
    finally:
        real.shutdown()


def main(names):
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                {"spark": spark, "ray": ray}[name](folder)
                print(f"test {name} ... ok", flush=True)
            except Exception:
                import traceback

                failed += 1
                traceback.print_exc()
                print(f"test {name} ... FAILED", flush=True)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {len(names) - failed} passed; {failed} failed;")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:] or ["spark", "ray"])))
