"""Every answer of SECURITY 1 and 4 that issuing gives; tokens are read by `tests.tokens`, which shares no code."""

import asyncio
import base64
import enum
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError

from tests import tokens
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django import issuing
from usersig_django.exceptions import (
    ImpersonationForbidden,
    InvalidInput,
    RoomForbidden,
    SigningUnavailable,
    UserIDReserved,
    UserIDUnmappable,
    UserInactive,
)
from usersig_django.faults import Misconfigured
from usersig_django.issuing import (
    issue_private_map_key,
    issue_private_map_key_for_userid,
    issue_usersig,
    issue_usersig_for_userid,
)
from usersig_django.signing import HmacSha256Signer, Privilege

KEY = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    HOUR = 3600


def use(settings, **changes):
    settings.USERSIG = {**settings.USERSIG, **changes}


def user(pk=42, **attributes):
    made = get_user_model()(pk=pk, username="alice")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def at(monkeypatch, now):
    monkeypatch.setattr(issuing.time, "time", lambda: now)


# What comes out.


def test_issue_usersig__token_for_the_users_primary_key() -> None:
    issued = issue_usersig(user())
    document = tokens.members(issued.usersig)
    assert document == {
        "TLS.ver": "2.0",
        "TLS.identifier": "42",
        "TLS.sdkappid": TEST_SDKAPPID,
        "TLS.expire": 86400,
        "TLS.time": int(issued.issued_at.timestamp()),
        "TLS.sig": tokens.hmac_sig(document, TEST_SECRET_KEY),
    }
    assert (issued.environment, issued.sdkappid, issued.userid) == ("default", TEST_SDKAPPID, "42")
    assert issued.expires_at - issued.issued_at == timedelta(seconds=issued.expire)
    assert issued.issued_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - issued.issued_at) < timedelta(seconds=5)
    assert issued.key_fingerprint == KEY.key_fingerprint
    assert issued.usersig not in repr(issued)


@pytest.mark.parametrize("expire", [60, 3600, 315_360_000])
def test_issue_usersig__validity_asked_for(expire: int) -> None:
    issued = issue_usersig(user(), expire=expire)
    assert tokens.members(issued.usersig)["TLS.expire"] == issued.expire == expire


def test_issue_usersig__validity_of_the_application_before_the_projects(settings) -> None:
    entry = settings.USERSIG["APPLICATIONS"]["default"]
    use(settings, EXPIRE=7200)
    assert issue_usersig(user()).expire == 7200
    use(settings, APPLICATIONS={"default": {**entry, "EXPIRE": 600}})
    assert issue_usersig(user()).expire == 600


def test_issue_usersig__environment_asked_for(settings) -> None:
    live = {"SDKAPPID": 20000001, "SECRET_KEY": TEST_SECRET_KEY[::-1]}
    use(settings, APPLICATIONS={**settings.USERSIG["APPLICATIONS"], "live": live})
    issued = issue_usersig(user(), environment="live")
    document = tokens.members(issued.usersig)
    assert (issued.environment, issued.sdkappid, document["TLS.sdkappid"]) == ("live", 20000001, 20000001)
    assert document["TLS.sig"] == tokens.hmac_sig(document, TEST_SECRET_KEY[::-1])


@pytest.mark.parametrize("room", [10000, "lobby"])
def test_issue_private_map_key__privileges_are_the_policys(settings, room: int | str) -> None:
    use(settings, ROOM_POLICY=lambda user, room: Privilege.ENTER_ROOM | Privilege.RECEIVE_AUDIO)
    issued = issue_private_map_key(user(), room)
    claims = KEY.verify_private_map_key(issued.private_map_key, userid="42", room=room)
    assert (claims.room, claims.privileges, claims.expire) == (room, 10, 3600)
    assert (issued.room, issued.privileges, issued.expire) == (room, Privilege(10), 3600)
    assert issued.expires_at - issued.issued_at == timedelta(hours=1)
    assert (issued.environment, issued.sdkappid, issued.userid) == ("default", TEST_SDKAPPID, "42")
    assert issued.private_map_key not in repr(issued)


