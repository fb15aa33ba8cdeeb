"""Leads a part of what schemathesis invents to what is there, and keeps it from ending who it is."""

import os

import schemathesis

CONVERSATIONS = os.environ["RETORT_CONVERSATIONS"].split("\n")
TOKEN = int(os.environ["RETORT_TOKEN_ID"])
PROJECT = os.environ["RETORT_PROJECT_NAME"]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    parameters = dict(path_parameters or {})
    for name, value in parameters.items():
        if isinstance(value, int) and not isinstance(value, bool):
            if value % 2 == 0:
                parameters[name] = abs(value) // 2 % 9
        elif isinstance(value, str) and name == "id" and len(value) % 2 == 1:
            parameters[name] = CONVERSATIONS[len(value) // 2 % len(CONVERSATIONS)]
    return parameters


def is_number(value, number):
    try:
        return int(str(value)) == number
    except ValueError:
        return False


@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    for end, name, own in [("/tokens/{id}", "id", TOKEN), ("/members/{person}", "person", 1)]:
        if case.path.endswith(end) and is_number(parameters.get(name), own):
            parameters[name] = own + 1
    # Refusals and answers tell the project's name, and schemathesis learns from them.
    if case.path.endswith("/project") and case.method.upper() == "DELETE" and isinstance(case.body, dict):
        if case.body.get("name") == PROJECT:
            case.body["name"] = f"not {PROJECT}"
