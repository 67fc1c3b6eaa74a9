"""Tencent's official signers as peers: what they sign we verify, what we sign is what they would have signed."""

import base64
import json
import random
import string
import subprocess
import time
from pathlib import Path

import pytest
from TLSSigAPIv2 import TLSSigAPIv2

from tests.tokens import members
from usersig_django.signing import HmacSha256Signer

USERID_CHARACTERS = string.ascii_letters + string.digits + "_-"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
ROOM_CHARACTERS = string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,"
COUNT = 1000


def _text(source, characters, longest):
    return "".join(source.choices(characters, k=source.randint(1, longest)))


def _requests(seed):
    """Random inputs of every kind, the same in each run."""
    source = random.Random(seed)
    for number in range(COUNT):
        printable = _text(source, PRINTABLE, 32).strip() or "x"
        yield {
            "sdkappid": source.choice([1, 1400000000, 2**32 - 1, source.randrange(1, 2**32)]),
            "key": source.randbytes(32).hex(),
            "userid": printable if number % 4 == 3 else _text(source, USERID_CHARACTERS, 32),
            "expire": source.choice([1, 60, 86400, 15552000, 315360000]),
            "now": source.randrange(1_577_836_800, 2_100_000_000),
            "userbuf": base64.b64encode(source.randbytes(source.randint(1, 200))).decode() if number % 2 else None,
            "room": None,
            "privileges": source.randrange(1, 256),
        }


def _signer(request):
    return HmacSha256Signer(sdkappid=request["sdkappid"], secret_key=request["key"], userid_rule="printable")


def _userbuf(request):
    return None if request["userbuf"] is None else base64.b64decode(request["userbuf"])


def _check_both_ways(request, token):
    signer, userbuf = _signer(request), _userbuf(request)
    verify = signer.verify if userbuf is None else signer.verify_userbuf
    claims = verify(token, userid=request["userid"], now=request["now"])
    assert (claims.issued_at, claims.expire, claims.userbuf) == (request["now"], request["expire"], userbuf)
    ours = signer.sign(request["userid"], expire=request["expire"], userbuf=userbuf, now=request["now"])
    assert members(ours) == members(token)


def test_official_python_signer__both_ways(monkeypatch):
    for request in _requests(seed=1):
        monkeypatch.setattr(time, "time", lambda now=request["now"]: now)
        peer = TLSSigAPIv2(request["sdkappid"], request["key"])
        if request["userbuf"] is None:
            token = peer.gen_sig(request["userid"], request["expire"])
        else:
            token = peer.gen_sig_with_userbuf(request["userid"], request["expire"], _userbuf(request))
        _check_both_ways(request, token)


def _sign_with_node(requests):
    """A missing node or package fails: `npm install --prefix tests/peers` brings it."""
    done = subprocess.run(
        ["node", Path(__file__).parent / "peers" / "sign.js"],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.peers
def test_official_node_signer__both_ways():
    requests = list(_requests(seed=2))
    for request, token in zip(requests, _sign_with_node(requests), strict=True):
        _check_both_ways(request, token)


@pytest.mark.peers
def test_official_node_signer__private_map_keys():
    source = random.Random(3)
    requests = [
        {
            **request,
            "userbuf": None,
            # Node's bit operations are signed, its bytes are not.
            "room": source.randrange(1, 2**32 - 1) if number % 2 else _text(source, ROOM_CHARACTERS, 64),
        }
        for number, request in enumerate(_requests(seed=4))
    ]
    for request, key in zip(requests, _sign_with_node(requests), strict=True):
        signer = _signer(request)
        arguments = {name: request[name] for name in ("room", "privileges", "expire", "now")}
        ours = signer.sign_private_map_key(request["userid"], **arguments)
        assert members(ours) == members(key)
        claims = signer.verify_private_map_key(key, userid=request["userid"], room=request["room"], now=request["now"])
        assert claims.privileges == request["privileges"]
