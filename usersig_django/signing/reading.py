"""Reading a token without verifying it: for diagnosis only."""

from usersig_django.exceptions import MalformedUserSig, gettext_noop
from usersig_django.signing import codec, document, ecdsa_sha256, hmac_sha256
from usersig_django.signing.claims import UserSigClaims

_STANDARD_BASE64 = "+/="


def decode(usersig: str) -> UserSigClaims:
    """What a token of either algorithm says, true or not: nothing is verified.

    Raises `InvalidInput` for anything but an exact str, and `MalformedUserSig`, whose message names the two forms
    that the verify calls refuse and somebody may still hold: standard base64, as the WebRTC Node sample has it, and
    plain JSON (PROTOCOL 3)."""
    try:
        members = document.parse(codec.unpack(usersig))
    except MalformedUserSig:
        _name_foreign_form(usersig)
        raise
    read = hmac_sha256.read if "TLS.ver" in members else ecdsa_sha256.read
    return read(members).claims


def _name_foreign_form(usersig: str) -> None:
    if usersig.lstrip().startswith("{"):
        raise MalformedUserSig(
            gettext_noop(
                "This is JSON text, as the oldest signers issued it: verify_plain_json() reads it, nothing else does."
            )
        )
    if any(character in usersig for character in _STANDARD_BASE64):
        raise MalformedUserSig(
            gettext_noop(
                "This is in standard base64 (+ / =), as the WebRTC Node sample has it; Tencent's alphabet is * - _."
            )
        )
