"""The document in a token: one flat JSON object whose values are strings and whole numbers (SECURITY 2.3).

Its grammar is a regular language, so that nesting, floats, exponents, signs, NaN and 17 digits have no way in, and
nothing recurses on an attacker's text."""

import json
import re

from usersig_django.exceptions import MalformedUserSig

Document = dict[str, str | int]

_SPACE = r"[ \t\n\r]*+"
_STRING = r'"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+)"'
_NUMBER = r"(0|[1-9][0-9]{0,15})"
_MEMBER = rf"{_STRING}{_SPACE}:{_SPACE}(?:{_STRING}|{_NUMBER}){_SPACE}"
_members = re.compile(_MEMBER).findall
_is_object = re.compile(rf"{_SPACE}\{{{_SPACE}{_MEMBER}(?:,{_SPACE}{_MEMBER})*+\}}{_SPACE}").fullmatch


def parse(text: str) -> Document:
    """The members of the object; `MalformedUserSig` for any other text, and for a member given twice."""
    if not _is_object(text):
        raise MalformedUserSig("The document is not one flat JSON object of strings and whole numbers.")
    members = _members(text)
    if "\\" in text:
        members = [(_unescape(name), _unescape(string), number) for name, string, number in members]
    document = {name: int(number) if number else string for name, string, number in members}
    if len(document) != len(members):
        raise MalformedUserSig("The document has a member twice.")
    return document


def escape(text: str) -> str:
    """Printable ASCII as it stands inside a JSON string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _unescape(text: str) -> str:
    string: str = json.loads(f'"{text}"')
    if not string.isascii() and any("\ud800" <= character <= "\udfff" for character in string):
        raise MalformedUserSig("The document holds half of a surrogate pair.")
    return string
