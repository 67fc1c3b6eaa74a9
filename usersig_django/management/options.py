"""What commands read from their options and from standard input."""

import getpass
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError, OutputWrapper
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from usersig_django.management.base import USAGE
from usersig_django.secret import Secret

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


@sensitive_variables()
def read_secret(path: str | None, variable: str | None, prompt: OutputWrapper) -> Secret:
    """A key, from a file, an environment variable, a hidden prompt or standard input; never an argument."""
    try:
        if path is not None:
            text = Path(path).read_text(encoding="utf-8")
        elif variable is not None:
            text = os.environ.get(variable, "")
        elif standard_input().isatty():
            text = getpass.getpass(_("Secret (not shown): "), stream=prompt)  # type: ignore[arg-type]  # a TextIO in all that getpass uses
        else:
            text = standard_input().read()
    except UnicodeDecodeError:
        # The decoder's own exception carries the bytes.
        raise CommandError(_("The secret is not UTF-8 text."), returncode=USAGE) from None
    except OSError as error:
        message = _("--secret-file cannot be read: %(error)s") % {"error": error.strerror}
        raise CommandError(message, returncode=USAGE) from None
    if not text.strip():
        raise CommandError(_("The secret is empty."), returncode=USAGE)
    return Secret(text.strip())
