"""The sign calls of every algorithm (SECURITY 1)."""

from abc import abstractmethod

from usersig_django.exceptions import InvalidInput, gettext_noop
from usersig_django.signing import codec
from usersig_django.signing.claims import Privilege
from usersig_django.signing.integers import check_expire, issue_time
from usersig_django.signing.private_map_key import check_privileges, check_room, encode_userbuf
from usersig_django.signing.userid import check_rule, check_userid
from usersig_django.signing.verifier import Verifier

USERBUF_MAX = 4096
"""Bytes: what fits a token that a verifier takes, at every compression level."""


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
        """A UserSig for `userid`, valid for `expire` seconds (1..315360000) from `now` (unix seconds; the clock when
        absent). `userbuf`: 1..4096 bytes that Tencent hands on. Raises `InvalidInput` (PROTOCOL 1, 3)."""
        check_userid(userid, self._userid_rule)
        check_expire(expire)
        if userbuf is None:
            encoded = None
        elif type(userbuf) is bytes and 1 <= len(userbuf) <= USERBUF_MAX:
            encoded = codec.encode_base64(userbuf)
        else:
            raise InvalidInput(gettext_noop("userbuf must be 1 to %(maximum)s bytes."), maximum=USERBUF_MAX)
        return self._write(userid, issue_time(now), expire, encoded)

    def sign_private_map_key(
        self, userid: str, *, room: int | str, privileges: Privilege | int, expire: int, now: int | None = None
    ) -> str:
        """A PrivateMapKey for `userid` in `room` (an int or a str, by `check_room`: rooms of two kinds), with
        `privileges` 1..255, valid for `expire` seconds (1..315360000) from `now` (unix seconds; the clock when
        absent) and not beyond 32 bits. Raises `InvalidInput` (PROTOCOL 2)."""
        check_userid(userid, self._userid_rule)
        check_room(room)
        check_privileges(privileges)
        check_expire(expire)
        issued_at = issue_time(now)
        userbuf = encode_userbuf(
            userid, self._sdkappid, room=room, expires_at=issued_at + expire, privileges=privileges
        )
        return self._write(userid, issued_at, expire, codec.encode_base64(userbuf))

    @abstractmethod
    def _write(self, userid: str, issued_at: int, expire: int, userbuf: str | None) -> str:
        """The token over values already checked; `userbuf` in base64."""
