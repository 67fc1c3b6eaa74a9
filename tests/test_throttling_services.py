"""The throttle's count, where many processes or threads count at once, and where nobody can."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.load.services import HOST, Redis, get_free_port, running
from tests.settings import USERSIG
from usersig_django.signing import Privilege
from usersig_django.throttling import UserSigRateThrottle
from usersig_django.views import PrivateMapKeyView, UserSigView

LIMIT, REQUESTS, PROCESSES, THREADS = 10, 40, 4, 4
VIEWS = {UserSigView: {}, PrivateMapKeyView: {"room_id": 10000}}


def grant_all(user, room):
    return Privilege.ALL


def ask(view, user):
    """The status of one request, through the whole view."""
    request = APIRequestFactory().post("/", VIEWS[view], format="json")
    force_authenticate(request, user)
    return view.as_view()(request).status_code


def ask_at_once(pk):
    """How often each endpoint gave each status, to threads that begin together."""
    barrier = Barrier(THREADS * len(VIEWS))

    def ask_often(view):
        user = User(pk=pk)
        barrier.wait()
        return Counter(ask(view, user) for _ in range(REQUESTS))

    met = {view: Counter() for view in VIEWS}
    with ThreadPoolExecutor(THREADS * len(VIEWS)) as pool:
        views = list(VIEWS) * THREADS
        for view, statuses in zip(views, pool.map(ask_often, views), strict=True):
            met[view] += statuses
    return list(met.values())


@pytest.fixture
def limited(settings, monkeypatch):
    """A rate of its own, at a moment far from a window's end."""
    settings.USERSIG = {**USERSIG, "THROTTLE_RATE": f"{LIMIT}/day", "ROOM_POLICY": grant_all}
    monkeypatch.setattr(UserSigRateThrottle, "timer", staticmethod(lambda: 1_700_000_000.0))


class SlowLocalMemory(LocMemCache):
    """Lets other threads in after each operation, as a cache at the other end of a network does."""

    def get(self, *arguments, **keywords):
        value = super().get(*arguments, **keywords)
        time.sleep(0.0001)
        return value

    def add(self, *arguments, **keywords):
        added = super().add(*arguments, **keywords)
        time.sleep(0.0001)
        return added


def test_throttle__threads_on_local_memory(limited, settings):
    """Of all threads together exactly the limit passes, for each endpoint and user."""
    settings.CACHES = {"default": {"BACKEND": "tests.test_throttling_services.SlowLocalMemory"}}
    for pk in (1, 2):
        assert ask_at_once(pk) == [{200: LIMIT, 429: THREADS * REQUESTS - LIMIT}] * len(VIEWS)


PROCESS = """
    import json, sys
    import django

    django.setup()
    from django.conf import settings
    from tests import test_throttling_services as tests

    settings.USERSIG = {**settings.USERSIG, "THROTTLE_RATE": f"{tests.LIMIT}/day", "ROOM_POLICY": tests.grant_all}
    tests.UserSigRateThrottle.timer = staticmethod(lambda: 1_700_000_000.0)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(tests.ask_at_once(7)))
"""


@pytest.mark.services
def test_throttle__processes_on_redis():
    """Of four processes with four threads each exactly the limit passes, for each endpoint."""
    with running(Redis) as redis:
        environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "tests.settings", "CACHE_URL": redis.url}
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(PROCESS)],
                cwd=Path(__file__).parents[1],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        met = [Counter() for _ in VIEWS]
        for process in processes:
            output, _ = process.communicate(timeout=60)
            for total, statuses in zip(met, json.loads(output), strict=True):
                total.update({int(status): number for status, number in statuses.items()})
    assert met == [{200: LIMIT, 429: PROCESSES * THREADS * REQUESTS - LIMIT}] * len(VIEWS)


@pytest.mark.services
def test_throttle__dead_redis(limited, settings, caplog):
    """Nobody is counted, everybody is served, and the log says so at each request without the address."""
    port = get_free_port()
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://:secret@{HOST}:{port}/0",
        }
    }
    assert [ask(UserSigView, User(pk=7)) for _ in range(LIMIT + 2)] == [200] * (LIMIT + 2)
    warnings = [record for record in caplog.records if record.name == "usersig_django"]
    assert [record.levelname for record in warnings] == ["WARNING"] * (LIMIT + 2)
    assert {record.getMessage() for record in warnings} == {
        "The throttle's cache failed (ConnectionError); the request was served."
    }


@pytest.mark.services
def test_throttle__redis_comes_back(limited, settings):
    """The same process counts on the same Redis again, exactly."""
    with running(Redis) as redis:
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis.url}
        }
        user = User(pk=7)
        assert [ask(UserSigView, user) for _ in range(2)] == [200, 200]
        redis.stop()
        assert [ask(UserSigView, user) for _ in range(LIMIT + 2)] == [200] * (LIMIT + 2)
        redis.start()
        assert [ask(UserSigView, user) for _ in range(LIMIT + 2)] == [200] * LIMIT + [429] * 2
