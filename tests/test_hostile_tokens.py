"""Tokens that somebody made to be let in, with the exact class that each is refused with (SECURITY 2)."""

import base64
import gzip
import json
import time
import tracemalloc
import zlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.tokens import (
    NOW,
    PRIVATE_PEM,
    PUBLIC_PEM,
    SDKAPPID,
    SECRET_KEY,
    b64,
    ecdsa_document,
    ecdsa_token,
    hmac_document,
    hmac_sig,
    hmac_token,
    userbuf,
    wrap,
)
from usersig_django.exceptions import (
    BadSignature,
    InvalidInput,
    InvalidUserSig,
    MalformedUserSig,
    RoomMismatch,
    SDKAppIDMismatch,
    UserIDMismatch,
    UserSigExpired,
    UserSigNotYetValid,
    UserSigRevoked,
)
from usersig_django.signing import EcdsaSha256Signer, EcdsaSha256Verifier, HmacSha256Signer, decode

HMAC = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
ECDSA = EcdsaSha256Verifier(sdkappid=SDKAPPID, public_key=PUBLIC_PEM)
OTHER_KEY = "f0" * 32
OTHER_EC_KEY = ec.derive_private_key(0xBEEF, ec.SECP256R1())

GOOD = hmac_token()
GOOD_JSON = json.dumps(hmac_document())
GOOD_ZLIB = zlib.compress(GOOD_JSON.encode())


