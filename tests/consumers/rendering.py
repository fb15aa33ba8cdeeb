"""rendering.py RETORT WORK: TRL's own chat templates, rendered by transformers and by `retort preview --as-model`.

Each template that TRL ships renders conversations of each shape: the text must be the same byte for byte, and with it what
`{% generation %}` marks; what raises in transformers must be refused by Retort.
"""

import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stubs

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


def calls(*names):
    function = {"arguments": '{"at": "Zürich", "days": [1, 2.50], "unit": null}'}
    return [{"id": name, "type": "function", "function": {"name": name, **function}} for name in names]


def tool(name):
    properties = {"at": {"type": "string", "description": "a \"place\" < or >"}, "days": {"type": "array"}}
    parameters = {"type": "object", "properties": properties, "required": ["at"]}
    return {"type": "function", "function": {"name": name, "description": f"the {name}", "parameters": parameters}}


TOOLS = [tool("weather"), tool("clock")]
PIXEL = "data:image/png;base64,aGVsbG8="
SHAPES = {
    "plain": {"messages": [said("system", "Be kind."), said("user", "Hi"), said("assistant", "Hello."),
                           said("user", "Again?"), said("assistant", "Yes,\n\nagain. ")]},
    "no system": {"messages": [said("user", "Hi"), said("assistant", "Hello.")]},
    "tools": {"tools": TOOLS, "messages": [
        said("user", "Rain?"), said("assistant", "", tool_calls=calls("weather")),
        said("tool", "rain & wind", tool_call_id="weather"), said("assistant", "It rains.")]},
    "parallel calls with text": {"tools": TOOLS, "messages": [
        said("system", "Be brief."), said("user", "Both?"),
        said("assistant", "Let me look.", tool_calls=calls("weather", "clock")),
        said("tool", "rain", tool_call_id="weather"), said("tool", '{"h": 12}', tool_call_id="clock"),
        said("assistant", "Rain at noon.")]},
    "reasoning": {"messages": [said("user", "2+2?"), said("assistant", "4", reasoning_content="Two and two.")]},
    "earlier reasoning": {"messages": [
        said("user", "2+2?"), said("assistant", "4", reasoning_content="Two and two."),
        said("user", "And 3?"), said("assistant", "7", reasoning_content="Four and three.")]},
    "images": {"messages": [
        said("user", [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]),
        said("assistant", "A pixel.")]},
    "unicode": {"messages": [said("user", "Ünïcode 你好 \u2028 مرحبا <b>'\"&"), said("assistant", "👋🏽 a\u0301 \ufeff né")]},
    "tools that are not called": {"tools": TOOLS, "messages": [said("user", "Hi"), said("assistant", "Hello.")]},
}  # fmt: skip


def expected(template, row):
    """What transformers renders; None if the template raises."""
    from transformers.utils import chat_template_utils

    messages = [{key: value for key, value in one.items() if value is not None} for one in row["messages"]]
    try:
        texts, spans = chat_template_utils.render_jinja_template(
            [messages], tools=row["tools"] or None, chat_template=template,
            return_assistant_tokens_mask="{% generation" in template or "{%- generation" in template, **SPECIAL,
        )  # fmt: skip
    except Exception:
        return None
    return texts[0], [list(span) for span in spans[0]] if spans and spans[0] else None


def kept(name):
    """Rows with images have lists of parts as content, which templates of models for text do not know."""
    return ["--attachments", "keep"] if name == "images" else []


def rendered(retort, work, folder, name):
    """What Retort renders; None if the template raises."""
    command = [
        retort, "preview", work / f"{name}.jsonl", "--to", "chat", "--as-model", "--json", "--template", folder, *kept(name),
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    (record,) = json.loads(done.stdout)["records"]
    return (record["text"], record["learnt"]) if "text" in record else None


def main():
    retort, work = (Path(argument).resolve() for argument in sys.argv[1:3])
    work.mkdir(exist_ok=True)
    stubs.install()
    import trl

    rows = {}
    for name, shape in SHAPES.items():
        path = work / f"{name}.jsonl"
        path.write_text(json.dumps({"id": "a", **shape}) + "\n", encoding="utf-8")
        command = [retort, "convert", path, "-o", work / name, "--to", "chat", "-q", *kept(name)]
        subprocess.run([*map(str, command)], check=True)
        rows[name] = json.loads((work / name / "conversations.jsonl").read_text(encoding="utf-8"))
    tasks = []
    templates = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
    for template in templates:
        text = template.read_text(encoding="utf-8")
        for ends in ("\n", "\r\n"):
            # Jinja takes line ends of either kind for one, so that the same must come out.
            folder = work / f"{template.stem}-{len(ends)}"
            folder.mkdir()
            (folder / "chat_template.jinja").write_bytes(text.replace("\n", ends).encode())
            (folder / "tokenizer_config.json").write_text(json.dumps(SPECIAL), encoding="utf-8")
            for name in SHAPES if ends == "\n" else ("tools", "unicode"):
                tasks.append((template.stem, text.replace("\n", ends), folder, name))
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda task: rendered(retort, work, *task[2:]), tasks))
    failed = raised = spans = 0
    for (stem, text, _, name), row in zip(tasks, found, strict=True):
        expect = expected(text, copy.deepcopy(rows[name]))
        raised += expect is None
        spans += expect is not None and expect[1] is not None
        is_right = row is None if expect is None else row is not None and row[0] == expect[0]
        is_right = is_right and (expect is None or expect[1] is None or row[1] == expect[1])
        if not is_right:
            failed += 1
            print(f"FAILED: {stem}, {name}: {row!r:.200} instead of {expect!r:.200}")
    print(f"{len(templates)} templates of TRL, {len(tasks)} renderings: {raised} raise, {spans} with marked spans")
    print(f"{len(tasks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
