"""What the benchmarks share: the producer's workloads as files on this machine, and how a whole program is timed."""

import atexit
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "target" / "bench"
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

OUTPUT: list[Path] = []

# name -> how many objects of how many events
WORKLOADS = {"small": (2000, 100), "large": (40, 20000), "tiny": (20000, 10)}


def landed(name: str) -> Path:
    """The workload's raw objects, always the same bytes."""
    raw = HOME / name / "raw" / "events"
    batches, size = WORKLOADS[name]
    if not raw.exists():
        land(batches, size, f"file://{HOME / name}", dict(os.environ))
    found = sum(1 for _ in raw.rglob("*.json"))
    assert found == batches, f"delete {raw} and run again"
    return raw


def land(batches: int, size: int, lake_url: str, environment: dict[str, str]) -> None:
    """Lets the producer write this many objects of this many events, one batch in ten corrupt, one record in ten invalid."""
    HOME.mkdir(parents=True, exist_ok=True)
    command = [PROGRAMS / "producer", "--stream", "events", "--interval", "0s", "--seed", "1"]
    command += ["--batches", str(batches), "--batch-size", str(size)]
    subprocess.run(command, check=True, env={**environment, "LAKE_URL": lake_url}, stderr=subprocess.DEVNULL, cwd=HOME)


def new_folder() -> Path:
    """A folder for a program's output. All of them are deleted at the end of this program, not between runs: for a minute, ext4 passes
    over the inodes of deleted files one by one, which slows down whoever creates files."""
    out = HOME / "out"
    if not OUTPUT:
        shutil.rmtree(out, ignore_errors=True)
        atexit.register(shutil.rmtree, out, ignore_errors=True)
    OUTPUT.append(out / str(len(OUTPUT)))
    OUTPUT[-1].mkdir(parents=True)
    return OUTPUT[-1]


def consumer(lake_url: str, raw_url: str, streams: Path | None = None) -> list[str]:
    """The command that consumes all that has landed at `raw_url` into the lake, as the project's or these streams say."""
    flags = ["--streams-dir", str(streams or ROOT / "streams"), "--lake-url", lake_url, "--raw-url", raw_url]
    return [str(PROGRAMS / "consumer"), "run", "--stream", "events", "--once", *flags]


# Starts a program from a small process: the peak memory of a child begins with that of the process that it was started from.
STARTER = """
import json, os, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - began
with open(sys.argv[1], "w") as file:
    json.dump({"wall": wall, "user": usage.ru_utime, "system": usage.ru_stime, "rss": usage.ru_maxrss / 1024}, file)
sys.exit(min(255, abs(os.waitstatus_to_exitcode(status))))
"""


def timed(command: list[str], environment: dict[str, str] | None = None) -> tuple[dict[str, float], str]:
    """Runs a program to its end. Returns wall, user and system seconds and the peak memory in MB, and what it printed."""
    figures = HOME / "figures.json"
    started = [sys.executable, "-S", "-c", STARTER, str(figures), *command]
    run = subprocess.run(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HOME, text=True, env=environment)
    if run.returncode != 0:
        sys.exit(f"{command[0]} failed: {run.stderr[-2000:]}")
    return json.loads(figures.read_text()), run.stdout


def median_run(runs: list[dict]) -> dict:
    """The run whose wall seconds are nearest to the median of them, with that median as its wall seconds."""
    wall = statistics.median(run["wall"] for run in runs)
    return {**min(runs, key=lambda run: abs(run["wall"] - wall)), "wall": wall}


class Server:
    """A local-s3 with one bucket, whose every answer takes this many milliseconds longer. `environment` is for its clients."""

    bucket, access_key, secret_key = "lake", "bench", "bench-secret"

    def __init__(self, root: Path, delay: int = 0, flags: list[str] | None = None) -> None:
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": "us-east-1"}
        self.environment = {**os.environ, **keys}
        command = [str(PROGRAMS / "local-s3"), "--root", str(root), "--port", "0", "--bucket", self.bucket, *(flags or [])]
        if delay:
            plan = HOME / "delay.json"
            plan.write_text(json.dumps({"faults": [{"kind": {"latency": {"at_least": f"{delay}ms"}}}]}))
            command += ["--faults", str(plan)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        self.environment["AWS_ENDPOINT_URL"] = self.process.stdout.readline().strip()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it, and counts the `requests` that it has answered."""
        self.process.terminate()
        _, said = self.process.communicate()
        counts = re.search(r"requests=(\{.*?\})", said)
        self.requests = sum(int(count) for count in re.findall(r": (\d+)", counts[1])) if counts else 0
