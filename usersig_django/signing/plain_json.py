"""The oldest UserSigs: the JSON text itself, with a date for `TLS.time` (PROTOCOL 3). Read only, when asked for."""

import calendar
import re
from datetime import datetime

from usersig_django.exceptions import InvalidInput, MalformedUserSig, gettext_noop
from usersig_django.signing import document
from usersig_django.signing.codec import MAX_LENGTH
from usersig_django.signing.integers import check_integer

UTC_OFFSET = 8 * 3600
"""Seconds: China's, where these tokens were made."""

# The "-08:00" is a literal, not a zone: the date is the issuer's local time.
_find_date = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})-08:00").fullmatch


def check_utc_offset(utc_offset: object) -> None:
    """Raise `InvalidInput` unless this is a number of seconds less than a day either way."""
    check_integer("utc_offset", utc_offset, -86_399, 86_399)


def parse(text: str) -> document.Document:
    """The members of the document; `MalformedUserSig` for more than 8192 characters or bytes, or other text."""
    if type(text) is not str:
        raise InvalidInput(gettext_noop("A UserSig must be a str."))
    if len(text) > MAX_LENGTH or len(text.encode(errors="replace")) > MAX_LENGTH:
        raise MalformedUserSig(gettext_noop("The document is longer than %(maximum)s bytes."), maximum=MAX_LENGTH)
    return document.parse(text)


def unix_time(date: str, utc_offset: int) -> int:
    """Unix seconds at this local time."""
    parts = _find_date(date)
    if parts is None:
        raise MalformedUserSig(gettext_noop("TLS.time is not the date of a plain JSON UserSig."))
    year, month, day, hour, minute, second = map(int, parts.groups())
    try:
        local = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - local by definition
    except ValueError:
        raise MalformedUserSig(gettext_noop("TLS.time is no date of the calendar.")) from None
    return calendar.timegm(local.timetuple()) - utc_offset
