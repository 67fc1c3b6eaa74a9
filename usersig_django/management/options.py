"""What commands read from their options and from standard input."""

import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from usersig_django.management.base import USAGE

is_decimal = re.compile(r"0|[1-9][0-9]{0,15}").fullmatch


def read_number(option: str, value: object) -> int:
    text = str(value)
    if not is_decimal(text):
        raise CommandError(_("%(option)s must be a decimal number.") % {"option": option}, returncode=USAGE)
    return int(text)


def read_room(options: Mapping[str, Any]) -> int | str | None:
    if options["room_id"] is not None:
        return read_number("--room-id", options["room_id"])
    return None if options["str_room_id"] is None else str(options["str_room_id"])


def standard_input() -> TextIO:
    # None where a shell closed it with `<&-`.
    if sys.stdin is None:
        raise CommandError(_("Standard input is closed."), returncode=USAGE)
    return sys.stdin
