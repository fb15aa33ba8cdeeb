"""deliveries.py RETORT EXAMPLES WORK: a schedule delivers to an S3 server, and DuckDB reads the partitions from there.

The server is moto's, which speaks the protocol of S3. Where it cannot be installed, `run` says that this is passed over.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import boto3
import duckdb
import duckdb_extension_httpfs
from moto.server import ThreadedMotoServer

KEY, SECRET = "AKIAEXAMPLE", "example-secret"


def main():
    binary, examples, work = (Path(argument).resolve() for argument in sys.argv[1:4])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address, port = server.get_host_and_port()
    host = f"{address}:{port}"
    bucket = boto3.client(
        "s3",
        endpoint_url=f"http://{host}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    bucket.create_bucket(Bucket="acme-lake")
    config = work / "config.toml"
    config.write_text(
        f"""[destinations.lake]
location = "s3://acme-lake/conversations"
[destinations.lake.options]
aws_endpoint = "http://{host}"
aws_allow_http = "true"
aws_region = "us-east-1"
aws_access_key_id = "{KEY}"
aws_secret_access_key = "{SECRET}"
"""
    )
    environment = {**os.environ, "RETORT_DATA": str(work / "data"), "RETORT_CONFIG": str(config)}

    def retort(*arguments):
        ran = subprocess.run(
            [binary, *map(str, arguments)], env=environment, capture_output=True, text=True, cwd=work, check=False
        )
        assert ran.returncode == 0, f"{arguments}: {ran.stderr}"
        return ran.stdout

    def import_row(name, turns):
        said = [
            {"role": role, "content": f"{name} {turn} {role}"} for turn in range(turns) for role in ("user", "assistant")
        ]
        (work / "row.jsonl").write_text(json.dumps({"id": name, "messages": said}) + "\n")
        retort("import", "-q", "row.jsonl")

    retort("import", "-q", examples)
    add = "schedules add nightly --window changed -d standard -f parquet --deliver-to lake --prefix support --by-date"
    retort(*add.split(), "--cron", "0 2 * * *", "--dataset-name", "nightly-{n}")
    import_row("first", 1)
    retort("schedules", "run", "nightly", "-q")
    import_row("second", 1)
    import_row("first", 2)
    retort("schedules", "run", "nightly", "-q")

    listed = bucket.list_objects_v2(Bucket="acme-lake", Prefix="conversations/")["Contents"]
    keys = sorted(one["Key"].removeprefix("conversations/") for one in listed)
    assert sum(key.endswith("manifest.json") for key in keys) == 2, keys
    assert any(key.startswith("support/") and key.endswith(".series.json") for key in keys), keys
    assert all(key.startswith("support/") for key in keys), keys
    for key in keys:
        place = work / "copy" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        bucket.download_file("acme-lake", f"conversations/{key}", str(place))
    verified = json.loads(retort("verify", "copy", "--json"))
    assert verified["whole"] and verified["packages"] == 2, verified
    retort("merge", "copy", "-o", "merged", "-q")

    reader = duckdb.connect()
    # As its wheel brings it: nothing is fetched from elsewhere.
    extension = Path(duckdb_extension_httpfs.__file__).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs"
    reader.execute(f"LOAD '{extension}.duckdb_extension'")
    reader.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{host}', USE_SSL false, URL_STYLE 'path')"
    )
    pattern = "s3://acme-lake/conversations/support/*/*/*.parquet"
    rows = reader.execute(
        f"SELECT CAST(date AS VARCHAR), count(*) FROM read_parquet('{pattern}', hive_partitioning = true) GROUP BY 1"
    ).fetchall()
    assert sum(count for _, count in rows) == verified["records"], (rows, verified)
    assert all(len(date) == 10 for date, _ in rows), rows
    twice = reader.execute(
        f"SELECT conversation_id, count(*) FROM read_parquet('{pattern}') WHERE conversation_id IN ('first', 'second') "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert twice == [("first", 2), ("second", 1)], twice
    merged = reader.execute(
        f"SELECT count(*), count(*) FILTER (conversation_id = 'first') FROM read_parquet('{work}/merged/*.parquet')"
    ).fetchone()
    assert merged == (verified["records"] - 1, 1), merged
    server.stop()
    print(f"deliveries: DuckDB {duckdb.__version__} read {rows} from S3")


main()
