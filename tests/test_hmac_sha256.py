import base64
import copy
import hashlib
import json
import pickle
import sys
import threading

import pytest

from tests.tokens import NOW, PRIVATE_PEM, PUBLIC_PEM, SDKAPPID, SECRET_KEY, hmac_token, members
from usersig_django.exceptions import InvalidInput, InvalidKey
from usersig_django.signing import HmacSha256Signer, UserSigClaims, decode
from usersig_django.signing.hmac_sha256 import check_secret_key

SIGNER = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
DER = base64.b64decode("".join(PUBLIC_PEM.splitlines()[1:-1]))
PRIVATE_DER = base64.b64decode("".join(PRIVATE_PEM.splitlines()[1:-1]))
RSA_START = bytes.fromhex("308204a40201000282010100") + bytes(range(160))
CERTIFICATE_START = bytes.fromhex("3082037730820 25fa0030201020204".replace(" ", "")) + bytes(range(150))
SSH_BLOB = b"\0\0\0\x13ecdsa-sha2-nistp256\0\0\0\x08nistp256" + bytes(60)

BAD_KEYS = {
    "empty": "",
    "31 characters": "k" * 31,
    "257 characters": "k" * 257,
    "line break after": SECRET_KEY + "\n",
    "space before": " " + SECRET_KEY,
    "space inside": SECRET_KEY[:32] + " " + SECRET_KEY[32:],
    "tab inside": SECRET_KEY + "\t",
    "NUL": SECRET_KEY + "\0",
    "no ASCII": SECRET_KEY + "\u00e9",
    "None": None,
    "bytes": SECRET_KEY.encode(),
    "number": 10**63,
    "True": True,
    "PEM": PUBLIC_PEM,
    "private PEM": PRIVATE_PEM,
    "PEM on one line": PUBLIC_PEM.replace("\n", "\\n"),
    "PEM without white space": "".join(PUBLIC_PEM.split()),
    "PEM in base64": base64.b64encode(PUBLIC_PEM.encode()).decode()[:256],
    "DER in base64": base64.b64encode(DER).decode(),
    "DER in url-safe base64": base64.urlsafe_b64encode(DER).decode().rstrip("="),
    "DER in hex": DER.hex(),
    "DER in upper-case hex": DER.hex().upper(),
    "private DER in base64": base64.b64encode(PRIVATE_DER).decode(),
    "first line of a private PEM": PRIVATE_PEM.splitlines()[1],
    "RSA key": base64.b64encode(RSA_START).decode(),
    "certificate": base64.b64encode(CERTIFICATE_START).decode(),
    "RSA public key, PKCS#1": base64.b64encode(bytes.fromhex("308189028181") + bytes(130)).decode(),
    "RSA public key of 512 bits": base64.b64encode(bytes.fromhex("3048024100") + bytes(69)).decode(),
    "DER in hex with 0x": "0x" + DER.hex(),
    "DER in hex with colons": DER[:80].hex(":"),
    "OpenSSH blob": base64.b64encode(SSH_BLOB).decode(),
    "OpenSSH private key": base64.b64encode(b"openssh-key-v1\0" + bytes(99)).decode(),
    "OpenSSH name": "ssh-ed25519-" + "A" * 68,
    "JWK": json.dumps({"kty": "EC", "crv": "P-256", "x": "A" * 43}, separators=(",", ":")),
    "JWK in base64": base64.b64encode(json.dumps({"kty": "oct", "k": "A" * 43}).encode()).decode(),
}


def _frames(error):
    traceback = error.__traceback__
    while traceback:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def assert_hides(error, key):
    """No frame of ours, and no message, holds any of the key: an error tracker collects both."""
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = [str(error), repr(error)]
    shown += [repr(frame.f_locals) for frame in _frames(error) if "/usersig_django/" in frame.f_code.co_filename]
    assert len(shown) > 2
    for line in shown:
        assert key not in line
        assert key[:8] not in line
        assert key[-8:] not in line


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_signer__not_a_secret_key(key):
    with pytest.raises(InvalidKey) as caught:
        HmacSha256Signer(sdkappid=SDKAPPID, secret_key=key)
    if isinstance(key, str) and len(key.strip()) > 8:
        assert_hides(caught.value, key)
    with pytest.raises(InvalidKey):
        check_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "k" * 32, "!" * 256, SECRET_KEY, "30" * 32, "7b22" * 16, base64.b64encode(bytes(range(48))).decode(),
        base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode(), "0" * 33, "A" * 45,
    ],
)  # fmt: skip
def test_signer__a_secret_key(key):
    assert check_secret_key(key) is None
    assert HmacSha256Signer(sdkappid=1, secret_key=key).key_fingerprint == hashlib.sha256(key.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    "arguments",
    [
        {"sdkappid": 0}, {"sdkappid": "1400000000"}, {"sdkappid": True}, {"sdkappid": 2**32},
        {"compression_level": 10},
        {"compression_level": None}, {"userid_rule": "loose"}, {"userid_rule": None},
    ],
    ids=repr,
)  # fmt: skip
def test_signer__invalid_input_hides_the_key(arguments):
    with pytest.raises(InvalidInput) as caught:
        HmacSha256Signer(**{"sdkappid": SDKAPPID, "secret_key": SECRET_KEY, **arguments})
    assert_hides(caught.value, SECRET_KEY)


def test_signer__keyword_only():
    with pytest.raises(TypeError):
        HmacSha256Signer(SDKAPPID, SECRET_KEY)
    with pytest.raises(TypeError):
        SIGNER.sign("alice", 60)
    with pytest.raises(TypeError):
        SIGNER.sign("alice")


