#!/usr/bin/env python3
"""Measures Sluice and other programs on the same work, in the same run, and prints one table for each workload.

usage: dev/bench/run.py [--runs 3] [--peers duckdb,polars,chdb | --peers none] [--workload small|large]

The producer writes each workload to a folder once. Each program then reads it from there RUNS times, as a whole process and in turns, so that
a slow moment of the machine affects all of them. The table shows the median of the wall seconds, and CPU seconds and peak memory of that run.
Peers are installed from PyPI into target/bench/venv. Run it with `make bench`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from workloads import HOME, ROOT, WORKLOADS, consumer, landed, median_run, new_folder, timed

COMPARED = ["small", "large"]
PEERS = {"duckdb": "duckdb==1.5.5", "polars": "polars", "chdb": "chdb"}


def main() -> None:
    options = arguments()
    HOME.mkdir(parents=True, exist_ok=True)
    for name in options.workloads:
        raw = landed(name)
        size = sum(file.stat().st_size for file in raw.rglob("*.json"))
        print(table(name, size, measure(name, raw, options)), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--workload", choices=COMPARED)
    options = parser.parse_args()
    options.workloads = [options.workload] if options.workload else COMPARED
    options.peers = [peer for peer in options.peers.split(",") if peer != "none"]
    unknown = [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown peers {unknown}; use {list(PEERS)}")
    return options


def measure(name: str, raw: Path, options: argparse.Namespace) -> dict[str, list[dict]]:
    programs = {"sluice": lambda out: consumer(f"file://{out}", f"file://{raw.parent}")}
    python = peers_python(options.peers)
    for peer in options.peers:
        script = ROOT / "dev" / "bench" / "peers" / f"with_{peer}.py"
        programs[peer] = lambda out, script=script: [python, str(script), str(raw), str(out)]
    results: dict[str, list[dict]] = {program: [] for program in programs}
    for _ in range(options.runs):
        for program, command in programs.items():
            out = new_folder()
            run, said = timed(command(out))
            results[program].append({**run, **(json.loads(said.splitlines()[-1]) if said.strip() else {})})
    return results


def peers_python(peers: list[str]) -> str:
    if not peers:
        return sys.executable
    venv = HOME / "venv"
    if not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    wanted = [PEERS[peer] for peer in peers]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
    return python


def table(name: str, size: int, measured: dict[str, list[dict]]) -> str:
    batches, per_batch = WORKLOADS[name]
    records = batches * per_batch
    lines = [f"\n{name}: {batches} objects of {per_batch} events, {size / 1e6:.0f} MB\n"]
    lines.append("| program | wall s | to Sluice | records/s | MB/s | user s | system s | peak RSS MB |")
    lines.append("|---|---|---|---|---|---|---|---|")
    base = median_run(measured["sluice"])["wall"]
    for program, run in ((program, median_run(runs)) for program, runs in measured.items()):
        wall = run["wall"]
        lines.append(
            f"| {program} | {wall:.2f} | {wall / base:.1f}× | {records / wall:,.0f} | {size / 1e6 / wall:.0f} "
            f"| {run['user']:.2f} | {run['system']:.2f} | {run['rss']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
