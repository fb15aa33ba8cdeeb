"""What trainers and readers ask of the rows and of the package, as faults in words. Where a rule comes from stands
with it."""

import csv
import json
import re
import struct

from atif import Trajectory
from pydantic import ValidationError

STANDARD = ["data_source", "ability", "messages", "tools", "model", "conversation_id", "extra"]
HISTORY = ["convo", "convo_id", "course_name", "created_at", "id", "user_email"]
DOCUMENT = ["id", "s3_path", "course_name", "url", "created_at", "readable_filename", "base_url", "contexts"]
CONTEXT = {"text", "pagenumber", "timestamp", "chunk_index", "embedding"}
CONVO = {"folderId", "id", "messages", "model", "name", "prompt", "temperature"}
MAX_CONTEXTS = 80
# How LLaMA-Factory reads `standard`: whole, and flattened for CSV.
NESTED_ENTRY = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "tools": "tools"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "function_tag": "function_call",
        "observation_tag": "tool",
        "system_tag": "system",
    },
}
FLAT_ENTRY = {
    "formatting": "alpaca",
    "columns": {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "system": "system",
        "tools": "tools",
    },
}
MAX_COLUMN_NAME = 60
CALL_ID = re.compile(r"[A-Za-z0-9]{9}")  # Mistral
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # OpenAI


def standard(rows):
    """LLaMA-Factory's `sharegpt` converter drops a row, with a log line only, that breaks the order of roles."""
    for index, row in enumerate(rows):
        if list(row) != STANDARD:
            yield f"row {index}: columns {list(row)}"
            continue
        if None in row.values():
            yield f"row {index}: a null"
        if row["tools"] and not isinstance(json.loads(row["tools"]), list):
            yield f"row {index}: `tools` is no list"
        messages = row["messages"]
        if any(list(message) != ["role", "content"] for message in messages):
            yield f"row {index}: a message with other keys"
        if any(not isinstance(message["content"], str) for message in messages):
            yield f"row {index}: a content that is no text"
        turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
        if not turns or len(turns) % 2:
            yield f"row {index}: {len(turns)} turns"
        for place, turn in enumerate(turns):
            allowed = ("assistant", "function_call") if place % 2 else ("user", "tool")
            if turn["role"] not in allowed:
                yield f"row {index}: turn {place} is `{turn['role']}`, not one of {allowed}"
            if turn["role"] == "function_call":
                yield from (f"row {index}: turn {place}: {fault}" for fault in calls(turn["content"]))


def calls(content):
    """Templates read the calls' arguments as an object, and some stop at a literal `<tool_call>` or `<think>`."""
    if "<" in content:
        yield "a literal `<` in a call"
    found = json.loads(content)
    if not isinstance(found, list) or not found:
        yield "no list of calls"
        return
    for call in found:
        if list(call) != ["name", "arguments"] or not isinstance(call["arguments"], dict):
            yield f"a call with {list(call)} and arguments of type {type(call['arguments']).__name__}"


def openai(rows):
    """OpenAI's description of its fine-tuning files, and Together's wishes where they go further. `weight` is 0 or 1, on
    the assistant's messages alone, and something is left to learn."""
    for index, row in enumerate(rows):
        yield from (f"row {index}: {fault}" for fault in openai_row(row))


