"""Runs the real programs on a lake of their own, and compares what the reader shows with what was sent.

Knows command lines and the truth file. Knows nothing about servers or what a check is for.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_SECONDS = 120
# A stream of records with an integer `id`, for objects that the producer does not write.
ID_SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}


class Failure(Exception):
    """What should be true is not; the message says what."""


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


class Lake:
    """An empty lake below a prefix of its own, with one stream, `events`."""

    def __init__(self, server, programs: Path, ledger_elsewhere: bool, settings: str = "", format: str = "json_array", schema: dict | None = None) -> None:
        self.server, self.programs = server, programs
        self.prefix = f"lake-{secrets.token_hex(6)}"
        self.folder = server.folder / self.prefix
        self.folder.mkdir(parents=True)
        self.environment = {**server.environment(), "LAKE_URL": f"s3://{server.bucket}/{self.prefix}", "PATH": os.environ.get("PATH", "")}
        self.ledger = self.folder / "checkpoints" if ledger_elsewhere else None
        if self.ledger:
            self.environment["CHECKPOINTS_URL"] = self.ledger.as_uri()
        self.streams = self.folder / "streams"
        self.streams.mkdir()
        (self.streams / "events.toml").write_text(f'[source]\nformat = "{format}"\n{settings}')
        if schema is None:
            shutil.copy(ROOT / "streams" / "events.schema.json", self.streams)
        else:
            (self.streams / "events.schema.json").write_text(json.dumps(schema))

    # --- programs ---

    def spawn(self, program: str, *arguments: str, failpoints: str = "") -> subprocess.Popen:
        """Starts a program with an environment of its own. Its log is appended to a file."""
        environment = {**self.environment, **({"SLUICE_FAILPOINTS": failpoints} if failpoints else {})}
        log = open(self.folder / f"{program}.log", "ab")
        with log:
            return subprocess.Popen(
                [self.programs / program, *arguments],
                env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )

    def run(self, program: str, *arguments: str, expected: int = 0) -> str:
        """Runs a program to its end. Returns its output."""
        child = self.spawn(program, *arguments)
        try:
            said, _ = child.communicate(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Failure(f"{program} {' '.join(arguments)} did not end within {WAIT_SECONDS} s:\n{self.log_tail(program)}") from None
        expect(child.returncode == expected, f"{program} {' '.join(arguments)} ended with {child.returncode}:\n{self.log_tail(program)}")
        return said

    def log_tail(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text(errors="replace")[-1500:]

    def consumer(self, *arguments: str, failpoints: str = "") -> subprocess.Popen:
        return self.spawn("consumer", "run", "--stream", "events", "--streams-dir", str(self.streams), *arguments, failpoints=failpoints)

    def drain(self, expected: int = 0) -> None:
        """Commits everything that has landed."""
        self.run("consumer", "run", "--stream", "events", "--streams-dir", str(self.streams), "--once", expected=expected)

    def producer(self, batches: int, interval: str = "0s", seed: int = 7, extra: Iterable[str] = ()) -> list[str]:
        """The arguments of a producer that sends some corrupt batches and invalid records, and appends the truth about them."""
        truth = str(self.folder / f"truth-{seed}.ndjson")
        sizes = ["--batches", str(batches), "--batch-size", "20", "--interval", interval, "--seed", str(seed)]
        chances = ["--corrupt-batches", "0.2", "--invalid-records", "0.2", "--duplicates", "0.05"]
        return ["--stream", "events", *sizes, *chances, "--truth", truth, *extra]

    def produce(self, batches: int, **options) -> None:
        self.run("producer", *self.producer(batches, **options))

    def status(self) -> dict:
        return json.loads(self.run("consumer", "status", "--stream", "events", "--json"))

    def verify(self) -> dict:
        """Compares the ledger with the store."""
        verified = json.loads(self.run("consumer", "verify", "--stream", "events", "--json"))
        expect(verified["ok"], f"verify: {verified['violations']}")
        return verified

    def sql(self, query: str) -> list[dict]:
        return json.loads(self.run("reader", "--format", "json", "-c", query) or "[]")

    # --- objects, through a client that is not ours ---

    def key(self, name: str) -> str:
        return f"{self.prefix}/raw/events/{name}"

    def land(self, name: str, body: str | bytes, client=None) -> None:
        body = body.encode() if isinstance(body, str) else body
        (client or self.server.client()).put_object(Bucket=self.server.bucket, Key=self.key(name), Body=body)

    def keys(self, folder: str) -> list[str]:
        """What is stored below a folder of the lake."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.server.bucket, Prefix=f"{self.prefix}/{folder}/")
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def has_plan(self) -> bool:
        if self.ledger:
            return any((self.ledger / "events" / "plans").glob("*.json"))
        return bool(self.keys("checkpoints/events/plans"))

    def until(self, is_true, what: str, child: subprocess.Popen | None = None) -> bool:
        """Waits until something is true; False if the process ends before that."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not is_true():
            if child is not None and child.poll() is not None:
                return False
            expect(time.monotonic() < deadline, f"after {WAIT_SECONDS} s, {what} is not true:\n{self.log_tail('consumer')}")
            time.sleep(0.1)
        return True

    # --- what must be true ---

    def assert_ids(self, ids: Iterable[int]) -> None:
        """Each of these ids is one row, and there are only these."""
        found = sorted(row["id"] for row in self.sql("select id from bronze.events"))
        expect(found == sorted(ids), f"{len(found)} rows with the ids {found[:20]}…")

    def assert_truth(self) -> str:
        """Every record that was sent is in its place, exactly once, and nothing else is there. Returns the counts."""
        rows, letters, batches = expected(self.folder.glob("truth-*.ndjson"))
        verified = self.verify()
        found_rows = self.sql("select _source_key, _record_index, event_id from bronze.events")
        found_letters = self.sql("select _source_key, _record_index, _dead_letter_reason, _error_code from dead_letters.events")
        counted = self.sql("select (select count(*) from bronze.events) as rows, (select count(*) from dead_letters.events) as letters")[0]
        expect(counted == {"rows": len(rows), "letters": len(letters)}, f"the reader counts {counted}; sent: {len(rows)} rows, {len(letters)} dead letters")
        expect((verified["rows"], verified["dead_letters"]) == (len(rows), len(letters)), f"verify counts {verified}")
        for row in found_rows:
            place = (row["_source_key"], row["_record_index"])
            expect(rows.pop(place, None) == row["event_id"], f"a row that was not sent, or is there twice: {row}")
        for letter in found_letters:
            reason, codes = letters.pop((letter["_source_key"], letter["_record_index"]), (None, ()))
            as_sent = letter["_dead_letter_reason"] == reason and letter["_error_code"] in codes
            expect(as_sent, f"a dead letter that was not sent, or is there twice: {letter}")
        expect(not rows and not letters, f"lost: {list(rows)[:5]} {list(letters)[:5]}")
        return f"{batches} batches, {len(found_rows)} rows, {len(found_letters)} dead letters"


def expected(files: Iterable[Path]) -> tuple[dict, dict, int]:
    """What truth files say: event ids by place, reasons and codes by place, and the number of objects that are stored."""
    records: dict[str, dict] = {}
    stored = set()
    for file in files:
        for line in map(json.loads, file.read_text().splitlines()):
            if line["state"] == "stored":
                stored.add(line["key"])
            else:
                records[line["key"]] = line
    expect(bool(stored) and stored == records.keys(), f"{len(stored)} objects are stored of {len(records)} sent")
    rows, letters = {}, {}
    for key, sent in records.items():
        if whole := sent.get("dead_letter"):
            letters[key, None] = (whole["reason"], whole["codes"])
        for record in sent.get("records", []):
            if row := record.get("row"):
                rows[key, record["index"]] = row["event_id"]
            else:
                letter = record["dead_letter"]
                letters[key, record["index"]] = (letter["reason"], letter["codes"])
    return rows, letters, len(stored)


def kill(child: subprocess.Popen) -> None:
    """As kill -9 does."""
    child.send_signal(signal.SIGKILL)
    child.communicate()


def stop(child: subprocess.Popen) -> int:
    """As an operator does; returns the exit code."""
    child.terminate()
    child.communicate(timeout=WAIT_SECONDS)
    return child.returncode
