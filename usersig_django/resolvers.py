"""User -> UserID. A resolver is any callable that takes the user and gives a `str`; name it in
`USERSIG["USERID_RESOLVER"]`. What it gives is checked, never repaired (SECURITY 1.1)."""

import hashlib
import hmac
from collections.abc import Callable
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.views.decorators.debug import sensitive_variables

from usersig_django.conf import conf


def primary_key(user: Any) -> str:
    """The primary key as text; a UUID as its 32 hex digits, since 36 characters are too long (PROTOCOL 4)."""
    if user.pk is None:
        # Text of it would be one UserID for everybody who was never saved.
        raise ValueError("The user has no primary key.")
    return user.pk.hex if isinstance(user.pk, UUID) else str(user.pk)


def attribute(path: str) -> Callable[[Any], object]:
    """A resolver that reads an attribute, as `attribute("username")` or `attribute("profile.im_id")`.

    The attribute must never pass from one person to another: who takes over a freed username takes over the
    chats with it.
    """
    return attrgetter(path)


@sensitive_variables()
def opaque(user: Any) -> str:
    """32 hex digits of a hash of the primary key, keyed with `USERSIG["USERID_SECRET"]`: stable, unguessable, and
    silent about how many users there are."""
    key = conf.userid_secret.reveal().encode()
    return hmac.digest(key, primary_key(user).encode(), hashlib.sha256).hex()[:32]
