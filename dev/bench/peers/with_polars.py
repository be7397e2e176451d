"""The work of a Sluice batch in Polars: raw folder in, two Parquet files out.

Polars reads an array as a whole: one record with a field of another type makes a whole object of thousands of records a dead letter, and
the raw text of a bad record in a readable object is lost. So it does less than the others, and almost nothing on large objects.
"""

import sys
from pathlib import Path

import polars as pl

raw, out = sys.argv[1:3]

NAMES = ["user_id", "event_id", "event_timestamp", "event_type", "product_id"]
FIELDS = {name: pl.String for name in NAMES} | {
    "properties": pl.Struct({name: pl.String for name in ["url", "user_agent", "amount", "currency"]})
}
REQUIRED = ["user_id", "event_id", "event_timestamp", "event_type", "properties"]

passed, dead = [], []
for file in Path(raw).rglob("*.json"):
    body = file.read_bytes()
    try:
        records = pl.read_json(body, schema=FIELDS)
    except Exception:
        dead.append({"reason": "corrupted_batch", "filename": str(file), "raw": body.decode("utf8", "replace")})
        continue
    records = records.with_columns(pl.col("event_timestamp").str.to_datetime(strict=False, time_zone="UTC"))
    is_bad = pl.any_horizontal(pl.col(REQUIRED).is_null()) | ~pl.col("event_type").is_in(["page_view", "purchase"])
    bad = records.filter(is_bad.fill_null(True)).height
    passed.append(records.filter(~is_bad.fill_null(True)))
    dead += [{"reason": "invalid_schema", "filename": str(file), "raw": ""}] * bad
rows = pl.concat(passed) if passed else pl.DataFrame(schema=FIELDS)
rows.write_parquet(f"{out}/rows.parquet", compression="zstd")
pl.DataFrame(dead).write_parquet(f"{out}/dead_letters.parquet", compression="zstd")
print(f'{{"rows": {rows.height}, "dead_letters": {len(dead)}}}')
