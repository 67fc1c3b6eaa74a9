"""Real server processes, under load, while what they stand on fails."""

import os
import signal
import sys
import time
from collections import Counter
from itertools import pairwise

import psycopg
import pytest
from redis import Redis as RedisClient

from tests.load.client import BROKEN, CONCURRENCY, ROOM_URL, Traffic, count_statuses, read_token, read_userbuf
from tests.load.services import wait_for
from usersig_django.signing import HmacSha256Signer

pytestmark = pytest.mark.load

# Those of tests.load.settings, which only a server may import.
CACHE_SECONDS = 1
# Of requests, where a test ends by what it has seen.
LIMIT = 20_000
SDKAPPID = 1400000007
# How long a signer may take from its look at the records to its place in the cache, on a busy machine.
SLACK = 1
on_gunicorn = pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
on_both = pytest.mark.parametrize("server", ["gunicorn", "uvicorn"], indirect=True)


def verify(answer, keys):
    """Holds the answer to be its caller's and valid to two verifiers; gives its key's fingerprint."""
    assert answer.cache_control == "no-store"
    body = answer.body
    assert body["userid"] == answer.caller
    assert body["sdkappid"] == SDKAPPID
    token = body["private_map_key" if answer.url == ROOM_URL else "usersig"]
    document = read_token(token, lambda fits: next(secret for secret in keys.values() if fits(secret)))
    assert document["TLS.identifier"] == answer.caller
    assert document["TLS.sdkappid"] == SDKAPPID
    assert document["TLS.expire"] == body["expire"]
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=document["key"])
    if answer.url == ROOM_URL:
        userbuf = read_userbuf(document["TLS.userbuf"])
        assert userbuf == {
            "version": 0,
            "account": answer.caller,
            "sdkappid": SDKAPPID,
            "room": 10000,
            "expires_at": document["TLS.time"] + document["TLS.expire"],
            "privileges": 1 + int(answer.caller) % 255,
            "account_type": 0,
        }
        claims = signer.verify_private_map_key(token, userid=answer.caller, room=10000)
        assert claims.privileges == body["privileges"] == userbuf["privileges"]
    else:
        signer.verify(token, userid=answer.caller)
    return signer.key_fingerprint


def verify_all(answers, keys):
    for answer in answers:
        if answer.status == 200:
            verify(answer, keys)
        elif answer.status != BROKEN:
            assert answer.cache_control == "no-store"
            assert set(answer.body) == {"code", "detail"}


def report(record_property, answers):
    """The figures, in a JUnit report and with `-rP`."""
    seconds = max(answer.ended for answer in answers) - min(answer.started for answer in answers)
    figures = f"{len(answers)} requests, {dict(count_statuses(answers))}, {len(answers) / seconds:.0f} a second"
    record_property("load", figures)
    sys.stdout.write(figures + "\n")


def get_keys_that_could_sign(answer, activations):
    """Every key that was active at a moment from CACHE_SECONDS before the request until its end."""
    earliest = answer.started - CACHE_SECONDS - SLACK
    return {
        current.fingerprint
        for current, following in pairwise([*activations, None])
        if current.began <= answer.ended and (following is None or following.done >= earliest)
    }


@pytest.mark.parametrize(("server", "limit"), [("gunicorn", 20_000), ("uvicorn", 5_000)], indirect=["server"])
def test_load__many_users_while_keys_rotate(server, limit, callers, keys, rotate, record_property):
    """200 users at concurrency 64: every answer is its caller's, and signed with a key that was
    the active one no longer ago than the signers' cache remembers; what was issued is what was recorded."""
    with psycopg.connect(server.postgresql.url.replace("postgres:", "postgresql:"), autocommit=True) as database:
        database.execute("TRUNCATE usersig_django_issuedrecord")
        rotation = rotate()
        with Traffic(server.port, callers, limit=limit) as traffic:
            traffic.join()
        rotation.stop()
        recorded = database.execute(
            'SELECT "user", userid, kind, count(*) FROM usersig_django_issuedrecord GROUP BY "user", userid, kind'
        ).fetchall()
    report(record_property, traffic.answers)
    assert count_statuses(traffic.answers) == {200: limit}
    assert {answer.worker for answer in traffic.answers} == {str(pid) for pid in server.workers}

    met = set()
    activations = rotation.activations
    first = activations[0]
    for answer in traffic.answers:
        key = verify(answer, keys)
        met.add(key)
        if answer.started > first.done + CACHE_SECONDS + SLACK:
            assert key in get_keys_that_could_sign(answer, activations)
    assert len(met) > 5
    assert len(activations) > 5 * (activations[-1].done - first.began)

    assert {(userid, kind): number for user, userid, kind, number in recorded if user == userid} == Counter(
        (answer.caller, "private_map_key" if answer.url == ROOM_URL else "usersig") for answer in traffic.answers
    )

    wait_for(lambda: time.monotonic() > activations[-1].done + CACHE_SECONDS, "the old signers' end")
    with Traffic(server.port, callers, limit=400) as afterwards:
        afterwards.join()
    assert {verify(answer, keys) for answer in afterwards.answers} == {activations[-1].fingerprint}


