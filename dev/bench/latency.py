#!/usr/bin/env python3
"""Measures how long it takes from an upload to visible rows, on local-s3, with the default interval, with and without hints.

usage: dev/bench/latency.py [--puts 100] [--seed 1]

Uploads one small object at a time, at random moments, and waits for its commit: the time is from the start of the PUT to the
first answer that shows that the commit is stored. Run it with `make bench-latency`.
"""

import argparse
import datetime
import hashlib
import hmac
import http.client
import json
import random
import shutil
import socket
import statistics
import subprocess
import time
from urllib.parse import quote, urlsplit

from workloads import HOME, PROGRAMS, ROOT, Server

POLL_SECONDS = 0.001
PATIENCE_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--puts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| | median ms | p95 ms | max ms |\n|---|---|---|---|")
    for name, hinted in [("without hints", False), ("with hints", True)]:
        taken = sorted(measure(hinted, options.puts, random.Random(options.seed)))
        p95 = taken[min(len(taken) - 1, round(0.95 * len(taken)))]
        print(f"| {name} | {statistics.median(taken):.0f} | {p95:.0f} | {taken[-1]:.0f} |", flush=True)


def measure(hinted: bool, puts: int, rng: random.Random) -> list[float]:
    """The milliseconds that each upload took."""
    root = HOME / "latency"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    hints = f"127.0.0.1:{free_port()}"
    with Server(root, flags=["--notify", f"http://{hints}/"] if hinted else []) as server:
        command = [PROGRAMS / "consumer", "run", "--stream", "events", "--streams-dir", ROOT / "streams"]
        command += ["--hints", hints] if hinted else []
        environment = {**server.environment, "LAKE_URL": f"s3://{server.bucket}", "RUST_LOG": "warn"}
        consumer = subprocess.Popen(command, env=environment, cwd=root)
        try:
            client = Client(server.environment["AWS_ENDPOINT_URL"])
            # The first one also waits until the consumer has started.
            batch, _ = upload(client, 1, 0)
            taken = []
            for number in range(1, puts + 1):
                time.sleep(rng.uniform(0.3, 0.7))
                batch, seconds = upload(client, batch, number)
                taken.append(seconds * 1000)
            return taken
        finally:
            consumer.terminate()
            consumer.wait()


def upload(client: "Client", batch: int, number: int) -> tuple[int, float]:
    """Uploads an object and waits for its commit, which has this batch's number. Returns the next batch and the seconds."""
    ids = {name: f"0190a0b0-0000-7000-8000-{number:012d}" for name in ["user_id", "event_id"]}
    event = {**ids, "event_timestamp": "2026-11-20T10:00:00Z", "event_type": "page_view", "properties": {}}
    began = time.monotonic()
    client.call("PUT", f"raw/events/{number:06d}.json", json.dumps([event]).encode())
    while client.call("HEAD", f"checkpoints/events/commits/{batch:020d}.json") != 200:
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit(f"batch {batch} is not committed after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return batch + 1, time.monotonic() - began


class Client:
    """Just enough of S3: signed requests over one connection."""

    def __init__(self, endpoint: str) -> None:
        self.host = urlsplit(endpoint).netloc
        self.connection = http.client.HTTPConnection(self.host)

    def call(self, method: str, key: str, body: bytes = b"") -> int:
        path = f"/{Server.bucket}/{quote(key)}"
        self.connection.request(method, path, body, self.signed(method, path, body))
        answer = self.connection.getresponse()
        answer.read()
        if answer.status not in (200, 404):
            raise SystemExit(f"{method} {path} was answered {answer.status}")
        return answer.status

    def signed(self, method: str, path: str, body: bytes) -> dict[str, str]:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": self.host, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{Server.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={Server.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
