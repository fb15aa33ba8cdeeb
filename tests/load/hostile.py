"""A member and a visitor who mean harm, each by every shape that stopped a server before: hostile.py PORT TOKEN SECONDS

Sends what it prepared as fast as it is answered, from addresses of its own in the loopback range, and counts answers by
shape and status. Ends by itself after SECONDS.
"""

import collections
import http.client
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import zlib

PORT, TOKEN, SECONDS = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
MEMBER, VISITOR = "127.0.0.66", "127.0.0.77"
ENDS = time.monotonic() + SECONDS
answers = collections.Counter()
longest = collections.Counter()


def send(shape, source, method, path, body=None, headers=(), patience=70):
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", PORT, patience, source_address=(source, 0))
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        status, text = answer.status, answer.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        status, text = type(error).__name__, b""
    finally:
        connection.close()
    answers[f"{shape} {status}"] += 1
    longest[shape] = max(longest[shape], time.monotonic() - began)
    return status, text


def member(shape, method, path, body=None, **more):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **more}
    return send(shape, MEMBER, method, f"/api/v1{path}", body, headers)


def chat(number, messages, **more):
    return json.dumps({"id": f"hostile-{number}", "messages": messages, **more}).encode()


def overlapping():
    """A ZIP whose 20,000 entries are one stream of 8 MB."""
    data = b'{"id":"z","messages":[]}\n' + b" " * (8 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(data) + deflate.flush()
    fields = (20, 0, 8, 0, 0, zlib.crc32(data), len(packed), len(data), 6, 0)
    name = b"a.json"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *fields) + name + packed
    entry = struct.pack("<4sH", b"PK\x01\x02", 20) + struct.pack("<HHHHHIIIHH", *fields)
    entry += struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    count = 20_000
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, len(local), 0)
    return local + entry * count + end


