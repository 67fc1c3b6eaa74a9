import logging
import re
import unicodedata
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection
from hypothesis import given
from hypothesis import strategies as st

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django import audit
from usersig_django.audit import Event, Origin
from usersig_django.batch import issue_batch
from usersig_django.exceptions import ImpersonationForbidden, UserIDReserved
from usersig_django.issuing import issue_private_map_key, issue_usersig, issue_usersig_for_userid
from usersig_django.models import IssuedRecord
from usersig_django.signals import usersig_issued
from usersig_django.signing import HmacSha256Signer, Privilege

FINGERPRINT = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY).key_fingerprint
NAMES = [
    "time",
    "actor",
    "userid",
    "sdkappid",
    "environment",
    "kind",
    "room",
    "privileges",
    "expire",
    "channel",
    "address",
    "key",
]


@pytest.fixture
def lines(caplog):
    """The audit trail so far."""
    caplog.set_level(logging.INFO, logger="usersig_django.audit")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "usersig_django.audit"]


def fields(line):
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))


def record_to_database(settings, **changes):
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True, **changes}


def user(**attributes):
    made = get_user_model()(pk=42, username="alice")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


# The line.


def test_record_issued__one_line_with_every_field(lines) -> None:
    who = user()
    issued = issue_usersig(who, expire=600, origin=Origin("api", who, "203.0.113.7"))
    [line] = lines()
    assert line.startswith("issued ")
    assert fields(line) == {
        "time": issued.issued_at.isoformat(),
        "actor": "42",
        "userid": "42",
        "sdkappid": str(TEST_SDKAPPID),
        "environment": "default",
        "kind": "usersig",
        "room": "-",
        "privileges": "-",
        "expire": "600",
        "channel": "api",
        "address": "203.0.113.7",
        "key": FINGERPRINT,
    }
    assert issued.usersig not in line


@pytest.mark.parametrize(("room", "name", "text"), [(7, "room_id", "7"), ("a b", "str_room_id", '"a b"')])
def test_record_issued__room_by_its_kind(settings, lines, room: int | str, name: str, text: str) -> None:
    settings.USERSIG = {**settings.USERSIG, "ROOM_POLICY": lambda user, room: Privilege.AUDIENCE}
    issue_private_map_key(user(), room)
    found = fields(lines()[0])
    assert (found[name], found["privileges"], found["kind"]) == (text, "42", "private_map_key")
    assert ("room_id" in found) != ("str_room_id" in found)


@pytest.mark.parametrize(
    ("code", "who", "error"),
    [
        ("impersonation_forbidden", {"is_hijacked": True}, ImpersonationForbidden),
        ("userid_reserved", {"pk": "root"}, UserIDReserved),
    ],
)
def test_record_refused__one_line_with_the_code(
    lines, code: str, who: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        issue_usersig(user(**who), environment="live")
    [line] = lines()
    assert line.startswith(f"refused code={code} ")
    found = fields(line)
    assert found["environment"] == "live"
    assert (found["sdkappid"], found["key"]) == ("-", "-")
    assert datetime.fromisoformat(found["time"]).tzinfo is not None


def test_record_refused__policy_says_no(settings, lines) -> None:
    settings.USERSIG = {**settings.USERSIG, "ROOM_POLICY": None}
    with pytest.raises(Exception, match="ROOM_POLICY"):
        issue_private_map_key(user(), "lobby")
    [line] = lines()
    assert line.startswith("refused code=room_forbidden ")
    assert (fields(line)["str_room_id"], fields(line)["userid"]) == ("lobby", "42")


def test_record__silent_below_info(caplog) -> None:
    """As Django's own LOGGING leaves it; no line is even composed."""
    caplog.set_level(logging.WARNING, logger="usersig_django.audit")
    issue_usersig_for_userid("alice")
    list(issue_batch(["alice"]))
    with pytest.raises(UserIDReserved):
        issue_usersig_for_userid("root")
    assert not caplog.records


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "-"),
        ("", "-"),
        ("alice", "alice"),
        (7, "7"),
        (Privilege.AUDIENCE, "42"),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a\nissued userid=root", r'"a\nissued userid=root"'),
        ("a\r", r'"a\r"'),
        ("\x1b[2J", r'"\x1b[2J"'),
        ("\x00\x7f\x9b", r'"\x00\x7f\x9b"'),
        ("evil\u202etxt", r'"evil\u202etxt"'),
        ("\u2028", r'"\u2028"'),
        ("é🙂", r'"\xe9\U0001f642"'),
        ("\ud800", r'"\ud800"'),
    ],
)
def test_line__field_that_could_be_read_as_another(lines, value: object, field: str) -> None:
    audit.record_issued(Event("usersig", userid=value), Origin())
    assert f" userid={field} " in lines()[0]


@given(st.text(), st.text())
def test_line__any_text_stays_in_its_field(userid: str, address: str) -> None:
    line = audit._line(Event("usersig", userid=userid), Origin(address=address))
    assert line.isascii()
    assert not [character for character in line if unicodedata.category(character).startswith("C")]
    assert list(fields(line)) == NAMES


