"""Makes clients from the API's description and uses them.

The description must be valid OpenAPI 3.1. With openapi-python-client's client, a file is imported, exported and
downloaded; what openapi-typescript writes must compile.
"""

import importlib
import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

from openapi_spec_validator import validate

# Bytes of other types than the generator knows.
BYTES = ("*/*", "application/x-ndjson", "application/x-protobuf", "application/zip", "text/csv", "text/event-stream")


def check(base, token, conversations, work, node_modules=None):
    """Ends the program where a client cannot be made or used."""
    with urllib.request.urlopen(f"{base}/api/openapi.json") as answer:
        text = answer.read()
    validate(json.loads(text))
    description = work / "openapi.json"
    description.write_bytes(text)
    uses_python(base, token, description, conversations, work)
    if node_modules:
        compiles_typescript(description, work, node_modules)


def uses_python(base, token, description, conversations, work):
    config = work / "generator.json"
    overrides = dict.fromkeys(BYTES, "application/octet-stream")
    config.write_text(json.dumps({"content_type_overrides": overrides, "post_hooks": []}))
    command = [
        Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", description, "--config", config,
        "--output-path", work / "client", "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(f"openapi-python-client:\n{made.stdout}{made.stderr}")
    sys.path.insert(0, str(work))

    def operation(name):
        return importlib.import_module(f"client.api.{name}").sync

    from client import AuthenticatedClient, models
    from client.types import File

    client = AuthenticatedClient(base_url=base, token=token, raise_on_unexpected_status=True)

    def done(job, show):
        for _ in range(600):
            job = operation(show)(job.id, client=client)
            if job.finished_at:
                break
            time.sleep(0.1)
        assert job.state in ("completed", "completed_with_skips"), job
        return job

    history = conversations.read_bytes()
    sent = File(payload=io.BytesIO(history), file_name=conversations.name)
    job = operation("imports.start_import")(client=client, body=sent, name=conversations.name, idempotency_key="clients")
    again = operation("imports.start_import")(
        client=client, body=File(payload=io.BytesIO(history)), name=conversations.name, idempotency_key="clients"
    )
    assert job.id == again.id, "an import under one key is one import"
    done(job, "imports.show_import")
    selection = models.ConversationFilter.from_dict({"search": ["the"]})
    wanted = models.Export(dataset_name="clients", selection=selection)
    job = done(operation("exports.start_export")(client=client, body=wanted), "exports.show_export")
    archive = operation("datasets.download_dataset")(job.dataset, client=client)
    with zipfile.ZipFile(archive.payload) as package:
        manifest = json.loads(package.read("manifest.json"))
    assert manifest["conversations"]["written"] > 0, manifest
    print(f"openapi-python-client: {manifest['conversations']['written']} conversations imported, exported, downloaded")


def compiles_typescript(description, work, node_modules):
    types = work / "api.d.ts"
    for command in (["openapi-typescript", description, "-o", types], ["tsc", "--noEmit", "--strict", types]):
        run = subprocess.run([node_modules / ".bin" / command[0], *command[1:]], capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(f"{command[0]}:\n{run.stdout}{run.stderr}")
    print("openapi-typescript: compiles")
