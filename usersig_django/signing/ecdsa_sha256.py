"""ECDSA-SHA256 UserSigs: SDKAppIDs from before July 2019 that were not upgraded (PROTOCOL 3)."""

import hashlib
import re
from collections.abc import Callable
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from usersig_django.exceptions import BadSignature, InvalidKey, MalformedUserSig, gettext_noop
from usersig_django.signing import codec, pem, plain_json, template
from usersig_django.signing.claims import UserSigClaims
from usersig_django.signing.document import Document, escape
from usersig_django.signing.signer import Signer
from usersig_django.signing.userid import is_printable_userid
from usersig_django.signing.verifier import LEEWAY, Reading, Verifier, check_arguments

VERSION = "201610110000"

_ECDSA = ec.ECDSA(SHA256())
_REQUIRED = frozenset(
    ("TLS.account_type", "TLS.identifier", "TLS.sdk_appid", "TLS.time", "TLS.expire_after", "TLS.sig")
)
_MEMBERS = _REQUIRED | {"TLS.appid_at_3rd", "TLS.version", "TLS.userbuf"}
_is_number = re.compile(r"0|[1-9][0-9]{0,15}").fullmatch
_is_printable = re.compile(r"[ -~]*").fullmatch
_is_unicode = re.compile(r"[^\ud800-\udfff]*").fullmatch
_white_space = re.compile(r"[ \t\r\n]+")


class _EcdsaSha256(Verifier):
    """The half that the public key alone can do."""

    __slots__ = ()

    algorithm: ClassVar[str] = "ECDSA-SHA256"
    _public_key: ec.EllipticCurvePublicKey

    def verify_plain_json(
        self,
        text: str,
        *,
        userid: str | None = None,
        now: int | None = None,
        leeway: int = LEEWAY,
        not_before: int | None = None,
        utc_offset: int = plain_json.UTC_OFFSET,
    ) -> UserSigClaims:
        """The claims of the oldest form: the JSON text itself, with the issuer's local time (PROTOCOL 3).

        `utc_offset`: seconds by which the issuer's clock was ahead of UTC, -86399..86399; the text does not tell.
        The other arguments and the errors are those of `verify`."""
        check_arguments(userid, now, leeway, not_before)
        plain_json.check_utc_offset(utc_offset)
        members = plain_json.parse(text)
        reading = read(members, lambda time: plain_json.unix_time(time, utc_offset))
        return self._accept_plain(reading, userid, now, leeway, not_before)

    def _read(self, members: Document) -> Reading:
        return read(members)

    def _authenticate(self, reading: Reading) -> None:
        try:
            # OpenSSL takes strict DER only.
            self._public_key.verify(reading.signature, reading.text.encode(), _ECDSA)
        except InvalidSignature:
            raise BadSignature(gettext_noop("The signature was not made with this key.")) from None

    def _keep_public_key(self, public_key: ec.EllipticCurvePublicKey) -> str:
        object.__setattr__(self, "_public_key", public_key)
        der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()[:8]


class EcdsaSha256Verifier(_EcdsaSha256):
    """Verifies with the console's `public_key`."""

    __slots__ = ("_public_key",)

    def __init__(self, *, sdkappid: int, public_key: str) -> None:
        """`sdkappid` 1..4294967295; `public_key` in PEM, on P-256 or secp256k1.

        Raises `InvalidKey` for any other key, a private one too, and `InvalidInput` for the SDKAppID."""
        try:
            key = pem.load_public_key(public_key)
        finally:
            # A private key given by mistake is a secret too, and error trackers collect the locals of frames.
            del public_key
        if key is None:
            raise InvalidKey(gettext_noop("The public key must be PEM, on P-256 or secp256k1."))
        super().__init__(sdkappid, self._keep_public_key(key))