def openai_row(row):
    if not {"messages"} <= row.keys() <= {"messages", "tools"}:
        yield f"keys {sorted(row)}"
        return
    names = set()
    if "tools" in row:
        if not row["tools"]:
            yield "empty `tools`"
        for tool in row["tools"]:
            names.add(tool["function"]["name"])
            if tool["type"] != "function" or not isinstance(tool["function"]["parameters"], dict):
                yield "a tool that is no function with parameters"
    if strange := [name for name in names if not TOOL_NAME.fullmatch(name)]:
        yield f"tool names {strange}"
    ids, open_calls = set(), set()
    for place, message in enumerate(row["messages"]):
        role = message["role"]
        if role not in ("system", "user", "assistant", "tool") or (role == "system" and place):
            yield f"message {place} is `{role}`"
        if not isinstance(message.get("content"), str):
            yield f"message {place}: content is no text"
        elif not message["content"] and not message.get("tool_calls"):
            yield f"message {place} is empty"
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"message {place} answers no call"
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            yield f"message {place}: calls before it have no result"
        for call in message.get("tool_calls", []):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            if not CALL_ID.fullmatch(call["id"]) or call["id"] in ids:
                yield f"message {place}: call id {call['id']!r}"
            if name not in names:
                yield f"message {place} calls `{name}`, which is not in `tools`"
            if not isinstance(arguments, str) or not isinstance(json.loads(arguments), dict):
                yield f"message {place}: arguments are not the text of an object"
            ids.add(call["id"])
            open_calls.add(call["id"])
    if row["messages"][-1]["role"] != "assistant":
        yield "does not end on the assistant"
    if any("weight" in one and (one["role"] != "assistant" or one["weight"] not in (0, 1)) for one in row["messages"]):
        yield "a weight that is not 0 or 1, or not on an answer"
    if all(one.get("weight") == 0 for one in row["messages"] if one["role"] == "assistant"):
        yield "nothing to learn"


def prompt_completion(rows):
    """TRL's conversational prompt-completion: two lists of messages, the arguments of calls as objects."""
    for index, row in enumerate(rows):
        if list(row) != ["prompt", "completion", "tools"]:
            yield f"row {index}: keys {list(row)}"
            continue
        if row["tools"] is not None and not row["tools"]:
            yield f"row {index}: empty `tools`"
        if not row["prompt"] or [one["role"] for one in row["completion"]] != ["assistant"]:
            yield f"row {index}: no prompt, or the completion is not one answer"
        for message in row["prompt"] + row["completion"]:
            if not isinstance(message["content"], str):
                yield f"row {index}: a content that is no text"
            for call in message.get("tool_calls", []):
                if not isinstance(call["function"]["arguments"], dict):
                    yield f"row {index}: arguments are no object"


def chat(rows):
    """Rows for Hugging Face's chat templates: arguments as objects, reasoning beside the content."""
    for index, row in enumerate(rows):
        if list(row) != ["messages", "tools"]:
            yield f"row {index}: keys {list(row)}"
            continue
        yield from (f"row {index}: {fault}" for fault in chat_messages(row["messages"]))
        if row["messages"][-1]["role"] != "assistant":
            yield f"row {index}: does not end on the assistant"


def chat_messages(messages):
    """Roles in an order that chat templates take, and nothing that they cannot read."""
    open_calls = []
    for place, message in enumerate(messages):
        role = message["role"]
        if not message.keys() <= {"role", "content", "reasoning_content", "tool_calls", "tool_call_id"}:
            yield f"message {place}: keys {list(message)}"
        if not isinstance(message["content"], str):
            yield f"message {place}: content is no text"
        if role not in ("system", "user", "assistant", "tool") or (role == "system" and place):
            yield f"message {place} is `{role}`"
        if role == "tool" and (not open_calls or message.get("tool_call_id") != open_calls.pop(0)):
            yield f"message {place} answers no call"
        for call in message.get("tool_calls", []):
            if not isinstance(call["function"]["arguments"], dict):
                yield f"message {place}: arguments are no object"
            open_calls.append(call["id"])


def alpaca(rows):
    """LLaMA-Factory's `alpaca` converter: texts, and the history as pairs."""
    for index, row in enumerate(rows):
        if list(row) != ["instruction", "input", "output", "system", "history"]:
            yield f"row {index}: keys {list(row)}"
        elif not row["instruction"] or not row["output"]:
            yield f"row {index}: an empty question or answer"
        elif any(len(pair) != 2 or not all(isinstance(text, str) for text in pair) for pair in row["history"]):
            yield f"row {index}: a history that is not of pairs"