def _raw_deflate(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def _with_dictionary(data):
    deflate = zlib.compressobj(zdict=b'{"TLS.ver": "2.0", ')
    return deflate.compress(data) + deflate.flush()


def _edited(old, new):
    """A document changed as text after it was signed: the signature covers values, not the spelling."""
    assert old in GOOD_JSON
    return wrap(GOOD_JSON.replace(old, new))


def _member(text):
    return wrap(GOOD_JSON[:-1] + f", {text}}}")


def _trailing_bits(token):
    """The same bytes, with a bit set that the padding leaves over."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-"
    stripped = token.rstrip("_")
    return stripped[:-1] + alphabet[alphabet.index(stripped[-1]) + 1] + token[len(stripped) :]


def _padded_token():
    return next(
        token for token in (hmac_token(identifier=f"alice{number}") for number in range(99)) if token.endswith("_")
    )


def _private_map_key(**changes):
    return hmac_token(userbuf=b64(userbuf(**changes)))


NESTED = "[" * 5000
LINE_BREAK = "alice\nTLS.sdkappid:1400000000"

TEXTS = {
    "empty": "",
    "one character": "e",
    "only padding": "____",
    "not base64 at all": "!!!!",
    "white space before": " " + GOOD,
    "white space after": GOOD + " ",
    "line break after": GOOD + "\n",
    "line break inside": GOOD[:40] + "\n" + GOOD[40:],
    "NUL after": GOOD + "\0",
    "standard base64": b64(GOOD_ZLIB + b"") if set(b64(GOOD_ZLIB)) & set("+/=") else b64(zlib.compress(b"\xff" * 99)),
    "url-safe base64 of RFC 4648": base64.urlsafe_b64encode(zlib.compress(b'{"a": "\x7f\x7f~~~???"}')).decode(),
    "plus sign": GOOD[:-4] + "+AAA",
    "slash": GOOD[:-4] + "/AAA",
    "equals sign": GOOD.rstrip("_") + "=",
    "percent encoding": GOOD.replace("*", "%2A") + "%5F",
    "padding in the middle": "AAA_" + GOOD,
    "padding left out": _padded_token().rstrip("_"),
    "padding twice": _padded_token() + "_",
    "padding too long": GOOD + "____",
    "non-zero trailing bits": _trailing_bits(_padded_token()),
    "no ASCII": GOOD + "\u00e9",
    "full-width digits": GOOD[:-1] + "\uff11",
    "lone surrogate": GOOD + "\ud800",
    "cut short": GOOD[:-8],
    "cut in half": GOOD[: len(GOOD) // 8 * 4],
    "twice": wrap(b"", compressed=GOOD_ZLIB * 2),
    "bytes after the stream": wrap(b"", compressed=GOOD_ZLIB + b"\0"),
    "bad checksum": wrap(b"", compressed=GOOD_ZLIB[:-1] + bytes([GOOD_ZLIB[-1] ^ 1])),
    "no checksum": wrap(b"", compressed=GOOD_ZLIB[:-4]),
    "raw deflate": wrap(b"", compressed=_raw_deflate(GOOD_JSON.encode())),
    "gzip": wrap(b"", compressed=gzip.compress(GOOD_JSON.encode())),
    "zlib with a dictionary": wrap(b"", compressed=_with_dictionary(GOOD_JSON.encode())),
    "not compressed": wrap(b"", compressed=GOOD_JSON.encode()),
    "empty stream": wrap(""),
    "8193 characters": "A" * 8193,
    "8193 bytes inflated": wrap(GOOD_JSON[:-1] + " " * (8193 - len(GOOD_JSON)) + "}"),
    "1 MiB inflated": wrap(b"\0" * 2**20),
    "no UTF-8": wrap(b"\xff" + GOOD_JSON.encode()),
    "UTF-16": wrap(GOOD_JSON.encode("utf-16")),
    "UTF-16 without BOM": wrap(GOOD_JSON.encode("utf-16-le")),
    "UTF-32": wrap(GOOD_JSON.encode("utf-32")),
    "byte order mark": wrap(b"\xef\xbb\xbf" + GOOD_JSON.encode()),
    "surrogates in UTF-8": wrap(GOOD_JSON.replace("alice", "\ud800").encode("utf-8", "surrogatepass")),
    "overlong UTF-8": wrap(GOOD_JSON.encode().replace(b"alice", b"\xc1\xa1lice")),
    "JSON: nothing": wrap(" "),
    "JSON: null": wrap("null"),
    "JSON: an array": wrap(f"[{GOOD_JSON}]"),
    "JSON: a string": wrap(json.dumps(GOOD_JSON)),
    "JSON: empty object": wrap("{}"),
    "JSON: two objects": wrap(GOOD_JSON * 2),
    "JSON: text after": wrap(GOOD_JSON + "x"),
    "JSON: trailing comma": wrap(GOOD_JSON[:-1] + ",}"),
    "JSON: comment": wrap("/**/" + GOOD_JSON),
    "JSON: single quotes": wrap(GOOD_JSON.replace('"', "'")),
    "JSON: unquoted name": _edited('"TLS.ver"', "TLS.ver"),
    "JSON: not closed": wrap(GOOD_JSON[:-1]),
    "JSON: form feed as white space": wrap("\f" + GOOD_JSON),
    "JSON: no-break space as white space": wrap("\u00a0" + GOOD_JSON),
    "JSON: control character in a string": _edited("alice", "al\tice"),
    "JSON: escaped line break in a UserID": _edited("alice", "al\\nice"),
    "JSON: bad escape": _edited("alice", "\\alice"),
    "JSON: short unicode escape": _edited("alice", "\\u61lice"),
    "JSON: lone surrogate escape": _edited("alice", "\\ud800"),
    "JSON: deep array": wrap(NESTED),
    "JSON: deep object": wrap('{"a":' * 1500),
    "JSON: deep array in a member": _member('"TLS.userbuf": ' + NESTED),
    "duplicate of the same value": _member('"TLS.identifier": "alice"'),
    "duplicate of another value": _member('"TLS.identifier": "mallory"'),
    "duplicate, first wins elsewhere": wrap('{"TLS.identifier": "mallory", ' + GOOD_JSON[1:]),
    "duplicate under an escape": _member('"TLS\\u002eidentifier": "mallory"'),
    "duplicate signature": _member('"TLS.sig": ""'),
    "unknown member": _member('"TLS.admin": "1"'),
    "unknown member of the other algorithm": _member('"TLS.version": "201512300000"'),
    "unknown empty name": _member('"": ""'),
    "unknown name in another case": _member('"tls.ver": "2.0"'),
    "nested member": _member('"TLS.userbuf": {"a": "b"}'),
    "array member": _member('"TLS.userbuf": ["YWJj"]'),
    "null member": _member('"TLS.userbuf": null'),
    "number as userbuf": _member('"TLS.userbuf": 1'),
    "zero as userbuf": _member('"TLS.userbuf": 0'),
    "version 1.0": hmac_token(ver="1.0"),
    "version 2.00": hmac_token(ver="2.00"),
    "version as a number": _edited('"2.0"', "2"),
    "version as a float": _edited('"2.0"', "2.0"),
    "version missing": hmac_token(ver=None),
    "identifier missing": wrap('{"TLS.ver": "2.0"' + GOOD_JSON[GOOD_JSON.index(', "TLS.sdkappid"') :]),
    "identifier as a number": hmac_token(identifier=42),
    "identifier empty": hmac_token(identifier=""),
    "identifier of 33 characters": hmac_token(identifier="a" * 33),
    "identifier with a space before": hmac_token(identifier=" alice"),
    "identifier with a space after": hmac_token(identifier="alice "),
    "identifier with a line break after": hmac_token(identifier="alice\n"),
    "identifier with a line in it": hmac_token(identifier=LINE_BREAK[:32]),
    "identifier with NUL": hmac_token(identifier="alice\0"),
    "identifier with DEL": hmac_token(identifier="alice\x7f"),
    "identifier in Cyrillic": hmac_token(identifier="\u0430lice"),
    "identifier with a surrogate pair": hmac_token(identifier="\U0001f600"),
    "SDKAppID as text": hmac_token(sdkappid=str(SDKAPPID)),
    "SDKAppID as a float": _edited("1400000000", "1400000000.0"),
    "SDKAppID with an exponent": _edited("1400000000", "14e8"),
    "SDKAppID true": _edited("1400000000", "true"),
    "SDKAppID null": _edited("1400000000", "null"),
    "SDKAppID zero": hmac_token(sdkappid=0),
    "SDKAppID minus zero": _edited("1400000000", "-0"),
    "SDKAppID negative": hmac_token(sdkappid=-SDKAPPID),
    "SDKAppID with a plus": _edited("1400000000", "+1400000000"),
    "SDKAppID with a leading zero": _edited("1400000000", "01400000000"),
    "SDKAppID in hex": _edited("1400000000", "0x53724e00"),
    "SDKAppID in Arabic digits": _edited("1400000000", "\u0661400000000"),
    "SDKAppID of 17 digits": hmac_token(sdkappid=10**16),
    "SDKAppID of 5000 digits": _edited("1400000000", "1" * 5000),
    "time as text": hmac_token(time=str(NOW)),
    "time zero": hmac_token(time=0),
    "time negative": hmac_token(time=-1),
    "time as a float": _edited(str(NOW), f"{NOW}.5"),
    "time of 17 digits": hmac_token(time=10**16),
    "time missing": wrap(json.dumps({k: v for k, v in hmac_document().items() if k != "TLS.time"})),
    "expire as text": hmac_token(expire="3600"),
    "expire zero": hmac_token(expire=0),
    "expire negative": hmac_token(expire=-3600),
    "expire NaN": _edited("3600", "NaN"),
    "expire Infinity": _edited("3600", "Infinity"),
    "expire minus Infinity": _edited("3600", "-Infinity"),
    "expire 1e400": _edited("3600", "1e400"),
    "signature missing": wrap(json.dumps({k: v for k, v in hmac_document().items() if k != "TLS.sig"})),
    "signature empty": hmac_token(sig=""),
    "signature as a number": hmac_token(sig=1),
    "signature null": _edited(f'"{hmac_sig(hmac_document())}"', "null"),
    "signature of 31 bytes": hmac_token(sig=b64(b"x" * 31)),
    "signature of 33 bytes": hmac_token(sig=b64(b"x" * 33)),
    "signature in hex": hmac_token(sig="0" * 64),
    "signature without padding": hmac_token(sig=hmac_sig(hmac_document()).rstrip("=")),
    "signature with white space": hmac_token(
        sig=hmac_sig(hmac_document())[:20] + "\r\n" + hmac_sig(hmac_document())[20:]
    ),
    "signature with a line break after": hmac_token(sig=hmac_sig(hmac_document()) + "\n"),
    "signature in Tencent's alphabet": hmac_token(sig="*" * 43 + "_"),
    "signature with trailing bits": hmac_token(sig="A" * 42 + "B="),
    "signature not ASCII": hmac_token(sig="\u00e9" * 44),
    "userbuf where none belongs": hmac_token(userbuf="YWJj"),
    "empty userbuf where none belongs": hmac_token(userbuf=""),
    "userbuf not base64": hmac_token(userbuf="!"),
    "userbuf with white space": hmac_token(userbuf="YW Jj"),
    "userbuf with trailing bits": hmac_token(userbuf="YWJjZB=="),
    "PrivateMapKey": _private_map_key(),
    "an ECDSA token": ecdsa_token(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_verify__malformed(text):
    with pytest.raises(MalformedUserSig) as caught:
        HMAC.verify(text, userid="alice", now=NOW)
    assert type(caught.value) is MalformedUserSig
    assert caught.value.tencent_code == 70003


def test_verify__the_table_starts_from_a_good_token():
    assert HMAC.verify(GOOD, userid="alice", now=NOW).userid == "alice"
    assert HMAC.verify(wrap("\n\t " + GOOD_JSON.replace(", ", " ,\r\n") + " \n"), now=NOW).userid == "alice"
    assert HMAC.verify(_edited("TLS.identifier", "TLS\\u002eidentifier"), now=NOW).userid == "alice"
    assert HMAC.verify(_edited("alice", "\\u0061lice"), now=NOW).userid == "alice"
    assert HMAC.verify(wrap(GOOD_JSON[:-1] + " " * (8192 - len(GOOD_JSON)) + "}"), now=NOW).userid == "alice"


REFUSED = {
    "another key": (hmac_token(OTHER_KEY), {}, BadSignature),
    "another key, expired": (hmac_token(OTHER_KEY, time=1), {}, BadSignature),
    "another key, another SDKAppID": (hmac_token(OTHER_KEY, sdkappid=1), {}, BadSignature),
    "another key, another UserID": (hmac_token(OTHER_KEY, identifier="bob"), {}, BadSignature),
    "UserID replaced": (_edited("alice", "mallory"), {}, BadSignature),
    "SDKAppID replaced": (_edited("1400000000", "1400000001"), {}, BadSignature),
    "expire raised": (_edited("3600", "315360000"), {}, BadSignature),
    "time moved": (_edited(str(NOW), str(NOW + 60)), {}, BadSignature),
    "signature of another document": (hmac_token(sig=hmac_sig(hmac_document(identifier="bob"))), {}, BadSignature),
    "signature of zeros": (hmac_token(sig=b64(bytes(32))), {}, BadSignature),
    "userbuf left out": (hmac_token(sig=hmac_sig(hmac_document(userbuf="YWJj"))), {}, BadSignature),
    "UserID in another case": (hmac_token(identifier="Alice"), {}, UserIDMismatch),
    "UserID of another": (hmac_token(identifier="bob"), {}, UserIDMismatch),
    "SDKAppID of another": (hmac_token(sdkappid=SDKAPPID + 1), {}, SDKAppIDMismatch),
    "SDKAppID equal modulo 2**32": (hmac_token(sdkappid=SDKAPPID + 2**32), {}, SDKAppIDMismatch),
    "SDKAppID of another, UserID of another, expired": (
        hmac_token(sdkappid=1, identifier="bob", time=1),
        {},
        SDKAppIDMismatch,
    ),
    "UserID of another, expired": (hmac_token(identifier="bob", time=1), {}, UserIDMismatch),
    "expired by a second": (GOOD, {"now": NOW + 3601}, UserSigExpired),
    "leeway does not extend": (GOOD, {"now": NOW + 3601, "leeway": 10**6}, UserSigExpired),
    "from the future": (GOOD, {"now": NOW - 301}, UserSigNotYetValid),
    "from the future without leeway": (GOOD, {"now": NOW - 1, "leeway": 0}, UserSigNotYetValid),
    "before not_before": (GOOD, {"not_before": NOW + 1}, UserSigRevoked),
    "expired and revoked": (GOOD, {"now": NOW + 3601, "not_before": NOW + 1}, UserSigExpired),
    "time of 16 digits": (hmac_token(time=10**15), {}, UserSigNotYetValid),
}


@pytest.mark.parametrize(("token", "arguments", "error"), REFUSED.values(), ids=REFUSED)
def test_verify__refused(token, arguments, error):
    with pytest.raises(InvalidUserSig) as caught:
        HMAC.verify(token, **{"userid": "alice", "now": NOW, **arguments})
    assert type(caught.value) is error


def test_verify__edges_that_are_valid():
    assert HMAC.verify(GOOD, now=NOW + 3600).expires_at == NOW + 3600
    assert HMAC.verify(GOOD, now=NOW - 300).issued_at == NOW
    assert HMAC.verify(GOOD, now=NOW, not_before=NOW).issued_at == NOW
    assert HMAC.verify(hmac_token(expire=10**15), now=10**14).expire == 10**15
    assert HMAC.verify(hmac_token(identifier='a "quoted\\ one'), now=NOW).userid == 'a "quoted\\ one'


def test_verify__reads_the_clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW + 3600.9)
    assert HMAC.verify(GOOD)
    monkeypatch.setattr(time, "time", lambda: NOW + 3601.0)
    with pytest.raises(UserSigExpired):
        HMAC.verify(GOOD)


MAP_KEYS = {
    "plain": (hmac_token(), MalformedUserSig),
    "userbuf of another thing": (hmac_token(userbuf="YWJj"), MalformedUserSig),
    "empty userbuf": (hmac_token(userbuf=""), MalformedUserSig),
    "version 2": (_private_map_key(version=2), MalformedUserSig),
    "version 1 without a room": (_private_map_key(version=1), MalformedUserSig),
    "version 1 with an empty room": (_private_map_key(version=1, room=0, tail=b"\0\0"), MalformedUserSig),
    "version 1 with a number too": (_private_map_key(version=1, room=7, tail=b"\0\x01a"), MalformedUserSig),
    "version 0 with a room text": (_private_map_key(tail=b"\0\x01a"), MalformedUserSig),
    "room text cut short": (_private_map_key(version=1, room=0, tail=b"\0\x02a"), MalformedUserSig),
    "room text with bytes after": (_private_map_key(version=1, room=0, tail=b"\0\x01ab"), MalformedUserSig),
    "room text of 65 bytes": (_private_map_key(version=1, room=0, tail=b"\0\x41" + b"a" * 65), MalformedUserSig),
    "room text with a quote": (_private_map_key(version=1, room=0, tail=b"\0\x01'"), MalformedUserSig),
    "room text not ASCII": (_private_map_key(version=1, room=0, tail=b"\0\x02\xc3\xa9"), MalformedUserSig),
    "room zero": (_private_map_key(room=0), MalformedUserSig),
    "no privileges": (_private_map_key(privileges=0), MalformedUserSig),
    "privileges beyond 255": (_private_map_key(privileges=256), MalformedUserSig),
    "account type": (_private_map_key(account_type=1), MalformedUserSig),
    "byte after": (_private_map_key(tail=b"\0"), MalformedUserSig),
    "cut short": (hmac_token(userbuf=b64(userbuf()[:-1])), MalformedUserSig),
    "account longer than the userbuf": (hmac_token(userbuf=b64(b"\0\xff\xff" + userbuf()[3:])), MalformedUserSig),
    "account of another": (_private_map_key(account=b"bob"), MalformedUserSig),
    "account not ASCII": (_private_map_key(account=b"\xe9lice"), MalformedUserSig),
    "SDKAppID of another": (_private_map_key(sdkappid=1), MalformedUserSig),
    "expiry 3 s late": (_private_map_key(expires_at=NOW + 3603), MalformedUserSig),
    "expiry 3 s early": (_private_map_key(expires_at=NOW + 3597), MalformedUserSig),
    "expiry relative": (_private_map_key(expires_at=3600), MalformedUserSig),
    "another key": (hmac_token(OTHER_KEY, userbuf=b64(userbuf())), BadSignature),
    "privileges raised": (
        hmac_token(userbuf=b64(userbuf()), sig=hmac_sig(hmac_document(userbuf=b64(userbuf(privileges=42))))),
        BadSignature,
    ),
    "another SDKAppID": (hmac_token(sdkappid=1, userbuf=b64(userbuf(sdkappid=1))), SDKAppIDMismatch),
    "another UserID": (hmac_token(identifier="bob", userbuf=b64(userbuf(account=b"bob"))), UserIDMismatch),
    "another UserID and room": (
        hmac_token(identifier="bob", userbuf=b64(userbuf(account=b"bob", room=8))),
        UserIDMismatch,
    ),
    "another room": (_private_map_key(room=8), RoomMismatch),
    "string room of the same spelling": (_private_map_key(version=1, room=0, tail=b"\0\x017"), RoomMismatch),
    "another room, expired": (
        hmac_token(time=NOW - 9999, userbuf=b64(userbuf(room=8, expires_at=NOW - 6399))),
        RoomMismatch,
    ),
    "expired": (hmac_token(time=NOW - 9999, userbuf=b64(userbuf(expires_at=NOW - 6399))), UserSigExpired),
    "from the future": (
        hmac_token(time=NOW + 301, userbuf=b64(userbuf(expires_at=NOW + 3901))),
        UserSigNotYetValid,
    ),
}


@pytest.mark.parametrize(("key", "error"), MAP_KEYS.values(), ids=MAP_KEYS)
def test_verify_private_map_key__refused(key, error):
    with pytest.raises(InvalidUserSig) as caught:
        HMAC.verify_private_map_key(key, userid="alice", room=7, now=NOW)
    assert type(caught.value) is error


@pytest.mark.parametrize(("difference", "expires_at"), [(-2, NOW + 3598), (-1, NOW + 3599), (2, NOW + 3600)])
def test_verify_private_map_key__the_earlier_expiry_counts(difference, expires_at):
    key = _private_map_key(expires_at=NOW + 3600 + difference)
    claims = HMAC.verify_private_map_key(key, userid="alice", room=7, now=expires_at)
    assert (claims.expires_at, claims.expire, claims.room, claims.privileges) == (expires_at, 3600, 7, 255)
    with pytest.raises(UserSigExpired):
        HMAC.verify_private_map_key(key, now=expires_at + 1)


def test_verify_userbuf__any_content_and_refuses_none():
    assert HMAC.verify_userbuf(hmac_token(userbuf="YWJj"), now=NOW).userbuf == b"abc"
    assert HMAC.verify_userbuf(_private_map_key(), now=NOW).userbuf == userbuf()
    with pytest.raises(MalformedUserSig):
        HMAC.verify_userbuf(GOOD, now=NOW)
    with pytest.raises(UserIDMismatch):
        HMAC.verify_userbuf(hmac_token(userbuf="YWJj"), userid="bob", now=NOW)
    with pytest.raises(UserSigExpired):
        HMAC.verify_userbuf(hmac_token(userbuf="YWJj"), now=NOW + 3601)


def _ecdsa_edited(**changes):
    """Members replaced after signing."""
    return wrap(json.dumps({**ecdsa_document(), **{f"TLS.{name}": value for name, value in changes.items()}}))


def _ecdsa_without(name):
    return wrap(json.dumps({key: value for key, value in ecdsa_document().items() if key != name}))


SIG = ecdsa_document()["TLS.sig"]
ECDSA_REFUSED = {
    "an HMAC token": (GOOD, MalformedUserSig),
    "HMAC with the public key as its key": (hmac_token(PUBLIC_PEM), MalformedUserSig),
    "HMAC with the public key, in ECDSA's members": (
        ecdsa_token(sig=hmac_sig(hmac_document(PUBLIC_PEM))),
        BadSignature,
    ),
    "number as a number": (_ecdsa_edited(time=NOW), MalformedUserSig),
    "account type as a number": (_ecdsa_edited(account_type=0), MalformedUserSig),
    "version as a number": (_ecdsa_edited(version=201512300000), MalformedUserSig),
    "unknown member": (_ecdsa_edited(ver="1.0"), MalformedUserSig),
    "version 2.0 beside": (_ecdsa_edited(ver="2.0"), MalformedUserSig),
    "account type missing": (_ecdsa_without("TLS.account_type"), MalformedUserSig),
    "identifier missing": (_ecdsa_without("TLS.identifier"), MalformedUserSig),
    "signature missing": (_ecdsa_without("TLS.sig"), MalformedUserSig),
    "leading zero": (ecdsa_token(time=f"0{NOW}"), MalformedUserSig),
    "sign": (ecdsa_token(time=f"+{NOW}"), MalformedUserSig),
    "white space": (ecdsa_token(time=f"{NOW} "), MalformedUserSig),
    "line break": (ecdsa_token(time=f"{NOW}\n"), MalformedUserSig),
    "underscore": (ecdsa_token(expire_after="3_600"), MalformedUserSig),
    "float": (ecdsa_token(expire_after="3600.0"), MalformedUserSig),
    "empty number": (ecdsa_token(sdk_appid=""), MalformedUserSig),
    "Arabic digits": (ecdsa_token(expire_after="\u0663600"), MalformedUserSig),
    "17 digits": (ecdsa_token(sdk_appid="1" * 17), MalformedUserSig),
    "account type of letters": (ecdsa_token(account_type="a"), MalformedUserSig),
    "date for a time": (ecdsa_token(time="2018-01-01T00:00:00-08:00"), MalformedUserSig),
    "appid_at_3rd with a line break": (ecdsa_token(appid_at_3rd="0\nTLS.account_type:0"), MalformedUserSig),
    "appid_at_3rd not ASCII": (ecdsa_token(appid_at_3rd="\u00e9"), MalformedUserSig),
    "version with half a surrogate pair": (ecdsa_token(version="\ud800"), MalformedUserSig),
    "identifier of 33 characters": (ecdsa_token(identifier="a" * 33), MalformedUserSig),
    "identifier with a line in it": (ecdsa_token(identifier="a\nTLS.sdk_appid:1"), MalformedUserSig),
    "userbuf": (ecdsa_token(userbuf="YWJj"), MalformedUserSig),
    "userbuf not base64": (ecdsa_token(userbuf="YWJ"), MalformedUserSig),
    "signature not base64": (_ecdsa_edited(sig="!"), MalformedUserSig),
    "signature with junk": (_ecdsa_edited(sig=SIG + "\v"), MalformedUserSig),
    "signature with trailing bits": (_ecdsa_edited(sig="YWJjZB=="), MalformedUserSig),
    "signature empty": (_ecdsa_edited(sig=""), BadSignature),
    "another key": (ecdsa_token(OTHER_EC_KEY), BadSignature),
    "another key, expired": (ecdsa_token(OTHER_EC_KEY, time="1"), BadSignature),
    "UserID replaced": (_ecdsa_edited(identifier="mallory"), BadSignature),
    "appid_at_3rd replaced": (_ecdsa_edited(appid_at_3rd="1"), BadSignature),
    "appid_at_3rd left out": (_ecdsa_without("TLS.appid_at_3rd"), BadSignature),
    "account type replaced": (_ecdsa_edited(account_type="1"), BadSignature),
    "time moved": (_ecdsa_edited(time=str(NOW + 9)), BadSignature),
    "another SDKAppID": (ecdsa_token(sdk_appid="1"), SDKAppIDMismatch),
    "SDKAppID zero": (ecdsa_token(sdk_appid="0"), SDKAppIDMismatch),
    "another UserID": (ecdsa_token(identifier="bob"), UserIDMismatch),
    "expired": (ecdsa_token(time=str(NOW - 3601)), UserSigExpired),
    "time zero": (ecdsa_token(time="0"), UserSigExpired),
    "from the future": (ecdsa_token(time=str(NOW + 301)), UserSigNotYetValid),
    "plain JSON": (json.dumps(ecdsa_document()), MalformedUserSig),
}


@pytest.mark.parametrize(("token", "error"), ECDSA_REFUSED.values(), ids=ECDSA_REFUSED)
def test_ecdsa_verify__refused(token, error):
    with pytest.raises(InvalidUserSig) as caught:
        ECDSA.verify(token, userid="alice", now=NOW)
    assert type(caught.value) is error


def test_ecdsa_verify__edges_that_are_valid():
    assert ECDSA.verify(ecdsa_token(), now=NOW)
    assert ECDSA.verify(ecdsa_token(appid_at_3rd=None), now=NOW)
    assert ECDSA.verify(ecdsa_token(appid_at_3rd=""), now=NOW)
    assert ECDSA.verify(ecdsa_token(appid_at_3rd="123", account_type="116"), now=NOW)
    assert ECDSA.verify(ecdsa_token(version=None), now=NOW)
    assert ECDSA.verify(ecdsa_token(version="\u00e9 any \U0001f600"), now=NOW)
    assert ECDSA.verify(_ecdsa_edited(version="not signed"), now=NOW)
    assert ECDSA.verify(_ecdsa_edited(sig=f" {SIG[:64]}\r\n{SIG[64:]}\n"), now=NOW)
    assert ECDSA.verify_userbuf(ecdsa_token(userbuf="YWJj"), now=NOW).userbuf == b"abc"


R, S = decode_dss_signature(base64.b64decode(SIG))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DER = encode_dss_signature(R, S)


def _integer(value, *, padding=b""):
    size = (value.bit_length() + 8) // 8
    data = padding + value.to_bytes(size, "big")
    return b"\x02" + bytes([len(data)]) + data


def _sequence(content):
    return b"\x30" + bytes([len(content)]) + content


NOT_STRICT_DER = {
    "long form of the length": b"\x30\x81" + DER[1:],
    "indefinite length": b"\x30\x80" + DER[2:] + b"\0\0",
    "zero before an integer": _sequence(_integer(R, padding=b"\0") + _integer(S)),
    "bytes after the sequence": DER + b"\0",
    "bytes inside the sequence": _sequence(DER[2:] + b"\x05\0"),
    "third integer": _sequence(DER[2:] + _integer(1)),
    "one integer": _sequence(_integer(R)),
    "no integer": b"\x30\0",
    "cut short": DER[:-1],
    "set for a sequence": b"\x31" + DER[1:],
    "octet strings for integers": DER.replace(b"\x02", b"\x04", 1),
    "negative r": _sequence(b"\x02\x01\xff" + _integer(S)),
    "r zero": encode_dss_signature(0, S),
    "s zero": encode_dss_signature(R, 0),
    "both zero": encode_dss_signature(0, 0),
    "both one": encode_dss_signature(1, 1),
    "r raised by the order": encode_dss_signature(R + ORDER, S),
    "s raised by the order": encode_dss_signature(R, S + ORDER),
    "r is the order": encode_dss_signature(ORDER, S),
    "s is the order": encode_dss_signature(R, ORDER),
    "r and s swapped": encode_dss_signature(S, R),
    "r of 1000 bits": encode_dss_signature(2**1000, S),
    "raw r and s, as in JOSE": R.to_bytes(32, "big") + S.to_bytes(32, "big"),
}


@pytest.mark.parametrize("signature", NOT_STRICT_DER.values(), ids=NOT_STRICT_DER)
def test_ecdsa_verify__not_strict_der(signature):
    with pytest.raises(BadSignature):
        ECDSA.verify(_ecdsa_edited(sig=b64(signature)), now=NOW)


def test_ecdsa_verify__the_other_s_says_the_same():
    claims = ECDSA.verify(_ecdsa_edited(sig=b64(encode_dss_signature(R, ORDER - S))), now=NOW)
    assert claims == ECDSA.verify(ecdsa_token(), now=NOW)


def test_ecdsa_verify__key_on_another_curve():
    other = ec.derive_private_key(0xC0FFEE, ec.SECP256K1())
    with pytest.raises(BadSignature):
        ECDSA.verify(ecdsa_token(other), now=NOW)


@pytest.mark.parametrize("verifier", [HMAC, ECDSA], ids=["hmac", "ecdsa"])
def test_verify__bomb_costs_nothing(verifier):
    """1 GiB in 1.4 MB: under 10 ms and 5 MB (SECURITY 2.1)."""
    deflate = zlib.compressobj(9)
    first, then = (deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    stream = first + then * 1023
    assert len(zlib.decompressobj().decompress(first + then * 3)) == 4 * 2**20
    bomb = wrap(b"", compressed=stream)
    assert len(bomb) > 1_300_000
    fitting = wrap(b"", compressed=stream[:6000])
    for token in (bomb, fitting):
        tracemalloc.start()
        started = time.perf_counter()
        with pytest.raises(MalformedUserSig):
            verifier.verify(token)
        elapsed = time.perf_counter() - started
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert elapsed < 0.01
        assert peak < 5_000_000


class _Text(str):
    __slots__ = ()


NOT_TEXT = [None, b"eJ", 1, True, ["eJ"], _Text(GOOD)]


@pytest.mark.parametrize("token", NOT_TEXT, ids=repr)
@pytest.mark.parametrize("verifier", [HMAC, ECDSA], ids=["hmac", "ecdsa"])
def test_verify__not_a_str(verifier, token):
    for call in (verifier.verify, verifier.verify_userbuf, verifier.verify_private_map_key, decode):
        with pytest.raises(InvalidInput):
            call(token)
    with pytest.raises(InvalidInput):
        ECDSA.verify_plain_json(token)


@pytest.mark.parametrize(
    "arguments",
    [
        {"userid": b"alice"}, {"userid": 1}, {"userid": True}, {"userid": _Text("alice")},
        {"now": True}, {"now": 1.0}, {"now": "1"}, {"leeway": None}, {"leeway": 1.5}, {"leeway": True}, {"leeway": -1},
        {"not_before": True}, {"not_before": 1.0}, {"not_before": "1"},
    ],
    ids=repr,
)  # fmt: skip
def test_verify__argument_of_another_type(arguments):
    for call in (HMAC.verify, HMAC.verify_userbuf, HMAC.verify_private_map_key, ECDSA.verify_plain_json):
        with pytest.raises(InvalidInput):
            call("not even a token", **arguments)


@pytest.mark.parametrize("room", [True, 7.0, b"7", _Text("7")], ids=repr)
def test_verify_private_map_key__room_of_another_type(room):
    with pytest.raises(InvalidInput):
        HMAC.verify_private_map_key(_private_map_key(), room=room, now=NOW)


class TestAdvisory:
    """What the official signers let through (PROTOCOL 6)."""

    def test_line_break_in_a_userid_is_not_repackaged(self):
        """`alice\\nTLS.sdkappid:1...` signs a text that another document spells too."""
        for userid in ("alice\nTLS.sdkappid:1", "alice\n", "\nalice"):
            with pytest.raises(InvalidInput):
                HMAC.sign(userid, expire=60)

    @pytest.mark.parametrize("room", [2**32 + 7, 2**32, -1, 0])
    def test_room_is_not_masked(self, room):
        with pytest.raises(InvalidInput):
            HMAC.sign_private_map_key("alice", room=room, privileges=255, expire=60)

    def test_userbuf_and_token_share_one_reading_of_the_clock(self, monkeypatch):
        clock = iter([NOW + 0.9, NOW + 1.1, NOW + 2.1])
        monkeypatch.setattr(time, "time", lambda: next(clock))
        claims = decode(HMAC.sign_private_map_key("alice", room=7, privileges=1, expire=60))
        assert claims.userbuf == userbuf(privileges=1, expires_at=NOW + 60)
        assert claims.issued_at == NOW

    @pytest.mark.parametrize("expire", [0, -1, 1.5, "3600", True, None])
    def test_expire_is_a_positive_int(self, expire):
        with pytest.raises(InvalidInput):
            HMAC.sign("alice", expire=expire)

    def test_plain_usersig_and_private_map_key_are_not_exchanged(self):
        with pytest.raises(MalformedUserSig):
            HMAC.verify(HMAC.sign_private_map_key("alice", room=7, privileges=1, expire=60))
        with pytest.raises(MalformedUserSig):
            HMAC.verify_private_map_key(HMAC.sign("alice", expire=60))

    def test_algorithm_is_the_verifiers(self):
        signer = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)
        with pytest.raises(MalformedUserSig):
            HMAC.verify(signer.sign("alice", expire=60))
        with pytest.raises(MalformedUserSig):
            ECDSA.verify(HMAC.sign("alice", expire=60))

    def test_userbuf_is_canonical_base64(self):
        """Another spelling of the same bytes would be another signed text."""
        for spelling in ("YWI", "YWI=\n", "YWJ=", " YWI=", "YWI=="):
            with pytest.raises(MalformedUserSig):
                HMAC.verify_userbuf(hmac_token(userbuf=spelling), now=NOW)

    def test_nothing_is_printed(self, capfd):
        HMAC.verify_private_map_key(HMAC.sign_private_map_key("alice", room="r", privileges=1, expire=60))
        assert capfd.readouterr() == ("", "")


def test_hostile_tables__are_large_enough():
    assert len(TEXTS) + len(REFUSED) + len(MAP_KEYS) + len(ECDSA_REFUSED) + len(NOT_STRICT_DER) >= 80
