"""Requests a second, end to end: gunicorn with two workers on PostgreSQL, token authentication, and a client that
keeps four requests under way, for half a second to one view and then to the next. It shares the machine."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from benchmarks.measuring import Row, percentiles
from benchmarks.sizes import Size

PART: Final = "server"
DATABASE: Final = "usersig_benchmarks"
PORT: Final = 8731
WORKERS: Final = 2
CLIENTS: Final = 4
SECONDS: Final = 0.5
PATHS: Final = {"POST /api/usersig/": "/api/usersig/", "empty view": "/empty/", "hand-written view": "/hand-written/"}


def measure(size: Size, postgres: str) -> list[Row]:
    """`postgres`: the URL of a server and of somebody who may create a database there."""
    rates: dict[str, list[float]] = {name: [] for name in PATHS}
    with _database(postgres) as url, _gunicorn(url) as token:
        for path in PATHS.values():
            _count_requests(path, token)
        order = list(PATHS)
        for _ in range(size.windows):
            order.reverse()
            for name in order:
                rates[name].append(_count_requests(PATHS[name], token) / SECONDS)
    return [
        _compare("POST /api/usersig/", "empty view", rates),
        _compare("hand-written view", "empty view", rates),
    ]


def _compare(over: str, under: str, rates: dict[str, list[float]]) -> Row:
    ratios = [first / second for first, second in zip(rates[over], rates[under], strict=True)]
    low, high = percentiles(ratios)
    details = {
        name: {"max": max(rates[name]), "median": median(rates[name]), "unit": "requests/s"} for name in (over, under)
    }
    return Row(PART, f"requests a second, {over} / {under}", median(ratios), "x", low, high, details=details)


@contextmanager
def _database(postgres: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield urlsplit(postgres)._replace(path=f"/{DATABASE}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@contextmanager
def _gunicorn(database: str) -> Iterator[str]:
    """A server on this database; gives the token of a user there."""
    environment = os.environ | {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
    django = [sys.executable, "-m", "django"]
    subprocess.run([*django, "migrate", "--verbosity=0"], env=environment, check=True)
    subprocess.run(
        [*django, "createsuperuser", "--noinput", "--username=alice", "--email=a@example.org"],
        env=environment | {"DJANGO_SUPERUSER_PASSWORD": "unused"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    answer = subprocess.run(
        [*django, "drf_create_token", "alice"], env=environment, check=True, capture_output=True, text=True
    )
    token = answer.stdout.split()[2]
    options = [f"--workers={WORKERS}", f"--bind=127.0.0.1:{PORT}", "--log-level=error"]
    application = "django.core.wsgi:get_wsgi_application()"
    with subprocess.Popen([sys.executable, "-m", "gunicorn", *options, application], env=environment) as server:
        try:
            _wait_for_server(token)
            yield token
        finally:
            server.terminate()


def _wait_for_server(token: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return _post("/empty/", token)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _count_requests(path: str, token: str) -> int:
    deadline = time.monotonic() + SECONDS

    def send(_: int) -> int:
        count = 0
        while time.monotonic() < deadline:
            _post(path, token)
            count += 1
        return count

    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(send, range(CLIENTS)))


def _post(path: str, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    connection.request("POST", path, "{}", headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path} answered {response.status}.")