def ms_swift(rows):
    """ms-swift's `_check_messages` and `_parse_tool_call`, and one result for each call."""
    for index, row in enumerate(rows):
        if not {"messages"} <= row.keys() <= {"messages", "tools"}:
            yield f"row {index}: keys {list(row)}"
        if "tools" in row and not isinstance(json.loads(row["tools"]), list):
            yield f"row {index}: `tools` is no list"
        calls, results = 0, 0
        for place, message in enumerate(row["messages"]):
            role = message["role"]
            if role not in ("system", "user", "assistant", "tool_call", "tool_response"):
                yield f"row {index}: message {place} is `{role}`"
            if not message.keys() <= {"role", "content", "loss"} or not isinstance(message["content"], str):
                yield f"row {index}: message {place}: {message.keys()}"
            if "loss" in message and (role not in ("assistant", "tool_call") or not isinstance(message["loss"], bool)):
                yield f"row {index}: message {place}: a loss"
            if role == "tool_call":
                calls += 1
                call = json.loads(message["content"])
                if not isinstance(call["name"], str) or not isinstance(call["arguments"], dict):
                    yield f"row {index}: message {place}: a call without a name or arguments"
            results += role == "tool_response"
        if results > calls:
            yield f"row {index}: {results} results of {calls} calls"


def prompt_only(rows):
    """TRL's prompt-only: a list of messages that the model is to answer."""
    for index, row in enumerate(rows):
        yield from (f"row {index}: {fault}" for fault in chat_messages(row["prompt"]))
        if not row["prompt"] or row["prompt"][-1]["role"] not in ("user", "tool"):
            yield f"row {index}: the prompt does not end with a question or a result"


def preference(rows):
    """TRL's preference rows: one prompt, and two answers of one message each that differ."""
    for index, row in enumerate(rows):
        if list(row) != ["prompt", "chosen", "rejected", "tools"]:
            yield f"row {index}: keys {list(row)}"
            continue
        for side in ("chosen", "rejected"):
            yield from (f"row {index}: {side}: {fault}" for fault in chat_messages(row["prompt"] + row[side]))
            if [one["role"] for one in row[side]] != ["assistant"]:
                yield f"row {index}: `{side}` is not one answer"
        if row["chosen"] == row["rejected"]:
            yield f"row {index}: two equal answers"


def ranking(rows):
    """LLaMA-Factory's `ranking`: a prompt that ends with a question or result, and two answers of one message each."""
    for index, row in enumerate(rows):
        if list(row) != ["messages", "chosen", "rejected", "tools"]:
            yield f"row {index}: keys {list(row)}"
            continue
        turns = [one for one in row["messages"] if one["role"] != "system"]
        if len(turns) % 2 == 0 or turns[-1]["role"] not in ("user", "tool"):
            yield f"row {index}: the prompt does not end with a question or a result"
        for side in ("chosen", "rejected"):
            if list(row[side]) != ["role", "content"] or row[side]["role"] not in ("assistant", "function_call"):
                yield f"row {index}: `{side}` is no answer"


def openai_preference(rows):
    """OpenAI's preference rows: the input as a request, and two outputs of one answer each."""
    for index, row in enumerate(rows):
        if list(row) != ["input", "preferred_output", "non_preferred_output"]:
            yield f"row {index}: keys {list(row)}"
            continue
        for side in ("preferred_output", "non_preferred_output"):
            whole = {**row["input"], "messages": row["input"]["messages"] + row[side]}
            yield from (f"row {index}: {side}: {fault}" for fault in openai_row(whole))


