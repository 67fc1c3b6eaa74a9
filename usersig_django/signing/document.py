"""The document in a token: one flat JSON object whose values are strings and whole numbers (SECURITY 2.3)."""

import json
import re

from usersig_django.exceptions import MalformedUserSig, gettext_noop

Document = dict[str, str | int]

# Flat JSON is a regular language. What it leaves out has no way in: nesting (so that nothing recurses on an
# attacker's text), floats, exponents, signs, NaN, 17 digits, control characters, a BOM.
_SPACE = r"[ \t\n\r]*+"
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+"'
_MEMBER = rf"{_SPACE}{_STRING}{_SPACE}:{_SPACE}(?:{_STRING}|0|[1-9][0-9]{{0,15}}){_SPACE}"
# Not possessive, as the parts are: up to Python 3.11.4 such a group keeps the comma of a member that failed.
_is_flat_object = re.compile(rf"{_SPACE}\{{{_MEMBER}(?:,{_MEMBER})*\}}{_SPACE}").fullmatch


def parse(text: str) -> Document:
    """The members of the object; `MalformedUserSig` for any other text, and for a member given twice."""
    if not _is_flat_object(text):
        raise MalformedUserSig(gettext_noop("The document is not one flat JSON object of strings and whole numbers."))
    document: Document = _decoder.decode(text)
    return document


def escape(text: str) -> str:
    """Printable ASCII as it stands inside a JSON string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _unique(members: list[tuple[str, str | int]]) -> Document:
    document = dict(members)
    if len(document) != len(members):
        raise MalformedUserSig(gettext_noop("The document has a member twice."))
    return document


_decoder = json.JSONDecoder(object_pairs_hook=_unique)
