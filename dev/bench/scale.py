#!/usr/bin/env python3
"""Measures what a consumer costs when one thing grows: objects, bytes of one object, known inputs, fields, bad records, cores.

usage: dev/bench/scale.py [--only objects,bytes,known,fields,bad,cores] [--full]

Each case is a whole process that starts on a new lake in a folder and drains it, once. A second run with the ledger and the files on local-s3
counts the requests. --full adds the largest cases, which take half an hour and 40 GB of disk. Run it with `make bench-scale`.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from workloads import HOME, PROGRAMS, Server, consumer, landed, new_folder, timed

PLACE = HOME / "scale"
# As many names as a file system allows for one file, with room to spare.
LINKS_MAX = 50_000


class Case:
    """One line of a table: what grows, how large it is, how many units that are, and where the raw objects are."""

    def __init__(self, label: str, units: float, raw: Path, streams: Path | None = None, cores: str = "", lake: Path | None = None) -> None:
        self.label, self.units, self.raw, self.streams, self.cores, self.lake = label, units, raw, streams, cores, lake


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(TABLES))
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    for name in options.only.split(","):
        unit, cases = TABLES[name]
        print(f"\n| {name} | wall s | µs for each {unit} | user s | system s | peak RSS MB | requests |\n|---|---|---|---|---|---|---|")
        for case in cases(options.full):
            print(line(case), flush=True)
    shutil.rmtree(PLACE, ignore_errors=True)


def line(case: Case) -> str:
    run = drain(case, f"file://{case.lake or new_folder()}", None)
    requests = "" if case.lake else f"{counted(case):,}"
    return (
        f"| {case.label} | {run['wall']:.2f} | {run['wall'] / case.units * 1e6:,.2f} | {run['user']:.2f} | {run['system']:.2f} "
        f"| {run['rss']:.0f} | {requests} |"
    )


def drain(case: Case, lake: str, environment: dict[str, str] | None) -> dict[str, float]:
    command = consumer(lake, f"file://{case.raw}", case.streams)
    return timed(["taskset", "-c", case.cores, *command] if case.cores else command, environment)[0]


def counted(case: Case) -> int:
    """The requests for the ledger and the files of a drain; the raw objects are in a folder."""
    root = HOME / "scale-s3"
    shutil.rmtree(root, ignore_errors=True)
    with Server(root) as server:
        drain(case, f"s3://{server.bucket}", server.environment)
    shutil.rmtree(root)
    return server.requests


def folder() -> Path:
    """A new folder for raw objects."""
    place = PLACE / str(sum(1 for _ in PLACE.glob("*"))) / "raw" / "events"
    place.mkdir(parents=True)
    return place


def by_objects(full: bool) -> Iterator[Case]:
    [record, *_] = json.loads(next(landed("tiny").rglob("*.json")).read_bytes())
    for count in [1_000, 10_000, 100_000] + [1_000_000] * full:
        place = folder()
        for number in range(count):
            name = place / f"{number // 1_000:04}" / f"{number:07}.json"
            if number % 1_000 == 0:
                name.parent.mkdir()
            if number % LINKS_MAX == 0:
                name.write_text(json.dumps([record]))
                first = name
            else:
                os.link(first, name)
        yield Case(f"{count:,}", count, place.parent)


def by_bytes(full: bool) -> Iterator[Case]:
    streams = definition(json.loads((ROOT_STREAMS / "events.schema.json").read_text()))
    records = [json.dumps(record) for record in events()]
    block = ("\n".join(records) + "\n").encode()
    for megabytes in [1, 10, 100, 1_000] + [10_000] * full:
        place = folder()
        with open(place / "one.ndjson", "wb") as file:
            for _ in range(max(1, round(megabytes * 1e6 / len(block)))):
                file.write(block)
        yield Case(f"{megabytes:,} MB", megabytes, place.parent, streams)


def by_known(full: bool) -> Iterator[Case]:
    for count in [10_000, 100_000, 1_000_000] + [10_000_000] * full:
        lake = PLACE / f"known-{count}"
        subprocess.run([PROGRAMS / "known", str(lake), str(count), "by-time"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (lake / "raw" / "events").mkdir(parents=True, exist_ok=True)
        shutil.copy(next(landed("tiny").rglob("*.json")), lake / "raw" / "events" / "zzz.json")
        yield Case(f"{count:,}", count, lake / "raw", lake=lake)


def by_fields(_: bool) -> Iterator[Case]:
    for fields in [10, 100, 500, 1_000, 2_000]:
        names = [f"field_{number:04}" for number in range(fields)]
        kinds = ["string", "integer", "number", "boolean"]
        properties = {name: {"type": kinds[number % 4]} for number, name in enumerate(names)}
        streams = definition({"type": "object", "properties": properties, "additionalProperties": False})
        values = ["a text of some length", 123456, 1.25, True]
        record = json.dumps({name: values[number % 4] for number, name in enumerate(names)})
        records = max(1, round(50e6 / len(record)))
        place = folder()
        (place / "one.ndjson").write_text((record + "\n") * records)
        yield Case(f"{fields:,}", records * fields, place.parent, streams)


def by_bad(_: bool) -> Iterator[Case]:
    streams = definition(json.loads((ROOT_STREAMS / "events.schema.json").read_text()))
    records = [json.dumps(record) for record in events()]
    broken = [record.replace("{", '{"no such field": 1, ', 1) for record in records]
    for percent in [0, 1, 10, 50, 100]:
        place = folder()
        mixed = [bad if number % 100 < percent else good for number, (good, bad) in enumerate(zip(records, broken))]
        for number in range(20):
            (place / f"{number:02}.ndjson").write_text("\n".join(mixed) + "\n")
        yield Case(f"{percent} %", 20 * len(records), place.parent, streams)


def by_cores(_: bool) -> Iterator[Case]:
    for name in ["small", "large"]:
        for cores in ["0", "0,1"]:
            yield Case(f"{name}, {len(cores.split(','))}", 1, landed(name).parent, cores=cores)


def events() -> list[dict]:
    """Valid events of the producer, 20,000 of them."""
    good: list[dict] = []
    for file in sorted(landed("large").rglob("*.json")):
        text = file.read_bytes()
        if text.startswith(b"[") and text.rstrip().endswith(b"]"):
            good += [record for record in json.loads(text) if valid(record)]
        if len(good) >= 20_000:
            break
    return good[:20_000]


def valid(record: object) -> bool:
    schema = json.loads((ROOT_STREAMS / "events.schema.json").read_text())
    required, properties = schema.get("required", []), schema["properties"]
    return isinstance(record, dict) and set(required) <= set(record) and set(record) <= set(properties)


def definition(schema: dict) -> Path:
    """A stream of lines with this schema."""
    streams = PLACE / f"streams-{sum(1 for _ in PLACE.glob('*'))}"
    streams.mkdir(parents=True)
    (streams / "events.toml").write_text('[source]\nformat = "ndjson"\n[limits]\nobject_bytes = "20GiB"\n')
    (streams / "events.schema.json").write_text(json.dumps(schema))
    return streams


ROOT_STREAMS = Path(__file__).resolve().parent.parent.parent / "streams"
TABLES: dict[str, tuple[str, Callable[[bool], Iterator[Case]]]] = {
    "objects": ("object", by_objects),
    "bytes": ("MB", by_bytes),
    "known": ("known input", by_known),
    "fields": ("value", by_fields),
    "bad": ("record", by_bad),
    "cores": ("run", by_cores),
}

if __name__ == "__main__":
    main()
