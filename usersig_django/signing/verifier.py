"""The verify calls of every algorithm, in the order of SECURITY 2."""

import time
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, NoReturn, Self

from usersig_django.exceptions import (
    InvalidInput,
    MalformedUserSig,
    RoomMismatch,
    SDKAppIDMismatch,
    UserIDMismatch,
    UserSigExpired,
    UserSigNotYetValid,
    UserSigRevoked,
    gettext_noop,
)
from usersig_django.signing import codec, document, private_map_key
from usersig_django.signing.claims import PrivateMapKeyClaims, UserSigClaims
from usersig_django.signing.integers import check_sdkappid

LEEWAY = 300
"""Seconds by which the issuer's clock may be ahead of ours."""


class Reading(NamedTuple):
    """A well-formed document, not authenticated yet: what it claims, the text it says was signed, the signature."""

    claims: UserSigClaims
    text: str
    signature: bytes


class Verifier(ABC):
    """Verifies the tokens of one SDKAppID with one key. Immutable, safe to share between threads, never serialized."""

    __slots__ = ("_key_fingerprint", "_sdkappid")

    algorithm: ClassVar[str]
    _key_fingerprint: str
    _sdkappid: int

    def __init__(self, sdkappid: int, key_fingerprint: str) -> None:
        check_sdkappid(sdkappid)
        object.__setattr__(self, "_sdkappid", sdkappid)
        object.__setattr__(self, "_key_fingerprint", key_fingerprint)

    @property
    def sdkappid(self) -> int:
        """The SDKAppID whose tokens these are."""
        return self._sdkappid

    @property
    def key_fingerprint(self) -> str:
        """8 hex digits that tell this key from others."""
        return self._key_fingerprint

    def verify(
        self,
        usersig: str,
        *,
        userid: str | None = None,
        now: int | None = None,
        leeway: int = LEEWAY,
        not_before: int | None = None,
    ) -> UserSigClaims:
        """The claims of a plain UserSig (SECURITY 2).

        `userid`: compared when given. `now`, `not_before`: unix seconds; the clock when `now` is absent. `leeway`:
        seconds, 0 and up, by which the issuer's clock may be ahead; it never extends the validity.

        Raises `InvalidInput` for an argument of another type, and of `InvalidUserSig`: `MalformedUserSig` (also for
        a token with a userbuf), `BadSignature`, `SDKAppIDMismatch`, `UserIDMismatch`, `UserSigExpired`,
        `UserSigNotYetValid`, `UserSigRevoked`."""
        check_arguments(userid, now, leeway, not_before)
        return self._accept_plain(self._open(usersig), userid, now, leeway, not_before)

    def verify_userbuf(
        self,
        usersig: str,
        *,
        userid: str | None = None,
        now: int | None = None,
        leeway: int = LEEWAY,
        not_before: int | None = None,
    ) -> UserSigClaims:
        """The claims of a UserSig with a userbuf, of whatever content; arguments and errors as in `verify`, and
        `MalformedUserSig` for a token without one."""
        check_arguments(userid, now, leeway, not_before)
        claims = self._authentic_with_userbuf(usersig)
        self._check_identity(claims, userid)
        _check_times(claims, now, leeway, not_before)
        return claims

    def verify_private_map_key(
        self,
        key: str,
        *,
        userid: str | None = None,
        room: int | str | None = None,
        now: int | None = None,
        leeway: int = LEEWAY,
        not_before: int | None = None,
    ) -> PrivateMapKeyClaims:
        """The claims of a PrivateMapKey (PROTOCOL 2). `room`: compared when given, an int with numeric rooms and a
        str with string rooms. The rest as in `verify`, `MalformedUserSig` for a token that is no PrivateMapKey, and
        `RoomMismatch`."""
        check_arguments(userid, now, leeway, not_before)
        if room is not None and type(room) not in (int, str):
            raise InvalidInput(gettext_noop("room must be an int or a str."))
        claims = private_map_key.read(self._authentic_with_userbuf(key))
        self._check_identity(claims, userid)
        if room is not None and claims.room != room:
            raise RoomMismatch(gettext_noop("The PrivateMapKey is for another room."))
        _check_times(claims, now, leeway, not_before)
        return claims

    @abstractmethod
    def _read(self, members: document.Document) -> Reading:
        """The document of this algorithm that these members make, or `MalformedUserSig`."""

    @abstractmethod
    def _authenticate(self, reading: Reading) -> None:
        """Raise `BadSignature` unless this key made the signature."""

    def _open(self, usersig: str) -> Reading:
        return self._read(document.parse(codec.unpack(usersig)))

    def _accept_plain(
        self, reading: Reading, userid: str | None, now: int | None, leeway: int, not_before: int | None
    ) -> UserSigClaims:
        if reading.claims.userbuf is not None:
            raise MalformedUserSig(gettext_noop("The token carries a userbuf: it is not a plain UserSig."))
        self._authenticate(reading)
        self._check_identity(reading.claims, userid)
        _check_times(reading.claims, now, leeway, not_before)
        return reading.claims

    def _authentic_with_userbuf(self, usersig: str) -> UserSigClaims:
        reading = self._open(usersig)
        if reading.claims.userbuf is None:
            raise MalformedUserSig(gettext_noop("The token carries no userbuf: it is a plain UserSig."))
        self._authenticate(reading)
        return reading.claims

    def _check_identity(self, claims: UserSigClaims, userid: str | None) -> None:
        if claims.sdkappid != self._sdkappid:
            raise SDKAppIDMismatch(gettext_noop("The token is for another SDKAppID."))
        if userid is not None and claims.userid != userid:
            raise UserIDMismatch(gettext_noop("The token is for another UserID."))

    def __repr__(self) -> str:
        # The traceback of a constructor that refused its arguments shows a signer without either.
        sdkappid, fingerprint = (getattr(self, name, None) for name in ("_sdkappid", "_key_fingerprint"))
        return f"{type(self).__name__}(sdkappid={sdkappid}, key_fingerprint={fingerprint!r})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a key and is not serialized.")


def check_arguments(userid: object, now: object, leeway: object, not_before: object) -> None:
    """Raise `InvalidInput` for an argument of a verify call that is of another type."""
    if userid is not None and type(userid) is not str:
        raise InvalidInput(gettext_noop("userid must be a str."))
    if now is not None and type(now) is not int:
        raise InvalidInput(gettext_noop("now must be an integer: unix seconds."))
    if type(leeway) is not int or leeway < 0:
        raise InvalidInput(gettext_noop("leeway must be an integer from 0: seconds."))
    if not_before is not None and type(not_before) is not int:
        raise InvalidInput(gettext_noop("not_before must be an integer: unix seconds."))


def _check_times(claims: UserSigClaims, now: int | None, leeway: int, not_before: int | None) -> None:
    if now is None:
        now = int(time.time())
    if now > claims.expires_at:
        raise UserSigExpired(gettext_noop("The token has expired."))
    if claims.issued_at > now + leeway:
        raise UserSigNotYetValid(gettext_noop("The token was issued in the future."))
    if not_before is not None and claims.issued_at < not_before:
        raise UserSigRevoked(gettext_noop("The token was issued before the instant from which tokens are accepted."))
