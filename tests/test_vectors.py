"""Known answers by Tencent's official signers (vectors/README.md): before any round trip, which passes with both
halves wrong."""

import base64
import json
from pathlib import Path

import pytest

from tests.tokens import members
from usersig_django.exceptions import MalformedUserSig
from usersig_django.signing import EcdsaSha256Signer, EcdsaSha256Verifier, HmacSha256Signer, decode


def _load(name):
    rows = json.loads((Path(__file__).parent / "vectors" / name).read_text())
    return [
        pytest.param(row, id=f"{row.get('producer', row.get('name'))}-{row.get('kind', '')}-{number}")
        for number, row in enumerate(rows)
    ]


HMAC = _load("hmac_sha256.json")
ECDSA = _load("ecdsa_sha256.json")
PUBLISHED = _load("ecdsa_published.json")


def _userbuf(row):
    return base64.b64decode(row["userbuf"]) if "userbuf" in row else None


def _facts(claims):
    return claims.sdkappid, claims.userid, claims.issued_at, claims.expire, claims.userbuf


def _expected(row):
    return row["sdkappid"], row["userid"], row["time"], row["expire"], _userbuf(row)


@pytest.mark.parametrize("row", HMAC + ECDSA + PUBLISHED)
def test_decode__known_answer(row):
    assert _facts(decode(row["token"])) == _expected(row)


@pytest.mark.parametrize("row", HMAC)
def test_hmac_verify__known_answer(row):
    signer = HmacSha256Signer(sdkappid=row["sdkappid"], secret_key=row["key"])
    right, wrong = signer.verify, signer.verify_userbuf
    if "userbuf" in row:
        right, wrong = wrong, right
    assert _facts(right(row["token"], userid=row["userid"], now=row["time"])) == _expected(row)
    with pytest.raises(MalformedUserSig):
        wrong(row["token"], userid=row["userid"], now=row["time"])


@pytest.mark.parametrize("row", HMAC)
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_hmac_sign__same_document_and_signature(row, level):
    signer = HmacSha256Signer(
        sdkappid=row["sdkappid"], secret_key=row["key"], compression_level=level, userid_rule="printable"
    )
    token = signer.sign(row["userid"], expire=row["expire"], userbuf=_userbuf(row), now=row["time"])
    assert members(token) == members(row["token"])


@pytest.mark.parametrize("row", [row for row in HMAC if "room" in row.values[0]["kind"]])
def test_private_map_key__known_answer(row):
    signer = HmacSha256Signer(sdkappid=row["sdkappid"], secret_key=row["key"])
    room = row.get("room_id", row.get("str_room_id"))
    key = signer.sign_private_map_key(
        row["userid"], room=room, privileges=row["privileges"], expire=row["expire"], now=row["time"]
    )
    assert decode(key).userbuf == _userbuf(row)
    claims = signer.verify_private_map_key(row["token"], userid=row["userid"], room=room, now=row["time"])
    assert (claims.room, claims.privileges) == (room, row["privileges"])
    assert _facts(claims) == _expected(row)


@pytest.mark.parametrize("row", ECDSA + PUBLISHED)
def test_ecdsa_verify__known_answer(row):
    verifier = EcdsaSha256Verifier(sdkappid=row["sdkappid"], public_key=row["public_pem"])
    right, wrong = verifier.verify, verifier.verify_userbuf
    if "userbuf" in row:
        right, wrong = wrong, right
    assert _facts(right(row["token"], userid=row["userid"], now=row["time"])) == _expected(row)
    with pytest.raises(MalformedUserSig):
        wrong(row["token"], userid=row["userid"], now=row["time"])


@pytest.mark.parametrize("row", ECDSA)
def test_ecdsa_sign__the_same_verifier_accepts(row):
    signer = EcdsaSha256Signer(sdkappid=row["sdkappid"], private_key=row["private_pem"])
    verifier = EcdsaSha256Verifier(sdkappid=row["sdkappid"], public_key=row["public_pem"])
    token = signer.sign(row["userid"], expire=row["expire"], userbuf=_userbuf(row), now=row["time"])
    verify = verifier.verify_userbuf if "userbuf" in row else verifier.verify
    assert _facts(verify(token, userid=row["userid"], now=row["time"])) == _expected(row)
    assert signer.key_fingerprint == verifier.key_fingerprint
