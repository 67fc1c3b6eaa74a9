"""A drop-in for `TLSSigAPIv2` of both official Python lines, so that migrating is one import.

The method names, the order of arguments and the default of 180 days are theirs; the checks are ours: what they
coerced, masked or printed is refused (PROTOCOL 6). Decimal text passes for an SDKAppID and an `expire` here and
nowhere else."""

import re

from usersig_django.exceptions import InvalidInput, gettext_noop
from usersig_django.signing import HmacSha256Signer

DEFAULT_EXPIRE = 180 * 86_400
"""Seconds: the default of every official signer."""

_is_decimal = re.compile(r"[1-9][0-9]{0,9}").fullmatch


class TLSSigAPIv2:
    """Signs with one SDKAppID and SecretKey; UserIDs may be those of Chat accounts that already exist (`printable`).
    Raises `InvalidKey` and `InvalidInput`, as `HmacSha256Signer` does."""

    __slots__ = ("_signer",)

    def __init__(self, sdkappid: int | str, key: str) -> None:
        try:
            self._signer = HmacSha256Signer(sdkappid=_integer(sdkappid), secret_key=key, userid_rule="printable")
        finally:
            # Error trackers collect the locals of a traceback's frames.
            del key

    def gen_sig(self, identifier: str, expire: int | str = DEFAULT_EXPIRE) -> str:
        """A UserSig, valid for `expire` seconds; so named by `tls-sig-api-v2` on PyPI."""
        return self._signer.sign(identifier, expire=_integer(expire))

    def gen_sig_with_userbuf(self, identifier: str, expire: int | str, userbuf: bytes) -> str:
        """A UserSig with a userbuf of 1..4096 bytes; so named by `tls-sig-api-v2` on PyPI."""
        if type(userbuf) is not bytes:
            raise InvalidInput(gettext_noop("userbuf must be bytes."))
        return self._signer.sign(identifier, expire=_integer(expire), userbuf=userbuf)

    def genUserSig(self, userid: str, expire: int | str = DEFAULT_EXPIRE) -> str:  # noqa: N802 - the official name
        """A UserSig, valid for `expire` seconds."""
        return self.gen_sig(userid, expire)

    def genPrivateMapKey(  # noqa: N802 - the official name
        self,
        userid: str,
        expire: int | str,
        roomid: int,
        privilegeMap: int,  # noqa: N803 - the official name
    ) -> str:
        """A PrivateMapKey for the numeric room `roomid`."""
        if type(roomid) is not int:
            raise InvalidInput(gettext_noop("roomid must be an integer."))
        return self._signer.sign_private_map_key(userid, room=roomid, privileges=privilegeMap, expire=_integer(expire))

    def genPrivateMapKeyWithStringRoomID(  # noqa: N802 - the official name
        self,
        userid: str,
        expire: int | str,
        roomstr: str,
        privilegeMap: int,  # noqa: N803 - the official name
    ) -> str:
        """A PrivateMapKey for the string room `roomstr`."""
        if type(roomstr) is not str:
            raise InvalidInput(gettext_noop("roomstr must be a str."))
        return self._signer.sign_private_map_key(
            userid, room=roomstr, privileges=privilegeMap, expire=_integer(expire)
        )


def _integer(value: int | str) -> int:
    """Decimal text as the int it spells; anything else as it is, for the signer to judge."""
    return int(value) if type(value) is str and _is_decimal(value) else value  # type: ignore[return-value]  # judged there
