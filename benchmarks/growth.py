"""What must not grow: with applications, with audit records, with the length of a batch, with a worker's age."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from benchmarks.batches import memory
from benchmarks.measuring import Row, Target, Work, compare, interleave
from benchmarks.peers import SDKAPPID, SECRET_KEY, USERIDS
from benchmarks.sizes import Size
from usersig_django.applications import invalidate
from usersig_django.batch import issue_batch
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import Application, IssuedRecord, SigningKey

PART: Final = "growth"
CALLS: Final = 50
REPETITIONS: Final = 3
FLAT: Final = Target(1.2)
"""Flat but for what runs differ by, and for the level or two by which the index of a million rows is deeper."""
FLAT_MEMORY: Final = Target(5)
"""Megabytes: what an allocator keeps or gives back."""

_FILL: Final = """
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < %s)
    INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}, numbers
"""


def measure(size: Size) -> list[Row]:
    call_command("migrate", verbosity=0)
    return [*_memory(size), *_applications(size), _audit_records(size)]


def _applications(size: Size) -> list[Row]:
    one, many = "one application", f"{size.applications:,} applications"
    warm: dict[str, list[float]] = {one: [], many: []}
    cold: dict[str, list[float]] = {one: [], many: []}
    for _ in range(REPETITIONS):
        for name, count in ((one, 1), (many, size.applications)):
            environments = [f"environment-{number}" for number in range(count)]
            for environment in environments:
                _create_application(environment)
            with _settings(CACHE_SECONDS=3600):
                for environment in environments:
                    _issue(environment)
                warm[name] += _time(_issue, environments, size.rounds)
            with _settings(CACHE_SECONDS=0):
                cold[name] += _time(_issue, environments, size.rounds)
            Application.objects.update(active_key=None)
            SigningKey.objects.all()._raw_delete("default")
            Application.objects.all()._raw_delete("default")
            invalidate()
    return [
        compare(PART, f"issue, signers cached: {many} / one", warm, many, one, FLAT),
        compare(PART, f"issue, signer looked up each time: {many} / one", cold, many, one, FLAT),
    ]


def _audit_records(size: Size) -> Row:
    none, many = "no audit records", f"{size.records:,} audit records"
    times: dict[str, list[float]] = {none: [], many: []}
    with _settings(AUDIT_TO_DATABASE=True):
        for _ in range(REPETITIONS):
            IssuedRecord.objects.all().delete()
            times[none] += _time(_issue_for, USERIDS, size.rounds)
            _multiply_records(size.records)
            times[many] += _time(_issue_for, USERIDS, size.rounds)
        IssuedRecord.objects.all()._raw_delete("default")
    return compare(PART, f"issue, each leaving a record: {many} / none", times, many, none, FLAT)


def _memory(size: Size) -> list[Row]:
    userids = cycle(USERIDS)
    return [
        _growth("a worker's memory", size.issues, lambda count: _exhaust(map(_issue_for, islice(userids, count)))),
        _growth("a batch's memory", size.batch, lambda count: _exhaust(issue_batch(islice(userids, count)))),
    ]


def _growth(work: str, count: int, run: Callable[[int], None]) -> Row:
    """Between the first tenth, which fills every cache, and the end."""
    run(count // 10)
    before = memory()
    run(count - count // 10)
    after = memory()
    return Row(
        PART,
        f"{work}: growth from {count // 10:,} to {count:,} UserSigs",
        after - before,
        "MB",
        target=FLAT_MEMORY,
        details={"before": {"value": before, "unit": "MB"}, "after": {"value": after, "unit": "MB"}},
    )


def _create_application(environment: str) -> None:
    application = Application.objects.create(environment=environment, sdkappid=SDKAPPID)
    key = SigningKey(application=application, secret=SECRET_KEY)
    key.save()
    key.activate()


def _multiply_records(count: int) -> None:
    """From one record as the app writes it to as many as that."""
    IssuedRecord.objects.exclude(pk=IssuedRecord.objects.values("pk")[:1].get()["pk"]).delete()
    columns = ", ".join(str(field.column) for field in IssuedRecord._meta.concrete_fields if not field.primary_key)
    with connection.cursor() as cursor:
        cursor.execute(_FILL.format(table=IssuedRecord._meta.db_table, columns=columns), [count - 1])


def _issue(environment: str) -> None:
    issue_usersig_for_userid("alice", environment=environment)


def _issue_for(userid: str) -> None:
    issue_usersig_for_userid(userid)


def _time(call: Callable[[str], None], inputs: list[str], rounds: int) -> list[float]:
    return interleave({"": Work(call, inputs)}, rounds, CALLS)[""]


def _exhaust(results: Iterator[Any]) -> None:
    for _ in results:
        pass


@contextmanager
def _settings(**changed: object) -> Iterator[None]:
    before = settings.USERSIG
    settings.USERSIG = before | changed
    try:
        yield
    finally:
        settings.USERSIG = before
