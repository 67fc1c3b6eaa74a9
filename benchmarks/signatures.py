"""sign and verify against their peers, in a process that has lived: Django is loaded and the heap is in pieces."""

import random
from statistics import fmean
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.measuring import Row, Target, Work, compare, interleave
from benchmarks.peers import (
    EXPIRE,
    SDKAPPID,
    SECRET_KEY,
    USERIDS,
    hmac_floor,
    official_signer,
    our_signer,
    time_official_node_signer,
)
from benchmarks.sizes import Size
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer
from usersig_django.signing.codec import unpack

CALLS = 100
ECDSA_CALLS = 40


def measure(size: Size) -> list[Row]:
    heap = _fragment_heap()
    rows = [*_hmac(size), *_ecdsa(size), _official_node(size)]
    del heap
    return rows


def _hmac(size: Size) -> list[Row]:
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
    official, ours = official_signer(), our_signer()
    tokens = [signer.sign(userid, expire=EXPIRE) for userid in USERIDS]
    works: dict[str, Work[Any]] = {
        "sign, level 6": Work(ours, USERIDS),
        "sign, level 0": Work(our_signer(compression_level=0), USERIDS),
        "official Python signer": Work(official, USERIDS),
        "hmac + zlib + base64": Work(hmac_floor(), [unpack(token).encode() for token in tokens]),
        "verify": Work(signer.verify, tokens),
    }
    times = interleave(works, size.rounds, CALLS)
    lengths = {
        "ours": fmean(len(ours(userid)) for userid in USERIDS),
        "official Python signer": fmean(len(official(userid)) for userid in USERIDS),
    }
    server = "server process"
    return [
        compare(
            server,
            "official Python signer / sign, level 6",
            times,
            "official Python signer",
            "sign, level 6",
            Target(1.3, least=True),
        ),
        compare(
            server,
            "official Python signer / sign, level 0",
            times,
            "official Python signer",
            "sign, level 0",
            Target(3, least=True),
        ),
        compare(server, "sign, level 6 / its primitives", times, "sign, level 6", "hmac + zlib + base64"),
        Row(
            server,
            "length / the official signer's, on average",
            lengths["ours"] / lengths["official Python signer"],
            "x",
            target=Target(1),
            details={name: {"mean": mean, "unit": "characters"} for name, mean in lengths.items()},
        ),
        compare(server, "verify / sign, level 6", times, "verify", "sign, level 6", Target(1.3)),
    ]


def _ecdsa(size: Size) -> list[Row]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signer, algorithm = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=pem), ec.ECDSA(SHA256())
    texts = [
        (
            f"TLS.appid_at_3rd:0\nTLS.account_type:0\nTLS.identifier:{userid}\nTLS.sdk_appid:{SDKAPPID}\n"
            f"TLS.time:1800000000\nTLS.expire_after:{EXPIRE}\n"
        ).encode()
        for userid in USERIDS
    ]
    works: dict[str, Work[Any]] = {
        "ECDSA sign": Work(lambda userid: signer.sign(userid, expire=EXPIRE), USERIDS),
        "cryptography's signature": Work(lambda text: key.sign(text, algorithm), texts),
    }
    times = interleave(works, size.rounds, ECDSA_CALLS)
    return [
        compare(
            "server process",
            "ECDSA sign, P-256 / the bare signature",
            times,
            "ECDSA sign",
            "cryptography's signature",
            Target(1.6),
        )
    ]


def _official_node(size: Size) -> Row:
    """In a process of its own, between rounds of ours: one process cannot hold both."""
    work, ours = "official Node signer / sign, level 6", our_signer()
    times: dict[str, list[float]] = {"official Node signer": [], "sign, level 6": []}
    for _ in range(size.processes):
        node = time_official_node_signer(size.rounds, CALLS)
        if isinstance(node, str):
            return Row("server process", f"{work}: not measured, {node}", None, "x")
        times["official Node signer"] += node
        times["sign, level 6"] += interleave({"ours": Work(ours, USERIDS)}, size.rounds, CALLS)["ours"]
    return compare("server process", work, times, "official Node signer", "sign, level 6")


def _fragment_heap() -> list[bytes]:
    """What months of requests leave behind: blocks of every size, and holes between them."""
    source = random.Random(8)
    blocks = [bytes(source.randrange(16, 4096)) for _ in range(40_000)]
    return blocks[::2]
