"""Both sides of every comparison of signatures: ours, Tencent's official signers, and the primitives alone."""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

SDKAPPID: Final = 1400000000
SECRET_KEY: Final = "0123456789abcdef" * 4
EXPIRE: Final = 86_400

# Three kinds of UserID, as deployments have them: primary keys, names, UUIDs.
USERIDS: Final = [
    userid
    for number in range(500)
    for userid in (
        str(104_729 * (number + 1)),
        f"user_{number}",
        hashlib.md5(str(number).encode()).hexdigest(),
    )
]
NODE_PACKAGE: Final = Path(__file__).parent.parent / "tests" / "peers"
NODE_SCRIPT: Final = Path(__file__).parent / "official_node.js"


def official_signer() -> Callable[[str], Any]:
    from TLSSigAPIv2 import TLSSigAPIv2  # type: ignore[import-untyped]

    signer = TLSSigAPIv2(SDKAPPID, SECRET_KEY)
    return lambda userid: signer.gen_sig(userid, EXPIRE)


def our_signer(compression_level: int = 6) -> Callable[[str], Any]:
    from usersig_django.signing import HmacSha256Signer

    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY, compression_level=compression_level)
    return lambda userid: signer.sign(userid, expire=EXPIRE)


def hmac_floor() -> Callable[[bytes], Any]:
    """What no signer can do without: HMAC over the text, zlib and base64 over the document."""
    key = SECRET_KEY.encode()
    text = f"TLS.identifier:104729\nTLS.sdkappid:{SDKAPPID}\nTLS.time:1800000000\nTLS.expire:{EXPIRE}\n".encode()

    def primitives(document: bytes) -> bytes:
        hmac.digest(key, text, "sha256")
        return base64.b64encode(zlib.compress(document, 6))

    return primitives


def time_official_node_signer(rounds: int, calls: int) -> list[float] | str:
    """Microseconds a call, of each round; or why there are none."""
    node = shutil.which("node")
    if node is None:
        return "node is not installed"
    if not (NODE_PACKAGE / "node_modules" / "tls-sig-api-v2").is_dir():
        return "its package is not installed: npm install --prefix tests/peers"
    question = {
        "directory": str(NODE_PACKAGE),
        "sdkappid": SDKAPPID,
        "key": SECRET_KEY,
        "userids": USERIDS,
        "expire": EXPIRE,
        "rounds": rounds,
        "calls": calls,
    }
    answer = subprocess.run(
        [node, NODE_SCRIPT], input=json.dumps(question), capture_output=True, text=True, check=True
    )
    times: list[float] = json.loads(answer.stdout)
    return times