def test_actor__whoever_has_a_primary_key(lines) -> None:
    audit.record_issued(Event("usersig"), Origin(user=user(pk=None)))
    audit.record_issued(Event("usersig"), Origin(user=user(pk="a b")))
    assert [fields(line)["actor"] for line in lines()] == ["-", '"a b"']


# The batch.


def test_record_batch__one_line_with_counts(lines) -> None:
    list(issue_batch(["alice", "bad id", "root", "Root", "bob"], origin=Origin("command")))
    [line] = lines()
    found = fields(line)
    assert line.startswith("issued ")
    assert (found["kind"], found["userid"], found["channel"], found["key"]) == (
        "usersig_batch",
        "-",
        "command",
        FINGERPRINT,
    )
    assert (found["count"], found["refused"], found["reserved"]) == ("2", "3", "root")


def test_record_batch__reserved_userids_are_named_when_they_are_allowed(lines) -> None:
    list(issue_batch(["root", "Administrator", "bob"], allow_reserved=True))
    found = fields(lines()[0])
    assert (found["count"], found["refused"], found["reserved"]) == ("3", "0", "administrator,root")


# The record.


@pytest.mark.django_db
def test_record_issued__record_in_the_database(settings) -> None:
    record_to_database(settings)
    who = user()
    issued = issue_usersig(who, origin=Origin("api", who, "2001:db8::1"))
    record = IssuedRecord.objects.get()
    assert (record.user, record.userid, record.sdkappid, record.environment) == ("42", "42", TEST_SDKAPPID, "default")
    assert (record.kind, record.room_kind, record.room, record.privileges) == ("usersig", "", "", None)
    assert (record.expire, record.channel, record.address) == (86400, "api", "2001:db8::1")
    assert (record.issued_at, record.key_fingerprint) == (issued.issued_at, FINGERPRINT)
    assert issued.usersig not in repr(vars(record))


@pytest.mark.django_db
@pytest.mark.parametrize(("room", "kind"), [(7, "room_id"), ("7", "str_room_id")])
def test_record_issued__room_in_the_database(settings, room: int | str, kind: str) -> None:
    record_to_database(settings, ROOM_POLICY=lambda user, room: Privilege.ALL)
    issue_private_map_key(user(), room)
    record = IssuedRecord.objects.get()
    assert (record.kind, record.room_kind, record.room, record.privileges) == ("private_map_key", kind, "7", 255)


@pytest.mark.django_db
def test_record_issued__longer_than_the_column(settings) -> None:
    record_to_database(settings)
    who = user(pk="x" * 300)
    issue_usersig_for_userid("alice", origin=Origin("api", who, "y" * 300))
    record = IssuedRecord.objects.get()
    assert (record.user, record.address) == ("x" * 255, "y" * 200)


@pytest.mark.django_db
def test_record__not_without_the_setting() -> None:
    issue_usersig_for_userid("alice")
    list(issue_batch(["alice"]))
    assert not IssuedRecord.objects.exists()


@pytest.mark.django_db
def test_record_rows__a_record_for_each_of_a_batch(settings, lines) -> None:
    record_to_database(settings)
    userids = [f"user-{number}" for number in range(1001)]
    issued = list(issue_batch([*userids, "bad id"], origin=Origin("command")))
    assert [record.userid for record in IssuedRecord.objects.order_by("pk")] == userids
    assert {record.kind for record in IssuedRecord.objects.all()} == {"usersig"}
    assert IssuedRecord.objects.first().issued_at in {one.issued_at for one in issued[:-1]}
    assert len(lines()) == 1


@pytest.mark.django_db(transaction=True)
def test_record__that_cannot_be_written(settings, lines) -> None:
    """Nothing was issued: no token, no line, no signal."""
    record_to_database(settings)
    heard = []
    receiver = lambda **kwargs: heard.append(kwargs)  # noqa: E731
    usersig_issued.connect(receiver)

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT"):
            raise OperationalError("disk full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        with pytest.raises(OperationalError):
            issue_usersig_for_userid("alice")
        assert (lines(), heard) == ([], [])
        batch = issue_batch(["alice"])
        with pytest.raises(OperationalError):
            next(batch)
    usersig_issued.disconnect(receiver)
    assert [fields(line)["count"] for line in lines()] == ["0"]


def test_time__is_utc_and_aware(lines) -> None:
    audit.record_issued(Event("usersig", issued_at=datetime(2026, 11, 20, 20, tzinfo=UTC)), Origin())
    assert fields(lines()[0])["time"] == "2026-11-20T20:00:00+00:00"


def test_line__default_environment_is_named(lines) -> None:
    audit.record_refused("user_inactive", Event("usersig"), Origin())
    assert " environment=default " in lines()[0]


def test_line__environment_that_is_misconfigured_is_left_out(lines, settings) -> None:
    settings.USERSIG = {"ENVIRONMENT": "Not a name"}
    audit.record_refused("user_inactive", Event("usersig"), Origin())
    assert " environment=- " in lines()[0]
