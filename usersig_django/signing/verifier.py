"""What every algorithm has in common: the verify calls, in the order of SECURITY 2, and the sign calls above them."""

import time
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, NoReturn, Self

from usersig_django.exceptions import (
    InvalidInput,
    MalformedUserSig,
    SDKAppIDMismatch,
    UserIDMismatch,
    UserSigExpired,
    UserSigNotYetValid,
    UserSigRevoked,
)
from usersig_django.signing import codec, document
from usersig_django.signing.claims import UserSigClaims
from usersig_django.signing.integers import check_expire, check_sdkappid, issue_time
from usersig_django.signing.userid import check_rule, check_userid

USERBUF_MAX = 4096
LEEWAY = 300


class Reading(NamedTuple):
    """A well-formed document, not authenticated yet: what it claims, the text it says was signed, its signature."""

    claims: UserSigClaims
    text: str
    signature: str


class Verifier(ABC):
    """Verifies the tokens of one SDKAppID with one key. Immutable, safe to share between threads."""

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
        seconds by which the issuer's clock may run ahead; it never extends the validity.

        Raises `InvalidInput` for an argument of another type, and of `InvalidUserSig`: `MalformedUserSig` (also for
        a token with a userbuf), `BadSignature`, `SDKAppIDMismatch`, `UserIDMismatch`, `UserSigExpired`,
        `UserSigNotYetValid`, `UserSigRevoked`."""
        _check_arguments(userid, now, leeway, not_before)
        reading = self._read(document.parse(codec.unpack(usersig)))
        if reading.claims.userbuf is not None:
            raise MalformedUserSig("The token carries a userbuf: it is not a plain UserSig.")
        self._authenticate(reading)
        self._check_identity(reading.claims, userid)
        check_times(reading.claims, now, leeway, not_before)
        return reading.claims

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
        _check_arguments(userid, now, leeway, not_before)
        reading = self._read(document.parse(codec.unpack(usersig)))
        if reading.claims.userbuf is None:
            raise MalformedUserSig("The token carries no userbuf.")
        self._authenticate(reading)
        self._check_identity(reading.claims, userid)
        check_times(reading.claims, now, leeway, not_before)
        return reading.claims

    @abstractmethod
    def _read(self, members: document.Document) -> Reading:
        """The document of this algorithm that these members make, or `MalformedUserSig`."""

    @abstractmethod
    def _authenticate(self, reading: Reading) -> None:
        """Raise `BadSignature` unless this key made the signature."""

    def _check_identity(self, claims: UserSigClaims, userid: str | None) -> None:
        if claims.sdkappid != self._sdkappid:
            raise SDKAppIDMismatch("The token is for another SDKAppID.")
        if userid is not None and claims.userid != userid:
            raise UserIDMismatch("The token is for another UserID.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sdkappid={self._sdkappid}, key_fingerprint={self._key_fingerprint!r})"

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


class Signer(Verifier):
    """Signs, and verifies what it signs."""

    __slots__ = ("_compression_level", "_userid_rule")

    _compression_level: int
    _userid_rule: str

    def __init__(self, sdkappid: int, key_fingerprint: str, compression_level: int, userid_rule: str) -> None:
        super().__init__(sdkappid, key_fingerprint)
        codec.check_compression_level(compression_level)
        check_rule(userid_rule)
        object.__setattr__(self, "_compression_level", compression_level)
        object.__setattr__(self, "_userid_rule", userid_rule)

    def sign(self, userid: str, *, expire: int, userbuf: bytes | None = None, now: int | None = None) -> str:
        """A UserSig for `userid`, valid for `expire` seconds (1..315360000) from `now` (unix seconds; the clock).

        `userbuf`: 1..4096 bytes that Tencent hands on unread. Raises `InvalidInput`."""
        check_userid(userid, self._userid_rule)
        check_expire(expire)
        if userbuf is None:
            encoded = None
        elif type(userbuf) is bytes and 1 <= len(userbuf) <= USERBUF_MAX:
            encoded = codec.encode_base64(userbuf)
        else:
            raise InvalidInput(f"userbuf must be 1 to {USERBUF_MAX} bytes.")
        return codec.pack(self._write(userid, issue_time(now), expire, encoded), self._compression_level)

    @abstractmethod
    def _write(self, userid: str, issued_at: int, expire: int, userbuf: str | None) -> str:
        """The signed document over values already checked; `userbuf` in base64."""


def check_times(claims: UserSigClaims, now: int | None, leeway: int, not_before: int | None) -> None:
    """Raise what SECURITY 2.7 says for a token outside its time."""
    if now is None:
        now = int(time.time())
    if now > claims.expires_at:
        raise UserSigExpired("The token has expired.")
    if claims.issued_at > now + leeway:
        raise UserSigNotYetValid("The token was issued in the future.")
    if not_before is not None and claims.issued_at < not_before:
        raise UserSigRevoked("The token was issued before the instant from which tokens are accepted.")


def _check_arguments(userid: object, now: object, leeway: object, not_before: object) -> None:
    if userid is not None and type(userid) is not str:
        raise InvalidInput("userid must be a str.")
    if now is not None and type(now) is not int:
        raise InvalidInput("now must be an integer: unix seconds.")
    if type(leeway) is not int or leeway < 0:
        raise InvalidInput("leeway must be a number of seconds from 0 up.")
    if not_before is not None and type(not_before) is not int:
        raise InvalidInput("not_before must be an integer: unix seconds.")
