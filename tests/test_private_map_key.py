import pytest

from tests.tokens import NOW, PRIVATE_PEM, SDKAPPID, SECRET_KEY, userbuf
from usersig_django.exceptions import InvalidInput, MalformedUserSig
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer, PrivateMapKeyClaims, Privilege, decode
from usersig_django.signing.private_map_key import check_privileges, check_room, decode_userbuf

HMAC = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
ECDSA = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)
ROOM_CHARACTERS = " !#$%&()+-:;<=.>?@[]^_{}|~,"


def test_privilege__bits():
    assert [(privilege.name, privilege.value) for privilege in Privilege] == [
        ("CREATE_ROOM", 1),
        ("ENTER_ROOM", 2),
        ("SEND_AUDIO", 4),
        ("RECEIVE_AUDIO", 8),
        ("SEND_VIDEO", 16),
        ("RECEIVE_VIDEO", 32),
        ("SEND_SUBSTREAM", 64),
        ("RECEIVE_SUBSTREAM", 128),
    ]
    assert Privilege.ALL == 255
    assert Privilege.AUDIENCE == Privilege.ENTER_ROOM | Privilege.RECEIVE_AUDIO | Privilege.RECEIVE_VIDEO == 42


@pytest.mark.parametrize("signer", [HMAC, ECDSA], ids=["hmac", "ecdsa"])
@pytest.mark.parametrize("room", [1, 2**31, 4294967294, "1", "lobby", ROOM_CHARACTERS, "a" * 64], ids=repr)
@pytest.mark.parametrize("privileges", [Privilege.ALL, Privilege.AUDIENCE, 1, 128])
def test_private_map_key__round_trip(signer, room, privileges):
    key = signer.sign_private_map_key("alice", room=room, privileges=privileges, expire=3600, now=NOW)
    claims = signer.verify_private_map_key(key, userid="alice", room=room, now=NOW + 3600)
    assert claims == PrivateMapKeyClaims(
        SDKAPPID, "alice", NOW, 3600, claims.userbuf, room, Privilege(privileges), NOW + 3600
    )
    assert type(claims.room) is type(room)
    assert type(claims.privileges) is Privilege
    assert claims.expires_at == NOW + 3600


def test_sign_private_map_key__bytes():
    numeric = decode(HMAC.sign_private_map_key("alice", room=7, privileges=42, expire=3600, now=NOW)).userbuf
    string = decode(HMAC.sign_private_map_key("alice", room="7", privileges=42, expire=3600, now=NOW)).userbuf
    assert numeric == userbuf(privileges=42)
    assert string == userbuf(privileges=42, version=1, room=0, tail=b"\0\x017")


def test_decode_userbuf__parts():
    parts = decode_userbuf(userbuf(privileges=42))
    assert (parts.account, parts.sdkappid, parts.room, parts.expires_at) == ("alice", SDKAPPID, 7, NOW + 3600)
    assert parts.privileges is Privilege.AUDIENCE
    assert decode_userbuf(userbuf(version=1, room=0, tail=b"\0\x05lobby")).room == "lobby"
    for anything_else in (b"", b"\0", b"abc", userbuf() + b"\0", userbuf(expires_at=0)):
        with pytest.raises(MalformedUserSig):
            decode_userbuf(anything_else)


class _Text(str):
    __slots__ = ()


BAD_ROOMS = [
    0, -1, 2**32, True, 1.0, None, b"lobby", ["lobby"], _Text("lobby"), "", "a" * 65, "a\n", "\n", 'a"', "a'",
    "a\\", "a/", "a*",
    "a`", "\u00e9", "\u623f", "a\0", "\uff11",
]  # fmt: skip


@pytest.mark.parametrize("room", BAD_ROOMS, ids=repr)
def test_check_room__not_a_room(room):
    with pytest.raises(InvalidInput):
        check_room(room)
    with pytest.raises(InvalidInput):
        HMAC.sign_private_map_key("alice", room=room, privileges=1, expire=60)


@pytest.mark.parametrize(
    "privileges", [0, 256, -1, True, 1.0, "1", None, Privilege(0), Privilege(256), Privilege(511)], ids=repr
)
def test_check_privileges__none_or_unknown(privileges):
    with pytest.raises(InvalidInput):
        check_privileges(privileges)
    with pytest.raises(InvalidInput):
        HMAC.sign_private_map_key("alice", room=1, privileges=privileges, expire=60)


@pytest.mark.parametrize("expire", [0, 315360001, True, "60", 60.0, None], ids=repr)
def test_sign_private_map_key__expire(expire):
    with pytest.raises(InvalidInput):
        HMAC.sign_private_map_key("alice", room=1, privileges=1, expire=expire)


def test_sign_private_map_key__expiry_in_32_bits():
    last = 2**32 - 1
    key = HMAC.sign_private_map_key("alice", room=1, privileges=1, expire=60, now=last - 60)
    assert HMAC.verify_private_map_key(key, now=last).expires_at == last
    with pytest.raises(InvalidInput, match=r"now \+ expire"):
        HMAC.sign_private_map_key("alice", room=1, privileges=1, expire=61, now=last - 60)
