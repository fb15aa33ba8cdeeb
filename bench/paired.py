#!/usr/bin/env python3
"""Time two builds of Retort in turn on one command, and print the ratio of their CPU seconds pair by pair.

    paired.py BEFORE AFTER [-n 5] -- convert history.jsonl -o OUTPUT --file-format parquet

BEFORE and AFTER are binaries. The word OUTPUT is replaced by a new path for each run, which is removed after it.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(binary: str, words: list[str], folder: str) -> tuple[float, float, float, float]:
    """User and system seconds, wall seconds, and the peak of the memory in MB."""
    output = os.path.join(folder, "output")
    words = [output if word == "OUTPUT" else word for word in words]
    os.sync()
    start = time.monotonic()
    process = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    if status != 0:
        sys.exit(f"{binary} failed: {' '.join(words)}")
    if os.path.isdir(output):
        shutil.rmtree(output)
    elif os.path.exists(output):
        os.remove(output)
    return used.ru_utime, used.ru_stime, wall, used.ru_maxrss / 1024


def main() -> None:
    before_words = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("-n", "--pairs", type=int, default=5, help="counted pairs, after one that is not")
    asked = parser.parse_args(before_words)
    if not words:
        parser.error("the command of retort follows `--`")
    runs: dict[str, list[tuple[float, float, float, float]]] = {"before": [], "after": []}
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(asked.pairs + 1):
            order = [("before", asked.before), ("after", asked.after)]
            for name, binary in order if pair % 2 == 0 else reversed(order):
                used = run(binary, words, folder)
                if pair > 0:
                    runs[name].append(used)
    for name, used in runs.items():
        user, system, wall, peak = (statistics.median(column) for column in zip(*used))
        print(f"{name:6} user {user:.2f} s, system {system:.2f} s, wall {wall:.2f} s, peak {peak:.0f} MB")
    pairs = zip(runs["before"], runs["after"])
    ratios = [sum(after[:2]) / sum(before[:2]) for before, after in pairs]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"CPU seconds, after/before: {middle:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
