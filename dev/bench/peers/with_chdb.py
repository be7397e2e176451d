"""The work of a Sluice batch in chDB (embedded ClickHouse): raw folder in, two Parquet files out, every record kept."""

import sys

import chdb

raw, out = sys.argv[1:3]

OBJECTS = f"file('{raw}/**/*.json', 'RawBLOB', 'body String')"
RECORDS = f"""
    select filename, record, toUUIDOrNull(JSONExtractString(record, 'user_id')) as user_id,
        toUUIDOrNull(JSONExtractString(record, 'event_id')) as event_id,
        parseDateTime64BestEffortOrNull(JSONExtractString(record, 'event_timestamp'), 6) as event_timestamp,
        JSONExtract(record, 'event_type', 'Nullable(String)') as event_type,
        JSONExtract(record, 'product_id', 'Nullable(String)') as product_id,
        JSONExtract(record, 'properties', 'Map(String, String)') as properties
    from (select _path as filename, arrayJoin(JSONExtractArrayRaw(body)) as record from {OBJECTS} where isValidJSON(body))"""
PASSES = """isNotNull(user_id) and isNotNull(event_id) and isNotNull(event_timestamp)
    and event_type in ('page_view', 'purchase') and JSONHas(record, 'properties')"""
ZSTD = "settings output_format_parquet_compression_method = 'zstd'"

chdb.query(
    f"""insert into function file('{out}/rows.parquet', 'Parquet')
    select toString(user_id) as user_id, toString(event_id) as event_id, event_timestamp, event_type, product_id, properties
    from ({RECORDS}) where {PASSES} {ZSTD}"""
)
chdb.query(
    f"""insert into function file('{out}/dead_letters.parquet', 'Parquet')
    select 'invalid_schema' as reason, filename, record as raw from ({RECORDS}) where not coalesce({PASSES}, 0)
    union all select 'corrupted_batch', _path, body from {OBJECTS} where not isValidJSON(body) {ZSTD}"""
)
rows, dead = [
    str(chdb.query(f"select count() from file('{out}/{name}.parquet')", "CSV")).strip() for name in ["rows", "dead_letters"]
]
print(f'{{"rows": {rows}, "dead_letters": {dead}}}')
