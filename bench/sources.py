#!/usr/bin/env python3
"""Measures how fast histories of several products are read, all made from the same generated conversations.

    bench/sources.py target/release/retort target/release/examples/generate-histories --size 1GB

Writes the conversations to the folder `--work`: as ChatGPT and Claude archive them (one array), as Claude Code and Open
WebUI store them (files of lines, and a database), and as a gateway logs requests to Anthropic's Messages API. Files that
exist already are reused. For each product, prints the megabytes converted to the format `--to` per CPU second, and the
peak memory. Stops if a conversation is not accounted for.
"""

import argparse
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
BEGAN = 1_700_000_000


def size_of(text):
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def uuid_of(*numbers):
    return "{:08x}-{:04x}-4000-8000-{:012x}".format(*(list(numbers) + [0, 0, 0])[:3])


def blocks(message):
    """The content of a message in Anthropic's shape."""
    if message["role"] == "tool":
        text = [{"type": "text", "text": message["content"]}]
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text}]
    found = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls", []):
        asked = json.loads(call["function"]["arguments"])
        found.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": asked})
    return found


def chatgpt(number, messages):
    mapping, parent = {}, "root"
    mapping["root"] = {"id": "root", "parent": None, "children": [], "message": None}

    def node(at, role, content, recipient="all", name=None):
        nonlocal parent
        own = uuid_of(number, len(mapping), 1)
        author = {"role": role, "name": name, "metadata": {}}
        mapping[parent]["children"].append(own)
        mapping[own] = {
            "id": own,
            "parent": parent,
            "children": [],
            "message": {
                "id": own,
                "author": author,
                "create_time": BEGAN + number * 60 + at + 0.5,
                "update_time": None,
                "content": content,
                "status": "finished_successfully",
                "end_turn": True if role == "assistant" and recipient == "all" else None,
                "weight": 1.0,
                "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
                "recipient": recipient,
                "channel": None,
            },
        }
        parent = own

    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    for at, message in enumerate(messages):
        if message.get("content") and message["role"] != "tool":
            node(at, message["role"], {"content_type": "text", "parts": [message["content"]]})
        # One call after another, as there are no ids.
        for call in message.get("tool_calls", []):
            name = call["function"]["name"]
            code = {"content_type": "code", "language": "json", "text": call["function"]["arguments"]}
            node(at, "assistant", code, recipient=name)
            node(at, "tool", {"content_type": "text", "parts": [results[call["id"]]]}, name=name)
    own = uuid_of(number, 0, 2)
    whole = {"title": f"Chat {number}", "create_time": BEGAN + number * 60.0, "update_time": BEGAN + number * 60.0 + 59}
    return {**whole, "mapping": mapping, "current_node": parent, "conversation_id": own, "id": own}


def claude(number, messages):
    turns = []
    for message in messages:
        if message["role"] == "system":
            continue
        sender = "human" if message["role"] == "user" else "assistant"
        if turns and turns[-1]["sender"] == sender == "assistant":
            turns[-1]["content"] += blocks(message)
            continue
        at = stamp(BEGAN + number * 60 + len(turns))
        turn = {"uuid": uuid_of(number, len(turns), 1), "text": message.get("content") or "", "content": blocks(message)}
        turns.append({**turn, "sender": sender, "created_at": at, "updated_at": at, "attachments": [], "files": []})
    at = stamp(BEGAN + number * 60)
    whole = {"uuid": uuid_of(number, 0, 2), "name": f"Chat {number}", "created_at": at, "updated_at": at}
    return {**whole, "account": {"uuid": uuid_of(7)}, "chat_messages": turns}


