"""A token that somebody asks about: what it says, whether it is valid, and where to look when it is not."""

from dataclasses import dataclass

from django.views.decorators.debug import sensitive_variables

from usersig_django.exceptions import InvalidUserSig, MalformedUserSig
from usersig_django.signing import PrivateMapKeyClaims, UserSigClaims, decode
from usersig_django.signing.private_map_key import read as read_private_map_key
from usersig_django.verifying import verify_private_map_key, verify_usersig


@dataclass(frozen=True, slots=True)
class Inspection:
    """`claims` is what the token says, verified or not; None where it cannot be read."""

    claims: UserSigClaims | None
    fault: InvalidUserSig | None

    @property
    def is_private_map_key(self) -> bool:
        return isinstance(self.claims, PrivateMapKeyClaims)


@sensitive_variables()
def inspect(
    token: str, *, userid: str | None = None, room: int | str | None = None, environment: str | None = None
) -> Inspection:
    """Read a UserSig or a PrivateMapKey, then verify it with the keys of an environment. With a `room` it must be a
    PrivateMapKey. Raises InvalidInput, SigningUnavailable, ImproperlyConfigured and the database's errors."""
    try:
        claims, fault = _read(token), None
    except MalformedUserSig as error:
        # It names foreign forms, which verifying has no words for.
        return Inspection(None, error)
    try:
        if room is not None or claims.userbuf is not None:
            verify_private_map_key(token, userid=userid, room=room, environment=environment)
        else:
            verify_usersig(token, userid=userid, environment=environment)
    except InvalidUserSig as error:
        fault = error
    return Inspection(claims, fault)


@sensitive_variables()
def _read(token: str) -> UserSigClaims:
    claims = decode(token)
    try:
        return read_private_map_key(claims)
    except MalformedUserSig:
        return claims
