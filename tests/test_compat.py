import time

import pytest
from TLSSigAPIv2 import TLSSigAPIv2 as OfficialSigner

from tests.test_hmac_sha256 import assert_hides
from tests.tokens import NOW, SDKAPPID, SECRET_KEY, members, userbuf
from usersig_django.compat import TLSSigAPIv2
from usersig_django.exceptions import InvalidInput, InvalidKey
from usersig_django.signing import HmacSha256Signer, decode

API = TLSSigAPIv2(SDKAPPID, SECRET_KEY)
PEER = OfficialSigner(SDKAPPID, SECRET_KEY)
SIGNER = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)


@pytest.fixture(autouse=True)
def _frozen_clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


def test_gen_sig__same_document_as_the_official_signer():
    assert members(API.gen_sig("alice")) == members(PEER.gen_sig("alice"))
    assert members(API.gen_sig("alice", 60)) == members(PEER.gen_sig("alice", 60))
    assert members(API.gen_sig("a user@home", expire=60)) == members(PEER.gen_sig("a user@home", expire=60))
    assert members(API.gen_sig_with_userbuf("alice", 60, b"abc")) == members(
        PEER.gen_sig_with_userbuf("alice", 60, b"abc")
    )


def test_names_of_the_other_line():
    assert API.genUserSig("alice", expire=60) == API.genUserSig(userid="alice", expire=60) == API.gen_sig("alice", 60)
    assert decode(API.genUserSig("alice")).expire == decode(API.gen_sig("alice")).expire == 15_552_000


def test_genPrivateMapKey__bytes_of_the_userbuf():
    assert decode(API.genPrivateMapKey("alice", 3600, 7, 255)).userbuf == userbuf()
    by_name = API.genPrivateMapKey(userid="alice", expire=3600, roomid=7, privilegeMap=42)
    assert SIGNER.verify_private_map_key(by_name, userid="alice", room=7, now=NOW).privileges == 42
    string = API.genPrivateMapKeyWithStringRoomID(userid="alice", expire=3600, roomstr="7", privilegeMap=255)
    assert decode(string).userbuf == userbuf(version=1, room=0, tail=b"\0\x017")


def test_decimal_text__here_alone():
    assert TLSSigAPIv2(str(SDKAPPID), SECRET_KEY).gen_sig("alice", "60") == API.gen_sig("alice", 60)
    assert API.genPrivateMapKey("alice", "60", 7, 1) == API.genPrivateMapKey("alice", 60, 7, 1)
    assert API.gen_sig_with_userbuf("alice", "60", b"a") == API.gen_sig_with_userbuf("alice", 60, b"a")


@pytest.mark.parametrize(
    "expire", ["0", "-60", "060", "6e1", "60.0", " 60", "60\n", "\u0666", "", 0, 60.0, True, None], ids=repr
)
def test_expire__anything_else(expire):
    with pytest.raises(InvalidInput):
        API.gen_sig("alice", expire)


@pytest.mark.parametrize("sdkappid", ["", "0", "-1", "4294967296", "1400000000 ", 0, True, None], ids=repr)
def test_sdkappid__anything_else(sdkappid):
    with pytest.raises(InvalidInput) as caught:
        TLSSigAPIv2(sdkappid, SECRET_KEY)
    assert_hides(caught.value, SECRET_KEY)


def test_key__refused_without_showing_it():
    with pytest.raises(InvalidKey) as caught:
        TLSSigAPIv2(SDKAPPID, SECRET_KEY + "\n")
    assert_hides(caught.value, SECRET_KEY)
    assert SECRET_KEY[:8] not in repr(API)
    with pytest.raises(InvalidKey):
        TLSSigAPIv2(SDKAPPID, "")


def test_rooms_and_userbufs__of_the_wrong_kind():
    for room in ("7", True, None):
        with pytest.raises(InvalidInput):
            API.genPrivateMapKey("alice", 60, room, 1)
    for room in (7, None, b"7"):
        with pytest.raises(InvalidInput):
            API.genPrivateMapKeyWithStringRoomID("alice", 60, room, 1)
    for userbuf_ in (None, "abc", b"", bytearray(b"abc")):
        with pytest.raises(InvalidInput):
            API.gen_sig_with_userbuf("alice", 60, userbuf_)
    with pytest.raises(InvalidInput):
        API.gen_sig("alice\n")
