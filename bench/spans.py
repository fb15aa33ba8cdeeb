#!/usr/bin/env python3
"""Sends traces to a running server as fast as it takes them, and waits until all of them are runs.

    bench/spans.py target/release/retort --spans 400000 --encoding protobuf --connections 4

Each trace is an agent with two model calls and a tool inside, as OpenTelemetry's GenAI conventions write them; a
request holds the spans of many traces, as an exporter's batch does. Prints the spans per second until the last
request was answered and until the last trace was imported, the server's CPU seconds per million spans, and the peak of
its own memory (without the pages of the store that are mapped into it, which belong to the system).

With `--open`, a trace has two spans: first the earlier one of every trace is sent, so that all traces are open at once, and
then the roots.
"""

import argparse
import atexit
import gzip
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

TRACE_SIZE = 16
WAITS = "asked to wait"
SPANS_OF_A_TRACE = 4
WORDS = "the agent looks up what was ordered and says when it comes, in words that a customer understands at once".split()


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """A field of protobuf: bytes and texts by their length, integers as fixed64."""
    if isinstance(value, int):
        return varint(number << 3 | 1) + value.to_bytes(8, "little")
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def text_of(seed, words):
    return " ".join(WORDS[(seed * 7 + at * at) % len(WORDS)] for at in range(words))


def spans_of(trace):
    """The spans of a trace: (id, parent, name, start, end, attributes)."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": text_of(trace, 40)}]}]
    call = {"type": "tool_call", "id": f"call_{trace}", "name": "look_up", "arguments": {"order": trace}}
    called = [{"role": "assistant", "parts": [call], "finish_reason": "tool_call"}]
    result = {"type": "tool_call_response", "id": f"call_{trace}", "response": text_of(trace + 1, 20)}
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": text_of(trace + 2, 60)}], "finish_reason": "stop"}]
    model = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}

    def messages(before, after):
        return {"gen_ai.input.messages": json.dumps(before), "gen_ai.output.messages": json.dumps(after)}

    second = asked + called + [{"role": "tool", "parts": [result]}]
    return [
        (2, 1, "chat gpt-4o", 10, 40, {**model, **messages(asked, called), "gen_ai.usage.input_tokens": "60"}),
        (3, 1, "execute_tool look_up", 40, 50, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up"}),
        (4, 1, "chat gpt-4o", 50, 90, {**model, **messages(second, answered), "gen_ai.usage.output_tokens": "80"}),
        (1, 0, "invoke_agent support", 0, 100, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}),
    ]


def as_json(traces, which=slice(None)):
    spans = []
    for trace in traces:
        for at, parent, name, start, end, attributes in spans_of(trace)[which]:
            spans.append(
                {
                    "traceId": f"{trace:032x}",
                    "spanId": f"{at:016x}",
                    "parentSpanId": f"{parent:016x}" if parent else "",
                    "name": name,
                    "kind": 1,
                    "startTimeUnixNano": str(1_700_000_000_000_000_000 + start * 1_000_000),
                    "endTimeUnixNano": str(1_700_000_000_000_000_000 + end * 1_000_000),
                    "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
                    "status": {},
                }
            )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]}
    groups = [{"resource": resource, "scopeSpans": [{"scope": {"name": "bench"}, "spans": spans}]}]
    return json.dumps({"resourceSpans": groups}, separators=(",", ":")).encode()


def as_protobuf(traces, which=slice(None)):
    def attribute(key, value):
        return field(1, key) + field(2, field(1, value))

    spans = b""
    for trace in traces:
        for at, parent, name, start, end, attributes in spans_of(trace)[which]:
            span = field(1, trace.to_bytes(TRACE_SIZE, "big")) + field(2, at.to_bytes(8, "big"))
            if parent:
                span += field(4, parent.to_bytes(8, "big"))
            span += field(5, name)
            span += field(7, 1_700_000_000_000_000_000 + start * 1_000_000)
            span += field(8, 1_700_000_000_000_000_000 + end * 1_000_000)
            for key, value in attributes.items():
                span += field(9, attribute(key, value))
            spans += field(2, span)
    resource = field(1, attribute("service.name", "support"))
    return field(1, field(1, resource) + field(2, field(1, field(1, "bench")) + spans))


class Server:
    def __init__(self, retort, folder):
        self.retort, self.folder, self.megabytes = retort, folder, 0
        command = [retort, "serve", "--traces", "--data", folder, "--listen", "127.0.0.1:0", "--requests-per-minute", "10000000"]
        self.log = os.path.join(folder, "log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)
        for _ in range(300):
            at = re.search(r"http://(127\.0\.0\.1:\d+)", open(self.log, encoding="utf-8").read())
            if at:
                self.address = at[1]
                secret = self.run("tokens", "add", "bench", "--scope", "write", "--scope", "read")
                self.token = secret.strip().splitlines()[-1]
                return
            time.sleep(0.1)
        sys.exit("the server does not begin: " + open(self.log, encoding="utf-8").read())

    def run(self, *arguments):
        return subprocess.run(
            [self.retort, *arguments, "--data", self.folder], check=True, capture_output=True, text=True
        ).stdout

    def ask(self, path):
        connection = http.client.HTTPConnection(self.address)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        return json.loads(connection.getresponse().read())

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def watch_memory(self):
        """Samples the server's own memory ten times a second, and keeps the maximum in megabytes."""
        while self.process.poll() is None:
            with open(f"/proc/{self.process.pid}/status") as status:
                own = re.search(r"RssAnon:\s+(\d+)", status.read())
            self.megabytes = max(self.megabytes, int(own[1]) / 1000 if own else 0)
            time.sleep(0.1)


