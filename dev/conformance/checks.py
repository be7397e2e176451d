"""What is checked on each server: each check is a function of a lake's server that returns what it did, or fails.

Knows what must be true. Invariant: each check works on lakes of its own, so that they can run in any order.
"""

import hashlib
import random
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from programs import ID_SCHEMA, Failure, Lake, expect, kill, stop
from servers import Server, Skipped

# Small batches and short waits, so that a short run commits often.
QUICK = '[batch]\nobjects = 5\n[trigger]\ninterval = "50ms"\n[takeover]\nafter = "2s"\n'
KILLS = 12
RIVALS = 3
# Deaths between any two writes of a batch, in programs that tests have built.
FAILPOINTS = ["plan:created", "write:bronze", "write:dead_letters", "write:done", "commit:assembled", "commit:created"]
MANY = 1_100
LONG_BYTES = 18 << 20


@dataclass
class Setting:
    """What all checks of one server share."""

    server: Server
    programs: Path
    storage_tests: Path
    ledger_elsewhere: bool = False

    def lake(self, settings: str = "", **options) -> Lake:
        return Lake(self.server, self.programs, self.ledger_elsewhere, settings, **options)


class Refused(Exception):
    """The consumer does not use the server for its ledger, and says what to do."""


def conditional_creates(setting: Setting) -> str:
    """A consumer must accept a server that obeys If-None-Match, and refuse any other one with exit code 2."""
    lake = Lake(setting.server, setting.programs, ledger_elsewhere=False, schema=ID_SCHEMA)
    lake.land("1.json", '[{"id": 1}]')
    child = lake.consumer("--once")
    child.communicate(timeout=60)
    said, obeys = lake.log_tail("consumer"), setting.server.obeys_conditions
    if child.returncode == 0:
        expect(obeys is not False, "the consumer accepts a server that ignores If-None-Match")
        lake.assert_ids([1])
        return "accepted"
    words = "ignores conditional creates" in said and "set CHECKPOINTS_URL to a folder" in said
    expect(child.returncode == 2 and words, f"the consumer ended with {child.returncode}:\n{said}")
    expect(obeys is not True, f"the consumer refuses a server that obeys If-None-Match:\n{said}")
    expect(not lake.keys("bronze"), "the consumer wrote rows before it refused the server")
    raise Refused("exit 2 names CHECKPOINTS_URL; the ledger is in a folder from here on")


