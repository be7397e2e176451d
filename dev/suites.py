#!/usr/bin/env python3
"""Compares the consumer with public test suites, and prints the tables of docs/conformance.md.

The JSON Schema Test Suite comes from the source package of `jsonschema` on PyPI, which contains it, or from a folder:

    dev/suites.py [FOLDER]      FOLDER has the suite's `tests` and `remotes`

Needs Python 3 with pip, and cargo. Exit code 0 if all agrees or differs for a known reason, 1 if not, 2 if it can't run.
"""

import pathlib
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "jsonschema==4.26.0"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def fetch(into):
    """Downloads the package and unpacks the suite. Returns its folder."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", into, PACKAGE]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    archive = next(pathlib.Path(into).glob("jsonschema-*.tar.gz"))
    with tarfile.open(archive) as packed:
        suite = [member for member in packed.getmembers() if "/json/" in member.name]
        packed.extractall(into, suite, filter="data")
    return next(pathlib.Path(into).glob("jsonschema-*/json"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            suite = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else fetch(folder)
            schemas = pathlib.Path(folder) / "schemas"
            schemas.mkdir()
            # The suite's schemas call this host; in a folder of schemas, a host is a folder.
            (schemas / "localhost:1234").symlink_to(suite / "remotes")
        except (subprocess.CalledProcessError, OSError, StopIteration) as error:
            print(f"the suite can't be fetched: {error}", file=sys.stderr)
            return 2
        return subprocess.run(["cargo", "run", "--quiet", "-p", "suites", "--", suite / "tests", schemas], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