def test_signer__properties():
    assert (SIGNER.sdkappid, SIGNER.algorithm) == (SDKAPPID, "HMAC-SHA256")
    assert SIGNER.key_fingerprint == hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:8]


@pytest.mark.parametrize("name", ["sdkappid", "key_fingerprint", "algorithm", "_keyed_hmac", "_sdkappid", "anything"])
def test_signer__immutable(name):
    with pytest.raises(AttributeError):
        setattr(SIGNER, name, 1)
    with pytest.raises(AttributeError):
        delattr(SIGNER, name)


def test_signer__holds_no_readable_key():
    held = [getattr(SIGNER, name) for kind in type(SIGNER).__mro__ for name in getattr(kind, "__slots__", ())]
    shown = [repr(SIGNER), str(SIGNER), f"{SIGNER}", repr(held), repr([dir(value) for value in held])]
    for line in shown:
        assert SECRET_KEY[:8] not in line
        assert base64.b64encode(SECRET_KEY.encode()).decode()[:12] not in line
    assert repr(SIGNER) == f"HmacSha256Signer(sdkappid={SDKAPPID}, key_fingerprint='{SIGNER.key_fingerprint}')"
    assert not hasattr(SIGNER, "__dict__")


def test_signer__copies_are_itself_and_pickles_are_refused():
    assert copy.copy(SIGNER) is SIGNER
    assert copy.deepcopy([SIGNER])[0] is SIGNER
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(SIGNER, protocol)


def test_sign__document():
    assert members(SIGNER.sign("alice", expire=3600, now=NOW)) == members(hmac_token())
    token = SIGNER.sign("alice", expire=3600, userbuf=b"abc", now=NOW)
    assert members(token) == members(hmac_token(userbuf="YWJj"))


@pytest.mark.parametrize("userid", ["a b", 'q"uote', "back\\slash", "<&'>", "a" * 32])
def test_sign__printable_userid(userid):
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY, userid_rule="printable")
    token = signer.sign(userid, expire=3600, now=NOW)
    assert members(token) == members(hmac_token(identifier=userid))
    assert signer.verify(token, userid=userid, now=NOW).userid == userid
    assert SIGNER.verify(token, now=NOW).userid == userid


@pytest.mark.parametrize("userid", [None, True, 1, b"alice", "", "a b", "alice\n", "a" * 33], ids=repr)
def test_sign__not_a_userid(userid):
    with pytest.raises(InvalidInput):
        SIGNER.sign(userid, expire=60)
    with pytest.raises(InvalidInput):
        SIGNER.sign_private_map_key(userid, room=1, privileges=1, expire=60)


@pytest.mark.parametrize(
    "arguments",
    [
        {"expire": 0}, {"expire": 315360001}, {"expire": 60.0}, {"expire": "60"}, {"expire": True}, {"expire": None},
        {"now": 0}, {"now": -1}, {"now": 2**32}, {"now": 1.5}, {"now": True}, {"now": "1"},
        {"userbuf": b""}, {"userbuf": b"x" * 4097}, {"userbuf": "abc"}, {"userbuf": bytearray(b"abc")},
        {"userbuf": True},
        {"userbuf": memoryview(b"abc")},
    ],
    ids=repr,
)  # fmt: skip
def test_sign__invalid_input(arguments):
    with pytest.raises(InvalidInput):
        SIGNER.sign("alice", **{"expire": 60, **arguments})


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_sign__the_largest_userbuf_fits_what_verify_takes(level):
    signer = HmacSha256Signer(
        sdkappid=2**32 - 1, secret_key=SECRET_KEY, compression_level=level, userid_rule="printable"
    )
    userbuf = b"".join(hashlib.sha512(bytes([number])).digest() for number in range(64))
    token = signer.sign('"' * 32, expire=315360000, userbuf=userbuf, now=2**32 - 1)
    assert len(token) <= 8192
    assert signer.verify_userbuf(token, now=2**32 - 1).userbuf == userbuf


def test_sign__no_longer_than_the_official_signers():
    from TLSSigAPIv2 import TLSSigAPIv2

    official = TLSSigAPIv2(SDKAPPID, SECRET_KEY)
    for size in (1, 8, 16, 32):
        userids = [hashlib.sha512(f"{size}-{number}".encode()).hexdigest()[:size] for number in range(50)]
        ours = sum(len(SIGNER.sign(userid, expire=86400)) for userid in userids)
        assert ours <= sum(len(official.gen_sig(userid, 86400)) for userid in userids)


def test_claims__frozen():
    claims = decode(hmac_token())
    assert claims == UserSigClaims(SDKAPPID, "alice", NOW, 3600, None)
    assert claims.expires_at == NOW + 3600
    with pytest.raises(AttributeError):
        claims.userid = "mallory"
    assert not hasattr(claims, "__dict__")


def test_signer__shared_by_32_threads():
    """No crossed identity: what each thread signs and verifies is its own."""
    failures = []
    start = threading.Barrier(32)

    def work(number):
        start.wait()
        for turn in range(60):
            userid = f"user-{number}-{turn}"
            key = SIGNER.sign_private_map_key(userid, room=number + 1, privileges=1, expire=60)
            claims = [
                SIGNER.verify(SIGNER.sign(userid, expire=60), userid=userid),
                SIGNER.verify_private_map_key(key, userid=userid, room=number + 1),
            ]
            if any(claim.userid != userid for claim in claims):
                failures.append(userid)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
