"""Search for a text that makes a verify call raise anything but `InvalidUserSig`, until stopped.

`python -m tests.fuzz.fuzz_verify [SECONDS]`: 60 when absent; 0 is for ever. It edits good tokens at every layer, the
token's text, the zlib stream and the document, and keeps those that get further than others did. Exits with 1 and
the text at the first fault."""

import random
import sys
import time
import zlib

from tests.tokens import NOW, PRIVATE_PEM, SDKAPPID, SECRET_KEY, b64, ecdsa_token, hmac_token, unwrap, userbuf, wrap
from usersig_django.exceptions import InvalidUserSig
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer, decode

HMAC = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
ECDSA = EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)
CALLS = [
    decode,
    ECDSA.verify_plain_json,
    *(
        getattr(signer, call)
        for signer in (HMAC, ECDSA)
        for call in ("verify", "verify_userbuf", "verify_private_map_key")
    ),
]
SEEDS = [
    hmac_token(),
    hmac_token(userbuf="YWJj"),
    hmac_token(userbuf=b64(userbuf())),
    ecdsa_token(),
    ecdsa_token(userbuf=b64(userbuf(version=1, room=0, tail=b"\0\x05lobby"))),
    unwrap(ecdsa_token()).decode(),
]
PIECES = [
    b'"',
    b"\\",
    b"{",
    b"[",
    b"}",
    b",",
    b":",
    b"\\ud800",
    b"1e9",
    b"-0",
    b"9" * 17,
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"TLS.",
    b" ",
]
CORPUS_SIZE = 500


def edit(source, data):
    """`data` with a few bytes replaced, inserted, removed or repeated."""
    for _ in range(source.randint(1, 4)):
        at, size = source.randint(0, len(data)), source.randint(0, 8)
        piece = source.choice([b"", source.randbytes(size), source.choice(PIECES), data[at : at + size] * 2])
        data = data[:at] + piece + data[at + source.choice([0, 0, size]) :]
    return data


def mutate(source, text):
    """Another text, edited at one of its layers."""
    layer = source.randrange(4)
    try:
        document = unwrap(text)
    except (ValueError, zlib.error):
        document, layer = text.encode("utf-8", "surrogatepass"), source.choice([0, 2, 3])
    if layer == 0:
        return edit(source, text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    if layer == 1:
        return wrap(b"", compressed=edit(source, zlib.compress(document)))
    if layer == 2:
        return edit(source, document).decode("utf-8", "surrogateescape")
    return wrap(edit(source, document))


def attempt(text):
    """How each call answers: its sentence, so that a new one shows new ground. Raises what must not leave."""
    answers = []
    for call in CALLS:
        try:
            claims = call(text, now=NOW) if call is not decode else call(text)
        except InvalidUserSig as refusal:
            answers.append(str(refusal))
        else:
            answers.append(repr(type(claims)))
    return tuple(answers)


def main(seconds, seed):
    """The number of texts tried; raises at the first that a call does not refuse properly."""
    source = random.Random(seed)
    corpus, seen, tried = list(SEEDS), set(), 0
    end = time.monotonic() + seconds if seconds else float("inf")
    while time.monotonic() < end:
        text = mutate(source, source.choice(corpus))
        tried += 1
        try:
            answers = attempt(text)
        except Exception:
            sys.stderr.write(f"seed {seed}, text {text!r}\n")
            raise
        if answers not in seen and len(corpus) < CORPUS_SIZE:
            seen.add(answers)
            corpus.append(text)
    return tried


if __name__ == "__main__":
    duration = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    sys.stdout.write(f"{main(duration, time.time_ns())} texts, every one answered as it should be\n")
