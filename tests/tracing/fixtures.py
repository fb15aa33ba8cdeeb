"""Compares what `retort` makes of traces with what this script finds in them by itself: fixtures.py RETORT [FOLDER]

The traces are those of the tests of `crates/formats`, and with FOLDER real ones.

Of each file it counts the spans and collects the texts of their model calls, without any of Retort's code, and then looks
for each span among the nodes of the runs, and for each text among the messages of the conversations.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

RETORT, *FOLDER = sys.argv[1:]
OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../crates/formats/tests/data/traces")
REAL = ["otlp-langwatch", "agentpile/fixtures/otlp", "openinference", "otel-genai", "langfuse", "langsmith"]
NO_TRACES = re.compile(r"\.chatml\.|versions\.json$")


def values_of(path):
    """The JSON values of a file: a value, the elements of a list, or one a line."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


def plain(value):
    """A value of OTLP as it is in JSON."""
    if not isinstance(value, dict):
        return value
    for key, inner in value.items():
        if key == "arrayValue":
            return [plain(one) for one in inner.get("values", [])]
        if key == "kvlistValue":
            return {one["key"]: plain(one.get("value")) for one in inner.get("values", [])}
        if key.endswith("Value"):
            return inner
    return value


def attributes_of(span):
    found = span.get("attributes") or {}
    if isinstance(found, list):
        found = {one["key"]: plain(one.get("value")) for one in found}
    return found


def spans_of(value):
    """Each span as (id, kind, attributes), whatever its framing."""
    if isinstance(value, list):
        for one in value:
            yield from spans_of(one)
    if not isinstance(value, dict):
        return
    context = value.get("spanContext") or value.get("context") or {}
    if "dotted_order" in value:
        yield value["id"], "run", value
    elif "traceId" in value and "spanId" in value:
        yield value["spanId"], "otel", attributes_of(value)
    elif "spanId" in context or "span_id" in context:
        yield context.get("spanId") or context["span_id"], "otel", attributes_of(value)
    elif "op_name" in value:
        yield value["id"], "call", value
    elif "root_span_id" in value:
        yield value["span_id"], "row", value
    elif "trace_id" in value and value.get("type") in ("general", "llm", "tool", "guardrail"):
        yield value["id"], "opik", value
    elif "traceId" in value and "id" in value and "type" in value:
        yield value["id"], "observation", value
    elif any(key.startswith(("gen_ai.", "openinference.", "llm.")) for key in value):
        yield None, "otel", value
    elif "attributes" in value and "name" in value and "resource" not in value:
        yield None, "otel", attributes_of(value)
    for key, inner in value.items():
        if key not in ("attributes", "events", "input", "output", "inputs", "outputs", "scores", "metadata", "extra"):
            yield from spans_of(inner)


def parsed(value):
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def texts_of_messages(value):
    """The texts of a list of messages, of the shapes that conventions and SDKs have."""
    value = parsed(value)
    if isinstance(value, dict):
        is_message = "role" in value
        value = value.get("messages", [value] if is_message else None)
    if not isinstance(value, list):
        return
    for message in value:
        if isinstance(message, list):
            yield from texts_of_messages(message)
        if not isinstance(message, dict):
            continue
        message = message.get("kwargs", message.get("message", message))
        if not isinstance(message, dict) or message.get("role") in ("tool", "function"):
            continue
        content = message.get("content", message.get("parts"))
        if isinstance(content, str):
            # OpenLLMetry and Vercel write the parts as their JSON text.
            inner = parsed(content)
            content = inner if isinstance(inner, list) else content
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text"):
                text = part.get("text", part.get("content"))
                if isinstance(text, str):
                    yield text


def is_call(kind, span):
    """Whether a span is a model call by what its source says."""
    if kind == "observation":
        return span["type"] == "GENERATION"
    if kind == "run":
        return span.get("run_type") == "llm"
    if kind == "opik":
        return span["type"] == "llm"
    if kind == "call":
        return "chat.completions.create" in span["op_name"]
    if kind == "row":
        return span["span_attributes"].get("type") == "llm"
    operation = span.get("gen_ai.operation.name") or span.get("openinference.span.kind") or ""
    if "ai.operationId" in span:
        return ".do" in span["ai.operationId"]
    return operation.lower() in ("chat", "llm", "text_completion", "generate_content")


