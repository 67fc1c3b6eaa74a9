"""Rotations that meet: two connections, two processes, and readers in between."""

import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection, connections

from tests.records import KEY, OTHER_KEY, SDKAPPID, make_application, make_key
from usersig_django import applications
from usersig_django.exceptions import UserSigError
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import Application, SigningKey
from usersig_django.signing import HmacSha256Signer

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("shared_database")]


@pytest.fixture
def shared_database(tmp_path):
    """A database that several connections can wait for: the memory of a SQLite test has only one."""
    if connection.vendor != "sqlite":
        yield
        return
    memory, name = connection.connection, connection.settings_dict["NAME"]
    connection.connection = None
    connection.settings_dict["NAME"] = str(tmp_path / "shared.sqlite3")
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        connection.connection, connection.settings_dict["NAME"] = memory, name


def in_threads(*acts):
    """Run each in its own thread and connection; what each gave, or the error it raised."""
    start = threading.Barrier(len(acts))

    def run(act):
        start.wait()
        try:
            return act()
        except UserSigError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


@pytest.fixture
def application(shared_database):
    return make_application()


def fetch(key):
    return SigningKey.objects.select_related("application").get(pk=key.pk)


def assert_whole():
    """The active key is the application's own, not retired, has its time, and its fingerprint is its own."""
    application = Application.objects.select_related("active_key").get()
    key = application.active_key
    if key is not None:
        assert key.application_id == application.pk
        assert key.retired_at is None
        assert key.activated_at is not None
        assert key.fingerprint == key.signer_fingerprint()
    return application


def test_activations__that_meet_leave_one_state_and_two_audit_lines(application, caplog):
    caplog.set_level(logging.INFO, "usersig_django.audit")
    keys = [make_key(application), make_key(application, OTHER_KEY)]
    for _ in range(5):
        caplog.clear()
        in_threads(*(fetch(key).activate for key in keys))
        assert assert_whole().active_key in keys
        assert len([record for record in caplog.records if "key activate" in record.getMessage()]) == 2


def test_activation__that_meets_a_retirement_never_leaves_a_retired_key_active(application):
    for turn in range(8):
        key = make_key(application, f"{turn:032x}")
        gave = in_threads(fetch(key).activate, fetch(key).retire)
        assert_whole()
        assert fetch(key).retired_at is not None
        assert gave[1] is True


def test_activations__of_one_key_change_it_once(application):
    key = make_key(application)
    assert sorted(in_threads(*[fetch(key).activate for _ in range(4)])) == [False, False, False, True]


def test_answers__under_rotation_are_of_one_key_or_the_other(application, settings):
    settings.USERSIG = {**settings.USERSIG, "CACHE_SECONDS": 0}
    keys = {KEY: make_key(application, KEY, active=True), OTHER_KEY: make_key(application, OTHER_KEY)}
    signers = {key.fingerprint: HmacSha256Signer(sdkappid=SDKAPPID, secret_key=secret) for secret, key in keys.items()}
    done = threading.Event()
    issued = []

    def issue():
        while not done.is_set():
            issued.append(issue_usersig_for_userid("alice", environment="production"))

    def rotate():
        try:
            for _ in range(6):
                for key in keys.values():
                    fetch(key).activate()
                    time.sleep(0.01)
        finally:
            done.set()

    in_threads(issue, rotate)
    assert {token.key_fingerprint for token in issued} <= set(signers)
    for token in issued:
        assert signers[token.key_fingerprint].verify(token.usersig, userid="alice")


SCRIPT = """
import sys
import django
from django.conf import settings

database, act, pk, environment, encryption_key = sys.argv[1:]
from tests import settings as tests
tests.DATABASES["default"]["NAME"] = database
tests.USERSIG["ENCRYPTION_KEYS"] = [encryption_key]
tests.LOGGING = {
    "version": 1,
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
    "loggers": {"usersig_django.audit": {"handlers": ["out"], "level": "INFO"}},
}
django.setup()
from usersig_django.models import SigningKey

sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
getattr(SigningKey.objects.get(pk=pk), act)(by=act)
"""


def processes(tmp_path, *acts):
    """Real processes on the test's own database, held until all of them are ready."""
    script = tmp_path / "rotate.py"
    script.write_text(SCRIPT)
    database = connection.settings_dict["NAME"]
    encryption_key = django_settings.USERSIG["ENCRYPTION_KEYS"][0]
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(database), act, str(key.pk), "production", encryption_key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)},
        )
        for act, key in acts
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60) for process in running]


def test_two_processes__rotate_at_once(application, tmp_path):
    keys = [make_key(application), make_key(application, OTHER_KEY)]
    outputs = processes(tmp_path, ("activate", keys[0]), ("activate", keys[1]))
    assert [err for _out, err in outputs] == ["", ""]
    assert all("key activate done" in out for out, _err in outputs)
    assert assert_whole().active_key in keys


def test_other_processes__are_seen_within_cache_seconds(application, tmp_path, settings):
    settings.USERSIG = {**settings.USERSIG, "CACHE_SECONDS": 0.2}
    old, new = make_key(application, active=True), make_key(application, OTHER_KEY)
    assert applications.get_application("production").signer.key_fingerprint == old.fingerprint
    processes(tmp_path, ("activate", new))
    time.sleep(0.2)
    assert applications.get_application("production").signer.key_fingerprint == new.fingerprint
