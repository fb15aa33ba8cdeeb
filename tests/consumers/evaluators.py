"""evaluators.py RETORT ROOT WORK: loads evaluation files in the evaluators' own, unmodified loaders.

Runs and conversations are written with `--for`, loaded as docs/purposes.md says, and every field must arrive: the input, the
answer, the reference and the passages. What is not installed is passed over; promptfoo, which is no Python, is where
RETORT_PROMPTFOO says.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

FAILED = []
CHECKED = 0


def check(what, is_right, found=""):
    global CHECKED
    CHECKED += 1
    if not is_right:
        FAILED.append(what)
        print(f"FAILED: {what}: {found}"[:400])


def written(retort, source, work, evaluator, file_format="jsonl"):
    folder = work / f"{source.stem}-{evaluator}-{file_format}"
    shutil.rmtree(folder, ignore_errors=True)
    command = [retort, "convert", source, "-o", folder, "--for", evaluator, "-f", file_format, "-q"]
    subprocess.run([*map(str, command)], check=True)
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    return folder / next(one["path"] for one in files if one.get("records") is not None)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ragas(retort, source, work, truth):
    from ragas import EvaluationDataset

    samples = EvaluationDataset.from_jsonl(str(written(retort, source, work, "ragas"))).samples
    for sample, row in zip(samples, truth, strict=True):
        found = (sample.user_input, sample.response, sample.retrieved_contexts, sample.reference)
        expect = (row["input"], row["output"], row["contexts"], row["ground_truth"])
        check(f"ragas: {row['id']}", found == expect, f"{found} instead of {expect}")


def deepeval(retort, source, work, truth):
    from deepeval.dataset import EvaluationDataset

    loaded = EvaluationDataset()
    loaded.add_goldens_from_jsonl_file(str(written(retort, source, work, "deepeval")))
    for one, row in zip(loaded.goldens, truth, strict=True):
        found = (one.input, one.actual_output, one.retrieval_context, one.expected_output, one.name, one.comments)
        expect = (row["input"], row["output"], row["contexts"], row["ground_truth"], row["id"], row["comment"])
        check(f"deepeval in JSON Lines: {row['id']}", found == expect, f"{found} instead of {expect}")
    loaded = EvaluationDataset()
    loaded.add_test_cases_from_csv_file(
        str(written(retort, source, work, "deepeval", "csv")), "input", "actual_output",
        expected_output_col_name="expected_output", retrieval_context_col_name="retrieval_context",
        retrieval_context_col_delimiter="|",
    )  # fmt: skip
    for one, row in zip(loaded.test_cases, truth, strict=True):
        contexts = [text.replace("|", "¦") for text in row["contexts"]]
        found = (one.input, one.actual_output, one.retrieval_context or [], one.expected_output or None)
        expect = (row["input"], row["output"], contexts, row["ground_truth"])
        check(f"deepeval in CSV: {row['id']}", found == expect, f"{found} instead of {expect}")


def inspect(retort, source, work, truth):
    from inspect_ai.dataset import csv_dataset, json_dataset

    for file_format, load in (("jsonl", json_dataset), ("csv", csv_dataset)):
        samples = load(str(written(retort, source, work, "inspect", file_format)))
        for sample, row in zip(samples, truth, strict=True):
            said = sample.input if isinstance(sample.input, str) else [one.text for one in sample.input]
            expect = row["input"] if file_format == "csv" else [one["content"] for one in row["messages"]]
            found = (said, sample.target, sample.id, sample.metadata["output"], sample.metadata["score"])
            expect = (expect, row["ground_truth"] or "", row["id"], row["output"], row["score"])
            check(f"inspect in {file_format}: {row['id']}", found == expect, f"{found} instead of {expect}")


def promptfoo(retort, source, work, truth):
    path = written(retort, source, work, "promptfoo")
    for case, row in zip(lines(path), truth, strict=True):
        asserts = [{"type": "equals", "value": row["ground_truth"]}] if row["ground_truth"] else []
        found = (case["vars"]["input"], case["providerOutput"], case["assert"], case["metadata"]["score"])
        expect = (row["input"], row["output"], asserts, row["score"])
        check(f"promptfoo in JSON Lines: {row['id']}", found == expect, f"{found} instead of {expect}")
    for file_format in ("jsonl", "csv"):
        for case, row in zip(loaded_by_promptfoo(retort, source, work, file_format), truth, strict=True):
            asserts = [{"type": "equals", "value": row["ground_truth"]}] if row["ground_truth"] else []
            score = case["metadata"].get("score")
            found = (case["vars"]["input"], case["answer"], case["assert"], None if score is None else float(score))
            expect = (row["input"], row["output"], asserts, row["score"])
            check(f"promptfoo with {file_format}: {row['id']}", found == expect, f"{found} instead of {expect}")
            is_right = not row["ground_truth"] or row["output"] == row["ground_truth"]
            check(f"promptfoo with {file_format}, judged: {row['id']}", case["success"] == is_right)


def loaded_by_promptfoo(retort, source, work, file_format):
    folder = os.environ.get("RETORT_PROMPTFOO")
    if not folder or not shutil.which("node"):
        raise ImportError("its own loader: RETORT_PROMPTFOO names no folder, or there is no node")
    path = written(retort, source, work, "promptfoo", file_format)
    names = ("PROMPTFOO_DISABLE_TELEMETRY", "PROMPTFOO_DISABLE_UPDATE", "PROMPTFOO_DISABLE_REMOTE_GENERATION")
    kept = {"PROMPTFOO_CONFIG_DIR": str(work / "promptfoo")} | dict.fromkeys(names, "1")
    command = ["node", Path(__file__).with_name("promptfoo.mjs"), folder, path]
    done = subprocess.run([*map(str, command)], env=os.environ | kept, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.rstrip().rsplit("\n", 1)[-1])


def main():
    retort, root, work = (Path(argument).resolve() for argument in sys.argv[1:4])
    data = root / "crates/formats/tests/data"
    for source in (data / "runs.jsonl", root / "examples/conversations", data / "answers.jsonl"):
        # What the other files are held against; the suite of the crate holds it against its source.
        truth = [row["item"] for row in lines(written(retort, source, work, "openai-evals"))]
        check(f"{source.name}: rows", truth and all(row["input"] and row["output"] for row in truth))
        for evaluator in (ragas, deepeval, inspect, promptfoo):
            try:
                evaluator(retort, source, work, truth)
            except ImportError as error:
                print(f"passed over: {evaluator.__name__}: {error}")
            except Exception as error:  # whatever a loader throws is the finding
                check(f"{evaluator.__name__} with {source.name}", False, f"{type(error).__name__}: {error}")
    print(f"{CHECKED - len(FAILED)} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
