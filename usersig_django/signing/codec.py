"""Document text to token and back: zlib, then base64 in Tencent's alphabet (PROTOCOL 1).

Reading comes before any authentication, since the signature is inside: every step is bounded (SECURITY 2.1, 2.2)."""

import binascii
import zlib

from usersig_django.exceptions import InvalidInput, MalformedUserSig, gettext_noop
from usersig_django.signing.integers import check_integer

MAX_LENGTH = 8192
"""Characters of a token, and bytes of the document inside it."""

# Not RFC 4648 url-safe: here `-` stands for `/` and `_` for `=`.
_TO_TENCENT = bytes.maketrans(b"+/=", b"*-_")
_FROM_TENCENT = bytes.maketrans(b"*-_", b"+/=")

# A window of 4 KiB costs a tenth of what zlib.compress allocates, and the header still announces the usual 32 KiB:
# every reader takes shorter distances than announced, Tencent's is not known to take a shorter announcement.
WINDOW_BITS = 12
MEMORY_LEVEL = 6
_DEFLATED = b"\x78\x9c"
_STORED = b"\x78\x01\x01"


def check_compression_level(level: object) -> None:
    """Raise `InvalidInput` unless this is a zlib level: 0 (none) to 9 (smallest)."""
    check_integer("compression_level", level, 0, 9)


def pack(document: str, compression_level: int) -> str:
    """The token that carries this document, whose text is ASCII and shorter than 64 KiB."""
    data = document.encode()
    if compression_level:
        deflate = zlib.compressobj(compression_level, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        return _encode(_DEFLATED + (deflate.compress(data) + deflate.flush())[len(_DEFLATED) :])
    size = len(data)
    return wrap(data, size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data, _STORED)


def wrap(document: bytes, body: bytes, header: bytes = _DEFLATED) -> str:
    """The token of a document whose deflated form is `body`."""
    return _encode(header + body + zlib.adler32(document).to_bytes(4, "big"))


def unpack(usersig: str) -> str:
    """The document text in a token.

    Raises `InvalidInput` for anything but an exact str, and `MalformedUserSig` for more than 8192 characters or
    bytes of document, and for whatever is not canonical base64 of exactly one whole zlib stream of UTF-8."""
    if type(usersig) is not str:
        raise InvalidInput(gettext_noop("A UserSig must be a str."))
    if len(usersig) > MAX_LENGTH:
        raise MalformedUserSig(gettext_noop("The UserSig is longer than %(maximum)s characters."), maximum=MAX_LENGTH)
    try:
        compressed = binascii.a2b_base64(usersig.encode("ascii").translate(_FROM_TENCENT))
    except ValueError:
        compressed = b""
    # One comparison refuses white space, junk, `+/=`, wrong padding and non-zero trailing bits alike.
    if _encode(compressed) != usersig or not usersig:
        raise MalformedUserSig(
            gettext_noop("The UserSig is not base64 in Tencent's alphabet (A-Z a-z 0-9 * - and _ as padding).")
        )
    inflate = zlib.decompressobj()
    try:
        # One byte more than allowed tells "exactly full" from "more to come".
        data = inflate.decompress(compressed, MAX_LENGTH + 1)
    except zlib.error:
        data = b""
    if len(data) > MAX_LENGTH:
        raise MalformedUserSig(
            gettext_noop("The document in the UserSig is longer than %(maximum)s bytes."), maximum=MAX_LENGTH
        )
    if not inflate.eof or inflate.unused_data:
        raise MalformedUserSig(
            gettext_noop("The UserSig is not one whole zlib stream: truncated, altered or followed by more.")
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    raise MalformedUserSig(gettext_noop("The document in the UserSig is not UTF-8."))


def decode_base64(text: str) -> bytes:
    """The bytes that `text` is the canonical standard base64 of; `MalformedUserSig` for any other spelling."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        data = b""
    if encode_base64(data) != text:
        raise MalformedUserSig(gettext_noop("A member of the document is not canonical base64."))
    return data


def encode_base64(data: bytes) -> str:
    """Standard base64, on one line."""
    return binascii.b2a_base64(data, newline=False).decode()


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_TO_TENCENT).decode()
