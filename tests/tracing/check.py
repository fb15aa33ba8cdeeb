"""Traces a small agent with real SDKs into a running server, and takes it to datasets: check.py RETORT WORK [JS]

JS is a folder with `app.mjs` and its packages.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
RETORT, WORK, *JS = sys.argv[1:]
DATA = os.path.join(WORK, "data")
# An instrumentation, its command, its compression, and the name of the span that all others are inside.
AGENTS = [
    ("openinference", [sys.executable, os.path.join(HERE, "app.py"), "openinference", "protobuf"], "gzip", "answer"),
    ("openllmetry", [sys.executable, os.path.join(HERE, "app.py"), "openllmetry", "json"], "none", "answer"),
] + [("vercel", ["node", os.path.join(folder, "app.mjs")], "none", "ai.generateText") for folder in JS]
CALL = {"id": "call-1", "type": "function", "function": {"name": "find_room", "arguments": '{"lamp":"blue"}'}}


class Model(BaseHTTPRequestHandler):
    """Answers as OpenAI's API does: first with a call of the tool, then with a text."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_last = asked["messages"][-1]["role"] == "tool"
        message = {"role": "assistant", "content": "In the kitchen." if is_last else None}
        if not is_last:
            message["tool_calls"] = [CALL]
        finish = "stop" if is_last else "tool_calls"
        body = {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m-1",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45},
        }
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def retort(*arguments, of=None, within=None):
    """What a command prints: of the store, or of the server and token that are named."""
    where = ["--data", DATA] if of is None else ["--server", of[0]]
    environment = os.environ if of is None else {**os.environ, "RETORT_TOKEN": of[1]}
    done = subprocess.run([RETORT, *arguments, *where], capture_output=True, text=True, env=environment, cwd=within)
    if done.returncode:
        sys.exit(f"retort {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def serve(log):
    """A server that takes traces, and its address."""
    with open(log, "w", encoding="utf-8") as errors:
        command = [RETORT, "serve", "--traces", "--data", DATA, "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, stderr=errors)
    for _ in range(300):
        at = re.search(r"^listening at (\S+)$", open(log, encoding="utf-8").read(), re.MULTILINE)
        if at:
            return server, at[1]
        time.sleep(0.1)
    sys.exit(f"the server does not begin: {open(log, encoding='utf-8').read()}")


def wait_for_runs(count, of):
    for _ in range(120):
        runs = [json.loads(line) for line in retort("runs", "list", "--lines", of=of).splitlines()]
        if len(runs) == count:
            return runs
        time.sleep(0.25)
    sys.exit(f"there are {len(runs)} runs, not {count}")


def check(is_so, what, *seen):
    if not is_so:
        sys.exit(f"FAILED: {what}: {seen}")
    print(f"ok: {what}")


def export(of, name, *arguments):
    """The rows of a dataset."""
    retort("export", name, "-q", *arguments, of=of)
    archive = os.path.join(WORK, f"{name}.zip")
    retort("datasets", "download", name, "-o", archive, "-q", of=of)
    with zipfile.ZipFile(archive) as files:
        [data] = [file for file in files.namelist() if os.path.basename(file) in ("runs.jsonl", "conversations.jsonl")]
        return [json.loads(line) for line in files.read(data).splitlines()]


def plain(message):
    """What a message says; of a tool the value, as each SDK writes its JSON in its own way."""
    content = message.get("content") or None
    return json.loads(content) if message["role"] == "tool" else content


def documented(of, name, session, node):
    """Runs the commands of docs/tracing.md that follow a trace to datasets, with the names of an agent."""
    with open(os.path.join(HERE, "../../docs/tracing.md"), encoding="utf-8") as file:
        [block] = re.findall(r"```sh not-run: tests/tracing runs it[^\n]*\n(.*?)```", file.read(), re.DOTALL)
    names = {"my-agent": f"lamps-{name}", "chat-42": session, "production": "test", "gpt-4o": "m-1", "ChatCompletion": node}
    printed = []
    for line in block.splitlines():
        words = [names.get(word, word) for word in shlex.split(line)]
        check(words[0] == "retort", "a command of the documentation", line)
        printed.append(retort(*words[1:], of=of, within=WORK))
    return printed


def rows_of(archive, name):
    with zipfile.ZipFile(os.path.join(WORK, archive)) as files:
        return [json.loads(line) for line in files.read(name).splitlines()]


def check_agent(run, name, root):
    nodes = {node["node"]: node for node in run["nodes"]}
    kinds = sorted(node["kind"] for node in run["nodes"])
    check(kinds == ["agent", "model-call", "model-call", "tool"], f"{name}: every span is a node", kinds)
    check(run["question"] == "Where is the blue lamp?" and run["answer"] == "In the kitchen.", f"{name}: question and answer", run)
    check(run["version"] == "7" and run["thread"] == f"session-{name}", f"{name}: version and session", run)
    calls = [node for node in run["nodes"] if node["kind"] == "model-call"]
    check(all(call["model"] == "m-1" and call["input_tokens"] == 40 for call in calls), f"{name}: model and tokens", calls)
    parents = [run["nodes"][node["parent"]]["node"] for node in run["nodes"] if "parent" in node]
    check(parents == [root] * 3 and "find_room" in nodes, f"{name}: nodes nest", parents)


def main():
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    server, base = serve(os.path.join(WORK, "log"))
    try:
        token = retort("tokens", "add", "tracing", "--scope", "write", "--scope", "read", "--scope", "export").strip().splitlines()[-1]
        for name, command, compression, _ in AGENTS:
            environment = {
                **os.environ,
                "FAKE_OPENAI": f"http://127.0.0.1:{model.server_port}/v1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{base}/v1/traces",
                "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{token}",
                "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
            }
            subprocess.run([*command, f"session-{name}"], env=environment, check=True)
        # What was answered with 200 is on disk, whatever becomes of the server.
        server.send_signal(signal.SIGKILL)
        server.wait()
        server, base = serve(os.path.join(WORK, "log"))
        of = base, token
        runs = wait_for_runs(len(AGENTS), of)
        check(len(runs) == len(AGENTS), "a killed server lost no span", runs)
        rows = export(of, "runs", "--runs", "--purpose", "export-dataset")
        for name, _, _, root in AGENTS:
            [run] = [row for row in rows if row["source_id"] == f"lamps-{name}"]
            check_agent(run, name, root)
            [call] = {node["node"] for node in run["nodes"] if node["kind"] == "model-call"}
            flow = ["--application", f"lamps-{name}"]
            evaluation = export(of, f"eval-{name}", "--purpose", "node-evaluation", "--node", call, *flow)
            outputs = [row["output"] for row in evaluation]
            check(len(evaluation) == 2 and "In the kitchen." in str(outputs[1]), f"{name}: node-evaluation", evaluation)
        conversations = export(of, "train", "--purpose", "fine-tuning", "--data-format", "openai")
        check(len(conversations) == len(AGENTS), "each session is a conversation", conversations)
        for row in conversations:
            said = [(message["role"], plain(message)) for message in row["messages"]]
            expect = [
                ("system", "You know every lamp."),
                ("user", "Where is the blue lamp?"),
                ("assistant", None),
                ("tool", {"room": "kitchen"}),
                ("assistant", "In the kitchen."),
            ]
            check(said == expect, "the training row has every message once", said)
            [call] = row["messages"][2]["tool_calls"]
            function = call["function"]
            check(function["name"] == "find_room" and json.loads(function["arguments"]) == {"lamp": "blue"}, "and the call", call)
            check([tool["function"]["name"] for tool in row["tools"]] == ["find_room"], "and the tool's definition", row)
        # The same with nothing but what the documentation says.
        name = AGENTS[0][0]
        [run] = [row for row in rows if row["source_id"] == f"lamps-{name}"]
        [call] = {node["node"] for node in run["nodes"] if node["kind"] == "model-call"}
        printed = documented(of, name, f"session-{name}", call)
        check(all(run["request_id"][:8] in lists for lists in printed[:3]), "the documented filters find the run", printed[:3])
        calls, chats = rows_of("calls.zip", "runs.jsonl"), rows_of("chats.zip", "conversations.jsonl")
        check(len(calls) == 2 and "In the kitchen." in str(calls[1]["output"]), "the documented evaluation", calls)
        check(len(chats) == 1 and plain(chats[0]["messages"][-1]) == "In the kitchen.", "the documented training row", chats)
    finally:
        server.kill()


main()
