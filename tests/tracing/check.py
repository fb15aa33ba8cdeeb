"""Traces a small agent with real SDKs into a running server, and takes it to datasets: check.py RETORT WORK"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
RETORT, WORK = sys.argv[1:]
DATA = os.path.join(WORK, "data")
AGENTS = [("openinference", "protobuf", "gzip"), ("openllmetry", "json", "none")]
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


def retort(*arguments, of=None):
    """What a command prints: of the store, or of the server and token that are named."""
    where = ["--data", DATA] if of is None else ["--server", of[0]]
    environment = os.environ if of is None else {**os.environ, "RETORT_TOKEN": of[1]}
    done = subprocess.run([RETORT, *arguments, *where], capture_output=True, text=True, env=environment)
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


def check_agent(run, name):
    nodes = {node["node"]: node for node in run["nodes"]}
    kinds = sorted(node["kind"] for node in run["nodes"])
    check(kinds == ["agent", "model-call", "model-call", "tool"], f"{name}: every span is a node", kinds)
    check(run["question"] == "Where is the blue lamp?" and run["answer"] == "In the kitchen.", f"{name}: question and answer", run)
    check(run["version"] == "7" and run["thread"] == f"session-{name}", f"{name}: version and session", run)
    calls = [node for node in run["nodes"] if node["kind"] == "model-call"]
    check(all(call["model"] == "m-1" and call["input_tokens"] == 40 for call in calls), f"{name}: model and tokens", calls)
    parents = [run["nodes"][node["parent"]]["node"] for node in run["nodes"] if "parent" in node]
    check(parents == ["answer"] * 3 and "find_room" in nodes, f"{name}: nodes nest", parents)


def main():
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    server, base = serve(os.path.join(WORK, "log"))
    try:
        token = retort("tokens", "add", "tracing", "--scope", "write", "--scope", "read", "--scope", "export").strip().splitlines()[-1]
        for name, encoding, compression in AGENTS:
            environment = {
                **os.environ,
                "FAKE_OPENAI": f"http://127.0.0.1:{model.server_port}/v1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{base}/v1/traces",
                "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{token}",
                "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
            }
            app = [sys.executable, os.path.join(HERE, "app.py"), name, encoding, f"session-{name}"]
            subprocess.run(app, env=environment, check=True)
        # What was answered with 200 is on disk, whatever becomes of the server.
        server.send_signal(signal.SIGKILL)
        server.wait()
        check(retort("runs", "list", "--lines") == "", "no run is there before its trace is whole")
        server, base = serve(os.path.join(WORK, "log"))
        of = base, token
        runs = wait_for_runs(len(AGENTS), of)
        check(len(runs) == len(AGENTS), "a killed server lost no span", runs)
        rows = export(of, "runs", "--runs", "--purpose", "export-dataset")
        for name, *_ in AGENTS:
            [run] = [row for row in rows if row["source_id"] == f"lamps-{name}"]
            check_agent(run, name)
            [call] = {node["node"] for node in run["nodes"] if node["kind"] == "model-call"}
            flow = ["--application", f"lamps-{name}"]
            evaluation = export(of, f"eval-{name}", "--purpose", "node-evaluation", "--node", call, *flow)
            outputs = [row["output"] for row in evaluation]
            check(len(evaluation) == 2 and "In the kitchen." in str(outputs[1]), f"{name}: node-evaluation", evaluation)
        conversations = export(of, "train", "--purpose", "fine-tuning", "--data-format", "openai")
        check(len(conversations) == len(AGENTS), "each session is a conversation", conversations)
        for row in conversations:
            said = [(message["role"], message.get("content") or None) for message in row["messages"]]
            expect = [
                ("system", "You know every lamp."),
                ("user", "Where is the blue lamp?"),
                ("assistant", None),
                ("tool", '{"room": "kitchen"}'),
                ("assistant", "In the kitchen."),
            ]
            check(said == expect, "the training row has every message once", said)
            [call] = row["messages"][2]["tool_calls"]
            function = call["function"]
            check(function["name"] == "find_room" and json.loads(function["arguments"]) == {"lamp": "blue"}, "and the call", call)
            check([tool["function"]["name"] for tool in row["tools"]] == ["find_room"], "and the tool's definition", row)
    finally:
        server.kill()


main()
