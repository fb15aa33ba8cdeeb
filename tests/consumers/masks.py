"""masks.py RETORT ROOT WORK: what trainers learn of the rows that Retort writes, token by token.

Each trainer's own tokenising code runs on the rows, unmodified, with a tokenizer whose tokens are bytes. No row may be
without a learnt token; nothing outside of answers, and no answer that is marked, may be learnt; and every answer that is to
be learnt must be learnt whole, with its reasoning where the format keeps it. Real histories come from RETORT_REAL_DATA.
No tensor is made, so that torch and what needs it are stubs (stubs.py).
"""

import ast
import copy
import importlib
import importlib.util
import itertools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ.update(
    HF_HUB_OFFLINE="1", DISABLE_VERSION_CHECK="1", AXOLOTL_DO_NOT_TRACK="1", TRANSFORMERS_VERBOSITY="error",
    LOG_LEVEL="ERROR",
)  # fmt: skip

import stubs

START, END = b"<|im_start|>", b"<|im_end|>"
HISTORY_ENDINGS = (".json", ".jsonl", ".ndjson")
FAILED, CHECKED = [], 0


def tokenizer(template=None):
    """One whose tokens are bytes, but for the marks of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytewise = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytewise.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=bytewise, eos_token=END.decode(), pad_token="<pad>")
    made.add_special_tokens({"additional_special_tokens": [START.decode()]})
    made.chat_template = template
    return made


def bytes_of_tokens():
    """The byte of each character that byte-level tokenizers write."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(others)}


BYTES = bytes_of_tokens()


def spread(tokens, ids, learnt):
    """The text of the tokens, and for each of its bytes whether it is learnt."""
    text, mask = bytearray(), bytearray()
    for token, is_learnt in zip(tokens.convert_ids_to_tokens(ids), learnt, strict=True):
        special = token in tokens.all_special_tokens
        written = token.encode() if special else bytes(BYTES[char] for char in token)
        text += written
        mask += bytes([is_learnt]) * len(written)
    return bytes(text), bytes(mask)


def turns(text):
    """The turns of a ChatML text: who speaks, and where their words begin and end."""
    at = text.find(START)
    while at >= 0:
        line = text.find(b"\n", at)
        end = text.find(END, at)
        end = len(text) if end < 0 else end
        yield text[at + len(START) : line].decode(), line + 1, end
        at = text.find(START, end)


def faults(text, mask, answers):
    """What is wrong with what is learnt. `answers` has the pieces of each answer of the row, and whether it is learnt."""
    if not any(mask):
        yield "nothing is learnt"
    spoken = []
    for who, start, end in turns(text):
        if who == "assistant":
            spoken.append((start, end))
        elif any(mask[start:end]):
            yield f"a turn of {who} is learnt"
    if len(spoken) != len(answers):
        yield f"{len(spoken)} answers instead of {len(answers)}"
        return
    for (start, end), (pieces, is_learnt) in zip(spoken, answers):
        if not is_learnt and any(mask[start:end]):
            yield "an answer that is not to be learnt is"
        for piece in pieces if is_learnt else ():
            at = text.find(piece.strip().encode(), start, end)
            if at < 0:
                yield f"lost: {piece[:60]!r}"
            elif not all(mask[at : at + len(piece.strip().encode())]):
                yield f"not learnt as a whole: {piece[:60]!r}"


def pieces_of(message, with_reasoning=False):
    content = message.get("content") or ""
    # Templates of reasoning models take such a text apart.
    said = [] if "</think>" in content else [content]
    said += [call["function"]["name"] for call in message.get("tool_calls") or ()]
    said += [message.get("reasoning_content") or ""] if with_reasoning else []
    return [piece for piece in said if piece.strip()]


# The trainers: each gives, for the rows of a file, the text and mask of a row and what its answers should be.