def texts_of(kind, span):
    """The texts that a model call asked and answered with."""
    if kind == "observation":
        yield from texts_of_messages(span.get("input"))
        yield from texts_of_messages(span.get("output"))
        return
    if kind in ("opik", "call"):
        yield from texts_of_messages((span.get("input") or span.get("inputs")).get("messages"))
        yield from texts_of_messages([choice["message"] for choice in span["output"]["choices"]])
        return
    if kind == "row":
        yield from texts_of_messages(span["input"])
        yield from texts_of_messages([choice["message"] for choice in span["output"]])
        return
    if kind == "run":
        yield from texts_of_messages((span.get("inputs") or {}).get("messages"))
        choices = (span.get("outputs") or {}).get("choices") or []
        yield from texts_of_messages([choice.get("message") for choice in choices])
        return
    for name in ("gen_ai.input.messages", "gen_ai.output.messages", "ai.prompt.messages"):
        yield from texts_of_messages(span.get(name))
    for name, value in span.items():
        is_numbered = re.fullmatch(
            r"(llm\.(input|output)_messages\.\d+\.message\.(content|contents\.\d+\.message_content\.text)"
            r"|gen_ai\.(prompt|completion)\.\d+\.content)",
            name,
        )
        of = name.rsplit(".", 1)[0]
        role = span.get(f"{of}.role")
        if is_numbered and isinstance(value, str) and role not in ("tool", "function"):
            if isinstance(parsed(value), list):
                yield from texts_of_messages([{"content": parsed(value)}])
            else:
                yield value


def convert(path, kind, work):
    """What `retort convert` writes, a value a line, and what it refused."""
    out = os.path.join(work, "out")
    command = [RETORT, "convert", path, "--data-format", kind, "--output", out, "--force", "-q"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with open(os.path.join(out, "manifest.json"), encoding="utf-8") as file:
        refused = sum(one["refused"] for one in json.load(file)["read"]["inputs"])
    rows = []
    for name in os.listdir(out):
        if name.endswith(".jsonl") and name != "rejects.jsonl":
            with open(os.path.join(out, name), encoding="utf-8") as file:
                rows += [json.loads(line) for line in file]
    return rows, refused


def said(value, into):
    """Every text of the messages of a conversation, tasks included."""
    if isinstance(value, list):
        for one in value:
            said(one, into)
    elif isinstance(value, dict):
        if "role" in value:
            content = value.get("content")
            if isinstance(content, str):
                into.add(content.strip())
            for part in content if isinstance(content, list) else []:
                if isinstance(part.get("text"), str):
                    into.add(part["text"].strip())
        for inner in value.values():
            said(inner, into)


def check_file(path, work, failures):
    found = [span for value in values_of(path) for span in spans_of(value)]
    rows, refused = convert(path, "retort", work)
    runs = [row for row in rows if "nodes" in row]
    nodes = [node for run in runs for node in run["nodes"]]
    ids = {id for id, _, _ in found if id and id.strip("0")}
    kept = {(node.get("metadata") or {}).get("span_id") for node in nodes}
    count = len(ids) + sum(1 for id, _, _ in found if not (id and id.strip("0")))
    if len(nodes) + refused != count or not ids <= kept:
        failures.append(f"{path}: {count} spans, {len(nodes)} nodes, {refused} refused, without {sorted(ids - kept)}")
    texts = set()
    said([row for row in rows if "nodes" not in row], texts)
    wanted = {text.strip() for _, kind, span in found if is_call(kind, span) for text in texts_of(kind, span)} - {""}
    missing = sorted(wanted - texts)
    if missing:
        failures.append(f"{path}: {len(missing)} of {len(wanted)} texts are missing, the first: {missing[0][:200]!r}")
    return len(nodes), len(wanted)


def main():
    failures = []
    with tempfile.TemporaryDirectory() as work:
        groups = [("traces of the tests", OWN)]
        groups += [(group, os.path.join(folder, group)) for folder in FOLDER for group in REAL]
        for group, within in groups:
            spans, texts, files = 0, 0, 0
            for folder, _, names in sorted(os.walk(within)):
                for name in sorted(names):
                    if ".json" not in name or NO_TRACES.search(name):
                        continue
                    counted = check_file(os.path.join(folder, name), work, failures)
                    spans, texts, files = spans + counted[0], texts + counted[1], files + 1
            print(f"{group}: {files} files, {spans} spans, {texts} texts of model calls")
            if not files:
                failures.append(f"{group}: no files")
    if failures:
        sys.exit("\n".join(["FAILED", *failures]))


main()
