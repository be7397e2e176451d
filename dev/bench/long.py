#!/usr/bin/env python3
"""Measures the memory that one very long object takes: lines of events, many gigabytes when decompressed.

usage: dev/bench/long.py [--gigabytes 10] [--plain]

The events are the producer's. One block of them is compressed once as a gzip member and repeated, so that the object
itself is small. --plain stores the text uncompressed, which takes that much disk. Run `make build` first.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

from workloads import HOME, PROGRAMS, ROOT, timed

EVENTS_PER_BLOCK = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    lake, streams = HOME / "long", HOME / "long-streams"
    for folder in [lake, streams]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (streams / "events.toml").write_text('[source]\nformat = "ndjson"\n')
    shutil.copy(ROOT / "streams" / "events.schema.json", streams)

    block = events()
    member = block if options.plain else gzip.compress(block, 1)
    blocks = max(1, round(options.gigabytes * 1e9 / len(block)))
    raw = lake / "raw" / "events"
    raw.mkdir(parents=True)
    with open(raw / ("long.ndjson" if options.plain else "long.ndjson.gz"), "wb") as file:
        for _ in range(blocks):
            file.write(member)

    consumer = [str(PROGRAMS / "consumer"), "run", "--stream", "events", "--once"]
    run, _ = timed([*consumer, "--streams-dir", str(streams), "--lake-url", f"file://{lake}"])
    status = [consumer[0], "status", "--stream", "events", "--json", "--lake-url", f"file://{lake}"]
    reported = json.loads(subprocess.run(status, check=True, stdout=subprocess.PIPE, cwd=HOME).stdout)
    files = len(list((lake / "bronze").rglob("*.parquet"))) + len(list((lake / "dead_letters").rglob("*.parquet")))
    text, stored = blocks * len(block), blocks * len(member)
    print(
        f"{text / 1e9:.1f} GB of text in one object of {stored / 1e9:.1f} GB, {reported['records_read']:,} records into {files} files: "
        f"{run['wall']:.0f} s, {text / 1e6 / run['wall']:.0f} MB/s, {run['user'] + run['system']:.0f} CPU s, peak {run['rss']:.0f} MB"
    )
    shutil.rmtree(lake)


def events() -> bytes:
    """A block of the producer's events, one per line."""
    block = HOME / "long-block"
    shutil.rmtree(block, ignore_errors=True)
    command = [PROGRAMS / "producer", "--stream", "events", "--format", "ndjson", "--interval", "0s", "--seed", "1"]
    command += ["--batches", "1", "--batch-size", str(EVENTS_PER_BLOCK), "--corrupt-batches", "0"]
    environment = {**os.environ, "LAKE_URL": f"file://{block}"}
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL, cwd=HOME)
    [file] = [path for path in Path(block).rglob("*.ndjson")]
    return file.read_bytes()


if __name__ == "__main__":
    main()