def shapes(dataset):
    """What the member sends, one after the other, for ever."""
    user, said = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(20_000)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in reversed(range(20_000))]
    tools = [{"type": "function", "function": {"name": f"f{n}", "parameters": {}}} for n in range(40_000)]
    keys = {f"key{n}": n for n in range(60_000)}
    terms = "&".join(f"search={'abcdefghij'[n % 10] * 999}" for n in range(20))
    long = {"role": "assistant", "content": "a" * (30 << 20)}
    ranges = {"Range": "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(1000))}
    return [
        ("unknown keys", "POST", "/conversations", chat("keys", [user, said], **keys), {}),
        ("system messages", "POST", "/conversations", chat("systems", [{"role": "system", "content": "s"}] * 40_000 + [user, said]), {}),
        ("stray results", "POST", "/conversations", chat("stray", [user, said] + results), {}),
        ("parallel calls", "POST", "/conversations", chat("calls", [user, {**said, "tool_calls": calls}] + results), {}),
        ("tools", "POST", "/conversations", chat("tools", [user, said], tools=tools), {}),
        ("long title", "POST", "/conversations", chat("title", [user, said], title="t" * (14 << 20)), {}),
        ("huge item", "POST", "/conversations", huge(), {}),
        ("huge item, opened", "GET", "/conversations/hostile-huge", None, {}),
        ("huge item, added to", "POST", "/conversations/hostile-huge/rounds", json.dumps([user, said]).encode(), {}),
        ("item past the bound", "POST", "/imports?name=long", chat("long", [user, long]), BYTES),
        ("overlapping ZIP", "POST", "/imports?name=zip", overlapping(), BYTES),
        ("searches", "GET", f"/conversations?{terms}", None, {}),
        ("count", "GET", f"/conversations/count?{terms}", None, {}),
        ("export", "POST", "/exports", b'{"dataset_name":"h%d","data_format":"openai"}', {}),
        ("list", "GET", "/conversations?limit=1000", None, {}),
        ("preview", "GET", f"/datasets/{dataset}/preview", None, {}),
        ("ranges", "GET", f"/datasets/{dataset}/download", None, ranges),
        ("download", "GET", f"/datasets/{dataset}/download", None, {}),
    ]


BYTES = {"Content-Type": "application/octet-stream"}


def huge():
    """As large a conversation as one request may bring, with a file in it."""
    data = "data:application/pdf;base64," + "QUFB" * (15 << 18)
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    return chat("huge", [{"role": "user", "content": [file]}, {"role": "assistant", "content": "a"}])


def harm(prepared, first):
    number = first
    while time.monotonic() < ENDS:
        shape, method, path, body, headers = prepared[number % len(prepared)]
        body = body % number if shape == "export" else body
        member(shape, method, path, body, **headers)
        number += 1


def visit(links):
    """Opens links, downloads what is behind them, and guesses passwords."""
    while time.monotonic() < ENDS:
        for name, link in links.items():
            send(f"link to {name}", VISITOR, "GET", f"/api/v1/shared/{link}")
            send(f"page of {name}", VISITOR, "GET", f"/s/{link}", headers={"Accept-Encoding": "gzip"})
            send(f"files of {name}", VISITOR, "GET", f"/api/v1/shared/{link}/files.zip")
        send("sign in", VISITOR, "POST", "/api/v1/session", b'{"name":"p1@example.org","password":"wrong"}',
             {"Content-Type": "application/json"})
        send("large sign in", VISITOR, "POST", "/api/v1/session", b'{"name":"%s"}' % (b"n" * (3 << 20)),
             {"Content-Type": "application/json"})


def take_slowly(link):
    """Asks for what is large, again and again, and hardly reads what comes."""
    kept = []
    while time.monotonic() < ENDS:
        try:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.bind((VISITOR, 0))
            one.settimeout(5)
            one.connect(("127.0.0.1", PORT))
            one.sendall(f"GET /api/v1/shared/{link} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n\r\n".encode())
            kept.append(one)
            answers["slow takers"] += 1
        except OSError:
            answers["slow takers refused"] += 1
        if len(kept) > 200:
            kept.pop(0).close()
        for one in kept[:10]:
            try:
                one.setblocking(False)
                one.recv(100)
            except OSError:
                pass
        time.sleep(0.1)


def idle():
    """Opens connections that ask once and stay; and bodies that come a byte at a time."""
    kept = []
    while time.monotonic() < ENDS:
        try:
            one = socket.create_connection(("127.0.0.1", PORT), 5, (VISITOR, 0))
            slow = len(kept) % 10 == 0
            head = b"POST /api/v1/session HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n" if slow \
                else b"GET /healthz HTTP/1.1\r\n"
            one.sendall(head + f"Host: 127.0.0.1:{PORT}\r\n\r\n".encode())
            kept.append(one)
            answers["connections"] += 1
        except OSError:
            answers["connections refused"] += 1
        if len(kept) % 100 == 0:
            for one in kept[::10]:
                try:
                    one.send(b" ")
                except OSError:
                    pass
        if len(kept) > 3000:
            for one in kept[:1000]:
                one.close()
            del kept[:1000]
        time.sleep(0.02)


def end(*_):
    print(dict(answers), "longest:", {shape: round(seconds, 1) for shape, seconds in longest.items()}, flush=True)
    os._exit(0)


def dataset():
    """The number of a dataset of the member's own."""
    asked = b'{"dataset_name":"first","data_format":"openai","selection":{"ids":["hostile-good"]}}'
    _, text = member("first export", "POST", "/exports", asked)
    job = json.loads(text)
    while job["state"] in ("queued", "running"):
        time.sleep(0.2)
        job = json.loads(member("first export", "GET", f"/exports/{job['id']}")[1])
    return job["dataset"]


def share(id):
    """A public link to a conversation."""
    body = json.dumps({"conversation": id, "system": True, "tools": True}).encode()
    _, text = member("share", "POST", "/shares", body)
    return json.loads(text)["path"].rsplit("/", 1)[-1]


def main():
    signal.signal(signal.SIGTERM, end)
    attachments = [{"type": "file", "file": {"filename": "a.txt", "file_data": "data:,"}}] * 4000
    files = chat("files", [{"role": "user", "content": attachments}, {"role": "assistant", "content": "a"}])
    good = chat("good", [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a" * 100_000}])
    for body in (files, huge(), good):
        member("first items", "POST", "/conversations", body)
    links = {"many files": share("hostile-files"), "a huge item": share("hostile-huge")}
    prepared = shapes(dataset())
    print("ready", flush=True)
    threads = [threading.Thread(target=harm, args=(prepared, n), daemon=True) for n in range(20)]
    threads += [threading.Thread(target=visit, args=(links,), daemon=True) for _ in range(18)]
    threads += [threading.Thread(target=take_slowly, args=(links["a huge item"],), daemon=True)]
    threads += [threading.Thread(target=idle, daemon=True)]
    for thread in threads:
        thread.start()
    while time.monotonic() < ENDS:
        time.sleep(0.2)
    end()


main()