def send(server, kind, bodies, problems):
    """Sends the bodies one after the other; what is refused for a while is sent again, as an exporter does."""
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": kind, "Content-Encoding": "gzip"}
    connection = http.client.HTTPConnection(server.address)
    while True:
        try:
            body = bodies.pop()
        except IndexError:
            return
        while True:
            connection.request("POST", "/v1/traces", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200:
                break
            # An open trace's limit, or a store that is busy.
            if answer.status not in (429, 503):
                problems.append(said)
                return
            problems.append(WAITS)
            time.sleep(min(float(answer.getheader("Retry-After", "1")), 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("retort")
    parser.add_argument("--spans", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=512, help="spans in a request, as exporters send them")
    parser.add_argument("--encoding", choices=["protobuf", "json"], default="protobuf")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--open", action="store_true", help="all traces at once, of two spans each")
    parser.add_argument("--seconds", type=int, default=1800, help="how long to wait for all runs")
    args = parser.parse_args()
    encode, kind = {
        "json": (as_json, "application/json"),
        "protobuf": (as_protobuf, "application/x-protobuf"),
    }[args.encoding]
    waves = [slice(0, 1), slice(3, 4)] if args.open else [slice(None)]
    spans_of_a_trace = 2 if args.open else SPANS_OF_A_TRACE
    traces = args.spans // spans_of_a_trace
    step = max(args.batch * len(waves) // spans_of_a_trace, 1)
    bodies = [
        gzip.compress(encode(range(first, min(first + step, traces + 1)), which), 1)
        for which in waves
        for first in range(1, traces + 1, step)
    ]
    bodies.reverse()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(args.retort, folder)
        atexit.register(server.process.kill)
        threading.Thread(target=server.watch_memory, daemon=True).start()
        problems = []
        threads = [
            threading.Thread(target=send, args=(server, kind, bodies, problems)) for _ in range(args.connections)
        ]
        began, cpu = time.monotonic(), server.cpu_seconds()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answered = time.monotonic() - began
        cpu_answered = server.cpu_seconds() - cpu
        refused = [problem for problem in problems if problem != WAITS]
        if refused:
            sys.exit(f"refused: {refused[0]}")
        while time.monotonic() - began < args.seconds:
            counts = server.ask("/api/v1/runs/count?source=application")
            if counts["total"] >= traces:
                break
            time.sleep(0.2 if traces < 200_000 else 5)
        else:
            sys.exit(
                f"only {counts['total']} of {traces} traces are runs after {args.seconds} s, "
                f"{server.megabytes:.0f} MB, {problems.count(WAITS)} asked to wait"
            )
        imported, cpu = time.monotonic() - began, server.cpu_seconds() - cpu
        spans = traces * spans_of_a_trace
        print(
            f"{spans} spans: {spans / answered:,.0f} a second answered ({answered:.1f} s, {cpu_answered:.1f} s CPU), "
            f"{spans / imported:,.0f} a second imported ({imported:.1f} s), "
            f"{cpu * 1e6 / spans:.1f} CPU seconds per million, at most {server.megabytes:.0f} MB, "
            f"{problems.count(WAITS)} asked to wait"
        )
        server.process.terminate()
        server.process.wait()


if __name__ == "__main__":
    main()