def nested(module, name):
    """A function inside of a function of a module, with the names of that module."""
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    import trl.data_utils

    names = {"json": json, "logger": SimpleNamespace(warning_once=lambda *_: None)}
    names |= {key: getattr(trl.data_utils, key) for key in dir(trl.data_utils) if not key.startswith("__")}
    exec(compile(ast.Module([found], []), module, "exec"), names)
    return names[name]


def trl_template(name):
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def trl_sft(rows, template):
    tokens = tokenizer(trl_template(template))
    tokenize = nested("trl.trainer.sft_trainer", "tokenize_fn")
    for row in rows:
        made = tokenize(copy.deepcopy(row), tokens, "text", False, tokens.chat_template)
        said = [one for one in row["prompt"] + row["completion"] if one["role"] == "assistant"]
        answers = [(pieces_of(one, template == "qwen3" and one is said[-1]), one is said[-1]) for one in said]
        yield (*spread(tokens, made["input_ids"], made["completion_mask"]), answers)


def trl_dpo(rows, template="qwen2_5"):
    tokens = tokenizer(trl_template(template))
    tokenize = nested("trl.trainer.dpo_trainer", "tokenize_fn")
    for row in rows:
        made = tokenize(copy.deepcopy(row), tokens)
        before = [(pieces_of(one), False) for one in row["prompt"] if one["role"] == "assistant"]
        for side in ("chosen", "rejected"):
            ids = made["prompt_ids"] + made[f"{side}_ids"]
            learnt = [0] * len(made["prompt_ids"]) + [1] * len(made[f"{side}_ids"])
            answers = before + [(pieces_of(one), True) for one in row[side]]
            yield (*spread(tokens, ids, learnt), answers)


def trl_kto(rows, template="qwen2_5"):
    tokens = tokenizer(trl_template(template))
    tokenize = nested("trl.trainer.kto_trainer", "tokenize_fn")
    for row in rows:
        made = tokenize(copy.deepcopy(row), tokens)
        ids = made["prompt_ids"] + made["completion_ids"]
        learnt = [0] * len(made["prompt_ids"]) + [1] * len(made["completion_ids"])
        answers = [(pieces_of(one), False) for one in row["prompt"] if one["role"] == "assistant"]
        answers += [(pieces_of(one), True) for one in row["completion"]]
        yield (*spread(tokens, ids, learnt), answers)


def axolotl(rows):
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy

    logging.disable(logging.CRITICAL)
    tokens = tokenizer(trl_template("qwen2_5"))
    prompter = ChatTemplatePrompter(
        tokens, chat_template=tokens.chat_template, field_messages="messages", message_field_training="weight"
    )
    strategy = ChatTemplateStrategy(
        prompter, tokenizer=tokens, train_on_inputs=False, sequence_len=1 << 24, roles_to_train=["assistant"],
        train_on_eos="turn",
    )  # fmt: skip
    for row in rows:
        made = strategy.tokenize_prompt({key: [value] for key, value in copy.deepcopy(row).items()})
        said = [one for one in row["messages"] if one["role"] == "assistant"]
        answers = [(pieces_of(one), one.get("weight") != 0) for one in said]
        learnt = [label != -100 for label in made["labels"][0]]
        yield (*spread(tokens, made["input_ids"][0], learnt), answers)


def llama_factory(rows, template, mask_history):
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.data.template import get_template_and_fix_tokenizer

    asked = {"template": template, "cutoff_len": 1 << 30, "mask_history": mask_history, "train_on_prompt": False}
    defaults = {"tool_format": None, "default_system": None, "enable_thinking": True, "preserve_thinking": False}
    args = SimpleNamespace(**defaults, **asked, efficient_eos=False, packing=False)
    tokens = tokenizer()
    fixed = get_template_and_fix_tokenizer(tokens, args)
    processor = SupervisedDatasetProcessor(template=fixed, tokenizer=tokens, processor=None, data_args=args)
    roles = {"user": "user", "assistant": "assistant", "function_call": "function", "tool": "observation"}
    for row in rows:
        said = [one for one in row["messages"] if one["role"] != "system"]
        system = next((one["content"] for one in row["messages"] if one["role"] == "system"), "")
        told = [{"role": roles[one["role"]], "content": one["content"]} for one in said]
        media = {f"_{kind}": [None] for kind in ("images", "videos", "audios")}
        made = processor.preprocess_dataset(
            {"_prompt": [told[:-1]], "_response": [told[-1:]], "_system": [system], "_tools": [row["tools"]], **media}
        )
        if not made["input_ids"]:
            yield b"", b"", []
            continue
        answers = [one for one in said if one["role"] in ("assistant", "function_call")]
        expect = [(llama_pieces(one), not mask_history or one is answers[-1]) for one in answers]
        learnt = [label != -100 for label in made["labels"][0]]
        yield (*spread(tokens, made["input_ids"][0], learnt), expect)


