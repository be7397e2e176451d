#!/usr/bin/env python3
"""Measures Sluice and other programs on the same work, in the same run, and prints one table for each workload.

usage: dev/bench/run.py [--runs 3] [--peers duckdb,polars,chdb | --peers none] [--workload small|large]

The producer writes each workload to a folder once. Each program then reads it from there RUNS times, as a whole process and in turns, so that
a slow moment of the machine affects all of them. The table shows the median of the wall seconds, and CPU seconds and peak memory of that run.
Peers are installed from PyPI into target/bench/venv. Run it with `make bench`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "target" / "bench"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORKLOADS = {"small": (2000, 100), "large": (40, 20000)}
PEERS = {"duckdb": "duckdb==1.5.5", "polars": "polars", "chdb": "chdb"}


def main() -> None:
    options = arguments()
    HOME.mkdir(parents=True, exist_ok=True)
    for name in options.workloads:
        raw = landed(name)
        size = sum(file.stat().st_size for file in raw.rglob("*.json"))
        records = count_records(name, raw)
        measured = measure(name, raw, options)
        print(table(name, size, records, measured), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--workload", choices=WORKLOADS)
    options = parser.parse_args()
    options.workloads = [options.workload] if options.workload else list(WORKLOADS)
    options.peers = [peer for peer in options.peers.split(",") if peer != "none"]
    unknown = [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown peers {unknown}; use {list(PEERS)}")
    return options


def landed(name: str) -> Path:
    """The workload's raw objects, always the same bytes."""
    raw = HOME / name / "raw" / "events"
    if not raw.exists():
        batches, size = WORKLOADS[name]
        command = [TARGET / "release" / "producer", "--stream", "events", "--interval", "0s", "--seed", "1"]
        command += ["--batches", str(batches), "--batch-size", str(size)]
        environment = {**os.environ, "LAKE_URL": f"file://{HOME / name}"}
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL, cwd=HOME)
    return raw


def count_records(name: str, raw: Path) -> int:
    batches, size = WORKLOADS[name]
    assert sum(1 for _ in raw.rglob("*.json")) == batches, f"delete {raw} and run again"
    return batches * size


def measure(name: str, raw: Path, options: argparse.Namespace) -> dict[str, list[dict]]:
    programs = {"sluice": lambda out: sluice(name, out)}
    python = peers_python(options.peers)
    for peer in options.peers:
        script = ROOT / "dev" / "bench" / "peers" / f"with_{peer}.py"
        programs[peer] = lambda out, script=script: [python, str(script), str(raw), str(out)]
    results: dict[str, list[dict]] = {program: [] for program in programs}
    for _ in range(options.runs):
        for program, command in programs.items():
            out = HOME / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            results[program].append(timed(command(out)))
    return results


def sluice(name: str, out: Path) -> list[str]:
    consumer = str(TARGET / "release" / "consumer")
    flags = ["--lake-url", f"file://{out}", "--raw-url", f"file://{HOME / name / 'raw'}"]
    return [consumer, "run", "--stream", "events", "--once", "--streams-dir", str(ROOT / "streams"), *flags]


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


def timed(command: list[str]) -> dict:
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HOME, text=True)
    # The programs print little, so their output fits in the pipes, which are read only after they end.
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    said, reported = child.stdout.read(), child.stderr.read()
    if status != 0:
        sys.exit(f"{command[0]} failed: {reported[-2000:]}")
    counts = json.loads(said.splitlines()[-1]) if said.strip() else {}
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024, **counts}


def table(name: str, size: int, records: int, measured: dict[str, list[dict]]) -> str:
    batches, per_batch = WORKLOADS[name]
    lines = [f"\n{name}: {batches} objects of {per_batch} events, {size / 1e6:.0f} MB\n"]
    lines.append("| program | wall s | to Sluice | records/s | MB/s | CPU s | peak RSS MB |")
    lines.append("|---|---|---|---|---|---|---|")
    base = statistics.median(run["wall"] for run in measured["sluice"])
    for program, runs in measured.items():
        wall = statistics.median(run["wall"] for run in runs)
        run = min(runs, key=lambda run: abs(run["wall"] - wall))
        lines.append(
            f"| {program} | {wall:.2f} | {wall / base:.1f}× | {records / wall:,.0f} | {size / 1e6 / wall:.0f} "
            f"| {run['cpu']:.2f} | {run['rss']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
