"""Exports by Spark, Sail and Ray, with two worker processes each: the bytes are those of one process, whatever is killed.

    clusters.py [spark] [sail] [ray]

With RETORT_TRIALS, drivers are killed as well, and not one worker but 100. With RETORT_ITEMS, the history has so many
conversations.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import check
import retort

TRIALS = bool(os.environ.get("RETORT_TRIALS"))
KILLS = 100 if TRIALS else 1
ITEMS = int(os.environ.get("RETORT_ITEMS") or 1200)
os.environ["RETORT_TRIAL_OF"] = str(os.getpid())
MARK = f"RETORT_TRIAL_OF={os.getpid()}".encode()


def history(folder):
    """Several files, with ids that are repeated in different parts."""
    source = Path(folder) / "history"
    source.mkdir()
    for number in range(4):
        with (source / f"{number}.jsonl").open("w") as file:
            for row in range(ITEMS // 4):
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


def rows_hash(dataset):
    """A hash of the rows in any order."""
    rows = sorted(json.dumps(row, sort_keys=True) for row in dataset)
    return len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()


def nothing_left(folder):
    left = [path.name for path in Path(folder).iterdir() if "parts" in path.name or "repeats" in path.name]
    assert left == [], left


def exports(folder, export, name):
    """Files as the source: the package has the bytes of one process."""
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
        nothing_left(folder)
    refused = Path(folder) / "refused"
    check.raises(retort.UsageError, lambda: export(source, refused, parts=2, dedup="near"), "--dedup")
    check.raises(retort.UsageError, lambda: export(source, refused, parts=2, limit=3), "--limit")
    check.raises(retort.RetortError, lambda: export(source, whole.path, parts=2), "exists")
    assert not refused.exists()
    return source


def tables(folder, export, source, read):
    """A table as the source, of columns or of texts: the rows are those of one process."""
    import pyarrow
    from pyarrow import parquet

    rows = [json.loads(line) for path in sorted(source.iterdir()) for line in path.read_text().splitlines()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), Path(folder) / "rows.parquet", row_group_size=200)
    texts = pyarrow.table({"day": [index % 7 for index in range(len(rows))], "body": [json.dumps(row) for row in rows]})
    parquet.write_table(texts, Path(folder) / "texts.parquet", row_group_size=200)
    whole = rows_hash(retort.convert(source, Path(folder) / "whole-rows", name="d"))
    columns = export(read(Path(folder) / "rows.parquet", None), Path(folder) / "columns", parts=3, name="d")
    assert rows_hash(columns) == whole, (rows_hash(columns), whole)
    assert retort.verify(columns.path) == []
    refused = Path(folder) / "refused"
    texts = read(Path(folder) / "texts.parquet", None)
    check.raises(retort.UsageError, lambda: export(texts, refused, parts=2, dedup="exact"), "--dedup")
    nothing_left(folder)
    some = export(read(Path(folder) / "texts.parquet", 3), Path(folder) / "some", parts=3, name="d", column="body")
    picked = Path(folder) / "picked.jsonl"
    picked.write_text("".join(json.dumps(row) + "\n" for index, row in enumerate(rows) if index % 7 == 3))
    assert rows_hash(some) == rows_hash(retort.convert(picked, Path(folder) / "picked", name="d"))
    nothing_left(folder)


def workers(is_worker):
    """Descendants of this process whose command is that of a worker.

    They are recognised by an environment variable: a Spark worker outlives the daemon that forked it, so its parent does
    not lead back to this process.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if is_worker(command) and MARK in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def killed_workers(folder, export, source, is_worker):
    """Workers are killed while they make parts; the package is right all the same."""
    whole = Path(folder) / "whole-jsonl"
    killed, is_over = [], threading.Event()

    def kill():
        while not is_over.is_set() and len(killed) < KILLS:
            # Once an attempt has begun, someone is working.
            try:
                has_begun = any(Path(folder).glob("killed-*.parts/attempt-*"))
            except OSError:
                # An export that has ended removed its folder meanwhile.
                continue
            for process in workers(is_worker)[:1] if has_begun else []:
                try:
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                except OSError:
                    pass
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for round in range(20 * KILLS):
            made = export(source, Path(folder) / f"killed-{round}", parts=8, name="d")
            same(whole, made.path)
            assert retort.verify(made.path) == []
            if len(killed) >= KILLS:
                break
    finally:
        is_over.set()
        killer.join()
    assert len(killed) >= KILLS, f"{len(killed)} workers were killed"
    nothing_left(folder)
    print(f"  {len(killed)} workers were killed in {round + 1} exports")


