"""What holds for every input; a large search runs with HYPOTHESIS_PROFILE=ci."""

import json
import string
import zlib

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_verify
from tests.tokens import (
    NOW,
    PRIVATE_PEM,
    SDKAPPID,
    SECRET_KEY,
    b64,
    ecdsa_document,
    ecdsa_token,
    hmac_document,
    hmac_token,
    unwrap,
    userbuf,
    wrap,
)
from usersig_django.exceptions import InvalidInput, InvalidKey, InvalidUserSig, MalformedUserSig
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer, decode
from usersig_django.signing.document import parse
from usersig_django.signing.hmac_sha256 import check_secret_key
from usersig_django.signing.private_map_key import check_room, decode_userbuf, encode_userbuf
from usersig_django.signing.userid import check_userid

HMAC = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY, userid_rule="printable")
ECDSA = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
strict_userids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=32)
printable_userids = st.text(PRINTABLE, min_size=1, max_size=32).filter(lambda text: text == text.strip(" "))
expires = st.integers(1, 315_360_000)
times = st.integers(1, 2**32 - 1)
rooms = st.one_of(
    st.integers(1, 2**32 - 2),
    st.text(string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,", min_size=1, max_size=64),
)


@given(printable_userids, expires, times, st.none() | st.binary(min_size=1, max_size=4096), st.integers(0, 9))
def test_hmac__round_trip(userid, expire, now, content, level):
    signer = HmacSha256Signer(
        sdkappid=SDKAPPID, secret_key=SECRET_KEY, compression_level=level, userid_rule="printable"
    )
    token = signer.sign(userid, expire=expire, userbuf=content, now=now)
    claims = (HMAC.verify if content is None else HMAC.verify_userbuf)(token, userid=userid, now=now + expire)
    assert (claims.userid, claims.expire, claims.issued_at, claims.userbuf) == (userid, expire, now, content)
    assert claims == decode(token)
    assert len(token) <= 8192


@given(strict_userids, expires, times, st.none() | st.binary(min_size=1, max_size=200))
def test_ecdsa__round_trip(userid, expire, now, content):
    token = ECDSA.sign(userid, expire=expire, userbuf=content, now=now)
    claims = (ECDSA.verify if content is None else ECDSA.verify_userbuf)(token, userid=userid, now=now + expire)
    assert (claims.userid, claims.expire, claims.issued_at, claims.userbuf) == (userid, expire, now, content)


@given(printable_userids, rooms, st.integers(1, 255), expires, st.integers(1, 2**32 - 315_360_001))
def test_private_map_key__round_trip(userid, room, privileges, expire, now):
    key = HMAC.sign_private_map_key(userid, room=room, privileges=privileges, expire=expire, now=now)
    claims = HMAC.verify_private_map_key(key, userid=userid, room=room, now=now + expire)
    assert (claims.userid, claims.room, claims.privileges, claims.expires_at) == (
        userid,
        room,
        privileges,
        now + expire,
    )


# Text that is ever nearer to a token: any, base64, zlib, flat JSON, the members of a token with other values.
any_text = st.text()
names = st.sampled_from(sorted({*hmac_document(userbuf="YWJj"), *ecdsa_document(userbuf="YWJj")})) | st.text(
    max_size=9
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([*hmac_document().values(), *ecdsa_document().values(), b64(userbuf())]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.integers(), max_size=2),
)
documents = st.one_of(
    st.dictionaries(names, values),
    st.builds(lambda changes: {**hmac_document(), **changes}, st.dictionaries(names, values, max_size=2)),
    st.builds(lambda changes: {**ecdsa_document(), **changes}, st.dictionaries(names, values, max_size=2)),
).map(json.dumps)
hostile_texts = st.one_of(
    any_text,
    documents,
    st.builds(lambda data: wrap(b"", compressed=data), st.binary()),
    st.builds(wrap, st.binary()),
    st.builds(wrap, documents),
)


@given(hostile_texts)
def test_verify__only_invalid_usersig_leaves(text):
    for signer in (HMAC, ECDSA):
        for verify in (signer.verify, signer.verify_userbuf, signer.verify_private_map_key):
            try:
                claims = verify(text, now=NOW)
            except InvalidUserSig:
                continue
            assert (claims.sdkappid, claims.userid) == (SDKAPPID, "alice")
    for read in (decode, ECDSA.verify_plain_json):
        try:
            read(text)
        except InvalidUserSig:
            continue


def _edit(draw, data, alphabet):
    """One to three small edits: replace, insert, delete, repeat."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 3))
        data = data[:at] + draw(alphabet) + data[at + size :]
    return data


@st.composite
def mutated(draw, token):
    document = unwrap(token)
    layer = draw(st.sampled_from(["token", "stream", "document", "spelling"]))
    if layer == "token":
        return _edit(draw, token, st.text(string.ascii_letters + string.digits + "*-_+/= ", max_size=3))
    if layer == "stream":
        return wrap(b"", compressed=_edit(draw, zlib.compress(document), st.binary(max_size=3)))
    if layer == "document":
        return wrap(
            _edit(draw, document, st.binary(max_size=3) | st.sampled_from([b'"', b",", b"\\u0061", b" ", b"0"]))
        )
    members = draw(st.permutations(list(json.loads(document).items())))
    return wrap(
        json.dumps(dict(members), indent=draw(st.sampled_from([None, 0, 3])), separators=draw(_separators)),
        compressed=None,
    )


_separators = st.sampled_from([(",", ":"), (" ,\t", "\n: "), (",\r\n", ":")])
TOKENS = {
    "verify": (hmac_token(), ecdsa_token()),
    "verify_userbuf": (hmac_token(userbuf="YWJj"), ecdsa_token(userbuf="YWJj")),
    "verify_private_map_key": (hmac_token(userbuf=b64(userbuf())), ecdsa_token(userbuf=b64(userbuf()))),
}


@given(st.data(), st.sampled_from(sorted(TOKENS)), st.sampled_from([0, 1]))
def test_verify__a_mutation_that_passes_says_the_same(data, call, algorithm):
    signer = (HMAC, ECDSA)[algorithm]
    token = TOKENS[call][algorithm]
    verify = getattr(signer, call)
    try:
        claims = verify(data.draw(mutated(token)), now=NOW)
    except InvalidUserSig:
        return
    assert claims == verify(token, now=NOW)


@given(st.permutations(list(hmac_document())), _separators, st.sampled_from([None, 0, 3]), st.booleans())
def test_verify__any_spelling_of_the_document(order, separators, indent, escaped):
    document = hmac_document()
    text = json.dumps({name: document[name] for name in order}, indent=indent, separators=separators)
    if escaped:
        text = text.replace("a", "\\u0061").replace("/", "\\/")
    assert HMAC.verify(wrap(text), userid="alice", now=NOW) == decode(hmac_token())


def _reference(text):
    """The same grammar by the json module and its hooks; None for what it refuses."""

    def unique(pairs):
        if len(dict(pairs)) != len(pairs) or not all(type(value) in (str, int) for _, value in pairs):
            raise ValueError
        return dict(pairs)

    def whole(digits):
        if digits.startswith("-") or len(digits) > 16:
            raise ValueError
        return int(digits)

    def refuse(_):
        raise ValueError

    try:
        document = json.loads(
            text, object_pairs_hook=unique, parse_int=whole, parse_float=refuse, parse_constant=refuse
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document else None


json_pieces = st.sampled_from(
    [*'{}[]":,\\ \n\t0123456789-+.eE', "true", "null", "NaN", "\\u0061", '"a"', '"b":1', "\x00", "\u00e9", "\u0661"]
)
json_texts = st.one_of(
    documents,
    st.lists(json_pieces, max_size=30).map("".join),
    st.lists(json_pieces, max_size=30).map(lambda pieces: '{"a":' + "".join(pieces) + "}"),
    st.builds(
        lambda text, at, piece: text[: at % len(text)] + piece + text[at % len(text) :],
        documents,
        st.integers(0),
        json_pieces,
    ),
)


@given(json_texts)
def test_parse__agrees_with_the_json_module(text):
    try:
        document = parse(text)
    except MalformedUserSig:
        document = None
    assert document == _reference(text)


@given(
    st.binary()
    | st.builds(
        lambda at, byte: userbuf()[:at] + byte + userbuf()[at + 1 :], st.integers(0, 27), st.binary(max_size=2)
    )
)
def test_decode_userbuf__one_spelling_for_each_meaning(data):
    try:
        parts = decode_userbuf(data)
    except MalformedUserSig:
        return
    spelling = encode_userbuf(
        parts.account, parts.sdkappid, room=parts.room, expires_at=parts.expires_at, privileges=parts.privileges
    )
    assert spelling == data


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just([]))


@given(anything, anything, anything, anything)
def test_sign__only_invalid_input_leaves(userid, expire, content, now):
    for call in (
        lambda: HMAC.sign(userid, expire=expire, userbuf=content, now=now),
        lambda: HMAC.sign_private_map_key(userid, room=content, privileges=expire, expire=expire, now=now),
        lambda: check_room(content),
        lambda: check_userid(userid),
    ):
        try:
            call()
        except InvalidInput:
            continue


@given(anything, anything)
def test_signer__only_its_own_errors_leave(sdkappid, key):
    for call in (
        lambda: HmacSha256Signer(sdkappid=sdkappid, secret_key=key),
        lambda: EcdsaSha256Signer(sdkappid=sdkappid, private_key=key),
        lambda: check_secret_key(key),
    ):
        try:
            call()
        except (InvalidInput, InvalidKey):
            continue


@given(st.binary(min_size=32, max_size=32))
def test_check_secret_key__takes_every_key_of_the_console(data):
    assert check_secret_key(data.hex()) is None


def test_fuzz_target__runs():
    assert fuzz_verify.main(0.3, seed=1) > 100