@pytest.mark.parametrize(("room", "length"), [(10000, 0), ("lobby", 7)])
def test_issue_private_map_key_for_userid__userbuf_byte_by_byte(room: int | str, length: int) -> None:
    issued = issue_private_map_key_for_userid("alice", room=room, privileges=255, expire=60)
    document = tokens.members(issued.private_map_key)
    userbuf = base64.b64decode(document["TLS.userbuf"])
    assert userbuf == tokens.userbuf(
        sdkappid=TEST_SDKAPPID,
        room=room if isinstance(room, int) else 0,
        expires_at=document["TLS.time"] + 60,
        version=0 if isinstance(room, int) else 1,
        tail=b"" if isinstance(room, int) else b"\0\5lobby",
    )
    assert document["TLS.sig"] == tokens.hmac_sig(document, TEST_SECRET_KEY)


def test_issue_private_map_key__validity_is_configured(settings) -> None:
    use(settings, PRIVATE_MAP_KEY_EXPIRE=300, ROOM_POLICY=lambda user, room: Privilege.ALL)
    assert issue_private_map_key(user(), 7).expire == 300


def test_issuing__legacy_application(settings) -> None:
    pem = tokens.PRIVATE_PEM.replace("\n", "\\n")
    use(settings, APPLICATIONS={"default": {"SDKAPPID": 20000001, "PRIVATE_KEY": pem}})
    document = tokens.members(issue_usersig(user()).usersig)
    assert document["TLS.identifier"] == "42"
    tokens.EC_KEY.public_key().verify(
        base64.b64decode(document["TLS.sig"]), tokens.ecdsa_text(document).encode(), ECDSA(SHA256())
    )


def test_issuing__async_twins(settings) -> None:
    async def issue_all():
        return (
            await issuing.aissue_usersig(user(), expire=60),
            await issuing.aissue_usersig_for_userid("alice"),
            await issuing.aissue_private_map_key(user(), 7),
            await issuing.aissue_private_map_key_for_userid("alice", room="lobby", privileges=42),
        )

    use(settings, ROOM_POLICY=lambda user, room: Privilege.AUDIENCE)
    issued = asyncio.run(issue_all())
    assert [one.userid for one in issued] == ["42", "alice", "42", "alice"]
    assert issued[0].expire == 60
    assert issued[3].privileges is Privilege.AUDIENCE


# What is refused: arguments (SECURITY 1.1, 1.2).

BAD_USERIDS = [
    "", " ", "a b", " alice", "alice ", "alice\n", "\nalice", "al\nTLS.sdkappid:1", "al\0ice", "x" * 33, "\uff41lice",
    "a.b", "a@b", "a/b", "a+b", "a*b", "🙂", "\ud800", 42, 4.2, True, None, b"alice", ["alice"],
    Text("alice"), "ålice",
]  # fmt: skip
BAD_EXPIRES = [0, -1, 59, 315_360_001, 2**64, True, 3600.0, float("nan"), "3600", b"60", [60], Number.HOUR]
BAD_ROOMS = [
    0, -1, 2**32 - 1, 2**32 + 7, True, 7.0, None, b"7", "", "x" * 65, "a/b", "a\n", "é", "a\0", "\ud800", [7],
    Text("lobby"), Number.HOUR,
]  # fmt: skip
BAD_PRIVILEGES = [0, -1, 256, True, 42.0, "42", None, Privilege(0), Privilege(256), Number.HOUR]


@pytest.mark.parametrize("userid", BAD_USERIDS, ids=repr)
def test_issuing__what_is_no_userid(userid: object) -> None:
    with pytest.raises(InvalidInput):
        issue_usersig_for_userid(userid, allow_reserved=True)
    with pytest.raises(InvalidInput):
        issue_private_map_key_for_userid(userid, room=1, privileges=1)


@pytest.mark.parametrize("userid", ["a b", "a@b.c", "~", "!x", "x" * 32])
def test_issuing__printable_rule(settings, userid: str) -> None:
    use(settings, USERID_RULE="printable")
    assert tokens.members(issue_usersig_for_userid(userid).usersig)["TLS.identifier"] == userid


