"""Writes what transformers renders into crates/formats/tests/data/templates.jsonl.

The first line of the file has the messages, tools and special tokens of all cases; each other line has a template, and
this script puts the text, the spans of generation blocks, or the error beside it. Run it after adding a template:

    python tests/consumers/templates.py
"""

import datetime
import json
import pathlib

from transformers.utils import chat_template_utils as templates

FILE = pathlib.Path(__file__).parents[2] / "crates/formats/tests/data/templates.jsonl"


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5)


def render(shared, template):
    # As `apply_chat_template` hands them on: without keys whose value is None.
    messages = [{key: value for key, value in message.items() if value is not None} for message in shared["messages"]]
    try:
        texts, spans = templates.render_jinja_template(
            [messages],
            tools=shared["tools"],
            chat_template=template,
            return_assistant_tokens_mask="generation" in template,
            **shared["special_tokens"],
        )
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    spans = [list(span) for span in spans[0]] if spans else []
    return {"text": texts[0]} | ({"spans": spans} if spans else {})


def main():
    templates.datetime = Clock
    first, *cases = FILE.read_text(encoding="utf-8").split("\n")
    shared = json.loads(first)
    lines = [first]
    for case in filter(None, cases):
        template = json.loads(case)["template"]
        lines.append(json.dumps({"template": template} | render(shared, template), ensure_ascii=False))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
