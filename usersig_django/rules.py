"""What a setting may be: gives the value back, or refuses it with `ImproperlyConfigured` that says where it stands."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.module_loading import import_string

from usersig_django.exceptions import gettext_noop
from usersig_django.faults import Misconfigured


def integer(where: str, value: object, low: int, high: int) -> int:
    if type(value) is not int:
        raise Misconfigured(
            gettext_noop("%(where)s must be an int, not %(type)s."), where=where, type=type(value).__name__
        )
    if not low <= value <= high:
        raise Misconfigured(
            gettext_noop("%(where)s must be from %(low)s to %(high)s, not %(value)s."),
            where=where,
            low=low,
            high=high,
            value=value,
        )
    return value


def mapping(where: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise Misconfigured(
            gettext_noop("%(where)s must be a dict, not %(type)s."), where=where, type=type(value).__name__
        )
    return value


def one_of(where: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise Misconfigured(
            gettext_noop("%(where)s must be one of %(choices)s."), where=where, choices=", ".join(choices)
        )
    return value


def callable_or_path(where: str, value: object) -> Callable[..., object]:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except Exception as error:
            # A module that is being imported raises anything.
            raise Misconfigured(
                gettext_noop("%(where)s cannot be imported: %(error)s"),
                where=where,
                error=f"{type(error).__name__}: {error}",
            ) from error
    if not callable(value):
        raise Misconfigured(gettext_noop("%(where)s must be a callable or the dotted path of one."), where=where)
    return value