@pytest.mark.parametrize("userid", ["", " a", "a ", "a\n", "é", "x" * 33])
def test_issuing__what_is_no_userid_by_the_printable_rule(settings, userid: str) -> None:
    use(settings, USERID_RULE="printable")
    with pytest.raises(InvalidInput):
        issue_usersig_for_userid(userid)


@pytest.mark.parametrize("expire", BAD_EXPIRES, ids=repr)
def test_issuing__what_is_no_validity(expire: object) -> None:
    with pytest.raises(InvalidInput):
        issue_usersig(user(), expire=expire)
    with pytest.raises(InvalidInput):
        issue_usersig_for_userid("alice", expire=expire)
    with pytest.raises(InvalidInput):
        issue_private_map_key_for_userid("alice", room=1, privileges=1, expire=expire)


@pytest.mark.parametrize("room", BAD_ROOMS, ids=repr)
def test_issuing__what_is_no_room(settings, room: object) -> None:
    """The policy is not even asked."""
    use(settings, ROOM_POLICY=lambda user, room: pytest.fail("asked"))
    with pytest.raises(InvalidInput):
        issue_private_map_key(user(), room)
    with pytest.raises(InvalidInput):
        issue_private_map_key_for_userid("alice", room=room, privileges=1)


@pytest.mark.parametrize("room", [1, 2**32 - 2, "a", "x" * 64, "a b!#$%&()+-:;<=.>?@[]^_{}|~,"])
def test_issuing__rooms_at_the_edge(room: int | str) -> None:
    issued = issue_private_map_key_for_userid("alice", room=room, privileges=1)
    assert KEY.verify_private_map_key(issued.private_map_key, room=room).room == room


@pytest.mark.parametrize("privileges", BAD_PRIVILEGES, ids=repr)
def test_issuing__what_is_no_privilege(privileges: object) -> None:
    with pytest.raises(InvalidInput):
        issue_private_map_key_for_userid("alice", room=1, privileges=privileges)


def test_issuing__private_map_key_that_ends_after_32_bits(monkeypatch) -> None:
    at(monkeypatch, 2**32 - 3600)
    with pytest.raises(InvalidInput):
        issue_private_map_key_for_userid("alice", room=1, privileges=1, expire=3600)
    assert issue_private_map_key_for_userid("alice", room=1, privileges=1, expire=3599).expire == 3599


@pytest.mark.parametrize("environment", [5, b"default", True, Text("default")], ids=repr)
def test_issuing__environment_of_another_type(environment: object) -> None:
    with pytest.raises(InvalidInput):
        issue_usersig(user(), environment=environment)


# What is refused: people (SECURITY 1.5, 1.6, 1.7).


@pytest.mark.parametrize(
    "who",
    [user(is_active=False), AnonymousUser(), None, SimpleNamespace(pk=1)],
    ids=["inactive", "anonymous", "none", "bare"],
)
def test_issuing__nobody_who_may(settings, who: object) -> None:
    use(settings, ROOM_POLICY=lambda user, room: Privilege.ALL)
    with pytest.raises(UserInactive):
        issue_usersig(who)
    with pytest.raises(UserInactive):
        issue_private_map_key(who, 1)


@pytest.mark.parametrize("mark", ["is_hijacked", "is_impersonate"])
def test_issuing__impersonated(mark: str) -> None:
    with pytest.raises(ImpersonationForbidden):
        issue_usersig(user(**{mark: True}))
    assert issue_usersig(user(**{mark: False})).userid == "42"


@pytest.mark.parametrize("userid", ["administrator", "ADMINISTRATOR", "Admin", "root", "system", "Boss"])
@pytest.mark.parametrize("superuser", [False, True])
def test_issuing__reserved_for_everybody(settings, userid: str, superuser: bool) -> None:
    use(
        settings,
        USERID_RESOLVER=lambda user: userid,
        ADMIN_USERID="boss",
        ROOM_POLICY=lambda user, room: pytest.fail("asked"),
    )
    with pytest.raises(UserIDReserved):
        issue_usersig(user(is_superuser=superuser))
    with pytest.raises(UserIDReserved):
        issue_private_map_key(user(is_superuser=superuser), 1)
    with pytest.raises(UserIDReserved):
        issue_usersig_for_userid(userid)
    with pytest.raises(UserIDReserved):
        issue_private_map_key_for_userid(userid, room=1, privileges=1)
    assert issue_usersig_for_userid(userid, allow_reserved=True).userid == userid
    assert issue_private_map_key_for_userid(userid, room=1, privileges=1, allow_reserved=True).userid == userid


