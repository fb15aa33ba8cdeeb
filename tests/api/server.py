"""The server that the checks ask: where it is, who asks, and how."""

import json
import re
import sys
import time
import urllib.request


def listening(log):
    """The address of the server, and the secret of its first link."""
    for _ in range(300):
        text = open(log, encoding="utf-8").read()
        at = re.search(r"^listening at (\S+)$", text, re.MULTILINE)
        secret = re.search(r"sign-in/link#(\S+)", text)
        if at and secret:
            return at[1], secret[1]
        time.sleep(0.1)
    sys.exit(f"the server does not begin:\n{text}")


def ask(method, url, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
        return json.loads(body) if body else None, answer.headers


def sign_in(log):
    """The address of the server, and the headers of its first session. The link in its log works once."""
    base, secret = listening(log)
    session, headers = ask("POST", f"{base}/api/v1/session/link", {"secret": secret})
    return base, {"Cookie": headers["Set-Cookie"].split(";")[0], "X_CSRF_Token": session["csrf"]}


def new_token(base, session, name, scopes):
    """The id and the secret of a token."""
    made, _ = ask("POST", f"{base}/api/v1/tokens", {"name": name, "scopes": scopes, "days": 2}, **session)
    return made["id"], made["token"]
