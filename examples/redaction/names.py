"""Finds names of people for `retort convert --redact rules.toml`: a stand-in for a model of yours.

Reads a line of JSON with a text, and answers with a line of JSON with the places of the names in it, until there are no more.
Places count characters, as Python does.
"""

import json
import re
import sys

NAMES = re.compile(r"\b(?:Anna|Zoë) [A-ZÄÖÜ]\w+")

for line in sys.stdin:
    asked = json.loads(line)
    spans = [{"start": found.start(), "end": found.end()} for found in NAMES.finditer(asked["text"])]
    print(json.dumps({"id": asked["id"], "spans": spans}), flush=True)