def changed(module, change, call):
    """Makes a call in which the tasks of an export are run by `change`."""
    real = module._export
    module._export = lambda run, *rest: real(lambda make, numbers: change(run, make, numbers), *rest)
    try:
        return call()
    finally:
        module._export = real


def made_twice(folder, module, export, source):
    """Two attempts of each task at the same time, as with speculative execution: the package is the same."""

    def twice(run, make, numbers):
        made = run(make, [number for number in numbers for _ in range(2)])
        assert made[::2] == made[1::2], made
        return made[::2]

    made = changed(module, twice, lambda: export(source, Path(folder) / "twice", parts=8, name="d"))
    same(Path(folder) / "whole-jsonl", made.path)
    nothing_left(folder)


def full_disk(folder, module, export, source):
    """The workers have no room for their parts: the export fails and says why, and can be started again."""

    def limited(make):
        def with_little_room(number):
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
            try:
                return make(number)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        return with_little_room

    to = Path(folder) / "full"
    again = lambda: export(source, to, parts=2, name="d")
    refused = lambda run, make, numbers: run(limited(make), numbers)
    check.raises(Exception, lambda: changed(module, refused, again), "file too large")
    assert not to.exists()
    same(Path(folder) / "whole-jsonl", again().path)
    nothing_left(folder)


