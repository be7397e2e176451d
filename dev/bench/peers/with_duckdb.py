"""The work of a Sluice batch in DuckDB, with the least SQL that keeps every record: raw folder in, two Parquet files out."""

import sys

import duckdb

raw, out = sys.argv[1:3]

PASSES = """user_id is not null and event_id is not null and event_timestamp is not null
    and event_type in ('page_view', 'purchase') and properties is not null"""

lake = duckdb.connect()
# An object that is not UTF-8 has no text, and is kept as a blob.
lake.execute(
    "create temp table objects as select filename, content as body, try(decode(content)) as content from read_blob(?)",
    [f"{raw}/**/*.json"],
)
lake.execute("""
    create temp table records as
    select filename, record, try_cast(record->>'user_id' as uuid) as user_id, try_cast(record->>'event_id' as uuid) as event_id,
        try_cast(record->>'event_timestamp' as timestamptz) as event_timestamp, record->>'event_type' as event_type,
        record->>'product_id' as product_id, try_cast(record->'properties' as map(varchar, varchar)) as properties
    from (select filename, unnest(json_extract(content, '$[*]')) as record from objects where coalesce(json_valid(content), false))""")
lake.execute(f"copy (select * exclude (record) from records where {PASSES}) to '{out}/rows.parquet' (compression zstd)")
lake.execute(f"""copy (
    select 'invalid_schema' as reason, filename, record::varchar as raw from records where ({PASSES}) is not true
    union all select 'corrupted_batch', filename, body::varchar from objects where not coalesce(json_valid(content), false)
) to '{out}/dead_letters.parquet' (compression zstd)""")
rows, dead = lake.execute(
    f"select (select count(*) from '{out}/rows.parquet'), (select count(*) from '{out}/dead_letters.parquet')"
).fetchone()
print(f'{{"rows": {rows}, "dead_letters": {dead}}}')
