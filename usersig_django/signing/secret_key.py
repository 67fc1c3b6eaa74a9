"""What can be an HMAC SecretKey, and what only looks like one: the key of another algorithm in its place would be
accepted by HMAC without a word, and a public one would let anybody sign (SECURITY 1.3)."""

import binascii
import re

from usersig_django.exceptions import gettext_noop

_is_key_text = re.compile(r"[!-~]{32,256}").fullmatch

# SEQUENCE { INTEGER 0 or 1, SEQUENCE { OID or SEQUENCE { [0] INTEGER: private keys, public keys, certificates. Long
# enough that one random key in a thousand million looks like it, and no more.
_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_INSIDE = rb"(?:\x06[\x03-\x0b][\x2a\x2b\x55\x60]|\xa0\x03\x02\x01)"
# SEQUENCE { INTEGER of RSA's length: PKCS#1 public keys.
_MODULUS = rb"\x30(?:\x48\x02\x41|\x81.\x02\x81.|\x82..\x02\x82..)\x00"
_is_der = re.compile(
    _MODULUS + rb"|\x30" + _LENGTH + rb"(?:\x02\x01[\x00\x01]|\x30" + _LENGTH + _INSIDE + rb")", re.DOTALL
).match
_SSH_NAME = rb"(?:sk-)?(?:ssh-|ecdsa-sha2-)"
_is_openssh = re.compile(rb"openssh-key-v1|PuTTY-|(?:\x00\x00\x00.)?" + _SSH_NAME, re.DOTALL).match
_is_pem_or_jwk = re.compile(rb'-----|"kty"').search


def secret_key_fault(secret_key: object) -> str | None:
    """What is wrong with this as a SecretKey, in a sentence without any of it; None for a usable one."""
    if type(secret_key) is not str or not _is_key_text(secret_key):
        return gettext_noop("The SecretKey must be 32 to 256 printable ASCII characters without white space.")
    if any(map(_is_another_kind, _readings(secret_key.encode()))):
        return gettext_noop(
            "This is a key of another kind (PEM, DER, OpenSSH or JWK), not a SecretKey for HMAC-SHA256."
        )
    return None


def _is_another_kind(data: bytes) -> bool:
    return bool(_is_der(data) or _is_openssh(data) or _is_pem_or_jwk(data))


def _readings(text: bytes) -> list[bytes]:
    """The text as it stands, from hex, and from both alphabets of base64, where it is any."""
    readings = [text]
    digits = re.sub(rb"^0x|:", b"", text)
    if re.fullmatch(rb"[0-9A-Fa-f]+", digits):
        readings.append(binascii.unhexlify(digits[: len(digits) // 2 * 2]))
    if re.fullmatch(rb"[A-Za-z0-9+/_-]+=*", text):
        standard = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        readings.append(binascii.a2b_base64(standard[: len(standard) // 4 * 4]))
    return readings
