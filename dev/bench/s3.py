#!/usr/bin/env python3
"""Measures a consumer on an S3 server that takes its time, and on a folder with the same objects.

usage: dev/bench/s3.py [--runs 3] [--workload small|tiny] [--delays 0,10,30]

The server is local-s3 on the same machine, with a delay before each answer: AWS takes about 30 ms to the first byte. Each run is a whole
process that starts on a new lake and drains it. The table shows medians. Run it with `make bench`.
"""

import argparse
import os

from workloads import HOME, WORKLOADS, Server, consumer, land, landed, median_run, new_folder, timed

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
        with Server(root) as server:
            land(*WORKLOADS[name], f"s3://{Server.bucket}", server.environment)
    for delay in options.delays:
        with Server(root, delay) as server:
            for run in range(options.runs):
                # A new lake each time: the server keeps what earlier runs wrote.
                lake = f"s3://{Server.bucket}/{delay}-{run}-{os.getpid()}"
                command = consumer(lake, f"s3://{Server.bucket}/raw")
                results.setdefault(f"S3, {delay} ms", []).append(timed(command, server.environment)[0])
    return results


def table(name: str, measured: dict[str, list[dict]]) -> str:
    batches, per_batch = WORKLOADS[name]
    lines = [f"\n{name}: {batches:,} objects of {per_batch} events\n"]
    lines.append("| store | wall s | to the folder | user s | system s | peak RSS MB |")
    lines.append("|---|---|---|---|---|---|")
    base = median_run(measured["folder"])["wall"]
    for store, run in ((store, median_run(runs)) for store, runs in measured.items()):
        wall = run["wall"]
        lines.append(f"| {store} | {wall:.2f} | {wall / base:.1f}× | {run['user']:.2f} | {run['system']:.2f} | {run['rss']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