class EcdsaSha256Signer(_EcdsaSha256, Signer):
    """Signs and verifies with the console's `private_key`."""

    __slots__ = ("_private_key", "_public_key")

    _private_key: ec.EllipticCurvePrivateKey

    def __init__(
        self, *, sdkappid: int, private_key: str, compression_level: int = 6, userid_rule: str = "strict"
    ) -> None:
        """`sdkappid` 1..4294967295; `private_key` in PEM (PKCS#8 or SEC1, not encrypted; literal `\\n` is read as a
        line break), on P-256 or secp256k1; `compression_level` 0..9; `userid_rule` `"strict"` or `"printable"`.

        Raises `InvalidKey` for any other key and `InvalidInput` for the rest."""
        try:
            key = pem.load_private_key(private_key)
        finally:
            # Error trackers collect the locals of a traceback's frames.
            del private_key
        if key is None:
            raise InvalidKey(gettext_noop("The private key must be unencrypted PEM, on P-256 or secp256k1."))
        object.__setattr__(self, "_private_key", key)
        fingerprint = self._keep_public_key(key.public_key())
        Signer.__init__(self, sdkappid, fingerprint, compression_level, userid_rule)

    def _write(self, userid: str, issued_at: int, expire: int, userbuf: str | None) -> str:
        text = _text("0", "0", userid, str(self._sdkappid), str(issued_at), str(expire), userbuf)
        signature = codec.encode_base64(self._private_key.sign(text.encode(), _ECDSA))
        head = (
            f'{{"TLS.account_type":"0","TLS.appid_at_3rd":"0","TLS.sdk_appid":"{self._sdkappid}",'
            f'"TLS.version":"{VERSION}","TLS.expire_after":"'
        )
        constants = (head, '","TLS.time":"', '","TLS.sig":"', '","TLS.identifier":"')
        end = '"}' if userbuf is None else f'","TLS.userbuf":"{userbuf}"}}'
        values = (str(expire), str(issued_at), signature, escape(userid) + end)
        return template.pack(constants, values, self._compression_level)


def read(members: Document, unix_time: Callable[[str], int] | None = None) -> Reading:
    """The ECDSA document that these members make; `MalformedUserSig` when they make none (SECURITY 2.3).

    `unix_time` reads `TLS.time` where that is no number."""
    strings = {name: value for name, value in members.items() if type(value) is str}
    if len(strings) != len(members) or not _REQUIRED <= strings.keys() <= _MEMBERS:
        raise MalformedUserSig(gettext_noop("The document is not that of an ECDSA-SHA256 UserSig."))
    userid, appid_at_3rd, userbuf = map(strings.get, ("TLS.identifier", "TLS.appid_at_3rd", "TLS.userbuf"))
    if userid is None or not is_printable_userid(userid):
        raise MalformedUserSig(gettext_noop("TLS.identifier is not a UserID."))
    if not _is_printable(appid_at_3rd or "") or not _is_unicode(strings.get("TLS.version", "")):
        raise MalformedUserSig(gettext_noop("TLS.appid_at_3rd or TLS.version holds impossible characters."))
    account_type, time = strings["TLS.account_type"], strings["TLS.time"]
    sdkappid, expire = strings["TLS.sdk_appid"], strings["TLS.expire_after"]
    claims = UserSigClaims(
        sdkappid=_number(sdkappid),
        userid=userid,
        issued_at=_number(time) if unix_time is None else unix_time(time),
        expire=_number(expire),
        userbuf=None if userbuf is None else codec.decode_base64(userbuf),
    )
    _number(account_type)
    # Some old signers broke the lines of this base64 (PROTOCOL 3).
    signature = codec.decode_base64(_white_space.sub("", strings["TLS.sig"]))
    return Reading(claims, _text(appid_at_3rd, account_type, userid, sdkappid, time, expire, userbuf), signature)


def _number(text: str) -> int:
    if not _is_number(text):
        raise MalformedUserSig(gettext_noop("A number in the document is not decimal digits."))
    return int(text)


def _text(
    appid_at_3rd: str | None,
    account_type: str,
    userid: str,
    sdkappid: str,
    time: str,
    expire: str,
    userbuf: str | None,
) -> str:
    text = (
        f"TLS.account_type:{account_type}\nTLS.identifier:{userid}\nTLS.sdk_appid:{sdkappid}\n"
        f"TLS.time:{time}\nTLS.expire_after:{expire}\n"
    )
    if appid_at_3rd is not None:
        text = f"TLS.appid_at_3rd:{appid_at_3rd}\n{text}"
    return text if userbuf is None else f"{text}TLS.userbuf:{userbuf}\n"
