import copy
import hashlib
import json
import pickle
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.test_hmac_sha256 import assert_hides
from tests.tokens import (
    EC_KEY,
    NOW,
    PRIVATE_PEM,
    PUBLIC_PEM,
    SDKAPPID,
    SECRET_KEY,
    ecdsa_document,
    ecdsa_token,
    hmac_document,
    hmac_token,
    members,
)
from usersig_django.exceptions import (
    BadSignature,
    InvalidInput,
    InvalidKey,
    InvalidUserSig,
    MalformedUserSig,
    SDKAppIDMismatch,
    UserIDMismatch,
    UserSigExpired,
    UserSigNotYetValid,
    UserSigRevoked,
)
from usersig_django.signing import EcdsaSha256Signer, EcdsaSha256Verifier, decode

SIGNER = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)
VERIFIER = EcdsaSha256Verifier(sdkappid=SDKAPPID, public_key=PUBLIC_PEM)
K1_KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256K1())
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def _pem(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def _public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


SEC1_PEM = _pem(EC_KEY, PrivateFormat.TraditionalOpenSSL)
PRIVATE_FORMS = {
    "PKCS#8": PRIVATE_PEM,
    "SEC1": SEC1_PEM,
    "SEC1 after its parameters": PARAMETERS + SEC1_PEM,
    "leading blank lines": "\n\n" + PRIVATE_PEM,
    "trailing blanks": PRIVATE_PEM + " \n\n",
    "CRLF": PRIVATE_PEM.replace("\n", "\r\n"),
    "literal line breaks": PRIVATE_PEM.replace("\n", "\\n"),
    "literal CRLF": SEC1_PEM.replace("\n", "\\r\\n"),
    "literal line breaks, parameters": (PARAMETERS + SEC1_PEM).replace("\n", "\\n"),
    "no line break at the end": PRIVATE_PEM.strip(),
}


@pytest.mark.parametrize("pem", PRIVATE_FORMS.values(), ids=PRIVATE_FORMS)
def test_signer__every_form_of_private_key(pem):
    signer = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=pem)
    assert signer.key_fingerprint == VERIFIER.key_fingerprint
    assert VERIFIER.verify(signer.sign("alice", expire=60, now=NOW), now=NOW)


@pytest.mark.parametrize(
    "pem",
    [
        PUBLIC_PEM,
        "\n" + PUBLIC_PEM,
        PUBLIC_PEM.replace("\n", "\r\n"),
        PUBLIC_PEM.replace("\n", "\\n"),
        PUBLIC_PEM.strip(),
    ],
)
def test_verifier__every_form_of_public_key(pem):
    verifier = EcdsaSha256Verifier(sdkappid=SDKAPPID, public_key=pem)
    assert verifier.verify(SIGNER.sign("alice", expire=60), userid="alice")


RSA_KEY = rsa.generate_private_key(65537, 2048)
NOT_OURS = ec.generate_private_key(ec.SECP384R1())
BROKEN = PRIVATE_PEM.replace(PRIVATE_PEM[60:70], "A" * 10)
NO_PRIVATE_KEY = {
    "empty": "",
    "words": "no key at all",
    "None": None,
    "bytes": PRIVATE_PEM.encode(),
    "number": 1,
    "SecretKey of HMAC": SECRET_KEY,
    "public key": PUBLIC_PEM,
    "RSA": _pem(RSA_KEY),
    "RSA, PKCS#1": _pem(RSA_KEY, PrivateFormat.TraditionalOpenSSL),
    "P-384": _pem(NOT_OURS),
    "Ed25519": _pem(ed25519.Ed25519PrivateKey.generate()),
    "encrypted PKCS#8": _pem(EC_KEY, encryption=BestAvailableEncryption(b"password")),
    "encrypted SEC1": _pem(EC_KEY, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"password")),
    "OpenSSH": _pem(EC_KEY, PrivateFormat.OpenSSH),
    "certificate": PRIVATE_PEM.replace("PRIVATE KEY", "CERTIFICATE"),
    "two keys": PRIVATE_PEM + PRIVATE_PEM,
    "key and certificate": PRIVATE_PEM + PRIVATE_PEM.replace("PRIVATE KEY", "CERTIFICATE"),
    "text before": "key: " + PRIVATE_PEM,
    "labels that differ": PRIVATE_PEM.replace("BEGIN PRIVATE", "BEGIN EC PRIVATE"),
    "label that lies": PRIVATE_PEM.replace("PRIVATE KEY", "EC PRIVATE KEY"),
    "cut short": PRIVATE_PEM[:-40],
    "not base64": PRIVATE_PEM.replace("\n", "\n?", 1),
    "altered": BROKEN,
    "empty body": "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----",
    "no ASCII": PRIVATE_PEM + "\u00e9",
}


@pytest.mark.parametrize("pem", NO_PRIVATE_KEY.values(), ids=NO_PRIVATE_KEY)
def test_signer__not_a_private_key(pem):
    with pytest.raises(InvalidKey) as caught:
        EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=pem)
    if isinstance(pem, str) and len(pem) > 20:
        assert_hides(caught.value, pem)
        assert_hides(caught.value, "".join(pem.split())[40:])


