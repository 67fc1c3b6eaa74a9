"""A PostgreSQL and a Redis of a test's own, on free ports, so that stopping them hurts nobody else."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HOST = "127.0.0.1"
# initdb and postgres refuse to run as root; Debian's package brings this user.
AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def get_free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def find_program(name: str, *folders: str) -> str:
    """The newest there is. Raises FileNotFoundError: a service that is missing fails the run."""
    found = shutil.which(name)
    versions = sorted(Path("/").glob(f"usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found and not versions:
        raise FileNotFoundError(f"{name} is not installed (Debian: postgresql, redis-server)")
    return found or str(versions[-1])


class PostgreSQL:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = get_free_port()
        self.url = f"postgres://postgres@{HOST}:{self.port}/postgres"
        if AS_POSTGRES:
            shutil.chown(folder, "postgres")
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        # What is written need not outlive the machine, only the server.
        options = (
            f"-c listen_addresses={HOST} -c port={self.port} -c unix_socket_directories= "
            "-c fsync=off -c max_connections=200"
        )
        log = str(self.data / "log")
        self._run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={options}")

    def stop(self) -> None:
        """At once, as in a failure: open connections break."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*AS_POSTGRES, find_program(program), f"--pgdata={self.data}", *arguments]
        subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Redis:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = get_free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [find_program("redis-server"), "--bind", HOST, "--port", str(self.port), "--save", ""]
        self._process = subprocess.Popen([*command, "--dir", str(self.folder)], stdout=subprocess.DEVNULL)
        wait_for(lambda: is_listening(self.port), "Redis")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = None


@contextmanager
def running(service: type[PostgreSQL] | type[Redis]) -> Iterator[PostgreSQL | Redis]:
    with TemporaryDirectory() as folder:
        server = service(Path(folder))
        server.start()
        try:
            yield server
        finally:
            if is_listening(server.port):
                server.stop()
