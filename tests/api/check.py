"""check.py LOG EXAMPLES CONVERSATIONS WORK NODE_MODULES [OPTION…]: signs in at the server whose log is named, tries generated
clients, and lets schemathesis ask with a token that may do everything. NODE_MODULES may be empty."""

import json
import os
import re
import subprocess
import sys
import urllib.error
from pathlib import Path

import clients
import server

HERE = os.path.dirname(os.path.abspath(__file__))

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def main(log, examples, conversations, work, node_modules, *options):
    base, session = server.sign_in(log)
    _, token = server.new_token(base, session, "clients", ["read", "write", "export"])
    clients.check(base, token, Path(conversations), Path(work), Path(node_modules) if node_modules else None)

    id, token = server.new_token(base, session, "api", ["read", "write", "export", "share", "manage"])
    api = f"{base}/api/v1"
    bearer = f"Bearer {token}"
    me, _ = server.ask("GET", f"{api}/session", Authorization=bearer)
    project = me["projects"][0]["name"]
    page, _ = server.ask("GET", f"{api}/conversations", Authorization=bearer)
    ids = [one["id"] for one in page["conversations"] if re.fullmatch(r"[\w.-]+", one["id"])]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": os.path.join(HERE, "hooks.py"),
        "RETORT_CONVERSATIONS": "\n".join(ids),
        "RETORT_TOKEN_ID": str(id),
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
        *options,
    ]
    code = subprocess.run(command, env=environment).returncode
    try:
        server.ask("GET", f"{api}/session", Authorization=bearer)
    except urllib.error.HTTPError as error:
        sys.exit(f"it did not ask as the owner until the end: {error}")
    # What the hooks keep schemathesis from doing.
    server.ask("DELETE", f"{api}/project", {"name": project}, Authorization=bearer)
    try:
        server.ask("GET", f"{api}/session", Authorization=bearer)
        sys.exit("the token of a deleted project still works")
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
    sys.exit(code)


main(*sys.argv[1:])