@on_both
def test_load__postgresql_stops_and_starts(server, callers, keys, record_property):
    """Every answer is documented, nothing is issued that cannot be authenticated or recorded, and nobody restarts."""
    with Traffic(server.port, callers, limit=LIMIT) as traffic:
        traffic.wait_for_answers()
        began = time.monotonic()
        server.postgresql.stop()
        stopped = time.monotonic()
        traffic.wait_for_answers(500)
        starting = time.monotonic()
        server.postgresql.start()
        started = time.monotonic()
        # Connections that broke are found by the first request that uses them.
        traffic.wait_for_answers()
        recovered = time.monotonic()
        traffic.wait_for_answers(500)
    report(record_property, traffic.answers)
    answers = traffic.answers
    verify_all(answers, keys)
    assert set(count_statuses(answers)) == {200, 503}
    assert set(count_statuses(answers, before=began)) == {200}
    assert set(count_statuses(answers, after=stopped, before=starting)) == {503}
    assert set(count_statuses(answers, after=recovered)) == {200}
    assert recovered - started < 10
    assert all(answer.body["code"] == "signing_unavailable" for answer in answers if answer.status == 503)
    assert "Nothing can be issued: OperationalError" in server.log


@on_gunicorn
def test_load__redis_stops_and_starts(server, callers, keys, record_property):
    """Who cannot be counted is served, with a warning; counting begins again by itself."""
    with Traffic(server.port, callers, limit=LIMIT) as traffic:
        traffic.wait_for_answers()
        server.redis.stop()
        traffic.wait_for_answers(500)
        server.redis.start()
        traffic.wait_for_answers(500)
    report(record_property, traffic.answers)
    verify_all(traffic.answers, keys)
    assert set(count_statuses(traffic.answers)) == {200}
    assert "The throttle's cache failed (ConnectionError); the request was served." in server.log
    with RedisClient.from_url(server.redis.url) as redis:
        assert redis.dbsize() == 2 * len(callers)


@on_gunicorn
def test_load__worker_is_killed(server, callers, keys, record_property):
    """Its own connections break, and no more than those; another worker takes its place."""
    workers = server.workers
    killed = min(workers)
    with Traffic(server.port, callers, limit=LIMIT) as traffic:
        traffic.wait_for_answers()
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: len(server.workers - workers) == 1, "another worker")
        replaced = time.monotonic()
        traffic.wait_for_answers(1000)
    report(record_property, traffic.answers)
    verify_all(traffic.answers, keys)
    statuses = count_statuses(traffic.answers)
    assert set(statuses) == {200, BROKEN}
    assert statuses[BROKEN] <= CONCURRENCY
    assert set(count_statuses(traffic.answers, after=replaced)) == {200}
    assert len(server.workers) == 2


@on_both
def test_load__clock_before_2020(server, callers, keys, record_property):
    """Nothing is issued that begins in the past, and the right time is enough for it to go on."""
    with Traffic(server.port, callers, limit=LIMIT) as traffic:
        traffic.wait_for_answers()
        server.wrong_clock.touch()
        wrong = time.monotonic()
        traffic.wait_for_answers()
        server.wrong_clock.unlink()
        right = time.monotonic()
        traffic.wait_for_answers()
    report(record_property, traffic.answers)
    verify_all(traffic.answers, keys)
    assert set(count_statuses(traffic.answers, after=wrong, before=right)) == {503}
    assert set(count_statuses(traffic.answers, after=right)) == {200}
    assert "The clock is before 2020-01-01" in server.log


@on_gunicorn
def test_load__two_processes_rotate_at_once(server, callers, keys, rotate):
    """One state at the end: the key of the record is the one that signs, and its fingerprint is the record's."""
    rotations = [rotate(), rotate()]
    with Traffic(server.port, callers, limit=LIMIT) as traffic:
        for rotation in rotations:
            rotation.wait_for_activations()
        for rotation in rotations:
            rotation.stop()
    verify_all(traffic.answers, keys)
    assert set(count_statuses(traffic.answers)) == {200}
    with psycopg.connect(server.postgresql.url.replace("postgres:", "postgresql:")) as database:
        [(fingerprint,)] = database.execute(
            "SELECT fingerprint FROM usersig_django_application a JOIN usersig_django_signingkey k "
            "ON k.id = a.active_key_id"
        ).fetchall()
    assert fingerprint in {rotation.activations[-1].fingerprint for rotation in rotations}
    time.sleep(CACHE_SECONDS)
    with Traffic(server.port, callers, limit=400) as afterwards:
        afterwards.join()
    assert {verify(answer, keys) for answer in afterwards.answers} == {fingerprint}


@pytest.mark.parametrize("server", ["uvicorn"], indirect=True)
def test_load__asynchronous_view(server, callers, keys, record_property):
    """The twins of `issuing` in a project's own view, signed in by session."""
    sessions = {userid: headers for userid, headers in callers.items() if "Cookie" in headers}
    with Traffic(server.port, sessions, limit=1_000, urls=["/async/"]) as traffic:
        traffic.join()
    report(record_property, traffic.answers)
    assert count_statuses(traffic.answers) == {200: 1000}
    for answer in traffic.answers:
        assert answer.body["userid"] == answer.caller
        document = read_token(
            answer.body["usersig"], lambda fits: next(secret for secret in keys.values() if fits(secret))
        )
        assert document["TLS.identifier"] == answer.caller
