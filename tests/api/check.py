"""Signs in at the server whose log is named, makes a token that may do everything, and lets schemathesis ask."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


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


def main(log, examples):
    base, secret = listening(log)
    api = f"{base}/api/v1"
    session, headers = ask("POST", f"{api}/session/link", {"secret": secret})
    own = {"Cookie": headers["Set-Cookie"].split(";")[0], "X_CSRF_Token": session["csrf"]}
    wanted = {"name": "api", "scopes": ["read", "write", "export", "share", "manage"], "days": 2}
    token, _ = ask("POST", f"{api}/tokens", wanted, **own)
    bearer = f"Bearer {token['token']}"
    me, _ = ask("GET", f"{api}/session", Authorization=bearer)
    project = me["projects"][0]["name"]
    page, _ = ask("GET", f"{api}/conversations", Authorization=bearer)
    ids = [one["id"] for one in page["conversations"] if re.fullmatch(r"[\w.-]+", one["id"])]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": os.path.join(HERE, "hooks.py"),
        "RETORT_CONVERSATIONS": "\n".join(ids),
        "RETORT_TOKEN_ID": str(token["id"]),
        "RETORT_PROJECT_NAME": project,
    }
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "run",
        f"{base}/api/openapi.json",
        f"--header=Authorization: {bearer}",
        f"--max-examples={examples}",
        f"--checks={','.join(CHECKS)}",
        "--continue-on-failure",
        "--request-timeout=30",
        # That much of what it invents fits no description says something of its luck, not of the server.
        "--suppress-health-check=filter_too_much",
        "--warnings=off",
        "--no-color",
        *sys.argv[3:],
    ]
    code = subprocess.run(command, env=environment).returncode
    try:
        ask("GET", f"{api}/session", Authorization=bearer)
    except urllib.error.HTTPError as error:
        sys.exit(f"it did not ask as the owner until the end: {error}")
    # What the hooks keep schemathesis from doing.
    ask("DELETE", f"{api}/project", {"name": project}, Authorization=bearer)
    try:
        ask("GET", f"{api}/session", Authorization=bearer)
        sys.exit("the token of a deleted project still works")
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
    sys.exit(code)


main(sys.argv[1], int(sys.argv[2]))
