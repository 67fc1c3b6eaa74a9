"""Everything that issues goes through here, in this order: user, UserID, reserved names, room policy, application,
signature, audit, signal (DESIGN 4, SECURITY 1)."""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from asgiref.sync import sync_to_async

from usersig_django import audit
from usersig_django.applications import get_application
from usersig_django.audit import Event, Origin
from usersig_django.conf import MAX_EXPIRE, MIN_EXPIRE, conf
from usersig_django.eligibility import check_not_reserved, check_user, get_userid
from usersig_django.exceptions import InvalidInput, IssuingRefused, SigningUnavailable, UserIDReserved, gettext_noop
from usersig_django.rooms import get_privileges
from usersig_django.signals import usersig_issued
from usersig_django.signing import Privilege
from usersig_django.signing.private_map_key import check_room
from usersig_django.signing.userid import check_userid

# 2020-01-01: no machine that runs this is older, so an earlier clock is a wrong one.
EARLIEST_NOW: Final = 1_577_836_800


@dataclass(frozen=True, slots=True)
class IssuedUserSig:
    """A UserSig and what is true of it. `expire` is in seconds; the datetimes are aware, in UTC."""

    environment: str
    sdkappid: int
    userid: str
    usersig: str = field(repr=False)
    expire: int
    issued_at: datetime
    expires_at: datetime
    key_fingerprint: str


@dataclass(frozen=True, slots=True)
class IssuedPrivateMapKey:
    """A PrivateMapKey and what is true of it. An int `room` is a numeric room, a str a string room."""

    environment: str
    sdkappid: int
    userid: str
    private_map_key: str = field(repr=False)
    room: int | str
    privileges: Privilege
    expire: int
    issued_at: datetime
    expires_at: datetime
    key_fingerprint: str


def issue_usersig(
    user: Any, *, environment: str | None = None, expire: int | None = None, origin: Origin | None = None
) -> IssuedUserSig:
    """A UserSig for a user of this project, whose UserID the configured resolver gives.

    `expire`: seconds, 60..315360000; by default the application's. Raises IssuingRefused (`code` says why;
    SigningUnavailable where no key can sign now), InvalidInput, ImproperlyConfigured, and the database's errors.
    """
    origin = origin or Origin(user=user)
    if expire is not None:
        check_lifetime(expire)
    userid = ""
    try:
        check_user(user)
        userid = get_userid(user)
        check_not_reserved(userid)
    except IssuingRefused as refused:
        asked = Event(audit.USERSIG, environment or "", userid=userid, expire=expire)
        audit.record_refused(refused.code, asked, origin)
        raise
    return _issue_usersig(userid, environment, expire, origin)


def issue_usersig_for_userid(
    userid: str,
    *,
    environment: str | None = None,
    expire: int | None = None,
    allow_reserved: bool = False,
    origin: Origin | None = None,
) -> IssuedUserSig:
    """A UserSig for any UserID. The caller answers for who gets it. Arguments and errors as `issue_usersig`."""
    origin = origin or Origin()
    check_userid(userid, conf.userid_rule)
    if expire is not None:
        check_lifetime(expire)
    if allow_reserved is not True:
        asked = Event(audit.USERSIG, environment or "", userid=userid, expire=expire)
        _refuse_reserved(asked, origin)
    return _issue_usersig(userid, environment, expire, origin)


def issue_private_map_key(
    user: Any, room: int | str, *, environment: str | None = None, origin: Origin | None = None
) -> IssuedPrivateMapKey:
    """A PrivateMapKey for a user and a room, with the privileges that `ROOM_POLICY` grants.

    `room`: an int (1..4294967294) is a numeric room, a str (1..64 bytes) a string room. Valid for
    `PRIVATE_MAP_KEY_EXPIRE` seconds. Errors as `issue_usersig`, and RoomForbidden.
    """
    origin = origin or Origin(user=user)
    check_room(room)
    userid = ""
    try:
        check_user(user)
        userid = get_userid(user)
        check_not_reserved(userid)
        privileges = get_privileges(user, room)
    except IssuingRefused as refused:
        asked = Event(audit.PRIVATE_MAP_KEY, environment or "", userid=userid, room=room)
        audit.record_refused(refused.code, asked, origin)
        raise
    return _issue_private_map_key(userid, room, privileges, environment, None, origin)


