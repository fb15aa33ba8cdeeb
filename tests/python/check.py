"""What the module does, asked from Python. Each function is a test; `run` calls it in a virtual environment."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


def test_read_lasts_as_long_as_someone_iterates(folder):
    ids = [conversation["id"] for conversation in retort.read(history(folder))]
    assert ids == ["c0", "c1", "c2"], ids


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


def test_an_inspection_counts_what_is_there_and_would_be_left_out(folder):
    question = {"id": "q", "messages": [{"role": "user", "content": "Anybody?"}]}
    path = history(folder)
    with path.open("a") as file:
        file.write(json.dumps(question) + "\nnot json\n")
    found = retort.inspect(path, data_format="openai")
    assert (found["items"], found["roles"]) == (4, {"assistant": 3, "user": 4}), found
    assert found["sources"] == [
        {"name": "chats.jsonl", "format": "openai", "items": 5, "refused": 1}
    ], found["sources"]
    dataset = found["dataset"]
    assert (dataset["selected"], dataset["written"]) == (4, 3), dataset
    assert dataset["left_out"] == {"no-answer": 1}, dataset
    assert "line 5" in dataset["first_refused"]["not-json"], dataset
    assert retort.inspect(path, limit=2)["dataset"]["selected"] == 2
    raises(retort.UsageError, lambda: retort.inspect(path, colour="red"), "colour")


def test_a_diff_says_what_changed_and_why(folder):
    path = history(folder, 5)
    before = retort.convert(path, Path(folder) / "before", data_format="openai")
    longer = chat("c1")
    longer["messages"] += chat("more")["messages"]
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], json.dumps(longer), lines[2], lines[4]]) + "\n")
    after = retort.convert(path, Path(folder) / "after", data_format="openai", check="off")
    changes = Path(folder) / "changes.jsonl"
    found = retort.diff(before.path, after.path, list=changes)
    assert found["records"] == [5, 4] and found["same"] == 3, found
    assert [one["first_ids"] for one in found["gone"]] == [["c3"]], found
    assert [one["kind"] for one in found["changed"]] == ["messages"], found
    assert any("check" in one["field"] for one in found["receipts"]), found
    assert len(changes.read_text().splitlines()) == 2
    raises(retort.RetortError, lambda: retort.diff(before.path, path), "not a complete package")


TEMPLATE = """{% for message in messages %}<{{ message.role }}>{% if message.role == 'assistant' %}\
{% generation %}{{ message.content }}<end>{% endgeneration %}{% else %}{{ message.content }}<end>{% endif %}{% endfor %}"""


def test_a_record_is_rendered_as_the_model_sees_it(folder):
    template = Path(folder) / "chat_template.jinja"
    template.write_text(TEMPLATE)
    dataset = retort.convert(history(folder), Path(folder) / "o", data_format="openai")
    record = next(iter(dataset))
    seen = retort.render(template, data_format="openai")(record)
    assert seen["text"] == "<user>Where is c0?<end><assistant>c0 is here.<end>", seen
    assert [seen["text"][start:end] for start, end in seen["learnt"]] == ["c0 is here.<end>"], seen
    assert (seen["unit"], seen["length"]) == ("characters", len(seen["text"])), seen
    tokens = retort.render(folder, "o200k", data_format="openai")(record)
    assert tokens["unit"] == "tokens" and 0 < tokens["learnt_length"] < tokens["length"] < seen["length"]
    template.write_text("\n{{ raise_exception('no tools here') }}")
    error = raises(retort.RetortError, lambda: retort.render(template, data_format="openai")(record), "no tools here")
    assert error.line == 2, error.line
    raises(retort.UsageError, lambda: retort.render(template, data_format="nothing"), "nothing")
    raises(retort.UsageError, lambda: retort.render(template, data_format="history")(record), "history")


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
    raises(retort.UsageError, lambda: retort.read(path, format="csvv"), "known formats")
    missing = Path(folder) / "missing"
    error = raises(retort.RetortError, lambda: retort.read(missing), "missing")
    assert Path(error.path) == missing and error.line is None, (error.path, error.line)
    retort.convert(path, out)
    error = raises(retort.RetortError, lambda: retort.convert(path, out), "exists")
    assert Path(error.path) == out, error.path
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


def test_a_filter_selects_conversations(folder):
    path = history(folder, 20)
    ids = lambda **options: [one["id"] for one in retort.convert(path, Path(folder) / "some", force=True, data_format="retort", **options)]
    assert ids(filter={"id": ["c3", "c5"]}) == ["c3", "c5"]
    assert ids(filter={"search": ["c7"]}, limit=1) == ["c7"]
    assert len(retort.preview(path, filter={"search": ["\"c1\""]})) == 1
    assert retort.inspect(path, filter={"messages": "9.."})["dataset"]["selected"] == 0
    raises(retort.UsageError, lambda: ids(filter={"kind": "chat"}), "kind")
    raises(retort.UsageError, lambda: ids(filter={"created_from": "yesterday"}), "not a date")
    assert retort.filters()["type"]["several"]


def test_inspect_and_diff_report_progress(folder):
    path = history(folder, 30_000)
    seen = []
    retort.inspect(path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][1] == 2 * path.stat().st_size, "it is read twice"
    one, other = (retort.convert(path, Path(folder) / name) for name in ["one", "other"])
    seen.clear()
    retort.diff(one.path, other.path, progress=lambda done, total: seen.append((done, total)))
    size = sum(part.stat().st_size for part in one.data_paths + other.data_paths)
    assert seen[-1][1] == size, (seen[-1:], size)
    assert all(before <= after for before, after in zip(seen, seen[1:]))


class Hub(BaseHTTPRequestHandler):
    """A dataset of one file, at one commit, as the Hugging Face Hub shows it."""

    commit, content, seen = "1" * 40, b"", []

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix("/api")
        self.seen.append(path)
        oid = hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()
        answers = {
            "/datasets/acme/chats/revision/main": {"id": "acme/chats", "sha": self.commit},
            f"/datasets/acme/chats/revision/{self.commit}": {"id": "acme/chats", "sha": self.commit},
            f"/datasets/acme/chats/commits/{self.commit}": [{"id": self.commit, "date": "2026-03-01T10:00:00.000Z"}],
            f"/datasets/acme/chats/tree/{self.commit}": [
                {"type": "file", "path": "chats.jsonl", "size": len(self.content), "oid": oid}
            ],
            f"/datasets/acme/chats/resolve/{self.commit}/chats.jsonl": self.content,
        }
        answer = answers.get(path)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_datasets_on_the_hub_are_read(folder):
    path = history(folder, 5)
    Hub.content = path.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = dict(os.environ)
    os.environ.update(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", XDG_CACHE_HOME=str(folder))
    try:
        address = "hf://datasets/acme/chats"
        assert [one["id"] for one in retort.read(address)] == ["c0", "c1", "c2", "c3", "c4"]
        made = retort.convert(address, Path(folder) / "made")
        pinned = f"{address}@{Hub.commit}"
        assert made.receipt["read"]["sources"] == [{"address": pinned, "revision": "main"}]
        assert [str(one) for one in retort._retort.pinned([address, path])] == [pinned, str(path)]
        raises(retort.RetortError, lambda: retort.read("hf://datasets/acme/none"), "no dataset `acme/none`")
        raises(retort.UsageError, lambda: retort.read("hf://models/acme/none"), "hf://datasets/ORGANIZATION/NAME")
        assert Hub.seen.count(f"/datasets/acme/chats/resolve/{Hub.commit}/chats.jsonl") == 1
    finally:
        server.shutdown()
        for name in ["HF_ENDPOINT", "XDG_CACHE_HOME"]:
            os.environ.pop(name, None)
        os.environ.update(before)


def command(*args, **options):
    """Runs the command that the wheel installs."""
    script = Path(sys.executable).with_name("retort")
    return subprocess.run([script, *args], capture_output=True, text=True, **options)


def test_the_wheel_installs_the_command(folder):
    path = history(folder)
    assert command("--version").stdout == f"retort {retort.__version__}\n"
    made = command("convert", path, "-o", Path(folder) / "o", "-d", "openai")
    assert made.returncode == 0 and "written    3 conversations" in made.stderr, made
    same = retort.convert(path, Path(folder) / "same", name="o", data_format="openai")
    for file in same.data_paths:
        assert file.read_bytes() == (Path(folder) / "o" / file.name).read_bytes()
    wrong = command("convert", path, "--colour", "red")
    assert wrong.returncode == 2 and "--colour" in wrong.stderr, wrong
    failed = command("verify", path, "--json")
    assert failed.returncode == 1 and json.loads(failed.stderr)["error"]["kind"] == "failed", failed
    module = subprocess.run([sys.executable, "-m", "retort", "--version"], capture_output=True, text=True)
    assert module.stdout == f"retort {retort.__version__}\n"
    # A reader who has seen enough is no error.
    shell = f"'{Path(sys.executable).with_name('retort')}' formats | head -1; echo ${{PIPESTATUS[0]}}"
    piped = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert piped.stdout.splitlines()[-1] == "0" and not piped.stderr, piped


def test_an_interrupt_stops_the_command(folder):
    path = history(folder, 300_000)
    script = Path(sys.executable).with_name("retort")
    running = subprocess.Popen([script, "convert", "-q", path, "-o", Path(folder) / "o"], stderr=subprocess.PIPE)
    while not list(Path(folder).glob(".o.*")) and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert b"stopped" in running.stderr.read() and not (Path(folder) / "o").exists()


def test_importing_the_module_imports_little(folder):
    heavy = "numpy pandas pyarrow pyspark ray datasets asyncio typing_extensions"
    code = f"import sys, retort, retort.spark, retort.ray, retort.datasets; print([one for one in '{heavy}'.split() if one in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n", ran.stdout


def test_a_part_that_is_made_twice_is_made_once(folder):
    from retort import _parts

    path = history(folder, 2000)
    whole = retort.convert(path, Path(folder) / "whole", name="d")

    def run(make, numbers):
        """Two attempts of each task at the same time, as with speculation, and a third one later."""
        made = {}
        threads = [
            threading.Thread(target=lambda number=number: made.setdefault(number, []).append(make(number)))
            for number in list(numbers) * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(len(set(folders)) == 1 for folders in made.values()), made
        return [made[number][0] for number in numbers if make(number) == made[number][0]]

    made = _parts.export(run, path, Path(folder) / "o", 3, None, "d", False, {})
    for one in Path(whole.path).iterdir():
        assert one.read_bytes() == (made.path / one.name).read_bytes(), one.name
    assert not (Path(folder) / "o.parts").exists()


def test_parts_of_an_export_that_was_killed_are_used_again_and_those_of_another_are_not(folder):
    from retort import _parts

    path = history(folder, 200)

    def killed(make, numbers):
        make(numbers[0])
        raise ZeroDivisionError("killed")

    def run(make, numbers):
        return [make(number) for number in numbers]

    out, parts = Path(folder) / "o", Path(folder) / "o.parts"
    raises(ZeroDivisionError, lambda: _parts.export(killed, path, out, 3, None, "d", False, {}), "killed")
    (first,) = parts.iterdir()
    assert first.name.startswith("part-000001-of-000003-"), first
    raises(
        ZeroDivisionError, lambda: _parts.export(killed, path, out, 3, None, "d", False, {"check": "off"}), "killed"
    )
    assert len(list(parts.iterdir())) == 2, "other options make other parts"
    before = first.stat().st_mtime_ns
    seen = []

    def resumed(make, numbers):
        made = run(make, numbers)
        seen.append(first.stat().st_mtime_ns)
        return made

    made = _parts.export(resumed, path, out, 3, None, "d", False, {})
    assert seen == [before] and len(made) == 200


def test_datasets_loads_a_history_and_a_package(folder):
    os.environ["HF_HOME"] = str(Path(folder) / "home")
    import retort.datasets

    path = history(folder, 50)
    loaded = retort.datasets.load(path, Path(folder) / "o", data_format="openai", split="train=0.8,test=0.2")
    rows = {name: len(rows) for name, rows in loaded.items()}
    assert sum(rows.values()) == 50 and set(rows) == {"train", "test"}, rows
    assert loaded["train"][0]["messages"][0]["role"] == "user"
    again = retort.datasets.load(Path(folder) / "o", streaming=True)
    assert next(iter(again["train"]))["messages"] == loaded["train"][0]["messages"]
    raises(retort.UsageError, lambda: retort.datasets.load(Path(folder) / "o", check="off"), "check")


def test_the_lists_and_the_stubs_have_every_option(folder):
    assert "openai" in retort.formats()["import"]
    assert "parquet" in retort.formats()["file"]
    written = ROOT / "crates/python/python/retort/_options.py"
    assert written.read_text() == options.page(), "write it with tests/python/options.py"


def test_the_examples_of_the_docs_run(folder):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(blocks) == 5, len(blocks)
    history(folder, name="history.jsonl")
    before = os.getcwd()
    os.chdir(folder)
    try:
        for block in blocks:
            exec(compile(block, "docs/python.md", "exec"), {})
    finally:
        os.chdir(before)


def test_the_notebook_runs(folder):
    os.environ["HF_HOME"] = str(Path(folder) / "home")
    notebook = json.loads((ROOT / "docs/python.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) == 6, len(cells)
    os.symlink(ROOT / "examples", Path(folder) / "examples")
    before, names = os.getcwd(), {}
    os.chdir(folder)
    try:
        for number, cell in enumerate(cells):
            exec(compile(cell, f"docs/python.ipynb, cell {number}", "exec"), names)
    finally:
        os.chdir(before)


def test_arrow_is_handed_over_without_a_copy(folder):
    import duckdb
    import polars
    import pyarrow

    dataset = retort.convert(history(folder, 5000), Path(folder) / "p", file_format="parquet")
    before = pyarrow.total_allocated_bytes()
    batches = list(pyarrow.RecordBatchReader.from_stream(dataset))
    assert sum(batch.nbytes for batch in batches) > 400_000
    assert pyarrow.total_allocated_bytes() == before, "the content stays where Retort has put it"
    reader = pyarrow.RecordBatchReader.from_stream(dataset)
    assert duckdb.sql("select count(distinct conversation_id) from reader").fetchall() == [(5000,)]
    assert polars.DataFrame(dataset)["conversation_id"].n_unique() == 5000


def raises(kind, act, words):
    try:
        act()
    except kind as error:
        assert words in str(error), f"{error!r} does not say {words!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def main():
    failed = 0
    # A shell that runs this in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
