#!/usr/bin/env python3
"""Send bodies to a server a byte at a time, and print how many of the connections it still holds.

    slow.py http://127.0.0.1:8610 [-n 50] [--every 5] [--seconds 75]

None of the connections is ever silent for long, so timeouts for silence end none of them.
"""

import argparse
import select
import socket
import time
import urllib.parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("-n", "--connections", type=int, default=50)
    parser.add_argument("--every", type=float, default=5, help="seconds between two bytes of a connection")
    parser.add_argument("--seconds", type=float, default=75)
    asked = parser.parse_args()
    url = urllib.parse.urlsplit(asked.url)
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 100000\r\n\r\n"
    )
    held = []
    for _ in range(asked.connections):
        one = socket.create_connection((url.hostname, url.port))
        one.sendall(head.encode())
        held.append(one)
    start = time.monotonic()
    while time.monotonic() - start < asked.seconds and held:
        # An answer or an end: the server is done with it.
        done = select.select(held, [], [], asked.every)[0]
        if not done:
            for one in held:
                one.sendall(b"a")
        for one in done:
            one.close()
        held = [one for one in held if one not in done]
    print(f"after {time.monotonic() - start:.0f} s {len(held)} of {asked.connections} connections are held")


if __name__ == "__main__":
    main()
