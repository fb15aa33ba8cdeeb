"""Leads a part of what schemathesis invents to what is there, and keeps it from ending who it is."""

import os

import schemathesis

CONVERSATIONS = os.environ["RETORT_CONVERSATIONS"].split("\n")
TOKEN = int(os.environ["RETORT_TOKEN_ID"])


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


@schemathesis.hook
def before_call(context, case, kwargs):
    for end, name, own in [("/tokens/{id}", "id", TOKEN), ("/members/{person}", "person", 1)]:
        parameters = case.path_parameters or {}
        if case.path.endswith(end) and str(parameters.get(name)) == str(own):
            parameters[name] = own + 1
