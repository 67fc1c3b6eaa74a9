"""The console's key files: P-256 and secp256k1 keys in PEM, in every form in which they travel (PROTOCOL 3)."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

_CURVES = (ec.SECP256R1, ec.SECP256K1)

# One key and nothing else, but for the block of parameters that openssl writes before a SEC1 key. Base64 alone has
# no room for the headers of an encrypted key.
_BODY = r"[A-Za-z0-9+/=\s]+"
_PARAMETERS = rf"(?:-----BEGIN EC PARAMETERS-----{_BODY}-----END EC PARAMETERS-----\s*)?"
_find_private = re.compile(
    rf"{_PARAMETERS}(-----BEGIN (EC )?PRIVATE KEY-----{_BODY}-----END (?(2)EC )PRIVATE KEY-----)"
).fullmatch
_find_public = re.compile(rf"(-----BEGIN PUBLIC KEY-----{_BODY}-----END PUBLIC KEY-----)").fullmatch


def load_private_key(text: object) -> ec.EllipticCurvePrivateKey | None:
    """The private key in this PEM text; None for anything else."""
    block = _find_private(_with_line_breaks(text))
    try:
        key = load_pem_private_key(block[1].encode(), None) if block else None
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES) else None


def load_public_key(text: object) -> ec.EllipticCurvePublicKey | None:
    """The public key in this PEM text; None for anything else."""
    block = _find_public(_with_line_breaks(text))
    try:
        key = load_pem_public_key(block[1].encode()) if block else None
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES) else None


def _with_line_breaks(text: object) -> str:
    """The text as its file had it: environment variables carry a line break as the two characters `\\n`."""
    if type(text) is not str:
        return ""
    return text.replace("\\r", "").replace("\\n", "\n").strip()
