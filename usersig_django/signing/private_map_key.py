"""PrivateMapKey: who may do what in which TRTC room, as the userbuf of a token (PROTOCOL 2)."""

import re
import struct
from dataclasses import dataclass

from usersig_django.exceptions import InvalidInput, MalformedUserSig, gettext_noop
from usersig_django.signing.claims import PrivateMapKeyClaims, Privilege, UserSigClaims
from usersig_django.signing.integers import UINT32_MAX, check_integer

EXPIRY_TOLERANCE = 2
"""Seconds: official signers read the clock twice, so that userbuf and token may disagree (PROTOCOL 6.3)."""

_NUMERIC_ROOM, _STRING_ROOM = 0, 1
_is_string_room = re.compile(r"[A-Za-z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,64}").fullmatch
_HEAD = struct.Struct(">BH")
_NUMBERS = struct.Struct(">IIIII")
_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Userbuf:
    """The parts of a PrivateMapKey's userbuf; `expires_at` in unix seconds."""

    account: str
    sdkappid: int
    room: int | str
    expires_at: int
    privileges: Privilege


def check_room(room: object) -> None:
    """Raise `InvalidInput` unless this is a room: an exact int 1..4294967294, or an exact str of 1..64 letters,
    digits, spaces and ``!#$%&()+-:;<=.>?@[]^_{}|~,`` (PROTOCOL 2)."""
    if type(room) is not str:
        check_integer("room", room, 1, UINT32_MAX - 1)
    elif not _is_string_room(room):
        raise InvalidInput(gettext_noop("room must be 1 to 64 characters that Tencent takes in a string room."))


def check_privileges(privileges: object) -> None:
    """Raise `InvalidInput` unless this is a `Privilege` or an exact int, 1..255."""
    value = privileges.value if type(privileges) is Privilege else privileges
    check_integer("privileges", value, 1, Privilege.ALL.value)


def encode_userbuf(account: str, sdkappid: int, *, room: int | str, expires_at: int, privileges: int) -> bytes:
    """The userbuf over values already checked; `InvalidInput` when `expires_at` (unix seconds) exceeds 32 bits."""
    check_integer("now + expire", expires_at, 1, UINT32_MAX)
    name = account.encode()
    version, number = (_STRING_ROOM, 0) if isinstance(room, str) else (_NUMERIC_ROOM, room)
    userbuf = _HEAD.pack(version, len(name)) + name + _NUMBERS.pack(sdkappid, number, expires_at, privileges, 0)
    return userbuf + _LENGTH.pack(len(room)) + room.encode() if isinstance(room, str) else userbuf


def decode_userbuf(userbuf: bytes) -> Userbuf:
    """The parts of a PrivateMapKey's userbuf; `MalformedUserSig` for a userbuf of anything else."""
    try:
        version, length = _HEAD.unpack_from(userbuf)
        end = _HEAD.size + length
        account = userbuf[_HEAD.size : end].decode("ascii")
        sdkappid, number, expires_at, privileges, _ = _NUMBERS.unpack_from(userbuf, end)
        room = userbuf[end + _NUMBERS.size + _LENGTH.size :].decode("ascii") if version == _STRING_ROOM else number
        check_room(room)
        check_privileges(privileges)
        # Lengths, trailing bytes, the version, the fields that are always zero: one comparison holds them all.
        canonical = encode_userbuf(account, sdkappid, room=room, expires_at=expires_at, privileges=privileges)
    except (struct.error, UnicodeDecodeError, InvalidInput):
        canonical = b""
    if canonical != userbuf or not userbuf:
        raise MalformedUserSig(gettext_noop("The userbuf is not that of a PrivateMapKey."))
    return Userbuf(account, sdkappid, room, expires_at, Privilege(privileges))


def read(claims: UserSigClaims) -> PrivateMapKeyClaims:
    """The PrivateMapKey that an authenticated token with a userbuf makes; `MalformedUserSig` when the userbuf is
    another thing, or belongs to another token (PROTOCOL 6.3)."""
    userbuf = decode_userbuf(claims.userbuf or b"")
    if (userbuf.account, userbuf.sdkappid) != (claims.userid, claims.sdkappid):
        raise MalformedUserSig(gettext_noop("The userbuf is for another UserID or SDKAppID than the token around it."))
    if abs(userbuf.expires_at - claims.expires_at) > EXPIRY_TOLERANCE:
        raise MalformedUserSig(gettext_noop("The userbuf and the token around it expire at different times."))
    return PrivateMapKeyClaims(
        sdkappid=claims.sdkappid,
        userid=claims.userid,
        issued_at=claims.issued_at,
        expire=claims.expire,
        userbuf=claims.userbuf,
        room=userbuf.room,
        privileges=userbuf.privileges,
        userbuf_expires_at=userbuf.expires_at,
    )
