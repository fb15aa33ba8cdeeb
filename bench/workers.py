#!/usr/bin/env python3
"""Times one export of a store by one worker and by several, each a process with one thread.

    generate-histories --count 500000 > in.jsonl
    bench/workers.py target/release/retort in.jsonl --part-megabytes 100 --workers 2

The numbers of workers take turns. Told are wall seconds, CPU seconds of all workers, and how many parts each made for
the worker that held the job.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(retort, settings, name, workers):
    subprocess.run([retort, "export", name, "-q", "--detach"], env=settings, check=True)
    began, cpu = time.monotonic(), cpu_seconds()
    running = [
        subprocess.Popen([retort, "worker", "--once"], env=settings, stderr=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    said = [worker.communicate()[1] for worker in running]
    wall, cpu = time.monotonic() - began, cpu_seconds() - cpu
    if not any(f"export `{name}` is done" in text for text in said):
        raise SystemExit("the export failed:\n" + "\n".join(said))
    helped = [text.count(f"of export `{name}` is done") for text in said]
    print(f"{workers} workers: {wall:6.2f} s wall, {cpu:6.2f} s CPU, parts for others: {helped}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("retort")
    parser.add_argument("history")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part-megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = dict(
            os.environ,
            RETORT_DATA=folder,
            RETORT_PART_MEGABYTES=str(args.part_megabytes),
            RETORT_THREADS="1",
        )
        subprocess.run([args.retort, "import", args.history, "-q"], env=settings, check=True)
        for run in range(args.runs):
            for workers in (1, args.workers):
                measure(args.retort, settings, f"w{workers}-{run}", workers)


if __name__ == "__main__":
    main()
