import json
import os
import subprocess
import sys
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.load.services import HOST, PostgreSQL, Redis, get_free_port, is_listening, running, wait_for

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "gunicorn": [
        "gunicorn", "tests.load.server:wsgi", "--workers=2", "--threads=8", "--keep-alive=30",
        "--graceful-timeout=5", "--bind",
    ],
    "uvicorn": ["uvicorn", "tests.load.server:asgi", "--workers=2", "--no-access-log", "--host", HOST, "--port"],
}  # fmt: skip


class Server:
    """A real server process on services of its own, as an operator runs it."""

    def __init__(self, kind, postgresql, redis, environment, folder):
        self.postgresql, self.redis = postgresql, redis
        self.port = get_free_port()
        self.wrong_clock = folder / "wrong-clock"
        self._log_path = folder / "server.log"
        self._environment = {
            **environment,
            "CONN_MAX_AGE": "600" if kind == "gunicorn" else "0",
            "WRONG_CLOCK": str(self.wrong_clock),
        }
        address = f"{HOST}:{self.port}" if kind == "gunicorn" else str(self.port)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *COMMANDS[kind], address],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self.answers, kind)

    def answers(self):
        assert self._process.poll() is None, self.log
        if not is_listening(self.port):
            return False
        connection = HTTPConnection(HOST, self.port, timeout=30)
        connection.request("POST", "/api/usersig/")
        status = connection.getresponse().status
        connection.close()
        return status in (401, 403)

    @property
    def log(self):
        return self._log_path.read_text()

    @property
    def workers(self):
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        # uvicorn's resource tracker is a child too, and serves nothing.
        return {int(pid) for pid in children if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def postgresql():
    with running(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def redis():
    with running(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def environment(postgresql, redis):
    """What every process of a run is started with."""
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "tests.load.settings",
        "DATABASE_URL": postgresql.url,
        "CACHE_URL": redis.url,
        "ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "CONN_MAX_AGE": "600",
    }


@pytest.fixture(scope="session")
def prepared(environment):
    """The callers' credentials by UserID, and the keys by fingerprint."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.prepare"], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


@pytest.fixture
def callers(prepared):
    return prepared["callers"]


@pytest.fixture
def keys(prepared):
    return prepared["keys"]


@pytest.fixture(params=COMMANDS)
def server(request, postgresql, redis, environment, prepared, tmp_path):
    for service in (postgresql, redis):
        # A test that failed half way may have left it stopped.
        if not is_listening(service.port):
            service.start()
    server = Server(request.param, postgresql, redis, environment, tmp_path)
    yield server
    server.stop()


@dataclass(frozen=True, slots=True)
class Activation:
    began: float
    done: float
    fingerprint: str


class Rotation:
    """Another process that activates a key every 100 ms."""

    def __init__(self, environment, output):
        self._output = output
        with output.open("wb") as stdout:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.load.rotate"],
                cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=stdout,
            )  # fmt: skip

    @property
    def activations(self):
        """What it did so far, in order."""
        lines = [line.split() for line in self._output.read_text().splitlines()]
        return [Activation(float(began), float(done), fingerprint) for began, done, fingerprint in lines]

    def wait_for_activations(self, number=10):
        wait_for(lambda: len(self.activations) >= number, f"{number} activations")

    def stop(self):
        if self._process.returncode is None:
            self._process.communicate(timeout=30)
        assert self._process.returncode == 0


@pytest.fixture
def rotate(environment, tmp_path):
    rotations = []

    def start():
        rotations.append(Rotation(environment, tmp_path / f"rotation{len(rotations)}"))
        return rotations[-1]

    yield start
    for rotation in rotations:
        rotation.stop()