@pytest.mark.parametrize(
    "pem",
    ["", None, PUBLIC_PEM.encode(), PRIVATE_PEM, SEC1_PEM, _public_pem(RSA_KEY), _public_pem(NOT_OURS), PUBLIC_PEM * 2,
     PUBLIC_PEM.replace("PUBLIC KEY", "CERTIFICATE"), PUBLIC_PEM[:-40], PUBLIC_PEM.replace(PUBLIC_PEM[60:90],
     "A" * 30)],
)  # fmt: skip
def test_verifier__not_a_public_key(pem):
    with pytest.raises(InvalidKey) as caught:
        EcdsaSha256Verifier(sdkappid=SDKAPPID, public_key=pem)
    if isinstance(pem, str) and pem:
        assert_hides(caught.value, pem)


@pytest.mark.parametrize(
    "arguments", [{"sdkappid": 0}, {"sdkappid": "1"}, {"compression_level": 10}, {"userid_rule": "loose"}], ids=repr
)
def test_signer__invalid_input_hides_the_key(arguments):
    with pytest.raises(InvalidInput) as caught:
        EcdsaSha256Signer(**{"sdkappid": SDKAPPID, "private_key": PRIVATE_PEM, **arguments})
    assert_hides(caught.value, PRIVATE_PEM)


def test_verifier__invalid_input():
    with pytest.raises(InvalidInput):
        EcdsaSha256Verifier(sdkappid=True, public_key=PUBLIC_PEM)


@pytest.mark.parametrize("holder", [SIGNER, VERIFIER], ids=["signer", "verifier"])
def test_signer__opaque_and_immutable(holder):
    der = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (holder.sdkappid, holder.algorithm) == (SDKAPPID, "ECDSA-SHA256")
    assert holder.key_fingerprint == hashlib.sha256(der).hexdigest()[:8]
    assert repr(holder) == f"{type(holder).__name__}(sdkappid={SDKAPPID}, key_fingerprint='{holder.key_fingerprint}')"
    assert copy.copy(holder) is copy.deepcopy(holder) is holder
    assert not hasattr(holder, "__dict__")
    for name in ("sdkappid", "_public_key", "anything"):
        with pytest.raises(AttributeError):
            setattr(holder, name, 1)
        with pytest.raises(AttributeError):
            delattr(holder, name)
    with pytest.raises(TypeError):
        pickle.dumps(holder)


def test_verifier__does_not_sign():
    assert not hasattr(VERIFIER, "sign")
    assert not hasattr(VERIFIER, "sign_private_map_key")


@pytest.mark.parametrize("key", [EC_KEY, K1_KEY], ids=["P-256", "secp256k1"])
def test_sign__document(key):
    signer = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=_pem(key))
    verifier = EcdsaSha256Verifier(sdkappid=SDKAPPID, public_key=_public_pem(key))
    token = signer.sign("alice", expire=3600, now=NOW)
    document = members(token)
    assert document == {**ecdsa_document(version="201610110000"), "TLS.sig": document["TLS.sig"]}
    assert verifier.verify(token, userid="alice", now=NOW) == decode(token)
    with_userbuf = signer.sign("alice", expire=3600, userbuf=b"abc", now=NOW)
    assert members(with_userbuf)["TLS.userbuf"] == "YWJj"
    assert verifier.verify_userbuf(with_userbuf, now=NOW).userbuf == b"abc"


def test_sign__printable_userid():
    signer = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM, userid_rule="printable")
    assert VERIFIER.verify(signer.sign('q"\\', expire=60), userid='q"\\')


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_sign__the_largest_userbuf_fits_what_verify_takes(level):
    signer = EcdsaSha256Signer(
        sdkappid=2**32 - 1, private_key=PRIVATE_PEM, compression_level=level, userid_rule="printable"
    )
    userbuf = b"".join(hashlib.sha512(bytes([number])).digest() for number in range(64))
    token = signer.sign('"' * 32, expire=315360000, userbuf=userbuf, now=2**32 - 1)
    assert len(token) <= 8192
    assert signer.verify_userbuf(token, now=2**32 - 1).userbuf == userbuf


@pytest.mark.parametrize(
    ("token", "named"),
    [
        (json.dumps(ecdsa_document()), "verify_plain_json"),
        ("\n" + json.dumps(hmac_document()), "verify_plain_json"),
        (ecdsa_token().translate(str.maketrans("*-_", "+/=")) + "+", "standard base64"),
        ("!", "Tencent's alphabet"),
    ],
)
def test_decode__names_what_verify_refuses(token, named):
    with pytest.raises(MalformedUserSig, match=named):
        decode(token)


