"""Integer rules of the protocol, each written once. Exact `int`: never `bool`, a float, numeric text or a subclass;
out of range is refused, never masked or clamped (SECURITY 1.2)."""

import time

from usersig_django.exceptions import InvalidInput, gettext_noop

UINT32_MAX = 4_294_967_295
EXPIRE_MAX = 315_360_000


def check_integer(name: str, value: object, minimum: int, maximum: int) -> None:
    """Raise `InvalidInput` unless `value` is an exact int within both bounds, which are included."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise InvalidInput(
            gettext_noop("%(name)s must be an integer from %(minimum)s to %(maximum)s."),
            name=name,
            minimum=minimum,
            maximum=maximum,
        )


def check_sdkappid(sdkappid: object) -> None:
    """Raise `InvalidInput` unless this can be an SDKAppID: 1..4294967295 (PROTOCOL 4)."""
    check_integer("sdkappid", sdkappid, 1, UINT32_MAX)


def check_expire(expire: object, minimum: int = 1, maximum: int = EXPIRE_MAX) -> None:
    """Raise `InvalidInput` unless this is a validity in seconds: 1..315360000, or the narrower bounds given."""
    check_integer("expire", expire, minimum, maximum)


def issue_time(now: int | None) -> int:
    """The unix second to sign: `now`, or one reading of the clock. Official verifiers hold it in 32 bits."""
    if now is None:
        return int(time.time())
    check_integer("now", now, 1, UINT32_MAX)
    return now