def ms_swift(rows):
    import types

    # What `swift.dataset` lists beside its code needs the hub.
    package = types.ModuleType("swift.dataset")
    package.__path__ = [str(Path(importlib.util.find_spec("swift").origin).parent / "dataset")]
    sys.modules.setdefault("swift.dataset", package)
    from swift.dataset.preprocessor.core import MessagesPreprocessor
    from swift.template import TEMPLATE_MAPPING, TemplateInputs

    tokens, meta = tokenizer(), TEMPLATE_MAPPING["qwen2_5"]
    tokens.model_info = SimpleNamespace(max_model_len=None, torch_dtype=None, task_type="causal_lm", config=None)
    tokens.model_meta = SimpleNamespace(is_multimodal=False)
    template = meta.template_cls(None, meta)
    template.init_processor(tokens)
    template.set_mode("train")
    preprocessor = MessagesPreprocessor()
    for row in rows:
        made = template.encode(TemplateInputs.from_dict(preprocessor.preprocess(copy.deepcopy(row))))
        answers = []
        for role, turn in itertools.groupby(row["messages"], lambda one: one["role"] in ("assistant", "tool_call")):
            turn = list(turn)
            if role:
                calls = [json.loads(one["content"])["name"] for one in turn if one["role"] == "tool_call"]
                said = [piece for one in turn if one["role"] == "assistant" for piece in pieces_of(one)]
                answers.append((said + calls, all(one.get("loss") is not False for one in turn)))
        learnt = [label != -100 for label in made["labels"]]
        yield (*spread(tokens, made["input_ids"], learnt), answers)


def llama_pieces(message):
    """What must be found of an answer. Templates write reasoning and calls anew, and keep the reasoning of the last."""
    content = message["content"]
    reasoning = []
    if content.startswith("<think>"):
        thought, _, content = content.partition("</think>")
        reasoning = [thought.removeprefix("<think>").strip()]
    if message["role"] == "function_call":
        return reasoning + [call["name"] for call in json.loads(content)]
    return reasoning + [content] if content.strip() else reasoning


TRAINERS = [
    ("TRL, SFT", "prompt-completion", ["--rows", "per-answer"], lambda rows: trl_sft(rows, "qwen2_5")),
    ("TRL, SFT with reasoning", "prompt-completion", ["--rows", "per-answer"], lambda rows: trl_sft(rows, "qwen3")),
    ("TRL, DPO", "preference", [], trl_dpo),
    ("TRL, KTO", "kto", [], trl_kto),
    ("Axolotl", "openai", [], axolotl),
    ("Axolotl, a row for each answer", "openai", ["--rows", "per-answer"], axolotl),
    ("ms-swift", "ms-swift", [], ms_swift),
    ("ms-swift, a row for each answer", "ms-swift", ["--rows", "per-answer"], ms_swift),
    ("LLaMA-Factory", "standard", [], lambda rows: llama_factory(rows, "qwen", False)),
    (
        "LLaMA-Factory with reasoning", "standard", ["--rows", "per-answer", "--reasoning", "think"],
        lambda rows: llama_factory(rows, "qwen3", True),
    ),
]  # fmt: skip