def test_issuing__rule_before_reserved_names() -> None:
    """A long s casefolds to s, and is no character of a UserID."""
    with pytest.raises(InvalidInput):
        issue_usersig_for_userid("\u017fystem")


@pytest.mark.parametrize("userid", BAD_USERIDS, ids=repr)
def test_get_userid__resolver_that_gives_no_userid(settings, caplog, userid: object) -> None:
    use(settings, USERID_RESOLVER=lambda user: userid)
    with pytest.raises(UserIDUnmappable):
        issue_usersig(user())
    [record] = caplog.records
    assert (record.name, record.levelno) == ("usersig_django", logging.ERROR)
    assert "strict" in record.getMessage()


@pytest.mark.parametrize("error", [KeyError("s3cr3t"), AttributeError("s3cr3t"), RecursionError("s3cr3t")])
def test_get_userid__resolver_that_raises(settings, caplog, error: Exception) -> None:
    def resolver(user):
        raise error

    use(settings, USERID_RESOLVER=resolver)
    with pytest.raises(UserIDUnmappable):
        issue_usersig(user())
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert type(error).__name__ in record.getMessage()
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("error", [OperationalError("down"), InterfaceError("gone"), Misconfigured("bad")])
def test_get_userid__fault_that_is_not_the_resolvers(settings, caplog, error: Exception) -> None:
    def resolver(user):
        raise error

    use(settings, USERID_RESOLVER=resolver)
    with pytest.raises(type(error)):
        issue_usersig(user())
    assert not caplog.records


@pytest.mark.parametrize("answer", [None, True, 255, Privilege(0)])
def test_issue_private_map_key__policy_grants_nothing(settings, answer: object) -> None:
    use(settings, ROOM_POLICY=lambda user, room: answer)
    with pytest.raises(RoomForbidden):
        issue_private_map_key(user(), 1)


def test_issue_private_map_key__without_a_policy(settings) -> None:
    use(settings, ROOM_POLICY=None)
    with pytest.raises(RoomForbidden):
        issue_private_map_key(user(), 1)


# What is refused: faults (SECURITY 4).


@pytest.mark.parametrize("now", [0, -1, 1_577_836_799])
def test_issuing__clock_before_2020(monkeypatch, now: int) -> None:
    at(monkeypatch, now)
    with pytest.raises(SigningUnavailable):
        issue_usersig(user())
    with pytest.raises(SigningUnavailable):
        issue_private_map_key_for_userid("alice", room=1, privileges=1)
    at(monkeypatch, 1_577_836_800)
    assert issue_usersig(user()).issued_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("environment", ["live", "Default", "default ", "", "x" * 51, "de\0fault"])
def test_issuing__environment_without_application(environment: str) -> None:
    """No other environment's application steps in."""
    with pytest.raises(SigningUnavailable):
        issue_usersig(user(), environment=environment)
    with pytest.raises(SigningUnavailable):
        issue_private_map_key_for_userid("alice", room=1, privileges=1, environment=environment)


@pytest.mark.parametrize(
    "entry", [{}, {"SDKAPPID": 1, "SECRET_KEY": "short"}, {"SDKAPPID": 1, "SECRET_KEY": "x y" * 20}]
)
def test_issuing__application_without_a_usable_key(settings, entry: dict[str, object]) -> None:
    use(settings, APPLICATIONS={"default": entry})
    with pytest.raises(ImproperlyConfigured) as caught:
        issue_usersig(user())
    assert "x y" not in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [{"USERID_RULE": 5}, {"RESERVED_USERIDS": 5}, {"EXPIRE": "1"}, {"USERID_RESOLVER": 5}, {"ENVIRONMENT": 5}],
)
def test_issuing__broken_setting(settings, broken: dict[str, object]) -> None:
    use(settings, **broken)
    with pytest.raises(ImproperlyConfigured):
        issue_usersig(user())
