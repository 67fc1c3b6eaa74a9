"""Documents that differ in a few values alone, deflated once and then filled in (RFC 1951, 3.2.6).

In deflate's fixed code a character that no match covers takes eight bits, whatever stands around it. So zlib deflates
the document once, with filler where the values go, and each token puts the codes of its values there: no search for
matches, no Huffman trees. Measured where it is used, at ECDSA: sign() in 29 µs instead of 39, tokens 8 % longer."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from usersig_django.signing import codec

# The code of a character is 0x30 more than itself; deflate packs codes with their first bit lowest.
_CODES = bytes(int(f"{0x30 + byte:08b}"[::-1], 2) if byte < 0x90 else 0 for byte in range(256))
_END_OF_BLOCK = 7
"""Bits, all of them zero."""

# Filler is what zlib finds nothing to match in: characters that no document holds, in an order in which no three stand
# together twice, and around them, for each value, an edge of its own.
_EDGES = bytes(range(7))
_STRANGERS = bytes((*range(7, 0x20), *range(0x7F, 0x8F)))
_FILLER = bytes(_STRANGERS[place * stride % 41] for stride in (1, 2, 3) for place in range(41))
_LAST = b"\x8f"
"""The last bit of its code is set, and so shows where it ends: nothing but zeros follows."""


class _Template(NamedTuple):
    stream: int
    """The deflated document, with zeros where the values go."""
    places: tuple[int, ...]
    """The bit at which each value begins."""


def pack(constants: tuple[str, ...], values: Sequence[str], compression_level: int) -> str:
    """The token that carries the document in which a value follows each of the constants. There are at most 7 of
    each, all ASCII; the values but the last have at most 123 characters together."""
    document = "".join(chain.from_iterable(zip(constants, values, strict=True)))
    template = _deflate(constants, tuple(map(len, values[:-1])), compression_level)
    if template is None:
        return codec.pack(document, compression_level)
    stream, places = template
    for place, value in zip(places, values, strict=True):
        stream |= _encode(value.encode()) << place
    size = places[-1] + 8 * len(values[-1]) + _END_OF_BLOCK
    return codec.wrap(document.encode(), stream.to_bytes((size + 7) // 8, "little"))


@lru_cache(maxsize=256)
def _deflate(constants: tuple[str, ...], lengths: tuple[int, ...], compression_level: int) -> _Template | None:
    """The template for values of these lengths; None where zlib does not deflate like this, as at level 0."""
    document, rest, places, holes, filled = b"", _FILLER, [], 0, 0
    for edge, constant, length in zip(_EDGES, constants, (*lengths, 1), strict=False):
        filler = (bytes([edge]) + rest)[: length - 1] + bytes([edge]) if length else b""
        rest = rest[length:]
        document += constant.encode()
        place = _stream(document, compression_level).bit_length() - 8
        places.append(place)
        holes |= (1 << 8 * length) - 1 << place
        filled |= _encode(filler) << place
        document += filler
    stream = _stream(document, compression_level) & (1 << places[-1] + 8) - 1
    return _Template(stream ^ filled, tuple(places)) if stream & holes == filled else None


def _stream(document: bytes, compression_level: int) -> int:
    """The document, `_LAST` and the end of the block, deflated in the fixed code, as one number: first bit lowest."""
    deflate = zlib.compressobj(compression_level, zlib.DEFLATED, -codec.WINDOW_BITS, codec.MEMORY_LEVEL, zlib.Z_FIXED)
    return int.from_bytes(deflate.compress(document + _LAST) + deflate.flush(), "little")


def _encode(text: bytes) -> int:
    return int.from_bytes(text.translate(_CODES), "little")
