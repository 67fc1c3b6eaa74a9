"""HMAC-SHA256 UserSigs: the algorithm of every SDKAppID since July 2019 (PROTOCOL 1)."""

import hashlib
from hmac import compare_digest
from typing import ClassVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from usersig_django.exceptions import BadSignature, InvalidKey, MalformedUserSig, gettext_noop
from usersig_django.signing import codec
from usersig_django.signing.claims import UserSigClaims
from usersig_django.signing.document import Document, escape
from usersig_django.signing.secret_key import secret_key_fault
from usersig_django.signing.signer import Signer
from usersig_django.signing.userid import is_printable_userid
from usersig_django.signing.verifier import Reading

VERSION = "2.0"
DIGEST_SIZE = 32


class HmacSha256Signer(Signer):
    """Signs and verifies with the console's SecretKey, used as text and not hex-decoded."""

    __slots__ = ("_keyed_hmac",)

    algorithm: ClassVar[str] = "HMAC-SHA256"
    _keyed_hmac: HMAC

    def __init__(
        self, *, sdkappid: int, secret_key: str, compression_level: int = 6, userid_rule: str = "strict"
    ) -> None:
        """`sdkappid` 1..4294967295; `secret_key` 32..256 printable ASCII characters; `compression_level` 0..9 (zlib);
        `userid_rule` `"strict"` or `"printable"` (PROTOCOL 4), for signing.

        Raises `InvalidKey` for a key of the wrong length, characters or kind, `InvalidInput` for the rest."""
        try:
            check_secret_key(secret_key)
            key = secret_key.encode()
        finally:
            # Error trackers collect the locals of a traceback's frames.
            del secret_key
        # A keyed state signs faster than a key, and does not give it back. cryptography's takes half as long as the
        # standard library's: level 0 signs a seventh faster.
        object.__setattr__(self, "_keyed_hmac", HMAC(key, SHA256()))
        fingerprint = hashlib.sha256(key).hexdigest()[:8]
        del key
        super().__init__(sdkappid, fingerprint, compression_level, userid_rule)

    def _write(self, userid: str, issued_at: int, expire: int, userbuf: str | None) -> str:
        signature = codec.encode_base64(self._digest(_text(userid, self._sdkappid, issued_at, expire, userbuf)))
        member = "" if userbuf is None else f'"TLS.userbuf":"{userbuf}",'
        # The order is free; this one deflates shortest.
        document = (
            f'{{"TLS.ver":"{VERSION}","TLS.identifier":"{escape(userid)}","TLS.sig":"{signature}",{member}'
            f'"TLS.time":{issued_at},"TLS.sdkappid":{self._sdkappid},"TLS.expire":{expire}}}'
        )
        return codec.pack(document, self._compression_level)

    def _read(self, members: Document) -> Reading:
        return read(members)

    def _authenticate(self, reading: Reading) -> None:
        if not compare_digest(self._digest(reading.text), reading.signature):
            raise BadSignature(gettext_noop("The signature was not made with this key."))

    def _digest(self, text: str) -> bytes:
        state = self._keyed_hmac.copy()
        state.update(text.encode())
        return state.finalize()


def check_secret_key(secret_key: object) -> None:
    """Raise `InvalidKey` unless this can be a console SecretKey; the message holds none of it (SECURITY 1.3)."""
    fault = secret_key_fault(secret_key)
    del secret_key
    if fault:
        raise InvalidKey(fault)


def read(members: Document) -> Reading:
    """The HMAC document that these members make; `MalformedUserSig` when they make none (SECURITY 2.3)."""
    userid = members.get("TLS.identifier")
    sdkappid = members.get("TLS.sdkappid")
    issued_at = members.get("TLS.time")
    expire = members.get("TLS.expire")
    signature = members.get("TLS.sig")
    userbuf = members.get("TLS.userbuf")
    if members.get("TLS.ver") != VERSION or len(members) != (6 if userbuf is None else 7):
        raise MalformedUserSig(gettext_noop("The document is not that of an HMAC-SHA256 UserSig."))
    if type(userid) is not str or not is_printable_userid(userid):
        raise MalformedUserSig(gettext_noop("TLS.identifier is not a UserID."))
    if type(sdkappid) is not int or type(issued_at) is not int or type(expire) is not int:
        raise MalformedUserSig(gettext_noop("TLS.sdkappid, TLS.time and TLS.expire must be numbers."))
    if not (sdkappid and issued_at and expire):
        raise MalformedUserSig(gettext_noop("TLS.sdkappid, TLS.time and TLS.expire must not be zero."))
    if type(signature) is not str or isinstance(userbuf, int):
        raise MalformedUserSig(gettext_noop("TLS.sig and TLS.userbuf must be strings."))
    digest = codec.decode_base64(signature)
    if len(digest) != DIGEST_SIZE:
        raise MalformedUserSig(gettext_noop("TLS.sig is not %(size)s bytes."), size=DIGEST_SIZE)
    claims = UserSigClaims(
        sdkappid, userid, issued_at, expire, None if userbuf is None else codec.decode_base64(userbuf)
    )
    return Reading(claims, _text(userid, sdkappid, issued_at, expire, userbuf), digest)


def _text(userid: str, sdkappid: int, issued_at: int, expire: int, userbuf: str | None) -> str:
    text = f"TLS.identifier:{userid}\nTLS.sdkappid:{sdkappid}\nTLS.time:{issued_at}\nTLS.expire:{expire}\n"
    return text if userbuf is None else f"{text}TLS.userbuf:{userbuf}\n"
