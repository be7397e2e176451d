#!/usr/bin/env python3
"""Measures a consumer on an S3 server that takes its time, and on a folder with the same objects.

usage: dev/bench/s3.py [--runs 3] [--workload small|tiny] [--delays 0,10,30]

The server is local-s3 on the same machine, with a delay before each answer: AWS takes about 30 ms to the first byte. Each run is a whole
process that starts on a new lake and drains it. The table shows medians. Run it with `make bench`.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
from pathlib import Path

from workloads import HOME, PROGRAMS, WORKLOADS, consumer, land, landed, new_folder, timed

BUCKET = "lake"


class Server:
    """A local-s3 whose every answer takes this many milliseconds longer."""

    def __init__(self, root: Path, delay: int) -> None:
        plan = HOME / "delay.json"
        faults = [{"kind": {"latency": {"at_least": f"{delay}ms"}}}] if delay else []
        plan.write_text(json.dumps({"faults": faults}))
        self.environment = {**os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_REGION": "us-east-1"}
        command = [str(PROGRAMS / "local-s3"), "--root", str(root), "--port", "0", "--bucket", BUCKET, "--faults", str(plan)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        self.environment["AWS_ENDPOINT_URL"] = self.process.stdout.readline().strip()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        _, said = self.process.communicate()
        counts = re.search(r"requests=(\{.*?\})", said)
        self.requests = sum(int(count) for count in re.findall(r": (\d+)", counts[1])) if counts else 0


def main() -> None:
    options = arguments()
    HOME.mkdir(parents=True, exist_ok=True)
    for name in options.workloads:
        print(table(name, measure(name, options)), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workload", choices=WORKLOADS)
    parser.add_argument("--delays", default="0,10,30", help="milliseconds")
    options = parser.parse_args()
    options.workloads = [options.workload] if options.workload else ["small", "tiny"]
    options.delays = [int(delay) for delay in options.delays.split(",")]
    return options


def measure(name: str, options: argparse.Namespace) -> dict[str, list[dict]]:
    raw = landed(name)
    results = {"folder": []}
    for _ in range(options.runs):
        out = new_folder()
        results["folder"].append(timed(consumer(f"file://{out}", f"file://{raw.parent}"))[0])
    root = HOME / "s3" / name
    if not root.exists():
        with Server(root, 0) as server:
            land(*WORKLOADS[name], f"s3://{BUCKET}", server.environment)
    for delay in options.delays:
        with Server(root, delay) as server:
            for run in range(options.runs):
                # A new lake each time: the server keeps what earlier runs wrote.
                lake = f"s3://{BUCKET}/{delay}-{run}-{os.getpid()}"
                command = consumer(lake, f"s3://{BUCKET}/raw")
                results.setdefault(f"S3, {delay} ms", []).append(timed(command, server.environment)[0])
    return results


def table(name: str, measured: dict[str, list[dict]]) -> str:
    batches, per_batch = WORKLOADS[name]
    lines = [f"\n{name}: {batches:,} objects of {per_batch} events\n"]
    lines.append("| store | wall s | to the folder | user s | system s | peak RSS MB |")
    lines.append("|---|---|---|---|---|---|")
    base = statistics.median(run["wall"] for run in measured["folder"])
    for store, runs in measured.items():
        wall = statistics.median(run["wall"] for run in runs)
        run = min(runs, key=lambda run: abs(run["wall"] - wall))
        lines.append(f"| {store} | {wall:.2f} | {wall / base:.1f}× | {run['user']:.2f} | {run['system']:.2f} | {run['rss']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
