#!/usr/bin/env python3
"""Compares the consumer with public test suites, and prints the tables of docs/conformance.md.

The JSON Schema Test Suite comes from the source package of `jsonschema` on PyPI, which contains it, or from a folder:

    dev/suites.py [FOLDER]      FOLDER has the suite's `tests`: draft4, draft6, ...

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
    """Downloads the package and unpacks the suite. Returns the folder of its drafts."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", into, PACKAGE]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    archive = next(pathlib.Path(into).glob("jsonschema-*.tar.gz"))
    with tarfile.open(archive) as packed:
        suite = [member for member in packed.getmembers() if "/json/tests/" in member.name]
        packed.extractall(into, suite, filter="data")
    return next(pathlib.Path(into).glob("jsonschema-*/json/tests"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            tests = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else fetch(folder)
        except (subprocess.CalledProcessError, OSError, StopIteration) as error:
            print(f"the suite can't be fetched: {error}", file=sys.stderr)
            return 2
        return subprocess.run(["cargo", "run", "--quiet", "-p", "suites", "--", str(tests)], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
