"""What the module does, asked from Python. Each function is a test; `run` calls it in a virtual environment."""

import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import options
import retort

ROOT = Path(__file__).resolve().parents[2]


def chat(name):
    return {
        "id": name,
        "messages": [
            {"role": "user", "content": f"Where is {name}?"},
            {"role": "assistant", "content": f"{name} is here."},
        ],
    }


def history(folder, count=3, name="chats.jsonl"):
    path = Path(folder) / name
    with path.open("w") as file:
        for number in range(count):
            file.write(json.dumps(chat(f"c{number}")) + "\n")
    return path


def test_read_gives_conversations_as_dicts(folder):
    dataset = retort.read(history(folder))
    ids = [conversation["id"] for conversation in dataset]
    assert ids == ["c0", "c1", "c2"], ids
    path = dataset.path
    assert path.exists()
    del dataset
    assert not path.exists(), "a temporary dataset goes with its object"


def test_convert_writes_a_package_with_a_receipt(folder):
    question = {"id": "q", "messages": [{"role": "user", "content": "Anybody?"}]}
    path = history(folder)
    with path.open("a") as file:
        file.write(json.dumps(question) + "\n")
    rejects = Path(folder) / "rejects.jsonl"
    dataset = retort.convert(path, Path(folder) / "out", data_format="openai", rejects=rejects)
    assert len(dataset) == 3
    counts = dataset.receipt["conversations"]
    assert (counts["selected"], counts["written"]) == (4, 3), counts
    assert [record["messages"][0]["role"] for record in dataset] == ["user"] * 3
    assert "no-answer" in rejects.read_text()
    assert retort.verify(dataset.path) == []
    with dataset.data_paths[0].open("ab") as file:
        file.write(b"{}\n")
    assert retort.verify(dataset.path) != []


def test_a_preview_is_what_convert_writes(folder):
    path = history(folder)
    for data_format in ["standard", "openai", "prompt-completion"]:
        shown = retort.preview(path, data_format=data_format)
        dataset = retort.convert(path, Path(folder) / data_format, data_format=data_format)
        assert shown == list(dataset), data_format


def test_parts_merge_to_the_bytes_of_one_run(folder):
    path = history(folder, 200)
    whole = retort.convert(path, Path(folder) / "whole", name="d")
    parts = [
        retort.convert(path, Path(folder) / f"part{n}", name="d", part=f"{n}/3") for n in (3, 1, 2)
    ]
    merged = retort.merge(parts, Path(folder) / "merged")
    for one in Path(whole.path).iterdir():
        assert one.read_bytes() == (Path(merged.path) / one.name).read_bytes(), one.name


def test_a_parquet_dataset_is_an_arrow_stream(folder):
    import pyarrow

    dataset = retort.convert(history(folder, 50), Path(folder) / "p", file_format="parquet")
    table = pyarrow.RecordBatchReader.from_stream(dataset).read_all()
    assert table.num_rows == 50
    import polars

    assert polars.DataFrame(dataset).height == 50
    lines = retort.convert(history(folder), Path(folder) / "l")
    raises(retort.UsageError, lambda: lines.__arrow_c_stream__(), "parquet")


def test_wrong_arguments_are_usage_errors(folder):
    path = history(folder)
    out = Path(folder) / "x"
    raises(retort.UsageError, lambda: retort.convert(path, out, data_format="opnai"), "opnai")
    raises(retort.UsageError, lambda: retort.convert(path, out, colour="red"), "colour")
    raises(retort.UsageError, lambda: retort.read(path, format="csvv"), "known are")
    raises(retort.RetortError, lambda: retort.read(Path(folder) / "missing"), "missing")
    retort.convert(path, out)
    raises(retort.RetortError, lambda: retort.convert(path, out), "exists")
    retort.convert(path, out, force=True)


def test_strict_publishes_nothing(folder):
    path = history(folder)
    with path.open("a") as file:
        file.write('{"neither": "a chat"}\n')
    out = Path(folder) / "strict"
    raises(retort.RetortError, lambda: retort.convert(path, out, strict=True), "strict")
    assert not out.exists()


def test_the_interpreter_goes_on_meanwhile_and_progress_is_told(folder):
    path = history(folder, 30_000)
    ticks, seen = [], []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(1)

    ticking = threading.Thread(target=tick)
    ticking.start()
    retort.convert(path, Path(folder) / "big", progress=lambda done, total: seen.append((done, total)))
    stop.set()
    ticking.join()
    assert len(ticks) > 10, len(ticks)
    assert seen and seen[-1][1] == path.stat().st_size, seen[-1:]


def test_an_interrupt_stops_the_work_and_leaves_nothing(folder):
    path = history(folder, 200_000)
    out = Path(folder) / "stopped"

    def interrupt():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    raises(KeyboardInterrupt, lambda: retort.convert(path, out), "")
    assert time.monotonic() - began < 30
    assert not out.exists()


def test_an_exception_in_progress_is_raised(folder):
    path = history(folder, 100_000)

    def fail(done, total):
        raise ZeroDivisionError("of the caller")

    out = Path(folder) / "failed"
    raises(ZeroDivisionError, lambda: retort.convert(path, out, progress=fail), "caller")
    assert not out.exists()


def test_the_lists_and_the_stubs_have_every_option(folder):
    assert "openai" in retort.formats()["import"]
    assert "parquet" in retort.formats()["file"]
    written = ROOT / "crates/python/python/retort/_options.py"
    assert written.read_text() == options.page(), "write it with tests/python/options.py"


def test_the_examples_of_the_docs_run(folder):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(blocks) == 3, len(blocks)
    history(folder, name="history.jsonl")
    before = os.getcwd()
    os.chdir(folder)
    try:
        for block in blocks:
            exec(compile(block, "docs/python.md", "exec"), {})
    finally:
        os.chdir(before)


def raises(kind, act, words):
    try:
        act()
    except kind as error:
        assert words in str(error), f"{error!r} does not say {words!r}"
        return
    raise AssertionError(f"no {kind.__name__}")


def main():
    failed = 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print(f"test {name} ... ok")
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"test {name} ... FAILED")
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {len(tests) - failed} passed; {failed} failed;")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main()))
