"""The bare mapping as a lazy frame: peers/with_polars.py INPUT OUTPUT jsonl|parquet

One streaming query on every core, with a schema, so nothing is guessed from the data. Calls are
read as structs and written as JSON text; tool definitions differ in shape, so they are read as
text, which is right as long as they hold no backslash. Not done: any check or repair, merging of
parallel results, removal of double tools, arguments as objects, a receipt, a hash.
"""

import sys

import polars as pl

CALL = pl.Struct(
    {
        "id": pl.String,
        "type": pl.String,
        "function": pl.Struct({"name": pl.String, "arguments": pl.String}),
    }
)
MESSAGE = pl.Struct({"role": pl.String, "content": pl.String, "tool_calls": pl.List(CALL)})
SCHEMA = {
    "id": pl.String,
    "tags": pl.List(pl.String),
    "model": pl.String,
    "messages": pl.List(MESSAGE),
    "tools": pl.String,
}


def bare_message():
    message = pl.element().struct
    role, calls = message.field("role"), message.field("tool_calls")
    # Only a struct can be written as JSON: wrap the list, then take the wrapping off the text.
    wrapped = pl.struct(calls=calls).struct.json_encode()
    calls_text = wrapped.str.slice(len('{"calls":')).str.head(-1)
    return pl.struct(
        role=pl.when(calls.is_not_null())
        .then(pl.lit("function_call"))
        .when(role == "developer")
        .then(pl.lit("system"))
        .otherwise(role),
        content=pl.when(calls.is_not_null())
        .then(calls_text)
        .otherwise(message.field("content").fill_null("")),
    )


source, target, file_format = sys.argv[1:]
frame = pl.scan_ndjson(source, schema=SCHEMA).select(
    data_source=pl.lit("chat"),
    ability="tags",
    messages=pl.col("messages").list.eval(bare_message()),
    tools=pl.col("tools").fill_null(""),
    model="model",
    conversation_id="id",
)
if file_format == "jsonl":
    frame.sink_ndjson(target)
else:
    frame.sink_parquet(target, compression="zstd", compression_level=3, row_group_size=10_000)
