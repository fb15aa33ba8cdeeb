"""Holds the settings in docs/training.md against the files that its commands write."""

import json
import re
import shlex

import datasets
import yaml

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOADED = re.compile(r'load_dataset\("([^"]+)"')


def faults(page, inputs, retort, work):
    """Runs the commands of each section in a folder of its own, and compares the settings with what they wrote."""
    for number, section in enumerate(page.split("\n## ")):
        folder = work / f"section-{number}"
        folder.mkdir(parents=True)
        for name, source in inputs.items():
            (folder / name).symlink_to(source)
        for language, text in BLOCK.findall(section):
            if language == "sh":
                yield from (run(command, folder, retort) for command in text.splitlines())
            elif language == "yaml":
                settings = yaml.safe_load(text)
                yield from llama_factory(settings, folder) if "dataset_dir" in settings else axolotl(settings, folder)
            elif language == "python":
                for name in LOADED.findall(text):
                    if not len(datasets.load_dataset(str(folder / name), split="train")):
                        yield f"{name}: no rows"
            else:
                for path in re.findall(r"--dataset (\S+)", text):
                    if not rows(folder / path):
                        yield f"{path}: no rows"


def run(command, folder, retort):
    program, *arguments = shlex.split(command)
    done = retort.run(*arguments, cwd=folder)
    return program != "retort" and command or done.returncode and f"{command}: {done.stderr.strip()}"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def llama_factory(settings, folder):
    """The dataset must be in `dataset_info.json`, with columns that its rows have, and of the kind of the stage."""
    place = folder / settings["dataset_dir"]
    entry = json.loads((place / "dataset_info.json").read_text(encoding="utf-8"))[settings["dataset"]]
    columns = set(entry["columns"].values())
    for row in rows(place / entry["file_name"]):
        if not columns <= row.keys():
            yield f"{settings['dataset_dir']}: {columns - row.keys()} are no columns"
    if bool(entry.get("ranking")) != (settings["stage"] == "dpo"):
        yield f"{settings['dataset_dir']}: `stage: {settings['stage']}` with `ranking` {entry.get('ranking')}"


def axolotl(settings, folder):
    """The fields must be there, and the one that masks must be on answers only."""
    for dataset in settings["datasets"]:
        read = rows(folder / dataset["path"])
        mask = dataset["message_field_training"]
        for message in (message for row in read for message in row[dataset["field_messages"]]):
            if mask in message and (message["role"] != "assistant" or message[mask] not in (0, 1)):
                yield f"{dataset['path']}: {mask} {message[mask]} on a message of {message['role']}"
        if not any(dataset["field_tools"] in row for row in read):
            yield f"{dataset['path']}: no row has {dataset['field_tools']}"
