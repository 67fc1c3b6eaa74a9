"""What went wrong, for people: `str(error)` stays English, for logs; whoever shows an error translates it."""

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext

from usersig_django.exceptions import Explained


class Misconfigured(Explained, ImproperlyConfigured):
    """Django's own, whose sentence can be translated."""


def translated(error: Exception) -> str:
    """What the error says, in the reader's language."""
    if not isinstance(error, Explained):
        return str(error)
    text = gettext(error.message)
    params = {
        name: translated(value) if isinstance(value, Exception) else value for name, value in error.params.items()
    }
    return text % params if params else text
