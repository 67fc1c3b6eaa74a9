"""Tokens made without the package under test: the protocol once more, in the plainest way, and ways to break it."""

import base64
import hashlib
import hmac
import json
import struct
import zlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SDKAPPID = 1400000000
NOW = 1_795_200_000
SECRET_KEY = "0f" * 32
EC_KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
PRIVATE_PEM = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC_PEM = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def b64(data):
    return base64.b64encode(data).decode()


def wrap(data, *, compressed=None):
    """The token around these bytes of document, or around these bytes in place of the zlib stream."""
    data = data.encode() if isinstance(data, str) else data
    return b64(zlib.compress(data) if compressed is None else compressed).translate(str.maketrans("+/=", "*-_"))


def unwrap(token):
    return zlib.decompress(base64.b64decode(token.translate(str.maketrans("*-_", "+/="))))


def members(token):
    return json.loads(unwrap(token))


def hmac_text(document):
    text = (
        f"TLS.identifier:{document['TLS.identifier']}\nTLS.sdkappid:{document['TLS.sdkappid']}\n"
        f"TLS.time:{document['TLS.time']}\nTLS.expire:{document['TLS.expire']}\n"
    )
    return text + (f"TLS.userbuf:{document['TLS.userbuf']}\n" if "TLS.userbuf" in document else "")


def hmac_sig(document, key=SECRET_KEY):
    return b64(hmac.digest(key.encode(), hmac_text(document).encode("utf-8", "surrogatepass"), hashlib.sha256))


def hmac_document(key=SECRET_KEY, **changes):
    """A correctly signed document; `userbuf=` and the like replace members, None leaves one out."""
    document = {
        "TLS.ver": "2.0",
        "TLS.identifier": "alice",
        "TLS.sdkappid": SDKAPPID,
        "TLS.expire": 3600,
        "TLS.time": NOW,
        **{f"TLS.{name}": value for name, value in changes.items()},
    }
    document.setdefault("TLS.sig", hmac_sig(document, key))
    return {name: value for name, value in document.items() if value is not None}


def hmac_token(key=SECRET_KEY, **changes):
    return wrap(json.dumps(hmac_document(key, **changes)))


ECDSA_LINES = ("appid_at_3rd", "account_type", "identifier", "sdk_appid", "time", "expire_after", "userbuf")


def ecdsa_text(document):
    return "".join(f"TLS.{line}:{document[f'TLS.{line}']}\n" for line in ECDSA_LINES if f"TLS.{line}" in document)


def ecdsa_document(key=EC_KEY, **changes):
    document = {
        "TLS.account_type": "0",
        "TLS.identifier": "alice",
        "TLS.appid_at_3rd": "0",
        "TLS.sdk_appid": str(SDKAPPID),
        "TLS.expire_after": "3600",
        "TLS.version": "201512300000",
        "TLS.time": str(NOW),
        **{f"TLS.{name}": value for name, value in changes.items()},
    }
    document = {name: value for name, value in document.items() if value is not None}
    if "TLS.sig" not in document and changes.get("sig", "") is not None:
        text = ecdsa_text(document).encode("utf-8", "surrogatepass")
        document["TLS.sig"] = b64(key.sign(text, ec.ECDSA(SHA256())))
    return document


def ecdsa_token(key=EC_KEY, **changes):
    return wrap(json.dumps(ecdsa_document(key, **changes)))


def userbuf(
    account=b"alice",
    sdkappid=SDKAPPID,
    room=7,
    expires_at=NOW + 3600,
    privileges=255,
    account_type=0,
    tail=b"",
    version=0,
):
    head = struct.pack(">BH", version, len(account)) + account
    return head + struct.pack(">IIIII", sdkappid, room, expires_at, privileges, account_type) + tail