def kto(rows):
    """TRL's unpaired preference rows: a prompt, one answer and whether it is good."""
    for index, row in enumerate(rows):
        if list(row) != ["prompt", "completion", "label", "tools"]:
            yield f"row {index}: keys {list(row)}"
            continue
        yield from (f"row {index}: {fault}" for fault in chat_messages(row["prompt"] + row["completion"]))
        if [one["role"] for one in row["completion"]] != ["assistant"] or not isinstance(row["label"], bool):
            yield f"row {index}: not one answer with a label"


def kto_tags(rows):
    """LLaMA-Factory's `kto_tag`: whole conversations, and whether the last answer is good."""
    for index, row in enumerate(rows):
        if list(row) != ["messages", "label", "tools"] or not isinstance(row["label"], bool):
            yield f"row {index}: keys {list(row)}, or a label that is no boolean"
            continue
        turns = [one for one in row["messages"] if one["role"] != "system"]
        if len(turns) % 2 or turns[-1]["role"] not in ("assistant", "function_call"):
            yield f"row {index}: {len(turns)} turns"


def arguments_are_objects(rows):
    """What TRL hands to a chat template: of a text the template would write the JSON text, in quotes."""
    for index, row in enumerate(rows):
        for message in row["messages"] if "messages" in row else row["prompt"] + row["completion"]:
            for call in message["tool_calls"] or []:
                if not isinstance(call["function"]["arguments"], dict):
                    yield f"row {index}: arguments are {call['function']['arguments']!r:.60}"


def evaluation_file(path):
    """What evaluators ask of a CSV file: a header and rows, `input` (or `agent_input`) and `ground_truth`, and names
    that can be variables of a prompt."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else []
    if not rows:
        yield "no rows"
    if not {"input", "agent_input"} & set(columns) or "ground_truth" not in columns:
        yield f"columns {columns}"
    if len(set(columns)) != len(columns):
        yield "two columns of one name"
    if long := [name for name in columns if len(name) > MAX_COLUMN_NAME or not name]:
        yield f"names of columns: {long}"
    if any(not row["input"] for row in rows):
        yield "a row without input"


def evaluation(rows):
    """Rows that can be judged: all with the same keys, an input, and an output unless they failed."""
    for index, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            yield f"row {index}: other keys"
        if not row["input"] or row["status"] not in ("success", "failure"):
            yield f"row {index}: {row['status']}, input {row['input']!r}"
        if row["status"] == "success" and not row["output"]:
            yield f"row {index}: no output"


def runs(rows):
    """Every run once, whatever became of it."""
    ids = [row["request_id"] for row in rows]
    if len(set(ids)) != len(ids):
        yield "an id twice"
    if {row["status"] for row in rows} != {"success", "failure", "running", "cancelled"}:
        yield "some runs are missing"


def documents(rows):
    """The row of UIUC.chat's table of documents, key for key."""
    for index, row in enumerate(rows):
        if list(row)[: len(DOCUMENT)] != DOCUMENT:
            yield f"row {index}: keys {list(row)}"
        for place, context in enumerate(row["contexts"]):
            if not CONTEXT <= context.keys():
                yield f"row {index}, context {place}: keys {list(context)}"


def chunks(rows):
    """What vector stores take: a text and its numbers in each row."""
    for index, row in enumerate(rows):
        if not isinstance(row["text"], str) or not isinstance(row["embedding"], (list, type(None))):
            yield f"row {index}: no text, or no list of numbers"


def embeddings(came, went):
    """Numbers of 32 bits: the same bits, in lists of one length."""
    numbers, is_fixed = went
    if not is_fixed:
        yield "lists of any length"
    if len(came) != len(numbers):
        yield f"{len(numbers)} embeddings, expected {len(came)}"
    for index, (one, other) in enumerate(zip(came, numbers)):
        if (one is None) != (other is None):
            yield f"row {index}: {other}, expected {one}"
        elif one is not None and struct.pack(f"{len(one)}f", *one) != struct.pack(f"{len(other)}f", *other):
            yield f"row {index}: {list(other)}, expected {one}"


