"""The bare mapping in SQL: peers/with_duckdb.py INPUT OUTPUT jsonl|parquet [ROWS]

One streaming COPY on every core. The columns are named, so nothing is guessed from the data;
calls and tool definitions are passed through as the JSON they are. The order of the rows is kept,
as Retort keeps it. ROWS is how many a row group of Parquet has; DuckDB's own choice is 122,880.
Not done: any check or repair, merging of parallel results, removal of double tools, arguments as
objects, a receipt, a hash.
"""

import sys

import duckdb

COLUMNS = {
    "id": "VARCHAR",
    "tags": "VARCHAR[]",
    "model": "VARCHAR",
    "messages": "STRUCT(role VARCHAR, content VARCHAR, tool_calls JSON)[]",
    "tools": "JSON",
}

FORMATS = {
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3",
}

source, target, file_format, *rows = sys.argv[1:]
options = FORMATS[file_format] + "".join(f", ROW_GROUP_SIZE {int(most)}" for most in rows)
duckdb.sql(f"""
    COPY (
        SELECT
            'chat' AS data_source,
            tags AS ability,
            list_transform(messages, lambda message: {{
                role: CASE
                    WHEN message.tool_calls IS NOT NULL THEN 'function_call'
                    WHEN message.role = 'developer' THEN 'system'
                    ELSE message.role
                END,
                content: coalesce(message.tool_calls::VARCHAR, message.content, '')
            }}) AS messages,
            coalesce(tools::VARCHAR, '') AS tools,
            model,
            id AS conversation_id
        FROM read_json({source!r}, format = 'newline_delimited', columns = {COLUMNS!r})
    ) TO {target!r} ({options})
""")