def rows_of(retort, source, work, data_format, options):
    folder = work / f"package-{len(list(work.iterdir()))}"
    command = [retort, "convert", source, "-o", folder, "--to", data_format, "-q", *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        return []
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    path = folder / next(one["path"] for one in files if one.get("records") is not None)
    read = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    # Their words would be taken for marks of the template.
    return [row for row in read if "<|im_" not in json.dumps(row)]


def check(retort, source, work):
    global CHECKED
    for trainer, data_format, options, run in TRAINERS:
        rows = rows_of(retort, source, work, data_format, options)
        label = f"{trainer}: {source.name}"
        try:
            for number, (text, mask, answers) in enumerate(run(rows), 1):
                CHECKED += 1
                found = list(faults(text, mask, answers))
                if found:
                    FAILED.append(label)
                    print(f"FAILED: {label}, row {number}: {'; '.join(found[:3])}")
        except Exception as error:  # whatever a trainer throws is the finding
            FAILED.append(label)
            print(f"FAILED: {label}: {type(error).__name__}: {str(error)[:200]}")


# What no trainer may learn of `marks.jsonl`, whatever the format.
NEVER = (
    "bad first answer", "bad last answer", "answer without loss", "only answer, and bad", "cut off in the mid",
    "A dog in the picture", "A cat in the picture", "rejected answer",
)  # fmt: skip


def check_words(retort, source, work):
    """What the source marks as not to be learnt is learnt by nobody."""
    global CHECKED
    for trainer, data_format, options, run in TRAINERS:
        # From a completion that is labelled as bad a model learns to avoid it.
        rows = [row for row in rows_of(retort, source, work, data_format, options) if row.get("label") is not False]
        for text, mask, _ in run(rows):
            CHECKED += 1
            learnt = bytes(byte for byte, is_learnt in zip(text, mask) if is_learnt).decode(errors="replace")
            found = [words for words in NEVER if words in learnt]
            if found:
                FAILED.append(trainer)
                print(f"FAILED: {trainer} learns {found}")


# The smallest pictures and sounds do: nothing but their number and their places is looked at.
SHOWN = [
    {"messages": [{"role": "user", "content": "<image>Who is it?"}, {"role": "assistant", "content": "A cat."},
                  {"role": "user", "content": "And here?<image>"}, {"role": "assistant", "content": "Again."}],
     "images": ["data/1.jpg", "data/1.jpg"]},
    {"messages": [{"role": "user", "content": "<video><audio>What is said?"}, {"role": "assistant", "content": "Hello."}],
     "videos": ["data/2.mp4"], "audios": ["data/3.mp3"]},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
]  # fmt: skip


def check_media(retort, source, work):
    """LLaMA-Factory finds every picture, video and sound of a history that is kept, and as many marks as there are."""
    global CHECKED
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.mm_plugin import BasePlugin
    from llamafactory.data.parser import get_dataset_list

    folder = work / f"media-{source.stem}"
    history = folder / "in"
    history.mkdir(parents=True)
    rows = json.loads(source.read_text(encoding="utf-8")) if source.exists() else SHOWN
    (history / "history.json").write_text(json.dumps(rows), encoding="utf-8")
    for name in {name for row in rows for kind in ("images", "videos", "audios") for name in row.get(kind) or []}:
        (history / name).parent.mkdir(parents=True, exist_ok=True)
        (history / name).write_text(name, encoding="utf-8")
    package = folder / "package"
    command = [retort, "convert", history, "-o", package, "--name", "media", "--attachments", "keep", "-q"]
    subprocess.run([*map(str, command)], check=True)
    (dataset,) = get_dataset_list(["media"], str(package))
    convert = get_dataset_converter(dataset.formatting, dataset, SimpleNamespace(media_dir=str(package)))
    written = [json.loads(line) for line in (package / dataset.dataset_name).read_text(encoding="utf-8").splitlines()]
    CHECKED += 1
    found = [len(written) != len(rows) and f"{len(written)} rows of {len(rows)}"]
    for number, row in enumerate(written, 1):
        made = convert(row)
        said = made["_prompt"] + made["_response"]
        media = [made[f"_{kind}"] or [] for kind in ("images", "videos", "audios")]
        found += [f"row {number}: no file {name}" for name in sum(media, []) if not Path(name).is_file()]
        try:
            BasePlugin._validate_messages(None, said, *media)
        except ValueError as error:
            found.append(f"row {number}: {error}")
    found = [one for one in found if one]
    if found:
        FAILED.append(source.name)
        print(f"FAILED: LLaMA-Factory, what {source.name} shows: {'; '.join(found[:3])}")


def check_images(retort, work):
    """TRL puts every image of a history that is kept where its message shows it, as `datasets` loads the rows."""
    global CHECKED
    import datasets
    from trl.data_utils import prepare_multimodal_messages

    folder = work / "images"
    (folder / "in/data").mkdir(parents=True)
    (folder / "in/data/1.jpg").write_text("1", encoding="utf-8")
    asked = {"role": "user", "content": "And <image>here?"}
    shown = [
        SHOWN[0],
        SHOWN[2],
        {"chosen": [asked, {"role": "assistant", "content": "A cat."}], "images": ["data/1.jpg"],
         "rejected": [asked, {"role": "assistant", "content": "A dog."}]},
    ]  # fmt: skip
    (folder / "in/history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shown), encoding="utf-8")
    lists = {
        "chat": ["messages"], "prompt-completion": ["prompt", "completion"], "prompt-only": ["prompt"],
        "preference": ["prompt", "chosen", "rejected"], "kto": ["prompt", "completion"],
    }  # fmt: skip
    for data_format, (first, *others) in lists.items():
        for file_format in ("jsonl", "parquet"):
            package = folder / f"{data_format}-{file_format}"
            command = [
                retort, "convert", folder / "in", "-o", package, "--to", data_format, "-f", file_format,
                "--attachments", "keep", "-q",
            ]  # fmt: skip
            subprocess.run([*map(str, command)], check=True)
            rows = datasets.load_dataset(str(package), split="train", cache_dir=str(work / "cache"))
            CHECKED += 1
            found = [rows.num_rows == 0 and "no rows"]
            for row in rows:
                found += [f"no file {name}" for name in row["images"] if not (package / name).is_file()]
                try:
                    said = prepare_multimodal_messages(row[first], images=row["images"])
                    for name in others:
                        prepare_multimodal_messages(row[name])
                except ValueError as error:
                    found.append(str(error))
                    continue
                parts = [part for message in said for part in message["content"]]
                images = [part["image"] for part in parts if part["type"] == "image"]
                found.append(images != row["images"] and f"{images} are shown")
                asks = [part["text"] for part in parts if part["type"] == "text"]
                found.append(bool(images) and not any("Who is it?" in ask or "here?" in ask for ask in asks) and "no question")
            found = [one for one in found if one]
            if found:
                FAILED.append(data_format)
                print(f"FAILED: TRL, images of {data_format} in {file_format}: {'; '.join(found[:3])}")


def main():
    retort, root, work = (Path(argument).resolve() for argument in sys.argv[1:4])
    work.mkdir(exist_ok=True)
    stubs.install()
    data = root / "crates/formats/tests/data"
    marks = Path(__file__).with_name("marks.jsonl")
    for source in (root / "examples/conversations", data / "answers.jsonl", marks):
        check(retort, source, work)
    check_words(retort, marks, work)
    check_media(retort, Path("shown.json"), work)
    check_images(retort, work)
    real = os.environ.get("RETORT_REAL_DATA")
    for path in sorted(Path(real).rglob("mllm*demo.json")) if real else ():
        check_media(retort, path, work)
    for path in sorted(Path(real).rglob("*")) if real else ():
        if path.is_file() and path.suffix in HISTORY_ENDINGS:
            check(retort, path, work)
    if not real:
        print("passed over: real histories (RETORT_REAL_DATA is not set)")
    print(f"{CHECKED - len(FAILED)} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