def history(rows):
    """The row of UIUC.chat's page on its bulk export, key for key."""
    seen = set()
    for index, row in enumerate(rows):
        if list(row) != HISTORY:
            yield f"row {index}: keys {list(row)}"
            continue
        convo = row["convo"]
        if missing := CONVO - convo.keys():
            yield f"row {index}: `convo` without {sorted(missing)}"
        if convo["id"] != row["convo_id"]:
            yield f"row {index}: two ids"
        if row["id"] in seen:
            yield f"row {index}: the row id {row['id']} came before"
        seen.add(row["id"])
        for message in convo["messages"]:
            if not {"role", "content"} <= message.keys():
                yield f"row {index}: a message with the keys {sorted(message)}"
            elif message["role"] == "assistant" and len(message.get("contexts", [None] * 999)) > MAX_CONTEXTS:
                yield f"row {index}: an answer without contexts, or with more than {MAX_CONTEXTS}"


def retort(rows):
    """One conversation a line, each known by its id."""
    # A run and a conversation of one trace may have the same id.
    if len({("id" in row, row.get("id") or row["request_id"]) for row in rows}) != len(rows):
        yield "an id twice"


def retort_runs(rows):
    """One run a line, each known by its id."""
    if len({row["request_id"] for row in rows}) != len(rows):
        yield "an id twice"


def atif(rows):
    """Trajectories that are valid by the `atif` package."""
    for index, row in enumerate(rows):
        try:
            Trajectory.model_validate(row)
        except ValidationError as error:
            yield f"row {index}: {error}"


ROWS = {
    "standard": standard,
    "openai": openai,
    "chat": chat,
    "alpaca": alpaca,
    "ms-swift": ms_swift,
    "prompt-only": prompt_only,
    "prompt-completion": prompt_completion,
    "history": history,
    "retort": retort,
    "atif": atif,
}
# What is made of runs, and what each format needs to be asked.
OF_RUNS = {
    "standard": (standard, []),
    "openai": (openai, []),
    "prompt-completion": (prompt_completion, []),
    "runs": (runs, []),
    "recipe-evaluation": (evaluation, []),
    "node-evaluation": (evaluation, ["--node", "answer"]),
    "node-optimization": (evaluation, ["--node", "answer"]),
    "retort": (retort_runs, []),
}
# What is made of answers to one question, with the options of each.
OF_ANSWERS = [
    ("preference", preference, []),
    ("preference", ranking, ["--layout", "llama-factory"]),
    ("preference", openai_preference, ["--layout", "openai"]),
    ("kto", kto, []),
    ("kto", kto_tags, ["--layout", "llama-factory"]),
]
# The same of documents.
OF_DOCUMENTS = {
    "documents": (documents, []),
    "chunks": (chunks, ["--embeddings", "f32"]),
}


def dataset_info(folder, name, rows, data_format, file_format):
    """What LLaMA-Factory reads. It takes `num_samples` for the number of rows to draw, and a column that is not
    listed for one that is not there."""
    if not (folder / "dataset_info.json").exists():
        # Cells that are guarded for spreadsheets are not offered to a trainer.
        warnings = json.loads((folder / "manifest.json").read_bytes())["records"]["warnings"]
        if not any(one["kind"] == "guarded-cell" for one in warnings):
            yield "missing"
        return
    text = (folder / "dataset_info.json").read_bytes()
    if not text.isascii():
        yield "not ASCII"
    info = json.loads(text)
    if data_format != "standard":
        return
    entry = info[name]
    if entry["num_samples"] != rows or not (folder / entry["file_name"]).exists():
        yield f"{entry['num_samples']} samples of {entry['file_name']}, but {rows} rows"
    want = FLAT_ENTRY if file_format == "csv" else NESTED_ENTRY
    if {key: entry.get(key) for key in NESTED_ENTRY} != {key: want.get(key) for key in NESTED_ENTRY}:
        yield f"formatting, columns and tags are {entry}"