def issue_private_map_key_for_userid(
    userid: str,
    *,
    room: int | str,
    privileges: Privilege | int,
    environment: str | None = None,
    expire: int | None = None,
    allow_reserved: bool = False,
    origin: Origin | None = None,
) -> IssuedPrivateMapKey:
    """A PrivateMapKey for any UserID with any privileges (1..255): no policy is asked, the caller answers for it."""
    origin = origin or Origin()
    check_userid(userid, conf.userid_rule)
    check_room(room)
    if expire is not None:
        check_lifetime(expire)
    if allow_reserved is not True:
        asked = Event(audit.PRIVATE_MAP_KEY, environment or "", userid=userid, room=room, expire=expire)
        _refuse_reserved(asked, origin)
    return _issue_private_map_key(userid, room, privileges, environment, expire, origin)


aissue_usersig = sync_to_async(issue_usersig)
aissue_usersig_for_userid = sync_to_async(issue_usersig_for_userid)
aissue_private_map_key = sync_to_async(issue_private_map_key)
aissue_private_map_key_for_userid = sync_to_async(issue_private_map_key_for_userid)


def check_lifetime(expire: int) -> None:
    if type(expire) is not int or not MIN_EXPIRE <= expire <= MAX_EXPIRE:
        raise InvalidInput(
            gettext_noop("expire must be an int of %(minimum)s..%(maximum)s seconds."),
            minimum=MIN_EXPIRE,
            maximum=MAX_EXPIRE,
        )


def read_clock() -> int:
    """Unix seconds. Raises SigningUnavailable where the clock cannot be right (SECURITY 4)."""
    now = int(time.time())
    if now < EARLIEST_NOW:
        raise SigningUnavailable(gettext_noop("The clock is before 2020-01-01: set it, or nothing will be valid."))
    return now


def _refuse_reserved(asked: Event, origin: Origin) -> None:
    try:
        check_not_reserved(asked.userid)
    except UserIDReserved as refused:
        audit.record_refused(refused.code, asked, origin)
        raise


def _issue_usersig(userid: str, environment: str | None, expire: int | None, origin: Origin) -> IssuedUserSig:
    application = get_application(environment)
    signer = application.signer
    now = read_clock()
    expire = application.expire if expire is None else expire
    issued = IssuedUserSig(
        environment=application.environment,
        sdkappid=application.sdkappid,
        userid=userid,
        usersig=signer.sign(userid, expire=expire, now=now),
        expire=expire,
        issued_at=datetime.fromtimestamp(now, UTC),
        expires_at=datetime.fromtimestamp(now + expire, UTC),
        key_fingerprint=signer.key_fingerprint,
    )
    _record(audit.USERSIG, issued, origin)
    if usersig_issued.has_listeners(IssuedUserSig):
        _announce(replace(issued, usersig=""), origin)
    return issued


def _issue_private_map_key(
    userid: str,
    room: int | str,
    privileges: Privilege | int,
    environment: str | None,
    expire: int | None,
    origin: Origin,
) -> IssuedPrivateMapKey:
    application = get_application(environment)
    signer = application.signer
    now = read_clock()
    expire = conf.private_map_key_expire if expire is None else expire
    issued = IssuedPrivateMapKey(
        environment=application.environment,
        sdkappid=application.sdkappid,
        userid=userid,
        private_map_key=signer.sign_private_map_key(userid, room=room, privileges=privileges, expire=expire, now=now),
        room=room,
        privileges=Privilege(privileges),
        expire=expire,
        issued_at=datetime.fromtimestamp(now, UTC),
        expires_at=datetime.fromtimestamp(now + expire, UTC),
        key_fingerprint=signer.key_fingerprint,
    )
    _record(audit.PRIVATE_MAP_KEY, issued, origin, room=room, privileges=int(privileges))
    if usersig_issued.has_listeners(IssuedPrivateMapKey):
        _announce(replace(issued, private_map_key=""), origin)
    return issued


def _record(kind: str, issued: IssuedUserSig | IssuedPrivateMapKey, origin: Origin, **room: Any) -> None:
    if audit.is_on():
        event = Event(
            kind=kind,
            environment=issued.environment,
            sdkappid=issued.sdkappid,
            userid=issued.userid,
            expire=issued.expire,
            key_fingerprint=issued.key_fingerprint,
            issued_at=issued.issued_at,
            **room,
        )
        audit.record_issued(event, origin)


def _announce(issued: IssuedUserSig | IssuedPrivateMapKey, origin: Origin) -> None:
    usersig_issued.send_robust(
        sender=type(issued), issued=issued, user=origin.user, channel=origin.channel, request=origin.request
    )