def storage_layer(setting: Setting) -> str:
    """The tests of the storage layer, with the race of conditional creates, odd keys, pages and uploads in parts."""
    if setting.ledger_elsewhere:
        raise Skipped("they need conditional creates")
    environment = {**setting.server.environment(), "SLUICE_TEST_S3_BUCKET": setting.server.bucket}
    command = [setting.storage_tests, "--ignored", "s3_of_the_environment"]
    done = subprocess.run(command, env=environment, cwd=setting.server.folder, capture_output=True, text=True, timeout=300)
    results = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", done.stdout, re.MULTILINE))
    results = {name.replace("s3_of_the_environment::", ""): result for name, result in results.items()}
    failed = {name for name, result in results.items() if result == "FAILED"}
    known, sometimes = setting.server.differs, setting.server.may_differ
    expect(bool(results), f"no test ran:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    expect(failed <= known.keys() | sometimes.keys(), f"failed: {sorted(failed - known.keys())}\n{done.stdout[-3000:]}")
    expect(failed >= known.keys() & results.keys(), f"no longer differs: {sorted(known.keys() - failed)}")
    return "; ".join([f"{len(results) - len(failed)} tests agree", *(f"differs: {(known | sometimes)[name]}" for name in sorted(failed))])


def end_to_end(setting: Setting) -> str:
    """Producer, consumer, verify and reader, in two formats."""
    done = []
    for format, flags in [("json_array", []), ("ndjson", ["--format", "ndjson", "--compression", "gzip"])]:
        lake = setting.lake(format=format)
        lake.produce(60, extra=flags)
        lake.drain()
        done.append(lake.assert_truth())
    return "; ".join(done)


def rivals(setting: Setting) -> str:
    """Several consumers on one stream while batches land."""
    lake = setting.lake(QUICK)
    consumers = [lake.consumer() for _ in range(RIVALS)]
    try:
        lake.produce(60, interval="100ms")
        lake.until(lambda: lake.status()["objects_pending"] == 0, "everything is committed")
        expect(all(consumer.poll() is None for consumer in consumers), f"a consumer ended:\n{lake.log_tail('consumer')}")
    finally:
        codes = [stop(consumer) for consumer in consumers]
    expect(set(codes) <= {0, 1}, f"exit codes {codes}")
    lake.drain()
    return f"{RIVALS} consumers, {lake.assert_truth()}"


def kills(setting: Setting) -> str:
    """A consumer that is killed at random moments while batches land, and one that dies between any two writes."""
    lake = setting.lake(QUICK)
    moments = random.Random(7)
    producer = lake.spawn("producer", *lake.producer(80, interval="100ms"))
    try:
        done = 0
        while done < KILLS or producer.poll() is None:
            consumer = lake.consumer()
            time.sleep(moments.uniform(0.1, 1.2))
            kill(consumer)
            done += 1
    finally:
        producer.communicate(timeout=60)
    expect(producer.returncode == 0, f"the producer ended with {producer.returncode}:\n{lake.log_tail('producer')}")
    deaths = 0
    for number, failpoint in enumerate(FAILPOINTS):
        lake.produce(3, seed=100 + number)
        consumer = lake.consumer("--once", failpoints=failpoint)
        consumer.communicate(timeout=60)
        deaths += consumer.returncode < 0
    expect(deaths in (0, len(FAILPOINTS)), f"{deaths} of {len(FAILPOINTS)} failpoints were reached")
    lake.drain()
    return f"{done} kills, {deaths or 'no'} deaths at failpoints, {lake.assert_truth()}"


def overwritten(setting: Setting) -> str:
    """An object that is overwritten between listing and reading: its planned version is not read, its new one is, once."""
    lake = setting.lake(schema=ID_SCHEMA)
    lake.land("1.json", '[{"id": 1}]')
    lake.land("2.json", '[{"id": 2}]')
    consumer = lake.consumer("--once", failpoints="plan:created!hang")
    if not lake.until(lake.has_plan, "a batch is planned", consumer):
        raise Skipped("needs programs with failpoints, as tests build them")
    lake.land("1.json", '[{"id": 3}]')
    kill(consumer)
    for _ in range(2):
        lake.drain()
    lake.verify()
    lake.assert_ids([2, 3])
    outcomes = sorted(row["outcome"] for row in lake.sql("select outcome from checkpoints.objects"))
    expect(outcomes == ["changed", "ingested", "ingested"], f"outcomes {outcomes}")
    return "the new version is an input of its own"


ODD_NAMES = [
    "plus+and space.json", "100%25.json", "percent%.json", "a&b<c>\"d'.json", "question?x=1#hash.json", "ä€😀.json", "back\\slash.json",
    "~tilde*star.json", "double//slash.json", "semi;colon,comma.json", "[brackets]{braces}.json", "equals=at@.json", "tab\t.json",
    "dot/./dot.json", "dots/../dots.json", "x" * 200 + ".json",
]  # fmt: skip


def odd_keys(setting: Setting) -> str:
    """Keys with characters that are difficult in URLs, XML and paths, written by another client: what is listed is read."""
    lake, client = setting.lake(schema=ID_SCHEMA), setting.server.client()
    landed, refused = [], []
    for number, name in enumerate(ODD_NAMES):
        try:
            lake.land(name, f'[{{"id": {number}}}]', client)
            landed.append(number)
        except client.exceptions.ClientError:
            refused.append(name)
    lake.drain()
    lake.verify()
    lake.assert_ids(landed)
    return f"{len(landed)} keys" + (f"; the server refuses {refused}" if refused else "")


def many_keys(setting: Setting) -> str:
    """More keys than a page of a listing."""
    lake, client = setting.lake(schema=ID_SCHEMA), setting.server.client()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: lake.land(f"{number}.json", f'[{{"id": {number}}}]', client), range(MANY)))
    lake.drain()
    lake.verify()
    lake.assert_ids(range(MANY))
    return f"{MANY:,} objects"


def long_object(setting: Setting) -> str:
    """An object that can't be read and is too long for one request: it is kept byte for byte."""
    lake, client = setting.lake(schema=ID_SCHEMA), setting.server.client()
    body = b'[{"id": 1}, ' + random.Random(7).randbytes(LONG_BYTES)
    lake.land("long.json", body, client)
    lake.land("short.json", '[{"id": 2}]', client)
    lake.drain()
    lake.verify()
    lake.assert_ids([2])
    copies = lake.keys("dead_letters/events/objects")
    expect(len(copies) == 1, f"copies: {copies}")
    copy = client.get_object(Bucket=setting.server.bucket, Key=copies[0])["Body"].read()
    expect(hashlib.sha256(copy).digest() == hashlib.sha256(body).digest(), f"the copy has {len(copy)} other bytes than the object's {len(body)}")
    return f"{len(body) >> 20} MiB kept"


# In the order of the table; the first decides where the ledger is.
ALL = {
    "conditional creates": conditional_creates,
    "storage layer": storage_layer,
    "end to end": end_to_end,
    "rivals": rivals,
    "kills": kills,
    "overwritten object": overwritten,
    "odd keys": odd_keys,
    "more than a page": many_keys,
    "long corrupt object": long_object,
}


def run(name: str, setting: Setting) -> tuple[str, str]:
    """Runs one check. Returns its result and what there is to say about it."""
    try:
        return "ok", ALL[name](setting)
    except Refused as refused:
        setting.ledger_elsewhere = True
        return "refused as expected", str(refused)
    except Skipped as skipped:
        return "skipped", str(skipped)
    except Failure as failure:
        why = setting.server.fails.get(name)
        return ("fails there", f"{why}; {failure}") if why else ("FAILED", str(failure))
    except Exception as error:  # noqa: BLE001 - any other failure is one of this check, and the others go on
        return "FAILED", f"{type(error).__name__}: {error}"