def claude_code(number, messages):
    """The lines of a session."""
    lines, parent = [], None
    for at, message in enumerate(messages):
        if message["role"] == "system":
            continue
        own = uuid_of(number, at, 1)
        line = {
            "parentUuid": parent,
            "isSidechain": False,
            "userType": "external",
            "cwd": "/home/someone/project",
            "sessionId": uuid_of(number, 0, 2),
            "version": "2.0.14",
            "gitBranch": "main",
        }
        content = blocks(message)
        if message["role"] == "assistant":
            usage = {"input_tokens": 100, "output_tokens": 50}
            said = {"id": f"msg_{number}_{at}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
            stop = "tool_use" if message.get("tool_calls") else "end_turn"
            line |= {"type": "assistant", "message": {**said, "content": content, "stop_reason": stop, "usage": usage}}
        else:
            plain = content if message["role"] == "tool" else message["content"]
            line |= {"type": "user", "message": {"role": "user", "content": plain}}
        lines.append({**line, "uuid": own, "timestamp": stamp(BEGAN + number * 60 + at)})
        parent = own
    return lines


def anthropic_log(number, messages):
    *before, last = messages
    turns = []
    for message in before:
        if message["role"] == "system":
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks(message)
        else:
            turns.append({"role": role, "content": blocks(message)})
    system = " ".join(message["content"] for message in before if message["role"] == "system")
    request = {"model": "claude-sonnet-4-5", "max_tokens": 4096, **({"system": system} if system else {}), "messages": turns}
    usage = {"input_tokens": 100, "output_tokens": 50}
    said = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
    response = {**said, "content": blocks(last), "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
    return {"timestamp": stamp(BEGAN + number * 60), "request": request, "response": response}


def open_webui(number, messages):
    kept, parent = {}, None
    for at, message in enumerate(messages):
        if message["role"] not in ("user", "assistant") or not message.get("content"):
            continue
        own = uuid_of(number, at, 1)
        if parent:
            kept[parent]["childrenIds"].append(own)
        kept[own] = {"id": own, "parentId": parent, "childrenIds": [], "role": message["role"]}
        kept[own] |= {"content": message["content"], "timestamp": BEGAN + number * 60 + at}
        if message["role"] == "assistant":
            kept[own] |= {"model": "gpt-4o", "done": True}
        parent = own
    history = {"messages": kept, "currentId": parent}
    return {"title": f"Chat {number}", "models": ["gpt-4o"], "history": history, "messages": list(kept.values())}


def dumps(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def array(shape, name):
    def write(folder, conversations, size):
        with open(folder / name, "wb") as out:
            for number, messages in conversations:
                out.write(b"[" if number == 0 else b",")
                out.write(dumps(shape(number, messages)))
                if out.tell() > size:
                    break
            out.write(b"]")
        return number + 1

    return write


def lines(folder, conversations, size):
    with open(folder / "log.jsonl", "wb") as out:
        for number, messages in conversations:
            out.write(dumps(anthropic_log(number, messages)) + b"\n")
            if out.tell() > size:
                return number + 1


def sessions(folder, conversations, size):
    """Sessions as long as real ones: each is twenty of the generated conversations, one after the other."""
    written = 0
    for number in itertools.count():
        messages = [message for _, some in itertools.islice(conversations, 20) for message in some]
        within = folder / "projects" / f"-home-someone-{number // 1000}"
        within.mkdir(parents=True, exist_ok=True)
        body = b"".join(dumps(line) + b"\n" for line in claude_code(number, messages))
        (within / f"{uuid_of(number, 0, 2)}.jsonl").write_bytes(body)
        written += len(body)
        if written > size:
            return number + 1


def database(folder, conversations, size):
    connection = sqlite3.connect(folder / "webui.db")
    connection.execute(
        "CREATE TABLE chat (id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255), title TEXT, share_id VARCHAR(255), "
        "archived INTEGER, created_at DATETIME, updated_at DATETIME, chat JSON, pinned BOOLEAN, meta JSON, folder_id TEXT)"
    )
    written = 0
    for number, messages in conversations:
        chat, at = dumps(open_webui(number, messages)).decode(), BEGAN + number * 60
        row = (uuid_of(number, 0, 2), uuid_of(7), f"Chat {number}", None, 0, at, at, chat, 0, "{}", None)
        connection.execute("INSERT INTO chat VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        written += len(chat)
        if written > size:
            break
    connection.commit()
    return number + 1


SOURCES = {
    "chatgpt": array(chatgpt, "conversations.json"),
    "claude": array(claude, "conversations.json"),
    "claude-code": sessions,
    "open-webui": database,
    "anthropic-log": lines,
}


def conversations(generator):
    """Generated conversations, each with its number."""
    process = subprocess.Popen([generator, "--size", "100GB"], stdout=subprocess.PIPE)
    try:
        for number, line in enumerate(process.stdout):
            yield number, json.loads(line)["messages"]
    finally:
        process.kill()
        process.wait()


def made(name, args):
    """The folder with the history of a source, and how many conversations it has."""
    folder = args.work / f"{name}-{args.size}"
    count = folder.with_suffix(".count")
    if not count.exists():
        folder.mkdir(parents=True)
        source = conversations(args.generator)
        count.write_text(str(SOURCES[name](folder, source, size_of(args.size))))
        source.close()
    return folder, int(count.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("retort")
    parser.add_argument("generator")
    parser.add_argument("--size", default="1GB")
    parser.add_argument("--to", default="openai")
    parser.add_argument("--work", type=Path, default=Path("target/bench/sources"))
    parser.add_argument("--source", choices=list(SOURCES), action="append")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    for name in args.source or SOURCES:
        folder, count = made(name, args)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        seconds, memory = [], 0
        for _ in range(args.runs):
            out = args.work / "out"
            subprocess.run(["rm", "-rf", out], check=True)
            command = [args.retort, "convert", folder, "--data-format", args.to, "-o", out, "--quiet"]
            process = subprocess.Popen(command)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                sys.exit(f"{name}: the conversion failed")
            records = json.loads((out / "manifest.json").read_text())["records"]
            left_out = {reason["reason"]: reason["count"] for reason in records["left_out_by_reason"]}
            if records["written"] + sum(left_out.values()) != count:
                sys.exit(f"{name}: {count} conversations, but {records['written']} written, left out: {left_out}")
            seconds.append(usage.ru_utime + usage.ru_stime)
            memory = max(memory, usage.ru_maxrss / 1024)
        subprocess.run(["rm", "-rf", args.work / "out"], check=True)
        rate = size / 1e6 / sorted(seconds)[len(seconds) // 2]
        said = f"{rate:.0f} MB per CPU second, {memory:.0f} MB of memory, {records['written']:,} records, left out: {left_out}"
        print(f"{name}: {size / 1e6:,.0f} MB, {said}", flush=True)


if __name__ == "__main__":
    main()