def test_decode__both_algorithms_unverified():
    assert decode(hmac_token("x" * 32)).userid == "alice"
    assert decode(ecdsa_token(identifier="bob")).userid == "bob"
    for token in ("", hmac_token(ver="1.0"), hmac_token(sdkappid="1"), ecdsa_token(time="x")):
        with pytest.raises(MalformedUserSig):
            decode(token)


LOCAL = time.strftime("%Y-%m-%dT%H:%M:%S-08:00", time.gmtime(NOW + 8 * 3600))


def plain(**changes):
    return json.dumps(ecdsa_document(**{"time": LOCAL, "version": None, **changes}))


def test_verify_plain_json__reads_local_time():
    claims = VERIFIER.verify_plain_json(plain(), userid="alice", now=NOW)
    assert (claims.issued_at, claims.expires_at, claims.userbuf) == (NOW, NOW + 3600, None)
    assert SIGNER.verify_plain_json(plain(), now=NOW).issued_at == NOW
    assert VERIFIER.verify_plain_json(plain(), now=NOW + 8 * 3600, utc_offset=0).issued_at == NOW + 8 * 3600
    assert VERIFIER.verify_plain_json(plain(), now=NOW, utc_offset=9 * 3600).issued_at == NOW - 3600
    assert VERIFIER.verify_plain_json(plain(appid_at_3rd=None), now=NOW)
    assert VERIFIER.verify_plain_json(json.dumps(json.loads(plain()), indent=3), now=NOW)


PLAIN_REFUSED = {
    "a token": (ecdsa_token(), {}, MalformedUserSig),
    "empty": ("", {}, MalformedUserSig),
    "unix time": (plain(time=str(NOW)), {}, MalformedUserSig),
    "another zone": (plain(time=LOCAL.replace("-08:00", "+08:00")), {}, MalformedUserSig),
    "no zone": (plain(time=LOCAL[:-6]), {}, MalformedUserSig),
    "single digits": (plain(time="2026-1-1T1:1:1-08:00"), {}, MalformedUserSig),
    "Arabic digits": (plain(time="\u0662026-01-01T01:01:01-08:00"), {}, MalformedUserSig),
    "30 February": (plain(time="2026-02-30T00:00:00-08:00"), {}, MalformedUserSig),
    "hour 24": (plain(time="2026-01-01T24:00:00-08:00"), {}, MalformedUserSig),
    "year 0": (plain(time="0000-01-01T00:00:00-08:00"), {}, MalformedUserSig),
    "line break": (plain(time=LOCAL + "\n"), {}, MalformedUserSig),
    "userbuf": (plain(userbuf="YWJj"), {}, MalformedUserSig),
    "unknown member": (plain()[:-1] + ', "TLS.ver": "1.0"}', {}, MalformedUserSig),
    "lone surrogate": (plain()[:-1] + ', "TLS.version": "\ud800"}', {}, MalformedUserSig),
    "8193 characters": (plain() + " " * 8193, {}, MalformedUserSig),
    "8193 bytes": (plain(version="\u00e9" * 4096), {}, MalformedUserSig),
    "8193 bytes, not escaped": (plain()[:-1] + f', "TLS.version": "{"é" * 4000}"}}', {}, MalformedUserSig),
    "altered": (plain().replace("alice", "mallory"), {}, BadSignature),
    "another SDKAppID": (plain(sdk_appid="1"), {}, SDKAppIDMismatch),
    "another UserID": (plain(identifier="bob"), {}, UserIDMismatch),
    "expired": (plain(), {"now": NOW + 3601}, UserSigExpired),
    "expired where the clock was ahead": (plain(), {"utc_offset": 10 * 3600}, UserSigExpired),
    "from the future": (plain(), {"utc_offset": 0}, UserSigNotYetValid),
    "revoked": (plain(), {"not_before": NOW + 1}, UserSigRevoked),
}  # fmt: skip


@pytest.mark.parametrize(("text", "arguments", "error"), PLAIN_REFUSED.values(), ids=PLAIN_REFUSED)
def test_verify_plain_json__refused(text, arguments, error):
    with pytest.raises(InvalidUserSig) as caught:
        VERIFIER.verify_plain_json(text, **{"userid": "alice", "now": NOW, **arguments})
    assert type(caught.value) is error


@pytest.mark.parametrize("utc_offset", [None, 8.0, True, 86400, -86400, "8"], ids=repr)
def test_verify_plain_json__utc_offset_of_another_type(utc_offset):
    with pytest.raises(InvalidInput):
        VERIFIER.verify_plain_json(plain(), utc_offset=utc_offset, now=NOW)


def test_signer__reads_what_openssl_writes(tmp_path):
    """The console's keys.zip is made with openssl: parameters first, then the key."""
    path = tmp_path / "key.pem"
    for curve in ("prime256v1", "secp256k1"):
        subprocess.run(
            ["openssl", "ecparam", "-name", curve, "-genkey", "-out", path], check=True, capture_output=True
        )
        assert "EC PARAMETERS" in path.read_text()
        signer = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=path.read_text())
        assert signer.verify(signer.sign("alice", expire=60), userid="alice")