def killed_driver(folder, name, source):
    """The driver is killed once a part exists; an export that is started again uses that part."""
    to = Path(folder) / "resumed"
    work = to.with_name(to.name + ".parts")
    command = [sys.executable, __file__, "--driver", name, str(source), str(to)]
    driver = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (done := list(work.glob("part-*/part.json"))) and driver.poll() is None:
        time.sleep(0.005)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert done and not to.exists(), "the driver was killed in time"
    made = {path: path.stat().st_mtime_ns for path in done}
    seen = []
    again = threading.Thread(target=lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    again.start()
    while again.is_alive():
        try:
            seen.append({path: path.stat().st_mtime_ns for path in made} == made)
        except OSError:
            break
        time.sleep(0.005)
    again.join()
    assert seen and all(seen), "parts that were there were made again"
    same(Path(folder) / "whole-jsonl", to)
    nothing_left(folder)


def spark_session():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        # Tasks are tried again, as on a cluster.
        SparkSession.builder.master(f"local[2,{KILLS + 4}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    return session


def pruned(folder, session, export, source):
    """Fields of a filter become Spark expressions, and the rows are those that Retort selects by itself."""
    import datetime
    import retort.spark
    import pyarrow
    from pyarrow import parquet

    lines = [line for path in sorted(source.iterdir()) for line in path.read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    first = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    times = [first + datetime.timedelta(hours=index) for index in range(len(rows))]
    for row, time in zip(rows, times):
        row["created_at"] = time.isoformat()
    columns = {"id": [row["id"] for row in rows], "started": times, "body": [json.dumps(row) for row in rows]}
    parquet.write_table(pyarrow.table(columns), Path(folder) / "started.parquet", row_group_size=100)
    dated = Path(folder) / "dated.jsonl"
    dated.write_text("".join(body + "\n" for body in columns["body"]))
    frame = session.read.parquet(str(Path(folder) / "started.parquet"))
    for number, filter in enumerate(
        [
            {"created_from": "2026-01-10", "created_before": "2026-01-12T05:00:00Z"},
            {"id": [rows[3]["id"], "again"]},
            {"created_from": "2026-01-05", "id": [rows[300]["id"], rows[3]["id"]], "messages": "1.."},
        ]
    ):
        whole = retort.convert(dated, Path(folder) / f"filtered-{number}", name="d", filter=filter)
        made = export(
            frame, Path(folder) / f"pruned-{number}", parts=2, name="d", column="body", id="id", created="started", filter=filter
        )
        assert rows_hash(made) == rows_hash(whole) and len(list(made)) > 0, (rows_hash(made), rows_hash(whole))
        left = retort.spark._pruned(frame, {"filter": filter}, "id", "started")
        assert left.count() < len(rows) / 2, (filter, left.count())
        plan = left._jdf.queryExecution().toString()
        assert "PushedFilters: [" in plan and "PushedFilters: []" not in plan, plan
    refused = Path(folder) / "refused"
    check.raises(retort.UsageError, lambda: export(source, refused, parts=2, id="id"), "`id` names a column")
    check.raises(retort.UsageError, lambda: export(frame, refused, parts=2, created="body"), "has the type string")
    check.raises(retort.UsageError, lambda: export(frame, refused, parts=2, created="when"), "is not there")


def of_spark(session):
    import retort.spark

    return lambda *args, **options: retort.spark.export(session, *args, **options)


def frame_of(session):
    def read(path, day):
        frame = session.read.parquet(str(path))
        return frame if day is None else frame.where(f"day = {day}")

    return read


def spark(folder):
    import retort.spark

    session = spark_session()
    try:
        export = of_spark(session)
        source = exports(folder, export, "spark")
        tables(folder, export, source, frame_of(session))
        shuffled = export(
            session.read.parquet(str(Path(folder) / "rows.parquet")).repartition(4), Path(folder) / "shuffled", parts=3, name="d", id="id"
        )
        assert rows_hash(shuffled) == rows_hash(retort.Dataset(Path(folder) / "whole-rows"))
        pruned(folder, session, export, source)
        made_twice(folder, retort.spark, export, source)
        full_disk(folder, retort.spark, export, source)
        killed_workers(folder, export, source, lambda command: "pyspark.daemon" in command)
    finally:
        session.stop()
    if TRIALS:
        killed_driver(folder, "spark", source)


def sail(folder):
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    try:
        source = exports(folder, of_spark(session), "sail")
        tables(folder, of_spark(session), source, frame_of(session))
    finally:
        session.stop()
        server.stop()


def ray_session():
    import ray as real

    real.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    return real


def ray(folder):
    import retort.ray

    real = ray_session()

    def read(path, day):
        rows = real.data.read_parquet(str(path))
        return rows if day is None else rows.filter(expr=f"day == {day}")

    try:
        source = exports(folder, retort.ray.export, "ray")
        tables(folder, retort.ray.export, source, read)
        made_twice(folder, retort.ray, retort.ray.export, source)
        full_disk(folder, retort.ray, retort.ray.export, source)
        killed_workers(folder, retort.ray.export, source, lambda command: command.startswith("ray::make"))
    finally:
        real.shutdown()
    if TRIALS:
        killed_driver(folder, "ray", source)


def driver(name, source, to):
    """The export that `killed_driver` kills."""
    if name == "spark":
        export = of_spark(spark_session())
    else:
        import retort.ray

        ray_session()
        export = retort.ray.export
    export(source, to, parts=8, name="d")


def main(names):
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            try:
                {"spark": spark, "sail": sail, "ray": ray}[name](folder)
                print(f"test {name} ... ok, {time.monotonic() - began:.0f} s", flush=True)
            except Exception:
                import traceback

                failed += 1
                traceback.print_exc()
                print(f"test {name} ... FAILED", flush=True)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {len(names) - failed} passed; {failed} failed;")
    return failed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--driver"]:
        driver(*sys.argv[2:])
    else:
        sys.exit(bool(main(sys.argv[1:] or ["spark", "sail", "ray"])))
