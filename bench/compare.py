#!/usr/bin/env python3
"""Times Retort beside DuckDB, Polars and plain Python on the same history, in one run.

The peers do the bare mapping to the columns of the standard shape (each file in peers/ says what
it does and does not do); Retort does all that `retort convert` does. See README.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent

# What each peer can write: the standard library of Python has no Parquet. DuckDB writes it twice,
# with row groups as it makes them and with such as Retort makes.
PEERS = {
    "duckdb": {"jsonl", "parquet"},
    "duckdb10k": {"parquet"},
    "polars": {"jsonl", "parquet"},
    "python": {"jsonl"},
}
# The script of a peer that is not named after it, and what it is told besides.
VARIANTS = {"duckdb10k": ("duckdb", ["10000"])}
OUTPUTS = ("jsonl", "parquet")
PACKAGES = ("duckdb==2.0.0", "polars==2.1.0")

MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
BLOCK_BYTES = 1 << 20
COUNT_PARQUET_ROWS = """
import duckdb, sys
print(duckdb.execute("SELECT count(*) FROM read_parquet(?)", [sys.argv[1:]]).fetchone()[0])
"""


def main():
    args = parse_args()
    python = prepare_venv(args.work / "venv")
    source = prepare_history(args.work / f"history-{args.size}.jsonl", args.generator, args.size)
    rows = count_lines(source)  # which also brings the file into the page cache
    print(
        f"{source.stat().st_size / 1e6:.0f} MB, {rows} conversations, "
        f"{args.runs} rounds, {os.cpu_count()} cores\n"
    )

    target = args.work / "out"
    taken = {}
    for round_number in range(args.runs):
        for output in args.outputs:
            tools = ["retort", *(peer for peer in args.peers if output in PEERS[peer])]
            # Another one goes first each round, so that none always meets the same neighbour.
            first = round_number % len(tools)
            for tool in tools[first:] + tools[:first]:
                progress(f"round {round_number + 1}: {tool} to {output}")
                command = command_line(tool, args.retort, python, source, target, output)
                remove(target)
                measure = run(command)
                check_rows(tool, output, rows, count_rows(target, output, python))
                taken.setdefault((output, tool), []).append(measure)
    remove(target)
    progress("")
    print_table(args, taken, source.stat().st_size)


def parse_args():
    def list_of(choices):
        def parse(text):
            names = [name for name in text.split(",") if name]
            for name in names:
                if name not in choices:
                    raise argparse.ArgumentTypeError(f"`{name}` is none of {', '.join(choices)}")
            return names

        return parse

    target = ROOT / "target"
    parser = argparse.ArgumentParser(description="Times Retort beside its peers.")
    parser.add_argument("--size", default="2GB", help="of the history, such as 300MB [2GB]")
    parser.add_argument("--runs", type=int, default=3, help="rounds [3]")
    parser.add_argument("--retort", type=Path, default=target / "release/retort")
    parser.add_argument(
        "--generator", type=Path, default=target / "release/examples/generate-histories"
    )
    parser.add_argument("--work", type=Path, default=target / "bench", help="[target/bench]")
    parser.add_argument("--peers", type=list_of(PEERS), default=list(PEERS))
    parser.add_argument("--outputs", type=list_of(OUTPUTS), default=list(OUTPUTS))
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs: at least 1")
    for program in (args.retort, args.generator):
        if not program.exists():
            parser.error(f"{program} is not there; build it first (see {BENCH / 'README.md'})")
    for name in ("retort", "generator", "work"):
        setattr(args, name, getattr(args, name).absolute())
    return args


def prepare_venv(venv):
    python = venv / "bin/python"
    if not python.exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    # Quick where they are there already.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True)
    return python


def prepare_history(path, generator, size):
    if not path.exists():
        progress(f"generating {size}")
        unfinished = path.with_suffix(".unfinished")
        with open(unfinished, "wb") as out:
            subprocess.run([generator, "--size", size, "--seed", "1"], stdout=out, check=True)
        unfinished.rename(path)
    return path


def command_line(tool, retort, python, source, target, output):
    if tool == "retort":
        options = ["--file-format", output, "--force", "--quiet"]
        return [retort, "convert", source, "--output", target, *options]
    name, options = VARIANTS.get(tool, (tool, []))
    return [python, BENCH / "peers" / f"with_{name}.py", source, target, output, *options]


@dataclass
class Measure:
    cpu_s: float
    wall_s: float
    # Never below the memory of this script, which the system counts for a process it starts.
    peak_bytes: int


def run(command):
    os.sync()  # what the one before wrote is not written back at the cost of this one
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(map(str, command))}")
    peak_bytes = usage.ru_maxrss * MAXRSS_UNIT_BYTES
    return Measure(usage.ru_utime + usage.ru_stime, wall_s, peak_bytes)


def check_rows(tool, output, expected, found):
    if found != expected:
        sys.exit(f"{tool} wrote {found} rows to {output} where the history has {expected}")


def count_rows(target, output, python):
    """Of one file, or of the data files in a folder."""
    files = [target]
    if target.is_dir():
        files = [file for file in target.rglob(f"*.{output}") if file.name != "rejects.jsonl"]
    if output == "jsonl":
        return sum(map(count_lines, files))
    return int(subprocess.check_output([python, "-c", COUNT_PARQUET_ROWS, *files]))


def count_lines(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))


def remove(target):
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def print_table(args, taken, source_bytes):
    """Medians, and the medians of the ratios that each round gave."""
    measures = ("cpu_s", "wall_s", "peak_bytes")
    print(f"{'':18} {'median of the rounds':^34}   {'Retort / peer':^20}")
    print(
        f"{'output':8} {'tool':9} {'cpu s':>8} {'wall s':>8} {'peak MB':>8} {'MB/cpu s':>8}"
        f"  {'cpu':>6} {'wall':>6} {'peak':>6}"
    )
    for output in args.outputs:
        for tool in ["retort", *args.peers]:
            rounds = taken.get((output, tool))
            if not rounds:
                print(f"{output:8} {tool:9} {'-':>8}")
                continue
            cpu_s, wall_s, peak_bytes = (
                median(getattr(one, measure) for one in rounds) for measure in measures
            )
            line = (
                f"{output:8} {tool:9} {cpu_s:8.2f} {wall_s:8.2f} {peak_bytes / 1e6:8.0f} "
                f"{source_bytes / 1e6 / cpu_s:8.0f} "
            )
            if tool != "retort":
                for measure in measures:
                    pairs = zip(taken[output, "retort"], rounds)
                    ratio = median(
                        getattr(ours, measure) / getattr(theirs, measure) for ours, theirs in pairs
                    )
                    line += f" {ratio:6.2f}"
            print(line)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
