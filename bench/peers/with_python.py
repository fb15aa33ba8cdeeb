"""The bare mapping as most people would script it: peers/with_python.py INPUT OUTPUT jsonl

Line by line with the standard library's json, on one core. The standard library has no Parquet.
Not done: any check or repair, merging of parallel results, removal of double tools, arguments as
objects, a receipt, a hash.
"""

import json
import sys


def bare_message(message):
    calls = message.get("tool_calls")
    if calls is not None:
        return {"role": "function_call", "content": json.dumps(calls, ensure_ascii=False)}
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": message["content"] or ""}


def record(conversation):
    tools = conversation.get("tools")
    return {
        "data_source": "chat",
        "ability": conversation["tags"],
        "messages": [bare_message(message) for message in conversation["messages"]],
        "tools": "" if tools is None else json.dumps(tools, ensure_ascii=False),
        "model": conversation["model"],
        "conversation_id": conversation["id"],
    }


source, target, file_format = sys.argv[1:]
if file_format != "jsonl":
    sys.exit("plain Python writes JSON lines only")
with open(source, encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
    for line in lines:
        out.write(json.dumps(record(json.loads(line)), ensure_ascii=False) + "\n")
