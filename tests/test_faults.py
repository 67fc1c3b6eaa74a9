"""The faults of SECURITY 4 as a client and an operator meet them: in a process of its own whose database really is
gone, and which nobody restarts."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.load.services import HOST, PostgreSQL, running
from tests.load.small_project import SDKAPPID, SECRET_KEY
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY, USERSIG
from usersig_django.models import Application, SigningKey
from usersig_django.signing import HmacSha256Signer
from usersig_django.views import UserSigView

URL = "/api/usersig/"
ROOM_URL = "/api/usersig/private-map-key/"
UNAVAILABLE = {"code": "signing_unavailable", "detail": "Nothing can be issued at this moment. Try again later."}
IN_SETTINGS = {"APPLICATIONS": {"default": {"SDKAPPID": TEST_SDKAPPID, "SECRET_KEY": TEST_SECRET_KEY}}}
# Where the database is asked: how the caller signs in, what is asked for, and the settings that matter.
PLACES = {
    "session": ("session", URL, IN_SETTINGS),
    "token": ("token", URL, IN_SETTINGS),
    "resolver": ("header", URL, {**IN_SETTINGS, "USERID_RESOLVER": "tests.load.small_project.resolver"}),
    "policy": ("header", ROOM_URL, {**IN_SETTINGS, "ROOM_POLICY": "tests.load.small_project.room_policy"}),
    "record": ("header", URL, {"ENVIRONMENT": "recorded", "CACHE_SECONDS": 0}),
    "audit": ("header", URL, {**IN_SETTINGS, "AUDIT_TO_DATABASE": True}),
}


class Project:
    """`tests.load.small_project`, running."""

    def __init__(self, database, folder):
        self._log_path = folder / "log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.load.small_server", json.dumps(database)],
                cwd=Path(__file__).parents[1],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._process.stdout.readline()
        if not line:
            self.stop()
        assert line, self.log
        said = json.loads(line)
        self._port, self._callers, self._encryption_keys = said["port"], said["callers"], said["encryption_keys"]

    @property
    def log(self):
        return self._log_path.read_text()

    @property
    def errors(self):
        """What our logger said of faults."""
        return re.findall("^ERROR usersig_django .*$", self.log, re.MULTILINE)

    def configure(self, usersig, now=None):
        usersig = {"ENCRYPTION_KEYS": self._encryption_keys, "THROTTLE_RATE": None, **usersig}
        status, _, _ = self._send("/control/", json.dumps({"USERSIG": usersig, "NOW": now}), {})
        assert status == 204

    def ask(self, caller="header", url=URL):
        """Status, headers and body."""
        body = '{"room_id": 10000}' if url == ROOM_URL else ""
        status, headers, content = self._send(url, body, self._callers[caller])
        assert headers["Content-Type"] == "application/json", content
        return status, headers, json.loads(content)

    def _send(self, url, body, headers):
        connection = HTTPConnection(HOST, self._port, timeout=30)
        connection.request("POST", url, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers, content

    def stop(self):
        self._process.kill()
        self._process.communicate()


def assert_unavailable(answer):
    status, headers, body = answer
    assert (status, body) == (503, UNAVAILABLE)
    assert headers["Retry-After"] == "5"
    assert headers["Cache-Control"] == "no-store"


@pytest.fixture(scope="module", params=[False, True], ids=["", "ATOMIC_REQUESTS"])
def project(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "database").mkdir()
    project = Project(
        {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "database/db.sqlite3"),
            "ATOMIC_REQUESTS": request.param,
            "OPTIONS": {"timeout": 0},
        },
        folder,
    )
    project.database = folder / "database"
    yield project
    project.stop()


@contextmanager
def gone(folder):
    """The database cannot be opened."""
    away = folder.with_name("away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextmanager
def locked(folder):
    """The database can be opened, and nothing read from it."""
    connection = sqlite3.connect(folder / "db.sqlite3", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def empty(folder):
    """The database is there, its tables are not."""
    with gone(folder):
        folder.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(folder)


@pytest.mark.parametrize("fault", [gone, locked, empty])
@pytest.mark.parametrize("place", PLACES)
def test_database__down(project, place, fault):
    """503 wherever it is asked, one error in the log, and no restart before the next answer."""
    caller, url, usersig = PLACES[place]
    project.configure(usersig)
    assert project.ask(caller, url)[0] == 200
    before = len(project.errors)
    with fault(project.database):
        assert_unavailable(project.ask(caller, url))
    [error] = project.errors[before:]
    assert error.startswith("ERROR usersig_django Nothing can be issued: OperationalError: ")
    assert project.ask(caller, url)[0] == 200
    assert "Traceback" not in project.log


def test_database__down_where_nothing_asks_it(project):
    project.configure(IN_SETTINGS)
    with gone(project.database):
        assert project.ask("header")[0] == 200


def test_record__signs_until_the_cache_ends(project):
    """A record that was read keeps signing for CACHE_SECONDS, and not longer."""
    project.configure({"ENVIRONMENT": "recorded", "CACHE_SECONDS": 1})
    read_from = time.monotonic()
    status, _, body = project.ask()
    read_until = time.monotonic()
    assert status == 200
    with gone(project.database):
        while (answer := project.ask())[0] == 200:
            signed = time.monotonic()
            assert signed < read_until + 5
        refused = time.monotonic()
        assert_unavailable(answer)
    assert refused > read_from + 1
    assert signed < read_until + 1.5
    assert body["sdkappid"] == SDKAPPID
    status, _, body = project.ask()
    assert status == 200
    assert HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY).verify(body["usersig"], userid="1")


@pytest.mark.parametrize("url", [URL, ROOM_URL])
def test_clock__before_2020(project, url):
    """One second decides; the clock is read at each request."""
    usersig = {**IN_SETTINGS, "ROOM_POLICY": "tests.load.small_project.room_policy"}
    before = len(project.errors)
    project.configure(usersig, now=1_577_836_799.9)
    assert_unavailable(project.ask(url=url))
    [error] = project.errors[before:]
    assert "The clock is before 2020-01-01" in error
    project.configure(usersig, now=1_577_836_800)
    status, _, body = project.ask(url=url)
    assert (status, body["issued_at"]) == (200, "2020-01-01T00:00:00Z")


@pytest.mark.services
@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_postgresql__stops_and_starts(place, atomic, tmp_path):
    """A persistent connection breaks under a request; then nobody listens; then it is there again."""
    caller, url, usersig = PLACES[place]
    with running(PostgreSQL) as postgresql:
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": HOST,
            "PORT": postgresql.port,
            "USER": "postgres",
            "NAME": "postgres",
            "ATOMIC_REQUESTS": atomic,
            "CONN_MAX_AGE": 600,
        }
        project = Project(database, tmp_path)
        try:
            project.configure(usersig)
            assert project.ask(caller, url)[0] == 200
            postgresql.stop()
            for _ in range(2):
                assert_unavailable(project.ask(caller, url))
            postgresql.start()
            assert project.ask(caller, url)[0] == 200
            postgresql.stop()
            postgresql.start()
            # The broken connection is found by the request that uses it, and thrown away with it.
            assert_unavailable(project.ask(caller, url))
            assert project.ask(caller, url)[0] == 200
            assert "Traceback" not in project.log
        finally:
            project.stop()


@pytest.fixture
def record(settings, db):
    """The application that is served, with its active key, and another that never may be."""
    settings.USERSIG = {"ENVIRONMENT": "live", "ENCRYPTION_KEYS": USERSIG["ENCRYPTION_KEYS"], "CACHE_SECONDS": 0}
    for environment, sdkappid, secret in (("other", 1400000099, "0" * 64), ("live", SDKAPPID, SECRET_KEY)):
        application = Application.objects.create(environment=environment, sdkappid=sdkappid)
        key = SigningKey(application=application, secret=secret)
        key.save()
        application.activate(key)
    return application


@pytest.fixture
def client(db):
    client = Client()
    client.force_login(User.objects.create(username="alice"))
    return client


def get_ciphertext(key):
    return SigningKey.objects.filter(pk=key.pk).values_list("secret", flat=True).get()


def rename(record, settings):
    record.environment = "elsewhere"
    record.save()


def disable(record, settings):
    record.is_active = False
    record.save()


def retire(record, settings):
    record.retire(record.active_key)


def lose_encryption_key(record, settings):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}


def break_encryption_key(record, settings):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": ["no key"]}


def flip_a_bit(record, settings):
    ciphertext = get_ciphertext(record.active_key)
    flipped = ciphertext[:40] + ("A" if ciphertext[40] != "A" else "B") + ciphertext[41:]
    SigningKey.objects.filter(pk=record.active_key_id).update(secret=flipped)


def move_from_another_row(record, settings):
    other = SigningKey.objects.get(application__environment="other")
    SigningKey.objects.filter(pk=record.active_key_id).update(secret=get_ciphertext(other))


UNREADABLE = [lose_encryption_key, break_encryption_key, flip_a_bit, move_from_another_row]


@pytest.mark.parametrize("fault", [rename, disable, retire, *UNREADABLE])
def test_record__cannot_sign(record, client, settings, fault, caplog):
    """503, one error in the log, the row named where there is one; never another environment's key."""
    assert client.post(URL).json()["sdkappid"] == SDKAPPID
    fault(record, settings)
    response = client.post(URL)
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)
    assert response["Retry-After"] == "5"
    assert response["Cache-Control"] == "no-store"
    [error] = [entry for entry in caplog.records if entry.name == "usersig_django"]
    assert error.levelname == "ERROR"
    if fault is disable:
        assert f"row {record.pk})" in error.getMessage()
    elif fault in UNREADABLE:
        assert f"signing key row {record.active_key_id})" in error.getMessage()
    assert SECRET_KEY[:8] not in caplog.text


def test_record__recovers(record, client, settings):
    """The key that opens it is enough."""
    usersig = settings.USERSIG
    lose_encryption_key(record, settings)
    assert client.post(URL).status_code == 503
    settings.USERSIG = usersig
    assert client.post(URL).json()["sdkappid"] == SDKAPPID


def test_identity__never_crosses_threads(db):
    """1,000 requests of 200 users in 32 threads that take turns in the middle of everything."""
    view = UserSigView.as_view()
    signer = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)

    def ask(number):
        pk = 1 + number % 200
        request = APIRequestFactory().post(URL, {"expire": 60 + pk}, format="json")
        force_authenticate(request, User(pk=pk))
        body = json.loads(view(request).render().content)
        claims = signer.verify(body["usersig"], userid=body["userid"])
        return (body["userid"], body["expire"], claims.expire) == (str(pk), 60 + pk, 60 + pk)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(ask, range(1000)))
    finally:
        sys.setswitchinterval(interval)
